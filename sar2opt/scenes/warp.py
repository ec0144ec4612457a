"""Radar geometry laid on the map: block by block, lazily, on linear power.

1. The target grid is chosen from the settings, or is UTM at the product's own spacing.
2. ``Positions`` say where the points of a block are seen in the source.
3. The block reads the window of the source that it needs and interpolates bilinearly; where a
   target pixel is larger than a source pixel, it is the mean of several such points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from sar2opt.config import SceneSettings
from sar2opt.errors import LayerError, PlacementError
from sar2opt.raster import pixel_area_m2
from sar2opt.sar.geolocation import Floats, GeolocationGrid
from sar2opt.sar.orbit import RangeDoppler
from sar2opt.sar.radiometry import Power
from sar2opt.sar.resampling import bilinear, block_mean
from sar2opt.scenes.aoi import pixel_window, read_aoi
from sar2opt.scenes.blocks import outside_aoi
from sar2opt.scenes.dem import open_dem
from sar2opt.scenes.geometry import Geometry, grid_geometry
from sar2opt.scenes.indexed import Indexed
from sar2opt.scenes.positions import FlatPositions, Positions, inside, mesh_step, positions
from sar2opt.scenes.target import Target
from sar2opt.scenes.terrain import TerrainPositions

_MOST_POINTS = 2**22  # that are computed at once
_MOST_SOURCE = 2**24  # pixels of the source that are read at once
_COARSE = 500  # pixels a side, on which the cover of a terrain model is measured
_LOOKS = 100  # positions a side, in search of the radar's swath in the area of interest


@dataclass(frozen=True)
class WarpedSource(Indexed):
    """A radar raster that is indexed like an array ``(band, y, x)`` of the target grid."""

    source: Any  # indexed (band, line, pixel), float32 linear power, NaN where no data
    positions: Positions
    geobox: GeoBox  # the whole target grid
    rows: slice  # the part of it that is the scene
    cols: slice
    finer: int  # a target pixel is the mean of finer x finer points
    aoi: BaseGeometry | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return ``(band, y, x)``."""
        height, width = self.rows.stop - self.rows.start, self.cols.stop - self.cols.start
        return self.source.shape[0], height, width

    def outside(
        self, corner: tuple[int, int], shape: tuple[int, int]
    ) -> npt.NDArray[np.bool_] | None:
        """Return True ``(y, x)`` outside the area of interest; None where there is none.

        ``corner`` is the first row and column of the block, counted on the whole target grid.
        """
        if self.aoi is None:
            return None
        transform = self.geobox.affine @ Affine.translation(*corner[::-1])
        return outside_aoi(self.aoi, transform, shape)

    def _read(self, bands: slice, rows: slice, cols: slice) -> Power:
        shape = (part.stop - part.start for part in (bands, rows, cols))
        power: Power = np.full(tuple(shape), np.nan, np.float32)
        self._fill(power, bands, (rows.start + self.rows.start, cols.start + self.cols.start))
        return power

    def _fill(self, power: Power, bands: slice, corner: tuple[int, int]) -> None:
        """Compute ``power`` ``(band, y, x)`` in place, by halves until memory allows it."""
        rows, cols = power.shape[1:]
        if rows * cols * self.finer**2 > _MOST_POINTS and rows * cols > 1:
            return self._halve(power, bands, corner)
        outside = self.outside(corner, (rows, cols))
        if outside is not None and outside.all():
            return None
        line, pixel, gain = self.positions.of(corner, (rows, cols), self.finer)
        window = self._window(line, pixel)
        if window is None:
            return None
        if _size(window) > _MOST_SOURCE:
            return self._halve(power, bands, corner) if rows * cols > 1 else None
        read: Power = self.source[(bands, *window)]
        at = np.stack([line - window[0].start, pixel - window[1].start])
        for band, values in zip(power, read, strict=True):
            sampled = bilinear(values, at)
            if gain is not None:
                sampled *= gain.astype(np.float32)
            band[:] = block_mean(sampled, self.finer, self.finer)
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
        seen = inside(line, pixel, (lines, pixels))
        if not seen.any():
            return None
        line[~seen] = pixel[~seen] = -2.0  # NaN too; all of it outside
        spans = ((line[seen], lines), (pixel[seen], pixels))
        first, second = (
            slice(max(int(np.floor(at.min())), 0), min(int(np.floor(at.max())) + 2, size))
            for at, size in spans
        )
        return first, second


def geocoded(
    source: Any,
    grid: GeolocationGrid,
    spacing: float,
    settings: SceneSettings,
    crs: str | None = None,
    model: RangeDoppler | None = None,
) -> tuple[WarpedSource, GeoBox, list[str]]:
    """Lay a raster in radar geometry on the map: a source on it, its grid, and what was assumed.

    ``source`` is indexed ``(band, line, pixel)`` and gives float32 linear power, NaN where there
    is no data; it must pickle, and read only what is asked of it. ``spacing`` is that of the
    product's pixels on the ground, metres. ``crs`` stands for the UTM zone of the scene's centre
    where the settings name none. ``model`` is what terrain correction needs, which also flattens:
    gamma nought on the ellipsoid becomes that on the terrain.

    Raises ``PlacementError`` (a grid, terrain model or target that cannot be), ``LayerError``.
    """
    geometry, notes = grid_geometry(grid, settings)
    whole = Target.of(settings, crs).geobox(geometry, source.shape[1:], spacing)
    if settings.dem is None:
        return *warp(source, geometry, whole, spacing, settings), notes
    terrain, notes = terrain_positions(model, whole, settings)
    return *warp(source, geometry, whole, spacing, settings, terrain), notes


def terrain_positions(
    model: RangeDoppler | None, whole: GeoBox, settings: SceneSettings
) -> tuple[TerrainPositions, list[str]]:
    """Return positions on a terrain model, and what was assumed; raises ``PlacementError``."""
    if model is None:
        raise PlacementError("terrain correction needs the orbit, which it lacks: leave out --dem")
    assert settings.dem is not None
    dem, notes = open_dem(settings.dem)
    part = whole
    if settings.aoi is not None:
        part = whole[pixel_window(read_aoi(settings.aoi, whole), whole)]
    coarse = part.zoom_to(_COARSE)
    shape = coarse.shape[0], coarse.shape[1]
    covered = np.isfinite(dem.heights(coarse.affine, str(coarse.crs), shape)).mean()
    if covered == 0:
        raise PlacementError(f"{settings.dem}: the terrain model lies outside the map")
    if covered < 0.99:
        notes.append(f"the terrain model covers {covered:.1%} of the map: no data beyond it")
    how = (
        "range-Doppler terrain correction, flattened by the area seen (layover and shadow cut out)"
    )
    return TerrainPositions(model, dem, whole), [how, *notes]


def warp(
    source: Any,
    geometry: Geometry,
    whole: GeoBox,
    spacing: float,
    settings: SceneSettings,
    places: Positions | None = None,
) -> tuple[WarpedSource, GeoBox]:
    """Lay a raster of any geometry on the map ``whole``; return the source and its grid.

    The grid is cut to the area of interest. Positions follow from the geometry if not given.
    """
    extent = source.shape[1:]
    rows, cols, aoi = slice(0, whole.shape[0]), slice(0, whole.shape[1]), None
    if settings.aoi is not None:
        aoi = read_aoi(settings.aoi, whole)
        rows, cols = pixel_window(aoi, whole)
        _refuse_unseen(geometry, whole, (rows, cols), extent, f"{settings.aoi}: the area")
    finer = max(round(np.sqrt(pixel_area_m2(whole)) / spacing), 1)
    places = places or FlatPositions(geometry, whole, mesh_step(geometry, whole, extent))
    return WarpedSource(source, places, whole, rows, cols, finer, aoi), whole[rows, cols]


def _refuse_unseen(
    geometry: Geometry, geobox: GeoBox, window: tuple[slice, slice], extent: Any, what: str
) -> None:
    row, col = (np.linspace(part.start, part.stop, _LOOKS) for part in window)
    line, pixel = positions(geometry, geobox, row[:, None], col[None, :])
    if not inside(line, pixel, extent).any():
        raise LayerError(f"{what} lies where the radar did not look: check it against the scene")


def _size(window: tuple[slice, slice]) -> int:
    lines, pixels = (part.stop - part.start for part in window)
    return int(lines * pixels)
