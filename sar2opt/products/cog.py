"""Cloud-optimised GeoTIFFs, written by window from blocks that are made elsewhere.

1. A scratch folder beside the target takes a pyramid of sparse, uncompressed GeoTIFFs, full
   resolution and overviews, each of which GDAL knows as the overview of the one before by its
   name (``image.tif``, ``image.tif.ovr``, ``image.tif.ovr.ovr`` ...), and the same for the mask.
2. Each window is read once, written, halved, written to the next level, and so on. A window that
   is all no data is not touched at any level.
3. GDAL's COG driver puts the pyramid together, compressing on all cores, and the finished file
   is moved to its place.

GDAL can make overviews too, but reads the empty part of a scene for it: 2.5 times as long here.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.shutil import copy
from rasterio.windows import Window

from sar2opt.products.folder import output_errors
from sar2opt.products.overviews import HALVE
from sar2opt.products.profiles import CogProfile

Pixels = npt.NDArray[np.uint8]
Valid = npt.NDArray[np.bool_]
Read = Callable[[int, int, int, int], "tuple[Pixels, Valid] | None"]
"""``read(y0, y1, x0, x1)``: pixels ``(band, y, x)`` and valid ``(y, x)``, or None: all no data."""

WINDOW = 1024  # pixels; a power of two, so that windows halve without a remainder at each level
TILE = 512


def write_cog(
    path: Path,
    read: Read,
    geobox: GeoBox,
    profile: CogProfile,
    tags: Mapping[str, str],
    *,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write a COG (uint8, DEFLATE, sparse) on the grid ``geobox``, and return its path.

    ``read`` is called once for each window, in reading order; its pixels are stored unchanged
    where they are valid. ``progress`` is told the pixels of each finished window. The file
    appears whole or not at all. Raises ``OutputError``.
    """
    with (
        output_errors(path),
        tempfile.TemporaryDirectory(prefix=".cog-", dir=path.parent) as scratch,
        rasterio.Env(
            GDAL_NUM_THREADS="ALL_CPUS",
            GDAL_CACHEMAX=128_000_000,  # bytes; a larger block cache is no faster here
            GDAL_DISABLE_READDIR_ON_OPEN="FALSE",  # the pyramid is found by listing the folder
        ),
    ):
        image = Path(scratch) / "image.tif"
        with ExitStack() as stack:
            levels = _open_pyramid(stack, image, geobox, profile)
            levels[0].describe(profile, tags)
            _fill(levels, read, profile, shutil.disk_usage(scratch).free, progress)
        finished = Path(scratch) / path.name
        assemble(
            image, finished, "YES" if profile.predictor else "NO", OVERVIEWS="FORCE_USE_EXISTING"
        )
        check_last_tile(finished)
        finished.replace(path)
    return path


@dataclass(frozen=True)
class _Level:
    """One level of the pyramid, open for writing."""

    image: Any
    mask: Any | None
    fill: int

    def write(self, pixels: Pixels, valid: Valid, row: int, col: int) -> None:
        window = Window(col, row, valid.shape[1], valid.shape[0])
        if not valid.all():
            pixels = np.where(valid, pixels, np.uint8(self.fill))
        self.image.write(pixels, window=window)
        if self.mask is not None:
            self.mask.write(valid.astype(np.uint8) * 255, 1, window=window)

    def describe(self, profile: CogProfile, tags: Mapping[str, str]) -> None:
        described = dict(tags)
        if "GENERATED" in tags:  # what any image viewer shows
            described["TIFFTAG_IMAGEDESCRIPTION"] = tags["GENERATED"].removeprefix("YES: ")
        if "SOFTWARE" in tags:
            described["TIFFTAG_SOFTWARE"] = tags["SOFTWARE"]
        if profile.classes:
            described["CLASSES"] = "; ".join(f"{c.code} {c.name}" for c in profile.classes)
            palette = {c.code: (*c.colour, 255) for c in profile.classes}
            self.image.write_colormap(1, palette)
        self.image.update_tags(**described)
        self.image.descriptions = profile.bands
        self.image.colorinterp = profile.colours
        if profile.unit:
            self.image.units = (profile.unit,) * len(profile.bands)


def _open_pyramid(
    stack: ExitStack, path: Path, geobox: GeoBox, profile: CogProfile
) -> list[_Level]:
    """Open full resolution and all overviews, down to the first that fits in one tile."""
    levels: list[_Level] = []
    rows, cols = geobox.shape
    while True:
        options = _options(geobox, rows, cols, len(levels))
        levels.append(_open_level(stack, path, ".ovr" * len(levels), profile, options))
        if max(rows, cols) <= TILE:
            return levels
        rows, cols = (rows + 1) // 2, (cols + 1) // 2


def _options(geobox: GeoBox, rows: int, cols: int, level: int) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "dtype": "uint8",
        "height": rows,
        "width": cols,
        "crs": geobox.crs.to_wkt() if geobox.crs else None,
        "transform": geobox.affine * Affine.scale(2**level),
        "tiled": True,
        "blockxsize": TILE,
        "blockysize": TILE,
        "SPARSE_OK": True,
        "BIGTIFF": "IF_SAFER",
    }


def _open_level(
    stack: ExitStack, path: Path, suffix: str, profile: CogProfile, options: dict[str, Any]
) -> _Level:
    count = len(profile.bands)
    image = rasterio.open(
        f"{path}{suffix}",
        "w",
        count=count,
        nodata=profile.nodata,
        interleave="pixel",
        photometric="RGB" if count == 3 else "MINISBLACK",
        **options,
    )
    stack.enter_context(image)
    if profile.nodata is not None:
        return _Level(image, None, profile.nodata)
    mask = stack.enter_context(rasterio.open(f"{path}.msk{suffix}", "w", count=1, **options))
    # GDAL's flag 2: one mask for all bands.
    mask.update_tags(**{f"INTERNAL_MASK_FLAGS_{band + 1}": "2" for band in range(count)})
    return _Level(image, mask, 0)


def _fill(
    levels: list[_Level],
    read: Read,
    profile: CogProfile,
    free: int,
    progress: Callable[[int], None] | None,
) -> None:
    """Write all windows to all levels; ``free`` is the space on the disk, in bytes."""
    need = 0
    rows, cols = levels[0].image.shape
    halve = HALVE[profile.overviews]
    for row, col in product(range(0, rows, WINDOW), range(0, cols, WINDOW)):
        bottom, right = min(row + WINDOW, rows), min(col + WINDOW, cols)
        block = read(row, bottom, col, right)
        if block is not None and block[1].any():
            pixels, valid = block
            # The pyramid takes 4/3 of the pixels, and the finished file hardly more than that.
            # GDAL fails late and noisily on a full disk, so stop before.
            need += 8 * (pixels.nbytes + valid.nbytes) // 3
            if need > free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            for step, level in enumerate(levels):
                if step:
                    pixels, valid = halve(pixels, valid)
                level.write(pixels, valid, row >> step, col >> step)
        if progress is not None:
            progress((bottom - row) * (right - col))


def assemble(image: Path, target: Path, predictor: str, **overviews: str) -> None:
    """Let GDAL's COG driver make the finished file; ``overviews`` are its options for those."""
    copy(
        str(image),
        str(target),
        driver="COG",
        COMPRESS="DEFLATE",  # every reader knows it; ZSTD would save a second on 90 megapixels
        LEVEL=1,  # level 6 takes 1.6 times as long for 1 to 2 % less
        PREDICTOR=predictor,
        BLOCKSIZE=TILE,
        NUM_THREADS="ALL_CPUS",
        SPARSE_OK=True,
        BIGTIFF="IF_SAFER",
        **overviews,
    )


def check_last_tile(path: Path) -> None:
    """Read the tile that comes last in the file: GDAL is silent if a write fails at closing."""
    with rasterio.open(path) as cog:
        offsets = {
            cog.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1): window
            for (row, col), window in cog.block_windows(1)
        }
        offsets.pop(None, None)  # tiles that are all no data are not stored
        if offsets:
            window = offsets[max(offsets, key=int)]
            cog.read(window=window)
            cog.read_masks(1, window=window)
