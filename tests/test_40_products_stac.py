"""The STAC item: valid, relative, honest about what is not known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pystac
import pytest
from odc.geo.geobox import GeoBox
from product_scene import anomaly_rows, facts, finished_scene, grid, object_rows
from pystac.validation.stac_validator import JsonSchemaSTACValidator

from sar2opt.errors import OutputError
from sar2opt.products.classes import CLASSES
from sar2opt.products.facts import Facts
from sar2opt.products.folder import product_paths
from sar2opt.products.stac import SAR, stac_item, write_stac
from sar2opt.products.vectors import write_geopackage


def lonlat(geobox: GeoBox) -> Any:
    assert geobox.crs is not None
    series = gpd.GeoSeries([geobox.extent.geom], crs=geobox.crs.to_wkt())
    return series.to_crs("EPSG:4326").iloc[0]


def make(folder: Path, geobox: GeoBox | None = None, **changes: Any) -> tuple[Facts, Path]:
    """Write the item of a finished scene; return the facts and the item's path."""
    scene = finished_scene(folder, geobox or grid(120, 160), **changes)
    paths = product_paths(folder, "S")
    tables = {
        "objects": object_rows(scene.facts.geobox),
        "anomalies": anomaly_rows(scene.facts.geobox, []),
    }
    write_geopackage(paths["vectors"], tables, scene.facts)
    paths["report"].write_text("<p>")
    files = {key: path for key, path in paths.items() if path.exists()}
    item = stac_item(scene.facts, files, lonlat(scene.facts.geobox))
    return scene.facts, write_stac(paths["stac"], item)


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_the_item_is_valid_stac(tmp_path: Path) -> None:
    _, path = make(tmp_path)
    content = read(path)
    # the schemas of the core come with pystac; those of the extensions would be fetched
    JsonSchemaSTACValidator().validate_core(
        content, pystac.STACObjectType.ITEM, content["stac_version"], str(path)
    )
    item = pystac.Item.from_file(str(path))
    assert item.id == "S"
    assert item.bbox == pytest.approx(lonlat(grid(120, 160)).bounds)


def test_it_says_that_everything_was_generated_by_what_and_from_what(tmp_path: Path) -> None:
    _, path = make(tmp_path)
    content = read(path)
    properties = content["properties"]
    assert properties["sar2opt:generated"] is True
    assert "not a photograph" in properties["description"]
    assert "translator-x (sha256 abab" in properties["processing:lineage"]
    assert "S.tif" in properties["processing:lineage"]
    assert properties["processing:software"] == {"sar2opt": "0.1.0"}
    assert properties["sar2opt:assumptions"] == list(facts().assumptions)
    for key, model in (
        ("optical", "translator-x"),
        ("trust", "translator-x"),
        ("tags", "tagger-x"),
    ):
        asset = content["assets"][key]
        assert asset["sar2opt:generated"] is True
        assert (asset["mlm:name"], asset["processing:level"]) == (model, "L4")
        assert "neural network" in asset["description"]


def test_assets_are_beside_the_item_and_what_it_says(tmp_path: Path) -> None:
    _, path = make(tmp_path)
    content = read(path)
    assert set(content["assets"]) == {"optical", "trust", "tags", "tag_names", "vectors", "report"}
    for asset in content["assets"].values():
        assert asset["href"].startswith("./")
        file = path.parent / asset["href"]
        assert asset["file:size"] == file.stat().st_size
        assert asset["file:checksum"] == "1220" + hashlib.sha256(file.read_bytes()).hexdigest()
    for link in content["links"]:
        assert link["href"] in ("./S_report.html#model-translator", "./S_report.html#model-tagger")
    for key in ("optical", "trust", "tags"):
        assert content["assets"][key]["type"] == pystac.MediaType.COG


def test_bands_and_classes_are_described(tmp_path: Path) -> None:
    _, path = make(tmp_path)
    assets = read(path)["assets"]
    assert [band["name"] for band in assets["optical"]["bands"]] == [
        "red (generated)",
        "green (generated)",
        "blue (generated)",
    ]
    assert "nodata" not in assets["optical"]
    assert (assets["trust"]["nodata"], assets["trust"]["unit"]) == (255, "percent")
    assert assets["trust"]["raster:spatial_resolution"] == pytest.approx(10, rel=1e-3)
    classes = pystac.Item.from_file(str(path)).assets["tags"].ext.classification.classes
    assert [entry.value for entry in classes] == [*range(len(CLASSES)), 255]
    assert classes[0].to_dict()["color_hint"] == "286EBE"
    assert classes[-1].nodata


def test_the_grid_is_described(tmp_path: Path) -> None:
    known, path = make(tmp_path)
    projection = pystac.Item.from_file(str(path)).ext.proj
    assert projection.code == "EPSG:32631"
    assert projection.shape == [120, 160]
    assert projection.transform == list(known.geobox.affine)[:6]
    assert projection.bbox == [400_000, 4_998_800, 401_600, 5_000_000]


def test_a_grid_without_epsg_code_carries_its_wkt(tmp_path: Path) -> None:
    own = "+proj=laea +lat_0=45 +lon_0=3 +x_0=400000 +y_0=5000000 +datum=WGS84 +units=m"
    _, path = make(tmp_path, GeoBox((100, 100), grid().affine, own))
    properties = read(path)["properties"]
    assert properties["proj:code"] is None
    assert "Lambert Azimuthal Equal Area" in properties["proj:wkt2"]


@pytest.mark.parametrize(
    ("acquired", "expected"),
    [
        ("2020-11-07T01:50:12Z", "2020-11-07T01:50:12Z"),
        ("2020-11-07T03:50:12+02:00", "2020-11-07T01:50:12Z"),
        ("2020-11-07", "2020-11-07T00:00:00Z"),
    ],
)
def test_the_time_is_that_of_the_acquisition(acquired: str, expected: str) -> None:
    item = stac_item(facts(acquired=acquired), {}, lonlat(grid())).to_dict()
    assert item["properties"]["datetime"] == expected
    assert "sar2opt:acquired" not in item["properties"]
    assert ("end_datetime" in item["properties"]) == (len(acquired) == 10)


@pytest.mark.parametrize("acquired", ["", "last summer"])
def test_an_unknown_time_is_not_invented(acquired: str) -> None:
    item = stac_item(facts(acquired=acquired), {}, lonlat(grid())).to_dict()
    assert item["properties"]["datetime"] == "2026-01-02T03:04:05Z"  # of processing
    assert item["properties"]["sar2opt:acquired"].startswith("unknown")


def test_the_sar_extension_is_there_only_if_all_that_it_requires_is_known() -> None:
    item = stac_item(facts(sar={"instrument_mode": "IW"}), {}, lonlat(grid()))
    assert SAR not in item.stac_extensions
    assert not [name for name in item.properties if name.startswith("sar:")]
    assert item.properties["sar2opt:polarisation"] == "VH"
    known = {"instrument_mode": "IW", "frequency_band": "C", "product_type": "GRD"}
    item = stac_item(facts(sar=known), {}, lonlat(grid()))
    assert SAR in item.stac_extensions
    assert item.ext.sar.polarizations == [pystac.extensions.sar.Polarization.VH]
    assert item.ext.sar.instrument_mode == "IW"


def test_every_extension_that_is_used_is_declared(tmp_path: Path) -> None:
    _, path = make(tmp_path)
    content = read(path)
    declared = {uri.split("/")[3] for uri in content["stac_extensions"]}
    fields = [*content["properties"], *(f for a in content["assets"].values() for f in a)]
    used = {field.partition(":")[0] for field in fields if ":" in field}
    names = {"proj": "projection", "raster": "raster", "classification": "classification",
             "processing": "processing", "file": "file"}  # fmt: skip
    # the MLM extension describes models, not what they made: its advice is to use the field bare
    assert used - {"sar2opt", "mlm"} == set(names)
    assert declared == set(names.values())


def test_an_unwritable_place_is_an_output_error(tmp_path: Path) -> None:
    item = stac_item(facts(), {}, lonlat(grid()))
    with pytest.raises(OutputError, match="cannot be written"):
        write_stac(tmp_path / "no" / "S.json", item)
