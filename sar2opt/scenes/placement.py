"""Where a scene's pixels lie: the grid of a raster file, or a clear word on why it has none."""

from __future__ import annotations

import numpy as np
import pyproj
import rasterio
from odc.geo.geobox import GeoBox

from sar2opt.errors import PlacementError

_FINEST = 1e-12  # of the coordinates: pixels that are smaller cannot be told from one another


def scene_geobox(source: rasterio.DatasetReader) -> GeoBox:
    """Return the grid of an open raster file; raises ``PlacementError`` if it has none.

    Only north-up grids pass: everything downstream (COG, tiles, web maps) is north-up too.
    """
    name = source.name
    if source.crs is None or source.transform.is_identity:
        _refuse_unplaced(source)
    if not (source.transform.a > 0 and source.transform.e < 0 and source.transform.is_rectilinear):
        raise PlacementError(
            f"{name}: the grid is rotated, mirrored or south-up: "
            "resample it first (gdalwarp -t_srs EPSG:... in.tif out.tif)"
        )
    size = min(source.transform.a, -source.transform.e)
    if not size > _FINEST * np.abs(source.bounds).max():  # nor where they reach to infinity
        raise PlacementError(
            f"{name}: its pixels have no size: "
            "if you know the corners, write them in (gdal_edit.py -a_ullr ... in.tif)"
        )
    crs = _horizontal(source.crs, name)
    if crs.is_geographic:
        _check_degrees(source)
    return GeoBox((source.height, source.width), source.transform, _short(crs))


def in_radar_geometry(source: rasterio.DatasetReader) -> bool:
    """Return whether only ground control points say where the pixels lie."""
    return bool(source.gcps[0]) and (source.crs is None or source.transform.is_identity)


def _refuse_unplaced(source: rasterio.DatasetReader) -> None:
    if source.rpcs is not None:
        raise PlacementError(
            f"{source.name}: it has RPCs but no grid: geocode it first "
            "(gdalwarp -rpc -r average -t_srs EPSG:... in.tif out.tif)"
        )
    if source.crs is None:
        raise PlacementError(
            f"{source.name}: it has no CRS, so its pixels have no place: "
            "if you know it, write it in (gdal_edit.py -a_srs EPSG:... in.tif)"
        )
    raise PlacementError(
        f"{source.name}: it has a CRS but no geotransform, so its pixels have no place: "
        "if you know the corners, write them in (gdal_edit.py -a_ullr LEFT TOP RIGHT BOTTOM in.tif)"
    )


def _horizontal(crs: rasterio.crs.CRS, name: str) -> pyproj.CRS:
    flat = pyproj.CRS.from_wkt(crs.to_wkt()).to_2d()
    if not (flat.is_projected or flat.is_geographic):
        raise PlacementError(
            f"{name}: its CRS ({flat.name}) is not tied to the Earth: "
            "write in the true one (gdal_edit.py -a_srs EPSG:... in.tif)"
        )
    return flat


def _check_degrees(source: rasterio.DatasetReader) -> None:
    left, bottom, right, top = source.bounds
    if left < -360 or right > 360 or bottom < -90.01 or top > 90.01:
        raise PlacementError(
            f"{source.name}: its CRS is in degrees, but the grid reaches from {left:g}, {bottom:g} "
            f"to {right:g}, {top:g}: write in the true CRS (gdal_edit.py -a_srs EPSG:... in.tif)"
        )


def _short(crs: pyproj.CRS) -> str:
    """Return ``EPSG:n`` where PROJ is sure that it says the same as the full text."""
    code = crs.to_epsg(min_confidence=100)
    return f"EPSG:{code}" if code else str(crs.to_wkt())
