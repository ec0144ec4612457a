"""What a million polygons take: seconds, and memory at its peak."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from scipy import ndimage

from sar2opt.config import ObjectSettings
from sar2opt.raster import TAGS
from sar2opt.vectorise import ObjectsJob, tags_file_to_objects

SIDE, BLOCK = 7168, 1024  # pixels
GRAIN = 2.3  # pixels; the reach of the classes
LEAST_M2 = 500.0  # five pixels


def million(folder: Path) -> None:
    """Make a raster of classes that hang together little, and its objects, in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "many.tif"
    if not path.exists():
        write_tags(path)
    before = peak_mb()
    for smooth, fill in ((False, False), (False, True), (True, True)):
        started = time.perf_counter()
        settings = ObjectSettings(
            min_area_m2=LEAST_M2, max_hole_m2=LEAST_M2, smooth=smooth, fill=fill
        )
        out = folder / "many.gpkg"
        table = tags_file_to_objects(ObjectsJob(path, out, settings=settings, overwrite=True))
        print(
            f"smooth={smooth}, fill={fill}: {len(table):,} objects of {SIDE * SIDE / 1e6:.0f} Mpx "
            f"in {time.perf_counter() - started:.0f} s, peak of memory so far {peak_mb():.0f} MB "
            f"({before:.0f} MB before), file {out.stat().st_size / 1e6:.0f} MB"
        )


def write_tags(path: Path) -> None:
    """Write the raster block by block: of six smooth fields of noise, the highest gives the tag."""
    rng = np.random.default_rng(1)
    how = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": SIDE, "width": SIDE,
           "crs": "EPSG:32611", "transform": Affine(10, 0, 4e5, 0, -10, 4.1e6), "nodata": 255,
           "tiled": True, "compress": "deflate"}  # fmt: skip
    with rasterio.open(path, "w", **how) as file:
        for row in range(0, SIDE, BLOCK):
            for col in range(0, SIDE, BLOCK):
                noise = rng.normal(size=(len(TAGS), BLOCK, BLOCK)).astype(np.float32)
                fields = ndimage.gaussian_filter(noise, (0, GRAIN, GRAIN))
                window = ((row, row + BLOCK), (col, col + BLOCK))
                file.write(fields.argmax(axis=0).astype(np.uint8), 1, window=window)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


PARTS = {"million": million}
