"""The geometry in the annotation of a real Sentinel-1 GRD product, for the tests of geocoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # of our own files only

import numpy as np

from sar2opt.sar.geolocation import GeolocationGrid
from sar2opt.sar.orbit import GroundRange, Orbit, RangeDoppler

_LIGHT = 299_792_458.0


def read_annotation(path: Path) -> tuple[GeolocationGrid, RangeDoppler, dict[str, Any]]:
    """Return grid, range-Doppler geometry, and lines, samples, and times and ranges of the grid."""
    root = ElementTree.parse(path).getroot()
    text = root.findtext
    epoch = np.datetime64(text(".//productFirstLineUtcTime"))

    def seconds(stamp: str) -> float:
        return float((np.datetime64(stamp) - epoch) / np.timedelta64(1, "ns")) * 1e-9

    points = root.findall(".//geolocationGridPoint")
    names = ("line", "pixel", "longitude", "latitude", "height", "incidenceAngle", "slantRangeTime")
    table = np.array([[float(point.findtext(name)) for name in names] for point in points])
    lines = np.unique(table[:, 0]).size
    mesh = np.moveaxis(table.reshape(lines, -1, len(names)), -1, 0)
    grid = GeolocationGrid(mesh[0][:, 0], mesh[1][0], *mesh[2:6])
    orbits = root.findall(".//orbit")
    states = [
        np.array([[float(o.findtext(f"{what}/{axis}")) for axis in "xyz"] for o in orbits])
        for what in ("position", "velocity")
    ]
    orbit = Orbit(np.array([seconds(o.findtext("time")) for o in orbits]), *states)
    changes = root.findall(".//coordinateConversionList/coordinateConversion")
    ground = GroundRange(
        np.array([seconds(c.findtext("azimuthTime")) for c in changes]),
        np.array([float(c.findtext("sr0")) for c in changes]),
        np.array([[float(v) for v in c.findtext("srgrCoefficients").split()] for c in changes]),
    )
    model = RangeDoppler(
        orbit, 0.0, float(text(".//azimuthTimeInterval")), 0.0,
        float(text(".//rangePixelSpacing")), ground,
    )  # fmt: skip
    facts = {
        "shape": (int(text(".//numberOfLines")), int(text(".//numberOfSamples"))),
        "slant": mesh[6] * _LIGHT / 2,
        "time": np.array([seconds(p.findtext("azimuthTime")) for p in points]).reshape(lines, -1),
    }
    return grid, model, facts
