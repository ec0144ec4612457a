"""A simulated radar on a circular orbit, for the tests of geocoding: geometry, pixels, terrain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from sar2opt.sar.geolocation import GeolocationGrid
from sar2opt.sar.orbit import Orbit, RangeDoppler, earth_fixed

RADIUS, SPEED = 7_070_000.0, 7_500.0
SPACING = 20.0  # metres on the ground
SHAPE = (300, 400)


def radar_over(lon: float, lat: float, incidence: float = 38.0) -> RangeDoppler:
    """Return a right-looking radar on a northbound orbit whose raster's middle is a place."""
    target = earth_fixed(np.array(lon), np.array(lat), 0.0)
    up = earth_fixed(np.array(lon), np.array(lat), 1.0) - target
    north = np.cross(up, np.cross([0.0, 0.0, 1.0], up))
    north /= np.linalg.norm(north)
    east = np.cross(north, up)
    angle = np.radians(incidence)
    sight = np.cos(angle) * up - np.sin(angle) * east  # the radar stands in the west
    along = target @ sight
    reach = -along + np.sqrt(along**2 + RADIUS**2 - target @ target)
    start = target + reach * sight
    outward = start / np.linalg.norm(start)
    forward = north - (north @ outward) * outward
    forward /= np.linalg.norm(forward)
    time = np.arange(-40.0, 41.0, 10.0)
    phase = (time * SPEED / RADIUS)[:, None]
    orbit = Orbit(
        time,
        RADIUS * (np.cos(phase) * outward + np.sin(phase) * forward),
        SPEED * (np.cos(phase) * forward - np.sin(phase) * outward),
    )
    interval = SPACING / (SPEED * np.linalg.norm(target) / RADIUS)
    middle = float(orbit.zero_doppler(target))
    spacing = SPACING * np.sin(angle)
    first = float(np.linalg.norm(target - orbit.at(np.array(middle))[0])) - spacing * SHAPE[1] / 2
    return RangeDoppler(orbit, middle - interval * SHAPE[0] / 2, interval, first, spacing)


def place_on(
    model: RangeDoppler, centre: tuple[float, float], line: Any, pixel: Any, height: Any
) -> tuple[Any, Any]:
    """Return degrees of lines and pixels at a height, by Newton's method and differences."""
    line, pixel, height = np.broadcast_arrays(line, pixel, height)
    lon, lat = np.full(line.shape, centre[0]), np.full(line.shape, centre[1])
    for _ in range(8):
        (l0, p0), (l1, p1), (l2, p2) = (
            model.locate(lon + east, lat + north, height)
            for east, north in ((0, 0), (1e-5, 0), (0, 1e-5))
        )
        a, b, c, d = (l1 - l0) / 1e-5, (l2 - l0) / 1e-5, (p1 - p0) / 1e-5, (p2 - p0) / 1e-5
        u, v = line - l0, pixel - p0
        lon = lon + (u * d - v * b) / (a * d - b * c)
        lat = lat + (v * a - u * c) / (a * d - b * c)
    return lon, lat


def grid_of(
    model: RangeDoppler, centre: tuple[float, float], *, relief: float = 0.0
) -> GeolocationGrid:
    """Return its geolocation grid, with heights up to ``relief`` metres that differ at random."""
    line, pixel = np.linspace(0, SHAPE[0] - 1, 6), np.linspace(0, SHAPE[1] - 1, 8)
    height = relief * np.random.default_rng(0).random((6, 8))
    lon, lat = place_on(model, centre, line[:, None], pixel[None, :], height)
    up = earth_fixed(lon, lat, 1.0) - earth_fixed(lon, lat, 0.0)
    cosine = np.sum(up * model.sight(lon, lat, height), axis=-1)
    return GeolocationGrid(line, pixel, lon, lat, height, np.degrees(np.arccos(cosine)))


@dataclass
class Pixels:
    """Pixels that are read by windows; it remembers the largest."""

    values: Any  # (band, line, pixel)
    largest: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        shape: tuple[int, int, int] = self.values.shape
        return shape

    def __getitem__(self, index: Any) -> Any:
        window = np.array(self.values[index])
        self.largest = max(self.largest, window[0].size)
        return window


def ramps() -> Pixels:
    """Return pixels that hold their own line (first band) and pixel (second band)."""
    return Pixels(np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32))


def write_dem(path: Path, height: Any, centre: tuple[float, float], pixel: float = 3e-4) -> Path:
    """Write heights ``(y, x)`` above the ellipsoid around a place, in degrees."""
    rows, cols = height.shape
    transform = Affine(
        pixel, 0, centre[0] - cols / 2 * pixel, 0, -pixel, centre[1] + rows / 2 * pixel
    )
    profile = {"count": 1, "height": rows, "width": cols, "dtype": "float32", "crs": "EPSG:4979"}
    with rasterio.open(path, "w", driver="GTiff", transform=transform, **profile) as file:
        file.write(height.astype(np.float32), 1)
    return path
