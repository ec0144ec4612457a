"""An ordered-statistic CFAR detector, for crowded ground: it does not ask what else is in the ring.

A pixel is compared with the value below which three quarters of the ring around it lie, where cell
averaging takes the mean. Up to a quarter of the ring may be other ships, a pier or a shore, and
hardly move it (Rohling, IEEE Trans. AES 19(4), 1983). It costs time, and on even ground it finds a
little less than cell averaging does.

Power is counted in levels of 0.1 dB below the brightest ground that is tested, so all sums are of
integers and the result does not depend on where a tile begins. Few pixels can be targets; only for
those is the ordered statistic told to a level, for the others to 3 dB.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, gammaincc, gammaincinv

from sar2opt.errors import ConfigError
from sar2opt.sar.clutter import CELLS_MAX, ring_cells, ring_sums

RANK = 0.75  # share of the ring below the ordered statistic: Rohling's choice

STEP_DB = 0.1
_LEVELS = 600  # 60 dB: darker ground is not tested
_COARSE = (150, 30)  # levels by which all pixels are told, then those that may be targets by 1
_NONE = np.uint16(0xFFFF)  # no data
_FIELD_BITS = 21  # of a 64-bit sum, which carries three counts of up to 2^16 cells
_FIELDS = 3
_NODES = 256
_CHUNK = 512  # pixels whose rings are sorted at once


def os_cfar_tail(ratio: npt.ArrayLike, looks: float, cells: int) -> npt.NDArray[np.float64]:
    """Return the probability that pixel over ordered statistic exceeds ``ratio``, of any shape.

    For gamma clutter of ``looks`` and ``cells`` independent cells in the ring: the share of the
    clutter below the k-th of N cells follows Beta(k, N - k + 1), whatever its law.
    """
    k = ceil(RANK * cells)
    shares = betaincinv(k, cells - k + 1, (np.arange(_NODES) + 0.5) / _NODES)
    statistic = gammaincinv(looks, shares) / looks
    x = np.asarray(ratio, np.float64)[..., None] * statistic
    return np.asarray(gammaincc(looks, looks * x).mean(axis=-1), np.float64)


def os_cfar_factor(false_alarm: float, looks: float, cells: int) -> float:
    """Return the threshold on pixel over ordered statistic, for a probability of false alarm.

    The inverse of ``os_cfar_tail``, to ten digits. Raises ``ConfigError`` when an argument is out
    of range.
    """
    if not (0 < false_alarm < 1 and looks > 0 and cells > 0):
        raise ConfigError(
            f"OS-CFAR needs 0 < false_alarm < 1, looks > 0 and cells > 0, "
            f"not {false_alarm}, {looks} and {cells}"
        )
    low, high = 1e-6, 1e9
    while high / low - 1 > 1e-10:
        middle = (low * high) ** 0.5
        above = float(os_cfar_tail(middle, looks, cells)) > false_alarm
        low, high = (middle, high) if above else (low, middle)
    return high


def os_cfar(
    power: npt.NDArray[np.floating[Any]],
    *,
    guard: int,
    background: int,
    factor: float,
    background_max: float,
    exact: bool = False,
) -> npt.NDArray[np.float32]:
    """Return how far each pixel stands above its threshold, ``power / (factor * statistic)``.

    Arguments, result and errors as for ``sar.clutter.ca_cfar``; a pixel is not tested where the
    ordered statistic exceeds ``background_max``, where it lies 60 dB or more below it, and where
    less than a quarter of the ring has data. Where the result is at most 1, so that nothing is
    detected, it is an upper bound, but for ``exact``.
    """
    cells = ring_cells(guard, background)
    if not 0 <= guard < background or cells > CELLS_MAX:
        raise ConfigError(
            f"OS-CFAR: guard ({guard}) must be smaller than background ({background}), "
            f"and the ring of {cells} pixels no larger than {CELLS_MAX}"
        )
    if not (0 < factor * background_max < np.inf and factor > 0):
        raise ConfigError("OS-CFAR: factor and background_max must be positive and finite")
    levels = _to_levels(power, background_max, background)
    count, empty = _below(levels, [int(_NONE), 1], guard, background)
    rank = np.maximum(np.ceil(RANK * count), 1).astype(np.uint64)
    lower = _lower_levels(levels, rank, guard, background, exact=exact)
    tested = (count >= (cells + 3) // 4) & (lower < _LEVELS) & np.isfinite(power)
    tested &= empty < rank
    threshold = factor * _to_power(lower + (0.5 if exact else 0.0), background_max)
    if not exact:
        targets = np.argwhere(tested & (power > threshold))
        told = _told_exactly(levels, rank, targets, guard, background)
        threshold[tuple(targets.T)] = factor * _to_power(told + 0.5, background_max)
    ratio = np.full(power.shape, np.nan, np.float32)
    with np.errstate(over="ignore"):  # beyond float32 is infinitely bright
        np.divide(power, threshold, out=ratio, where=tested, casting="same_kind")
    return ratio


def _to_levels(
    power: npt.NDArray[np.floating[Any]], background_max: float, border: int
) -> npt.NDArray[np.uint16]:
    """Return power in levels, 600 for ``background_max`` and more, framed by no data."""
    with np.errstate(divide="ignore", invalid="ignore"):
        decibel = 10 * np.log10(np.maximum(power, 0).astype(np.float64) / background_max)
    level = np.clip(np.floor(decibel / STEP_DB) + _LEVELS, 0, _LEVELS)
    framed = np.full([side + 2 * border for side in power.shape], _NONE)
    inner = framed[border:-border, border:-border]
    inner[...] = np.where(np.isfinite(power), level, _NONE)
    return framed


def _to_power(level: npt.NDArray[Any], background_max: float) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = background_max * 10 ** ((level - _LEVELS) * (STEP_DB / 10))
    return found


def _below(
    levels: npt.NDArray[np.uint16], edges: list[int], guard: int, background: int
) -> list[npt.NDArray[np.uint64]]:
    """Count the cells of each ring that lie below each of up to three levels."""
    packed = np.zeros(levels.shape, np.uint64)
    for field, edge in enumerate(edges):
        packed += (levels < edge).astype(np.uint64) << np.uint64(_FIELD_BITS * field)
    sums = ring_sums(packed, guard, background)
    mask = np.uint64((1 << _FIELD_BITS) - 1)
    return [sums >> np.uint64(_FIELD_BITS * field) & mask for field in range(len(edges))]


def _lower_levels(
    levels: npt.NDArray[np.uint16],
    rank: npt.NDArray[np.uint64],
    guard: int,
    background: int,
    *,
    exact: bool,
) -> npt.NDArray[np.int64]:
    """Return a level that each ring's ordered statistic reaches: the last one, or nearly so."""
    lower = np.zeros(rank.shape, np.int64)
    first, last = 0, _LEVELS
    for step in (*_COARSE, 1) if exact else _COARSE:
        lower[...] = first
        edges = range(first + step, last + 1, step)
        for at in range(0, len(edges), _FIELDS):
            counts = _below(levels, list(edges[at : at + _FIELDS]), guard, background)
            reached = [count < rank for count in counts]
            lower += step * np.sum(reached, axis=0)
            if not reached[-1].any():
                break
        first, last = int(lower.min()), min(int(lower.max()) + step, _LEVELS)
    return lower


def _told_exactly(
    levels: npt.NDArray[np.uint16],
    rank: npt.NDArray[np.uint64],
    targets: npt.NDArray[np.int64],
    guard: int,
    background: int,
) -> npt.NDArray[np.int64]:
    """Return the ordered statistic's level for each of the pixels ``(n, 2)``."""
    side = 2 * background + 1
    ring = np.ones((side, side), bool)
    inner = slice(background - guard, background + guard + 1)
    ring[inner, inner] = False
    windows = np.lib.stride_tricks.sliding_window_view(levels, (side, side))
    found = np.zeros(len(targets), np.int64)
    for at in range(0, len(targets), _CHUNK):
        rows, cols = targets[at : at + _CHUNK].T
        cells = np.sort(windows[rows, cols][:, ring], axis=1, kind="stable")
        own = rank[rows, cols].astype(np.int64)[:, None] - 1
        found[at : at + _CHUNK] = np.take_along_axis(cells, own, axis=1)[:, 0]
    return found
