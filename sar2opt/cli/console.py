"""What all commands share: where they print, the log, the bars of progress."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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

from sar2opt.errors import OutputError

log = logging.getLogger("sar2opt.cli")

# what is printed holds names of files, which are no markup, and which no line break may split
out = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
err = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


_quiet = False


def set_up(*, quiet: bool, verbose: bool, log_file: Path | None) -> None:
    """Decide what is said. Raises ``OutputError`` if the log file cannot be written.

    ``quiet`` leaves results and errors; ``verbose`` adds the log to stderr; ``log_file`` gets the
    log with its times, whatever is said.
    """
    global _quiet
    _quiet = quiet
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    log.setLevel(logging.INFO)
    log.propagate = False
    handlers: list[logging.Handler] = [logging.NullHandler()]
    if verbose:
        handlers.append(logging.StreamHandler())
    if log_file is not None:
        try:
            handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
        except OSError as error:
            raise OutputError(f"{log_file}: no log can be written: {error.strerror}") from error
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)


def tell(sentence: str) -> None:
    """Say on stderr what a person should know, unless it is to be quiet, and log it."""
    log.info(sentence)
    if not _quiet:
        err.print(sentence)


def tell_assumption(sentence: str) -> None:
    """Print what was assumed, beside what is printed for programs."""
    tell(f"assumed: {sentence}")


@contextmanager
def bars_of_progress() -> Iterator[Any]:
    """Yield a function that draws one bar for each step it is told of."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TimeRemainingColumn())  # fmt: skip
    bars = Progress(*columns, console=err, disable=_quiet)
    tasks: dict[str, TaskID] = {}

    def show(step: str, done: int, total: int) -> None:
        if step not in tasks:
            log.info(step)
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


def command_line() -> str:
    """Return the command that repeats what is being done."""
    return shlex.join(["sar2opt", *sys.argv[1:]])
