"""Change between dates of radar power: a test fitted to the dates, so its false alarms are known.

1. Speckle is averaged over small windows, ``local_mean``. A mean of L looks is gamma distributed,
   so the ratio of two dates of unchanged ground follows an F distribution, and for many dates the
   likelihood ratio of "all the same" follows a chi-squared one.
2. L is not the looks of the product times the pixels of the window: neighbouring pixels share
   speckle, and ground that stayed as it was still varies, with wind, dew and growth. So it is taken
   from the series itself, ``fit_change_test``: the number of looks at which the median of the
   p-values of all ground is one half, as it is where nothing changed. For many dates it is taken
   from the upper quartile, too, how much more ground varies in one place than in another. That is
   the empirical null of B. Efron, Large-scale simultaneous hypothesis testing: the choice of a null
   hypothesis, JASA 99(465), 2004. What changed by little makes it more cautious; what changed by
   more than nature does is left out.
3. Products differ in calibration, and whole scenes in weather: the median ratio to the newest date
   is taken off each date. Subtracted noise is added back, for without it weak ground has no F
   distribution.
4. Many pixels are tested at once: ``false_discovery_rates`` turns a histogram of p-values into the
   share of false ones among the flagged, so memory does not grow with the scene.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, inf, log
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import gammaln

from sar2opt.errors import ConfigError, SceneError
from sar2opt.sar.change_statistics import (
    Floats,
    Integers,
    change_p,
    gamma_tail,
    latest_change,
    textured_p,
    two_date_p,
    unevenness,
)
from sar2opt.sar.clutter_laws import Law
from sar2opt.sar.speckle.windows import MOST_SIDE, box_sum

Power = npt.NDArray[np.float32]

FEWEST, _MOST = 500, 200_000  # pixels from which looks and levels are taken
_STRIP = 128  # rows that are tested at a time
_DARKEST, _BELOW = 0.01, 0.1  # quantile, and times it: far weaker is no backscatter
_FEWEST_EMPTY = 30  # windows
_FITS, _NATURAL_DB = 4, 6.0  # rounds; see _most_db
_UPPER, _TEXTURES = 0.75, (0.3, 200.0)  # quantile, and between which textures are sought
_LOOKS = 0.05, 1e5  # between which they are sought


class Change(NamedTuple):
    """What became of each pixel, arrays ``(y, x)``; NaN and 0 where it could not be tested."""

    p: Floats  # probability of so much difference between dates without a change
    since: Integers  # number of the first date, from 0, that shows the latest state
    before: Floats  # mean power of the dates before that, linear
    after: Floats  # mean power of the dates from then on, linear


@dataclass(frozen=True)
class ChangeTest:
    """A test of a series of dates, fitted to it; the newest date comes last."""

    looks: float  # of the means of windows, in effect
    texture: float  # order of how variation differs from place to place; infinite: not at all
    gains: tuple[float, ...]  # by which the power of each date is multiplied
    floor: float  # power that weaker ground is raised to, in the unit of the newest date
    noise: float  # power that was subtracted as noise, and is added back; the same unit
    window: int  # side, pixels
    level_db: float = 0.0  # median of the newest date

    @property
    def margin(self) -> int:
        """How many pixels around it a pixel looks at."""
        return self.window // 2

    def __call__(self, series: Power) -> Change:
        """Test linear power ``(date, y, x)``, NaN where there is no data.

        A pixel is tested where the newest date and another have valid windows. The result is the
        same bits however the scene is cut, ``margin`` pixels off the cut.
        """
        rows = range(0, max(series.shape[1], 1), _STRIP)
        return Change(
            *map(np.concatenate, zip(*(self._strip(series, y) for y in rows), strict=True))
        )

    def _strip(self, series: Power, top: int) -> Change:
        """Test some rows from ``top`` on: so memory does not grow with dates times pixels."""
        first = max(top - self.margin, 0)
        means = self.means(series[:, first : top + _STRIP + self.margin])
        means = means[:, top - first : top - first + _STRIP]
        p = change_p(unevenness(means), np.isfinite(means).sum(axis=0), self.looks, self.texture)
        since, before, after = latest_change(means)
        p[~np.isfinite(means[-1])] = np.nan
        before, after = (np.maximum(power - self.noise, self.floor) for power in (before, after))
        return Change(p, np.where(np.isfinite(p), since, 0), before, after)

    def means(self, series: Power) -> Floats:
        """Return what is tested: means of windows ``(date, y, x)``, brought to one level."""
        return self.levelled(local_mean(series, self.window))

    def levelled(self, means: Floats) -> Floats:
        """Bring means ``(date, y, x)`` to the level of the newest date, noise added back."""
        gains = np.asarray(self.gains)[:, None, None]
        levelled: Floats = np.maximum(means * gains + self.noise, self.floor)  # NaN stays
        return levelled


def fit_change_test(sample: Power, window: int = 3, speckle: float = 4.4) -> ChangeTest:
    """Fit the test to a sample ``(date, y, x)`` of linear power; see the head of the module.

    It is fitted to ground whose dates differ by no more than nature and speckle make them, once
    levelled: so a flood over a third of the scene does not pass for its usual variation.
    ``speckle`` is the number of looks of a pixel, from which follows, too, how much noise was
    subtracted where it left zeros. Raises ``SceneError`` where fewer than 500 pixels are valid at
    all dates, ``ConfigError`` for a window that is not odd and 1 to 15.
    """
    thin = int(np.ceil(np.sqrt(sample[0].size / _MOST)))
    means = np.stack([local_mean(date, window)[::thin, ::thin] for date in sample])
    common = np.isfinite(means).all(axis=0) & (means > 0).any(axis=0)
    zeros = np.stack([local_mean(date <= 0, window)[::thin, ::thin] for date in sample])
    empty = zeros[:, common] >= 0.5
    means = means[:, common]
    if means.shape[1] < FEWEST:
        raise SceneError(
            f"only {means.shape[1]} pixels are valid at all dates, and {FEWEST} are needed to tell "
            "how much unchanged ground varies: give scenes that overlap more"
        )
    same, most_db = np.ones(means.shape[1], bool), _most_db(speckle * window**2)
    for _ in range(_FITS):
        gains = tuple(_ratio(means[-1, same], date[same]) for date in means)
        level = means * np.asarray(gains)[:, None]
        noise = _noise(level, empty, speckle)
        test = ChangeTest(1.0, inf, gains, _floor(level), noise, window)
        levelled = test.levelled(means[:, None, :])[:, 0]
        _, before, after = latest_change(levelled)
        same = np.abs(10 * np.log10(after / before)) <= most_db
        if same.sum() < FEWEST:
            same = np.ones_like(same)
    clear = same & (level.mean(axis=0) > noise)  # at the noise, being cut at zero, it varies less
    usual = means[:, clear if clear.sum() >= FEWEST else same]
    uneven = unevenness(test.levelled(usual[:, None, :]))[0]
    looks, texture = _empirical_null(uneven, len(sample))
    return replace(
        test, looks=looks, texture=texture, level_db=float(10 * np.log10(np.median(levelled[-1])))
    )


def _most_db(looks: float) -> float:
    """Return by how much dates of unchanged ground may differ, for windows of so many looks.

    Wind, dew and growth seldom come to more than 6 dB, and speckle, if neighbours share half of
    it, to more than four standard deviations of a log-ratio.
    """
    return max(_NATURAL_DB, 40 / float(np.log(10)) * float(np.sqrt(2 / (looks / 2))))


def _ratio(newest: Floats, date: Floats) -> float:
    """Return the median ratio of two dates; 1 where there is none above zero."""
    positive = (date > 0) & (newest > 0)
    return float(np.median(newest[positive] / date[positive])) if positive.any() else 1.0


def _floor(means: Floats) -> float:
    """Return a power well below the darkest percent of ``(date, n)``; raises ``SceneError``."""
    dark = [np.quantile(date[date > 0], _DARKEST) for date in means if (date > 0).any()]
    if not dark:
        raise SceneError("there is no backscatter above zero to compare")
    return _BELOW * float(min(dark))


def _noise(means: Floats, empty: npt.NDArray[np.bool_], speckle: float) -> float:
    """Return the noise power that was subtracted from means ``(date, n)``, 0 if it does not show.

    Calm water that lies at the noise comes out as zero in half of its pixels, ``empty``
    ``(date, n)``. What is left in the others is, in the mean, half the mean deviation of speckle of
    the noise's own power, which for a gamma variate of L looks is ``L^L exp(-L) / gamma(L + 1)``.
    """
    left = np.exp(speckle * np.log(speckle) - speckle - gammaln(speckle + 1))
    seen = [
        float(np.median(date[zero])) / left
        for date, zero in zip(means, empty, strict=True)
        if zero.sum() >= _FEWEST_EMPTY
    ]
    return max(seen, default=0.0)


def local_mean(power: npt.NDArray[Any], window: int) -> Floats:
    """Return the mean over ``window`` x ``window`` pixels around each, of ``(..., y, x)``.

    NaN where a pixel of the window is no data or lies outside. Raises ``ConfigError``.
    """
    if not 1 <= window <= MOST_SIDE or window % 2 == 0:
        raise ConfigError(f"the window of changes is {window}: it must be odd, 1 to {MOST_SIDE}")
    out = np.full(power.shape, np.nan)
    rows, cols = (size - window + 1 for size in power.shape[-2:])
    if rows > 0 and cols > 0:
        edge = window // 2
        inner = out[..., edge : edge + rows, edge : edge + cols]
        inner[...] = box_sum(power.astype(np.float64), window) / window**2
    return out


def _empirical_null(uneven: Floats, dates: int) -> tuple[float, float]:
    """Return the looks, and the order of the texture, that most of the ground shows.

    The median of unevenness gives the looks. Of more than two dates its upper quartile says how
    long the tail is: the longer, the more ground varies in one place than in another.
    """
    median, upper = (float(value) for value in np.quantile(uneven, (0.5, _UPPER)))
    shape = (dates - 1) / 2
    if dates == 2 or median <= 0 or gamma_tail(shape) >= upper / median:
        return _null_looks(median, dates, inf), inf

    def excess(ln_texture: float) -> float:
        law = Law("k", 1.0, shape, exp(ln_texture))
        return law.factor(1 - _UPPER) / law.factor(0.5) - upper / median

    low, high = (log(end) for end in _TEXTURES)
    if excess(low) <= 0:
        texture = _TEXTURES[0]
    else:
        texture = _TEXTURES[1] if excess(high) >= 0 else exp(brentq(excess, low, high, xtol=1e-4))
    return _null_looks(median, dates, texture), texture


def _null_looks(median: float, dates: int, texture: float) -> float:
    """Return the looks at which an unevenness has a p-value of one half."""
    uneven = np.array([median])

    def excess(ln_looks: float) -> float:
        if dates == 2:
            return float(two_date_p(uneven, exp(ln_looks))[0]) - 0.5
        return float(textured_p(uneven, dates, exp(ln_looks), texture)[0]) - 0.5

    low, high = (log(end) for end in _LOOKS)
    if median <= 0 or excess(high) > 0:
        return _LOOKS[1]
    if excess(low) < 0:
        return _LOOKS[0]
    return exp(brentq(excess, low, high))
