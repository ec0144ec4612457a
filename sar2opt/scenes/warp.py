"""Radar geometry laid on the map: block by block, lazily, on linear power.

1. The target grid is chosen from the settings, or is UTM at the product's own spacing.
2. Lines and pixels are solved for exactly at a mesh of target pixels, and linear between: the
   mesh is made as fine as keeps that within ``_TOLERANCE``.
3. A block reads the window of the source that it needs and interpolates bilinearly; where a
   target pixel is larger than a source pixel, it is the mean of several such points.

The mesh is tied to the whole target grid, so a pixel is the same however blocks are cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
from dask.base import tokenize
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from sar2opt.config import SceneSettings
from sar2opt.errors import LayerError
from sar2opt.raster import pixel_area_m2
from sar2opt.sar.geolocation import Floats, GeolocationGrid
from sar2opt.sar.radiometry import Power
from sar2opt.sar.resampling import between, bilinear, block_mean
from sar2opt.scenes.aoi import pixel_window, read_aoi
from sar2opt.scenes.blocks import outside_aoi, span
from sar2opt.scenes.geometry import Geometry, degrees, grid_geometry
from sar2opt.scenes.target import Target

_TOLERANCE = 0.02  # source pixels, of the positions between those solved for
_STEPS, _FINEST = (64, 32, 16, 8), 4  # target pixels between positions solved for
_CELLS = 24  # of the mesh, a side, on which the tolerance is checked
_MOST_POINTS = 2**22  # that are computed at once
_MOST_SOURCE = 2**24  # pixels of the source that are read at once
_LOOKS = 100  # positions a side, in search of the radar's swath in the area of interest


@dataclass(frozen=True)
class WarpedSource:
    """A radar raster that is indexed like an array ``(band, y, x)`` of the target grid."""

    source: Any  # indexed (band, line, pixel), float32 linear power, NaN where no data
    geometry: Geometry
    geobox: GeoBox  # the whole target grid
    rows: slice  # the part of it that is the scene
    cols: slice
    step: int  # target pixels between positions that are solved for
    finer: int  # a target pixel is the mean of finer x finer points
    aoi: BaseGeometry | None = None

    dtype = np.dtype(np.float32)
    ndim = 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return ``(band, y, x)``."""
        height, width = self.rows.stop - self.rows.start, self.cols.stop - self.cols.start
        return self.source.shape[0], height, width

    def __getitem__(self, index: tuple[Any, ...]) -> Power:
        """Compute an index for each dimension: an integer, a slice or a list, one by one."""
        of_band, of_row, of_col = index
        top, bottom, pick_row = span(of_row, self.shape[1])
        left, right, pick_col = span(of_col, self.shape[2])
        first, last, pick_band = span(of_band, self.shape[0])
        power: Power = np.full((last - first, bottom - top, right - left), np.nan, np.float32)
        if power.size:
            down, across = self.rows.start, self.cols.start
            self._fill(power, slice(first, last), (top + down, left + across))
        picked: Power = power[:, :, pick_col][:, pick_row][pick_band]
        return picked

    def _fill(self, power: Power, bands: slice, corner: tuple[int, int]) -> None:
        """Compute ``power`` ``(band, y, x)`` in place, by halves until memory allows it."""
        rows, cols = power.shape[1:]
        if rows * cols * self.finer**2 > _MOST_POINTS and rows * cols > 1:
            return self._halve(power, bands, corner)
        outside = None
        if self.aoi is not None:
            transform = self.geobox.affine @ type(self.geobox.affine).translation(*corner[::-1])
            outside = outside_aoi(self.aoi, transform, (rows, cols))
            if outside.all():
                return None
        line, pixel = self._positions(corner, (rows, cols))
        window = self._window(line, pixel)
        if window is None:
            return None
        if _size(window) > _MOST_SOURCE:
            return self._halve(power, bands, corner) if rows * cols > 1 else None
        read: Power = self.source[(bands, *window)]
        at = np.stack([line - window[0].start, pixel - window[1].start])
        for band, values in zip(power, read, strict=True):
            band[:] = block_mean(bilinear(values, at), self.finer)
        if outside is not None:
            power[:, outside] = np.nan
        return None

    def _halve(self, power: Power, bands: slice, corner: tuple[int, int]) -> None:
        axis = 1 if power.shape[1] >= power.shape[2] else 2
        half = power.shape[axis] // 2
        first, second = np.split(power, [half], axis=axis)  # views
        self._fill(first, bands, corner)
        down, across = (half, 0) if axis == 1 else (0, half)
        self._fill(second, bands, (corner[0] + down, corner[1] + across))

    def _window(self, line: Floats, pixel: Floats) -> tuple[slice, slice] | None:
        """Return the part of the source that has a share in these positions."""
        _, lines, pixels = self.source.shape
        seen = _inside(line, pixel, (lines, pixels))
        if not seen.any():
            return None
        line[~seen] = pixel[~seen] = -2.0  # NaN too; all of it outside
        spans = ((line[seen], lines), (pixel[seen], pixels))
        first, second = (
            slice(max(int(np.floor(at.min())), 0), min(int(np.floor(at.max())) + 2, size))
            for at, size in spans
        )
        return first, second

    def _positions(self, corner: tuple[int, int], shape: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return lines and pixels of the points of a block, ``finer`` times its shape."""
        rows, cols = (
            start + (np.arange(size * self.finer) + 0.5) / self.finer
            for start, size in zip(corner, shape, strict=True)
        )
        nodes = [
            np.arange(int(at[0] // self.step), int(at[-1] // self.step) + 2) * self.step
            for at in (rows, cols)
        ]
        known = positions(self.geometry, self.geobox, nodes[0][:, None], nodes[1][None, :])
        line, pixel = (
            between(between(at, rows / self.step - nodes[0][0] // self.step).T,
                     cols / self.step - nodes[1][0] // self.step).T
            for at in known
        )  # fmt: skip
        return line, pixel


def geocode(
    source: Any,
    grid: GeolocationGrid,
    spacing: float,
    settings: SceneSettings,
    chunks: int,
    crs: str | None = None,
) -> tuple[da.Array, GeoBox, list[str]]:
    """Lay a raster in radar geometry on the map: a lazy array, its grid, and what was assumed.

    ``source`` is indexed ``(band, line, pixel)`` and gives float32 linear power, NaN where there
    is no data; it must pickle, and read only what is asked of it. ``spacing`` is that of the
    product's pixels on the ground, metres. ``crs`` stands for the UTM zone of the scene's centre
    where the settings name none. The array is ``(band, y, x)``, float32.

    Raises ``PlacementError`` (a grid or target that cannot be), ``LayerError`` (area of interest).
    """
    geometry, notes = grid_geometry(grid, settings)
    data, geobox = lay(source, geometry, spacing, settings, chunks, crs)
    return data, geobox, notes


def lay(
    source: Any,
    geometry: Geometry,
    spacing: float,
    settings: SceneSettings,
    chunks: int,
    crs: str | None = None,
) -> tuple[da.Array, GeoBox]:
    """Lay a raster of any geometry on the map, as ``geocode`` does; return array and grid."""
    extent = source.shape[1:]
    whole = Target.of(settings, crs).geobox(geometry, extent, spacing)
    rows, cols, aoi = slice(0, whole.shape[0]), slice(0, whole.shape[1]), None
    if settings.aoi is not None:
        aoi = read_aoi(settings.aoi, whole)
        rows, cols = pixel_window(aoi, whole)
        _refuse_unseen(geometry, whole, (rows, cols), extent, f"{settings.aoi}: the area")
    finer = max(round(np.sqrt(pixel_area_m2(whole)) / spacing), 1)
    step = _step(geometry, whole, extent)
    warped = WarpedSource(source, geometry, whole, rows, cols, step, finer, aoi)
    data = da.from_array(
        warped,
        chunks=(-1, chunks, chunks),
        name=f"geocoded-{tokenize(warped, chunks)}",
        meta=np.empty((0, 0, 0), np.float32),
        inline_array=True,
    )
    return data, whole[rows, cols]


def positions(geometry: Geometry, geobox: GeoBox, row: Any, col: Any) -> tuple[Floats, Floats]:
    """Return lines and pixels of rows and columns of a target grid, counted from pixel edges."""
    row, col = np.broadcast_arrays(row, col)
    return geometry.locate(*degrees(geobox, row.astype(float), col.astype(float)))


def _refuse_unseen(
    geometry: Geometry, geobox: GeoBox, window: tuple[slice, slice], extent: Any, what: str
) -> None:
    row, col = (np.linspace(part.start, part.stop, _LOOKS) for part in window)
    line, pixel = positions(geometry, geobox, row[:, None], col[None, :])
    if not _inside(line, pixel, extent).any():
        raise LayerError(f"{what} lies where the radar did not look: check it against the scene")


def _step(geometry: Geometry, geobox: GeoBox, extent: tuple[int, int]) -> int:
    """Return the coarsest mesh between whose nodes positions are linear within the tolerance."""
    for step in _STEPS:
        row, col = (
            np.unique(np.linspace(0, max(size / step - 1, 0), _CELLS).astype(int)) * step
            for size in geobox.shape
        )
        row, col = np.meshgrid(row, col, indexing="ij")
        corners = [
            positions(geometry, geobox, row + down, col + across)
            for down in (0, step) for across in (0, step)
        ]  # fmt: skip
        line, pixel = positions(geometry, geobox, row + step / 2, col + step / 2)
        off = np.hypot(*(np.mean(corners, axis=0) - (line, pixel)))
        off = off[_inside(line, pixel, extent)]
        if not np.any(off > _TOLERANCE):
            return step
    return _FINEST


def _inside(line: Floats, pixel: Floats, extent: tuple[int, int]) -> npt.NDArray[np.bool_]:
    return (line > -1) & (line < extent[0]) & (pixel > -1) & (pixel < extent[1])


def _size(window: tuple[slice, slice]) -> int:
    lines, pixels = (part.stop - part.start for part in window)
    return int(lines * pixels)
