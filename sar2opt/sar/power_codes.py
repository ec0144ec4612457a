"""Backscatter as bytes: fine enough to show, and for the mean over an object; exact to sum.

One step for all would be 0.3 dB. So steps are fine where display shows differences, and coarse
where it shows black or white: speckle spreads over several, so that their rounding averages out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# decibels against the level, and the codes there: steps of 0.5, 0.15 and 0.75 dB in between
_DB = (-40.0, -18.0, 10.0, 28.0)
_CODE = (1, 45, 231, 255)
_UNIT = 1 << 20  # of sums: the power of the level

# integers, for the sum of floats depends on their order, and so on how a scene is cut
_POWER = 10 ** (np.interp(np.arange(256), _CODE, _DB) / 10)  # of each code; that of 0 is not used
_SUMMED = np.rint(_UNIT * _POWER).astype(np.int64)
_SUMMED[0] = 0


def encode_power(power: npt.NDArray[np.floating[Any]], level_db: float) -> npt.NDArray[np.uint8]:
    """Pack linear power of any shape into bytes, in decibels around ``level_db``; NaN becomes 0.

    Steps are 0.15 dB from 18 dB below the level to 10 dB above it, 0.5 dB down to 40 dB below, and
    0.75 dB up to 28 dB above; what lies beyond goes to the end.
    """
    known = np.isfinite(power)
    with np.errstate(divide="ignore"):
        above = 10 * np.log10(np.where(known, np.maximum(power, 0), 1)) - level_db
    code = np.rint(np.interp(above, _DB, _CODE))
    return np.where(known, code, 0).astype(np.uint8)


def power_of_codes(level_db: float) -> npt.NDArray[np.float32]:
    """Return the linear power of each of the 256 codes; NaN of 0."""
    power = (_POWER * 10 ** (level_db / 10)).astype(np.float32)
    power[0] = np.nan
    return power


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
