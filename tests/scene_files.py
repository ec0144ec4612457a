"""Small SAR files for the tests of the front door, written on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

UTM = Affine(10, 0, 500_000, 0, -10, 4_000_000)  # EPSG:32632


def speckled(shape: tuple[int, int] = (256, 256), level_db: float = -12, seed: int = 0) -> Any:
    """Return power: fields of 16 pixels, 3.5 dB apart, under gamma speckle of 4.4 looks."""
    rng = np.random.default_rng(seed)
    fields = level_db + 3.5 * rng.standard_normal((-(-shape[0] // 16), -(-shape[1] // 16)))
    mean = 10 ** (np.kron(fields, np.ones((16, 16)))[: shape[0], : shape[1]] / 10)
    return (mean * rng.gamma(4.4, 1 / 4.4, shape)).astype(np.float32)


def write(
    path: Path,
    *bands: Any,
    names: tuple[str, ...] = (),
    tags: dict[str, str] | None = None,
    mask: Any = None,
    colours: tuple[ColorInterp, ...] = (),
    stripe: int | None = None,
    **profile: Any,
) -> Path:
    """Write bands ``(y, x)`` as a GeoTIFF of 10 m pixels in UTM 32N; return its path."""
    height, width = bands[0].shape
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64} if stripe is None else {}
    profile = {
        "crs": "EPSG:32632", "transform": UTM, "dtype": bands[0].dtype, "compress": "deflate",
        **(tiles or {"tiled": False, "blockysize": stripe}), **profile,
    }  # fmt: skip
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", count=len(bands), height=height, width=width, **profile
        ) as file,
    ):
        if colours:
            file.colorinterp = colours
        file.write(np.stack(bands))
        file.update_tags(**(tags or {}))
        for number, name in enumerate(names, start=1):
            file.set_band_description(number, name)
        if mask is not None:
            file.write_mask(mask)
    return path
