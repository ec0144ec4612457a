"""What all sources of pixels share: each is indexed like an array, and computes what is picked."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from sar2opt.sar.radiometry import Power


class _Read(Protocol):
    @property
    def shape(self) -> tuple[int, int, int]: ...

    def _read(self, bands: slice, rows: slice, cols: slice) -> Power: ...


class Indexed:
    """Base of what Dask reads window by window: float32 ``(band, y, x)``.

    A class of its kind has a ``shape`` and a ``_read``, which is given the slices that hold all
    that an index picks.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __getitem__(self: _Read, index: tuple[Any, ...]) -> Power:
        """Compute an index for each dimension: an integer, a slice or a list, one by one."""
        (first, last, pick_band), (top, bottom, pick_row), (left, right, pick_col) = (
            _span(part, size) for part, size in zip(index, self.shape, strict=True)
        )
        power: Power = np.empty((last - first, bottom - top, right - left), np.float32)
        if power.size:
            power = self._read(slice(first, last), slice(top, bottom), slice(left, right))
        picked: Power = power[:, :, pick_col][:, pick_row][pick_band]  # one axis at a time, as Dask
        return picked


def _span(index: Any, size: int) -> tuple[int, int, Any]:
    """Return start and stop of the pixels that ``index`` needs, and the index within them."""
    picked = np.arange(size)[index]
    if picked.size == 0:
        return 0, 0, slice(0)
    low, high = int(picked.min()), int(picked.max()) + 1
    inner = slice(None, None, index.step) if isinstance(index, slice) else picked - low
    return low, high, inner
