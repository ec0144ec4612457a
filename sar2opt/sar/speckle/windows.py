"""Sums over windows that are the same bits wherever the tile around them begins.

Strategy. Running sums are fast, but carry the rounding of all that lies before a pixel. Here a
sum over n neighbours is made of sums over 1, 2, 4 ... of them, each the sum of two of the ones
before: as few additions (3 for 5 neighbours, 4 for 9), and always in the same order for a pixel.
The scene is gone through in small tiles that fit in the cache of a core, so that the many passes
of NumPy cost arithmetic and no traffic to memory.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from sar2opt.errors import ConfigError

Power = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]
Valid = npt.NDArray[np.bool_]
Estimate = Callable[[Sums, Valid], Sums]

TILE = 64, 512  # pixels; four arrays of this size in float64 fill the cache of a core, 1 MB
MOST_SIDE = 15  # counts of the pixels of a window must fit in uint8


def by_tiles(estimate: Estimate, power: Power, margin: int) -> Power:
    """Return what ``estimate`` makes of ``power`` ``(..., y, x)``; no data stays NaN.

    ``estimate`` is called with values ``(y + 2 margin, x + 2 margin)`` float64, 0 where there is
    no data, and where they are valid; it returns ``(y, x)``. Beyond the edges is no data.
    """
    out = np.full(power.shape, np.nan, np.float32)
    rows, cols = power.shape[-2:]
    tops, lefts = range(0, rows, TILE[0]), range(0, cols, TILE[1])
    for plane, top, left in product(np.ndindex(power.shape[:-2]), tops, lefts):
        bottom, right = min(top + TILE[0], rows), min(left + TILE[1], cols)
        tile = _padded(power[plane], top - margin, bottom + margin, left - margin, right + margin)
        valid = np.isfinite(tile)
        inner = core(valid, margin)
        if inner.any():
            values = np.where(valid, tile, np.float32(0)).astype(np.float64)
            target = out[plane][top:bottom, left:right]
            np.copyto(target, estimate(values, valid), "same_kind", inner)
    return out


def core(array: npt.NDArray[Any], margin: int) -> npt.NDArray[Any]:
    """Return ``(y, x)`` without ``margin`` pixels on each side, as a view."""
    rows, cols = array.shape
    return array[margin : rows - margin, margin : cols - margin]


def box_sum(values: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """Return the sums of ``(y, x)`` over each ``side`` x ``side`` that lies inside it."""
    return run_sum(run_sum(values, side, -2), side, -1)


def run_sum(values: npt.NDArray[Any], length: int, axis: int) -> npt.NDArray[Any]:
    """Return the sums over ``length`` neighbours along ``axis``, which gets that much shorter."""
    size = values.shape[axis] - length + 1
    doubled, width, total, taken = values, 1, None, 0
    while True:
        if length & width:
            part = _span(doubled, taken, size, axis)
            total = part if total is None else total + part
            taken += width
        if 2 * width > length:
            assert total is not None
            return total
        short = doubled.shape[axis] - width
        doubled = _span(doubled, 0, short, axis) + _span(doubled, width, short, axis)
        width *= 2


def moments(values: Sums, valid: Valid, window: int) -> tuple[Sums, Sums]:
    """Return mean and variance of the valid pixels of each ``window`` x ``window``; 0 if none."""
    count = box_sum(valid.view(np.uint8), window)
    return mean_and_variance(count, box_sum(values, window), box_sum(values * values, window))


def mean_and_variance(
    count: npt.NDArray[np.uint8], total: Sums, squares: Sums
) -> tuple[Sums, Sums]:
    """Return mean and variance of ``count`` values from their sum and the sum of their squares."""
    share = 1.0 / np.maximum(count, 1)
    mean = total * share
    variance = squares * share
    variance -= mean * mean
    return mean, np.maximum(variance, 0, out=variance)


def check_window(window: int) -> int:
    """Return how far ``window`` reaches; raises ``ConfigError`` if it is not odd and 3 to 15."""
    if window < 3 or window % 2 == 0 or window > MOST_SIDE:
        raise ConfigError(
            f"the despeckling window is {window}: it must be odd, from 3 to {MOST_SIDE}"
        )
    return window // 2


def check_looks(looks: float) -> float:
    """Return ``looks`` unchanged; raises ``ConfigError`` if it is not positive and finite."""
    if not 0 < looks < np.inf:
        raise ConfigError(f"looks is {looks:g}: it must be positive (4.4 for Sentinel-1 IW GRD)")
    return looks


def _span(values: npt.NDArray[Any], start: int, size: int, axis: int) -> npt.NDArray[Any]:
    span = slice(start, start + size)
    return values[..., span] if axis == -1 else values[..., span, :]


def _padded(power: Power, top: int, bottom: int, left: int, right: int) -> Power:
    """Return a part of ``(y, x)``, with NaN for all that lies outside."""
    tile = np.full((bottom - top, right - left), np.nan, np.float32)
    inside = power[max(top, 0) : bottom, max(left, 0) : right]
    y, x = max(-top, 0), max(-left, 0)
    tile[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return tile
