"""What a Sentinel-1 annotation says of its raster: acquisition, size, geolocation, orbit.

Fields as in the product specification (S1-RS-MDA-52-7441).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sar2opt.sar.geolocation import Floats, GeolocationGrid
from sar2opt.sar.orbit import GroundRange, Orbit, RangeDoppler
from sar2opt.scenes.sentinel1.xml import Tree

_RELATIVE = {"S1A": 73, "S1B": 27}  # absolute orbit before relative orbit 1; 175 a cycle
_PLACE = ("line", "pixel", "longitude", "latitude", "height", "incidenceAngle")


@dataclass(frozen=True)
class Annotation:
    """The annotation of one polarisation."""

    platform: str  # S1A ...
    kind: str  # GRD, SLC
    mode: str  # IW, EW, S1 to S6 (stripmap)
    polarisation: str  # vv ...
    start: str  # ISO 8601, UTC
    stop: str
    absolute_orbit: int
    datatake: str
    direction: str  # ascending, descending
    lines: int
    samples: int
    spacing: tuple[float, float]  # of lines, of pixels; metres
    nominal_looks: float  # in range times in azimuth
    grid: GeolocationGrid
    geometry: RangeDoppler | None  # None where orbit or range conversion is missing

    @property
    def relative_orbit(self) -> int | None:
        """Return the number of the track, None where the platform's count is not known."""
        first = _RELATIVE.get(self.platform)
        return None if first is None else (self.absolute_orbit - first) % 175 + 1


def parse_annotation(content: bytes, where: str) -> Annotation:
    """Read an annotation; raises ``SceneError`` if something needed is missing or impossible."""
    return annotation_of(Tree.parse(content, where))


def annotation_of(tree: Tree) -> Annotation:
    """Return what an annotation says of any product; raises as ``parse_annotation`` does."""
    image = "imageAnnotation/imageInformation/"
    first, last = tree.time(f"{image}productFirstLineUtcTime"), tree.text("adsHeader/stopTime")
    looks = [
        tree.number(f".//swathProcParams/{axis}Processing/numberOfLooks")
        for axis in ("range", "azimuth")
    ]
    spacing = [tree.number(f"{image}{axis}PixelSpacing") for axis in ("azimuth", "range")]
    interval = tree.number(f"{image}azimuthTimeInterval")
    if min(*looks, *spacing, interval) <= 0:
        raise tree.wrong("its pixel spacing, line interval or looks are not positive")
    return Annotation(
        platform=tree.text("adsHeader/missionId"),
        kind=tree.text("adsHeader/productType"),
        mode=tree.text("adsHeader/mode"),
        polarisation=tree.text("adsHeader/polarisation").lower(),
        start=tree.text("adsHeader/startTime"),
        stop=last,
        absolute_orbit=tree.count("adsHeader/absoluteOrbitNumber"),
        datatake=tree.text("adsHeader/missionDataTakeId"),
        direction=tree.text("generalAnnotation/productInformation/pass").lower(),
        lines=tree.count(f"{image}numberOfLines"),
        samples=tree.count(f"{image}numberOfSamples"),
        spacing=(spacing[0], spacing[1]),
        nominal_looks=looks[0] * looks[1],
        grid=_grid(tree),
        geometry=_geometry(tree, first, interval, spacing[1]),
    )


def _grid(tree: Tree) -> GeolocationGrid:
    points = tree.all(".//geolocationGridPoint")
    table = np.array([[point.number(name) for name in _PLACE] for point in points])
    if len(table) < 4:
        raise tree.wrong(f"its geolocation grid has {len(table)} points")
    line, pixel = np.unique(table[:, 0]), np.unique(table[:, 1])
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    whole = np.stack(np.meshgrid(line, pixel, indexing="ij"), axis=-1).reshape(-1, 2)
    if min(line.size, pixel.size) < 2 or not np.array_equal(whole, table[:, :2]):
        raise tree.wrong("its geolocation grid is not a whole mesh of lines and pixels")
    lon, lat, height, incidence = table[:, 2:].T.reshape(4, line.size, pixel.size)
    if np.abs(lat).max() > 90 or np.abs(lon).max() > 360 or not 0 < incidence.min() <= 90:
        raise tree.wrong("its geolocation grid lies nowhere on the Earth")
    return GeolocationGrid(line, pixel, lon, lat, height, incidence)


def _geometry(
    tree: Tree, epoch: np.datetime64, interval: float, spacing: float
) -> RangeDoppler | None:
    """Return the range-Doppler geometry, times in seconds since line 0; None if it is not given."""
    orbit = orbit_of(tree, epoch)
    changes = tree.all(".//coordinateConversionList/coordinateConversion")
    if orbit is None or not changes:
        return None
    powers = [change.numbers("srgrCoefficients") for change in changes]
    if len({len(one) for one in powers}) != 1:
        raise tree.wrong("its range conversions differ in degree")
    ground = GroundRange(
        np.array([change.seconds("azimuthTime", epoch) for change in changes]),
        np.array([change.number("sr0") for change in changes]),
        np.array(powers),
    )
    if (np.diff(ground.time) <= 0).any():
        raise tree.wrong("its range conversions are not in order of time")
    return RangeDoppler(orbit, 0.0, interval, 0.0, spacing, ground)


def orbit_of(tree: Tree, epoch: np.datetime64) -> Orbit | None:
    """Return the orbit, times in seconds since ``epoch``; None if it is not given."""
    states = tree.all(".//orbitList/orbit")
    if len(states) < 2:
        return None

    def vectors(what: str) -> Floats:
        return np.array([[state.number(f"{what}/{axis}") for axis in "xyz"] for state in states])

    time = np.array([state.seconds("time", epoch) for state in states])
    if (np.diff(time) <= 0).any():
        raise tree.wrong("its orbit is not in order of time")
    return Orbit(time, vectors("position"), vectors("velocity"))
