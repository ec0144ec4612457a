"""A fixed subsample of a lazy raster, for statistics of the whole scene."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from sar2opt.tiles.apply import read_padded
from sar2opt.tiles.plan import Plan, Window

GRID = 16  # windows a side
SIDE = 64  # pixels a window side
ENOUGH = 4096  # valid pixels


def sample(raster: xr.DataArray) -> npt.NDArray[np.float32]:
    """Return pixels of ``raster`` ``(band, y, x)`` as ``(band, n)``, NaN where no data.

    The windows lie on a fixed grid over the scene, so the sample is the same on every run and
    machine. Where they find next to no data, the scene is thinned block by block instead.
    """
    rows, cols = raster.shape[1], raster.shape[2]
    windows = [
        Window(y, min(y + SIDE, rows), x, min(x + SIDE, cols))
        for y in _origins(rows)
        for x in _origins(cols)
    ]
    found = np.concatenate([_flat(raster, window) for window in windows], axis=1)
    if np.isfinite(found).sum() < ENOUGH:
        step = max(1, int((rows * cols / 4_000_000) ** 0.5))
        blocks = Plan((rows, cols), 1024, 1).blocks()
        found = np.concatenate([_flat(raster, block)[:, ::step] for block in blocks], axis=1)
    return found


def _origins(size: int) -> list[int]:
    if size <= GRID * SIDE:
        return list(range(0, size, SIDE))
    return [int(origin) for origin in np.linspace(0, size - SIDE, GRID)]


def _flat(raster: xr.DataArray, window: Window) -> npt.NDArray[np.float32]:
    return read_padded(raster, window).reshape(raster.shape[0], -1)
