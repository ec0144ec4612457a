"""The command line in a process of its own, which can be stopped at a chosen moment and killed.

A server forks the processes, so that the libraries are imported once and not once a process.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
PATIENCE = 120  # seconds


def start_server() -> None:
    """Start the server, unless it runs; who starts it decides what it imports."""
    CONTEXT.set_forkserver_preload(["sar2opt.cli", "sar2opt.pipeline", "distributed"])
    forkserver.ensure_running()


def run_cli(folder: Path, *arguments: str, largest_file: int | None = None) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of ``sar2opt ARGUMENTS``.

    ``largest_file``, in bytes, is what the operating system lets the process write to one file.
    """
    process = _start(folder, arguments, None, largest_file)
    process.join(PATIENCE)
    assert process.exitcode is not None, "it did not end"
    texts = [(folder / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")]
    return process.exitcode, texts[0], texts[1]


def kill_cli(folder: Path, moment: str, *arguments: str) -> None:
    """Start ``sar2opt ARGUMENTS`` and kill it with SIGKILL at a moment of ``MOMENTS``."""
    process = _start(folder, arguments, moment, None)
    deadline = time.monotonic() + PATIENCE
    while not (folder / "reached").exists():
        assert process.is_alive(), (folder / "stderr").read_text(encoding="utf-8")
        assert time.monotonic() < deadline, "it did not get there"
        time.sleep(0.02)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _start(
    folder: Path, arguments: tuple[str, ...], moment: str | None, largest_file: int | None
) -> Any:
    start_server()
    folder.mkdir(exist_ok=True)
    process = CONTEXT.Process(target=_child, args=(folder, arguments, moment, largest_file))
    process.start()
    return process


def _child(
    folder: Path, arguments: tuple[str, ...], moment: str | None, largest_file: int | None
) -> None:
    for name, stream in (("stdout", 1), ("stderr", 2)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    if largest_file is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    if moment is not None:
        MOMENTS[moment](folder / "reached")
    sys.argv = ["sar2opt", *arguments]
    from sar2opt.cli import main

    main()


# ---- moments: each lets the work come to some point, and then halts it there ---------------------


def _halt(reached: Path) -> None:
    reached.touch()
    time.sleep(10 * PATIENCE)


def _at_call(owner: Any, name: str, number: int, reached: Path) -> None:
    """Halt the call of this number instead of making it."""
    original, calls = getattr(owner, name), 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            _halt(reached)
        return original(*args, **kwargs)

    setattr(owner, name, counted)


def _after_first_block(reached: Path) -> None:
    from sar2opt.pipeline.block import BlockJob

    _at_call(BlockJob, "__call__", 2, reached)


def _within_a_block(reached: Path) -> None:
    """Some of the eight layers of the fourth block are written, the others are not."""
    from sar2opt.tiles.staging import Staging

    _at_call(Staging, "array", 8 * 3 + 3, reached)


def _while_publishing(reached: Path) -> None:
    from sar2opt.pipeline import publish

    _at_call(publish, "write_preview", 1, reached)


def _while_moving(reached: Path) -> None:
    from sar2opt.products import folder

    def move_some(scratch: Path, target: Path, there: list[Path]) -> None:
        for path in sorted(scratch.iterdir())[:3]:
            path.replace(target / path.name)
        _halt(reached)

    folder._move_up = move_some


def _before_cleaning(reached: Path) -> None:
    from sar2opt.tiles.staging import Staging

    _at_call(Staging, "remove", 1, reached)


MOMENTS: dict[str, Callable[[Path], None]] = {
    "after the first block": _after_first_block,
    "within a block": _within_a_block,
    "while publishing": _while_publishing,
    "while moving": _while_moving,
    "before cleaning": _before_cleaning,
}
