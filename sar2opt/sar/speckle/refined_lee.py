"""The refined Lee filter: local statistics on the side of an edge that a pixel lies on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sar2opt.sar.speckle.local_statistics import least_square_error
from sar2opt.sar.speckle.windows import (
    Power,
    Sums,
    Valid,
    box_sum,
    by_tiles,
    check_looks,
    core,
    mean_and_variance,
    run_sum,
)

WINDOW, MARGIN = 7, 3


def refined_lee(power: Power, looks: float) -> Power:
    """Return ``power`` ``(..., y, x)`` filtered by the refined filter of Lee (1981), 7 x 7.

    1. The means of 3 x 3 pixels, two pixels apart, make a 3 x 3 picture of the neighbourhood,
       whose steepest of four gradients says how an edge would run through it.
    2. Of the two halves of the window along that edge, 28 pixels each with the pixels on it, the
       one whose outer mean is nearer to that of the middle is the pixel's own.
    3. Lee's estimate (1980) is made with mean and variance of the valid pixels of that half.

    (J.-S. Lee, Refined filtering of image noise using local statistics, Computer Graphics and
    Image Processing 15(4), 1981). Raises ``ConfigError`` when ``looks`` is not positive.
    """
    noise = 1 / check_looks(looks)

    def estimate(values: Sums, valid: Valid) -> Sums:
        seen = valid.view(np.uint8)
        own = _own_half(_means_of_3x3(values, seen))
        parts = [_pick(own, array) for array in (seen, values, values * values)]
        return least_square_error(core(values, MARGIN), *mean_and_variance(*parts), noise)

    return by_tiles(estimate, power, MARGIN)


def _means_of_3x3(values: Sums, seen: npt.NDArray[np.uint8]) -> list[list[Sums]]:
    """Return the means of 3 x 3 around offsets of -2, 0 and 2; an empty one is as the middle."""
    count = box_sum(seen, 3)
    mean = box_sum(values, 3) / np.maximum(count, 1)  # (y + 4, x + 4)
    middle = core(mean, 2)
    rows, cols = middle.shape

    def at(top: int, left: int) -> Sums:
        place = slice(top, top + rows), slice(left, left + cols)
        return mean[place] if count[place].all() else np.where(count[place], mean[place], middle)

    return [[at(top, left) for left in (0, 2, 4)] for top in (0, 2, 4)]


def _own_half(means: list[list[Sums]]) -> npt.NDArray[np.uint8]:
    """Return which half of ``_halves`` is a pixel's own."""
    (nw, n, ne), (w, middle, e), (sw, s, se) = means
    edges = (
        (nw + w + sw, ne + e + se, w, e),
        (nw + n + ne, sw + s + se, n, s),
        (nw + n + w, se + s + e, nw, se),
        (ne + n + e, sw + s + w, ne, sw),
    )
    own = np.zeros(middle.shape, np.uint8)
    steepest = np.full(middle.shape, -1.0)
    for direction, (one_side, other_side, near, far) in enumerate(edges):
        gradient = np.abs(one_side - other_side)
        half = (np.abs(far - middle) < np.abs(near - middle)).view(np.uint8)
        own = np.where(gradient > steepest, half + np.uint8(2 * direction), own)
        np.maximum(steepest, gradient, out=steepest)
    return own


def _pick(own: npt.NDArray[np.uint8], values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the sums of ``values`` over each pixel's own half."""
    halves = np.stack(list(_halves(values)))  # (half, y, x)
    places = np.arange(own.size).reshape(own.shape)
    places += own.astype(np.intp) * own.size
    return halves.ravel().take(places)  # many times as fast as a mask for each half


def _halves(values: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Yield the sums over west, east, north, south, north-west, south-east, north-east, south-west.

    Straight halves are 7 x 4 pixels, slanted ones triangles: rows of 7, 6 ... 1 pixels.
    """
    rows, cols = (size - 2 * MARGIN for size in values.shape)
    upright = run_sum(run_sum(values, WINDOW, -2), 4, -1)
    yield from (upright[:, :cols], upright[:, MARGIN:])
    flat = run_sum(run_sum(values, WINDOW, -1), 4, -2)
    yield from (flat[:rows], flat[MARGIN:])
    runs = [values]  # of 1, 2 ... 7 pixels from a column on
    for length in range(1, WINDOW):
        runs.append(runs[-1][:, :-1] + values[:, length:])

    def triangle(lengths: range, starts: list[int]) -> npt.NDArray[Any]:
        total = np.zeros((rows, cols), values.dtype)
        for row, (length, start) in enumerate(zip(lengths, starts, strict=True)):
            total += runs[length - 1][row : row + rows, start : start + cols]
        return total

    shrinking, growing, left = range(7, 0, -1), range(1, 8), [0] * WINDOW
    yield triangle(shrinking, left)
    yield triangle(growing, list(range(6, -1, -1)))
    yield triangle(shrinking, list(range(7)))
    yield triangle(growing, left)
