"""Tables without a place: matched by key, and laid on objects and anomalies."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
from shapely import box

from sar2opt.errors import LayerError
from sar2opt.overlay import match_rows, read_rows, with_sites

CRS = "EPSG:32633"


@pytest.fixture
def parcels() -> gpd.GeoDataFrame:
    shapes = [box(0, 0, 100, 100), box(100, 0, 200, 100), box(200, 0, 300, 100)]
    return gpd.GeoDataFrame({"parcel_id": [1.0, 2.0, 3.0]}, geometry=shapes, crs=CRS)


def rows_of(folder: Path, text: str, key: str = "parcel_id") -> pd.DataFrame:
    path = folder / "permits.csv"
    path.write_text(text, encoding="utf-8-sig")
    return read_rows(path, key)


def test_what_lies_on_two_sites_belongs_to_the_one_with_more_of_it(
    parcels: gpd.GeoDataFrame, tmp_path: Path
) -> None:
    rows = rows_of(tmp_path, "parcel_id;owner;tag\n1;Ada;x\n2;Béla;y\n9;Nobody;z\n")
    sites = match_rows(parcels, rows, "parcel_id", "permits.csv")
    assert sites.notes == (
        "permits.csv is joined on parcel_id: 2 of 3 rows have a place",
        "permits.csv: 1 rows match no place, and are left out",
        "permits.csv: 1 places have no row",
    )
    shapes = [box(90, 0, 130, 10), box(60, 0, 120, 10), box(210, 0, 220, 10), box(0, 0, 1, 1)]
    found = gpd.GeoDataFrame({"tag": list("abcd")}, geometry=shapes, crs=CRS).to_crs("EPSG:3857")
    table = with_sites(found, sites)
    assert list(table.columns) == ["tag", "parcel_id", "owner", "site_tag", "geometry"]
    assert table["owner"].fillna("-").tolist() == ["Béla", "Ada", "-", "Ada"]
    assert table["tag"].tolist() == list("abcd")
    assert table["site_tag"].fillna("-").tolist() == ["y", "x", "-", "x"]
    assert table.crs == found.crs


def test_an_empty_table_gets_the_columns(parcels: gpd.GeoDataFrame, tmp_path: Path) -> None:
    sites = match_rows(parcels, rows_of(tmp_path, "parcel_id,owner\n1,Ada\n"), "parcel_id")
    empty = gpd.GeoDataFrame({"tag": pd.Series([], dtype=str)}, geometry=[], crs=CRS)
    assert list(with_sites(empty, sites).columns) == ["tag", "parcel_id", "owner", "geometry"]


def test_parquet_keeps_numbers(parcels: gpd.GeoDataFrame, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "permits.parquet"
    pd.DataFrame({"parcel_id": [1, 2], "area": [3.5, 4.5]}).to_parquet(path)
    sites = match_rows(parcels, read_rows(path, "parcel_id"), "parcel_id")
    assert with_sites(parcels.drop(columns="parcel_id"), sites)["area"].tolist()[:2] == [3.5, 4.5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,owner\n1,Ada\n", "no column 'parcel_id'; there are: id, owner"),
        ("parcel_id,owner\n1,Ada\n1,Eve\n", "several rows have the parcel_id 1: keep one"),
        ("parcel_id,owner\n1,Ada\n,Eve\n", "1 rows have no parcel_id: fill it in"),
        ('parcel_id,owner\n1,"Ada\n', "cannot be read as csv"),
        ("", "cannot be read as csv"),
    ],
)
def test_tables_that_cannot_be_joined_are_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=said):
        rows_of(tmp_path, text)


def test_keys_that_never_meet_are_refused(parcels: gpd.GeoDataFrame, tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "parcel_id,owner\nA-1,Ada\n")
    with pytest.raises(LayerError, match=r"which has 1, 2, 3 \.\.\., and the table A-1"):
        match_rows(parcels, rows, "parcel_id")


@pytest.mark.parametrize("name", ["permits.pickle", "missing.csv"])
def test_other_files_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "permits.pickle").write_bytes(b"x")
    with pytest.raises(LayerError, match=r"no such file|a table to join is a"):
        read_rows(tmp_path / name, "parcel_id")
