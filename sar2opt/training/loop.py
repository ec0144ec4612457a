"""The training loop that all nets share: schedule, averaging, checkpoints, log, resume."""

from __future__ import annotations

import copy
import csv
import math
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from pydantic import Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from sar2opt.config import Settings
from sar2opt.errors import ModelError

Net = TypeVar("Net", bound=nn.Module)


class Schedule(Settings):
    """How long, how fast, how often something is kept."""

    steps: int = Field(3000, ge=1)
    batch: int = Field(8, ge=1)
    rate: float = Field(2e-3, gt=0, description="peak learning rate; warm-up, then cosine to zero")
    warm_up: int = 100
    checkpoint: int = Field(500, description="steps between two checkpoints")


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


class Step(Protocol):
    """What the loop needs of a training step."""

    @property
    def optimiser(self) -> torch.optim.Optimizer: ...

    @property
    def average(self) -> Averager: ...

    def nets(self) -> dict[str, nn.Module | torch.optim.Optimizer]: ...

    def __call__(self, progress: float, /) -> dict[str, float]: ...


def train_loop(
    step: Step, rng: np.random.Generator, schedule: Schedule, out: Path, *, resume: bool = False
) -> None:
    """Run ``step`` to the end of the schedule, keeping a checkpoint and a log below ``out``.

    A resumed run continues the random streams too, and so ends with the same weights.
    """
    out.mkdir(parents=True, exist_ok=True)
    first = _restore(step, rng, out / "checkpoint.pt") if resume else 0
    log = out / "log.csv"
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    log.write_text("".join(line for line in lines if int(line.split(",")[0]) <= first))
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
               TextColumn("{task.fields[figures]}"))  # fmt: skip
    with Progress(*columns) as bar:
        task = bar.add_task("training", total=schedule.steps, completed=first, figures="")
        sums: dict[str, list[float]] = {}
        for number in range(first, schedule.steps):
            for group in step.optimiser.param_groups:
                group["lr"] = schedule.rate * _rate_share(number, schedule)
            for name, value in step(number / schedule.steps).items():
                sums.setdefault(name, []).append(value)
            if (number + 1) % 50 == 0 or number + 1 == schedule.steps:
                figures = {name: float(np.mean(values)) for name, values in sums.items()}
                _append(log, number + 1, figures)
                bar.update(task, figures=" ".join(f"{n} {v:.3f}" for n, v in figures.items()))
                sums = {}
            if (number + 1) % schedule.checkpoint == 0 or number + 1 == schedule.steps:
                _save(step, rng, number + 1, out / "checkpoint.pt")
            bar.update(task, completed=number + 1)


def _rate_share(number: int, schedule: Schedule) -> float:
    warm = min(1.0, (number + 1) / max(schedule.warm_up, 1))
    return warm * 0.5 * (1.0 + math.cos(math.pi * number / schedule.steps))


def _append(log: Path, step: int, figures: dict[str, float]) -> None:
    with log.open("a", newline="") as stream:
        csv.writer(stream).writerow([step, *(f"{n}={v:.5f}" for n, v in figures.items())])


def _save(step: Step, rng: np.random.Generator, number: int, path: Path) -> None:
    state = {
        "step": number,
        "updates": step.average.updates,
        "torch_rng": torch.get_rng_state(),
        "numpy_rng": rng.bit_generator.state,
        "nets": {name: net.state_dict() for name, net in step.nets().items()},
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _restore(step: Step, rng: np.random.Generator, path: Path) -> int:
    if not path.exists():
        raise ModelError(f"{path}: no checkpoint to resume from: train without --resume first")
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, net in step.nets().items():
        net.load_state_dict(state["nets"][name])
    step.average.updates = state["updates"]
    torch.set_rng_state(state["torch_rng"])
    rng.bit_generator.state = state["numpy_rng"]
    return int(state["step"])
