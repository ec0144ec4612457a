"""The files that a scene is made of, and its name: of a file, a folder, a glob or an address."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

_GLOB = re.compile(r"[*?\[]")
_ADDRESS = re.compile(r"^(https?):/+(.+)$", re.IGNORECASE)
_ENDING = re.compile(r"(\.SAFE\.zip|(\.tar)?\.[^.]*)$", re.IGNORECASE)
_HALF = re.compile(r"[-_. ]+[vh]?$", re.IGNORECASE)  # what VV and VH begin with


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
    """Return the files that ``path`` names, sorted: itself, or a glob's or folder's."""
    if address_of(path) or is_glob(path) or path.is_dir():
        return [found for found in entries_of(path) if found.is_file()]
    return [path]


def entries_of(path: Path) -> list[Path]:
    """Return the files and folders that a pattern finds or a folder holds, sorted."""
    if address_of(path):
        return []
    if is_glob(path):
        path = path.absolute()
        return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    return sorted(path.iterdir()) if path.is_dir() else []


def name_of(path: Path) -> str:
    """Return the name of a scene: of a glob, what its files' names begin with."""
    if is_glob(path):
        names = [found.stem for found in entries_of(path)] or [""]
        alike = takewhile(
            lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False)
        )
        start = "".join(letter for letter, _ in alike)
        return (_HALF.sub("", start) if len(names) > 1 else start) or path.absolute().parent.name
    if address := address_of(path):
        name = PurePosixPath(urlsplit(address).path).name
    elif path.is_dir():
        return path.resolve().name.removesuffix(".SAFE") or "scene"
    else:
        name = path.name
    return _ENDING.sub("", name) or name or "scene"
