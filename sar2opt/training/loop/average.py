"""What happens to a net beside its steps: averaging of weights, freezing of batch norms."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Averager:
    """An exponential moving average of a net's weights (Polyak averaging)."""

    def __init__(self, net: nn.Module, decay: float = 0.998) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Take one more state of ``net`` into the average."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        for own, new in zip(self.net.state_dict().values(), net.state_dict().values(), strict=True):
            if own.dtype.is_floating_point:
                own.lerp_(new, 1.0 - decay)
            else:
                own.copy_(new)


def set_norms(net: nn.Module, average: nn.Module, *, frozen: bool) -> None:
    """Put ``net`` in train mode or, once ``frozen``, in eval mode with the averaged statistics.

    From then on a net trains as it will run: with statistics of a small batch, the absolute level
    of backscatter, which tells sea from field, depends on the crops that happen to be beside.
    """
    if not frozen:
        net.train()
        return
    if not net.training:
        return  # frozen already
    averaged = dict(average.named_buffers())
    for name, buffer in net.named_buffers():
        buffer.copy_(averaged[name])
    net.eval()
