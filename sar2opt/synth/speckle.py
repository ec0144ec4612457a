"""Fully developed speckle with a stated number of looks."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, special

from sar2opt.synth.fields import Floats, Shape

_REACH = 6.5  # standard deviations that the table of quantiles spans


def draw_speckle(
    rng: np.random.Generator, shape: Shape, looks: float, grain: float = 0.0
) -> Floats:
    """Return multiplicative speckle ``(y, x)`` for power: gamma with mean 1, variance 1/looks.

    Every pixel has exactly this distribution (Goodman, Some fundamental properties of speckle,
    1976). With ``grain`` above 0 neighbours are correlated as in resampled GRD products: a
    Gaussian field smoothed by ``grain`` pixels is mapped to the gamma law through its quantiles
    (a Gaussian copula), which leaves the distribution of each pixel as it was.
    """
    field = rng.standard_normal(shape, dtype=np.float32)
    if grain > 0:
        # periodic, so that the borders have the same variance as the inside
        field = ndimage.gaussian_filter(field, grain, mode="wrap")
        field /= _white_gain(grain)
    nodes = np.linspace(-_REACH, _REACH, 4097)
    quantiles = special.gammaincinv(looks, special.ndtr(nodes)) / looks
    return np.asarray(np.interp(field, nodes, quantiles), np.float32)


def _white_gain(sigma: float) -> float:
    """Return the standard deviation that unit white noise keeps after Gaussian smoothing."""
    impulse = np.zeros(129)
    impulse[64] = 1.0
    kernel = ndimage.gaussian_filter1d(impulse, sigma)
    return float((kernel**2).sum())  # one factor sqrt(sum) for each of the two axes
