"""Filters that know a pixel's neighbourhood by its mean and variance alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sar2opt.sar.speckle.windows import (
    Power,
    Sums,
    Valid,
    box_sum,
    by_tiles,
    check_looks,
    check_window,
    core,
    moments,
)

DAMPING = 2.0  # of Frost's filter; 1 to 2 in most of the literature


def boxcar(power: Power, window: int) -> Power:
    """Return the mean of the valid pixels of ``power`` ``(..., y, x)`` in a square around each.

    The estimate of maximum likelihood where nothing but speckle changes (Oliver and Quegan,
    Understanding Synthetic Aperture Radar Images, 2004, ch. 6). Raises ``ConfigError``.
    """
    margin = check_window(window)

    def estimate(values: Sums, valid: Valid) -> Sums:
        count = np.maximum(box_sum(valid.view(np.uint8), window), 1)
        return np.asarray(box_sum(values, window) / count)

    return by_tiles(estimate, power, margin)


def lee(power: Power, window: int, looks: float) -> Power:
    """Return ``power`` ``(..., y, x)`` filtered by the local-statistics filter of Lee (1980).

    With speckle of mean 1 and variance ``1 / looks``, the estimate of least mean square error is
    ``m + k (power - m)``, where ``m`` and ``v`` are mean and variance of the valid pixels in the
    ``window`` x ``window`` neighbourhood, ``k = s / v``, and
    ``s = (v - m^2 / looks) / (1 + 1 / looks)``, cut at 0, is the variance of the scene itself
    (J.-S. Lee, IEEE TPAMI 2(2), 1980).

    Raises ``ConfigError`` when ``window`` is not odd and 3 to 15, or ``looks`` not positive.
    """
    margin, noise = check_window(window), 1 / check_looks(looks)

    def estimate(values: Sums, valid: Valid) -> Sums:
        mean, variance = moments(values, valid, window)
        return least_square_error(core(values, margin), mean, variance, noise)

    return by_tiles(estimate, power, margin)


def least_square_error(values: Sums, mean: Sums, variance: Sums, noise: float) -> Sums:
    """Return Lee's estimate (1980) from local statistics; ``noise`` is the variance of speckle."""
    scene = mean * mean
    scene *= noise
    np.subtract(variance, scene, out=scene)
    np.maximum(scene, 0, out=scene)
    scene /= 1 + noise
    gain = np.divide(scene, variance, out=np.zeros_like(scene), where=variance > 0)
    gain *= values - mean
    gain += mean
    return gain


def frost(power: Power, window: int, damping: float = DAMPING) -> Power:
    """Return ``power`` ``(..., y, x)`` filtered as by Frost, Stiles, Shanmugan and Holtzman.

    A mean of the valid pixels of the window with weights ``exp(-damping c d)``, where ``d`` is
    the distance to the centre in pixels, and ``c = v / m^2`` the squared coefficient of variation
    of the neighbourhood (IEEE TPAMI 4(2), 1982, in the form of Lopes, Touzi and Nezry, IEEE TGRS
    28(6), 1990). It needs no number of looks. Raises ``ConfigError``.
    """
    margin = check_window(window)

    def estimate(values: Sums, valid: Valid) -> Sums:
        seen = valid.view(np.uint8)
        mean, variance = moments(values, valid, window)
        mean *= mean
        decay = np.divide(variance, mean, out=np.zeros_like(mean), where=mean > 0)
        decay *= -damping
        total, weights = core(values, margin).copy(), core(valid, margin).astype(np.float64)
        for distance, offsets in _rings(margin):
            weight = np.exp(decay * distance)
            total += weight * _ring_sum(values, offsets, margin)
            weights += weight * _ring_sum(seen, offsets, margin)
        return np.asarray(total / np.maximum(weights, 1e-300))

    return by_tiles(estimate, power, margin)


def gamma_map(power: Power, window: int, looks: float) -> Power:
    """Return ``power`` ``(..., y, x)`` filtered by the gamma maximum a posteriori filter.

    Scene and speckle are both taken as gamma distributed. With ``c`` the coefficient of variation
    of the neighbourhood and ``u = looks^-1/2`` that of speckle, the estimate is the local mean
    where ``c <= u``, the pixel itself where ``c >= 2^1/2 u``, and between them the most probable
    scene, a root of a quadratic (Lopes, Nezry, Touzi and Laur, Int. J. Remote Sensing 14(9),
    1993). Raises ``ConfigError``.
    """
    margin, noise = check_window(window), 1 / check_looks(looks)

    def estimate(values: Sums, valid: Valid) -> Sums:
        pixel = core(values, margin)
        mean, variance = moments(values, valid, window)
        square = mean * mean
        spread = np.divide(variance, square, out=np.zeros_like(mean), where=square > 0)
        textured = (spread > noise) & (spread < 2 * noise)
        shape = (1 + noise) / np.where(textured, spread - noise, 1)
        linear = (shape - looks - 1) * mean
        root = np.sqrt(linear * linear + 4 * shape * looks * mean * pixel)
        likely = (linear + root) / (2 * shape)
        return np.where(textured, likely, np.where(spread <= noise, mean, pixel))

    return by_tiles(estimate, power, margin)


@cache
def _rings(margin: int) -> list[tuple[float, list[tuple[int, int]]]]:
    """Return the offsets of a window, but the centre, by their distance from it."""
    rings: dict[int, list[tuple[int, int]]] = {}
    reach = range(-margin, margin + 1)
    for row, col in ((row, col) for row in reach for col in reach if row or col):
        rings.setdefault(row * row + col * col, []).append((row, col))
    return [(float(np.sqrt(square)), rings[square]) for square in sorted(rings)]


def _ring_sum(
    values: npt.NDArray[Any], offsets: list[tuple[int, int]], margin: int
) -> npt.NDArray[Any]:
    rows, cols = (size - 2 * margin for size in values.shape)
    corners = [(margin + row, margin + col) for row, col in offsets]
    parts = [values[top : top + rows, left : left + cols] for top, left in corners]
    total: npt.NDArray[Any] = parts[0] + parts[1]  # a ring has four offsets or more
    for part in parts[2:]:
        total += part
    return total
