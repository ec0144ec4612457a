"""Where bright targets are looked for: the ground that is dark for its scene.

A city holds nothing but bright echoes, so CFAR looks at dark ground only: what lies ``dark_db``
below the scene's level, an upper quantile of its backscatter. A scene of open sea has no such
ground, for nothing is darker than itself. It gives itself away by its spread: from the lowest
tenth up to the level it holds little but speckle, and of speckle of L looks the spread is known.
Then the scene up to its level is one even surface, and all of that is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log10

from scipy.special import gammaincinv

from sar2opt.sar.normalise import DARK_QUANTILE, Normalisation


@dataclass(frozen=True)
class Ground:
    """Which ground is looked at, and why."""

    highest_db: float  # mean backscatter of the background, at most
    even: bool  # up to its level the scene is one even surface
    spread_db: float  # from the scene's lowest tenth up to its level
    speckle_db: float  # the same of speckle alone


def find_ground(
    norm: Normalisation, quantile: float, looks: float, *, dark_db: float, even_db: float
) -> Ground:
    """Return the ground to look at, in a scene whose ``norm`` was fitted at ``quantile``.

    The scene is even if its spread exceeds that of gamma speckle of ``looks`` looks by no more
    than ``even_db``; this is also how far above the level the background may then lie, as swell,
    wind and the incidence angle make the sea uneven in the mean too.
    """
    spread = norm.level_db - norm.tenth_db
    speckle = speckle_spread_db(looks, DARK_QUANTILE, quantile)
    even = spread <= speckle + even_db
    return Ground(norm.level_db + (even_db if even else -dark_db), even, spread, speckle)


def speckle_spread_db(looks: float, low: float, high: float) -> float:
    """Return how many dB lie between two quantiles of speckle, gamma of shape ``looks``."""
    return float(10 * log10(gammaincinv(looks, high) / gammaincinv(looks, low)))
