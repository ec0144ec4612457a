"""Ground that turned to water: told by backscatter, between dates whose radiometry is known.

A change test says where backscatter fell, not why. Still water is a mirror, and what a field
loses by harvest or rain leaves it brighter than that. So the level that ground has after the fall
is held against those of all tags in the same scene: it has turned to water where the law of water
makes that level likelier than the law of any land does, and its level before less likely. Levels of
a tag are taken for lognormal, by median and half the distance of the 16 and 84 % quantiles. What is
darker than half of the water is as likely water as the darker half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from sar2opt.overlay.corners import Array
from sar2opt.overlay.surroundings import FEWEST, count_codes
from sar2opt.raster import OBJECTS

WATER = "water"  # the tag
_LEAST_SPREAD = 1.0  # code; what rounding makes

Levels = npt.NDArray[np.float64]  # (tag, 2): median and spread of codes; NaN where unknown


def levels_of_tags(power: Any, tags: Any, number: int, block: int = 1024) -> Levels:
    """Return how bright the ground of each of ``number`` tags is: median and spread of its codes.

    ``power`` is uint8 ``(y, x)``, codes that are even in decibels, 0 is no data; ``tags`` uint8
    ``(y, x)``, 255 is no data. NaN where a tag covers less than 500 pixels.
    """
    counts = count_codes(tags, power, block)
    levels = np.full((number, 2), np.nan)
    for own in np.flatnonzero(counts[:number].sum(axis=1) >= FEWEST):
        below = np.cumsum(counts[own]) / counts[own].sum()
        low, middle, high = (np.searchsorted(below, share) for share in ndtr((-1.0, 0.0, 1.0)))
        levels[own] = middle, max((high - low) / 2, _LEAST_SPREAD)
    return levels


def likelier_water(code: Array, levels: Levels, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return where a code ``(n,)`` is likelier that of water than of any land.

    ``levels`` are those of the tags ``names``. False where there is no water in the scene to
    compare with, or no land, or where it is not darker than all land by their common spread, as
    where wind stirs it.
    """
    known = np.isfinite(levels[:, 0])
    water = known & np.array([name == WATER for name in names], bool)  # one, if it is there
    land = known & np.array([WATER not in (name, OBJECTS.get(name)) for name in names], bool)
    if not (water.any() and land.any()):
        return np.zeros(len(code), bool)
    apart = levels[land, 0] - levels[water, 0]
    if (apart < np.hypot(levels[land, 1], levels[water, 1])).any():
        return np.zeros(len(code), bool)
    wet = _likely(np.maximum(code, levels[water, 0]), levels[water]).max(axis=0)
    return np.asarray(wet > _likely(code, levels[land]).max(axis=0))


def _likely(code: Array, levels: Levels) -> npt.NDArray[np.float64]:
    """Return the log-likelihood ``(tag, n)`` of codes under the laws of tags, but a constant."""
    middle, spread = levels.T[..., None]
    return np.asarray(-0.5 * ((code - middle) / spread) ** 2 - np.log(spread))
