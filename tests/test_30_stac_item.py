"""STAC items, beside their assets and at an address; all pixels simulated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from scene_files import speckled, write

from sar2opt.errors import BandError, SceneError
from sar2opt.scenes import open_scene, scene_files

PRODUCTS = Path(__file__).parents[2] / "shared/data/products"


def write_item(folder: Path, **changes: Any) -> Path:
    told = {
        "type": "Feature", "stac_version": "1.0.0", "id": "S1A_20200103_17RMJ_ASC",
        "geometry": None, "bbox": None, "links": [],
        "properties": {"datetime": "2020-01-03T23:36:21Z", "sar:product_type": "RTC",
                       "constellation": "sentinel-1", "sar:frequency_band": "C"},
        "assets": {f"gamma0_{band}": {"href": f"./{band}.tif", "type": "image/tiff",
                                      "roles": ["data", "gamma0"]} for band in ("vv", "vh")},
        **changes,
    }  # fmt: skip
    path = folder / "item.json"
    path.write_text(json.dumps(told))
    return path


class Served(BaseHTTPRequestHandler):
    """Files by name, ranges of them where asked; ``sent`` counts bytes, ``leads`` redirects."""

    files: dict[str, bytes]
    leads: dict[str, str]
    sent: dict[str, int]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        if self.path in self.leads:
            self.send_response(302)
            self.send_header("Location", self.leads[self.path])
            self.end_headers()
            return
        content = self.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        asked = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        first, last = map(int, asked.groups()) if asked else (0, len(content) - 1)
        part = content[first : last + 1]
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if asked:
            self.send_header(
                "Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(content)}"
            )
        self.end_headers()
        if body:
            self.wfile.write(part)
            for name in (self.path, *(() if asked else (f"whole {self.path}",))):
                self.sent[name] = self.sent.get(name, 0) + len(part)

    def log_message(self, *_: Any) -> None: ...


class Server(ThreadingHTTPServer):
    """A server that bears it when who asked has gone."""

    def handle_error(self, *_: Any) -> None: ...


@contextmanager
def served(
    files: dict[str, bytes] | None = None, leads: dict[str, str] | None = None
) -> Iterator[tuple[str, dict[str, int]]]:
    """Serve files on this machine; yield the address and how many bytes of each were sent."""
    sent: dict[str, int] = {}
    handler = type("Here", (Served,), {"files": files or {}, "leads": leads or {}, "sent": sent})
    server = Server(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", sent
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_stac_item_opens_its_assets_by_polarisation(tmp_path: Path) -> None:
    vv, vh = speckled(), speckled(level_db=-19, seed=4)
    write(tmp_path / "vv.tif", vv)
    write(tmp_path / "vh.tif", vh)
    scene = open_scene(write_item(tmp_path))
    np.testing.assert_allclose(scene.values, [vv, vh], rtol=1e-6)
    assert scene.attrs["source"] == "S1A_20200103_17RMJ_ASC"
    assert (scene.attrs["quantity"], scene.attrs["acquired"]) == ("gamma0", "2020-01-03T23:36:21Z")
    assert scene_files(write_item(tmp_path)) == [
        tmp_path / name for name in ("item.json", "vv.tif", "vh.tif")
    ]
    with pytest.raises(BandError, match="no asset hh"):
        open_scene(write_item(tmp_path), polarisation="hh")
    for href in ("s3://b/vv.tif", "/vsizip/a.zip/vv.tif", "missing.tif"):
        with pytest.raises(SceneError, match=r"is not read|is missing"):
            open_scene(write_item(tmp_path, assets={"vv": {"href": href, "type": "image/tiff"}}))


@pytest.mark.parametrize("change", [{"type": "Catalog"}, {"assets": 1}, {"properties": None}])
def test_a_json_that_is_no_item_is_one_line(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(SceneError) as caught:
        open_scene(write_item(tmp_path, **change))
    assert "\n" not in str(caught.value)


def test_grd_items_are_not_believed() -> None:
    folder = PRODUCTS / "stac"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: real STAC items are needed")
    for path in sorted(folder.glob("s1_S1A_?W_GRD*.json")):
        with pytest.raises(SceneError, match=r"radar geometry \(its proj:transform is not"):
            open_scene(path)
    for path in folder.glob("*slc-iw.json"):
        with pytest.raises(SceneError, match="complex"):
            open_scene(path)


def test_assets_lie_within_the_folder_of_the_item(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    write(tmp_path / "vv.tif", speckled())
    (inner / "link.tif").symlink_to(tmp_path / "vv.tif")
    for href in ("../vv.tif", str(tmp_path / "vv.tif"), "link.tif"):
        with pytest.raises(SceneError, match="outside the item's folder"):
            open_scene(write_item(inner, assets={"vv": {"href": href, "type": "image/tiff"}}))


def test_an_item_at_an_address_is_read_window_by_window(tmp_path: Path) -> None:
    vv = speckled((1024, 1024))
    tiff = write(tmp_path / "vv.tif", vv, compress="none").read_bytes()
    asset = {"vv": {"href": "./vv.tif?key=a/b_hh", "type": "image/tiff", "roles": ["data"]}}
    text = write_item(tmp_path, assets=asset).read_bytes()
    with served({"/item.json": text, "/vv.tif?key=a/b_hh": tiff}) as (address, sent):
        path = f"{address}/item.json"
        scene = open_scene(path, chunks=64)
        before = dict(sent)
        np.testing.assert_array_equal(scene[0, :64, :64].values, vv[:64, :64])
        assert sent["/vv.tif?key=a/b_hh"] - before["/vv.tif?key=a/b_hh"] < len(tiff) / 8
        assert "whole /vv.tif?key=a/b_hh" not in sent
        assert scene_files(Path(path)) == []
        alone = open_scene(f"{address}/vv.tif?key=a/b_hh")
        assert list(alone.band.values) == ["vv"]
        assert alone.attrs["source"] == "vv"
        with pytest.raises(SceneError, match="cannot be fetched"):
            open_scene(f"{address}/nowhere.json")
        with pytest.raises(SceneError, match="cannot be fetched"):
            open_scene(f"{address}/nowhere.tif")


def test_an_address_leads_to_http_only_and_to_no_flood(tmp_path: Path) -> None:
    secret = tmp_path / "item.json"
    write_item(tmp_path)
    leads = {"/a": secret.as_uri(), "/b": "ftp://127.0.0.1/item.json", "/c": "data:,{}", "/d": "/d"}
    flood = b"{" + b" " * 40_000_000  # more than is read, and than buffers hold
    with served({"/flood": flood, "/list": b"[]"}, leads) as (address, sent):
        for name in (*leads, "/flood", "/list"):
            with pytest.raises(SceneError) as caught:
                open_scene(f"{address}{name}")
            assert "\n" not in str(caught.value)
            assert ("unknown url type: ftp" in str(caught.value)) == (name == "/b")
    assert "/flood" not in sent
