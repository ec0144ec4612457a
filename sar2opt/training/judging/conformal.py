"""Trust by split-conformal calibration: how wide must an interval be to hold what it promises?

A net says for each pixel what error it expects, as the scale of a Laplace distribution. It is
right about where it is surer, less so about how sure. So its scale is only the unit: the *score*
of a pixel is its true error in units of the predicted scale, and the quantiles of the scores on
held-out places say how many units hold 90 % of the errors (Vovk et al. 2005; Angelopoulos and
Bates 2023 on conformal prediction with a learned uncertainty).

Pixels of one place are not independent, places are: so places weigh the same, however many pixels
they have, and what is promised is the mean coverage over places (groups of exchangeable data:
Dunn, Wasserman and Ramdas 2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating]
PERCENT = np.arange(101)  # the levels of the table of quantiles
NOMINAL = 0.9
FIFTHS = 5
LEAST_SCALE = 1e-6


@dataclass(frozen=True)
class PlaceScores:
    """The scores of the pixels of one place, ``(n,)``, and their local mean backscatter."""

    source: str
    place: str
    scores: Values
    backscatter: Values


@dataclass(frozen=True)
class Coverage:
    """The share of true values inside the interval: a mean over ``places``."""

    share: float
    error: float  # standard error of the mean over places; NaN where there is one
    places: int


def score(error: Values, scale: Values) -> Values:
    """Return the absolute error, averaged over bands, in units of the predicted scale."""
    return np.abs(error) / np.maximum(scale, LEAST_SCALE)


def fit_quantiles(places: Sequence[Values]) -> tuple[float, ...]:
    """Return the 0 to 100 % quantiles (101) of the scores ``(n,)`` of places that weigh the same.

    By their definition the mean coverage over these places of an interval of ``quantiles[90]``
    scales is 90 %. Raises ``ValueError`` where there is no score at all.
    """
    filled = [place for place in places if place.size]
    if not filled:
        raise ValueError("no scores to calibrate on")
    scores = np.concatenate(filled)
    weights = np.concatenate([np.full(place.size, 1.0 / place.size) for place in filled])
    order = np.argsort(scores)
    reached = np.cumsum(weights[order]) / len(filled)  # share of the weight up to each score
    at = np.searchsorted(reached, PERCENT / 100.0 - 1e-9)
    return tuple(float(value) for value in scores[order][np.minimum(at, scores.size - 1)])


def half_width(scale: Values, quantiles: Sequence[float], nominal: float = NOMINAL) -> Values:
    """Return half the width of the interval that holds the share ``nominal`` of the errors."""
    return scale * np.interp(100.0 * nominal, PERCENT, quantiles)


def trust(scale: Values, quantiles: Sequence[float], tolerance: float) -> Values:
    """Return how likely an error is below ``tolerance``, in percent; NaN stays NaN.

    It is the share of calibration scores below ``tolerance / scale``, and falls as the scale
    grows.
    """
    return np.interp(tolerance / np.maximum(scale, LEAST_SCALE), quantiles, PERCENT)


def coverage(places: Sequence[Values], width: float) -> Coverage:
    """Return which share of the scores ``(n,)`` of places is at most ``width`` scales."""
    shares = np.array([np.mean(place <= width) for place in places if place.size])
    if shares.size == 0:
        return Coverage(np.nan, np.nan, 0)
    error = float(shares.std(ddof=1) / np.sqrt(shares.size)) if shares.size > 1 else np.nan
    return Coverage(float(shares.mean()), error, shares.size)


def coverage_table(places: Sequence[PlaceScores], width: float) -> Mapping[str, Coverage]:
    """Return the coverage overall, by source, and by fifths of local mean backscatter."""
    table = {"all": coverage([place.scores for place in places], width)}
    for source in sorted({place.source for place in places}):
        own = [place.scores for place in places if place.source == source]
        table[f"source {source}"] = coverage(own, width)
    edges = fifths_of([place.backscatter for place in places])
    for number in range(FIFTHS):
        inside = [
            place.scores[np.searchsorted(edges, place.backscatter) == number] for place in places
        ]
        name = {0: ", darkest", FIFTHS - 1: ", brightest"}.get(number, "")
        table[f"backscatter fifth {number + 1}{name}"] = _by_weight(inside, places, width)
    return table


def fifths_of(places: Sequence[Values]) -> Values:
    """Return the four values that part backscatter into fifths, places weighing the same."""
    quantiles = fit_quantiles(places)
    return np.array([quantiles[100 * part // FIFTHS] for part in range(1, FIFTHS)])


def _by_weight(parts: Sequence[Values], places: Sequence[PlaceScores], width: float) -> Coverage:
    """Return the coverage of parts of places, where a place weighs by the share that is in it.

    A place with three pixels in a class must not say as much of it as one that is full of it.
    """
    filled = [
        (part, part.size / place.scores.size)
        for part, place in zip(parts, places, strict=True)
        if part.size
    ]
    if not filled:
        return Coverage(np.nan, np.nan, 0)
    shares = np.array([np.mean(part <= width) for part, _ in filled])
    weights = np.array([weight for _, weight in filled])
    weights /= weights.sum()
    mean = float(weights @ shares)
    spread = float(np.sqrt(np.sum(np.square(weights * (shares - mean)))))
    return Coverage(mean, spread if len(filled) > 1 else np.nan, len(filled))
