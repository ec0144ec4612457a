"""Sentinel-1 GRD, from the product to the map.

1. Find the product's files; read annotation, calibration and noise of each polarisation.
2. Refuse what cannot be right: files that are missing, or contradict one another.
3. Wrap the measurements as an array in radar geometry; lay it on the map, lazily.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sar2opt.config import SceneSettings
from sar2opt.errors import BandError, ConfigError, PlacementError, SceneError
from sar2opt.sar.radiometry import Power
from sar2opt.scenes.blocks import check_length
from sar2opt.scenes.opened import Opened
from sar2opt.scenes.sentinel1.annotation import Annotation, parse_annotation
from sar2opt.scenes.sentinel1.container import Container, is_product, open_container
from sar2opt.scenes.sentinel1.luts import parse_calibration, parse_noise
from sar2opt.scenes.sentinel1.source import Channel, GrdSource, opened
from sar2opt.scenes.terrain_layers import LAYERS, seen_terrain
from sar2opt.scenes.warp import WarpedSource, geocoded

_IW_LOOKS = 4.4  # equivalent, of GRDH at 10 m: ESA, Sentinel-1 product specification
_BANDS, _BAND_LINES, _BAND_STEP = 8, 32, 16  # of the quick sample: bands, lines, pixels between
_DEFLATED = 0.06  # the share of a deflated raster that can be looked at quickly
_CLEAN_RIMS = "2018-03-13"  # IPF 2.9 and later
_MOST_BYTES, _MOST_HEADER = 3, 2**24  # of a measurement: of a pixel of uint16, and of all else
_SAME = ("platform", "kind", "mode", "direction", "absolute_orbit", "datatake", "lines", "samples")


def accepts(path: Path) -> bool:
    """Return whether a folder or zip is a Sentinel-1 product."""
    return is_product(path)


def files(path: Path) -> list[Path]:
    """Return the files on disk that a product's pixels depend on."""
    container = open_container(path)
    if container.zipped:
        return [path]
    return sorted(path / name for names in container.files.values() for name in names)


def read(path: Path, settings: SceneSettings, chunks: int) -> xr.DataArray:
    """Return the scene, lazily, as linear power; ``open_scene`` documents what is raised."""
    return open_product(path, settings).raster(chunks)


def open_product(path: Path, settings: SceneSettings) -> Opened:
    """Return the scene, open but not read, so that slices can be joined."""
    return _open(path, settings)[0]


def read_with_terrain(
    path: Path, settings: SceneSettings, chunks: int
) -> tuple[xr.DataArray, xr.DataArray | None]:
    """Return the scene, and what the radar saw of the terrain, as ``open_with_terrain`` says."""
    scene, warped = _open(path, settings)
    seen = seen_terrain(warped)
    if seen is None:
        return scene.raster(chunks), None
    attrs = {**scene.attrs, "quantity": "terrain"}
    layers = replace(scene, source=seen, names=LAYERS, attrs=attrs)
    return scene.raster(chunks), layers.raster(chunks)


def _open(path: Path, settings: SceneSettings) -> tuple[Opened, WarpedSource]:
    """Return the scene, and the same pixels as they are laid on the map."""
    container = open_container(path)
    annotations = _annotations(container, settings.polarisation)
    first = next(iter(annotations.values()))
    source, quantity, notes = _source(container, annotations, settings)
    if settings.dem is not None and quantity != "gamma0":
        raise ConfigError(
            f"terrain correction makes gamma nought of gamma nought, not of {quantity}: leave out "
            "--calibration, or --dem"
        )
    try:
        spacing = float(np.sqrt(np.prod(first.spacing)))
        warped, geobox, more = geocoded(source, first.grid, spacing, settings, model=first.geometry)
    except PlacementError as error:
        raise PlacementError(f"{path}: {error}") from error
    looks, looks_note = _looks(first)
    attrs = {
        "quantity": quantity,
        "acquired": f"{first.start}Z",
        "source": container.name,
        "assumptions": [*notes, looks_note, *more],
        "input_scale": "amplitude",
        "looks": looks,
        **_facts(source, first),
    }
    return Opened(warped, geobox, tuple(annotations), attrs), warped


def quick_sample(path: Path, settings: SceneSettings) -> tuple[Power, str]:
    """Return power ``(band, n)`` of some lines, and which: what can be read in a second."""
    container = open_container(path)
    annotations = _annotations(container, settings.polarisation)
    source, _, _ = _source(container, annotations, settings)
    lines = int(source.lines * (_DEFLATED if container.zipped else 1))
    tops = np.linspace(0, max(lines - _BAND_LINES, 0), _BANDS).astype(int)

    def sampled(band: int) -> Power:
        parts = [source[band, top : top + _BAND_LINES, ::_BAND_STEP].ravel() for top in tops]
        return np.concatenate(parts)

    with ThreadPoolExecutor() as pool:  # a raster each: in a zip it is inflated from its beginning
        power = np.stack(list(pool.map(sampled, range(len(annotations)))))
    where = f"the first {_DEFLATED:.0%} of the lines" if container.zipped else "all lines"
    return power, where


def _annotations(container: Container, asked: str) -> dict[str, Annotation]:
    """Return the annotations of the polarisations that are asked for, which must agree."""
    names = container.polarisations
    if asked != "auto" and asked not in names:
        raise BandError(
            f"{container.path}: it has no band {asked}: say --polarisation {' or '.join(names)}"
        )
    found = {}
    for name in names if asked == "auto" else [asked]:
        where = f"{container.path}: {container.where('annotation', name)}"
        facts = parse_annotation(container.text("annotation", name), where)
        if facts.kind != "GRD":
            raise SceneError(
                f"{container.path}: a product of type {facts.kind}, not GRD: fetch the GRD product "
                "of the same pass, or detect and multilook it first (SNAP, or xarray-sentinel)"
            )
        _refuse_twins(container, name)
        if facts.polarisation != name:
            raise SceneError(f"{where}: its name says {name}, its content {facts.polarisation}")
        found[name] = facts
    first = next(iter(found.values()))
    for name, facts in found.items():
        for what in _SAME:
            if getattr(facts, what) != getattr(first, what):
                raise SceneError(
                    f"{container.path}: {name} and {first.polarisation} differ in "
                    f"{what.replace('_', ' ')}: they are not one product: fetch it again"
                )
    return found


def _source(
    container: Container, annotations: dict[str, Annotation], settings: SceneSettings
) -> tuple[GrdSource, str, list[str]]:
    """Return the product as an array, its quantity, and what was assumed."""
    quantity = "gamma0" if settings.calibration == "auto" else settings.calibration
    channels, notes = [], []
    for name, facts in annotations.items():
        raster = container.raster(name)
        _check_raster(raster, facts, container, name)
        calibration = noise = None
        if quantity != "none":
            content, where = _table(container, "calibration", name, "--calibration none")
            calibration = parse_calibration(content, where, quantity)
        if settings.noise == "subtract" and calibration is not None:
            noise = parse_noise(*_table(container, "noise", name, "--noise keep"))
            if not noise.table.values.any():
                notes.append(f"the thermal noise of {name} is written as 0: none is subtracted")
        channels.append(Channel(raster, calibration, noise))
    if settings.noise == "keep" and calibration is not None:
        notes.append("thermal noise is not subtracted, as asked")
    if calibration is None:
        notes.append("not calibrated, as asked: power is the square of the digital numbers")
    rim = _rim(container, facts, channels, notes)
    stamp = _stamp(container, annotations)
    source = GrdSource(tuple(channels), facts.lines, facts.samples, rim, stamp)
    return source, "intensity" if quantity == "none" else quantity, notes


def _stamp(container: Container, names: Iterable[str]) -> tuple[int, int]:
    """Return the latest time and the sum of the sizes of the measurements on disk."""
    stamps = [container.stamp(name) for name in names]
    return max(time for time, _ in stamps), sum(size for _, size in stamps)


def _refuse_twins(container: Container, name: str) -> None:
    """Raise where a folder holds the files of two products."""
    for (kind, polarisation), names in container.files.items():
        if polarisation == name and len(names) > 1:
            raise SceneError(
                f"{container.path}: it holds {len(names)} {kind} files of {name} ({names[0]}, "
                f"{names[1]}): give a folder for each product"
            )


def _rim(
    container: Container, facts: Annotation, channels: Sequence[Channel], notes: list[str]
) -> str:
    """Return the raster that tells where the dark rim ends, "" for a product that has none.

    It is the co-polarised one: cross-polarised calm sea is as dark as the rim. Products that were
    processed anew have noise of the new form, and a clean rim.
    """
    anew = any(channel.noise is not None and channel.noise.azimuth for channel in channels)
    if facts.start >= _CLEAN_RIMS or anew:
        return ""
    name = {"vh": "vv", "hv": "hh"}.get(facts.polarisation, facts.polarisation)
    if ("measurement", name) not in container.files:
        notes.append(f"a product from before March 2018 without {name}: its dark rim stays in")
        return ""
    notes.append("a product from before March 2018: the dark rim along its sides is no data")
    return container.raster(name)


def _table(container: Container, kind: str, name: str, without: str) -> tuple[bytes, str]:
    """Return the content of a calibration or noise file, and its place for a message."""
    if (kind, name) not in container.files:
        raise SceneError(
            f"{container.path}: the {kind} file of {name} is missing "
            f"(annotation/calibration/{kind}-...-{name}-...xml): fetch the whole product, "
            f"or go on without it: {without}"
        )
    return container.text(kind, name), f"{container.path}: {container.where(kind, name)}"


def _check_raster(raster: str, facts: Annotation, container: Container, name: str) -> None:
    """Refuse a measurement that is not what its annotation says, without reading a pixel."""
    if container.size(name) > _MOST_BYTES * facts.lines * facts.samples + _MOST_HEADER:
        raise SceneError(
            f"{container.path}: the measurement of {name} unpacks to {container.size(name)} bytes, "
            "more than its pixels can take: do not trust it"
        )
    with opened(raster, container.stamp(name)) as file:
        if (file.height, file.width) != (facts.lines, facts.samples):
            raise SceneError(
                f"{container.path}: the measurement of {name} has {file.height} lines of "
                f"{file.width} pixels, its annotation {facts.lines} of {facts.samples}: "
                "they are not of one product: fetch it again"
            )
        if file.count != 1 or file.dtypes[0] != "uint16":
            raise SceneError(
                f"{container.path}: the measurement of {name} holds {file.count} band(s) of "
                f"{file.dtypes[0]}, not one of uint16: fetch it again"
            )
        check_length(file, container.size(name))


def _looks(facts: Annotation) -> tuple[float, str]:
    if facts.mode == "IW" and facts.spacing == (10.0, 10.0):
        return _IW_LOOKS, f"{_IW_LOOKS:g} looks, by the type of product (IW GRDH)"
    looks = facts.nominal_looks
    return looks, f"{looks:g} looks, as processed; they overlap, so in effect there are fewer"


def _facts(source: GrdSource, facts: Annotation) -> dict[str, Any]:
    with opened(source.channels[0].raster, source.stamp) as file:
        simulated = file.tags().get("SIMULATED", "").upper() == "YES"
    track = {} if facts.relative_orbit is None else {"relative_orbit": facts.relative_orbit}
    return {
        "simulated": simulated,
        "frequency_band": "C",
        "platform": facts.platform,
        "mode": facts.mode,
        "orbit_direction": facts.direction,
        "absolute_orbit": facts.absolute_orbit,
        **track,
    }
