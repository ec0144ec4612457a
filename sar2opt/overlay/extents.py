"""How long outlines are on the ground, and which way they lie."""

from __future__ import annotations

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from sar2opt.overlay.corners import Array
from sar2opt.raster import pixel_area_m2

ELONGATED = 1.5  # times as long as wide: below that, a direction means nothing
_PORTION = 50_000  # outlines at a time, to save memory
_RADIUS, _FLATTENING = 6378137.0, 1 / 298.257223563  # of WGS 84, metres


def extents(geometry: Array, geobox: GeoBox, *, stairs: bool = False) -> tuple[Array, Array, Array]:
    """Return length, width (metres) and orientation (degrees) of outlines in the grid's CRS.

    They are those of the minimum rotated rectangle on the ground; orientation is that of the longer
    side, clockwise from north, 0 to 180, and NaN for what is not ``ELONGATED``. With ``stairs``,
    outlines run along the edges of pixels, which makes what lies aslant too long and too wide.
    Then both sides are cut by as much as gives the rectangle the area of the outline, which is
    right however it lies, but by no more than stairs can add.
    """
    parts = range(0, len(geometry), _PORTION)
    found = [_extents(geometry[first : first + _PORTION], geobox, stairs) for first in parts]
    length, width, along = (
        np.concatenate(column) for column in zip(*found, (np.zeros(0),) * 3, strict=True)
    )
    return length, width, along


def _extents(geometry: Array, geobox: GeoBox, stairs: bool) -> tuple[Array, Array, Array]:
    flat = shapely.convex_hull(geometry)
    hulls = _in_metres(flat, geobox)
    corners = shapely.get_coordinates(shapely.oriented_envelope(hulls)).reshape(-1, 5, 2)
    sides = np.diff(corners[:, :3], axis=1)  # (n, 2, 2): two sides that meet
    length = np.hypot(*np.moveaxis(sides, 2, 0))
    long = sides[np.arange(len(sides)), length.argmax(axis=1)]
    along = np.degrees(np.arctan2(long[:, 0], long[:, 1])) % 180
    if stairs:
        area = shapely.area(geometry) * shapely.area(hulls) / shapely.area(flat)
        turned = np.radians(along)
        most = np.sqrt(pixel_area_m2(geobox)) * (np.abs(np.cos(turned)) + np.abs(np.sin(turned)))
        excess = length.sum(axis=1) - np.sqrt(np.diff(length, axis=1)[:, 0] ** 2 + 4 * area)
        length = length - np.clip(excess / 2, 0, most)[:, None]
    elongated = length.max(axis=1) >= ELONGATED * length.min(axis=1)
    return length.max(axis=1), length.min(axis=1), np.where(elongated, along, np.nan)


def _in_metres(hulls: Array, geobox: GeoBox) -> Array:
    """Return outlines in metres east and north of their own first point, seen as a plane."""
    assert geobox.crs is not None
    to_lonlat = geobox.crs.transformer_to_crs("EPSG:4326", always_xy=True)
    points, owner = shapely.get_coordinates(hulls, return_index=True)
    lon, lat = (np.asarray(values) for values in to_lonlat(points[:, 0], points[:, 1]))
    first = np.flatnonzero(np.diff(owner, prepend=-1))[owner]
    squared = _FLATTENING * (2 - _FLATTENING)  # eccentricity
    sine = np.sin(np.radians(lat[first]))
    across = _RADIUS / np.sqrt(1 - squared * sine**2)
    along = across * (1 - squared) / (1 - squared * sine**2)
    east = np.radians((lon - lon[first] + 180) % 360 - 180) * np.cos(np.radians(lat[first]))
    north = np.radians(lat - lat[first])
    return np.asarray(
        shapely.set_coordinates(hulls.copy(), np.column_stack([east * across, north * along]))
    )
