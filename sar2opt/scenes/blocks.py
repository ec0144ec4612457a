"""Windows of a raster file as linear power: what Dask reads block by block."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from affine import Affine
from rasterio.errors import RasterioIOError
from rasterio.features import geometry_mask
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

from sar2opt.errors import SceneError
from sar2opt.sar.radiometry import Power, to_power
from sar2opt.scenes.indexed import Indexed

# rasterio silences a warning while it rasterises, and the filters of warnings are not per thread
ONE_AT_A_TIME = threading.Lock()
MOST_PIXELS = 2**36  # 50 times the largest Sentinel-1 scene; a header may claim anything
_MOST_BLOCKS = 500_000  # checked from the end, in two seconds


@dataclass(frozen=True)
class BlockSource(Indexed):
    """A raster file that is indexed like an array ``(band, y, x)`` of float32 linear power.

    It holds no open file, so it pickles, and threads and processes may share it. Each read opens
    the file anew: that costs a few milliseconds a block, and GDAL's cache of blocks, which lives
    as long as the open file, cannot grow with the scene. ``dask.array.from_array`` wraps it, and
    a slice of the Dask array reads that slice only.
    """

    path: str
    bands: tuple[int, ...]  # as GDAL counts, from 1
    rows: slice  # the part of the file that is the scene
    cols: slice
    scale: str
    nodata: tuple[float | None, ...]  # of each band
    gains: tuple[tuple[float, float], ...]  # of each band: physical = a * stored + b
    masked: bool  # the file has a mask or an alpha band
    zero_is_nodata: bool
    stamp: tuple[int, int] = (0, 0)  # time and size of the file: another stamp, other pixels
    aoi: BaseGeometry | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return ``(band, y, x)``."""
        height, width = self.rows.stop - self.rows.start, self.cols.stop - self.cols.start
        return len(self.bands), height, width

    def _read(self, bands: slice, rows: slice, cols: slice) -> Power:
        top, left = rows.start + self.rows.start, cols.start + self.cols.start
        window = Window(left, top, cols.stop - cols.start, rows.stop - rows.start)
        with open_raster(self.path) as file:
            return to_power(self._of(bands.start, bands.stop).read(file, window), self.scale)

    def _of(self, first: int, last: int) -> BlockSource:
        """Return the source of some of the bands."""
        some = slice(first, last)
        return replace(
            self, bands=self.bands[some], nodata=self.nodata[some], gains=self.gains[some]
        )

    def read(self, file: rasterio.DatasetReader, window: Window) -> Power:
        """Return physical values ``(band, y, x)``, not yet power; NaN where there is no data."""
        transform = file.transform * Affine.translation(window.col_off, window.row_off)
        shape = window.height, window.width
        outside = None if self.aoi is None else outside_aoi(self.aoi, transform, shape)
        if outside is not None and outside.all():
            return np.full((len(self.bands), *shape), np.nan, np.float32)
        try:
            stored = file.read(self.bands, window=window)
            mask = file.dataset_mask(window=window) if self.masked else None
        except RasterioIOError as error:
            raise SceneError(
                f"{self.path}: rows {window.row_off} to {window.row_off + window.height} cannot "
                "be read: the file is damaged or cut off: fetch it again"
            ) from error
        with np.errstate(over="ignore"):  # float64 holds nodata values that float32 does not
            values: Power = stored.astype(np.float32)
        for band, (gain, offset) in enumerate(self.gains):
            if (gain, offset) != (1, 0):
                values[band] = stored[band] * gain + offset
            values[band][_equals(stored[band], self.nodata[band])] = np.nan
        if self.zero_is_nodata:
            values[stored == 0] = np.nan
        values[~np.isfinite(values)] = np.nan
        if mask is not None:
            values[:, mask == 0] = np.nan
        if outside is not None:
            values[:, outside] = np.nan
        return values


def outside_aoi(
    aoi: BaseGeometry, transform: Affine, shape: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Return True ``(y, x)`` where the centres of a window's pixels lie outside an area."""
    left, top = transform * (0, 0)
    right, bottom = transform * (shape[1], shape[0])
    if not aoi.intersects(shapely.box(left, bottom, right, top)):
        return np.ones(shape, bool)
    with ONE_AT_A_TIME:
        return np.asarray(geometry_mask([aoi], shape, transform), dtype=bool)


def open_raster(path: str) -> rasterio.DatasetReader:
    """Open a GeoTIFF (within a tar file, a GeoTIFF or an ENVI raster), by no other driver.

    Raises ``SceneError`` if it is damaged, or, of a file that lies elsewhere, does not come.
    """
    envi = path.startswith("/vsitar/") and not path.lower().endswith((".tif", ".tiff"))
    how = {"CPL_VSIL_GZIP_WRITE_PROPERTIES": "NO"}  # else GDAL leaves a file beside the archive
    if path.startswith("/vsicurl/"):
        how = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_HTTP_TIMEOUT": "30"}
    try:
        with rasterio.Env(**(how if path.startswith("/vsi") else {})):
            return rasterio.open(path, driver="ENVI" if envi else "GTiff")
    except RasterioIOError as error:
        if path.startswith("/vsicurl/"):
            raise SceneError(
                f"{path.removeprefix('/vsicurl/')}: the file cannot be fetched: check the address, "
                "the network and whether it wants a signature"
            ) from error
        raise SceneError(
            f"{path}: the TIFF cannot be read: it is damaged or cut off: fetch it again"
        ) from error


def file_stamp(name: str) -> tuple[int, int]:
    """Return time of change and size of a file that lies here; another stamp, other pixels."""
    if name.startswith("/vsi"):
        return 0, 0
    state = Path(name).stat()
    return state.st_mtime_ns, state.st_size


def check_length(file: rasterio.DatasetReader, length: int) -> None:
    """Raise ``SceneError`` if a block lies beyond the file's length, bytes; reads none."""
    height, width = file.block_shapes[0]
    bands = file.indexes[:1] if file.interleaving.name == "pixel" else file.indexes
    rows, cols = range(-(-file.height // height)), range(-(-file.width // width))
    end = 0
    for band, row, col in islice(product(bands, rows[::-1], cols[::-1]), _MOST_BLOCKS):
        start = file.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
        if start is not None:  # else the block was never written: all no data
            size = file.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band)
            end = max(end, int(start) + int(size))
    if end > length:
        raise SceneError(
            f"{file.name}: the file is cut off: it has {length} bytes, but its pixels "
            f"reach to byte {end}: fetch it again"
        )


def _equals(stored: npt.NDArray[Any], value: float | None) -> npt.NDArray[np.bool_] | bool:
    """Compare in the type of the file, where -3.4028235e38 has the bits that were written."""
    if value is None or np.isnan(value):
        return False
    with np.errstate(over="ignore"):
        if np.issubdtype(stored.dtype, np.integer):
            limits = np.iinfo(stored.dtype)
            if not (float(value).is_integer() and limits.min <= value <= limits.max):
                return False
        equal: npt.NDArray[np.bool_] = stored == stored.dtype.type(value)
    return equal
