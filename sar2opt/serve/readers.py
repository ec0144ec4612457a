"""What makes tiles quick: rasters stay open between them, and so do the sets of tile matrices.

Opening a raster costs as much as reading a tile of it, and closing it throws away its blocks, of
which the next tile needs some. Each open raster is used by one thread at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import rasterio
from morecantile import TileMatrixSet
from morecantile.defaults import TileMatrixSets
from rasterio.io import DatasetReader
from rio_tiler.io import Reader

_MOST = 24  # rasters that are open and idle
State = tuple[int, int]


class OpenRasters:
    """Rasters that were opened and are not in use, the most recently used last."""

    def __init__(self, most: int = _MOST) -> None:
        self.most = most
        self._idle: list[tuple[str, State, DatasetReader]] = []
        self._lock = Lock()

    @contextmanager
    def borrow(self, path: str) -> Iterator[DatasetReader]:
        """Give an open raster to one thread; a file that was made anew is opened anew."""
        about = os.stat(path)  # noqa: PTH116  # a text, as titiler has it
        state = (about.st_mtime_ns, about.st_ino)
        dataset = self._take(path, state) or rasterio.open(path)
        try:
            yield dataset
        finally:
            self._keep(path, state, dataset)

    def close(self) -> None:
        """Close all that is idle."""
        self._drop(0)

    def _take(self, path: str, state: State) -> DatasetReader | None:
        with self._lock:
            stale = [one for one in self._idle if one[0] == path and one[1] != state]
            self._idle = [one for one in self._idle if one not in stale]
            fit = [number for number, one in enumerate(self._idle) if one[0] == path]
            found = self._idle.pop(fit[-1])[2] if fit else None
        for _, _, dataset in stale:
            dataset.close()
        return found

    def _keep(self, path: str, state: State, dataset: DatasetReader) -> None:
        with self._lock:
            self._idle.append((path, state, dataset))
        self._drop(self.most)

    def _drop(self, most: int) -> None:
        with self._lock:
            count = max(0, len(self._idle) - most)
            dropped, self._idle = self._idle[:count], self._idle[count:]
        for _, _, dataset in dropped:
            dataset.close()


OPEN = OpenRasters()


class KeptReader(Reader):
    """rio-tiler's reader of a raster that stays open."""

    def __attrs_post_init__(self) -> None:
        """Borrow the raster until the reader is closed."""
        self.dataset = self._ctx_stack.enter_context(OPEN.borrow(str(self.input)))
        super().__attrs_post_init__()  # type: ignore[no-untyped-call]


class SharedMatrices(TileMatrixSets):
    """Sets of tile matrices that are handed out as they are, not copied for each tile."""

    def get(self, identifier: str) -> TileMatrixSet:
        """Return the set; nobody changes it."""
        found: TileMatrixSet = self.tilematrixsets[identifier]
        return found
