"""Backscatter as a COG: float32, NaN where there is no data, written window by window.

The windows go, uncompressed, to a sparse GeoTIFF in a scratch folder beside the target; GDAL's COG
driver makes the overviews and the finished file from it, which is then moved to its place.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from sar2opt.products.cog import TILE, assemble, check_last_tile
from sar2opt.products.folder import output_errors

Backscatter = npt.NDArray[np.float32]
Write = Callable[[Backscatter, int, int], None]
"""``write(values, row, col)``: values ``(band, y, x)`` whose first pixel lies at row and column."""

_CACHE = 128_000_000  # bytes of GDAL's block cache
_COPIES = 7 / 3  # the windows, and of them the finished file with overviews


@contextmanager
def backscatter_cog(
    path: Path,
    geobox: GeoBox,
    bands: Sequence[str],
    tags: Mapping[str, str],
    units: Sequence[str],
    overviews: str = "AVERAGE",
) -> Iterator[Write]:
    """Give a function that writes windows, in any order and from any thread; then finish the COG.

    The file (float32, DEFLATE, sparse, nodata NaN) appears whole or not at all: not if anything
    is raised inside. Raises ``OutputError``.
    """
    with (
        output_errors(path),
        tempfile.TemporaryDirectory(prefix=".cog-", dir=path.parent) as scratch,
        rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS", GDAL_CACHEMAX=_CACHE),
    ):
        image, finished = Path(scratch) / "image.tif", Path(scratch) / path.name
        with rasterio.open(image, "w", **_options(geobox, len(bands))) as file:
            file.update_tags(**tags)
            file.descriptions = tuple(bands)
            file.units = tuple(units)
            target = _Target(file, shutil.disk_usage(scratch).free)
            yield target.write
        if image.stat().st_size < target.least:  # GDAL is silent if a write fails at closing
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assemble(image, finished, "YES", OVERVIEWS="IGNORE_EXISTING", OVERVIEW_RESAMPLING=overviews)
        check_last_tile(finished)
        finished.replace(path)


@dataclass
class _Target:
    """The GeoTIFF of the windows, open for writing."""

    file: Any
    free: int  # bytes on the disk
    least: int = 0  # bytes that the windows take at least
    lock: Any = field(default_factory=Lock)

    def write(self, values: Backscatter, row: int, col: int) -> None:
        valid = np.isfinite(values)
        if not valid.any():
            return
        with self.lock:
            self.least += int(np.count_nonzero(valid)) * values.itemsize
            if _COPIES * self.least > self.free:  # GDAL fails late and noisily on a full disk
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.file.write(values, window=Window(col, row, values.shape[2], values.shape[1]))


def _options(geobox: GeoBox, count: int) -> dict[str, Any]:
    rows, cols = geobox.shape
    return {
        "driver": "GTiff",
        "dtype": "float32",
        "nodata": np.nan,
        "count": count,
        "height": rows,
        "width": cols,
        "crs": geobox.crs.to_wkt() if geobox.crs else None,
        "transform": geobox.affine,
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "interleave": "band",
        "photometric": "MINISBLACK",
        "SPARSE_OK": True,
        "BIGTIFF": "IF_SAFER",
    }
