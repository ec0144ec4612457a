"""What all commands share: where they print, the bars of progress, the devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

# what is printed holds names of files, which are no markup, and which no line break may split
out = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
err = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


class Device(StrEnum):
    """Where the nets run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@contextmanager
def bars_of_progress() -> Iterator[Any]:
    """Yield a function that draws one bar for each step it is told of."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TimeRemainingColumn())  # fmt: skip
    bars = Progress(*columns, console=err)
    tasks: dict[str, TaskID] = {}

    def show(step: str, done: int, total: int) -> None:
        if step not in tasks:
            tasks[step] = bars.add_task(step, total=total)
            bars.start()  # not before, lest an error be preceded by an empty line
        bars.update(tasks[step], completed=done, total=total)

    try:
        yield show
    finally:
        if tasks:
            bars.stop()


def plain(value: Any) -> str:
    """Return a value as a person would write it down."""
    if isinstance(value, list):
        return "\n".join(str(item) for item in value) or "none"
    if isinstance(value, dict):
        return "\n".join(f"{name}: {item}" for name, item in value.items())
    if isinstance(value, tuple):
        return ", ".join(f"{item:.10g}" for item in value)
    return str(value)
