"""Vector layers: they open everywhere, carry their styles, and say what they are."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
from geopandas.testing import assert_geodataframe_equal
from product_scene import anomaly_rows, facts, grid, object_rows
from shapely.geometry import MultiPolygon, Polygon, box

from sar2opt.errors import OutputError
from sar2opt.products import vectors
from sar2opt.products.classes import CLASSES, NO_TAG
from sar2opt.products.styles import STYLES, to_class_qml, to_qml, to_sld
from sar2opt.products.vectors import check_formats, footprint_table, write_extra, write_geopackage
from sar2opt.synth import CLASSES as TRUE_CLASSES

MACHADO = {  # Machado, Oliveira, Fernandes 2009, severity 1
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
    ),
    "deuteranopia": np.array(
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    ),
    "tritanopia": np.array(
        [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]
    ),
}


def layers(places: list[tuple[int, int]] | None = None) -> dict[str, gpd.GeoDataFrame]:
    geobox = grid()
    return {
        "objects": object_rows(geobox),
        "anomalies": anomaly_rows(geobox, [(100, 300), (300, 500)] if places is None else places),
        "footprint": footprint_table(facts(), geobox.extent.geom),
    }


def lab(colour: tuple[int, int, int], sight: Any) -> Any:
    """Return CIE L*a*b* of an sRGB colour as someone with this sight sees it."""
    srgb = np.array(colour) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(sight @ linear, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(to_xyz @ seen / [0.9505, 1, 1.089])  # no colour here is dark enough for more
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", MACHADO)
def test_class_colours_stay_apart_for_every_eye(sight: str) -> None:
    seen = [lab(entry.colour, MACHADO[sight]) for entry in CLASSES]
    least = min(np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i])
    assert least > 20  # 2.3 is just noticeable


def test_the_class_table_is_the_one_that_everybody_uses() -> None:
    assert tuple(entry.name for entry in CLASSES) == TRUE_CLASSES
    assert [entry.code for entry in CLASSES] == list(range(len(CLASSES)))
    assert NO_TAG not in [entry.code for entry in CLASSES]
    codes = sorted(code for entry in CLASSES for code in entry.worldcover)
    assert codes == [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100]  # WorldCover v200, each once


def test_layers_come_back_as_they_were(tmp_path: Path) -> None:
    path = write_geopackage(tmp_path / "S.gpkg", layers(), facts())
    assert pyogrio.list_layers(path)[:, 0].tolist()[:3] == ["objects", "anomalies", "footprint"]
    for name, table in layers().items():
        back = pyogrio.read_dataframe(path, layer=name)
        back["geometry"] = [MultiPolygon(shape).geoms[0] for shape in back.geometry]
        assert_geodataframe_equal(back, table, check_dtype=False, check_geom_type=True)


def test_a_layer_that_is_written_in_portions_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "PORTION", 2)
    places = [(100 + 20 * number, 300) for number in range(5)]
    path = write_geopackage(tmp_path / "S.gpkg", layers(places), facts())
    back = pyogrio.read_dataframe(path, layer="anomalies")
    assert back["id"].tolist() == layers(places)["anomalies"]["id"].tolist()
    assert pyogrio.read_info(path, layer="anomalies")["layer_metadata"]["MODEL"] == "tagger-x"
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM rtree_anomalies_geom").fetchone() == (5,)


def test_layers_without_rows_keep_their_columns(tmp_path: Path) -> None:
    empty = layers(places=[])
    empty["objects"] = empty["objects"].iloc[:0]
    path = write_geopackage(tmp_path / "S.gpkg", empty, facts())
    for name, table in empty.items():
        known = pyogrio.read_info(path, layer=name)
        assert list(known["fields"]) == [c for c in table.columns if c != "geometry"]
        assert (known["geometry_type"], known["features"]) == ("MultiPolygon", len(table))
        assert known["crs"] == "EPSG:32631"


def test_the_geopackage_and_its_layers_say_that_they_were_generated(tmp_path: Path) -> None:
    path = write_geopackage(tmp_path / "S.gpkg", layers(), facts())
    for name in layers():
        known = pyogrio.read_info(path, layer=name)
        metadata = known["layer_metadata"]
        assert metadata["GENERATED"].startswith("YES")
        assert (metadata["MODEL"], metadata["SOURCE"]) == ("tagger-x", "S.tif")
        assert "neural network" in metadata["DESCRIPTION"]
    (row,) = pyogrio.read_dataframe(path, layer="footprint").itertuples()
    assert "translator-x (abababababab), tagger-x" in row.models
    assert "neural network" in row.generated


def test_qgis_finds_a_default_style_for_each_layer(tmp_path: Path) -> None:
    path = write_geopackage(tmp_path / "S.gpkg", layers(), facts())
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        # what the OGR provider of QGIS asks for
        found = database.execute(
            "SELECT f_table_name, styleQML, styleSLD, update_time FROM layer_styles "
            "WHERE f_table_schema = '' AND f_table_catalog = '' AND useAsDefault = 1 "
            "AND f_geometry_column = (SELECT column_name FROM gpkg_geometry_columns "
            "WHERE table_name = f_table_name)"
        ).fetchall()
        kinds = dict(database.execute("SELECT table_name, data_type FROM gpkg_contents"))
    assert [row[0] for row in found] == ["objects", "anomalies", "footprint"]
    assert kinds["layer_styles"] == "attributes"
    for _, qml, sld, time in found:
        assert ET.fromstring(qml).tag == "qgis"
        assert ET.fromstring(sld).tag.endswith("StyledLayerDescriptor")
        assert time.startswith("2026-01-02T03:04:05")
        assert time.endswith("Z")


def test_the_class_raster_has_a_legend_of_its_classes_and_no_more() -> None:
    drawn = [entry.attrib for entry in ET.fromstring(to_class_qml()).iter("paletteEntry")]
    assert [(entry["value"], entry["label"]) for entry in drawn] == [
        (str(entry.code), entry.title) for entry in CLASSES
    ]
    assert {entry["color"] for entry in drawn} == {entry.hex for entry in CLASSES}


def test_reading_a_geopackage_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = write_geopackage(tmp_path / "S.gpkg", layers(), facts())
    for layer in layers():
        gpd.read_file(path, layer=layer)
    assert [file.name for file in tmp_path.iterdir()] == ["S.gpkg"]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (10300,)


def test_styles_name_every_class_in_its_colour() -> None:
    qml = ET.fromstring(to_qml(STYLES["objects"]))
    categories = {c.attrib["value"]: c.attrib["symbol"] for c in qml.iter("category")}
    assert list(categories) == [entry.name for entry in CLASSES]
    for entry in CLASSES:
        (symbol,) = qml.findall(f".//symbol[@name='{categories[entry.name]}']")
        colour = symbol.find("layer/prop[@k='color']")
        assert colour is not None
        assert colour.attrib["v"].startswith(",".join(map(str, entry.colour)))
    sld = to_sld(STYLES["objects"], "objects")
    for entry in CLASSES:
        assert f"<ogc:Literal>{entry.name}</ogc:Literal>" in sld
        assert entry.hex.lower() in sld


def test_an_unknown_kind_of_anomaly_is_drawn_too() -> None:
    qml = ET.fromstring(to_qml(STYLES["anomalies"]))
    assert [c.attrib["value"] for c in qml.iter("category")][-1] == ""
    assert "ElseFilter" in to_sld(STYLES["anomalies"], "anomalies")
    assert qml.findtext("mapTip") == '[% "reason" %]'


def test_points_among_the_anomalies_are_written(tmp_path: Path) -> None:
    tables = layers()
    tables["anomalies"].loc[0, "geometry"] = tables["anomalies"].geometry[0].centroid
    path = write_geopackage(tmp_path / "S.gpkg", tables, facts())
    back = pyogrio.read_dataframe(path, layer="anomalies")
    assert back.geometry[0].centroid.equals(tables["anomalies"].geometry[0])


def test_geojson_follows_rfc_7946(tmp_path: Path) -> None:
    written = write_extra(tmp_path, layers(places=[]), facts(), ["geojson"])
    assert [path.name for path in written] == [
        "S_objects.geojson",
        "S_anomalies.geojson",
        "S_footprint.geojson",
    ]
    content = json.loads(written[0].read_text(encoding="utf-8"))
    assert "crs" not in content
    assert "neural network" in content["description"]
    ring = content["features"][0]["geometry"]["coordinates"][0][0]
    lon, lat = np.array(ring).T
    assert (abs(lon - 1.73) < 0.1).all()
    assert (abs(lat - 45.14) < 0.1).all()
    assert Polygon(ring).exterior.is_ccw
    assert json.loads(written[1].read_text(encoding="utf-8"))["features"] == []


def test_flatgeobuf_keeps_the_crs(tmp_path: Path) -> None:
    for path, table in zip(
        write_extra(tmp_path, layers(places=[]), facts(), ["flatgeobuf"]),
        layers(places=[]).values(),
        strict=True,
    ):
        back = pyogrio.read_dataframe(path)
        assert list(back.columns)[:3] == list(table.columns)[:3]
        assert len(back) == len(table)
        assert pyogrio.read_info(path)["crs"] == "EPSG:32631"


def test_geoparquet_keeps_crs_and_tags(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="geoparquet needs pyarrow")
    paths = write_extra(tmp_path, layers(), facts(), ["geoparquet"])
    back = gpd.read_parquet(paths[0])
    assert back.crs.to_epsg() == 32631
    assert back.attrs["GENERATED"].startswith("YES")
    pd.testing.assert_series_equal(back["tag"], layers()["objects"]["tag"], check_dtype=False)


def test_geoparquet_without_pyarrow_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OutputError, match="pip install pyarrow"):
        write_extra(tmp_path, layers(), facts(), ["geojson", "geoparquet"])
    assert list(tmp_path.iterdir()) == []
    check_formats(["geojson", "flatgeobuf"])


def test_a_failed_write_leaves_the_older_geopackage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "S.gpkg"
    path.write_text("older")
    written = vectors.pyogrio.write_dataframe

    def write(table: Any, *args: Any, layer: str, **options: Any) -> None:
        # GDAL does not always say so when the disk is full: rows or an index are missing
        written(table.iloc[:1] if layer == "objects" else table, *args, layer=layer, **options)

    monkeypatch.setattr(vectors.pyogrio, "write_dataframe", write)
    with pytest.raises(OutputError, match="objects holds 1 of 2 rows"):
        write_geopackage(path, layers(), facts())
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_an_unwritable_place_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_geopackage(tmp_path / "no" / "S.gpkg", layers(), facts())


def test_footprint_of_a_part_of_the_grid_keeps_its_shape() -> None:
    shape = box(400_000, 4_999_000, 401_000, 5_000_000)
    table = footprint_table(facts(acquired=""), shape)
    assert table.geometry[0].equals(shape)
    assert table.loc[0, "acquired"] == "unknown"
