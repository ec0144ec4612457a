"""A scene laid on the grid of another: pixel for pixel where grids agree, resampled elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from sar2opt.config import SceneSettings
from sar2opt.errors import PlacementError
from sar2opt.raster import pixel_area_m2
from sar2opt.sar.radiometry import Power
from sar2opt.scenes.geometry import MapGeometry
from sar2opt.scenes.indexed import Indexed
from sar2opt.scenes.opened import Opened
from sar2opt.scenes.positions import positions
from sar2opt.scenes.warp import warp
from sar2opt.tiles.apply import read_padded
from sar2opt.tiles.plan import Window

_SAME = 1e-3  # pixels; grids that agree to that are taken for one
_LOOKS = 50  # positions a side, in search of common ground


@dataclass(frozen=True)
class Shifted(Indexed):
    """A window of a raster, indexed like an array ``(band, y, x)``; NaN beyond the raster."""

    raster: xr.DataArray
    shape: tuple[int, int, int]
    row: int = 0  # of the raster, at which it begins
    col: int = 0

    def _read(self, bands: slice, rows: slice, cols: slice) -> Power:
        window = Window(
            rows.start + self.row, rows.stop + self.row, cols.start + self.col, cols.stop + self.col
        )
        return read_padded(self.raster[bands], window)


def lay_alongside(scene: xr.DataArray, grid: GeoBox, chunks: int = 1024) -> xr.DataArray:
    """Return ``scene`` ``(band, y, x)``, linear power, on ``grid``, lazily; NaN beyond it.

    Where its own grid is the same but for whole pixels, nothing is resampled; else power is
    interpolated bilinearly, after averaging where the pixels of ``grid`` are larger. What was done
    is added to ``assumptions``. Raises ``PlacementError`` where the two do not overlap.
    """
    own, source = scene.odc.geobox, str(scene.attrs.get("source", ""))
    if not _meet(own, grid):
        raise PlacementError(
            f"{source}: it does not overlap the scene: check that both show the same place"
        )
    shape = len(scene.band), *grid.shape
    origin, notes = _shift(own, grid), list(scene.attrs["assumptions"])
    laid: Any
    if origin is not None:
        laid = Shifted(scene, shape, *origin)
    else:
        everything = Shifted(scene, (len(scene.band), *own.shape))
        spacing = float(np.sqrt(pixel_area_m2(own)))
        laid, _ = warp(everything, MapGeometry(own), grid, spacing, SceneSettings())
        notes.append(f"resampled from its grid in {_name(own)} to the scene's in {_name(grid)}")
    attrs = {key: value for key, value in scene.attrs.items() if key != "scale"}
    attrs["assumptions"] = notes
    names = tuple(str(name) for name in scene.band.values)
    return Opened(laid, grid, names, attrs).raster(chunks)


def _name(grid: GeoBox) -> str:
    assert grid.crs is not None
    return f"EPSG:{grid.crs.epsg}" if grid.crs.epsg else "a CRS without a number"


def _shift(own: GeoBox, grid: GeoBox) -> tuple[int, int] | None:
    """Return where in ``own`` ``grid`` begins, if both have the same pixels; else None."""
    if own.crs != grid.crs:
        return None
    to_own = ~own.affine * grid.affine
    far = to_own * (grid.shape[1], grid.shape[0])
    col, row = round(to_own.c), round(to_own.f)
    expected = (col, row, col + grid.shape[1], row + grid.shape[0])
    agree = np.abs(np.subtract((to_own.c, to_own.f, *far), expected)).max() < _SAME
    return (row, col) if agree else None


def _meet(own: GeoBox, grid: GeoBox) -> bool:
    """Return whether a pixel of one has its centre in the other: the smaller may be either."""
    return _sees(own, grid) or _sees(grid, own)


def _sees(large: GeoBox, small: GeoBox) -> bool:
    row, col = (np.linspace(0.5, size - 0.5, _LOOKS) for size in small.shape)
    line, pixel = positions(MapGeometry(large), small, row[:, None], col[None, :])
    rows, cols = large.shape
    within = (line > -0.5) & (line < rows - 0.5) & (pixel > -0.5) & (pixel < cols - 0.5)
    return bool(within.any())
