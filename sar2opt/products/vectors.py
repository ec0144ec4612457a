"""Vector layers: a GeoPackage with its styles inside, and exchange formats on request."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio
from shapely.geometry.base import BaseGeometry

from sar2opt.errors import OutputError
from sar2opt.products.facts import GENERATED, UNKNOWN, Facts
from sar2opt.products.folder import EXTRA, output_errors
from sar2opt.products.styles import STYLES, to_qml, to_sld

TITLES: Mapping[str, str] = {
    "objects": "Objects: areas of one land cover",
    "anomalies": "Anomalies: what does not belong",
    "features": "Features of the reference layer, and what was flagged in them",
    "footprint": "Footprint of the scene",
}

PORTION = 50_000  # rows that are written at a time
VERSION = "1.3"  # of the standard: QGIS of Debian 12 and Ubuntu 22.04 warns of what is newer


def footprint_table(facts: Facts, geometry: BaseGeometry) -> gpd.GeoDataFrame:
    """Return the footprint as a table of one row that says what the products are.

    ``geometry`` is the outline of the valid pixels, in the CRS of ``facts.geobox``.
    """
    row = {
        "scene": facts.scene,
        "source": facts.source,
        "acquired": facts.acquired or UNKNOWN,
        "polarisation": facts.polarisation,
        "generated": GENERATED["vectors"],
        "models": ", ".join(f"{model.name} ({model.sha256[:12]})" for model in facts.models),
        "software": facts.software,
        "created": facts.created,
        "assumptions": " ".join(facts.assumptions),
    }
    return gpd.GeoDataFrame([row], geometry=[geometry], crs=facts.crs.to_wkt())


def write_geopackage(path: Path, layers: Mapping[str, gpd.GeoDataFrame], facts: Facts) -> Path:
    """Write layers (objects, anomalies, footprint) and their QGIS styles to a GeoPackage.

    Layers without rows are written with their columns. Each layer carries the tags of ``facts``
    as metadata; the dataset does not, for GDAL 3.12 would copy that to an .aux.xml file beside
    the GeoPackage as soon as someone reads it. The file appears whole or not at all. Raises
    ``OutputError``.
    """
    unfinished = path.with_name(f".{path.name}")
    tags = facts.tags("vectors")
    with output_errors(path):
        try:
            unfinished.unlink(missing_ok=True)
            for name, table in layers.items():
                _write_layer(unfinished, name, table, tags)
            styles = _style_table(layers, facts)
            pyogrio.write_dataframe(
                styles, unfinished, layer="layer_styles", driver="GPKG", layer_options={"FID": "id"}
            )
            _check_whole(unfinished, layers)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    return path


def _write_layer(path: Path, name: str, table: gpd.GeoDataFrame, tags: Mapping[str, str]) -> None:
    """Add a layer, in portions: what is on its way to the file is a copy of the table's rows."""
    kind = _geometry_type(table)
    for first in range(0, max(1, len(table)), PORTION):
        new: dict[str, Any] = {"append": True}
        if first == 0:
            new = {
                "dataset_options": {} if path.exists() else {"VERSION": VERSION},
                "layer_options": {"IDENTIFIER": TITLES[name], "DESCRIPTION": GENERATED["vectors"]},
                "layer_metadata": tags,
            }
        pyogrio.write_dataframe(
            table.iloc[first : first + PORTION],
            path,
            layer=name,
            driver="GPKG",
            geometry_type=kind,
            promote_to_multi=True,
            **new,
        )


def check_geopackage(path: Path) -> None:
    """Raise ``OutputError`` unless ``path`` is named like a GeoPackage."""
    if path.suffix.lower() != ".gpkg":
        raise OutputError(f"{path}: vectors go to a GeoPackage: give a name that ends in .gpkg")


def write_extra(
    folder: Path, layers: Mapping[str, gpd.GeoDataFrame], facts: Facts, formats: Iterable[str]
) -> list[Path]:
    """Write each layer in each of ``formats``: geojson, flatgeobuf, geoparquet.

    GeoJSON follows RFC 7946: longitude and latitude (WGS 84), exterior rings counter-clockwise.
    The others keep the CRS. Raises ``OutputError``, also where geoparquet lacks pyarrow.
    """
    formats = tuple(formats)
    check_formats(formats)
    tags = facts.tags("vectors")
    written = []
    for kind in formats:
        for name, table in layers.items():
            path = folder / EXTRA[kind].format(facts.scene, name)
            with output_errors(path):
                if kind == "geoparquet":
                    _write_parquet(path, table, tags)
                else:
                    _write_plain(path, kind, name, table)
            written.append(path)
    return written


def check_formats(formats: Iterable[str]) -> None:
    """Raise ``OutputError`` if a vector format cannot be written on this machine."""
    if "geoparquet" in formats and importlib.util.find_spec("pyarrow") is None:
        raise OutputError("geoparquet needs pyarrow: pip install pyarrow, or choose flatgeobuf")


def _check_whole(path: Path, layers: Mapping[str, gpd.GeoDataFrame]) -> None:
    """Read the size of each layer and of its spatial index: GDAL can lose one on a full disk."""
    with closing(sqlite3.connect(path)) as database:
        for name, table in layers.items():
            placed = int((~(table.geometry.isna() | table.geometry.is_empty)).sum())
            for part, rows in ((name, len(table)), (f"rtree_{name}_geom", placed)):
                (count,) = database.execute(f'SELECT count(*) FROM "{part}"').fetchone()
                if count != rows:
                    raise OSError(f"{part} holds {count} of {rows} rows")


def _write_plain(path: Path, kind: str, name: str, table: gpd.GeoDataFrame) -> None:
    options = {"DESCRIPTION": GENERATED["vectors"]}
    if kind == "geojson":
        table = table.to_crs("EPSG:4326")
        options["RFC7946"] = "YES"
    pyogrio.write_dataframe(
        table,
        path,
        layer=name,
        driver={"geojson": "GeoJSON", "flatgeobuf": "FlatGeobuf"}[kind],
        geometry_type=_geometry_type(table),
        promote_to_multi=True,
        layer_options=options,
    )


def _write_parquet(path: Path, table: gpd.GeoDataFrame, tags: Mapping[str, str]) -> None:
    table = table.copy()
    table.attrs = dict(tags)  # stored in the file's schema
    table.to_parquet(path)


def _geometry_type(table: gpd.GeoDataFrame) -> str:
    """Return one type for all rows: QGIS splits mixed layers, which would lose their style."""
    areal = set(table.geometry.geom_type) <= {"Polygon", "MultiPolygon"}
    return "MultiPolygon" if areal else "Unknown"


def _style_table(layers: Iterable[str], facts: Facts) -> pd.DataFrame:
    """Return the table in which QGIS looks for the styles of a GeoPackage's layers."""
    return pd.DataFrame(
        [
            {
                "f_table_catalog": "",
                "f_table_schema": "",
                "f_table_name": name,
                "f_geometry_column": "geom",
                "styleName": name,
                "styleQML": to_qml(STYLES[name]),
                "styleSLD": to_sld(STYLES[name], name),
                "useAsDefault": True,
                "description": TITLES[name],
                "owner": "",
                "ui": "",
                "update_time": datetime.fromisoformat(facts.created),
            }
            for name in layers
        ]
    )
