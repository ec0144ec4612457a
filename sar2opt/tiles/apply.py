"""A tile model laid over a raster: cut, fill, predict, restore, stitch.

Strategy, for one block. Read it grown by the margin; outside the scene is no data. Where the block
holds no valid pixel there is nothing to do. Else shrink it to the bounding box of what is valid,
fill no data with a constant (0, which is the scene's own level after normalisation, and what the
nets saw in training), predict, and put no data back. The fill is a constant and not a guess from
the neighbours, so no pixel depends on how far the nearest valid one is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr

from sar2opt.tiles.model import TileModel, Tiles
from sar2opt.tiles.plan import Window

FILL = np.float32(0.0)
Read = Callable[[Window], Tiles]
T = TypeVar("T", bound=np.generic)


def read_padded(
    source: xr.DataArray | npt.NDArray[np.float32], window: Window
) -> npt.NDArray[np.float32]:
    """Return ``source`` ``(band, y, x)`` in ``window``; NaN where it leaves the scene.

    A lazy source is computed in this thread: the caller is itself a task of Dask.
    """
    inside = window.clipped((source.shape[1], source.shape[2]))
    out = np.full((source.shape[0], *window.shape), np.nan, np.float32)
    if inside.y0 < inside.y1 and inside.x0 < inside.x1:
        part = source[(slice(None), *inside.slices)]
        values = part if isinstance(part, np.ndarray) else part.data
        if not isinstance(values, np.ndarray):
            values = values.compute(scheduler="synchronous")
        out[(slice(None), *inside.within(window))] = values
    return out


def valid_box(valid: npt.NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Return the bounding box of the true pixels of ``(y, x)``, or None if there is none."""
    rows, cols = np.flatnonzero(valid.any(axis=1)), np.flatnonzero(valid.any(axis=0))
    if rows.size == 0:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


def predict_block(model: TileModel, read: Read, block: Window) -> Tiles:
    """Return the model's output ``(band_out, y, x)`` on ``block``; NaN where input is no data.

    ``read`` returns the model's input ``(band_in, y, x)`` in any window, NaN where there is none.
    """
    return predict_tile(model, read(read_window(model, block)), block)


def read_window(model: TileModel, block: Window) -> Window:
    """Return what must be read to predict ``block``."""
    return block.grown(model.margin).aligned(model.stride)


def predict_tile(model: TileModel, tile: Tiles, block: Window) -> Tiles:
    """Predict ``block`` from ``tile``, the input in ``read_window(model, block)``."""
    missing = np.full(len(model.bands_out), np.nan, np.float32)
    return fill_tile(model, model.predict, tile, block, missing)


def fill_tile(
    model: TileModel,
    predict: Callable[[Tiles], npt.NDArray[T]],
    tile: Tiles,
    block: Window,
    missing: npt.NDArray[T],
) -> npt.NDArray[T]:
    """Make ``block`` by ``predict``, which maps tiles as ``model`` does, to bands of any type.

    ``missing`` is what no data becomes in each of these bands.
    """
    outer = read_window(model, block)
    valid = np.logical_and.reduce(np.isfinite(tile))  # over bands: (y, x)
    core = valid[block.within(outer)]
    out = np.empty((len(missing), *block.shape), missing.dtype)
    out[...] = missing[:, None, None]
    box = valid_box(core)
    if box is None:
        return out
    rows, cols = box
    needed = Window(
        block.y0 + rows.start, block.y0 + rows.stop, block.x0 + cols.start, block.x0 + cols.stop
    )
    trimmed = read_window(model, needed)
    inputs = tile[(slice(None), *trimmed.within(outer))]
    inputs = np.where(np.isfinite(inputs), inputs, FILL)
    predicted = predict(inputs[None])[0]  # (band, y, x)
    predicted = predicted[(slice(None), *needed.within(trimmed))]
    np.copyto(out[:, rows, cols], predicted, where=core[rows, cols])
    return out


def lay(
    model: TileModel,
    source: xr.DataArray,
    prepare: Callable[[Tiles], Tiles],
    chunk: int = 1024,
) -> da.Array:
    """Lay a model over a raster ``(band, y, x)``, lazily; returns Dask ``(band_out, y, x)``.

    ``prepare`` maps what is read to the model's input, pixel by pixel (normalisation).
    """
    rows, cols = source.shape[1], source.shape[2]

    def make(block_info: dict[None, dict[str, list[tuple[int, int]]]]) -> Tiles:
        _, (y0, y1), (x0, x1) = block_info[None]["array-location"]
        return predict_block(
            model, lambda window: prepare(read_padded(source, window)), Window(y0, y1, x0, x1)
        )

    template = da.empty((1, rows, cols), chunks=(1, chunk, chunk))
    laid: da.Array = da.map_blocks(
        make,
        chunks=((len(model.bands_out),), *template.chunks[1:]),
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
    )
    return laid
