"""A training step, as the loop and its checkpoints know it."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from sar2opt.training.loop.average import Averager


class Step(Protocol):
    """One update of the nets at a time; ``progress`` runs from 0 to 1. Returns losses by name."""

    @property
    def optimiser(self) -> torch.optim.Optimizer: ...

    @property
    def average(self) -> Averager: ...

    @property
    def seen(self) -> list[str]: ...

    def nets(self) -> dict[str, nn.Module | torch.optim.Optimizer]: ...

    def __call__(self, progress: float, /) -> dict[str, float]: ...
