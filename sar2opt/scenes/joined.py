"""Windows of a mosaic: tiles resampled on linear power, seams feathered by valid data.

1. A pixel of one tile is that tile's; of several, the mean weighted by the distance to the edge
   of each tile's valid data, up to ``FEATHER`` pixels.
2. For the distances a window is read with a halo of that many pixels, so a pixel comes out the
   same whatever the window. A tile on the mosaic's own lattice is copied, any other resampled by
   its pixels' exact places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from scipy.ndimage import distance_transform_edt
from shapely.affinity import affine_transform
from shapely.geometry.base import BaseGeometry

from sar2opt.sar.radiometry import Power
from sar2opt.scenes.geometry import apply
from sar2opt.scenes.indexed import Indexed
from sar2opt.scenes.opened import Source

FEATHER = 32  # pixels
_ROUNDING = 1e-3  # pixels; grids that differ by less are one lattice


@dataclass(frozen=True)
class Tile:
    """A band of a source, and where it lies on the grid of the mosaic."""

    source: Source
    band: int
    transform: Affine
    crs: str
    offset: tuple[int, int] | None  # rows and columns, if the two share a lattice
    footprint: BaseGeometry  # columns and rows of the mosaic

    @classmethod
    def place(cls, source: Source, geobox: GeoBox, band: int, grid: GeoBox) -> Tile:
        """Lay a band on the grid of the mosaic."""
        shift = ~grid.affine * geobox.affine  # of the tile's pixels to those of the mosaic
        offset = round(shift.f), round(shift.c)
        corners = [(0, 0), (geobox.shape[1], geobox.shape[0])]
        places = np.array([shift * corner for corner in corners])
        same = np.abs(places - corners - np.array(offset[::-1])).max() < _ROUNDING
        shared = offset if same and geobox.crs == grid.crs else None
        footprint = outline_on(geobox, grid)
        return cls(source, band, geobox.affine, str(geobox.crs), shared, footprint)

    def read(self, rows: slice, cols: slice, transform: Affine, crs: str) -> Power:
        """Return a window ``(y, x)`` of the mosaic, which may lie beyond it; NaN for no data."""
        if self.offset is None:
            return self._resampled(rows, cols, transform, crs)
        row, col = self.offset
        return self._own(
            slice(rows.start - row, rows.stop - row), slice(cols.start - col, cols.stop - col)
        )

    def _own(self, rows: slice, cols: slice) -> Power:
        """Return a window of the tile's own pixels, NaN beyond its edges."""
        _, height, width = self.source.shape
        out = np.full((rows.stop - rows.start, cols.stop - cols.start), np.nan, np.float32)
        top, bottom = (min(max(row, 0), height) for row in (rows.start, rows.stop))
        left, right = (min(max(col, 0), width) for col in (cols.start, cols.stop))
        if top < bottom and left < right:
            inner = (
                slice(top - rows.start, bottom - rows.start),
                slice(left - cols.start, right - cols.start),
            )
            out[inner] = self.source[
                slice(self.band, self.band + 1), slice(top, bottom), slice(left, right)
            ][0]
        return out

    def _resampled(self, rows: slice, cols: slice, transform: Affine, crs: str) -> Power:
        """Resample bilinearly; a pixel needs valid neighbours of more than half the weight."""
        col, row = np.meshgrid(
            np.arange(cols.start, cols.stop) + 0.5, np.arange(rows.start, rows.stop) + 0.5
        )
        to_own = CRS(crs).transformer_to_crs(CRS(self.crs), always_xy=True)
        x, y = (np.asarray(axis, float) for axis in to_own(*apply(transform, col, row)))
        col, row = apply(~self.transform, x, y)
        top, left = np.floor(row - 0.5), np.floor(col - 0.5)
        far = ~(np.isfinite(top) & np.isfinite(left))
        _, height, width = self.source.shape
        far |= (top < -1) | (top >= height) | (left < -1) | (left >= width)
        if far.all():
            return np.full(col.shape, np.nan, np.float32)
        down, right = row - 0.5 - top, col - 0.5 - left
        first, last = int(top[~far].min()), int(top[~far].max()) + 2
        start, stop = int(left[~far].min()), int(left[~far].max()) + 2
        power = self._own(slice(first, last), slice(start, stop))
        i = np.where(far, 0, top - first).astype(int)
        j = np.where(far, 0, left - start).astype(int)
        total, weights = np.zeros(col.shape), np.zeros(col.shape)
        for y, x, weight in (
            (i, j, (1 - down) * (1 - right)), (i, j + 1, (1 - down) * right),
            (i + 1, j, down * (1 - right)), (i + 1, j + 1, down * right),
        ):  # fmt: skip
            value = power[y, x]
            valid = np.isfinite(value)
            total[valid] += (weight * value)[valid]
            weights[valid] += weight[valid]
        enough = ~far & (weights > 0.5)
        return np.where(enough, total / np.where(enough, weights, 1), np.nan).astype(np.float32)


def outline_in(geobox: GeoBox, crs: str) -> BaseGeometry:
    """Return the outline of a grid in a CRS, its edges bent as the CRS bends them."""
    outline = geobox.extent.geom
    if str(geobox.crs) == crs:
        return outline
    to_crs = CRS(str(geobox.crs)).transformer_to_crs(CRS(crs), always_xy=True)
    dense = shapely.segmentize(outline, outline.length / 256)
    return shapely.transform(dense, lambda at: np.column_stack(to_crs(at[:, 0], at[:, 1])))


def outline_on(geobox: GeoBox, grid: GeoBox) -> BaseGeometry:
    """Return the outline of a grid in columns and rows of another."""
    return affine_transform(outline_in(geobox, str(grid.crs)), (~grid.affine).to_shapely())


@dataclass(frozen=True)
class JoinedSource(Indexed):
    """Tiles of one or more bands, indexed like an array ``(band, y, x)`` of linear power."""

    tiles: tuple[tuple[Tile, ...], ...]  # of each band
    shape: tuple[int, int, int]
    transform: Affine
    crs: str

    def _read(self, bands: slice, rows: slice, cols: slice) -> Power:
        window = shapely.box(cols.start - 2, rows.start - 2, cols.stop + 2, rows.stop + 2)
        return np.stack(
            [
                self._blend(
                    [tile for tile in tiles if tile.footprint.intersects(window)], rows, cols
                )
                for tiles in self.tiles[bands]
            ]
        )

    def _blend(self, tiles: list[Tile], rows: slice, cols: slice) -> Power:
        shape = rows.stop - rows.start, cols.stop - cols.start
        if len(tiles) < 2:
            return next(
                (tile.read(rows, cols, self.transform, self.crs) for tile in tiles),
                np.full(shape, np.nan, np.float32),
            )
        halo = FEATHER + 1
        wide = (
            slice(rows.start - halo, rows.stop + halo),
            slice(cols.start - halo, cols.stop + halo),
        )
        total, weights = np.zeros(shape), np.zeros(shape)
        alone, count = np.full(shape, np.nan, np.float32), np.zeros(shape, int)
        for tile in tiles:
            padded = tile.read(*wide, self.transform, self.crs)
            power = padded[halo:-halo, halo:-halo]
            valid = np.isfinite(power)
            weight = _inward(np.isfinite(padded))[halo:-halo, halo:-halo]
            total += np.where(valid, power * weight, 0)
            weights += weight
            count += valid
            alone = np.where(valid, power, alone)
        mean = total / np.where(weights > 0, weights, 1)
        return np.where(count > 1, mean, alone).astype(np.float32)


def _inward(valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.floating[Any]]:
    """Return the distance to the nearest pixel without data, in pixels, up to ``FEATHER``."""
    if valid.all():
        return np.full(valid.shape, float(FEATHER))
    distance: npt.NDArray[np.floating[Any]] = distance_transform_edt(valid)
    return np.asarray(np.minimum(distance, FEATHER))
