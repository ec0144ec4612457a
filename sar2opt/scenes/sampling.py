"""A fixed sample of a raster file at full resolution, for statistics that must not depend on luck.

The sample is a grid of small windows, the same on every run. Only when it finds next to nothing
is the file searched block by block, so that a scene with a small island of data is not taken for
an empty one. The windows are not averaged or decimated: that would spoil the speckle.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import rasterio
from rasterio.windows import Window

from sar2opt.errors import SceneError
from sar2opt.sar.radiometry import Power
from sar2opt.scenes.blocks import BlockSource

_GRID = 12  # windows a side
_SIDE = 64  # pixels
_ENOUGH = 4  # windows that are at least half valid
_SEARCH = 1024  # pixels; side of the blocks of the search

Pixel = tuple[int, int]  # row, col


def sample_windows(file: rasterio.DatasetReader, source: BlockSource) -> Power:
    """Return physical values ``(window, band, y, x)``, NaN where there is no data.

    Raises ``SceneError`` when no pixel of the scene is valid.
    """
    _, rows, cols = source.shape
    shape = min(_SIDE, rows), min(_SIDE, cols)
    origins = [(row, col) for row in _spread(rows, shape[0]) for col in _spread(cols, shape[1])]
    sample = np.stack([_read(file, source, origin, shape) for origin in origins])
    half_valid = np.isfinite(sample).mean(axis=(1, 2, 3)) >= 0.5
    if np.count_nonzero(half_valid) < min(_ENOUGH, len(origins)):
        sample = np.stack([*sample, *_search(file, source, shape)])
    if not np.isfinite(sample).any():
        where = "the scene" if source.aoi is None else "the scene within the area of interest"
        raise SceneError(
            f"{file.name}: every pixel of {where} is no data: check it, or say --nodata VALUE"
        )
    return sample


def _read(file: rasterio.DatasetReader, source: BlockSource, origin: Pixel, shape: Pixel) -> Power:
    row, col = origin[0] + source.rows.start, origin[1] + source.cols.start
    return source.read(file, Window(col, row, shape[1], shape[0]))


def _spread(size: int, side: int) -> list[int]:
    """Return the origins of up to ``_GRID`` windows, evenly from edge to edge."""
    count = min(_GRID, -(-size // side))
    return [int(origin) for origin in np.linspace(0, size - side, count)]


def _search(file: rasterio.DatasetReader, source: BlockSource, shape: Pixel) -> Iterator[Power]:
    """Yield a window around the middle valid pixel of each block that has any."""
    _, rows, cols = source.shape
    found = 0
    for top, left in product(range(0, rows, _SEARCH), range(0, cols, _SEARCH)):
        block = min(_SEARCH, rows - top), min(_SEARCH, cols - left)
        valid = np.isfinite(_read(file, source, (top, left), block)).any(axis=0)
        if valid.any() and found < _GRID * _GRID:
            found += 1
            middle = np.argwhere(valid)[np.count_nonzero(valid) // 2]
            row = min(max(top + int(middle[0]) - shape[0] // 2, 0), rows - shape[0])
            col = min(max(left + int(middle[1]) - shape[1] // 2, 0), cols - shape[1])
            yield _read(file, source, (row, col), shape)
