"""The folder of a set of pairs: it appears whole, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sar2opt.errors import OutputError
from sar2opt.training.pairs.files import MANIFEST


@contextmanager
def staged_folder(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give an empty folder beside ``out``, which takes its place at the end.

    Only an empty folder or an earlier set of pairs is ever replaced. If anything is raised
    inside, nothing is left behind. Raises ``OutputError``.
    """
    out = Path(out).absolute()
    _check(out, overwrite)
    made = [parent for parent in out.parents if not parent.exists()]  # deepest first
    scratch = out.with_name(f".{out.name}.unfinished")
    try:
        try:
            shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
            scratch.mkdir(parents=True)
        except OSError as error:
            raise OutputError(f"{out}: cannot be written: {error.strerror}") from error
        yield scratch
        try:
            _put(scratch, out)
        except OSError as error:
            raise OutputError(f"{out}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def _check(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out}: is a file: choose another folder with --out")
    if any(out.iterdir()):
        if not (out / MANIFEST).is_file():
            raise OutputError(f"{out}: holds something else than pairs: choose another --out")
        if not overwrite:
            raise OutputError(f"{out}: holds pairs already; give --overwrite to replace them")


def _put(scratch: Path, out: Path) -> None:
    if not out.exists():
        scratch.rename(out)
        return
    old = out.with_name(f".{out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    out.rename(old)
    scratch.rename(out)
    shutil.rmtree(old, ignore_errors=True)
