"""A Sentinel-1 product as it lies on disk: a ``.SAFE`` folder, its zip, or the flat cloud layout.

A zip is read in place: its XML here, its rasters by GDAL (``/vsizip``). Names and sizes in it are
a stranger's: paths that lead out of it are refused, and no more is unpacked than an annotation
can need.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from sar2opt.errors import SceneError
from sar2opt.scenes.blocks import file_stamp

_PART = re.compile(
    r"^(?P<root>(?:[^/]+/)?)"
    r"(?P<kind>annotation/(?:calibration/(?:calibration|noise)-)?|measurement/)"
    r"(?P<name>[^/]+)\.(?:xml|tiff?)$",
    re.IGNORECASE,
)
_POLARISATION = re.compile(r"(?:^|-)(vv|vh|hh|hv)(?:-|$)", re.IGNORECASE)
_SWATH = re.compile(r"(?:^|[/-])((?:iw|ew|wv|s)\d)(?:-|$)", re.IGNORECASE)  # of SLC; iw, s4 in GRD
_MOST_XML = 64 * 2**20  # bytes; that of an IW product is 1.4 MB
_MOST_NAMES = 10_000  # a product has about 30
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
_KINDS = {
    "annotation/": "annotation",
    "annotation/calibration/calibration-": "calibration",
    "annotation/calibration/noise-": "noise",
    "measurement/": "measurement",
}


@dataclass(frozen=True)
class Container:
    """The files of a product by kind and polarisation: ``annotation``, ``calibration`` ..."""

    path: Path
    name: str  # of the product, without .SAFE and .zip
    zipped: bool
    files: dict[tuple[str, str], tuple[str, ...]]  # names within ``path``

    @property
    def polarisations(self) -> list[str]:
        """Return the polarisations that have an annotation, co-polarised first."""
        found = {polarisation for kind, polarisation in self.files if kind == "annotation"}
        return sorted(found, key=("vv", "hh", "vh", "hv").index)

    @property
    def swaths(self) -> list[str]:
        """Return the sub-swaths that have an annotation of their own, as in SLC: ``iw1`` ..."""
        parts = [names for (kind, _), names in self.files.items() if kind == "annotation"]
        return sorted({swath for names in parts for name in names if (swath := _swath(name))})

    def of(self, swath: str) -> Container:
        """Return the files of one sub-swath."""
        files = {
            key: tuple(name for name in names if _swath(name) == swath)
            for key, names in self.files.items()
        }
        return replace(self, files={key: names for key, names in files.items() if names})

    def where(self, kind: str, polarisation: str) -> str:
        """Return the name of a file; raises ``SceneError`` if it is missing."""
        names = self.files.get((kind, polarisation), ())
        if not names:
            raise SceneError(f"{self.path}: the {kind} file of {polarisation} is missing")
        return names[0]

    def text(self, kind: str, polarisation: str) -> bytes:
        """Return the content of an XML file."""
        name = self.where(kind, polarisation)
        try:
            if self.zipped:
                with zipfile.ZipFile(self.path) as archive, archive.open(name) as file:
                    content = file.read(_MOST_XML + 1)
            else:
                with (self.path / name).open("rb") as file:
                    content = file.read(_MOST_XML + 1)
        except (OSError, *_DAMAGED) as error:
            raise SceneError(f"{self.path}: {name} cannot be read: fetch it again") from error
        if len(content) > _MOST_XML:
            raise SceneError(f"{self.path}: {name} is larger than any annotation: do not trust it")
        return content

    def raster(self, polarisation: str) -> str:
        """Return the path by which GDAL opens a measurement; raises ``SceneError`` if empty."""
        name = self.where("measurement", polarisation)
        if self.size(polarisation) == 0:
            raise SceneError(f"{self.path}: {name} is empty (0 bytes): fetch it again")
        if not self.zipped:
            return str(self.path.absolute() / name)
        return f"/vsizip/{{{self.path.absolute()}}}/{name}"

    def size(self, polarisation: str) -> int:
        """Return the size of a measurement in bytes, unpacked."""
        name = self.where("measurement", polarisation)
        if not self.zipped:
            return (self.path / name).stat().st_size
        with zipfile.ZipFile(self.path) as archive:
            return archive.getinfo(name).file_size

    def stamp(self, polarisation: str) -> tuple[int, int]:
        """Return time (ns) and size of the file on disk that holds a measurement."""
        name = self.where("measurement", polarisation)
        return file_stamp(str(self.path if self.zipped else self.path / name))


def is_product(path: Path) -> bool:
    """Return whether a folder or zip holds a Sentinel-1 annotation."""
    if path.is_dir():
        return any((path / "annotation").glob("*.xml"))
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.read(4) != b"PK\3\4":
            return False
    return any(kind == "annotation" for _, kind, _, _ in _parts(_zip_names(path)))


def open_container(path: Path) -> Container:
    """Find the files of a product; raises ``SceneError`` in one line."""
    zipped = path.is_file()
    names = _zip_names(path) if zipped else _folder_names(path)
    files: dict[tuple[str, str], tuple[str, ...]] = {}
    roots = set()
    for root, kind, polarisation, name in _parts(names):
        roots.add(root)
        files[kind, polarisation] = (*files.get((kind, polarisation), ()), name)
    if len(roots) > 1:
        raise SceneError(f"{path}: it holds {len(roots)} products: unpack it, and give one")
    name = path.name.removesuffix(".zip").removesuffix(".ZIP").removesuffix(".SAFE")
    return Container(path, name, zipped, files)


def _parts(names: Iterable[str]) -> Iterable[tuple[str, str, str, str]]:
    """Yield root, kind, polarisation and name of the files that count."""
    for name in sorted(names):
        part = _PART.match(name)
        polarisation = part and _POLARISATION.search(part["name"])
        if part and polarisation:
            kind = _KINDS[part["kind"].lower()]
            yield part["root"], kind, polarisation[1].lower(), name


def _swath(name: str) -> str:
    found = _SWATH.search(name)
    return found[1].lower() if found else ""


def _folder_names(path: Path) -> list[str]:
    places = ("annotation", "annotation/calibration", "measurement")
    files = (file for place in places for file in (path / place).glob("*"))
    return [file.relative_to(path).as_posix() for file in files if file.is_file()]


def _zip_names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _DAMAGED as error:
        raise SceneError(f"{path}: the zip is damaged or cut off: fetch it again") from error
    if len(names) > _MOST_NAMES:
        raise SceneError(f"{path}: {len(names)} files are more than any product has")
    for name in names:
        if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts:
            raise SceneError(f"{path}: it holds the path {name!r}, which leads out of it: refused")
    return names
