"""Input normalisation: one level for the whole scene, from its own backscatter.

Strategy. Products differ by an unknown gain (calibration constants, display stretches), which in
decibels is an offset. A robust quantile of the scene's log-backscatter takes that offset away; the
span stays a fixed number of decibels, because a decibel means the same in every product. The level
is computed once, from a fixed subsample, so that every tile of a scene is treated alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sar2opt.errors import SceneError

DARK_QUANTILE = 0.1
SPREAD = (0.16, 0.5, 0.84)  # quantiles: half of the outer two's distance is one spread
LEAST_SPREAD_DB, MOST_SPREAD_DB = 0.5, 5.0  # an empty scene, and one that is half sea
FAR = 5.0  # spreads
DARKEST = -1.8  # normalised backscatter that is shown as black, as dark sea is
FLOOR = np.float32(1e-12)  # power below which a logarithm would say nothing


@dataclass(frozen=True)
class NormalisationSettings:
    """How a model wants its input; travels with the weights."""

    quantile: float = 0.75  # upper, so that the share of dark sea in a scene matters little
    span_db: float = 10.0
    low: float = -3.0
    high: float = 1.0  # ten decibels above the level: beyond it display products are clipped


@dataclass(frozen=True)
class Normalisation:
    """A scene's own normalisation: ``(dB - level_db) / span_db``, clipped to ``[low, high]``."""

    level_db: float
    span_db: float
    low: float
    high: float
    tenth_db: float  # the lowest tenth: up to the level, how much the scene holds but speckle

    def __call__(self, power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Normalise linear power of any shape; NaN stays NaN."""
        decibel = np.float32(10.0) * np.log10(np.maximum(power, FLOOR))
        scaled = (decibel - np.float32(self.level_db)) / np.float32(self.span_db)
        return np.clip(scaled, np.float32(self.low), np.float32(self.high), out=scaled)


def fit_normalisation(
    power: npt.NDArray[np.float32], settings: NormalisationSettings
) -> Normalisation:
    """Fit the level on a subsample of the scene's linear power, of any shape, NaN is no data.

    Raises ``SceneError`` when the subsample holds no valid pixel.
    """
    valid = power[np.isfinite(power) & (power > 0)]
    if valid.size == 0:
        raise SceneError("the scene holds no valid backscatter: every pixel looked at is no data")
    quantiles = np.quantile(valid.astype(np.float64), (settings.quantile, DARK_QUANTILE))
    level, dark = (round(float(db), 3) for db in 10.0 * np.log10(quantiles))
    return Normalisation(level, settings.span_db, settings.low, settings.high, dark)


def fit_spread(power: npt.NDArray[np.float32]) -> Normalisation:
    """Fit median and spread on linear power of any shape: what makes two stretches comparable.

    Normalised values are spreads from the median, clipped to five. Raises ``SceneError`` when no
    pixel is valid.
    """
    valid = power[np.isfinite(power) & (power > 0)]
    if valid.size == 0:
        raise SceneError("the scene holds no valid backscatter: every pixel looked at is no data")
    low, middle, high = 10.0 * np.log10(np.quantile(valid.astype(np.float64), SPREAD))
    spread = float(np.clip((high - low) / 2, LEAST_SPREAD_DB, MOST_SPREAD_DB))
    return Normalisation(round(float(middle), 3), round(spread, 3), -FAR, FAR, round(low, 3))


def to_grey(power: npt.NDArray[np.float32], norm: Normalisation) -> npt.NDArray[np.uint8]:
    """Return linear power as grey levels for display: 1 to 255, and 0 where there is no data."""
    low = np.float32(DARKEST)  # the brightest targets are white
    grey = np.clip(255.0 * (norm(power) - low) / (np.float32(norm.high) - low), 1, 255)
    levels: npt.NDArray[np.uint8] = np.nan_to_num(grey, nan=0.0).astype(np.uint8)
    return levels
