"""Reader for NISAR GCOV (HDF5): geocoded covariance, whose diagonal is gamma nought.

Layout by the product's specification (JPL D-102274): ``/science/LSAR/GCOV/grids/frequencyA``
holds ``HHHH``, ``HVHV``, ``VVVV``, ``VHVH`` (linear power), ``xCoordinates``, ``yCoordinates``
(pixel centres) and ``projection`` (an EPSG code). h5py reads it: GDAL's HDF5 driver gives the
grid of such files no place, and the wheels of rasterio come without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS
from pyproj.exceptions import CRSError

from sar2opt.config import SceneSettings
from sar2opt.errors import BandError, PlacementError, SceneError
from sar2opt.sar.radiometry import Power
from sar2opt.scenes.blocks import MOST_PIXELS, file_stamp
from sar2opt.scenes.indexed import Indexed
from sar2opt.scenes.opened import Opened, cut

_MAGIC = b"\x89HDF\r\n\x1a\n"
_TERMS = {"vv": "VVVV", "vh": "VHVH", "hh": "HHHH", "hv": "HVHV"}
_MOST_CHUNK = 2**26  # pixels that are unpacked at once


@dataclass(frozen=True)
class Hdf5Source(Indexed):
    """Datasets ``(y, x)`` of an HDF5 file, indexed like an array ``(band, y, x)``."""

    path: str
    datasets: tuple[str, ...]
    shape: tuple[int, int, int]
    nodata: float | None
    stamp: tuple[int, int]  # time and size of the file: another stamp, other pixels

    def _read(self, bands: slice, rows: slice, cols: slice) -> Power:
        path = Path(self.path)
        with _open(path) as file:
            read = [_node(file, name, path)[rows, cols] for name in self.datasets[bands]]
        power = np.stack(read).astype(np.float32)
        power[~np.isfinite(power) | (power <= 0)] = np.nan
        if self.nodata is not None:
            power[power == self.nodata] = np.nan
        return power


def accepts(path: Path) -> bool:
    """Return whether a file begins as HDF5 does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(8) == _MAGIC


def read(path: Path, settings: SceneSettings, chunks: int) -> xr.DataArray:
    """Return the diagonal terms of a GCOV product, lazily, as gamma nought."""
    if settings.scale not in ("auto", "power"):
        raise SceneError(f"{path}: NISAR GCOV is linear power: leave --scale out")
    with _open(path) as file:
        root = _root(file, path)
        grids = [f"{root}/grids/frequency{name}" for name in "AB"]
        frequency = next((name for name in grids if _node(file, name, path) is not None), "")
        grid = _node(file, frequency, path)
        found = {band: term for band, term in _TERMS.items() if _node(grid, term, path) is not None}
        if not found:
            raise BandError(f"{path}: it has no such term (HHHH, HVHV, VVVV, VHVH) of covariance")
        if settings.polarisation not in ("auto", *found):
            raise BandError(
                f"{path}: it has no band {settings.polarisation}: say --polarisation "
                f"{' or '.join(found)}"
            )
        if settings.polarisation != "auto":
            found = {settings.polarisation: found[settings.polarisation]}
        geobox = _geobox(grid, path)
        for term in found.values():
            _check(_node(grid, term, path), term, geobox.shape, path)
        attrs = _attributes(file, root, frequency, path)
    names = tuple(f"{frequency}/{term}" for term in found.values())
    shape = (len(found), *geobox.shape)
    source = Hdf5Source(str(path), names, shape, settings.nodata, file_stamp(str(path)))
    opened = Opened(source, geobox, tuple(found), attrs)
    return cut(opened, settings.aoi).raster(chunks)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a file; whatever h5py raises of it, here or while it is read, is damage."""
    try:
        import h5py
    except ImportError as error:
        raise SceneError(f"{path}: HDF5 needs h5py: pip install 'sar2opt[nisar]'") from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise SceneError(f"{path}: the HDF5 is damaged or cut off: fetch it again") from error


def _node(group: Any, name: str, path: Path) -> Any:
    """Return a group or dataset, None if there is none; nothing is followed out of the file."""
    for part in name.strip("/").split("/"):
        link = group.get(part, getlink=True) if hasattr(group, "keys") else None
        if link is None:
            return None
        if type(link).__name__ != "HardLink":
            raise SceneError(f"{path}: {name} leads to another file: refused")
        group = group[part]
    return group


def _root(file: Any, path: Path) -> str:
    for radar in ("LSAR", "SSAR"):
        if _node(file, f"science/{radar}/GCOV/grids", path) is not None:
            return f"science/{radar}/GCOV"
        for kind in ("GSLC", "RSLC"):
            if _node(file, f"science/{radar}/{kind}", path) is not None:
                raise SceneError(
                    f"{path}: this is NISAR {kind}, complex single-look: give the GCOV of the same "
                    "pass, which is detected and terrain-corrected"
                )
    raise SceneError(f"{path}: this HDF5 is no NISAR GCOV: convert it to a GeoTIFF")


def _geobox(grid: Any, path: Path) -> GeoBox:
    try:
        x, y = (_node(grid, f"{axis}Coordinates", path) for axis in "xy")
        size = y.shape[0] * x.shape[0]
        step = float(x[1] - x[0]), float(y[1] - y[0])
        origin = float(x[0]) - step[0] / 2, float(y[0]) - step[1] / 2
        last = abs(float(x[-1]) - float(x[0]) - step[0] * (x.shape[0] - 1)) / abs(step[0])
        projection = _node(grid, "projection", path)
        code = int(projection.attrs.get("epsg_code", projection[()]))
        crs = f"EPSG:{CRS.from_epsg(code).to_epsg()}"
    except (
        AttributeError,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        ZeroDivisionError,
        CRSError,
    ) as error:
        raise PlacementError(
            f"{path}: its grid cannot be read ({error}): fetch it again"
        ) from error
    if not (0 < size <= MOST_PIXELS and step[0] > 0 > step[1] and last < 0.5):
        raise PlacementError(f"{path}: its coordinates are no north-up grid: geocode it first")
    affine = Affine(step[0], 0, origin[0], 0, step[1], origin[1])
    return GeoBox((y.shape[0], x.shape[0]), affine, crs)


def _check(pixels: Any, term: str, shape: Any, path: Path) -> None:
    """Refuse pixels that are not in the file itself, not real numbers, or fewer than the grid."""
    if not hasattr(pixels, "chunks") or pixels.external or pixels.is_virtual:
        raise SceneError(f"{path}: {term} leads to another file: refused")
    if pixels.dtype.kind != "f":
        raise SceneError(f"{path}: {term} holds {pixels.dtype}, not backscatter: fetch it again")
    if pixels.shape != tuple(shape):
        raise SceneError(f"{path}: its coordinates and pixels differ in number: fetch it again")
    if pixels.chunks and np.prod(pixels.chunks) > _MOST_CHUNK:
        raise SceneError(f"{path}: a block of {term} unpacks to more than memory holds: refused")


def _attributes(file: Any, root: str, frequency: str, path: Path) -> dict[str, Any]:
    radar = root.split("/")[1]
    time = _node(file, f"science/{radar}/identification/zeroDopplerStartTime", path)
    text = time[()] if getattr(time, "shape", None) == () else b""
    text = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
    notes = ["NISAR GCOV: gamma0, linear power, by the product's specification"]
    if frequency.endswith("B"):
        notes.append("frequency A is not there: frequency B is read")
    return {
        "quantity": "gamma0",
        "acquired": f"{text[:19]}Z" if text else "",
        "source": path.stem,
        "assumptions": notes,
        "input_scale": "power",
        "simulated": file.attrs.get("SIMULATED", "") == "YES",
        "frequency_band": radar[0],
    }
