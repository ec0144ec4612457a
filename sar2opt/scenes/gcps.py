"""Ground control points of a raster file as a geolocation grid."""

from __future__ import annotations

import numpy as np
import pyproj
import rasterio
from rasterio.control import GroundControlPoint
from scipy.interpolate import RBFInterpolator

from sar2opt.errors import PlacementError
from sar2opt.sar.geolocation import Floats, GeolocationGrid

_MOST = 100_000  # points; Sentinel-1 has 210
_FEWEST = 4
_NEIGHBOURS = 50  # points that a thin plate is bent to at once
_MESH = 17  # a side, where the points are none


def gcp_grid(file: rasterio.DatasetReader) -> tuple[GeolocationGrid, list[str]]:
    """Return the geolocation grid that a file's ground control points make, and what was assumed.

    Points on a mesh of rows and columns are taken as they are. Others are brought to one by a
    thin-plate spline (Duchon, 1977). Raises ``PlacementError`` where they cannot place a raster.
    """
    points, crs = file.gcps
    if crs is None:
        raise PlacementError(
            f"{file.name}: its ground control points have no CRS: "
            "write it in (gdal_edit.py -a_srs EPSG:... in.tif)"
        )
    try:
        table = _table(points, crs)
        on_mesh = _mesh(table)
        line, pixel, mesh = on_mesh or _thin_plate(table, (file.height, file.width))
    except (ValueError, np.linalg.LinAlgError) as error:
        raise PlacementError(
            f"{file.name}: its {len(points)} ground control points place nothing ({error}): "
            "fetch the file again"
        ) from error
    notes = ["ground control points are counted from the corner of the first pixel, as GDAL does"]
    if on_mesh is None:
        notes.append("ground control points on no mesh: a thin-plate spline is laid through them")
    lon, lat, height = np.moveaxis(mesh, -1, 0)
    return GeolocationGrid(line, pixel, lon, lat, height), notes


def _table(points: list[GroundControlPoint], crs: rasterio.crs.CRS) -> Floats:
    """Return ``(n, 5)``: line and pixel (0-based, of pixel centres), degrees, metres."""
    if not _FEWEST <= len(points) <= _MOST:
        raise ValueError(f"between {_FEWEST} and {_MOST} are needed")
    table = np.array([(p.row - 0.5, p.col - 0.5, p.x, p.y, p.z or 0.0) for p in points])
    to_degrees = pyproj.Transformer.from_crs(crs.to_wkt(), "EPSG:4326", always_xy=True)
    table[:, 2], table[:, 3] = to_degrees.transform(table[:, 2], table[:, 3])
    if not np.isfinite(table).all() or np.abs(table[:, 3]).max() > 90:
        raise ValueError("some lie nowhere on the Earth")
    if np.ptp(table[:, 2]) > 180:  # over the antimeridian
        table[:, 2] %= 360
    return table


def _mesh(table: Floats) -> tuple[Floats, Floats, Floats] | None:
    """Return lines, pixels and ``(n, m, 3)`` places, if the points are a whole mesh."""
    line, row = np.unique(table[:, 0].round(3), return_inverse=True)
    pixel, col = np.unique(table[:, 1].round(3), return_inverse=True)
    if line.size < 2 or pixel.size < 2 or line.size * pixel.size != len(table):
        return None
    if np.unique(row * pixel.size + col).size != len(table):
        return None
    mesh = np.empty((line.size, pixel.size, 3))
    mesh[row, col] = table[:, 2:]
    return line, pixel, mesh


def _thin_plate(table: Floats, extent: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """Return a mesh over all lines and pixels, on a thin plate through the points."""
    line, pixel = (np.linspace(-0.5, size - 0.5, _MESH) for size in extent)
    neighbours = None if len(table) <= _NEIGHBOURS else _NEIGHBOURS
    plate = RBFInterpolator(table[:, :2] / max(extent), table[:, 2:], neighbors=neighbours)
    at = np.stack(np.meshgrid(line, pixel, indexing="ij"), axis=-1).reshape(-1, 2) / max(extent)
    return line, pixel, plate(at).reshape(_MESH, _MESH, 3)
