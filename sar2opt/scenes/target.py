"""The grid that a scene in radar geometry is laid on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError

from sar2opt.config import SceneSettings
from sar2opt.errors import ConfigError, PlacementError
from sar2opt.sar.geolocation import Floats
from sar2opt.scenes.blocks import MOST_PIXELS, open_raster
from sar2opt.scenes.geometry import Geometry
from sar2opt.scenes.placement import scene_geobox

_EDGE = 65  # points on each side of the outline
_METRES_A_DEGREE = 111_320.0
_UTM_REACH = (-80.0, 84.0)  # degrees of latitude; beyond, the polar stereographic of UPS


@dataclass(frozen=True)
class Target:
    """What was asked of the grid; None leaves it to the scene."""

    crs: str | None = None
    resolution: float | None = None  # units of the CRS
    like: Path | None = None

    @classmethod
    def of(cls, settings: SceneSettings, crs: str | None = None) -> Target:
        """Return what the settings ask for; ``crs`` stands for the zone where they name none."""
        if settings.like and (settings.crs or settings.resolution):
            raise ConfigError("like gives CRS and resolution too: leave out crs and resolution")
        return cls(settings.crs or crs, settings.resolution, settings.like)

    def geobox(self, geometry: Geometry, extent: tuple[int, int], spacing: float) -> GeoBox:
        """Return a north-up grid around ``extent`` lines and pixels, whose edges are multiples
        of the pixel, or that of ``like``; raises ``PlacementError`` where there can be none.

        ``spacing`` is the pixel in metres where none was asked for.
        """
        if self.like is not None:
            with open_raster(str(self.like)) as file:
                geobox = scene_geobox(file)
            if not _overlap(geobox, _bounds(geometry, extent, geobox.crs)):
                raise PlacementError(f"{self.like}: its grid lies outside the scene")
            return geobox
        crs = _parse(self.crs) if self.crs else pyproj.CRS(zone(*geometry.centre))
        bounds = _bounds(geometry, extent, crs)
        unit = crs.axis_info[0].unit_conversion_factor if crs.is_projected else _METRES_A_DEGREE
        pixel = self.resolution or float(f"{spacing / unit:.4g}")
        cols, rows = ((bounds[i + 2] - bounds[i]) / pixel for i in (0, 1))
        if not 1 <= cols * rows <= MOST_PIXELS:
            raise PlacementError(
                f"a pixel of {pixel:g} units of {crs.name} makes a map of {cols:.3g} x {rows:.3g} "
                "pixels: say another --resolution"
            )
        code = crs.to_epsg(min_confidence=100)
        return GeoBox.from_bbox(bounds, f"EPSG:{code}" if code else crs.to_wkt(), resolution=pixel)


def zone(lon: float, lat: float) -> str:
    """Return the UTM zone of a place, or UPS near the poles, as ``EPSG:n``."""
    if lat > _UTM_REACH[1]:
        return "EPSG:5041"
    if lat < _UTM_REACH[0]:
        return "EPSG:5042"
    return f"EPSG:{(32600 if lat >= 0 else 32700) + math.floor((lon + 180) / 6) % 60 + 1}"


def _parse(text: str) -> pyproj.CRS:
    try:
        crs = pyproj.CRS.from_user_input(text).to_2d()
    except CRSError as error:
        raise ConfigError(f"'{text}' is not a CRS: say --crs EPSG:...") from error
    if not (crs.is_projected or crs.is_geographic):
        raise ConfigError(f"'{text}' is no CRS of a map: say one that is projected or in degrees")
    return crs


def _bounds(
    geometry: Geometry, extent: tuple[int, int], crs: object
) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top of the outline of all pixels, in a CRS."""
    lines, pixels = (np.linspace(-0.5, size - 0.5, _EDGE) for size in extent)
    lon, lat = geometry.place(lines[:, None], pixels[None, :])
    to_map = pyproj.Transformer.from_crs("EPSG:4326", str(crs), always_xy=True)
    x, y = to_map.transform(lon, lat)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise PlacementError("the scene does not fit the CRS of the map: say another --crs")
    if pyproj.CRS(str(crs)).is_geographic and _jumps(x):
        raise PlacementError(
            "the scene lies over the antimeridian or a pole, where degrees jump: "
            f"say --crs {zone(*geometry.centre)}"
        )
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _jumps(lon: Floats) -> bool:
    return bool(
        np.abs(np.diff(lon, axis=0)).max() > 180 or np.abs(np.diff(lon, axis=1)).max() > 180
    )


def _overlap(geobox: GeoBox, bounds: tuple[float, float, float, float]) -> bool:
    left, bottom, right, top = geobox.boundingbox
    return left < bounds[2] and right > bounds[0] and bottom < bounds[3] and top > bounds[1]
