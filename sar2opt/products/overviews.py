"""Halving of uint8 images for overviews: the average of imagery, the commonest class of tags.

Pure array functions. Only valid pixels count, and a pixel of an overview is valid where any of
its four pixels is, so that nodata neither bleeds in nor eats away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Valid = npt.NDArray[np.bool_]
Halve = Callable[[Pixels, Valid], tuple[Pixels, Valid]]


def average(pixels: Pixels, valid: Valid) -> tuple[Pixels, Valid]:
    """Halve ``(band, y, x)`` by the rounded mean of the valid pixels of each 2 x 2.

    Returns pixels ``(band, ceil(y / 2), ceil(x / 2))``, 0 where nothing is valid, and their
    validity.
    """
    pixels, valid = _even(pixels, valid)
    if valid.all():
        return ((_sum(pixels) + 2) >> 2).astype(np.uint8), valid[::2, ::2]
    count = _sum(valid)
    mean = (_sum(pixels * valid) + count // 2) // np.maximum(count, 1)
    return mean.astype(np.uint8), np.asarray(count > 0)


def mode(pixels: Pixels, valid: Valid) -> tuple[Pixels, Valid]:
    """Halve classes ``(band, y, x)`` by the commonest valid class of each 2 x 2.

    A tie goes to the first in reading order. Classes must be below 252. Returns classes
    ``(band, ceil(y / 2), ceil(x / 2))``, 255 where nothing is valid, and their validity.
    """
    pixels, valid = _even(pixels, valid)
    # No data gets four values that differ from one another, so it never makes a pair.
    a, b, c, d = (
        np.where(seen, part, np.uint8(252 + index))
        for index, (part, seen) in enumerate(zip(_quarters(pixels), _quarters(valid), strict=True))
    )
    first = np.where(a < 252, a, np.where(b < 252, b, np.where(c < 252, c, d)))
    paired = np.where((b == c) | (b == d), b, np.where(c == d, c, first))
    commonest = np.where((a == b) | (a == c) | (a == d), a, paired)
    seen = commonest < 252
    return np.where(seen, commonest, np.uint8(255)), seen[0]


HALVE: Mapping[str, Halve] = {"average": average, "mode": mode}


def _quarters(array: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Return the four pixels of each 2 x 2 as four arrays, in reading order."""
    return [array[..., row::2, col::2] for row in (0, 1) for col in (0, 1)]


def _sum(array: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Return the sum of the four pixels of each 2 x 2."""
    a, b, c, d = _quarters(array)
    total = a.astype(np.uint16)
    for part in (b, c, d):
        total += part
    return total


def _even(pixels: Pixels, valid: Valid) -> tuple[Pixels, Valid]:
    """Pad with no data to even sides."""
    pad = [(0, side % 2) for side in valid.shape]
    if pad == [(0, 0), (0, 0)]:
        return pixels, valid
    return np.pad(pixels, [(0, 0), *pad]), np.pad(valid, pad)
