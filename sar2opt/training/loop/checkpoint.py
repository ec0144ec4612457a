"""Checkpoints and logs: what a training leaves on the disk while it runs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sar2opt.errors import TrainingError
from sar2opt.tiles.staging import disk_error
from sar2opt.training.loop.parallel import is_first
from sar2opt.training.loop.step import Step

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"


def save(step: Step, rng: np.random.Generator, path: Path, facts: dict[str, Any]) -> None:
    """Write a checkpoint that a run can go on from exactly; the one before survives a failure."""
    if is_first():
        write_state(
            {
                **facts,
                "updates": step.average.updates,
                "torch_rng": torch.get_rng_state(),
                "numpy_rng": rng.bit_generator.state,
                "nets": {name: net.state_dict() for name, net in step.nets().items()},
            },
            path,
        )


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write a state whole or not at all; raises ``OutputError``."""
    part = path.with_suffix(".part")
    try:
        torch.save(state, part)
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch's own writer raises RuntimeError
        part.unlink(missing_ok=True)
        reason = error if isinstance(error, OSError) else OSError(28, str(error))
        raise disk_error(reason, path.parent) from error


def read_state(path: Path) -> dict[str, Any]:
    """Read a state; nothing in it is executed. Raises ``TrainingError``."""
    if not path.exists():
        raise TrainingError(f"{path}: no such checkpoint: train without --resume first")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TrainingError(f"{path}: not a checkpoint of sar2opt, or damaged") from error
    return state


def restore(step: Step, rng: np.random.Generator, path: Path, config: str) -> dict[str, Any]:
    """Put a training back to where a checkpoint was made; raises ``TrainingError``."""
    state = read_state(path)
    if state.get("config") != config:
        raise TrainingError(
            f"{path}: was made with another configuration: resume with that one, or train anew "
            "in another folder"
        )
    for name, net in step.nets().items():
        net.load_state_dict(state["nets"][name])
    step.average.updates = state["updates"]
    torch.set_rng_state(state["torch_rng"])
    rng.bit_generator.state = state["numpy_rng"]
    return state


class Log:
    """A CSV file of figures by step; lines after ``first`` are of a run that was cut off."""

    def __init__(self, path: Path, first: int, sums: dict[str, list[float]] | None = None) -> None:
        self.path = path
        self.sums = dict(sums or {})  # of the steps since the last line
        if is_first():
            lines = path.read_text().splitlines(keepends=True) if path.exists() else []
            path.write_text("".join(line for line in lines if int(line.split(",")[0]) <= first))

    def add(self, figures: dict[str, float]) -> None:
        """Take in the figures of one step."""
        for name, value in figures.items():
            self.sums.setdefault(name, []).append(value)

    def write(self, step: int) -> str:
        """Write the means since the last line; return them as a short text."""
        figures = {name: float(np.mean(values)) for name, values in self.sums.items()}
        self.sums = {}
        self.line(step, figures)
        return " ".join(f"{name} {value:.3f}" for name, value in figures.items())

    def line(self, step: int, figures: dict[str, float]) -> None:
        """Write one line."""
        if is_first():
            with self.path.open("a", newline="") as stream:
                csv.writer(stream).writerow([step, *(f"{n}={v:.5f}" for n, v in figures.items())])


def read_log(path: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Return steps and values by name."""
    curves: dict[str, tuple[list[int], list[float]]] = {}
    if path.exists():
        for step, *fields in csv.reader(path.read_text().splitlines()):
            for field in fields:
                name, value = field.split("=")
                steps, values = curves.setdefault(name, ([], []))
                steps.append(int(step))
                values.append(float(value))
    return curves
