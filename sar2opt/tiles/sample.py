"""A fixed subsample of a lazy raster, for statistics of the whole scene."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import xarray as xr

from sar2opt.raster import take_band
from sar2opt.tiles.apply import read_padded
from sar2opt.tiles.engine import count_workers
from sar2opt.tiles.plan import Plan, Window

GRID = 16  # windows a side
SIDE = 64  # pixels a window side
PATCH, PATCHES = 256, 24  # pixels a side, and how many at most
ENOUGH = 4096  # valid pixels


class Sampled:
    """A scene, and the fixed sample of each of its bands, read once, when it is first asked for."""

    def __init__(self, scene: xr.DataArray) -> None:
        self.scene = scene
        self._windows: dict[str, npt.NDArray[np.float32]] = {}

    def band(self, name: str) -> xr.DataArray:
        """Return the band of this name, ``(1, y, x)``."""
        return take_band(self.scene, name)

    def windows(self, name: str) -> npt.NDArray[np.float32]:
        """Return what ``sample_windows`` reads of the band, ``(1, y, x)``."""
        if name not in self._windows:
            self._windows[name] = sample_windows(self.band(name))
        return self._windows[name]

    def pixels(self, name: str) -> npt.NDArray[np.float32]:
        """Return what ``sample`` returns of the band, ``(1, n)``."""
        return sample(self.band(name), self.windows(name))


def sample(
    raster: xr.DataArray, windows: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """Return pixels of ``raster`` ``(band, y, x)`` as ``(band, n)``, NaN where no data.

    ``windows`` is what ``sample_windows`` returned for it, if that was read before. The windows
    lie on a fixed grid over the scene, so the sample is the same on every run and machine. Where
    they find next to no data, the scene is thinned block by block instead.
    """
    found = _flat(sample_windows(raster) if windows is None else windows)
    if np.isfinite(found).sum() < ENOUGH:
        rows, cols = raster.shape[1], raster.shape[2]
        step = max(1, int((rows * cols / 4_000_000) ** 0.5))
        blocks = Plan((rows, cols), 1024, 1).blocks()
        thinned = [_flat(read_padded(raster, block))[:, ::step] for block in blocks]
        found = np.concatenate(thinned, axis=1)
    return found


def sample_windows(raster: xr.DataArray) -> npt.NDArray[np.float32]:
    """Return the windows of the grid side by side, as one ``(band, y, x)``, NaN where no data.

    Windows are 64 pixels a side, so that blocks of 8 x 8 pixels, say, never lie across two.
    """
    rows, cols = raster.shape[1], raster.shape[2]
    across = np.concatenate([np.arange(x, min(x + SIDE, cols)) for x in _origins(cols)])
    # a row of windows is read at once: that takes no more blocks of the file than one by one
    strips = [Window(y, min(y + SIDE, rows), 0, cols) for y in _origins(rows)]
    with ThreadPoolExecutor(count_workers(0)) as pool:
        parts = pool.map(lambda strip: read_padded(raster, strip)[:, :, across], strips)
        return np.concatenate(list(parts), axis=1)


def sample_patches(
    raster: xr.DataArray, windows: npt.NDArray[np.float32], darkest: float
) -> npt.NDArray[np.float32]:
    """Return larger windows of a one-band ``raster`` where it is dark, ``(window, 256, 256)``.

    ``windows`` is what ``sample_windows`` returned for it: where one has data in half of its
    pixels or more, and a median of at most ``darkest``, the patch of a fixed grid around it is
    read. Of more than 24 such patches, 24 are taken evenly. NaN where no data.
    """
    rows, cols = raster.shape[1:]
    at: dict[tuple[int, int], None] = {}  # in order, each once
    for row, y in enumerate(_origins(rows)):
        for col, x in enumerate(_origins(cols)):
            seen = windows[0, row * SIDE : (row + 1) * SIDE, col * SIDE : (col + 1) * SIDE]
            valid = seen[np.isfinite(seen)]
            if 2 * valid.size >= seen.size and np.median(valid) <= darkest:
                at[y // PATCH * PATCH, x // PATCH * PATCH] = None
    chosen = list(at)[:: -(-len(at) // PATCHES) or 1]
    patches = [Window(y, y + PATCH, x, x + PATCH) for y, x in chosen]
    with ThreadPoolExecutor(count_workers(0)) as pool:
        found = list(pool.map(lambda patch: read_padded(raster, patch)[0], patches))
    return np.stack(found) if found else np.empty((0, PATCH, PATCH), np.float32)


def _origins(size: int) -> list[int]:
    if size <= GRID * SIDE:
        return list(range(0, size, SIDE))
    return [int(origin) for origin in np.linspace(0, size - SIDE, GRID)]


def _flat(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return values.reshape(len(values), -1)
