"""Where the points of a radar raster lie: the geolocation grid, and its exact inverse.

The grid gives longitude and latitude at a coarse mesh of lines and pixels, each at a height. Two
parts make up such a position: where the echo would come from at height zero, which is smooth to
millimetres over tens of kilometres, and a shift along ground range of ``height / tan(incidence)``,
which is as rough as the terrain. The first is interpolated by cubic splines, the second by
monotone ones (Fritsch and Carlson, 1980), so that the sea beside a mountain stays at height zero.

Back from a place to line and pixel: a cubic polynomial as a first guess, then Newton's method on
the forward splines, in a stereographic plane about the centre: no pole and no antimeridian there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import Geod, Proj
from scipy.interpolate import NdBSpline, PchipInterpolator, make_interp_spline

Floats = npt.NDArray[np.float64]

_GEOD = Geod(ellps="WGS84")
_DENSER = 8  # times; so that cubic splines on the mesh follow the monotone ones
_STEPS = 12  # of Newton's method; 4 to 5 are enough on real grids
_TOLERANCE = 1e-3  # pixels


@dataclass(frozen=True)
class GeolocationGrid:
    """Where points of a radar raster lie: a mesh of lines and pixels (0-based, pixel centres)."""

    line: Floats  # (n,) ascending
    pixel: Floats  # (m,) ascending
    longitude: Floats  # (n, m) degrees, WGS84
    latitude: Floats  # (n, m) degrees, WGS84
    height: Floats  # (n, m) metres above the ellipsoid
    incidence: Floats | None = None  # (n, m) degrees at the ellipsoid; None where unknown

    @cached_property
    def centre(self) -> tuple[float, float]:
        """Return longitude and latitude of the middle, sound at the poles and the antimeridian."""
        lon, lat = np.radians(self.longitude), np.radians(self.latitude)
        x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
        middle = np.arctan2(y.mean(), x.mean()), np.arctan2(z.mean(), np.hypot(x.mean(), y.mean()))
        return float(np.degrees(middle[0])), float(np.degrees(middle[1]))

    @cached_property
    def spacing(self) -> tuple[float, float]:
        """Return the mean distance of lines and of pixels on the ground, metres."""
        lon, lat = self.longitude, self.latitude
        down = _GEOD.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2] / np.diff(self.line)[:, None]
        across = _GEOD.inv(lon[:, :-1], lat[:, :-1], lon[:, 1:], lat[:, 1:])[2]
        return float(down.mean()), float((across / np.diff(self.pixel)).mean())


@dataclass(frozen=True)
class GridGeometry:
    """Lines and pixels of places, by the inverse of a geolocation grid.

    ``heights`` says whether the grid's heights are kept, or taken off, which puts every pixel on
    the ellipsoid and needs the incidence angle.
    """

    grid: GeolocationGrid
    heights: bool = True

    @property
    def centre(self) -> tuple[float, float]:
        """Return longitude and latitude of the middle, degrees."""
        return self.grid.centre

    def locate(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Return ``(line, pixel)``, fractional, of places in degrees; NaN where there is none.

        Beyond its edges the grid goes on linearly.
        """
        plane = np.stack(self._plane(lon, lat), axis=-1)
        at = np.full_like(plane, np.nan)
        on_plane = np.isfinite(plane).all(axis=-1)
        with np.errstate(all="ignore"):  # what overflows is lost, and says so
            at[on_plane] = _newton(
                self._forward, self._first_guess(plane[on_plane]), plane[on_plane]
            )
        return at[..., 0], at[..., 1]

    def place(self, line: Floats, pixel: Floats) -> tuple[Floats, Floats]:
        """Return ``(longitude, latitude)`` of fractional lines and pixels, degrees."""
        plane = self._forward(np.stack(np.broadcast_arrays(line, pixel), axis=-1))[0]
        lon, lat = self._plane(plane[..., 0], plane[..., 1], inverse=True)
        return lon, lat

    @cached_property
    def _plane(self) -> Proj:
        lon, lat = self.grid.centre
        return Proj(f"+proj=stere +lon_0={lon} +lat_0={lat} +ellps=WGS84")

    @cached_property
    def _mesh(self) -> tuple[Floats, Floats, Floats]:
        """Return lines, pixels, and ``(n, m, 2)`` metres in the plane, denser than the grid."""
        grid = self.grid
        there = np.stack(self._plane(grid.longitude, grid.latitude), axis=-1)
        flat = there
        if grid.incidence is not None:
            level = to_ellipsoid(grid)
            flat = np.stack(self._plane(level.longitude, level.latitude), axis=-1)
        line, pixel = _denser(grid.line), _denser(grid.pixel)
        mesh = _spline(grid.line, grid.pixel, flat)(_pairs(line, pixel))
        if self.heights and grid.incidence is not None:
            shift = PchipInterpolator(grid.line, there - flat, axis=0)(line)
            mesh = mesh + PchipInterpolator(grid.pixel, shift, axis=1)(pixel)
        return line, pixel, mesh

    @cached_property
    def _splines(self) -> NdBSpline:
        return _spline(*self._mesh)

    def _forward(self, at: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the plane at ``(..., 2)`` lines and pixels, and its two derivatives."""
        edges = np.array([(axis[0], axis[-1]) for axis in (self.grid.line, self.grid.pixel)])
        inside = np.clip(at, edges[:, 0], edges[:, 1])
        down, across = (self._splines(inside, nu=nu) for nu in ((1, 0), (0, 1)))
        beyond = at - inside
        plane = self._splines(inside) + down * beyond[..., :1] + across * beyond[..., 1:]
        return plane, down, across

    @cached_property
    def _polynomial(self) -> tuple[Floats, float]:
        line, pixel, mesh = self._mesh
        reach = float(np.abs(mesh).max())
        terms = _terms(mesh.reshape(-1, 2) / reach)
        weights = np.asarray(np.linalg.lstsq(terms, _pairs(line, pixel).reshape(-1, 2))[0], float)
        return weights, reach

    def _first_guess(self, plane: Floats) -> Floats:
        weights, reach = self._polynomial
        guess: Floats = _terms(np.clip(plane / reach, -1.5, 1.5)) @ weights
        return guess


def to_ellipsoid(grid: GeolocationGrid) -> GeolocationGrid:
    """Return a grid whose points lie at height zero on the same echoes.

    Each moves towards the radar by ``h / tan(incidence)``, against the direction in which the
    incidence angle grows; the curvature of the wave front adds less than a metre at 1 km.
    Raises ``ValueError`` without incidence angles.
    """
    if grid.incidence is None:
        raise ValueError("the incidence angle is not known")
    lon, lat = grid.longitude, grid.latitude
    azimuth = np.empty_like(lon)
    azimuth[:, :-1], back, _ = _GEOD.inv(lon[:, :-1], lat[:, :-1], lon[:, 1:], lat[:, 1:])
    azimuth[:, -1] = np.asarray(back)[:, -1] + 180
    outwards = np.sign(grid.incidence[:, -1:] - grid.incidence[:, :1])
    shift = -grid.height / np.tan(np.radians(grid.incidence)) * outwards
    lon, lat, _ = _GEOD.fwd(lon, lat, azimuth, shift)
    return replace(grid, longitude=lon, latitude=lat, height=np.zeros_like(lon))


def _newton(forward: Any, guess: Floats, goal: Floats) -> Floats:
    """Return lines and pixels ``(n, 2)`` whose forward image is ``goal``; NaN if not found."""
    at, step = guess, np.zeros_like(guess)
    for _ in range(_STEPS):
        plane, down, across = forward(at)
        miss = goal - plane
        area = down[:, 0] * across[:, 1] - down[:, 1] * across[:, 0]
        step[:, 0] = (miss[:, 0] * across[:, 1] - miss[:, 1] * across[:, 0]) / area
        step[:, 1] = (down[:, 0] * miss[:, 1] - down[:, 1] * miss[:, 0]) / area
        at = at + step
        if not np.any(np.abs(step) > _TOLERANCE):  # and the next step would be its square
            break
    found: Floats = np.where(np.abs(step).max(axis=-1, keepdims=True) < 1, at, np.nan)
    return found


def _spline(line: Floats, pixel: Floats, values: Floats) -> NdBSpline:
    """Return the tensor-product spline through values ``(n, m, 2)``, cubic where it can be."""
    down = make_interp_spline(line, values, k=_degree(line), axis=0)
    across = make_interp_spline(pixel, np.moveaxis(down.c, 0, 1), k=_degree(pixel), axis=0)
    return NdBSpline((down.t, across.t), np.moveaxis(across.c, 0, 1).copy(), (down.k, across.k))


def _degree(axis: Floats) -> int:
    return 3 if axis.size > 3 else 1


def _denser(axis: Floats) -> Floats:
    steps = np.arange((axis.size - 1) * _DENSER + 1) / _DENSER
    return np.interp(steps, np.arange(axis.size), axis)


def _pairs(line: Floats, pixel: Floats) -> Floats:
    return np.stack(np.meshgrid(line, pixel, indexing="ij"), axis=-1)


def _terms(plane: Floats) -> Floats:
    """Return the terms of a cubic polynomial in a plane ``(..., 2)``."""
    u, v = plane[..., 0], plane[..., 1]
    return np.stack([u**i * v**j for i in range(4) for j in range(4 - i)], axis=-1)
