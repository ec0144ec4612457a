"""Which law the clutter follows, told from the scene: gamma, K, lognormal or Weibull.

What is fitted is what CFAR tests: each background pixel over the mean of its ring. The threshold
for a false-alarm probability is then a quantile of the fitted law, and holds whatever the number
of looks, the texture of the ground and the correlation of neighbours do to that ratio.

1. ``clutter_ratios`` and ``without_targets``: ratios on dark ground, less targets and what lies so
   near that they are in its ring.
2. ``choose_law``: each law is fitted by log-cumulants, as in Tison et al., IEEE TGRS 42(10), 2004:
   logarithms tame the tail, so that a few bright pixels hardly move them. From there the
   likelihood of the upper half of the ratios, where thresholds lie, is climbed: no law is exact,
   and what the dark half is like does not matter.
3. The law with the largest likelihood is taken, less the usual price of a parameter (BIC, Schwarz,
   Annals of Statistics 6(2), 1978). Neighbours repeat one another; pixels are counted as the
   independent ones that they amount to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp, inf, isfinite, log
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.optimize import minimize
from scipy.special import gammainccinv, gammaincinv

from sar2opt.sar.clutter import ca_cfar
from sar2opt.sar.clutter_laws import LAWS, Floats, Law, fit_law, log_cumulants

FEWEST = 5000  # independent ratios; of fewer, no law can be told from another far up the tail

_REACH = 3  # pixels over which speckle may be correlated
_RARE = 1e-7  # what a law explains less often than this is a target
_TARGET = 5.2  # standard deviations of ln ratio: the same of a lognormal
_FLATTEST = 1e-3  # variance of ln ratio; that of 1,000 looks
_ROUNDS = 4
_BINS = 80


@dataclass(frozen=True)
class ClutterFit:
    """The law that was taken, and how well it fits."""

    law: Law
    independent: int  # ratios, counted without what neighbours repeat
    distance: float  # Kolmogorov-Smirnov: the largest difference of shares, over all ratios
    others: tuple[tuple[str, float], ...]  # of the laws that were not taken


@dataclass(frozen=True)
class Ratios:
    """Ratios of background pixels to their ring means, and how many are independent."""

    values: Floats  # (n,), sorted
    independent: int
    cut: float  # targets begin here: none of the values is larger


def clutter_ratios(
    windows: npt.NDArray[np.floating[Any]],
    *,
    guard: int,
    background: int,
    factor: float,
    background_max: float,
    detect: Callable[..., npt.NDArray[np.float32]] = ca_cfar,
) -> Floats:
    """Return pixel over ring mean where ``windows`` ``(window, y, x)`` show dark ground.

    Or pixel over what else ``detect`` holds it against. ``windows`` is linear power, NaN where no
    data; a ring never reaches into the next one. Dark ground is what the detector, with the same
    settings, tests, and all of whose ring it tests: no shores. Elsewhere the result, of the same
    shape, is NaN.
    """
    found = np.full(windows.shape, np.nan)
    for power, ratio in zip(windows, found, strict=True):
        ratio[...] = factor * detect(
            power, guard=guard, background=background, factor=factor, background_max=background_max
        )
        inner = minimum_filter(np.isfinite(ratio), size=2 * background + 1)
        ratio[~inner | ~(ratio > 0)] = np.nan
    return found


def without_targets(windows: Floats, cut: float, reach: int) -> Ratios:
    """Return the ratios of ``(window, y, x)`` up to ``cut``, without what lies near larger ones.

    Left out are all pixels within ``reach``, in whose rings the target may lie.
    """
    bright = np.nan_to_num(windows) > cut
    kept = windows.copy()
    kept[maximum_filter(bright, size=(1, 2 * reach + 1, 2 * reach + 1))] = np.nan
    valid = np.sort(kept[np.isfinite(kept)])
    independent = 0  # a filled area has no speckle
    if valid.size and np.log(valid).var() > _FLATTEST:
        independent = round(valid.size / correlated_pixels(kept))
    return Ratios(valid, independent, cut)


def fit_clutter(
    windows: Floats, reach: int, names: tuple[str, ...] = LAWS
) -> tuple[ClutterFit | None, int]:
    """Fit the best of the laws ``names`` to ratios ``(window, y, x)``; None where too few.

    Targets are what the law explains less than once in ten million pixels. Since the law is not
    known before, it begins with a light tail, the gamma law of the median and the 95 % quantile,
    and goes on with the law that was fitted to what was left: a heavier one lets in what the first
    took for targets. Where next to nothing is left, it begins with a heavy tail, a lognormal.
    The second value is the number of independent ratios there were.
    """
    if not np.isfinite(windows).any():
        return None, 0
    independent = 0
    for cut in _first_cuts(windows):
        for _ in range(_ROUNDS):
            ratios = without_targets(windows, cut, reach)
            independent = ratios.independent
            if independent < FEWEST:
                break
            fit = choose_law(ratios, names)
            cut = fit.law.factor(_RARE)
        else:
            return fit, independent
    return None, independent


def _first_cuts(windows: Floats) -> tuple[float, float]:
    """Return where targets begin, for gamma and lognormal through two quantiles of the ratios."""
    middle, high = np.nanquantile(windows, (0.5, 0.95))
    spread = max(log(high / middle), 1e-3)
    shapes = np.geomspace(0.1, 1e4, 200)
    spreads = np.log(gammaincinv(shapes, 0.95) / gammaincinv(shapes, 0.5))
    shape = float(shapes[np.argmin(np.abs(spreads - spread))])
    light = middle * gammainccinv(shape, _RARE) / gammaincinv(shape, 0.5)
    return float(light), float(middle * exp(spread * _TARGET / 1.645))


def correlated_pixels(windows: npt.NDArray[np.floating[Any]]) -> float:
    """Return how many pixels of ``(window, y, x)`` carry what one independent pixel would.

    That is the sum of the squared correlation of the logarithms over all lags of up to 3 pixels:
    what counts for variances, as in Priestley, Spectral Analysis and Time Series (1981). NaN is
    no data. 1 for independent pixels; about 4 to 8 on detected products of Sentinel-1.
    """
    logs = np.log(windows)
    valid = np.isfinite(logs)
    logs = np.where(valid, logs - logs[valid].mean(), 0)
    variance = float((logs**2).sum() / valid.sum())
    rows, cols = logs.shape[1:]
    total = 0.0
    for dy in range(min(_REACH, rows - 1) + 1):
        for dx in range(-min(_REACH, cols - 1), min(_REACH, cols - 1) + 1):
            left, right = (
                slice(max(-dx, 0), cols - max(dx, 0)),
                slice(max(dx, 0), cols + min(dx, 0)),
            )
            pairs = (valid[:, : rows - dy, left] & valid[:, dy:, right]).sum()
            both = (logs[:, : rows - dy, left] * logs[:, dy:, right]).sum()
            weight = 1 if dy == 0 else 2
            total += weight * float(both / max(pairs, 1) / max(variance, 1e-12)) ** 2
    return max(1.0, total)


def choose_law(ratios: Ratios, names: tuple[str, ...] = LAWS) -> ClutterFit:
    """Return the law of ``names`` that fits the ratios best."""
    cumulants = log_cumulants(ratios.values)
    upper = _upper_half(ratios)
    laws = {name: _climbed(fit_law(name, cumulants), upper) for name in dict.fromkeys(names + LAWS)}
    best = min((laws[name] for name in names), key=lambda law: _criterion(law, upper))
    distances = {name: ks_distance(law, ratios) for name, law in laws.items()}
    others = tuple((name, distances[name]) for name in LAWS if name != best.name)
    return ClutterFit(best, ratios.independent, distances[best.name], others)


def ks_distance(law: Law, ratios: Ratios) -> float:
    """Return the largest difference between the shares that law and ratios have below a value."""
    values = ratios.values[:: max(1, ratios.values.size // 2000)]
    shares = np.arange(values.size) / values.size
    return float(np.abs(1 - law.tail(values) - shares).max())


@dataclass(frozen=True)
class _UpperHalf:
    """Ratios counted in cells: all below the median is one, and none is above the last edge."""

    edges: Floats  # (cells,)
    counts: Floats  # (cells,), in independent ratios; the first below the first edge


def _upper_half(ratios: Ratios) -> _UpperHalf:
    values = ratios.values
    edges = np.geomspace(np.median(values), ratios.cut, _BINS)
    above = np.histogram(values, edges)[0]
    counts = np.concatenate([[values.size - above.sum()], above])
    return _UpperHalf(edges, counts * (ratios.independent / values.size))


def _log_likelihood(law: Law, upper: _UpperHalf) -> float:
    tail = law.tail(upper.edges)
    shares = np.concatenate([[1 - tail[0]], tail[:-1] - tail[1:]]) / max(1 - tail[-1], 1e-300)
    return float(upper.counts @ np.log(np.maximum(shares, 1e-300)))


def _criterion(law: Law, upper: _UpperHalf) -> float:
    """Return BIC, the smaller the better."""
    parameters = 3 if law.name == "k" else 2
    return parameters * log(upper.counts.sum()) - 2 * _log_likelihood(law, upper)


def _climbed(law: Law, upper: _UpperHalf) -> Law:
    """Return the law of the same name that is likeliest, found from ``law`` on (Nelder-Mead)."""
    start = [log(law.scale), log(law.shape)]
    if isfinite(law.texture):
        start.append(log(law.texture))

    def at(logs: Floats) -> Law:
        scale, shape, *texture = (exp(min(value, 9.0)) for value in logs)
        return replace(law, scale=scale, shape=shape, texture=texture[0] if texture else inf)

    def loss(logs: Floats) -> float:
        return -_log_likelihood(at(logs), upper)

    best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 0.01})
    return at(best.x)
