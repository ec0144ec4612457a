"""Finished raster products, opened again: as DataArrays, or as layers of bytes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from sar2opt.errors import PlacementError, SceneError
from sar2opt.raster import NO_TAG, make_raster

MOST_PIXELS = 2**36  # as of scenes; a header may claim anything


def open_product(folder: Path, product: str) -> xr.DataArray:
    """Open a finished raster product of ``folder`` lazily, in the convention of ``raster.py``.

    Imagery is scaled to [0, 1], backscatter (``sar``) is as displayed; no data becomes NaN.
    Raises ``SceneError`` where there is none.
    """
    paths = sorted(folder.glob(f"*_{product}.tif"))
    if len(paths) != 1:
        raise SceneError(
            f"{folder}: holds {len(paths)} files *_{product}.tif: name one scene's folder"
        )
    path = paths[0]
    with rasterio.open(path) as cog:
        geobox = GeoBox(cog.shape, cog.transform, cog.crs.to_wkt())
        bands, tags = cog.count, cog.tags()
    measured = product == "sar"
    names = {
        ("optical", 3): ("red", "green", "blue"),
        ("optical", 1): ("grey",),
        ("sar", 1): (tags.get("POLARISATION", "").lower(),),
    }
    data = _lazy(path, bands, geobox, 1 / 255 if product == "optical" else 1.0)
    return make_raster(
        data,
        geobox,
        names.get((product, bands), (product,)),
        quantity="intensity" if measured else product,
        scale="uint8" if measured else "linear",
        acquired=tags.get("ACQUIRED", ""),
        source=tags.get("SOURCE", ""),
        **({} if measured else {"generated": tags["GENERATED"]}),
    )


def _lazy(path: Path, bands: int, geobox: GeoBox, gain: float) -> Any:
    def read(block_info: dict[None, dict[str, list[tuple[int, int]]]]) -> npt.NDArray[np.float32]:
        _, (y0, y1), (x0, x1) = block_info[None]["array-location"]
        with rasterio.open(path) as cog:
            values = cog.read(window=((y0, y1), (x0, x1)), masked=True)
        scaled: npt.NDArray[np.float32] = values.astype(np.float32) * np.float32(gain)
        return scaled.filled(np.nan)  # type: ignore[attr-defined, no-any-return]

    template = da.empty((1, *geobox.shape), chunks=(1, 1024, 1024))
    return da.map_blocks(
        read,
        chunks=((bands,), *template.chunks[1:]),
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
    )


def _geotiff(path: Path) -> rasterio.DatasetReader:
    """Open a GeoTIFF, by no other driver: some fetch what a file names, from anywhere."""
    with warnings.catch_warnings():  # of a file without a place, for which there is an error
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, driver="GTiff")


def probability_file(tags: Path) -> Path:
    """Return the name of the file of probabilities beside a file of tags."""
    return tags.with_name(f"{tags.stem}_probability.tif")


class ByteLayer:
    """A raster file of one band of bytes, seen as ``(y, x)``; 255 where there is no data.

    It is read window by window, from any thread. Raises ``SceneError`` for what is no such raster,
    ``PlacementError`` for one without a place on the Earth.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with _geotiff(path) as file:
                self.shape: tuple[int, int] = file.shape
                kind, crs, affine = (file.count, *file.dtypes), file.crs, file.transform
                self.tags: dict[str, str] = file.tags()
        except (RasterioError, OSError) as error:
            said = "no such file" if not path.exists() else "not a GeoTIFF, or damaged"
            raise SceneError(f"{path}: {said}") from error
        if kind != (1, "uint8"):
            raise SceneError(
                f"{path}: it has {kind[0]} band{'s' * (kind[0] > 1)} of {kind[1]}: tags are one "
                "band of uint8: give what 'sar2opt tag' or 'sar2opt run' wrote"
            )
        if self.shape[0] * self.shape[1] > MOST_PIXELS:
            raise SceneError(f"{path}: its header claims {self.shape[1]} x {self.shape[0]} pixels")
        if crs is None or affine.is_identity:
            raise PlacementError(f"{path}: nothing in it says where its pixels lie on the Earth")
        self.geobox = GeoBox(self.shape, affine, crs.to_wkt())

    def __getitem__(self, window: tuple[slice, slice]) -> npt.NDArray[np.uint8]:
        rows, cols = window
        try:
            with _geotiff(self.path) as file:
                part = file.read(
                    1, window=((rows.start, rows.stop), (cols.start, cols.stop)), masked=True
                )
        except (RasterioError, OSError) as error:
            raise SceneError(f"{self.path}: is damaged: its pixels cannot be read") from error
        return np.asarray(part.filled(NO_TAG), np.uint8)
