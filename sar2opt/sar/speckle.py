"""Speckle filters that give the same bits on a tile as on the whole scene."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d, uniform_filter

from sar2opt.errors import ConfigError

Power = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]


def lee(power: Power, window: int, looks: float) -> Power:
    """Return ``power`` ``(..., y, x)`` filtered by the local-statistics filter of Lee (1980).

    With speckle of mean 1 and variance ``1 / looks``, the estimate of least mean square error is
    ``m + k (power - m)``, where ``m`` and ``v`` are mean and variance of the valid pixels in the
    ``window`` x ``window`` neighbourhood, ``k = s / v``, and
    ``s = (v - m^2 / looks) / (1 + 1 / looks)``, cut at 0, is the variance of the scene itself
    (J.-S. Lee, IEEE TPAMI 2(2), 1980). NaN stays NaN and adds nothing to its neighbours; beyond
    the edges there is no data either. A tile with ``lee_margin(window)`` pixels around it gives
    bit for bit what the whole gives.

    Raises ``ConfigError`` when ``window`` is not odd and at least 3 or ``looks`` not positive.
    """
    margin = lee_margin(window)
    if not looks > 0:
        raise ConfigError(f"looks is {looks:g}: it must be positive (4.4 for Sentinel-1 IW GRD)")
    if power.size == 0:
        return power.copy()
    valid = np.isfinite(power)
    values = np.where(valid, power, 0).astype(np.float64)
    count = np.maximum(_sum_around(valid.astype(np.float64), margin), 1)
    mean = _sum_around(values, margin) / count
    variance = np.maximum(_sum_around(values * values, margin) / count - mean * mean, 0)
    scene = np.maximum(variance - mean * mean / looks, 0) / (1 + 1 / looks)
    gain = np.divide(scene, variance, out=np.zeros_like(scene), where=variance > 0)
    return np.where(valid, mean + gain * (values - mean), np.nan).astype(np.float32)


def boxcar(values: Power, side: int) -> Power:
    """Return the mean of the valid pixels of ``(y, x)`` around each, over ``side`` x ``side``.

    NaN adds nothing to its neighbours; where there is nothing else the mean is 0. Edges are
    mirrored, so a tile does not give what the whole gives: this is for training and judging.
    """
    valid = np.isfinite(values)
    share = uniform_filter(valid.astype(np.float32), side)
    total = uniform_filter(np.where(valid, values, np.float32(0.0)), side)
    mean: Power = total / np.maximum(share, 1e-3)
    return mean


def lee_margin(window: int) -> int:
    """Return how far, in pixels, a filtered pixel looks; raises ``ConfigError`` if not odd."""
    if window < 3 or window % 2 == 0:
        raise ConfigError(f"the despeckling window is {window}: it must be odd and at least 3")
    return window // 2


def _sum_around(values: Sums, margin: int) -> Sums:
    """Sum over a square by rows, then columns; running sums would depend on the tile's origin."""
    ones = np.ones(2 * margin + 1)
    rows = correlate1d(values, ones, axis=-1, mode="constant")
    return np.asarray(correlate1d(rows, ones, axis=-2, mode="constant"), dtype=np.float64)
