"""Pairs that show the same ground: equal ones, near-duplicates, and chips that overlap.

Chips are cut from scenes with a step that is mostly the side or half of it, so two chips of one
scene share all, a half or a quarter of their pixels, whatever their names say. Every chip is
reduced to 32 x 32 cells; each of its nine quadrants (at 0, 1/4 and 1/2 of the side, both ways) is
compared with each quadrant of every other chip, by the correlation of the cells, which a stretch
of its own does not change. Real pairs of one ground reach 0.98 and others stay below 0.9. Shared
ground of less than a quarter, or displaced by other than quarters of a side, is not found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from sar2opt.training.pairs.cleaning import luminance
from sar2opt.training.pairs.pair import Pair

Floats = npt.NDArray[np.float32]

CELLS = 32  # a side
STEPS = (0, CELLS // 4, CELLS // 2)  # where quadrants begin
ALIKE = 0.95  # correlation
AT_ONCE = 1024  # images that are compared with all others; memory grows with it
TEXTURE = 0.02  # of the range: below this a quadrant shows nothing to compare


@dataclass(frozen=True)
class Overlap:
    """Two pairs share ground: what the second has at (y, x), the first has at (y + dy, x + dx)."""

    first: int
    second: int
    dy: int  # pixels
    dx: int

    @property
    def whole(self) -> bool:
        """Whether they are the same picture."""
        return self.dy == 0 and self.dx == 0


def equal_pairs(pairs: Sequence[Pair]) -> Iterator[tuple[int, int]]:
    """Yield which pairs have the very SAR or optical pixels of an earlier one: (earlier, later)."""
    seen: dict[bytes, int] = {}
    for number, pair in enumerate(pairs):
        keys = [
            hashlib.blake2b(repr(image.shape).encode() + image.tobytes(), digest_size=16).digest()
            for image in (pair.decibel, pair.optical)
        ]
        earlier = next((seen[key] for key in keys if key in seen), None)
        if earlier is not None:
            yield earlier, number
        for key in keys:
            seen.setdefault(key, number)


def find_overlaps(pairs: Sequence[Pair], *, across_splits: bool = False) -> list[Overlap]:
    """Return the pairs of pairs that share ground, or only those in different splits.

    Only pairs of one shape are compared: pixels of other sizes cannot be laid over each other.
    """
    found: list[Overlap] = []
    for shape in {pair.decibel.shape for pair in pairs}:
        numbers = [number for number, pair in enumerate(pairs) if pair.decibel.shape == shape]
        if len(numbers) > 1 and min(shape) >= 2 * CELLS:
            found += _overlaps_of(pairs, numbers, across_splits)
    return sorted(found, key=lambda overlap: (overlap.first, overlap.second))


def _overlaps_of(pairs: Sequence[Pair], numbers: list[int], across: bool) -> list[Overlap]:
    chosen = [pairs[number] for number in numbers]
    rows, cols = (size // CELLS for size in chosen[0].decibel.shape)
    looks = [
        _quadrants([_filled(luminance(p.optical), p) for p in chosen], 255.0),
        _quadrants([_filled(p.decibel, p) for p in chosen], 25.0),
    ]
    splits = [pair.split for pair in chosen]
    offsets = list(product(STEPS, STEPS))
    found = []
    for start in range(0, len(numbers), AT_ONCE):
        which = _best_match(looks, slice(start, start + AT_ONCE))
        for row, j in np.argwhere(which >= 0):
            i = start + row
            if i < j and not (across and splits[i] == splits[j]):
                match = divmod(int(which[row, j]), len(offsets))
                (y0, x0), (y1, x1) = (offsets[quadrant] for quadrant in match)
                displacement = ((y0 - y1) * rows, (x0 - x1) * cols)
                found.append(Overlap(numbers[i], numbers[j], *displacement))
    return found


def _best_match(looks: list[Floats], some: slice) -> npt.NDArray[np.int8]:
    """Return for some images against all which two quadrants are most alike, ``(some, all)``.

    9 times the quadrant of the first plus that of the second; -1 where none are ``ALIKE``.
    """
    shape = (len(looks[0][some]), len(looks[0]))
    best, which = np.full(shape, np.float32(ALIKE)), np.full(shape, -1, np.int8)
    count = looks[0].shape[1]
    for quadrants, u, v in product(looks, range(count), range(count)):
        alike = quadrants[some, u] @ quadrants[:, v].T
        better = alike > best
        best[better], which[better] = alike[better], u * count + v
    return which


def _quadrants(images: list[Any], span: float) -> Floats:
    """Return the nine quadrants ``(image, 9, cell)``, each of zero mean and unit length."""
    rows, cols = (size // CELLS for size in images[0].shape)
    small = np.stack([
        image[: rows * CELLS, : cols * CELLS].reshape(CELLS, rows, CELLS, cols).mean(axis=(1, 3))
        for image in images
    ])  # fmt: skip
    half = CELLS // 2
    parts = np.stack(
        [
            small[:, y : y + half, x : x + half].reshape(len(small), -1)
            for y, x in product(STEPS, STEPS)
        ],
        axis=1,
    )  # (image, 9, cell)
    parts -= parts.mean(axis=2, keepdims=True)
    flat = parts.std(axis=2, keepdims=True) < TEXTURE * span
    length = np.linalg.norm(parts, axis=2, keepdims=True)
    return np.where(flat, 0.0, parts / np.maximum(length, 1e-6)).astype(np.float32)


def _filled(image: npt.NDArray[np.floating[Any]], pair: Pair) -> Floats:
    """Return ``image`` with no data at its mean, where it looks like nothing."""
    valid = np.isfinite(pair.decibel)
    values = image.astype(np.float32)
    return np.where(valid, values, values[valid].mean() if valid.any() else 0.0).astype(np.float32)
