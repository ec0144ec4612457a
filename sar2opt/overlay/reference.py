"""Reference layers: read, mended, and burnt into the grid of a scene."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from sar2opt.errors import LayerError
from sar2opt.overlay.components import Read
from sar2opt.overlay.corners import Array

# What pyogrio and shapely raise on files that are damaged or something else.
UNREADABLE = (RuntimeError, ValueError, OSError, shapely.errors.ShapelyError)

# Vertices of reference layers like to lie on pixel centres, where a pixel is as much in as out.
# Moved by this many pixels, no side goes through a centre, and what is in no longer depends on
# how the side was cut at the block's edge.
_NUDGE = np.array([1.37e-5, 0.91e-5])


def read_reference(path: Path | str, column: str, key: str | None = None) -> gpd.GeoDataFrame:
    """Read the polygons of a vector file with their class, a text, in ``column``.

    Of several layers the first with that column is taken. Features without a class or an area
    are left out, broken polygons are mended, and ``attrs["notes"]`` says how many. ``key`` is a
    column to keep as it is. Raises ``LayerError`` in one line.
    """
    wanted = list(dict.fromkeys([column] if key is None else [column, key]))
    layer = _layer_with(Path(path), wanted)
    try:
        table = pyogrio.read_dataframe(path, layer=layer, columns=wanted, force_2d=True)
    except UNREADABLE as error:
        raise LayerError(f"{path}: cannot be read: {one_line(error)}") from error
    if table.crs is None:
        raise LayerError(f"{path}: has no CRS; assign the right one (ogr2ogr -a_srs EPSG:...)")
    shapes = table.geometry.to_numpy()
    mended = shapely.make_valid(shapes)
    flat = table[column].notna().to_numpy() & (np.nan_to_num(shapely.area(mended)) > 0)
    if not flat.any():
        raise LayerError(f"{path}: layer {layer!r} has no polygon with a class in {column!r}")
    notes = _repairs(Path(path).name, flat, ~shapely.is_valid(shapes))
    table = table.assign(geometry=mended)[flat]
    table = table.assign(**{column: [_class_name(value) for value in table[column]]})
    table = table.explode(ignore_index=True)
    table = table[table.geom_type.isin(["Polygon", "MultiPolygon"])]
    table = table.reset_index(drop=True)[[*wanted, "geometry"]]
    table.attrs["notes"] = notes
    return table


def _repairs(name: str, kept: Array, broken: Array) -> tuple[str, ...]:
    """Say how many features of a file were left out, and how many mended."""
    notes = []
    if not kept.all():
        notes.append(
            f"{name}: {(~kept).sum()} of {len(kept)} features have no class or no area, and are "
            "left out"
        )
    if (kept & broken).any():
        notes.append(f"{name}: {(kept & broken).sum()} features have a broken outline, mended")
    return tuple(notes)


def _layer_with(path: Path, columns: Sequence[str]) -> str:
    """Return the name of the first layer that has geometries and the columns."""
    if not path.exists():
        raise LayerError(f"{path}: no such file")
    try:
        layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
        fields = {name: list(pyogrio.read_info(path, layer=name)["fields"]) for name in layers}
    except UNREADABLE as error:
        raise LayerError(f"{path}: not a vector file that GDAL can read") from error
    for name in layers:
        if set(columns) <= set(fields[name]):
            return name
    there = sorted({field for names in fields.values() for field in names})
    missing = next((column for column in columns if column not in there), columns[0])
    how = "--column" if missing == columns[0] else "--on"
    raise LayerError(
        f"{path}: no column {missing!r}; there are: {', '.join(there) or 'none'} (set {how})"
    )


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _class_name(value: Any) -> str:
    """Return a class as text; whole numbers, which become floats beside a null, as such."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def kind_reader(
    reference: gpd.GeoDataFrame, kinds: Sequence[str], column: str, geobox: GeoBox, border: float
) -> Read:
    """Return a function that burns the reference classes, from 1, into a window; 0 is none.

    ``kinds`` are the classes, sorted. Where polygons overlap, the later one counts; pixels nearer
    than ``border`` pixels to the edge of one belong to none.
    """
    shapes = reference.geometry.to_crs(geobox.crs).to_numpy()
    to_pixel = np.array((~geobox.affine)[:6]).reshape(2, 3)
    shapes = shapely.transform(
        shapes, lambda world: world @ to_pixel[:, :2].T + to_pixel[:, 2] + _NUDGE
    )
    placed = np.isfinite(shapely.bounds(shapes)).all(axis=1)  # some lie outside the projection
    shapes = shapely.buffer(shapely.make_valid(shapes[placed]), -border)
    numbers = np.searchsorted(kinds, reference[column].to_numpy()[placed].astype(str)) + 1
    tree = shapely.STRtree(shapes)

    def read(rows: slice, columns: slice) -> Array:
        window = columns.start, rows.start, columns.stop, rows.stop
        near = np.sort(tree.query(shapely.box(*window)))
        around = shapely.box(*np.add(window, (-1, -1, 1, 1)))
        parts, owner = shapely.get_parts(
            shapely.intersection(shapes[near], around), return_index=True
        )
        flat = shapely.area(parts) > 0
        size = rows.stop - rows.start, columns.stop - columns.start
        if not flat.any():
            return np.zeros(size, np.int32)
        burn = zip(parts[flat], numbers[near][owner[flat]].tolist(), strict=True)
        shift = Affine.translation(window[0], window[1])
        burnt: Array = rasterize(burn, size, transform=shift, dtype=np.int32)
        return burnt

    return read
