"""The staging store: finished blocks wait here, beside the output, until all are there.

One Zarr array a layer, one chunk a block, and an empty marker file for each finished block, made
after its last chunk. A run that is killed finds the markers and goes on from there. The store is
tied to inputs, settings and models by a fingerprint; another fingerprint means a fresh store.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec

from sar2opt.errors import OutputError
from sar2opt.tiles.plan import Plan, Window

FINGERPRINT = "fingerprint"
PUBLISHED = "published"


@dataclass(frozen=True)
class Layer:
    """One staged raster: ``(band, y, x)`` uint8, thinned ``factor`` times in both directions."""

    bands: int
    fill: int
    factor: int = 1


class Staging:
    """The store on disk; cheap to open again, also in another process."""

    def __init__(self, folder: Path, made: Iterable[Path] = ()) -> None:
        self.folder = folder
        self._made = tuple(made)  # folders that had to be made for it, the deepest first

    @classmethod
    def prepare(
        cls, folder: Path, plan: Plan, layers: Mapping[str, Layer], fingerprint: str
    ) -> Staging:
        """Open the store of an interrupted run with this fingerprint, or make a fresh one.

        Raises ``OutputError`` where the disk refuses.
        """
        if cls(folder).belongs_to(fingerprint):
            return cls(folder)
        store = cls(folder, [parent for parent in folder.parents if not parent.exists()])
        try:
            if folder.exists():
                shutil.rmtree(folder)
            (folder / "done").mkdir(parents=True)
            for name, layer in layers.items():
                rows, cols = (-(-size // layer.factor) for size in plan.shape)
                side = plan.block // layer.factor
                zarr.create_array(
                    folder / name,
                    shape=(layer.bands, rows, cols),
                    chunks=(layer.bands, side, side),
                    dtype="uint8",
                    fill_value=layer.fill,
                    compressors=BloscCodec(cname="lz4", clevel=1),
                )
            # last: a store without it is not one
            (folder / FINGERPRINT).write_text(fingerprint, encoding="utf-8")
        except OSError as error:
            store.remove()
            raise disk_error(error, folder) from error
        return store

    def belongs_to(self, fingerprint: str) -> bool:
        """Return whether the store is there, and of a run with this fingerprint."""
        try:
            return (self.folder / FINGERPRINT).read_bytes() == fingerprint.encode()
        except OSError:
            return False

    def mark_published(self) -> None:
        """Note that the products are finished and about to be moved to their place."""
        self._touch(self.folder / PUBLISHED)

    def is_published(self, fingerprint: str) -> bool:
        """Return whether a run with this fingerprint was killed while it moved its products."""
        return self.belongs_to(fingerprint) and (self.folder / PUBLISHED).exists()

    def array(self, layer: str) -> zarr.Array[Any]:
        """Return the staged array of a layer, ``(band, y, x)`` uint8."""
        return zarr.open_array(self.folder / layer, mode="r+")

    def is_done(self, block: Window) -> bool:
        """Return whether all layers of the block are there."""
        return self._marker(block).exists()

    def write(
        self,
        block: Window,
        layers: Mapping[str, tuple[npt.NDArray[np.uint8], int]],
    ) -> None:
        """Write a block's layers, each with its thinning factor, then its marker.

        A block without layers is all no data: only the marker is made. Raises ``OutputError``.
        """
        try:
            for name, (values, factor) in layers.items():
                y0, x0 = block.y0 // factor, block.x0 // factor
                y1, x1 = y0 + values.shape[1], x0 + values.shape[2]
                self.array(name)[:, y0:y1, x0:x1] = values
        except OSError as error:
            raise disk_error(error, self.folder) from error
        self._touch(self._marker(block))

    def remove(self) -> None:
        """Delete the store, and the folders that were made for it if nothing else is in them."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for parent in self._made:
            with suppress(OSError):
                parent.rmdir()

    def _touch(self, path: Path) -> None:
        try:
            path.touch()
        except OSError as error:
            raise disk_error(error, self.folder) from error

    def _marker(self, block: Window) -> Path:
        return self.folder / "done" / f"{block.y0}_{block.x0}"


def disk_error(error: OSError, folder: Path) -> OutputError:
    """Return what a failed write means to a person."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"{folder}: the disk is full: free some space, or choose another folder with --out"
        )
    return OutputError(f"{folder}: cannot be written: {error.strerror or error}")
