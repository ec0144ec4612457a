"""The formulas of change between dates of gamma distributed power: p-values, dates, rates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import inf, isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, gammaincc, gammaincinv

from sar2opt.sar.clutter_laws import gamma_nodes

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def unevenness(means: Floats) -> Floats:
    """Return ``ln(mean) - mean(ln)`` over the valid dates of ``(date, ...)``; NaN without any.

    Times dates and looks it is ``-ln Q``, Q being the likelihood ratio of "the same power at all
    dates" for gamma distributed means: K. Conradsen, A. A. Nielsen and H. Skriver, Determining
    the points of change in time series of polarimetric SAR data, IEEE TGRS 54(5), 2016
    (doi:10.1109/TGRS.2015.2510160), equation 4 for one polarisation.
    """
    valid = np.isfinite(means)
    count = valid.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(valid, means, 0.0).sum(axis=0) / count
        logs = np.where(valid, np.log(means), 0.0).sum(axis=0) / count
        return np.asarray(np.maximum(np.log(mean) - logs, 0.0))


# ln of -ln Q at which p-values under texture are kept; beyond, they are no smaller
_KEPT = np.linspace(np.log(1e-5), np.log(1e3), 2048)


def change_p(uneven: Floats, dates: Any, looks: float, texture: float = inf) -> Floats:
    """Return the p-value of ``unevenness`` over so many dates (a number, or one for each pixel).

    NaN for fewer than two. For two dates it is exact and two-sided, see ``two_date_p``; for more it
    is that of the omnibus test, see ``textured_p``.
    """
    uneven, dates = np.broadcast_arrays(np.asarray(uneven, np.float64), dates)
    p = np.full(uneven.shape, np.nan)
    for number in np.unique(dates):
        if number >= 2:
            here = (dates == number) & np.isfinite(uneven)
            p[here] = (
                two_date_p(uneven[here], looks)
                if number == 2
                else _kept_p(uneven[here], int(number), looks, texture)
            )
    return p


def textured_p(uneven: Floats, dates: int, looks: float, texture: float) -> Floats:
    """Return ``omnibus_p`` of ground that varies more in one place than in another.

    By how much it varies, as under wind or growth, is a gamma variate of mean 1 and the order
    ``texture``, so that unevenness follows a K law, as sea clutter does (Ward, Tough and Watts, Sea
    Clutter, 2006). Infinite texture is none.
    """
    if not isfinite(texture):
        return omnibus_p(uneven, dates, looks)
    nodes, weights = gamma_nodes(texture)
    return np.asarray(omnibus_p(uneven[..., None] / nodes, dates, looks) @ weights)


def _kept_p(uneven: Floats, dates: int, looks: float, texture: float) -> Floats:
    """Return ``textured_p`` from a table, to a part in a thousand down to 1e-12."""
    if not isfinite(texture):
        return omnibus_p(uneven, dates, looks)
    with np.errstate(divide="ignore"):
        place = np.log(uneven * dates * looks)
    return np.exp(np.interp(place, _KEPT, _table(dates, looks, texture)))


@lru_cache(maxsize=64)
def _table(dates: int, looks: float, texture: float) -> Floats:
    p = textured_p(np.exp(_KEPT) / (dates * looks), dates, looks, texture)
    return np.asarray(np.log(np.clip(p, 1e-300, 1.0)))


def two_date_p(uneven: Floats, looks: float) -> Floats:
    """Return the two-sided p-value of two dates.

    Of ``unevenness`` u the ratio of the greater mean to the smaller is ``exp(2 arcosh(exp u))``,
    and that of two means of L looks follows F(2 L, 2 L): E. Rignot and J. van Zyl, Change
    detection techniques for ERS-1 SAR data, IEEE TGRS 31(4), 1993.
    """
    with np.errstate(over="ignore"):
        smaller = 1 / (1 + np.exp(2 * np.arccosh(np.exp(np.minimum(uneven, 300)))))
    return np.asarray(np.minimum(2 * betainc(looks, looks, smaller), 1.0))


def omnibus_p(uneven: Floats, dates: int, looks: float) -> Floats:
    """Return the p-value of "the same power at all dates": Conradsen et al. (2016), theorem 1.

    ``-2 rho ln Q`` follows chi-squared with ``dates - 1`` degrees of freedom, corrected to the
    second order by Box's expansion. For few looks that is too small far out in the tail, even below
    zero, so it counts down to half of the first term only: on simulated speckle that errs on the
    side of caution from one look down, and is right to a tenth at 1e-4 from two looks up.
    """
    k, n = dates, looks
    rho = 1 - (k + 1) / (6 * n * k)
    if rho <= 0:  # the expansion means nothing below a quarter of a look
        return np.ones_like(uneven)
    omega = -(k - 1) / 4 * (1 - 1 / rho) ** 2
    half = rho * n * k * uneven  # of -2 rho ln Q
    first, second = gammaincc((k - 1) / 2, half), gammaincc((k - 1) / 2 + 2, half)
    return np.asarray(np.maximum(first + omega * (second - first), first / 2))


def gamma_tail(shape: float, upper: float = 0.75) -> float:
    """Return the upper quartile over the median of a gamma distribution."""
    return float(gammaincinv(shape, upper) / gammaincinv(shape, 0.5))


def joint_latest_change(
    means: Sequence[Floats], looks: Sequence[float]
) -> tuple[Integers, list[Floats], list[Floats]]:
    """Return what ``latest_change`` does, of several series ``(date, y, x)`` that changed at once.

    The costs of a cut add up, each times the looks of its series: they are log-likelihoods of
    independent gamma distributed means. Before and after are given for each series.
    """
    valid = [np.isfinite(series) for series in means]
    counts = [np.cumsum(known, axis=0) for known in valid]
    totals = [
        np.cumsum(np.where(known, series, 0.0), axis=0)
        for known, series in zip(valid, means, strict=True)
    ]
    shape = means[0].shape[1:]
    least, since = np.full(shape, np.inf), np.zeros(shape, np.int64)
    before, after = ([np.full(shape, np.nan) for _ in means] for _ in range(2))
    for first in range(1, len(means[0])):
        better, cost, powers = np.ones(shape, bool), np.zeros(shape), []
        for known, count, total, look in zip(valid, counts, totals, looks, strict=True):
            early, late = count[first - 1], count[-1] - count[first - 1]
            with np.errstate(divide="ignore", invalid="ignore"):
                old, new = total[first - 1] / early, (total[-1] - total[first - 1]) / late
                cost += look * (early * np.log(old) + late * np.log(new))  # -ln of likelihood
            better &= known[first]  # else the next cut is the same one, with its true date
            powers.append((old, new))
        better &= cost < least  # false for NaN
        least[better], since[better] = cost[better], first
        for number, (old, new) in enumerate(powers):
            before[number][better], after[number][better] = old[better], new[better]
    return since, before, after


def latest_change(means: Floats) -> tuple[Integers, Floats, Floats]:
    """Return when ``(date, ...)`` most likely changed, and the mean power before and after.

    The date is the number of the first one after the change. Among all ways to cut the series into
    two of one power each, it is the likeliest for gamma distributed means: D. V. Hinkley,
    Inference about the change-point in a sequence of random variables, Biometrika 57(1), 1970.
    """
    since, (before,), (after,) = joint_latest_change([means], [1.0])
    return since, before, after


def false_discovery_rates(counts: Sequence[int] | Integers, p: Floats) -> Floats:
    """Return the q-value of each bin of a histogram of p-values.

    ``counts`` ``(n,)`` are the pixels of each bin, ``p`` its largest p-value, in falling order.
    Flagging all pixels with a q-value of at most q, the share of false ones among them is expected
    to be no more than q: Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, J. R.
    Stat. Soc. B 57(1), 1995. Neighbouring pixels, which depend on one another positively, may be
    taken together: Y. Benjamini and D. Yekutieli, Annals of Statistics 29(4), 2001.
    """
    counts = np.asarray(counts, np.float64)
    flagged = np.cumsum(counts[::-1])[::-1]  # so clear or clearer
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(flagged > 0, counts.sum() * np.asarray(p) / flagged, np.inf)
    return np.minimum(np.minimum.accumulate(rates), 1.0)
