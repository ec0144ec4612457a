"""The files that a scene is made of, and its name: of a file, a folder, a glob or an address."""

from __future__ import annotations

import os
import re
from pathlib import Path

_GLOB = re.compile(r"[*?\[]")
_ADDRESS = re.compile(r"^(https?):/+(.+)$", re.IGNORECASE)
_ENDINGS = re.compile(r"(\.tar)?\.\w{1,8}$")


def address_of(path: Path) -> str:
    """Return the http(s) address that ``path`` spells, or "": a Path keeps one slash of two."""
    match = _ADDRESS.match(str(path))
    return f"{match.group(1).lower()}://{match.group(2)}" if match else ""


def is_glob(path: Path) -> bool:
    """Return whether ``path`` is a pattern of names, and not the name of something."""
    return bool(_GLOB.search(str(path))) and not path.exists() and not address_of(path)


def anchored(path: Path) -> Path:
    """Return ``path`` made absolute, unless it is an address."""
    return path if address_of(path) else path.absolute()


def files_of(path: Path) -> list[Path]:
    """Return the files that a scene is made of, sorted; none for an address."""
    if address_of(path):
        return []
    if is_glob(path):
        path = path.absolute()
        pattern = str(path.relative_to(path.anchor))
        return sorted(found for found in Path(path.anchor).glob(pattern) if found.is_file())
    if path.is_dir():
        return sorted(found for found in path.rglob("*") if found.is_file())
    return [path]


def name_of(path: Path) -> str:
    """Return the name of a scene: of a glob, what its files' names begin with."""
    if is_glob(path):
        names = [found.stem for found in files_of(path)]
        return os.path.commonprefix(names).rstrip("._- ") or path.absolute().parent.name
    if path.name.lower().endswith((".safe", ".safe.zip")):
        return path.name[: path.name.lower().rindex(".safe")]
    return path.name if path.is_dir() else _ENDINGS.sub("", path.name) or path.stem
