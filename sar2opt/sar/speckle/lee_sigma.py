"""The improved sigma filter: the mean of those neighbours that speckle explains."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import gammainc, gammaincinv

from sar2opt.errors import ConfigError
from sar2opt.sar.speckle.local_statistics import least_square_error
from sar2opt.sar.speckle.windows import (
    Power,
    Sums,
    Valid,
    box_sum,
    by_tiles,
    check_looks,
    check_window,
    core,
    mean_and_variance,
    moments,
)

SHARE = 0.9  # of speckle within the range; as in most of the paper
TARGET_CONTRAST = 5.0  # over the mean of the window: what fills less than a fifth of it
TARGET_PIXELS = 5  # of 3 x 3


class SigmaRange(NamedTuple):
    """Bounds within which speckle of mean 1 lies with a given share, and its variance there."""

    low: float
    high: float
    variance: float


def lee_sigma(power: Power, window: int, looks: float, share: float = SHARE) -> Power:
    """Return ``power`` ``(..., y, x)`` filtered by the improved sigma filter of Lee et al. (2009).

    1. Lee's estimate (1980) in 3 x 3 is a first guess of the pixel.
    2. Lee's estimate is made again, of those valid pixels of the window that lie within the range
       around the guess that ``share`` of speckle does; the range is such that their mean is not
       biased, and the variance of speckle is that of speckle within it.
    3. Bright clusters are targets and stay: of 3 x 3 pixels, five or more exceed the mean of the
       window five times. The paper asks for five above the 98 % quantile of the scene, but what
       depends on the scene as a whole cannot be the same on a tile.

    (J.-S. Lee, J.-H. Wen, T. Ainsworth, K.-S. Chen and A. Chen, Improved sigma filter for speckle
    filtering of SAR imagery, IEEE TGRS 47(1), 2009.) Raises ``ConfigError``.
    """
    reach, within = check_window(window), sigma_range(check_looks(looks), share)
    margin = reach + 2

    def estimate(values: Sums, valid: Valid) -> Sums:
        pixel = core(values, margin)
        near = core(values, margin - 1), core(valid, margin - 1)
        first = least_square_error(pixel, *_moments_of_3x3(*near), 1 / looks)
        count, mean, variance = _selected(core(values, 2), core(valid, 2), first, within, reach)
        smooth = least_square_error(pixel, mean, variance, within.variance)
        smooth = np.where(count, smooth, first)
        return np.where(_targets(values, valid, window), pixel, smooth)

    return by_tiles(estimate, power, margin)


@cache
def sigma_range(looks: float, share: float) -> SigmaRange:
    """Return the range that holds ``share`` of gamma speckle of ``looks`` looks, and its mean 1.

    What the paper tabulates for 1 to 4 looks (its equations 11 to 13), for any number of them.
    """
    if not 0 < share < 1:
        raise ConfigError(f"the share of the sigma range is {share:g}: it must lie between 0 and 1")

    def bounds(below: float) -> tuple[float, float]:
        return float(gammaincinv(looks, below)), float(gammaincinv(looks, below + share))

    def moment(below: float, order: int) -> float:
        low, high = bounds(below)
        part = gammainc(looks + order, high) - gammainc(looks + order, low)
        return float(part / share)

    below = float(brentq(lambda below: moment(below, 1) - 1, 0.0, 1 - share - 1e-12))
    low, high = bounds(below)
    return SigmaRange(low / looks, high / looks, moment(below, 2) * (1 + 1 / looks) - 1)


def _moments_of_3x3(values: Sums, valid: Valid) -> tuple[Sums, Sums]:
    return moments(values, np.ascontiguousarray(valid), 3)


def _selected(
    values: Sums, valid: Valid, first: Sums, within: SigmaRange, reach: int
) -> tuple[npt.NDArray[np.uint8], Sums, Sums]:
    """Return count, mean and variance of the valid pixels of the window within the range."""
    low, high = first * within.low, first * within.high
    count = np.zeros(first.shape, np.uint8)
    total, squares = np.zeros_like(first), np.zeros_like(first)
    rows, cols = first.shape
    for top, left in product(range(2 * reach + 1), repeat=2):
        place = slice(top, top + rows), slice(left, left + cols)
        chosen = (values[place] >= low) & (values[place] <= high) & valid[place]
        part = values[place] * chosen
        count += chosen
        total += part
        part *= part
        squares += part
    return count, *mean_and_variance(count, total, squares)


def _targets(values: Sums, valid: Valid, window: int) -> Valid:
    """Return which pixels belong to a bright cluster."""
    count = np.maximum(box_sum(valid.view(np.uint8), window), 1)
    mean = box_sum(values, window) / count  # (y + 4, x + 4)
    bright = core(values, window // 2) > TARGET_CONTRAST * mean
    clusters = box_sum(bright.view(np.uint8), 3) >= TARGET_PIXELS  # (y + 2, x + 2)
    return np.asarray(core(bright, 2) & (box_sum(clusters.view(np.uint8), 3) > 0))
