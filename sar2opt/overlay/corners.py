"""Corners of outlines: what the four pixels around a vertex say, and a compact form to keep it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def corners(labels: Array) -> Array:
    """Return the corners of the outlines of labels ``(y, x)``, those on the array's rim left out.

    A label has a corner at a vertex for each of its pixels there whose neighbours in row and
    column are both of another label (convex), or both of its own while the pixel across is not
    (reflex). The result ``(4, m)`` holds label, y and x of the vertex, and the position of the
    pixel (0 upper left, 1 upper right, 2 lower left, 3 lower right).
    """
    row = labels[:, 1:] == labels[:, :-1]
    column = labels[1:] == labels[:-1]
    straight = (row[:-1] & row[1:]) | (column[:, :-1] & column[:, 1:])
    wide = labels.shape[1]
    spot = np.flatnonzero(~np.pad(straight, ((0, 0), (0, 1)), constant_values=True))
    around = [labels.ravel()[spot + step] for step in (0, 1, wide, wide + 1)]
    found = []
    for pixel, own in enumerate(around):
        beside, below = around[pixel ^ 1] == own, around[pixel ^ 2] == own
        turns = (beside == below) & (own >= 0) & ~(beside & (around[pixel ^ 3] == own))
        y, x = np.divmod(spot[turns].astype(np.int32), np.int32(wide))
        found.append(np.stack([own[turns], y + 1, x + 1, np.full_like(y, pixel)], dtype=np.int32))
    return np.concatenate(found, axis=1)


def pack(found: Array, shape: tuple[int, int]) -> Array:
    """Pack corners ``(4, m)`` of a raster into one integer each, which sorts like the columns."""
    label, y, x, pixel = found.astype(np.int64)
    high, wide = (side.bit_length() for side in shape)
    packed: Array = ((label << high | y) << wide | x) << 2 | pixel
    return packed


def unpack(packed: Array, shape: tuple[int, int]) -> tuple[Array, Array, Array, Array]:
    """Return component, y, x and pixel of packed corners."""
    high, wide = (side.bit_length() for side in shape)
    y, x = packed >> (wide + 2) & ((1 << high) - 1), packed >> 2 & ((1 << wide) - 1)
    return packed >> (high + wide + 2), y, x, packed & 3
