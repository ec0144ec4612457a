"""OGC API - Features: GDAL reads the layers through it, and it says what the standard asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
from planted import Case
from served import EARLIER, server

pytest.importorskip("titiler.extensions", reason="serve is an extra: pip install '.[serve]'")

from starlette.testclient import TestClient


def items(client: TestClient, question: str = "", collection: str = "planted.objects") -> Any:
    answer = client.get(f"/ogc/collections/{collection}/items?{question}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    return answer.json()


def linked(document: Any, rel: str) -> str:
    (address,) = [link["href"] for link in document["links"] if link["rel"] == rel]
    return str(address)


def test_from_the_landing_page_all_is_found(client: TestClient) -> None:
    landing = client.get("/ogc").json()
    assert client.get(linked(landing, "service-desc")).json()["openapi"].startswith("3.1")
    classes = client.get(linked(landing, "conformance")).json()["conformsTo"]
    assert [name.rpartition("/")[2] for name in classes] == ["core", "geojson"]
    found = client.get(linked(landing, "data")).json()["collections"]
    names = ["objects", "anomalies", "footprint"]
    assert [one["id"] for one in found] == [
        f"{s}.{n}" for s in ("earlier", "planted") for n in names
    ]
    for one in found:
        assert client.get(linked(one, "self")).json() == one
        assert client.get(linked(one, "items")).json()["numberMatched"] > 0
    assert found[0]["extent"]["temporal"]["interval"] == [[EARLIER, EARLIER]]


@pytest.mark.skipif("OAPIF" not in pyogrio.list_drivers(), reason="GDAL without OAPIF")
def test_gdal_reads_the_same_features(out: Path, utm: Case) -> None:
    with server(out) as address:
        source = f"OAPIF:{address}/ogc"
        assert {name for name, _ in pyogrio.list_layers(source)} == {
            f"{scene}.{layer}"
            for scene in ("earlier", "planted")
            for layer in ("objects", "anomalies", "footprint")
        }
        for layer in ("objects", "anomalies"):
            read = gpd.read_file(source, layer=f"planted.{layer}")
            truth = gpd.read_file(utm.path(".gpkg"), layer=layer)
            assert set(read["id"]) == set(truth["id"])
            assert read.crs.to_epsg() == 4326
            ours = read.set_index("id").to_crs(truth.crs).area
            assert (ours / truth.set_index("id").area).between(0.99, 1.01).all()


def test_pages_hold_every_feature_once(client: TestClient, utm: Case) -> None:
    document = items(client, "limit=3")
    ids = [feature["id"] for feature in document["features"]]
    while any(link["rel"] == "next" for link in document["links"]):
        document = client.get(linked(document, "next")).json()
        ids += [feature["id"] for feature in document["features"]]
    assert len(ids) == len(set(ids)) == document["numberMatched"]
    assert set(ids) == set(gpd.read_file(utm.path(".gpkg"), layer="objects")["id"])


def test_a_feature_has_an_address(client: TestClient) -> None:
    for layer in ("objects", "footprint"):
        (first, *_) = items(client, collection=f"planted.{layer}")["features"]
        one = client.get(f"/ogc/collections/planted.{layer}/items/{first['id']}").json()
        assert {name: one[name] for name in first} == first
        assert client.get(linked(one, "self")).json() == one
        assert client.get(f"/ogc/collections/planted.{layer}/items/nothing").status_code == 404


@pytest.mark.parametrize(
    ("question", "some"),
    [
        ("datetime=2024-05-14T00:00:00Z/..", True),
        ("datetime=2023-01-02", False),
        ("bbox=-10,-10,-9,-9", False),
        ("bbox=-180,-90,0,180,90,9", True),  # with heights
        ("limit=100000", True),  # as many as there may be
    ],
)
def test_place_and_time_select(question: str, some: bool, client: TestClient) -> None:
    document = items(client, question)
    assert bool(document["numberMatched"]) is some
    assert bool(document["features"]) is some
    assert document["numberReturned"] == len(document["features"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("planted.objects/items?limit=0", 400),
        ("planted.objects/items?limit=many", 400),
        ("planted.objects/items?offset=-1", 400),
        ("planted.objects/items?bbox=1,2", 400),
        ("planted.objects/items?datetime=yesterday", 400),
        ("planted.objects/items?colour=red", 400),
        ("planted.objects/items/a'%20OR%201", 400),
        ("planted.roads/items", 404),
        ("nothing.objects/items", 404),
        ("planted", 404),
    ],
)
def test_what_cannot_be_answered_is_refused(path: str, status: int, client: TestClient) -> None:
    answer = client.get(f"/ogc/collections/{path}")
    assert answer.status_code == status
    assert answer.json()["detail"]
