"""Which geometry places a raster: its geolocation grid, or the map that it already lies on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from sar2opt.config import SceneSettings
from sar2opt.errors import PlacementError
from sar2opt.sar.geolocation import Floats, GeolocationGrid, GridGeometry

_USUAL_INCIDENCE = 38.0  # degrees; the middle of Sentinel-1 IW


class Geometry(Protocol):
    """Where in a raster a place on the Earth is seen, and back."""

    @property
    def centre(self) -> tuple[float, float]:
        """Return longitude and latitude of the middle, degrees."""

    def locate(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Return fractional ``(line, pixel)`` of places in degrees; NaN where there is none."""

    def place(self, line: Floats, pixel: Floats) -> tuple[Floats, Floats]:
        """Return ``(longitude, latitude)`` of fractional lines and pixels, degrees."""


@dataclass(frozen=True)
class MapGeometry:
    """A raster that lies on a map already, and is to lie on another."""

    geobox: GeoBox

    @property
    def centre(self) -> tuple[float, float]:
        """Return longitude and latitude of the middle, degrees."""
        rows, cols = self.geobox.shape
        lon, lat = self.place(np.array([(rows - 1) / 2]), np.array([(cols - 1) / 2]))
        return float(lon[0]), float(lat[0])

    def locate(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Return fractional ``(line, pixel)`` of places in degrees; NaN where there is none."""
        assert self.geobox.crs is not None
        from_degrees = CRS("EPSG:4326").transformer_to_crs(self.geobox.crs, always_xy=True)
        x, y = (np.asarray(axis, float) for axis in from_degrees(lon, lat))
        x, y = (np.where(np.isfinite(axis), axis, np.nan) for axis in (x, y))
        col, row = apply(~self.geobox.affine, x, y)
        return row - 0.5, col - 0.5

    def place(self, line: Floats, pixel: Floats) -> tuple[Floats, Floats]:
        """Return ``(longitude, latitude)`` of fractional lines and pixels, degrees."""
        line, pixel = np.broadcast_arrays(line, pixel)
        return degrees(self.geobox, line + 0.5, pixel + 0.5)


def apply(affine: Affine, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return an affine transform of arrays, which affine itself has no type for."""
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f


def degrees(geobox: GeoBox, row: Floats, col: Floats) -> tuple[Floats, Floats]:
    """Return ``(longitude, latitude)`` of rows and columns, counted from the edge of a grid."""
    assert geobox.crs is not None
    to_degrees = geobox.crs.transformer_to_crs("EPSG:4326", always_xy=True)
    lon, lat = to_degrees(*apply(geobox.affine, col, row))
    return np.asarray(lon, float), np.asarray(lat, float)


def grid_geometry(grid: GeolocationGrid, settings: SceneSettings) -> tuple[GridGeometry, list[str]]:
    """Return the geometry that the settings ask for, and a sentence on the error to expect.

    Raises ``PlacementError`` where the grid cannot place a raster, or not as asked for.
    """
    _check(grid)
    if settings.geocode == "terrain" and settings.dem is None:
        raise PlacementError("terrain correction needs a terrain model: say --dem FILE")
    if settings.geocode in ("gcp", "ellipsoid") and settings.dem is not None:
        raise PlacementError(
            f"--geocode {settings.geocode} takes no terrain model: leave out --dem"
        )
    incidence = grid.incidence
    angle = _USUAL_INCIDENCE if incidence is None else float(np.mean(incidence))
    metres = 1 / np.tan(np.radians(angle))
    known = "" if incidence is not None else ", a usual angle, as none is written"
    low, high = float(grid.height.min()), float(grid.height.max())
    if settings.geocode == "ellipsoid":
        if incidence is None:
            raise PlacementError(
                "without incidence angles its points cannot be brought to the ellipsoid: "
                "say --geocode gcp"
            )
        where = "the ellipsoid (height 0 m)"
        expected = metres * float(np.sqrt(np.mean(grid.height**2)))
        sea = ""
    else:
        where = f"the heights of its geolocation grid ({low:.0f} to {high:.0f} m)"
        expected = metres * float(np.std(grid.height))
        sea = f", ground at height 0 lies {metres * float(np.abs(grid.height).mean()):.0f} m off"
    return GridGeometry(grid, settings.geocode != "ellipsoid"), [
        f"geocoded at {where}, without a terrain model: ground h metres above or below lies "
        f"{metres:.2f} h off along the look direction (incidence {angle:.0f} degrees{known}); "
        f"about {expected:.0f} m is expected from the spread of the grid's heights{sea}"
    ]


def _check(grid: GeolocationGrid) -> None:
    """Raise ``PlacementError`` unless a grid is a mesh of places on the Earth."""
    shape = grid.line.size, grid.pixel.size
    tables = [grid.longitude, grid.latitude, grid.height]
    tables += [] if grid.incidence is None else [grid.incidence]
    sound = (
        min(shape) >= 2
        and all(table.shape == shape and bool(np.isfinite(table).all()) for table in tables)
        and all(bool((np.diff(axis) > 0).all()) for axis in (grid.line, grid.pixel))
        and bool((np.abs(grid.latitude) <= 90).all())
        and all(0 < metres < np.inf for metres in grid.spacing)
    )
    if not sound:
        raise PlacementError("its geolocation grid is no mesh of places on the Earth")
    if grid.incidence is not None and not ((grid.incidence > 0) & (grid.incidence < 90)).all():
        raise PlacementError("its geolocation grid has incidence angles that cannot be")
