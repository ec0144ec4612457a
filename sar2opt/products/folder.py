"""Where products go: whether they may, and how all of a folder appear at once.

Products are written under their final names in a hidden folder, and moved up when the last is
finished; until then, and after any failure, the folder holds what it held before.
"""

from __future__ import annotations

import errno
import glob
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyogrio.errors import DataLayerError, DataSourceError
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError, RasterioIOError

from sar2opt.errors import OutputError

FILES = {
    "optical": "{}_optical.tif",
    "trust": "{}_trust.tif",
    "tags": "{}_tags.tif",
    "tag_names": "{}_tags.tif.aux.xml",
    "tags_style": "{}_tags.qml",
    "trust_style": "{}_trust.qml",
    "tags_sld": "{}_tags.sld",
    "objects_sld": "{}_objects.sld",
    "anomalies_sld": "{}_anomalies.sld",
    "sar": "{}_sar.tif",
    "vectors": "{}.gpkg",
    "stac": "{}.json",
    "preview": "{}_preview.png",
    "report": "{}_report.html",
}
"""Names of the products, of which ``{}`` is the scene."""

EXTRA = {"geojson": "{}_{}.geojson", "flatgeobuf": "{}_{}.fgb", "geoparquet": "{}_{}.parquet"}
"""Names of the vector layers on request: scene and layer."""

WRITING_ERRORS = (
    OSError,
    RasterioError,
    RasterioIOError,
    CPLE_BaseError,
    DataSourceError,
    DataLayerError,
    sqlite3.Error,
)
LAYERS = ("objects", "anomalies", "features", "footprint")
EVIDENCE = "{}_evidence_*.png"  # pictures of anomalies, of which {} is the scene
SCRATCH = ".unfinished"


def product_paths(folder: Path, scene: str) -> dict[str, Path]:
    """Return the path of each product of ``scene`` in ``folder``, by the keys of ``FILES``."""
    return {key: folder / name.format(scene) for key, name in FILES.items()}


def check_output(folder: Path, scene: str, *, overwrite: bool) -> None:
    """Raise ``OutputError`` if products of ``scene`` cannot be written to ``folder``.

    Meant for the start of a run, hours before the products: nothing is left behind.
    """
    there = _existing(folder, scene)
    if there and not overwrite:
        raise OutputError(
            f"{folder}: holds {there[0].name} already; give --overwrite to replace it, "
            "or choose another folder with --out"
        )
    with staged_output(folder, scene, overwrite=True, replace=False):
        pass


def check_target(path: Path, source: Path, *, overwrite: bool) -> None:
    """Raise ``OutputError`` if ``path`` cannot become a file made from ``source``.

    Meant for the start, before the work.
    """
    if path.is_dir():
        raise OutputError(f"{path}: this is a folder: give the name of a file with --out")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}: make it first")
    if path.exists() and source.exists() and path.samefile(source):
        raise OutputError(f"{path}: this is the scene itself: give another name with --out")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already; give --overwrite to replace it")
    with output_errors(path), tempfile.TemporaryDirectory(prefix=".out-", dir=path.parent):
        pass


@contextmanager
def staged_output(
    folder: Path, scene: str, *, overwrite: bool, replace: bool = True
) -> Iterator[Path]:
    """Give an empty hidden folder for the products, which are moved to ``folder`` at the end.

    With ``overwrite``, products of an earlier run that are not written again are removed, so
    that no file of another run stays beside the new ones. If anything is raised inside, nothing
    is left behind. Raises ``OutputError`` if products exist or the folder cannot be written.
    """
    there = _existing(folder, scene)
    if there and not overwrite:
        raise OutputError(f"{folder}: holds {there[0].name} already; give --overwrite")
    made = _missing(folder)
    scratch = folder / SCRATCH
    try:
        with output_errors(folder):
            shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
            scratch.mkdir(parents=True)
        yield scratch
        if replace:
            with output_errors(folder):
                _move_up(scratch, folder, there)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        for parent in made:
            _remove_if_empty(parent)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn what writing libraries raise into one line of ``OutputError``."""
    try:
        yield
    except WRITING_ERRORS as error:
        raise OutputError(f"{path}: cannot be written: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    number = error.errno if isinstance(error, OSError) else None
    text = " ".join(str(error).split())
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in text:
        return "the disk is full; free some space, or choose another folder with --out"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission; choose another folder with --out"
    if number is None:  # GDAL and SQLite seldom name the cause
        return f"{text} (is there space left on the disk?)"
    return text


def _existing(folder: Path, scene: str) -> list[Path]:
    names = [name.format(scene) for name in FILES.values()]
    names += [name.format(scene, layer) for name in EXTRA.values() for layer in LAYERS]
    with output_errors(folder):
        there = [folder / name for name in names if (folder / name).exists()]
        return [*there, *sorted(folder.glob(EVIDENCE.format(glob.escape(scene))))]


def _missing(folder: Path) -> list[Path]:
    """Return the folders that have to be made for ``folder``, deepest first."""
    return [parent for parent in (folder, *folder.parents) if not parent.exists()]


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _move_up(scratch: Path, folder: Path, there: list[Path]) -> None:
    written = [path.replace(folder / path.name) for path in sorted(scratch.iterdir())]
    # what GDAL and QGIS noted beside an older product, its statistics say, is not true of the new
    notes = {path.with_name(f"{path.name}.aux.xml") for path in (*there, *written)}
    for stale in (set(there) | notes) - set(written):
        stale.unlink(missing_ok=True)
