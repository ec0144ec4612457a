"""What ground georeferenced pairs share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
from affine import Affine
from pyproj import Transformer
from rasterio.features import geometry_mask

from sar2opt.training.pairs.pair import Pair

Mask = npt.NDArray[np.bool_]

EDGE = 1.0  # pixels; neighbours that only touch share nothing
POINTS = 9  # on each side of an outline, which another CRS bends


def shared_ground(pair: Pair, other: Pair) -> Mask:
    """Return which pixels of ``pair`` lie within the outline of ``other``; both need a ground."""
    assert pair.ground
    assert other.ground
    rows, cols = other.decibel.shape
    side = np.linspace(0.0, 1.0, POINTS)
    low, high = np.zeros(POINTS), np.ones(POINTS)
    y = EDGE + np.concatenate([low, side, high, side[::-1]]) * (rows - 2 * EDGE)
    x = EDGE + np.concatenate([side, high, side[::-1], low]) * (cols - 2 * EDGE)
    a, b, c, d, e, f = other.ground.transform
    east, north = a * x + b * y + c, d * x + e * y + f
    if other.ground.crs != pair.ground.crs:
        change = Transformer.from_crs(other.ground.crs, pair.ground.crs, always_xy=True)
        east, north = change.transform(east, north)
    a, b, c, d, e, f = tuple(~Affine(*pair.ground.transform))[:6]
    ring = np.stack([a * east + b * north + c, d * east + e * north + f], axis=-1)
    rows, cols = pair.decibel.shape
    inside = np.isfinite(ring).all() and (ring.max(axis=0) > 0).all()
    if not inside or ring[:, 0].min() > cols or ring[:, 1].min() > rows:
        return np.zeros(pair.decibel.shape, bool)
    outline = {"type": "Polygon", "coordinates": [ring.tolist()]}
    within: Mask = geometry_mask([outline], pair.decibel.shape, Affine.identity(), invert=True)
    return within


def overlapping(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    """Return which pairs in different splits have data on shared ground."""
    placed = [number for number, pair in enumerate(pairs) if pair.ground]
    return [
        (i, j)
        for i, j in combinations(placed, 2)
        if pairs[i].split != pairs[j].split
        and _has_data(pairs[i], pairs[j])
        and _has_data(pairs[j], pairs[i])
    ]


def _has_data(pair: Pair, other: Pair) -> bool:
    return bool((shared_ground(pair, other) & np.isfinite(pair.decibel)).any())
