"""A scene that is open but not read: an array by windows, its grid, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from dask.base import tokenize
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from sar2opt.errors import SceneError
from sar2opt.raster import make_raster
from sar2opt.sar.radiometry import Power
from sar2opt.scenes.aoi import pixel_window, read_aoi
from sar2opt.scenes.blocks import outside_aoi
from sar2opt.scenes.indexed import Indexed

_SEARCH = 1024  # pixels; side of the blocks that are searched for data


class Source(Protocol):
    """What Dask takes for an array ``(band, y, x)`` of float32 linear power, NaN for no data."""

    @property
    def shape(self) -> tuple[int, int, int]: ...

    def __getitem__(self, index: tuple[Any, ...]) -> Power: ...


@dataclass(frozen=True)
class Opened:
    """A scene that is open; a mosaic is made of several."""

    source: Source
    geobox: GeoBox
    names: tuple[str, ...]  # of the bands
    attrs: dict[str, Any]

    def raster(self, chunks: int) -> xr.DataArray:
        """Return the scene as a lazy array in the convention of ``raster.py``."""
        data = da.from_array(
            self.source,
            chunks=(-1, chunks, chunks),
            name=f"scene-{tokenize(self.source, chunks)}",
            meta=np.empty((0, 0, 0), np.float32),
            inline_array=True,
        )
        return make_raster(data, self.geobox, self.names, scale="linear", **self.attrs)


@dataclass(frozen=True)
class Cut(Indexed):
    """The part of a source that an area of interest holds; NaN outside its polygons."""

    source: Source
    shape: tuple[int, int, int]
    origin: tuple[int, int]  # row and column of the source
    transform: Affine
    aoi: BaseGeometry

    def _read(self, bands: slice, rows: slice, cols: slice) -> Power:
        row, col = self.origin
        power = self.source[
            bands,
            slice(rows.start + row, rows.stop + row),
            slice(cols.start + col, cols.stop + col),
        ]
        corner = self.transform * Affine.translation(cols.start, rows.start)
        beyond = outside_aoi(self.aoi, corner, (power.shape[1], power.shape[2]))
        power[:, beyond] = np.nan
        return power


def cut(scene: Opened, path: Path | None) -> Opened:
    """Return what lies in the polygons of a vector file; raises if nothing does."""
    if path is None:
        return scene
    aoi = read_aoi(path, scene.geobox)
    rows, cols = pixel_window(aoi, scene.geobox)
    geobox = scene.geobox[rows, cols]
    shape = (len(scene.names), *geobox.shape)
    source = Cut(scene.source, shape, (rows.start, cols.start), geobox.affine, aoi)
    for top, left in product(range(0, shape[1], _SEARCH), range(0, shape[2], _SEARCH)):
        window = slice(top, top + _SEARCH), slice(left, left + _SEARCH)
        if np.isfinite(source[slice(None), *window]).any():
            return replace(scene, source=source, geobox=geobox)
    raise SceneError(
        f"{scene.attrs['source']}: every pixel of the scene within the area of interest is no data"
    )
