"""The polarisations of a Sentinel-1 product: their annotations and tables, checked for one another.

What is missing, cut off or contradicts itself is refused here, before a pixel is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sar2opt.config import SceneSettings
from sar2opt.errors import BandError, SceneError
from sar2opt.scenes.blocks import check_length
from sar2opt.scenes.sentinel1.annotation import Annotation, parse_annotation
from sar2opt.scenes.sentinel1.container import Container
from sar2opt.scenes.sentinel1.luts import parse_calibration, parse_noise
from sar2opt.scenes.sentinel1.source import Channel, opened

_MOST_HEADER = 2**24  # bytes of a measurement that are no pixels
_PIXEL = {"GRD": ("uint16", 3), "SLC": ("complex_int16", 5)}  # type; bytes it may take, at most
_SAME = ("platform", "kind", "mode", "direction", "absolute_orbit", "datatake", "lines", "samples")


def read_annotations(container: Container, asked: str, kind: str) -> dict[str, Annotation]:
    """Return the annotations of the polarisations that are asked for, which must agree.

    ``asked`` is a polarisation, or "auto" for all; ``kind`` is GRD or SLC. Raises ``BandError``
    or ``SceneError``.
    """
    names = container.polarisations
    if asked != "auto" and asked not in names:
        raise BandError(
            f"{container.path}: it has no band {asked}: say --polarisation {' or '.join(names)}"
        )
    found = {}
    for name in names if asked == "auto" else [asked]:
        where = f"{container.path}: {container.where('annotation', name)}"
        facts = parse_annotation(container.text("annotation", name), where)
        if facts.kind != kind:
            raise SceneError(
                f"{where}: it is of type {facts.kind}, another file of the product of type {kind}: "
                "fetch it again"
            )
        _refuse_twins(container, name)
        if facts.polarisation != name:
            raise SceneError(f"{where}: its name says {name}, its content {facts.polarisation}")
        found[name] = facts
    check_same(container, found, _SAME)
    return found


def check_same(container: Container, every: dict[str, Annotation], fields: Iterable[str]) -> None:
    """Raise ``SceneError`` where annotations differ in what those of one product share."""
    first, *_ = every
    for name, facts in every.items():
        for what in fields:
            if getattr(facts, what) != getattr(every[first], what):
                raise SceneError(
                    f"{container.path}: {name} and {first} differ in "
                    f"{what.replace('_', ' ')}: they are not one product: fetch it again"
                )


def read_channels(
    container: Container, annotations: dict[str, Annotation], settings: SceneSettings
) -> tuple[tuple[Channel, ...], str, list[str]]:
    """Return measurements with their tables, the quantity that they make, and what was assumed."""
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
    return tuple(channels), "intensity" if quantity == "none" else quantity, notes


def stamp_of(container: Container, names: Iterable[str]) -> tuple[int, int]:
    """Return the latest time and the sum of the sizes of the measurements on disk."""
    stamps = [container.stamp(name) for name in names]
    return max(time for time, _ in stamps), sum(size for _, size in stamps)


def facts_of(raster: str, stamp: tuple[int, int], facts: Annotation) -> dict[str, Any]:
    """Return what is known of a scene beside its pixels, as attributes."""
    with opened(raster, stamp) as file:
        simulated = file.tags().get("SIMULATED", "").upper() == "YES"
    track = {} if facts.relative_orbit is None else {"relative_orbit": facts.relative_orbit}
    return {
        "acquired": f"{facts.start}Z",
        "simulated": simulated,
        "frequency_band": "C",
        "platform": facts.platform,
        "mode": facts.mode,
        "orbit_direction": facts.direction,
        "absolute_orbit": facts.absolute_orbit,
        **track,
    }


def _refuse_twins(container: Container, name: str) -> None:
    """Raise where a folder holds the files of two products."""
    for (kind, polarisation), names in container.files.items():
        if polarisation == name and len(names) > 1:
            raise SceneError(
                f"{container.path}: it holds {len(names)} {kind} files of {name} ({names[0]}, "
                f"{names[1]}): give a folder for each product"
            )


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
    kind, most = _PIXEL[facts.kind]
    if container.size(name) > most * facts.lines * facts.samples + _MOST_HEADER:
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
        if file.count != 1 or file.dtypes[0] != kind:
            raise SceneError(
                f"{container.path}: the measurement of {name} holds {file.count} band(s) of "
                f"{file.dtypes[0]}, not one of {kind}: fetch it again"
            )
        check_length(file, container.size(name))
