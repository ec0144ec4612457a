"""Which law the clutter follows, told from the scene: gamma, K, lognormal or Weibull.

What is fitted is what CFAR tests: each background pixel over the mean of its ring. The threshold
for a false-alarm probability is then a quantile of the fitted law, and holds whatever the number
of looks, the texture of the ground and the correlation of neighbours do to that ratio.

1. ``clutter_ratios`` and ``without_targets``: ratios on dark ground, less targets and what lies so
   near that they are in its ring.
2. ``fit_law``: the parameters of each law from log-cumulants, the cumulants of ``ln ratio``
   (Nicolas, Traitement du Signal 19(3), 2002; Tison et al., IEEE TGRS 42(10), 2004). Logarithms
   tame the tail, so that a few bright pixels hardly move them.
3. ``choose_law``: the likelihood of the upper half of the ratios, where thresholds lie, less the
   usual price of a parameter (BIC, Schwarz, Annals of Statistics 6(2), 1978). Neighbours repeat
   one another; pixels are counted as the independent ones that they amount to.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, pi, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.optimize import brentq
from scipy.special import gammaincc, gammainccinv, gammaincinv, gammaln, ndtr, polygamma, psi

from sar2opt.errors import ConfigError
from sar2opt.sar.clutter import ca_cfar

Floats = npt.NDArray[np.float64]

LAWS = ("gamma", "k", "lognormal", "weibull")
FEWEST = 5000  # independent ratios; of fewer, no law can be told from another far up the tail

_REACH = 3  # pixels over which speckle may be correlated
_MOST = 1e4  # shape from which on a gamma variate counts as constant
_RARE = 1e-7  # what a law explains less often than this is a target
_TARGET = 5.2  # standard deviations of ln ratio: the same of a lognormal
_ROUNDS = 3
_BINS = 200


@dataclass(frozen=True)
class Law:
    """A distribution of pixel over ring mean."""

    name: str  # one of LAWS
    scale: float  # mean of gamma and K; median of lognormal; scale of Weibull
    shape: float  # looks of gamma and K; standard deviation of ln ratio; exponent of Weibull
    texture: float = inf  # K: order of the texture, the smaller the rougher

    def tail(self, ratio: npt.ArrayLike) -> Floats:
        """Return the probability that a ratio exceeds ``ratio``, of any shape."""
        x = np.maximum(np.asarray(ratio, np.float64), 0) / self.scale
        match self.name:
            case "gamma":
                found = gammaincc(self.shape, self.shape * x)
            case "k":
                nodes, weights = _texture(self.texture)
                found = gammaincc(self.shape, self.shape * x[..., None] / nodes) @ weights
            case "lognormal":
                with np.errstate(divide="ignore"):
                    found = ndtr(-np.log(x) / self.shape)
            case "weibull":
                found = np.exp(-(x**self.shape))
            case _:
                raise ConfigError(f"unknown clutter '{self.name}': one of {', '.join(LAWS)}")
        return np.asarray(found, np.float64)

    def factor(self, false_alarm: float) -> float:
        """Return the ratio that is exceeded with this probability, 0 to 1."""
        if not 0 < false_alarm < 1:
            raise ConfigError(f"a false-alarm probability lies between 0 and 1, not {false_alarm}")

        def excess(ln_ratio: float) -> float:
            return log(max(float(self.tail(exp(ln_ratio))), 1e-300)) - log(false_alarm)

        low, high = log(self.scale) - 1, log(self.scale) + 1
        while excess(low) < 0:
            low -= 2
        while excess(high) > 0:
            high += 2
        return exp(brentq(excess, low, high, xtol=1e-9))

    def __str__(self) -> str:
        match self.name:
            case "gamma":
                return f"gamma of {self.shape:.2g} looks"
            case "k":
                return f"K of {self.shape:.2g} looks and texture of order {self.texture:.2g}"
            case "lognormal":
                return f"lognormal with a standard deviation of {self.shape / log(10) * 10:.2g} dB"
        return f"Weibull with exponent {self.shape:.2g}"


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
) -> Floats:
    """Return pixel over ring mean where ``windows`` ``(window, y, x)`` show dark ground.

    ``windows`` is linear power, NaN where no data; a ring never reaches into the next one. Dark
    ground is what ``ca_cfar``, with the same settings, tests, and all of whose ring it tests: no
    shores. Elsewhere the result, of the same shape, is NaN.
    """
    found = np.full(windows.shape, np.nan)
    for power, ratio in zip(windows, found, strict=True):
        ratio[...] = factor * ca_cfar(
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
    independent = round(valid.size / correlated_pixels(kept)) if valid.size else 0
    return Ratios(valid, independent, cut)


def fit_clutter(
    windows: Floats, reach: int, names: tuple[str, ...] = LAWS
) -> tuple[ClutterFit | None, int]:
    """Fit the best of the laws ``names`` to ratios ``(window, y, x)``; None where too few.

    Targets are what the law explains less than once in ten million pixels. Since the law is not
    known before, it begins with a heavy tail, the lognormal through the median and the 95 %
    quantile, and goes on with the law that was fitted to what was left. The second value is the
    number of independent ratios there were.
    """
    if not np.isfinite(windows).any():
        return None, 0
    middle, high = np.nanquantile(windows, (0.5, 0.95))
    cut = float(middle * (high / middle) ** (_TARGET / 1.645))
    fit, independent = None, 0
    for _ in range(_ROUNDS):
        ratios = without_targets(windows, cut, reach)
        independent = ratios.independent
        if independent < FEWEST:
            return None, independent
        fit = choose_law(ratios, names)
        cut = fit.law.factor(_RARE)
    return fit, independent


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


def log_cumulants(ratios: Floats) -> tuple[float, float, float]:
    """Return mean, variance and third central moment of ``ln ratios``."""
    logs = np.log(ratios)
    mean = float(logs.mean())
    return mean, float(((logs - mean) ** 2).mean()), float(((logs - mean) ** 3).mean())


def fit_law(name: str, cumulants: tuple[float, float, float]) -> Law:
    """Return the law whose log-cumulants are these; raises ``ConfigError`` for an unknown one.

    The first two settle gamma, lognormal and Weibull, all three K. A K law is a product of two
    gamma laws, whose log-cumulants add; it spans those between gamma and, nearly, lognormal, and
    what lies outside is taken to the nearest.
    """
    first, second, third = cumulants
    match name:
        case "gamma":
            looks = _shape_of(second)
            return Law(name, exp(first - psi(looks) + log(looks)), looks)
        case "k":
            looks, texture = _k_shapes(second, third)
            mean = exp(first - psi(looks) + log(looks) - psi(texture) + log(texture))
            return Law(name, mean, looks, texture)
        case "lognormal":
            return Law(name, exp(first), sqrt(second))
        case "weibull":
            exponent = pi / sqrt(6 * second)
            return Law(name, exp(first + np.euler_gamma / exponent), exponent)
    raise ConfigError(f"unknown clutter '{name}': choose one of auto, {', '.join(LAWS)}")


def choose_law(ratios: Ratios, names: tuple[str, ...] = LAWS) -> ClutterFit:
    """Return the law of ``names`` that fits the ratios best."""
    cumulants = log_cumulants(ratios.values)
    laws = [fit_law(name, cumulants) for name in names]
    criteria = [_criterion(law, ratios) for law in laws]
    best = laws[int(np.argmin(criteria))]
    others = [fit_law(name, cumulants) for name in LAWS if name != best.name]
    return ClutterFit(
        best,
        ratios.independent,
        ks_distance(best, ratios),
        tuple((law.name, ks_distance(law, ratios)) for law in others),
    )


def ks_distance(law: Law, ratios: Ratios) -> float:
    """Return the largest difference between the shares that law and ratios have below a value."""
    values = ratios.values[:: max(1, ratios.values.size // 2000)]
    shares = np.arange(values.size) / values.size
    return float(np.abs(1 - law.tail(values) - shares).max())


def _criterion(law: Law, ratios: Ratios) -> float:
    """Return BIC of the upper half: all below the median is one cell, none is above the cut."""
    values = ratios.values
    edges = np.geomspace(np.median(values), ratios.cut, _BINS + 1)
    counts = np.histogram(values, edges)[0]
    tail = law.tail(edges)
    shares = np.concatenate([[1 - tail[0]], tail[:-1] - tail[1:]]) / (1 - tail[-1])
    counts = np.concatenate([[values.size - counts.sum()], counts])
    likelihood = float(counts @ np.log(np.maximum(shares, 1e-300)))
    parameters = 3 if law.name == "k" else 2
    price = parameters * log(ratios.independent)
    return price - 2 * likelihood * ratios.independent / values.size


def _shape_of(second: float) -> float:
    """Return the shape whose trigamma is ``second``: a gamma law of this second log-cumulant."""
    low, high = 1e-3, _MOST
    wanted = float(np.clip(second, polygamma(1, high), polygamma(1, low)))
    return exp(brentq(lambda s: float(polygamma(1, exp(s))) - wanted, log(low), log(high)))


def _k_shapes(second: float, third: float) -> tuple[float, float]:
    """Return looks and order of texture of the K law, looks being the larger part of the spread."""

    def shapes(texture_part: float) -> tuple[float, float]:
        part = second * texture_part
        return _shape_of(second - part), _shape_of(part)

    def excess(texture_part: float) -> float:
        return float(sum(polygamma(2, shape) for shape in shapes(texture_part))) - third

    least = min(0.5, 1.01 * float(polygamma(1, _MOST)) / second)
    if excess(least) >= 0:
        return shapes(least)
    if excess(0.5) <= 0:
        return shapes(0.5)
    return shapes(brentq(excess, least, 0.5))


def _texture(order: float) -> tuple[Floats, Floats]:
    """Return nodes and weights of a gamma law of mean 1: trapezoids over the logarithm."""
    low = max(float(gammaincinv(order, 1e-14)), 1e-250)
    high = float(gammainccinv(order, 1e-18))
    nodes = np.linspace(log(low), log(high), 400)
    weights = np.exp(order * nodes - np.exp(nodes) - gammaln(order)) * (nodes[1] - nodes[0])
    return np.exp(nodes) / order, weights
