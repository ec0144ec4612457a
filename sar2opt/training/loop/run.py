"""The training loop that all nets share: schedule, checks, early stopping, checkpoints, resume."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydantic import Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from sar2opt.config import Settings
from sar2opt.errors import TrainingError
from sar2opt.training.loop.checkpoint import BEST, CHECKPOINT, Log, restore, save, write_state
from sar2opt.training.loop.parallel import is_first
from sar2opt.training.loop.step import Step

EVERY = 50  # steps between two lines of the log
Check = Callable[[nn.Module, int], dict[str, float]]
"""``check(net, step)``: judges the averaged net on held-out places; ``score``: less is better."""


class Schedule(Settings):
    """How long, how fast, how often something is kept."""

    steps: int = Field(3000, ge=1)
    batch: int = Field(8, ge=1)
    rate: float = Field(2e-3, gt=0, description="peak learning rate; warm-up, then cosine to zero")
    warm_up: int = 100
    checkpoint: int = Field(500, ge=1, description="steps between two checkpoints and checks")
    patience: int = Field(0, description="end after so many checks without a better one; 0: never")


def train_loop(
    step: Step,
    rng: np.random.Generator,
    schedule: Schedule,
    out: Path,
    *,
    resume: bool = False,
    config: str = "",
    check: Check | None = None,
) -> None:
    """Run ``step`` to the end of the schedule, keeping a checkpoint and a log below ``out``.

    A resumed run continues the random streams too, and so ends with the same weights. The best
    averaged net, by ``check``, is kept as ``best.pt``. Raises ``TrainingError`` when a loss is not
    finite, or the checkpoint was made with another ``config``; the last checkpoint stays.
    """
    out.mkdir(parents=True, exist_ok=True)
    state = restore(step, rng, out / CHECKPOINT, config) if resume else {}
    first = int(state.get("step", 0))
    watch = _Watch(check, schedule, out, config, best=state.get("best", math.inf))
    log = Log(out / "log.csv", first, state.get("sums"))
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
               TextColumn("{task.fields[figures]}"))  # fmt: skip
    with Progress(*columns, disable=not is_first()) as bar:
        task = bar.add_task("training", total=schedule.steps, completed=first, figures="")
        for number in range(first, schedule.steps):
            for group in step.optimiser.param_groups:
                group["lr"] = schedule.rate * _rate_share(number, schedule)
            figures = step(number / schedule.steps)
            _refuse_nonfinite(figures, number + 1, step.seen, out)
            log.add(figures)
            done, last = number + 1, number + 1 == schedule.steps
            if done % EVERY == 0 or last:
                bar.update(task, figures=log.write(done))
            if done % schedule.checkpoint == 0 or last:
                tired = watch(step.average.net, done)
                facts = {"step": done, "config": config, "best": watch.best, "sums": log.sums}
                save(step, rng, out / CHECKPOINT, facts)
                if tired:
                    break
            bar.update(task, completed=done)


class _Watch:
    """Checks the averaged net now and then, keeps the best, and says when to stop."""

    def __init__(
        self, check: Check | None, schedule: Schedule, out: Path, config: str, best: float
    ) -> None:
        self._check, self._schedule, self._out, self._config = check, schedule, out, config
        self.best = best
        self._worse = 0

    def __call__(self, net: nn.Module, step: int) -> bool:
        if self._check is None or not is_first():
            return False
        figures = self._check(net, step)
        Log(self._out / "checks.csv", step - 1).line(step, figures)
        score = figures.get("score", math.inf)
        if score < self.best:
            self.best, self._worse = score, 0
            state = {"net": net.state_dict(), "step": step, "config": self._config}
            write_state(state, self._out / BEST)
        else:
            self._worse += 1
        return 0 < self._schedule.patience <= self._worse


def _rate_share(number: int, schedule: Schedule) -> float:
    warm = min(1.0, (number + 1) / max(schedule.warm_up, 1))
    return warm * 0.5 * (1.0 + math.cos(math.pi * number / schedule.steps))


def _refuse_nonfinite(figures: dict[str, float], number: int, seen: list[str], out: Path) -> None:
    bad = [name for name, value in figures.items() if not math.isfinite(value)]
    if bad:
        raise TrainingError(
            f"step {number}: the loss {', '.join(bad)} is not finite, in a batch of "
            f"{', '.join(seen) or 'unnamed crops'}: look at these pairs, or lower schedule.rate; "
            f"the last good checkpoint is kept in {out}"
        )
