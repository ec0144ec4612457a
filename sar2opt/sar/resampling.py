"""Values between pixels, on linear power, where some pixels hold no data (pure)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from sar2opt.sar.geolocation import Floats
from sar2opt.sar.radiometry import Power


def bilinear(values: Power, at: Floats) -> Power:
    """Return ``values`` ``(line, pixel)`` at fractional ``at`` ``(2, y, x)``; NaN outside.

    Pixels without data have no share; where theirs would be more than half, there is no data.
    """
    valid = np.isfinite(values)
    how = {"order": 1, "mode": "grid-constant", "output": np.float32}
    total = map_coordinates(np.where(valid, values, np.float32(0)), at, **how)
    share = map_coordinates(valid.astype(np.float32), at, **how)
    power: Power = np.full_like(total, np.nan)
    np.divide(total, share, out=power, where=share >= 0.5)
    return power


def block_mean(power: Power, down: int, across: int) -> Power:
    """Return the mean of blocks of ``down`` x ``across``, of which at least half must be data."""
    if down == across == 1:
        return power
    rows, cols = power.shape[0] // down, power.shape[1] // across
    blocks = power.reshape(rows, down, cols, across).swapaxes(1, 2).reshape(rows, cols, -1)
    valid = np.isfinite(blocks)
    count = valid.sum(axis=-1)
    total = np.where(valid, blocks, np.float32(0)).sum(axis=-1)
    mean: Power = np.full((rows, cols), np.nan, np.float32)
    np.divide(total, count, out=mean, where=2 * count >= down * across)
    return mean


def between(known: Floats, at: Floats) -> Floats:
    """Interpolate linearly along the first axis, at fractional indices ``at``."""
    low = np.floor(at).astype(int)
    share = (at - low)[:, None]
    values: Floats = known[low] * (1 - share) + known[low + 1] * share
    return values
