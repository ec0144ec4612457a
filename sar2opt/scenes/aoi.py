"""The area of interest: read, checked, brought to the scene's CRS."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from sar2opt.errors import LayerError

if TYPE_CHECKING:
    import geopandas as gpd

_PIECES = 64  # edges are cut before they are reprojected, so that they bend with the CRS
_ROUNDING = 1e-6  # pixels


def read_aoi(path: Path, geobox: GeoBox) -> BaseGeometry:
    """Return the union of the polygons of a vector file, in the CRS of ``geobox``.

    Raises ``LayerError`` in one line: no file, not a vector file, no CRS, no polygon, a polygon
    that is not valid, or no overlap with the scene.
    """
    polygons = _read_polygons(Path(path))
    for number, polygon in enumerate(polygons, start=1):
        if not polygon.is_valid:
            raise LayerError(
                f"{path}: polygon {number} is not valid ({shapely.is_valid_reason(polygon)}): "
                "repair it, e.g. with ogr2ogr -makevalid out.gpkg in.gpkg"
            )
    left, bottom, right, top = polygons.total_bounds
    pieces = polygons.segmentize(max(right - left, top - bottom) / _PIECES)
    placed = pieces.to_crs(str(geobox.crs))
    scene = shapely.box(*geobox.boundingbox)
    area = placed.union_all() if np.isfinite(placed.total_bounds).all() else shapely.Polygon()
    if not area.intersection(scene).area > 0:
        raise LayerError(
            f"{path}: the area {_bounds(placed.total_bounds)} lies outside the scene "
            f"{_bounds(scene.bounds)} ({geobox.crs}): check that both show the same place"
        )
    return area


def pixel_window(area: BaseGeometry, geobox: GeoBox) -> tuple[slice, slice]:
    """Return the rows and columns of ``geobox`` that hold ``area``, in whole pixels."""
    left, bottom, right, top = area.bounds
    first_col, first_row = ~geobox.affine * (left, top)
    last_col, last_row = ~geobox.affine * (right, bottom)
    rows, cols = geobox.shape
    return _whole(first_row, last_row, rows), _whole(first_col, last_col, cols)


def _whole(first: float, last: float, size: int) -> slice:
    """Widen to whole pixels, but not by one for a rounding error; at least one pixel."""
    start = min(max(math.floor(first + _ROUNDING), 0), size - 1)
    return slice(start, max(min(math.ceil(last - _ROUNDING), size), start + 1))


def _read_polygons(path: Path) -> gpd.GeoSeries:
    import geopandas as gpd  # here, as most scenes are opened without an area of interest
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    if not path.exists():
        raise LayerError(f"{path}: no such file: give --aoi a vector file with polygons")
    try:
        layers = pyogrio.list_layers(path)
        tables = [gpd.read_file(path, layer=str(name), columns=[]) for name, _ in layers]
    except (DataSourceError, DataLayerError, ShapelyError, ValueError) as error:
        raise LayerError(
            f"{path}: not a vector file that can be read: give GeoJSON, GeoPackage or a shapefile"
        ) from error
    for table in tables:
        if not isinstance(table, gpd.GeoDataFrame):  # a layer without geometry
            continue
        shapes = table.geometry
        shapes = shapes[shapes.geom_type.isin(["Polygon", "MultiPolygon"]) & ~shapes.is_empty]
        if len(shapes) and shapes.crs is None:
            raise LayerError(f"{path}: it has no CRS: write it in (ogr2ogr -a_srs EPSG:...)")
        if len(shapes):
            return shapes.force_2d()
    raise LayerError(f"{path}: it holds no polygon: draw the area of interest as a polygon")


def _bounds(values: Iterable[float]) -> str:
    return "[" + ", ".join(f"{value:.8g}" for value in values) + "]"
