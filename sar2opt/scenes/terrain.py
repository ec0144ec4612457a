"""Terrain correction: every pixel of the map at its own height, its backscatter flattened.

Lines and pixels are solved for by the range-Doppler equations at three heights on a coarse mesh;
between, they are linear across the map and quadratic in height (0.02 m over 9.5 km). Backscatter
is normalised by the area that the radar saw under each of its pixels, in the plane across the look
(gamma nought; Small, 2011, doi:10.1109/TGRS.2011.2120616). The area is taken facet by facet from
the derivatives of the geometry. Unlike Small's sum over all facets of a radar pixel, it is not
defined where facets fold on one another (layover) or face away (shadow): no data there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from sar2opt.sar.geolocation import Floats
from sar2opt.sar.orbit import RangeDoppler, earth_fixed
from sar2opt.scenes.dem import Dem
from sar2opt.scenes.geometry import degrees
from sar2opt.scenes.positions import on_mesh, points

_HEIGHTS = (-500.0, 4000.0, 9000.0)  # metres
_STEP = 32  # target pixels between positions solved for
_NUDGE = 0.5  # target pixels
_GRAZING = 0.02  # cosine of the local incidence angle; beyond, the slope is in shadow
_FOLDED = 0.02  # of the flat density of radar pixels; below, the slope is in layover
SEEN, LAYOVER, SHADOW = 0, 1, 2


@dataclass(frozen=True)
class Surface:
    """A piece of terrain as the radar sees it, each ``(y, x)``."""

    line: Floats
    pixel: Floats
    gain: Floats  # of gamma nought on the ellipsoid to gamma nought on the terrain; NaN if unseen
    cosine: Floats  # of the local incidence angle
    mask: Floats  # SEEN, LAYOVER or SHADOW; NaN where the terrain is not known


@dataclass(frozen=True)
class TerrainPositions:
    """Positions at the heights of a terrain model."""

    model: RangeDoppler
    dem: Dem
    geobox: GeoBox  # the whole target grid
    flatten: bool = True

    def of(
        self, corner: tuple[int, int], shape: tuple[int, int], finer: int
    ) -> tuple[Floats, Floats, Floats | None]:
        """Return lines, pixels and factors of power."""
        seen = self.surface(corner, shape, finer)
        return seen.line, seen.pixel, seen.gain if self.flatten else None

    def surface(self, corner: tuple[int, int], shape: tuple[int, int], finer: int) -> Surface:
        """Return the terrain of a block at ``finer`` times its shape."""
        rows, cols = (_widened(axis, finer) for axis in points(corner, shape, finer))
        known = on_mesh(self._solve, rows, cols, _STEP)
        line, pixel, zero, up, east, south, per_col, per_row = (
            known[0:3], known[3:6], *known[6:]
        )  # fmt: skip
        transform = (
            self.geobox.affine @ Affine.translation(cols[0], rows[0]) @ Affine.scale(1 / finer)
        ) @ Affine.translation(-0.5, -0.5)
        height = self.dem.heights(transform, str(self.geobox.crs), zero.shape) + zero
        there = [_quadratic(axis, height) for axis in (line, pixel)]
        flat = [_quadratic(axis, np.zeros_like(height)) for axis in (line, pixel)]
        down, across = (slope * finer for slope in np.gradient(height))  # metres a target pixel
        facing = up - across * per_col * east - down * per_row * south
        steepness = np.sqrt(1 + (across * per_col) ** 2 + (down * per_row) ** 2)
        density = _density(*there) / _density(*flat)
        cosine = facing / steepness
        mask = np.where(density <= _FOLDED, LAYOVER, np.where(cosine <= _GRAZING, SHADOW, SEEN))
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = np.where(mask == SEEN, density * up / facing, np.nan)
        mask = np.where(np.isfinite(height), mask, np.nan)
        inner = (there[0], there[1], gain, cosine, mask)
        return Surface(*(table[1:-1, 1:-1] for table in inner))

    def _solve(self, row: Floats, col: Floats) -> list[Floats]:
        """Return, at nodes of the mesh: lines and pixels at three heights, the zero of heights,
        the sight of the radar (up, along columns, along rows), and columns and rows a metre."""
        row, col = np.broadcast_arrays(row, col)
        lon, lat = degrees(self.geobox, row, col)
        seen = [self.model.locate(lon, lat, height) for height in _HEIGHTS]
        point = earth_fixed(lon, lat, 0.0)
        up = earth_fixed(lon, lat, 1.0) - point
        along = [
            (earth_fixed(*degrees(self.geobox, row + down, col + across), 0.0) - point) / _NUDGE
            for down, across in ((0.0, _NUDGE), (_NUDGE, 0.0))
        ]
        metres = [np.linalg.norm(vector, axis=-1) for vector in along]
        sight = self.model.sight(lon, lat, 0.0)
        east, south = (
            np.sum(sight * vector, axis=-1) / length
            for vector, length in zip(along, metres, strict=True)
        )
        lines, pixels = zip(*seen, strict=True)
        zero = self.dem.zero(lon, lat)
        vertical = np.sum(sight * up, axis=-1)
        return [*lines, *pixels, zero, vertical, east, south, 1 / metres[0], 1 / metres[1]]


def _widened(axis: Floats, finer: int) -> Floats:
    """Return points with one more on each side, for slopes."""
    return np.concatenate([[axis[0] - 1 / finer], axis, [axis[-1] + 1 / finer]])


def _quadratic(known: list[Floats], height: Floats) -> Floats:
    """Return what is known at ``_HEIGHTS`` at another height, by Lagrange's polynomial."""
    total: Floats = np.zeros_like(height)
    for index, (values, own) in enumerate(zip(known, _HEIGHTS, strict=True)):
        share: Floats = np.ones_like(height)
        for other in (*_HEIGHTS[:index], *_HEIGHTS[index + 1 :]):
            share = np.asarray(share * (height - other) / (own - other), float)
        total = np.asarray(total + share * values, float)
    return total


def _density(line: Floats, pixel: Floats) -> Floats:
    """Return how many radar pixels lie in a point's cell; negative where they are folded."""
    (down, across), (down_pixel, across_pixel) = np.gradient(line), np.gradient(pixel)
    return np.asarray(down * across_pixel - across * down_pixel, float)
