"""Vector layers out of the GeoPackages: by bounding box, filtered, the most important first."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import pyogrio
from pyproj import CRS, Transformer

from sar2opt.errors import LayerError

Bounds = tuple[float, float, float, float]
LayerName = Literal["objects", "anomalies", "footprint"]

MOST = 10_000
"""Features of one answer at the most."""

_COLUMN = {"objects": "tag", "anomalies": "kind"}
_NAME = re.compile(r"[a-z0-9_]{1,40}")
_PLACES = 6  # decimals of a degree: a tenth of a metre


@dataclass(frozen=True)
class Wanted:
    """Which features of a layer are asked for."""

    bounds: Bounds | None = None  # west, south, east, north in degrees
    kinds: tuple[str, ...] = ()  # tags of objects, kinds of anomalies; empty: all
    min_score: float = 0.0
    min_area_m2: float = 0.0
    identity: str = ""
    limit: int = 1000
    offset: int = 0
    tolerance_m: float = 0.0  # outlines may be off by this much


def parse_bounds(text: str) -> Bounds:
    """Return west, south, east, north. Raises ``LayerError``."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise LayerError("bbox: say west,south,east,north in degrees") from None
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise LayerError("bbox: west must not exceed east, nor south north, within -180..180, ±90")
    return west, south, east, north


def read_features(path: Path, layer: LayerName, wanted: Wanted) -> tuple[gpd.GeoDataFrame, int]:
    """Return the features asked for, in WGS 84, and how many there are in all.

    Raises ``LayerError`` for names that cannot be any.
    """
    condition = _condition(path, layer, wanted)
    counted = pyogrio.read_dataframe(
        path, sql=f'SELECT count(*) AS n FROM "{layer}" WHERE {condition}', read_geometry=False
    )
    order = {"objects": "area_m2 DESC, fid", "anomalies": "score DESC, fid"}.get(layer, "fid")
    table = pyogrio.read_dataframe(
        path,
        sql=f'SELECT * FROM "{layer}" WHERE {condition} ORDER BY {order} '
        f"LIMIT {min(wanted.limit, MOST)} OFFSET {wanted.offset}",
    )
    if wanted.tolerance_m > 0 and len(table) and table.crs.is_projected:
        table.geometry = table.geometry.simplify(wanted.tolerance_m, preserve_topology=False)
        table = table[~(table.geometry.is_empty | table.geometry.isna())]
    return table.to_crs("EPSG:4326"), int(counted["n"].iloc[0])


def to_geojson(table: gpd.GeoDataFrame, matched: int) -> dict[str, Any]:
    """Return a FeatureCollection in longitude and latitude, numbered as OGC API - Features does."""
    table = table.copy()
    table.geometry = table.geometry.set_precision(10.0**-_PLACES, mode="pointwise")
    document: dict[str, Any] = json.loads(table.to_json(na="null", drop_id=True))
    for feature in document["features"]:
        if "id" in feature["properties"]:
            feature["id"] = feature["properties"]["id"]
    document |= {"numberMatched": matched, "numberReturned": len(table)}
    return document


def to_flatgeobuf(table: gpd.GeoDataFrame, layer: LayerName) -> bytes:
    """Return the features as a FlatGeobuf file in longitude and latitude."""
    buffer = io.BytesIO()
    kind = {"geometry_type": "MultiPolygon", "promote_to_multi": True}
    pyogrio.write_dataframe(table, buffer, layer=layer, driver="FlatGeobuf", **kind)
    return buffer.getvalue()


def _condition(path: Path, layer: LayerName, wanted: Wanted) -> str:
    """Return the condition of SQL; only numbers and checked names get into it."""
    parts = ["1"]
    names = (*wanted.kinds, *([wanted.identity] if wanted.identity else []))
    for name in names:
        if not _NAME.fullmatch(name):
            raise LayerError("a kind, a tag or an id holds small letters, digits and _ only")
    column = _COLUMN.get(layer)
    if column and wanted.kinds:
        parts.append(f"{column} IN ({', '.join(repr(name) for name in wanted.kinds)})")
    if column and wanted.identity:
        parts.append(f"id = '{wanted.identity}'")
    if column and wanted.min_score > 0:
        parts.append(f"score >= {wanted.min_score!r}")
    if column and wanted.min_area_m2 > 0:
        parts.append(f"area_m2 >= {wanted.min_area_m2!r}")
    if wanted.bounds:
        crs = CRS.from_user_input(pyogrio.read_info(path, layer=layer)["crs"])
        moved = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        west, south, east, north = map(float, moved.transform_bounds(*wanted.bounds))
        parts.append(
            f'fid IN (SELECT id FROM "rtree_{layer}_geom" WHERE maxx >= {west!r} '
            f"AND minx <= {east!r} AND maxy >= {south!r} AND miny <= {north!r})"
        )
    return " AND ".join(parts)
