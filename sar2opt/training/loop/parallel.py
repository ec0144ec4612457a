"""Training on several devices: one process each, started by torchrun, gradients averaged.

``torchrun --nproc-per-node N -m sar2opt train ...`` sets the environment that is read here. Each
process draws crops of its own; after each backward pass the gradients are averaged, so that all
processes hold the same weights. That is what ``DistributedDataParallel`` does, without its
wrapper, which would have to be taken off again for averaging, saving and freezing batch norms.
"""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import nn


def join() -> None:
    """Join the other processes, if torchrun started some."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def leave() -> None:
    """Leave the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def own_rank() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Return whether this process is the one that writes."""
    return own_rank() == 0


def own_device(asked: str) -> str:
    """Return the device of this process: its own GPU where there is one."""
    cuda = torch.cuda.is_available() if asked == "auto" else asked == "cuda"
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if cuda else "cpu"


def share_gradients(net: nn.Module) -> None:
    """Average the gradients of ``net`` over all processes."""
    if not dist.is_initialized():
        return
    grads = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
    flat = torch.cat([grad.flatten() for grad in grads])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for grad, part in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(part.view_as(grad))
