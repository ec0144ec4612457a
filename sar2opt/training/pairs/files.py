"""A set of pairs on the disk: a manifest, and two GeoTIFFs a pair that any program can open.

``pairs.json`` lists the pairs and says how the set was formed; it is written last, so a folder
that holds it is complete. ``SOURCE/NAME_sar.tif`` is backscatter in hundredths of a decibel (int16
with GDAL's scale, so that programs show decibels), ``SOURCE/NAME_opt.tif`` the optical image
(uint8, one or three bands). Both are compressed without loss and georeferenced where the pair is.

A set may come from anywhere, so nothing in it is believed: the manifest is strict, no name leaves
the folder, and no raster is read whose header differs from the manifest.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from pydantic import Field, ValidationError
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError

from sar2opt.config import Settings, first_error
from sar2opt.errors import OutputError, PairsError
from sar2opt.training.pairs.pair import Ground, Look, Pair, Split

MANIFEST = "pairs.json"
VERSION = 1
STEP_DB = 0.01
NODATA = -32768
MOST_PIXELS = 2**26  # of one pair; a manifest may claim anything

Progress = Callable[[str, int, int], None]
Six = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class PairSet:
    """A set of pairs, and how it came about: ``facts`` holds configuration, counts, notices."""

    pairs: list[Pair]
    facts: dict[str, Any]

    @property
    def notices(self) -> tuple[str, ...]:
        """What must be said of the data: sources and licences."""
        notices = self.facts.get("notices", ())
        return tuple(str(notice) for notice in notices) if isinstance(notices, list) else ()


class GroundEntry(Settings):
    """Where a pair lies on the Earth."""

    crs: str
    transform: Six


class PairEntry(Settings):
    """A pair as the manifest lists it."""

    name: str
    source: str
    place: str
    split: Split
    look: Look
    levels: tuple[float, ...] = Field(min_length=1)
    tone: tuple[tuple[float, float], ...]
    label: str
    moved: tuple[int, int]
    ground: GroundEntry | None
    shape: tuple[int, int]  # y, x
    bands: Literal[1, 3]
    sar: str
    optical: str


class Manifest(Settings):
    """What ``pairs.json`` holds."""

    version: int
    pairs: tuple[PairEntry, ...]
    facts: dict[str, Any]


def write_set(
    folder: Path, pairs: Sequence[Pair], facts: dict[str, Any], progress: Progress | None = None
) -> None:
    """Write a set of pairs into ``folder``, the manifest last.

    Raises ``OutputError`` where that cannot be, and ``PairsError`` if two pairs have one name.
    """
    entries: list[PairEntry] = []
    taken: set[str] = set()
    try:
        for number, pair in enumerate(pairs, 1):
            entry = _entry(pair)
            if entry.sar.lower() in taken:  # some file systems know no capitals
                raise PairsError(
                    f"{pair.name}: two pairs have this name: give sources of their own"
                )
            taken.add(entry.sar.lower())
            _write_pair(folder, pair, entry)
            entries.append(entry)
            if progress:
                progress("writing", number, len(pairs))
        manifest = Manifest(version=VERSION, pairs=tuple(entries), facts=facts)
        unfinished = folder / f".{MANIFEST}"
        unfinished.write_text(_json(manifest), encoding="utf-8")
        unfinished.replace(folder / MANIFEST)
    except (OSError, RasterioError) as error:
        raise OutputError(f"{folder}: cannot be written: {' '.join(str(error).split())}") from error


def read_set(folder: Path, *, sources: Iterable[str] | None = None) -> PairSet:
    """Read a set of pairs that ``write_set`` has written, or only some of its sources.

    Raises ``PairsError`` in one line: no manifest, a manifest that is not one, a name that leaves
    the folder, a file that is missing, damaged or of another size than the manifest says.
    """
    manifest = _read_manifest(folder)
    wanted = None if sources is None else set(sources)
    known = {entry.source for entry in manifest.pairs}
    if wanted is not None and wanted - known:
        there = ", ".join(sorted(known))
        raise PairsError(f"{folder}: has no source {min(wanted - known)!r}; it has {there}")
    pairs = [
        _read_pair(folder, entry)
        for entry in manifest.pairs
        if wanted is None or entry.source in wanted
    ]
    return PairSet(pairs, manifest.facts)


def _entry(pair: Pair) -> PairEntry:
    stem = pair.name.removeprefix(f"{pair.source}/").removesuffix("_sar")
    file = "/".join(_file_name(part) for part in (pair.source, stem))
    ground = pair.ground
    return PairEntry(
        name=pair.name,
        source=pair.source,
        place=pair.place,
        split=pair.split,
        look=pair.look,
        levels=pair.levels,
        tone=pair.tone,
        label=pair.label,
        moved=pair.moved,
        ground=GroundEntry(crs=ground.crs, transform=ground.transform) if ground else None,
        shape=(pair.decibel.shape[0], pair.decibel.shape[1]),
        bands=1 if len(pair.optical) == 1 else 3,
        sar=f"{file}_sar.tif",
        optical=f"{file}_opt.tif",
    )


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]", "_", text).lstrip(".") or "_"


def _write_pair(folder: Path, pair: Pair, entry: PairEntry) -> None:
    path = folder / entry.sar
    path.parent.mkdir(parents=True, exist_ok=True)
    hundredths = np.round(pair.decibel.astype(np.float32) / np.float32(STEP_DB))
    numbers = np.where(np.isnan(hundredths), NODATA, hundredths).astype(np.int16)
    with _create(path, numbers[None], entry, nodata=NODATA) as file:
        file.scales, file.units = (STEP_DB,), ("dB",)
        file.descriptions = ("backscatter",)
    with _create(folder / entry.optical, pair.optical, entry):
        pass


def _create(path: Path, bands: npt.NDArray[Any], entry: PairEntry, **options: Any) -> Any:
    where: dict[str, Any] = {}
    if entry.ground:
        where = {"crs": CRS.from_user_input(entry.ground.crs)}
        where["transform"] = Affine(*entry.ground.transform)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # chips are not
        file = rasterio.open(
            path, "w", driver="GTiff", dtype=bands.dtype.name, count=len(bands),
            height=bands.shape[1], width=bands.shape[2], compress="deflate", predictor=2,
            **where, **options,
        )  # fmt: skip
    file.write(bands)
    return file


def _json(manifest: Manifest) -> str:
    """Return the manifest with a line a pair: diffs and people read that."""
    values = manifest.model_dump(mode="json")
    lines = ",\n  ".join(json.dumps(entry, ensure_ascii=False) for entry in values["pairs"])
    facts = json.dumps(values["facts"], indent=1, ensure_ascii=False)
    return f'{{\n"version": {VERSION},\n"facts": {facts},\n"pairs": [\n  {lines}\n]\n}}\n'


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PairsError(
            f"{folder}: holds no {MANIFEST}: form the set with 'sar2opt pairs build'"
        ) from error
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise PairsError(f"{path}: cannot be read as JSON: {error}") from error
    version = values.get("version") if isinstance(values, dict) else None
    if version != VERSION:
        raise PairsError(f"{path}: is version {version!r:.40}, and this program reads {VERSION}")
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        raise PairsError(f"{path}: {first_error(error)}") from error


def _read_pair(folder: Path, entry: PairEntry) -> Pair:
    rows, cols = entry.shape
    if not (rows > 0 and cols > 0 and rows * cols <= MOST_PIXELS):
        raise PairsError(f"{entry.name}: no pair has {cols} x {rows} pixels")
    if len(entry.tone) != entry.bands or (entry.look == "grey") != (entry.bands == 1):
        raise PairsError(f"{entry.name}: look {entry.look} and {entry.bands} bands do not agree")
    numbers = _read_raster(folder, entry.sar, entry, 1, "int16")[0]
    decibel = numbers.astype(np.float32) * np.float32(STEP_DB)
    decibel[numbers == NODATA] = np.nan
    ground = entry.ground
    return Pair(
        name=entry.name,
        source=entry.source,
        place=entry.place,
        split=entry.split,
        look=entry.look,
        decibel=decibel.astype(np.float16),
        optical=_read_raster(folder, entry.optical, entry, entry.bands, "uint8"),
        levels=entry.levels,
        tone=entry.tone,
        label=entry.label,
        ground=Ground(ground.crs, ground.transform) if ground else None,
        moved=entry.moved,
    )


def _read_raster(
    folder: Path, name: str, entry: PairEntry, bands: int, dtype: str
) -> npt.NDArray[Any]:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):  # links that lead out are refused too
        raise PairsError(f"{entry.name}: {name!r} leads out of the folder {folder}")
    if not path.is_file():
        raise PairsError(f"{entry.name}: its file {name} is missing in {folder}")
    expected = (bands, *entry.shape)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, driver="GTiff") as file:
                found = (file.count, file.height, file.width)
                if found != expected or set(file.dtypes) != {dtype}:
                    raise PairsError(
                        f"{entry.name}: {name} is {found} {file.dtypes[0]}, and the manifest says "
                        f"{expected} {dtype} (bands, rows, columns)"
                    )
                pixels: npt.NDArray[Any] = file.read()
    except (OSError, RasterioError, CRSError) as error:
        raise PairsError(f"{entry.name}: {name} cannot be read: {error}") from error
    return pixels
