"""Reader for GeoTIFFs whose meaning stands beside them: Capella, Umbra, ICEYE, ALOS PALSAR.

What the vendor's JSON, tags or file name say is put into the words of ``scenes/metadata.py``;
the rest is the GeoTIFF reader's. A gain turns stored values into amplitude.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rasterio
import xarray as xr
from rasterio.errors import RasterioIOError

from sar2opt.config import SceneSettings
from sar2opt.errors import SceneError
from sar2opt.scenes import geotiff
from sar2opt.scenes.metadata import letter_of
from sar2opt.scenes.opened import Opened

_MOST_BYTES = 20_000_000  # of a JSON: the real ones have up to 1 MB
PALSAR_GAIN = 10 ** (-83 / 20)  # JAXA: gamma nought in dB is 20 log10(DN) - 83
_PALSAR = re.compile(r"_sl_(HH|HV)(_[FU]\w+)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Told:
    """What is known of a file from beside it: tags, the gain to amplitude, what was assumed."""

    tags: dict[str, str] = field(default_factory=dict)
    gain: float = 1
    note: str = ""


def accepts(path: Path) -> bool:
    """Return whether a file is a GeoTIFF."""
    return geotiff.accepts(path)


def read(path: Path, settings: SceneSettings, chunks: int) -> xr.DataArray:
    """Return the scene, lazily; raises ``SceneError`` too for vendor metadata that is wrong."""
    return open_product(path, settings).raster(chunks)


def files(path: Path) -> list[Path]:
    """Return a GeoTIFF, and the vendor's metadata if they are beside it."""
    beside = _beside(path)
    return [path, beside] if beside and beside.is_file() else [path]


def open_product(
    path: Path, settings: SceneSettings, tags: Mapping[str, str] | None = None
) -> Opened:
    """Open a GeoTIFF of a known vendor by the vendor's word, any other by its own or ``tags``."""
    told = told_of(path)
    scene = geotiff.open_tiff(str(path), settings, {**(tags or {}), **told.tags}, told.gain)
    if told.note:
        scene.attrs["assumptions"].append(told.note)
    return scene


def told_of(path: Path) -> Told:
    """Return what stands beside a file; nothing, of a vendor that is not known."""
    beside = _beside(path)
    if beside:
        return (_capella if _is_capella(path) else _umbra)(path, beside)
    if "ICEYE" in path.name.upper():
        return _iceye(path)
    return told_of_palsar(path.stem)


def _is_capella(path: Path) -> bool:
    return path.name.upper().startswith("CAPELLA_")


def _beside(path: Path) -> Path | None:
    """Return where the vendor's JSON belongs, of vendors that hand one out."""
    if _is_capella(path):
        return path.with_name(f"{path.stem}_extended.json")
    if "UMBRA" in path.name.upper():
        stem = re.sub(r"_GEC.*$", "", path.stem, flags=re.IGNORECASE)
        return path.with_name(f"{stem}_METADATA.json")
    return None


def told_of_palsar(stem: str) -> Told:
    """Return what the name of a layer of the ALOS PALSAR mosaic says."""
    match = _PALSAR.search(stem)
    if not match:
        return Told()
    tags = {"POLARISATION": match.group(1), "SCALE": "amplitude", "QUANTITY": "gamma0"}
    note = "PALSAR mosaic: gamma0 in dB is 20 log10(DN) - 83, by JAXA's specification"
    return Told({**tags, "FREQUENCY_BAND": "L"}, PALSAR_GAIN, f"{note}; of passes of several days")


def _capella(path: Path, beside: Path) -> Told:
    """Capella GEO and GEC: sigma nought = (scale factor x DN)^2, from ``*_extended.json``."""
    if not beside.is_file():
        raise SceneError(
            f"{path}: its {beside.name} is missing, and without it the units are unknown: "
            "put it beside the TIFF"
        )
    told = read_json(beside)
    try:
        collect, image, radar = (
            told["collect"],
            told["collect"]["image"],
            told["collect"]["radar"],
        )
        gain = float(image["scale_factor"])
        tags = {
            "POLARISATION": f"{radar['transmit_polarization']}{radar['receive_polarization']}",
            "ACQUIRED": str(collect["start_timestamp"]),
            "FREQUENCY_BAND": letter_of(float(radar["center_frequency"])),
            "QUANTITY": str(image["radiometry"]).replace("_nought", "0"),
            "LOOKS": str(image.get("enl", "")),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _wrong(beside, f"no sound {error}") from error
    if not (math.isfinite(gain) and gain > 0):
        raise _wrong(beside, f"scale_factor is {gain}")
    return Told({**tags, "SCALE": "amplitude", "SOURCE": path.stem}, gain)


def _umbra(path: Path, beside: Path) -> Told:
    """Umbra GEC: uncalibrated amplitude; ``*_METADATA.json`` has time and polarisation."""
    tags = {"SCALE": "amplitude", "FREQUENCY_BAND": "X"}
    if not beside.is_file():
        return Told(tags, note=f"{beside.name} is not there: taken as amplitude in X band, Umbra's")
    try:
        collect = read_json(beside)["collects"][0]
        tags["POLARISATION"] = str(collect["polarizations"][0])
        tags["ACQUIRED"] = str(collect.get("startAtUTC", ""))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise _wrong(beside, f"no sound {error}") from error
    return Told(tags, note="Umbra GEC: taken as amplitude, not calibrated")


def _iceye(path: Path) -> Told:
    """ICEYE GRD: sigma nought = calibration factor x DN^2 (ICEYE, product documentation)."""
    try:
        with warnings.catch_warnings(action="ignore"), rasterio.open(path, driver="GTiff") as file:
            own = {key.upper(): value for key, value in file.tags().items()}
    except RasterioIOError:
        return Told()  # the GeoTIFF reader says what is wrong
    if any("AMPLITUDE_MAPPING" in f"{key}={value}".upper() for key, value in own.items()):
        raise SceneError(
            f"{path}: ICEYE mapped its amplitudes (amplitude_mapping), which is not undone here: "
            "convert them to amplitude first, in a file whose name does not say ICEYE"
        )
    tags = {"SCALE": "amplitude", "FREQUENCY_BAND": "X"}
    for ours, theirs in (("POLARISATION", "POLARIZATION"), ("ACQUIRED", "ACQUISITION_START_UTC")):
        if own.get(theirs):
            tags[ours] = own[theirs]
    try:
        factor = float(own["CALIBRATION_FACTOR"])
    except KeyError:
        return Told(tags, note="ICEYE: no calibration factor is written: amplitude, not calibrated")
    except ValueError:
        factor = math.nan
    if not (math.isfinite(factor) and factor > 0):
        raise _wrong(path, f"CALIBRATION_FACTOR is {own['CALIBRATION_FACTOR']!r}")
    return Told({**tags, "QUANTITY": "sigma0"}, math.sqrt(factor))


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of bounded size; raises ``SceneError``."""
    if path.stat().st_size > _MOST_BYTES:
        raise _wrong(path, "larger than any metadata")
    try:
        told = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _wrong(path, "not JSON") from error
    if not isinstance(told, dict):
        raise _wrong(path, "not a JSON object")
    return told


def _wrong(path: Path, why: str) -> SceneError:
    return SceneError(f"{path}: the metadata cannot be used ({why}): fetch the product again")
