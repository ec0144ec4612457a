"""Which finished products lie under a folder, and nothing but those.

A product is recognised by its STAC item ``S.json`` with ``S_optical.tif`` beside it, which a run
moves to their places last, whole. The folder is looked through again every few seconds, so new
products appear without a restart. Links that lead out of the folder are not followed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from sar2opt.errors import ConfigError
from sar2opt.products.folder import EXTRA, FILES, LAYERS, product_paths

_DEPTH = 4  # folders below the root
_MOST_FOLDERS = 20_000
_MOST_BYTES = 16_000_000  # of a STAC item
_FRESH_S = 2.0
_BEGINNINGS = {
    ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".gpkg": (b"SQLite format 3\0",),
}


@dataclass(frozen=True)
class Product:
    """A finished scene."""

    key: str  # the name in addresses
    scene: str
    folder: Path
    item: dict[str, Any]  # as read from the STAC item
    stamp: int  # changes when the scene is made anew

    def path(self, kind: str) -> Path:
        """Return the path of a product, by the keys of ``folder.FILES``."""
        return product_paths(self.folder, self.scene)[kind]

    @property
    def files(self) -> list[str]:
        """Names of the files that may be fetched."""
        names = [name.format(self.scene) for name in FILES.values()]
        names += [name.format(self.scene, layer) for name in EXTRA.values() for layer in LAYERS]
        return [name for name in names if (self.folder / name).is_file()]


class Catalogue:
    """The products under ``root``; safe to ask from many threads."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ConfigError(f"{root}: there is no such folder: name one that 'sar2opt run' made")
        self.root = root.resolve()
        self._lock = Lock()
        self._found: dict[str, Product] = {}
        self._looked = -_FRESH_S

    def products(self) -> list[Product]:
        """Return all products by time of acquisition, the earliest first."""
        with self._lock:
            if time.monotonic() - self._looked >= _FRESH_S:
                self._found = self._look()
                self._looked = time.monotonic()
            found = list(self._found.values())
        return sorted(found, key=lambda one: (str(one.item["properties"]["datetime"]), one.key))

    def find(self, key: str) -> Product | None:
        """Return the product of this key, or None."""
        return next((one for one in self.products() if one.key == key), None)

    def file(self, product: Product, name: str) -> Path | None:
        """Return the path of a file of a product, or None if it may not be read."""
        path = product.folder / name
        allowed = name in product.files and self._inside(path) and _is_what_it_says(path)
        return path if allowed else None

    def _look(self) -> dict[str, Product]:
        found: dict[str, Product] = {}
        for optical in self._candidates():
            scene = optical.name.removesuffix("_optical.tif")
            item = optical.with_name(f"{scene}.json")
            try:
                stamp = item.stat().st_mtime_ns
                key = self._key(optical.parent, scene)
                known = self._found.get(key)
                fresh = known if known and known.stamp == stamp else None
                read = fresh or self._read(key, scene, item, stamp)
            except OSError:  # taken away meanwhile
                continue
            if read:
                found[key] = read
        return found

    def _candidates(self) -> Iterator[Path]:
        """Yield the generated images under the root; hidden folders hold unfinished ones."""
        for count, (folder, subfolders, names) in enumerate(os.walk(self.root)):
            place = Path(folder)
            deep = len(place.relative_to(self.root).parts) >= _DEPTH or count >= _MOST_FOLDERS
            subfolders[:] = [] if deep else sorted(n for n in subfolders if not n.startswith("."))
            for name in sorted(names):
                if name.endswith("_optical.tif") and self._inside(place / name):
                    yield place / name

    def _key(self, folder: Path, scene: str) -> str:
        parts = list(folder.relative_to(self.root).parts)
        if not parts or parts[-1] != scene:
            parts.append(scene)
        return "~".join(parts)

    def _read(self, key: str, scene: str, path: Path, stamp: int) -> Product | None:
        """Read a STAC item; None for what is none, or not of this scene."""
        if not self._inside(path) or path.stat().st_size > _MOST_BYTES:
            return None
        try:
            item = json.loads(path.read_bytes())
            west, south, east, north = (float(edge) for edge in item["bbox"])
            whole = -180 <= west <= east <= 180 and -90 <= south <= north <= 90
            datetime.fromisoformat(item["properties"]["datetime"])
            assert all(isinstance(asset, dict) for asset in item["assets"].values())
        except (ValueError, TypeError, KeyError, AttributeError, AssertionError, RecursionError):
            return None
        return Product(key, scene, path.parent, item, stamp) if whole else None

    def _inside(self, path: Path) -> bool:
        """Return whether a file, links followed, lies under the root."""
        return path.is_file() and path.resolve().is_relative_to(self.root)


def _is_what_it_says(path: Path) -> bool:
    """Return whether a file begins as its kind does: GDAL would open others, a VRT say, too.

    A VRT names further files, on this machine or on others.
    """
    with path.open("rb") as file:
        return file.read(16).startswith(_BEGINNINGS.get(path.suffix, (b"",)))
