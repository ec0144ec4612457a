"""Convolutions that apply the activation after them at once, on a CPU.

There the speed of the nets is bounded by memory traffic, and an activation of its own reads and
writes all that a convolution has just written. oneDNN, by which PyTorch convolves on a CPU, can
apply it before the result leaves the cache; PyTorch's own compiler calls it so.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

_OPERATION = "_convolution_pointwise"
_ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}


class ConvAct(nn.Module):
    """A convolution and the activation after it, in one pass over memory."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.kind, self.limits = _ACTIVATIONS[type(activation)]

    def forward(self, features: Tensor) -> Tensor:
        conv = self.conv
        fused: Tensor = torch.ops.mkldnn._convolution_pointwise(
            features, conv.weight, conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups,
            self.kind, self.limits, "",
        )  # fmt: skip
        return fused


def fuse_activations(net: nn.Module) -> nn.Module:
    """Join in place each convolution with the activation that follows it; the function is the same.

    For nets whose batch norms are folded, which leaves an identity between the two. Where PyTorch
    was built without oneDNN, or the processor lacks what its bfloat16 needs, nothing changes.
    """
    if not _is_there(next(net.parameters()).dtype):
        return net
    for module in list(net.modules()):
        children = [
            child for child in module.named_children() if not isinstance(child[1], nn.Identity)
        ]
        for (name, first), (next_name, second) in itertools.pairwise(children):
            if type(first) is nn.Conv2d and type(second) in _ACTIVATIONS:
                setattr(module, name, ConvAct(first, second))
                setattr(module, next_name, nn.Identity())
    return net


def _is_there(kind: torch.dtype) -> bool:
    operations = torch.ops.mkldnn
    if not (torch.backends.mkldnn.is_available() and hasattr(operations, _OPERATION)):
        return False
    return kind != torch.bfloat16 or bool(operations._is_mkldnn_bf16_supported())
