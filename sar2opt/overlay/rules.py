"""The rules of a reference layer: which tags its classes allow, or must show."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sar2opt.errors import ConfigError
from sar2opt.overlay.corners import Array
from sar2opt.overlay.reference import one_line
from sar2opt.raster import OBJECTS

TOLERANCE = "tolerance_m"  # in a file of rules: no class, but how well the layer is registered


def read_allow(path: Path | str, names: Sequence[str]) -> dict[str, list[str]]:
    """Read which tags may occur in which reference class from TOML: ``class = ["tag", ...]``.

    Raises ``ConfigError`` in one line: unreadable, not lists of texts, or a tag that is not among
    ``names``.
    """
    rules = _read_toml(path)
    rules.pop(TOLERANCE, None)  # read_tolerance reads it
    if not rules:
        raise ConfigError(f'{path}: holds no rule; write lines like: forest = ["trees", "grass"]')
    for kind, tags in rules.items():
        if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
            raise ConfigError(f'{path}: {kind} must be a list of tags: ["trees", "grass"]')
        for tag in tags:
            if tag not in names:
                near = difflib.get_close_matches(tag, names, n=1, cutoff=0.0)[0]
                raise ConfigError(f"{path}: {kind}: unknown tag '{tag}'; the nearest is '{near}'")
    return rules


def read_tolerance(path: Path | str) -> float | None:
    """Read ``tolerance_m`` from a file of rules: metres beside an edge that are not judged.

    None where it is not there. Raises ``ConfigError`` for what is no number of metres.
    """
    said = _read_toml(path).get(TOLERANCE)
    number = isinstance(said, (int, float)) and not isinstance(said, bool)
    if said is not None and not (number and 0 <= said < np.inf):
        raise ConfigError(f"{path}: {TOLERANCE} is {said!r}: write metres, such as 30")
    return None if said is None else float(said)


def _read_toml(path: Path | str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {one_line(error)}") from error


def with_their_objects(tags: Sequence[str], names: Sequence[str]) -> set[str]:
    """Return ``tags`` and those of ``names`` that are objects on them: a hall is built up."""
    return {name for name in names if {name, OBJECTS.get(name)} & set(tags)}


def check_rules(classes: Iterable[str], allow: Mapping[str, Sequence[str]]) -> None:
    """Raise ``ConfigError`` when no rule fits a class of the reference."""
    kinds = sorted(set(classes))
    if not set(kinds) & set(allow):
        some = ", ".join(kinds[:20]) + (", ..." if len(kinds) > 20 else "")
        raise ConfigError(
            "no rule of allow fits a class of the reference layer; its classes are: "
            f"{some} (write rules for them, or set --column)"
        )


def forbidden_tags(
    kinds: Sequence[str], allow: Mapping[str, Sequence[str]], names: Sequence[str]
) -> Array:
    """Return whether reference class k (from 1; 0 is none) forbids a tag: bool ``(k, 256)``."""
    forbidden = np.zeros((len(kinds) + 1, 256), bool)
    for number, kind in enumerate(kinds, start=1):
        if kind in allow:
            allowed = with_their_objects(allow[kind], names)
            forbidden[number, : len(names)] = [name not in allowed for name in names]
    return forbidden
