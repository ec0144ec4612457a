"""Orbit, and the range-Doppler equations: where in a radar raster a point of the Earth is seen.

A point is imaged when it passes the plane across the track, ``(P - S) . V = 0`` (zero Doppler;
Cumming and Wong, 2005; Small and Schubert, 2008), at the range ``|P - S|``. Positions ``P`` and
``S`` are metres, Earth-centred and Earth-fixed (WGS84).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicHermiteSpline

from sar2opt.sar.geolocation import Floats

_STEPS = 10  # of Newton's method; 4 are enough within a scene
_TOLERANCE = 1e-7  # seconds; less than a millimetre of the track
_SEMI_MAJOR, _FLATTENING = 6_378_137.0, 1 / 298.257223563  # WGS84


@dataclass(frozen=True)
class Orbit:
    """State vectors; between them Hermite's cubic, good to a millimetre at 10 s spacing."""

    time: Floats  # (n,) ascending, seconds since any epoch
    position: Floats  # (n, 3) metres
    velocity: Floats  # (n, 3) metres a second

    @cached_property
    def _splines(self) -> tuple[CubicHermiteSpline, ...]:
        position = CubicHermiteSpline(self.time, self.position, self.velocity)
        return position, position.derivative(), position.derivative(2)

    def at(self, time: Floats) -> tuple[Floats, Floats, Floats]:
        """Return position, velocity and acceleration ``(..., 3)`` at times ``(...)``."""
        position, velocity, acceleration = (spline(time) for spline in self._splines)
        return position, velocity, acceleration

    def zero_doppler(self, point: Floats) -> Floats:
        """Return the times ``(...)`` at which points ``(..., 3)`` are abeam; NaN if they never are.

        Newton's method, from the middle of the orbit.
        """
        low, high = self.time[0], self.time[-1]
        time = np.full(point.shape[:-1], (low + high) / 2)
        step = np.zeros_like(time)
        for _ in range(_STEPS):
            position, velocity, acceleration = self.at(np.clip(time, low, high))
            sight = point - position
            doppler = _dot(sight, velocity)
            step = doppler / (_dot(velocity, velocity) - _dot(sight, acceleration))
            time = time + step
            if not np.any(np.abs(step) > _TOLERANCE):
                break
        abeam = (np.abs(step) < 1e-4) & (time >= low) & (time <= high)
        return np.where(abeam, time, np.nan)


@dataclass(frozen=True)
class GroundRange:
    """Slant range to ground range: polynomials, renewed along the track (Sentinel-1 SRGR)."""

    time: Floats  # (k,) ascending, seconds since the epoch of the orbit
    origin: Floats  # (k,) slant range that the polynomial counts from, metres
    coefficients: Floats  # (k, c) of ascending powers

    def of(self, time: Floats, slant: Floats) -> Floats:
        """Return ground range at ``slant`` range, metres, linear in time between polynomials."""
        index = np.clip(np.searchsorted(self.time, time, side="right") - 1, 0, None)
        index = np.minimum(index, max(self.time.size - 2, 0))
        after = np.minimum(index + 1, self.time.size - 1)
        gap = np.where(after > index, self.time[after] - self.time[index], 1.0)
        share = np.clip((time - self.time[index]) / gap, 0, 1)
        here, there = (self._polynomial(which, slant) for which in (index, after))
        return here + share * (there - here)

    def _polynomial(self, index: npt.NDArray[np.intp], slant: Floats) -> Floats:
        offset = slant - self.origin[index]
        total: Floats = np.zeros_like(offset)
        for power in range(self.coefficients.shape[1] - 1, -1, -1):
            total = total * offset + self.coefficients[index, power]
        return total


@dataclass(frozen=True)
class RangeDoppler:
    """A radar raster along an orbit: lines at equal times, pixels at equal ranges."""

    orbit: Orbit
    first_time: float  # of line 0, seconds since the epoch of the orbit
    line_interval: float  # seconds
    first_range: float  # of pixel 0: slant range, or ground range if there is ``ground``, metres
    pixel_spacing: float  # metres
    ground: GroundRange | None = None

    def locate(self, lon: Floats, lat: Floats, height: Floats | float) -> tuple[Floats, Floats]:
        """Return fractional ``(line, pixel)`` of points in degrees and metres; NaN if unseen."""
        with np.errstate(all="ignore"):
            point = earth_fixed(lon, lat, height)
            time = self.orbit.zero_doppler(point)
            position = self.orbit.at(time)[0]
            reach = np.linalg.norm(point - position, axis=-1)
            if self.ground is not None:
                reach = self.ground.of(time, reach)
        line = (time - self.first_time) / self.line_interval
        return line, (reach - self.first_range) / self.pixel_spacing

    def sight(self, lon: Floats, lat: Floats, height: Floats | float) -> Floats:
        """Return unit vectors ``(..., 3)`` from points to the radar, Earth-fixed."""
        point = earth_fixed(lon, lat, height)
        sight = self.orbit.at(self.orbit.zero_doppler(point))[0] - point
        unit: Floats = sight / np.linalg.norm(sight, axis=-1, keepdims=True)
        return unit


def earth_fixed(lon: Floats, lat: Floats, height: Floats | float) -> Floats:
    """Return points ``(..., 3)`` of degrees and metres above the ellipsoid (WGS84)."""
    lon, lat, height = np.broadcast_arrays(np.radians(lon), np.radians(lat), height)
    squared = _FLATTENING * (2 - _FLATTENING)
    across = _SEMI_MAJOR / np.sqrt(1 - squared * np.sin(lat) ** 2)
    flat = (across + height) * np.cos(lat)
    up = (across * (1 - squared) + height) * np.sin(lat)
    return np.stack([flat * np.cos(lon), flat * np.sin(lon), up], axis=-1)


def on_ellipsoid(point: Floats) -> tuple[Floats, Floats]:
    """Return ``(longitude, latitude)``, degrees, of points ``(..., 3)`` that lie at height zero."""
    x, y, z = np.moveaxis(point, -1, 0)
    polar = (1 - _FLATTENING) ** 2  # the ratio of the axes, squared
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, polar * np.hypot(x, y)))


def _dot(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.einsum("...i,...i->...", one, other), float)
