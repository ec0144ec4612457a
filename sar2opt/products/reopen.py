"""Finished raster products, opened again as DataArrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox

from sar2opt.errors import SceneError
from sar2opt.raster import make_raster


def open_product(folder: Path, product: str) -> xr.DataArray:
    """Open a finished raster product of ``folder`` lazily, in the convention of ``raster.py``.

    Imagery is scaled to [0, 1]; no data becomes NaN. Raises ``SceneError`` where there is none.
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
    names = {("optical", 3): ("red", "green", "blue"), ("optical", 1): ("grey",)}
    data = _lazy(path, bands, geobox, 1 / 255 if product == "optical" else 1.0)
    return make_raster(
        data,
        geobox,
        names.get((product, bands), (product,)),
        quantity=product,
        scale="linear",
        acquired=tags.get("ACQUIRED", ""),
        source=tags.get("SOURCE", ""),
        generated=tags["GENERATED"],
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
