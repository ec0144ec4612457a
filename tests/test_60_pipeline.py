"""The whole road: coordinates stay true, products are complete, and they say what they are."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
import shapely
import xarray as xr
from planted import Case, hidden
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from rasterio.enums import MaskFlags
from rasterio.features import geometry_mask
from rio_cogeo.cogeo import cog_validate

from sar2opt.products.classes import CLASSES

RASTERS = ("optical", "trust", "tags")


def lonlat(case: Case, shape: Any) -> Any:
    return gpd.GeoSeries([shape], crs=case.crs).to_crs("EPSG:4326").iloc[0]


# ---- coordinates ---------------------------------------------------------------------------------


@pytest.mark.parametrize("product", RASTERS)
def test_rasters_lie_on_the_grid_of_the_scene(case: Case, product: str) -> None:
    with rasterio.open(case.path(f"_{product}.tif")) as file:
        assert file.crs == rasterio.CRS.from_string(case.crs)
        assert tuple(file.transform) == tuple(case.transform)
        assert file.shape == case.valid.shape
        assert file.tags()["AREA_OR_POINT"] == "Area"
        np.testing.assert_array_equal(file.dataset_mask() == 255, case.valid)
        flags = {flag for flags in file.mask_flag_enums for flag in flags}
        if product == "optical":
            assert flags == {MaskFlags.per_dataset}
            assert not file.read()[:, ~case.valid].any()
        else:
            assert file.nodata == 255
            np.testing.assert_array_equal(file.read(1) != 255, case.valid)


def test_bright_targets_are_where_they_were_planted(case: Case) -> None:
    table = gpd.read_file(case.path(".gpkg"), layer="anomalies")
    assert table.crs == case.crs
    assert set(table["kind"]) == {"bright_target"}
    assert len(table) == len(case.targets)
    pixel = abs(case.transform.a)
    for row, col in case.targets:
        planted = case.box(row, col)
        (found,) = table.geometry[table.covers(planted.centroid)]
        assert shapely.hausdorff_distance(found, planted) < 1e-6 * pixel
        place = lonlat(case, planted.centroid)
        (point,) = gpd.points_from_xy(table.lon, table.lat)[table.covers(planted.centroid)]
        assert point.distance(place) < 1e-8


def test_the_footprint_is_the_valid_pixels(case: Case) -> None:
    (outline,) = gpd.read_file(case.path(".gpkg"), layer="footprint").geometry
    burnt = geometry_mask([outline], case.valid.shape, case.transform, invert=True)
    np.testing.assert_array_equal(burnt, case.valid)
    assert outline.area == pytest.approx(case.valid.sum() * abs(case.transform.determinant))


def test_objects_lie_on_valid_pixels_and_have_their_areas(utm: Case) -> None:
    table = gpd.read_file(utm.path(".gpkg"), layer="objects")
    with rasterio.open(utm.path("_tags.tif")) as file:
        tags = file.read(1)
    codes = {entry.name: entry.code for entry in CLASSES}
    assert len(table) > 0
    for one in table.itertuples():
        inside = geometry_mask([one.geometry], tags.shape, utm.transform, invert=True)
        off = abs(one.geometry.area - 100 * inside.sum())
        assert off < 3.5 * one.geometry.length  # smooth, and hardly a third of a pixel off
        counts = np.bincount(tags[inside & utm.valid], minlength=256)
        assert counts.argmax() == codes[one.tag]
        assert counts.sum() >= one.pixels  # more where it has a hole that is filled
        assert counts.max() > 0.5 * one.pixels  # the rest are scraps that it was given
        assert one.area_m2 == pytest.approx(100 * one.pixels, rel=2e-3)
        place = gpd.GeoSeries([shapely.Point(one.lon, one.lat)], crs="EPSG:4326")
        assert one.geometry.buffer(0.01).covers(place.to_crs(utm.crs).iloc[0])


def test_the_catalogue_item_lies_in_the_same_place(case: Case) -> None:
    item = pystac.Item.from_file(str(case.path(".json")))
    outline = shapely.geometry.shape(item.geometry)
    assert item.bbox == pytest.approx(outline.bounds)
    (row, col), *_ = case.targets
    assert outline.covers(lonlat(case, case.box(row, col)))
    lost = np.argwhere(~case.valid)
    outside = [lonlat(case, case.box(*where, size=1).centroid) for where in lost[:: len(lost) // 9]]
    assert not any(outline.covers(point) for point in outside)
    assert item.properties["proj:code"] == case.crs
    assert item.properties["proj:shape"] == list(case.valid.shape)
    assert item.properties["proj:transform"] == list(case.transform)[:6]
    assert item.datetime is not None
    assert item.datetime.isoformat() == "2024-05-14T05:12:41+00:00"


def test_the_level_of_an_area_is_that_of_the_whole_scene(utm: Case, area: Case) -> None:
    (said,) = [text for text in utm.products.assumptions if "the scene's level, the " in text]
    assert said in area.products.assumptions


# ---- products ------------------------------------------------------------------------------------


def test_the_folder_holds_the_products_of_the_table_and_nothing_else(utm: Case) -> None:
    assert utm.files == (
        "planted", "planted.gpkg", "planted.json", "planted_anomalies.sld", "planted_objects.sld",
        "planted_optical.tif", "planted_preview.png", "planted_report.html", "planted_sar.tif",
        "planted_tags.qml", "planted_tags.sld", "planted_tags.tif", "planted_tags.tif.aux.xml",
        "planted_trust.qml", "planted_trust.tif",
    )  # fmt: skip
    assert hidden(utm.products.folder.parent) == []


@pytest.mark.parametrize("product", RASTERS)
def test_rasters_are_strictly_valid_cogs(case: Case, product: str) -> None:
    valid, errors, warnings = cog_validate(case.path(f"_{product}.tif"), strict=True)
    assert (valid, errors, warnings) == (True, [], [])


@pytest.mark.parametrize("product", RASTERS)
def test_rasters_say_that_they_were_generated_from_what_and_by_what(
    utm: Case, product: str
) -> None:
    with rasterio.open(utm.path(f"_{product}.tif")) as file:
        tags = file.tags()
        described = file.descriptions
    assert tags["GENERATED"].startswith("YES: ")
    assert tags["MODEL"] == ("tagger-s1" if product == "tags" else "translator-s1")
    assert len(tags["MODEL_SHA256"]) == 64
    assert tags["SOURCE"] == "planted"
    assert tags["POLARISATION"] == "VH"
    for sentence in utm.products.assumptions:
        assert sentence in tags["ASSUMPTIONS"]
    assert all("generated" in text for text in described)


def test_the_item_is_valid_stac_and_its_assets_are_there(case: Case) -> None:
    path = case.path(".json")
    content = json.loads(path.read_text(encoding="utf-8"))
    # the schemas of the core come with pystac; those of the extensions would be fetched
    JsonSchemaSTACValidator().validate_core(
        content, pystac.STACObjectType.ITEM, content["stac_version"], str(path)
    )
    assets = {Path(asset["href"]).name for asset in content["assets"].values()}
    assert assets | {path.name, path.parent.name} == set(case.files)
    for asset in content["assets"].values():
        assert (path.parent / asset["href"]).stat().st_size == asset["file:size"]


def test_the_geopackage_has_its_layers_and_their_styles(utm: Case) -> None:
    layers = set(gpd.list_layers(utm.path(".gpkg"))["name"])
    assert layers == {"objects", "anomalies", "footprint", "layer_styles"}
    styles = gpd.read_file(utm.path(".gpkg"), layer="layer_styles")
    assert set(styles["f_table_name"]) == {"objects", "anomalies", "footprint"}


def test_every_anomaly_has_a_kind_a_score_and_a_reason(utm: Case) -> None:
    for one in utm.products.anomalies.itertuples():
        assert one.kind == "bright_target"
        assert 0.5 < one.score <= 1
        assert one.pixels == 9
        assert one.area_m2 == pytest.approx(900, rel=2e-3)
        assert one.reason.endswith(".")
        assert one.reason.startswith("Bright object of 30 m x 30 m on ")
        assert "dB above its surroundings; expected by chance" in one.reason


# ---- the interface of Python ---------------------------------------------------------------------


def test_a_run_returns_rasters_on_the_grid(case: Case) -> None:
    products = case.products
    expected = {"optical": ["red", "green", "blue"], "trust": ["trust"], "tags": ["tags"]}
    for name, bands in expected.items():
        raster = getattr(products, name)
        assert isinstance(raster, xr.DataArray)
        assert raster.chunks is not None  # lazy
        assert raster.attrs["quantity"] == name
        assert raster.attrs["generated"].startswith("YES: ")
        assert raster.band.values.tolist() == bands
        assert raster.odc.geobox.crs == case.crs
        assert raster.odc.geobox.affine.almost_equals(case.transform, 1e-12)
        np.testing.assert_array_equal(np.isfinite(raster.values).all(axis=0), case.valid)
    assert 0 <= float(products.optical.min()) <= float(products.optical.max()) <= 1
    assert 0 <= float(products.trust.min()) <= float(products.trust.max()) <= 100


def test_a_run_returns_the_tables_that_were_written(utm: Case) -> None:
    for name in ("objects", "anomalies"):
        table = getattr(utm.products, name)
        assert isinstance(table, gpd.GeoDataFrame)
        written = gpd.read_file(utm.path(".gpkg"), layer=name)
        assert table["id"].tolist() == written["id"].tolist()
        assert table.crs == written.crs


def test_a_run_returns_figures(utm: Case) -> None:
    figures = utm.products.figures
    assert figures["megapixels"] == pytest.approx(0.052)
    assert figures["resumed_blocks"] == 0
    assert 0 < figures["seconds_blocks"] <= figures["seconds"] < math.inf
