"""Backscatter as bytes, fine enough for the mean over an object, and exact to sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_STEP_DB = 0.3  # speckle spreads over many steps, so that their rounding averages out
_LOWEST_DB = -48.0  # against the level: code 1
_UNIT = 1 << 16  # of sums: the power of the level

# integers, for the sum of floats depends on their order, and so on how a scene is cut
_POWER = np.rint(_UNIT * 10 ** ((_LOWEST_DB + _STEP_DB * (np.arange(256) - 1)) / 10))
_POWER[0] = 0
_SUMMED = _POWER.astype(np.int64)


def encode_power(power: npt.NDArray[np.floating[Any]], level_db: float) -> npt.NDArray[np.uint8]:
    """Pack linear power into bytes: decibels in steps of 0.3 around ``level_db``; NaN becomes 0.

    They reach from 48 dB below the level to 28.2 dB above it; what lies beyond goes to the end.
    """
    known = np.isfinite(power)
    with np.errstate(divide="ignore"):
        above = 10 * np.log10(np.where(known, np.maximum(power, 0), 1)) - level_db
    code = np.clip(1 + np.rint((above - _LOWEST_DB) / _STEP_DB), 1, 255)
    return np.where(known, code, 0).astype(np.uint8)


def summable(code: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return codes as linear power, in units that ``mean_db`` knows; 0 where there is none."""
    return _SUMMED[code]


def mean_db(
    total: npt.NDArray[np.int64], pixels: npt.NDArray[np.int64], level_db: float
) -> npt.NDArray[np.float64]:
    """Return the mean power of so many pixels in dB; NaN where the total is 0."""
    with np.errstate(divide="ignore"):
        db = level_db + 10 * np.log10(total / (_UNIT * pixels))
    return np.where(total > 0, db, np.nan)
