"""The server: what it shows is what lies in the products, and it shows nothing else."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pystac
import pytest
from PIL import Image
from planted import Case
from served import EARLIER, HOST

pytest.importorskip("titiler.extensions", reason="serve is an extra: pip install '.[serve]'")

import morecantile
from starlette.testclient import TestClient

from sar2opt.errors import ConfigError
from sar2opt.products.classes import BY_NAME
from sar2opt.products.styles import ANOMALY_COLOURS
from sar2opt.serve.app import Access, make_app
from sar2opt.serve.catalogue import Catalogue
from sar2opt.serve.guard import TileCache
from sar2opt.serve.layers import legend, palette
from sar2opt.serve.png import png
from sar2opt.serve.readers import OpenRasters

LAYERS = ("optical", "sar", "tags", "trust", "veil")


@pytest.fixture(scope="module")
def bounds(client: TestClient) -> tuple[float, float, float, float]:
    west, south, east, north = client.get("/products.json").json()["products"][-1]["bbox"]
    return west, south, east, north


def tile_in_the_middle(bounds: tuple[float, ...], zoom: int = 14) -> str:
    west, south, east, north = bounds
    tile = morecantile.tms.get("WebMercatorQuad").tile((west + east) / 2, (south + north) / 2, zoom)
    return f"{tile.z}/{tile.x}/{tile.y}"


def picture(content: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


# ---- products ------------------------------------------------------------------------------------


def test_products_are_listed_by_time_with_all_their_layers(client: TestClient) -> None:
    early, late = client.get("/products.json").json()["products"]
    assert (early["key"], early["datetime"]) == ("earlier", EARLIER)
    assert (late["key"], late["layers"]) == ("planted", list(dict.fromkeys(late["layers"])))
    assert set(late["layers"]) == set(LAYERS)


def test_new_products_appear_without_a_restart_and_unfinished_ones_do_not(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue, now = Catalogue(tmp_path), [100.0]
    monkeypatch.setattr("sar2opt.serve.catalogue.time.monotonic", lambda: now[0])
    assert catalogue.products() == []
    shutil.copytree(out / "planted", tmp_path / "a" / ".unfinished")
    shutil.copytree(out / "planted", tmp_path / "b", ignore=shutil.ignore_patterns("*.json"))
    now[0] += 10
    assert catalogue.products() == []
    shutil.copytree(out / "planted", tmp_path / "c" / "planted")
    now[0] += 10
    assert [one.key for one in catalogue.products()] == ["c~planted"]
    shutil.rmtree(tmp_path / "c")
    now[0] += 10
    assert catalogue.products() == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"bbox": [1, 2, "x", 4]}', "[" * 100_000])
def test_what_is_no_stac_item_is_passed_over(text: str, out: Path, tmp_path: Path) -> None:
    shutil.copytree(out / "planted", tmp_path / "planted")
    (tmp_path / "planted" / "planted.json").write_text(text)
    assert Catalogue(tmp_path).products() == []


@pytest.mark.parametrize(
    "change",
    [
        {"bbox": [1, 2, 3]},
        {"bbox": [0, 0, float("inf"), 1]},
        {"properties": {"datetime": "yesterday"}},
        {"assets": {"optical": 1}},
        {"assets": []},
    ],
)
def test_a_damaged_item_does_not_stop_the_others(
    change: dict[str, Any], out: Path, tmp_path: Path
) -> None:
    shutil.copytree(out, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "earlier" / "earlier.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert [one.key for one in Catalogue(tmp_path).products()] == ["planted"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        make_app(tmp_path / "nothing")


def test_towns_are_found_by_place_the_largest_first(client: TestClient) -> None:
    told = client.get("/places.json?bbox=-119,33.5,-117.5,34.5&limit=3").json()
    assert told["source"] == "GeoNames, CC BY 4.0"
    assert [one["name"] for one in told["places"]][:2] == ["Los Angeles", "Long Beach"]
    assert client.get("/places.json?bbox=-40,0,-39,1").json()["places"] == []
    assert client.get("/places.json?bbox=1").status_code == 400


# ---- rasters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS)
def test_tiles_show_the_layer_where_there_is_data(
    layer: str, client: TestClient, bounds: tuple[float, ...]
) -> None:
    path = f"/products/planted/{layer}/tiles/WebMercatorQuad/{tile_in_the_middle(bounds, 13)}.png"
    answer = client.get(path)
    assert answer.headers["content-type"] == "image/png"
    pixels = picture(answer.content)
    assert pixels.shape == (256, 256, 4)
    shown = pixels[pixels[..., 3] > 0]
    assert len(shown) > 1000
    assert len(np.unique(shown, axis=0)) > 1


def test_tags_have_the_colours_of_their_classes_and_no_others(
    client: TestClient, bounds: tuple[float, ...]
) -> None:
    answer = client.get(
        f"/products/planted/tags/tiles/WebMercatorQuad/{tile_in_the_middle(bounds)}.png"
    )
    pixels = np.delete(picture(answer.content), slice(116, 140), axis=0)  # without the mark
    seen = {tuple(colour[:3]) for colour in pixels[pixels[..., 3] > 0]}
    assert seen
    assert seen <= {entry.colour for entry in BY_NAME.values()}


@pytest.mark.parametrize("layer", LAYERS)
def test_generated_tiles_are_marked_in_their_pixels_and_measured_ones_are_not(
    layer: str, client: TestClient, out: Path, bounds: tuple[float, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = f"/products/planted/{layer}/tiles/WebMercatorQuad/{tile_in_the_middle(bounds, 15)}.png"
    marked = picture(client.get(path).content)
    monkeypatch.setattr("sar2opt.serve.tiles.watermark", lambda image: image)
    with TestClient(make_app(out), base_url=HOST) as other:
        plain = picture(other.get(path).content)
    differs = (marked != plain).any(axis=-1)
    if layer in ("sar", "veil"):  # the veil lies over a tile that has its mark
        assert not differs.any()
        return
    rows, cols = np.nonzero(differs)
    assert 400 < differs.sum() < 0.03 * differs.size
    assert abs(cols.mean() - 128) < 8
    assert abs(rows.mean() - 128) < 8
    assert np.array_equal(marked[..., 3], plain[..., 3])


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_a_packed_picture_is_the_same(bands: int) -> None:
    pixels = np.random.default_rng(bands).integers(0, 256, (bands, 33, 47), np.uint8)
    pixels[:, 10:20] = 7  # something to pack
    read = np.asarray(Image.open(io.BytesIO(png(pixels))))
    assert np.array_equal(read.reshape(33, 47, bands), np.moveaxis(pixels, 0, -1))


@pytest.mark.parametrize("ending", [".webp", ".jpg", ""])
def test_other_formats_show_the_same(
    ending: str, client: TestClient, bounds: tuple[float, ...]
) -> None:
    path = f"/products/planted/tags/tiles/WebMercatorQuad/{tile_in_the_middle(bounds)}"
    pictures = [picture(client.get(path + end).content) for end in (".png", ending)]
    shown = pictures[0][..., 3] > 0
    differ = np.abs(pictures[0].astype(int) - pictures[1])[..., :3][shown]
    assert differ.mean() < 25  # lossy, and classes change from pixel to pixel


def test_rasters_stay_open_until_they_are_made_anew(out: Path, tmp_path: Path) -> None:
    path = tmp_path / "one.tif"
    shutil.copy(out / "planted" / "planted_sar.tif", path)
    rasters = OpenRasters(most=2)
    with rasters.borrow(str(path)) as first, rasters.borrow(str(path)) as second:
        assert first is not second  # one thread each
    with rasters.borrow(str(path)) as again:
        assert again is first
    shutil.copy(path, tmp_path / "new.tif")
    (tmp_path / "new.tif").replace(path)
    with rasters.borrow(str(path)) as anew:
        assert anew not in (first, second)
    assert first.closed
    assert second.closed
    rasters.close()
    assert anew.closed


def test_the_veil_hides_what_cannot_be_trusted() -> None:
    veil = palette("veil")
    assert veil is not None
    opaque = [veil[trust][3] for trust in range(101)]
    assert opaque == sorted(opaque, reverse=True)
    assert opaque[0] > 200
    assert opaque[100] == 0


def test_tilejson_and_wmts_lead_to_tiles(client: TestClient, bounds: tuple[float, ...]) -> None:
    base = "/products/planted/optical"
    told = client.get(f"{base}/WebMercatorQuad/tilejson.json?tilesize=256").json()
    assert np.allclose(told["bounds"], bounds, atol=0.02)
    z, x, y = tile_in_the_middle(bounds).split("/")
    address = told["tiles"][0].replace("{z}", z).replace("{x}", x).replace("{y}", y)
    assert client.get(address).status_code == 200
    wmts = client.get(f"{base}/WMTSCapabilities.xml").text
    assert "<ows:Identifier>planted_optical_WebMercatorQuad_default</ows:Identifier>" in wmts
    assert "/products/planted/optical/tiles/WebMercatorQuad/{TileMatrix}" in wmts


def test_outside_the_scene_tiles_are_empty(client: TestClient) -> None:
    answer = client.get("/products/planted/optical/tiles/WebMercatorQuad/12/1/1.png")
    assert answer.status_code == 200
    assert not picture(answer.content)[..., 3].any()


@pytest.mark.parametrize(
    "question",
    [
        "tilesize=4096",
        "tilesize=0",
        "tilesize=x",
    ],
)
def test_tiles_of_any_size_are_refused(
    question: str, client: TestClient, bounds: tuple[float, ...]
) -> None:
    path = f"/products/planted/optical/tiles/WebMercatorQuad/{tile_in_the_middle(bounds)}"
    assert client.get(f"{path}?{question}").status_code == 422


@pytest.mark.parametrize(
    "question",
    [
        "url=/etc/passwd",
        "url=http://127.0.0.1:1/x.tif",
        "expression=b1**b1",
        "algorithm=hillshade",
        "bidx=9",
        "buffer=4000",
        "colormap_name=viridis",
        "rescale=0,1",
    ],
)
def test_a_request_cannot_change_what_is_read_or_how(
    question: str, client: TestClient, bounds: tuple[float, ...]
) -> None:
    path = f"/products/planted/optical/tiles/WebMercatorQuad/{tile_in_the_middle(bounds)}.png"
    assert client.get(f"{path}?{question}").content == client.get(path).content


def test_tiles_are_kept_until_the_scene_is_made_anew() -> None:
    asked, stamp = [], [1]

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"tile"})

    client = TestClient(TileCache(slow, lambda path: stamp[0]))
    for _ in range(3):
        assert client.get("/a/tiles/1").content == b"tile"
    assert asked == ["/a/tiles/1"]
    stamp[0] = 2
    client.get("/a/tiles/1")
    client.get("/a/other")
    client.get("/a/other")
    assert asked == ["/a/tiles/1", "/a/tiles/1", "/a/other", "/a/other"]


# ---- vectors -------------------------------------------------------------------------------------


def geojson(client: TestClient, layer: str, question: str = "") -> dict[str, Any]:
    answer = client.get(f"/vectors/planted/{layer}.geojson?{question}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/geo+json"
    found: dict[str, Any] = answer.json()
    return found


def test_anomalies_come_as_they_are_in_the_geopackage(client: TestClient, utm: Case) -> None:
    truth = gpd.read_file(utm.path(".gpkg"), layer="anomalies").to_crs("EPSG:4326")
    found = geojson(client, "anomalies")
    assert found["numberMatched"] == found["numberReturned"] == len(truth) > 0
    table = gpd.GeoDataFrame.from_features(found, crs="EPSG:4326")
    assert list(table["id"]) == list(truth["id"])
    assert list(table["reason"]) == list(truth["reason"])
    assert table.geometry.geom_equals_exact(truth.geometry, 2e-6).all()


def test_vectors_are_filtered_by_place_kind_score_and_area(client: TestClient, utm: Case) -> None:
    truth = gpd.read_file(utm.path(".gpkg"), layer="objects")
    tag = truth["tag"].value_counts().idxmax()
    some = geojson(client, "objects", f"kind={tag}&min_area=500&min_score=0.3")
    wanted = truth[(truth["tag"] == tag) & (truth["area_m2"] >= 500) & (truth["score"] >= 0.3)]
    assert {one["id"] for one in some["features"]} == set(wanted["id"])
    areas = [one["properties"]["area_m2"] for one in some["features"]]
    assert areas == sorted(areas, reverse=True)
    lonlat = truth.to_crs("EPSG:4326")
    box = lonlat.geometry.iloc[0].bounds
    near = geojson(client, "objects", "bbox=" + ",".join(map(str, box)))
    touching = lonlat.cx[box[0] : box[2], box[1] : box[3]]
    assert set(touching["id"]) <= {one["id"] for one in near["features"]}
    assert geojson(client, "objects", "bbox=-10,-10,-9,-9")["features"] == []


def test_vectors_come_in_pages(client: TestClient) -> None:
    everything = [one["id"] for one in geojson(client, "objects")["features"]]
    first = geojson(client, "objects", "limit=2")
    second = geojson(client, "objects", "limit=2&offset=2")
    assert [one["id"] for one in (*first["features"], *second["features"])] == everything[:4]
    assert first["numberMatched"] == len(everything)


def test_flatgeobuf_holds_the_same(client: TestClient, utm: Case, tmp_path: Path) -> None:
    path = tmp_path / "objects.fgb"
    path.write_bytes(client.get("/vectors/planted/objects.fgb").content)
    truth = gpd.read_file(utm.path(".gpkg"), layer="objects")
    table = gpd.read_file(path)
    assert set(table["id"]) == set(truth["id"])
    assert table.crs.to_epsg() == 4326


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ("kind=x' OR 1=1 --", 400),
        ("id=a'; DROP TABLE objects", 400),
        ("bbox=1,2,3", 400),
        ("bbox=nan,0,1,1", 400),
        ("bbox=5,0,1,1", 400),
        ("bbox=0,0,1e9,1", 400),
        ("limit=1000000", 422),
        ("limit=0", 422),
        ("min_score=nan", 422),
        ("min_area=inf", 422),
        ("tolerance=1e9", 422),
        ("offset=-1", 422),
    ],
)
def test_questions_that_are_none_are_refused(
    question: str, status: int, client: TestClient
) -> None:
    answer = client.get(f"/vectors/planted/objects.geojson?{question}")
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_evidence_is_marked_where_it_is_generated(client: TestClient) -> None:
    one = geojson(client, "anomalies")["features"][0]["id"]
    sar = picture(client.get(f"/evidence/planted/anomalies/{one}/sar.png").content)
    optical = picture(client.get(f"/evidence/planted/anomalies/{one}/optical.png").content)
    assert sar.shape[1] == optical.shape[1] >= 240
    assert optical.shape[0] > sar.shape[0]  # the bar with the mark
    assert tuple(optical[1, 1, :3]) == (255, 200, 50)
    assert sar.std() > 1
    assert client.get(f"/evidence/planted/anomalies/{one}/tags.png").status_code == 404
    assert client.get("/evidence/planted/anomalies/nothing/sar.png").status_code == 404


# ---- STAC ----------------------------------------------------------------------------------------


def test_the_stac_catalogue_is_one(client: TestClient, out: Path) -> None:
    root = client.get("/stac/catalog.json").json()
    assert pystac.Catalog.from_dict(root | {"links": []}).id == "sar2opt"
    links = [link["href"] for link in root["links"] if link["rel"] == "item"]
    documents = [client.get(link).json() for link in links]
    items = [pystac.Item.from_dict(one | {"links": []}) for one in documents]
    assert [item.id for item in items] == ["earlier", "planted"]
    for name, asset in items[1].assets.items():
        assert client.get(asset.href).content, name
    content = client.get(items[1].assets["optical"].href).content
    assert content == (out / "planted" / "planted_optical.tif").read_bytes()


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("", ["earlier", "planted"]),
        ("datetime=2023-01-02", ["earlier"]),
        ("datetime=2024-01-01T00:00:00Z/..", ["planted"]),
        ("datetime=../2023-12-31", ["earlier"]),
        ("bbox=-10,-10,-9,-9", []),
        ("limit=1", ["earlier"]),
    ],
)
def test_the_search_finds_by_place_and_time(
    question: str, found: list[str], client: TestClient
) -> None:
    answer = client.get(f"/stac/search?{question}").json()
    assert [item["id"] for item in answer["features"]] == found


def test_a_search_for_no_time_is_refused(client: TestClient) -> None:
    assert client.get("/stac/search?datetime=yesterday").status_code == 400


# ---- safety --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/files/planted/..%2Fplanted%2Fplanted.json",
        "/files/planted/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/files/planted/secret.txt",
        "/files/..%2F..%2Fetc/passwd",
        "/files/nothing/planted.json",
        "/products/nothing/optical/info",
        "/products/..%2Fx/optical/info",
        "/..%2f..%2fapp.py",
        "/js/..%2f..%2fapp.py",
        "/docs",
    ],
)
def test_nothing_else_is_given_away(path: str, client: TestClient, out: Path) -> None:
    (out / "planted" / "secret.txt").write_text("secret")
    assert client.get(path).status_code == 404


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_links_that_lead_out_are_not_followed(out: Path, tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    shutil.copytree(out / "planted", outside / "planted")
    root.mkdir()
    (root / "planted").symlink_to(outside / "planted")
    assert Catalogue(root).products() == []
    shutil.copytree(out / "planted", root / "copy" / "planted")
    trust, geopackage = (root / "copy/planted" / f"planted{end}" for end in ("_trust.tif", ".gpkg"))
    for path in (trust, geopackage):
        path.unlink()
        path.symlink_to(outside / "planted" / path.name)
    with TestClient(make_app(root), base_url=HOST) as client:
        assert client.get("/products/copy~planted/trust/info").status_code == 404
        assert client.get("/files/copy~planted/planted_trust.tif").status_code == 404
        assert client.get("/vectors/copy~planted/objects.geojson").status_code == 404
        assert client.get("/products/copy~planted/optical/info").status_code == 200


def test_what_only_has_the_name_of_a_raster_is_not_opened(out: Path, tmp_path: Path) -> None:
    """GDAL would follow a VRT to any file and address."""
    shutil.copytree(out / "planted", tmp_path / "planted")
    source = f"<SourceFilename>{out / 'earlier' / 'earlier_trust.tif'}</SourceFilename>"
    (tmp_path / "planted" / "planted_trust.tif").write_text(
        '<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource>{source}</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    (tmp_path / "planted" / "planted.gpkg").write_text("<OGRVRTDataSource/>")
    with TestClient(make_app(tmp_path), base_url=HOST) as client:
        assert client.get("/products/planted/trust/info").status_code == 404
        assert client.get("/vectors/planted/objects.geojson").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "tiles/WebMercatorQuad/1000000000/0/0.png",
        "tiles/WebMercatorQuad/-1/0/0.png",
        "tiles/WebMercatorQuad/25/0/0.png",
        "WMTSCapabilities.xml?zooms=0-1000000000",
        "tiles/Nonsense/1/0/0.png",
    ],
)
def test_zooms_beyond_any_map_are_refused(path: str, client: TestClient) -> None:
    assert client.get(f"/products/planted/sar/{path}").status_code == 422


def test_the_memory_of_tiles_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sar2opt.serve.guard._KEPT_BYTES", 10_000)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"t"})

    cache = TileCache(app, lambda path: 1)
    client = TestClient(cache)
    for number in range(50):
        client.get(f"/a/tiles/1?{number}")
    assert 0 < len(cache._kept) <= 5


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_the_server_is_read_only(method: str, client: TestClient) -> None:
    for path in ("/", "/stac/search", "/files/planted/planted.json"):
        assert client.request(method.upper(), path).status_code == 405


def test_files_come_by_ranges(client: TestClient) -> None:
    answer = client.get("/files/planted/planted_tags.tif", headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.content[:2]) == (206, b"II")


def test_answers_carry_headers_that_keep_browsers_safe(client: TestClient) -> None:
    for path in ("/", "/products.json", "/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy
    report = client.get("/files/planted/planted_report.html").headers
    assert "sandbox" in report["content-security-policy"]


def test_another_name_of_the_server_is_refused(out: Path) -> None:
    """A page elsewhere whose name was turned to 127.0.0.1 reads nothing (DNS rebinding)."""
    with TestClient(make_app(out), base_url="http://evil.example") as client:
        assert client.get("/products.json").status_code == 400


def test_browsers_keep_the_library_under_its_version_and_ask_for_the_rest(
    client: TestClient,
) -> None:
    page, maps = client.get("/"), client.get("/js/maps.js")
    assert page.headers["cache-control"] == maps.headers["cache-control"] == "no-cache"
    kept = re.findall(r"vendor/[\w.-]+\?v=([\d.]+)", page.text)
    assert len(kept) == 2
    library = client.get(f"/vendor/maplibre-gl-csp.js?v={kept[0]}")
    assert library.headers["cache-control"] == "max-age=31536000, immutable"
    assert {*kept, *re.findall(r'VERSION = "([\d.]+)"', maps.text)} == {kept[0]}
    assert f"v{kept[0]}/LICENSE.txt" in library.text[:400]
    again = client.get("/js/maps.js", headers={"If-None-Match": maps.headers["etag"]})
    assert again.status_code == 304


def test_without_the_token_nothing_is_shown(out: Path) -> None:
    with TestClient(make_app(out, Access(token="open-sesame")), base_url=HOST) as client:
        for path in ("/", "/health", "/products.json", "/js/main.js?token=wrong"):
            assert client.get(path).status_code == 401
        right = {"Authorization": "Bearer open-sesame"}
        assert client.get("/products.json", headers=right).status_code == 200
        assert client.get("/products.json").status_code == 401  # no cookie from that
        page = client.get("/?token=open-sesame")
        assert page.status_code == 200
        assert "HttpOnly" in page.headers["set-cookie"]
        assert client.get("/products.json").status_code == 200


def test_other_pages_may_read_only_if_they_are_named(out: Path) -> None:
    origin = {"Origin": "https://maps.example"}
    with TestClient(make_app(out), base_url=HOST) as client:
        assert "access-control-allow-origin" not in client.get("/health", headers=origin).headers
    access = Access(origins=("https://maps.example",))
    with TestClient(make_app(out, access), base_url=HOST) as client:
        headers = client.get("/products.json", headers=origin).headers
        assert headers["access-control-allow-origin"] == "https://maps.example"
        assert "frame-ancestors 'self' https://maps.example" in headers["content-security-policy"]
        other = client.get("/health", headers={"Origin": "https://other.example"}).headers
        assert "access-control-allow-origin" not in other


# ---- the page and the command --------------------------------------------------------------------


def test_the_page_asks_for_nothing_from_elsewhere(client: TestClient) -> None:
    for path in ("/", "/style.css", "/js/main.js", "/js/maps.js", "/js/layers.js", "/js/found.js"):
        text = client.get(path).text
        assert len(text) > 1000
        assert "://" not in text


def test_the_colours_of_the_page_are_those_of_the_products() -> None:
    told = legend()
    assert {c["name"]: c["colour"] for c in told["classes"]} == {
        name: entry.hex for name, entry in BY_NAME.items()
    }
    kinds = {k["name"]: k["colour"] for k in told["kinds"]}
    for name, (_, colour) in ANOMALY_COLOURS.items():
        assert kinds[name] == "#{:02x}{:02x}{:02x}".format(*colour)
    json.dumps(told)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("nothing",), "no such folder"),
        ((".", "--token", "a b"), "--token"),
        ((".", "--cors", "maps.example"), "--cors"),
        ((".", "--cors", "https://a;script-src *"), "--cors"),
        ((".", "--host", "no.such.host.invalid"), "cannot listen"),
    ],
)
def test_the_command_refuses_in_one_line(
    options: tuple[str, ...], says: str, cli: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, errors = cli("serve", *options)
    assert (code, errors.count("\n")) == (2, 1)
    assert says in errors


def test_the_command_says_what_listening_to_all_means(
    out: Path, cli: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: sockets[0].close())
    code, _, errors = cli("serve", out, "--host", "0.0.0.0", "--port", "0")
    assert code == 0
    assert "everybody who reaches this machine can see all products" in errors
    code, _, errors = cli("serve", out, "--port", "0")
    assert errors.startswith("http://127.0.0.1:")
    assert "everybody" not in errors


# ---- what the documentation says -----------------------------------------------------------------

GUIDE = (Path(__file__).parent.parent / "docs" / "dashboard.md").read_text(encoding="utf-8")
EXAMPLES = sorted(set(re.findall(r"http://127\.0\.0\.1:8000([^\s\"`]+)", GUIDE)))


def filled(path: str, bounds: tuple[float, ...]) -> str:
    """Return an address of the guide for the scene that is served here."""
    z, x, y = tile_in_the_middle(bounds).split("/")
    names = {"z": z, "x": x, "y": y, "level": z, "col": x, "row": y}
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", value)
    return path.replace("harbour", "planted").partition("#")[0]


@pytest.mark.parametrize("path", EXAMPLES)
def test_the_addresses_of_the_guide_answer(
    path: str, client: TestClient, bounds: tuple[float, ...]
) -> None:
    answer = client.get(filled(path, bounds))
    assert answer.status_code == 200
    kinds = {".png": "image/png", ".xml": "application/xml", "geojson": "application/geo+json",
             "/ogc": "application/json"}  # fmt: skip
    wanted = next((kind for end, kind in kinds.items() if end in path), "text/html")
    assert answer.headers["content-type"].startswith(wanted)


def test_the_table_of_addresses_is_true(client: TestClient, bounds: tuple[float, ...]) -> None:
    rows = re.findall(r"^\| (`/.*?`) \|", GUIDE, re.MULTILINE)
    paths = [path for row in rows for path in re.findall(r"`(/[^`]+)`", row)]
    assert len(paths) >= 10
    for path in paths:
        path = path.replace("SCENE", "planted").replace("LAYER", "veil")
        answer = client.get(filled(path.replace("NAME", "planted.json"), bounds))
        assert answer.status_code == 200, path
