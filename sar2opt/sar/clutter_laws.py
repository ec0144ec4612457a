"""Laws of clutter: gamma, K, lognormal and Weibull, and their fit by log-cumulants.

===========  =======================================  ==========================================
law          power is                                 log-cumulants beyond the mean
===========  =======================================  ==========================================
gamma        speckle of L looks                       trigamma(L), and so on
K            the same times a gamma texture, order v  trigamma(L) + trigamma(v), and so on
lognormal    exp(normal)                              variance, then zeros
Weibull      a power 1/b of an exponential variate    trigamma(1) / b^2, and so on
===========  =======================================  ==========================================

Sources: Ward, Tough and Watts, Sea Clutter (2006); Oliver and Quegan, Understanding Synthetic
Aperture Radar Images (2004), chapter 5; Nicolas, Introduction aux statistiques de deuxieme espece,
Traitement du Signal 19(3), 2002; Tison et al., IEEE TGRS 42(10), 2004.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log, pi, sqrt

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import (
    gammainc,
    gammaincc,
    gammainccinv,
    gammaincinv,
    gammaln,
    ndtr,
    polygamma,
    psi,
)

from sar2opt.errors import ConfigError

Floats = npt.NDArray[np.float64]

LAWS = ("gamma", "k", "lognormal", "weibull")

_MOST = 1e4  # shape from which on a gamma variate counts as constant
_LEAST_NODE = 1e-12  # whatever is darker is too dark to count in any tail
_NODES = 160


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
                rough, smooth = sorted((self.shape, self.texture))  # the two may be exchanged
                nodes, weights = gamma_nodes(smooth)
                found = gammaincc(rough, rough * x[..., None] / nodes) @ weights
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


def gamma_nodes(order: float) -> tuple[Floats, Floats]:
    """Return nodes and weights of a gamma law of mean 1: trapezoids over the logarithm."""
    low = max(float(gammaincinv(order, 1e-14)), order * _LEAST_NODE)
    high = float(gammainccinv(order, 1e-18))
    nodes = np.linspace(log(low), log(high), _NODES)
    weights = np.exp(order * nodes - np.exp(nodes) - gammaln(order)) * (nodes[1] - nodes[0])
    weights[0] = weights[0] / 2 + gammainc(order, low)
    return np.exp(nodes) / order, weights
