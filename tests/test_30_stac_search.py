"""Search of a STAC catalogue, on a server of this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from scene_files import speckled, write

from sar2opt.errors import ConfigError, SceneError
from sar2opt.scenes import open_scene
from sar2opt.scenes.stac_search import Search, search, write_items

pytest.importorskip("pystac_client")

Cli = Callable[..., tuple[int, str, str]]
BOX = (12.0, 41.0, 13.0, 42.0)
API = "https://api.stacspec.org/v1.0.0/"


def item(number: int, href: str) -> dict[str, Any]:
    west, south, east, north = BOX
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": f"S1A/{number}", "collection": "rtc",
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": list(BOX), "links": [],
        "properties": {
            "datetime": f"2024-05-{10 + number}T05:00:00Z", "sar:product_type": "RTC",
            "sat:orbit_state": "ascending", "sat:relative_orbit": 44,
            "sar:polarizations": ["VV"],
        },
        "assets": {"vv": {"href": href, "type": "image/tiff; application=geotiff",
                          "roles": ["data"]}},
    }  # fmt: skip


class Catalogue(BaseHTTPRequestHandler):
    """A STAC API with two items, and a file."""

    tiff = b""

    def answer(self, content: bytes, kind: str = "application/json") -> None:
        asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        whole = len(content)
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or whole - 1), whole - 1)
            content = content[first : last + 1]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{whole}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self) -> None:
        here = f"http://{self.headers['Host']}"
        if self.path == "/vv.tif":
            return self.answer(self.tiff, "image/tiff")
        landing = {
            "type": "Catalog", "id": "sim", "stac_version": "1.0.0", "description": "simulated",
            "conformsTo": [f"{API}core", f"{API}item-search", f"{API}item-search#sort"],
            "links": [{"rel": "self", "href": here}, {"rel": "root", "href": here},
                      {"rel": "search", "href": f"{here}/search", "method": "POST",
                       "type": "application/geo+json"}],
        }  # fmt: skip
        return self.answer(json.dumps(landing if self.path == "/" else {"no": 1}).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        here = f"http://{self.headers['Host']}"
        found = [item(number, f"{here}/vv.tif") for number in (1, 2)]
        known = asked["bbox"] == list(BOX) and asked.get("collections") == ["rtc"]
        page = {"type": "FeatureCollection", "features": found if known else [], "links": []}
        self.answer(json.dumps(page).encode(), "application/geo+json")

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    tiff = write(tmp_path / "vv.tif", speckled())
    handler = type("Here", (Catalogue,), {"tiff": tiff.read_bytes()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_is_found_opens(address: str, tmp_path: Path) -> None:
    items = search(address, Search(("rtc",), BOX, "2024-05-01/.."))
    assert [one.id for one in items] == ["S1A/2", "S1A/1"]  # the newest first
    files = write_items(items, tmp_path / "items")
    assert [path.name for path in files] == ["S1A_2.json", "S1A_1.json"]
    scene = open_scene(files[0])
    assert scene.attrs["acquired"] == "2024-05-12T05:00:00Z"
    assert scene.values.shape[0] == 1


def test_the_command_lists_and_writes(address: str, tmp_path: Path, cli: Cli) -> None:
    words = ["search", address, "--bbox", "12,41,13,42", "--collection", "rtc"]
    code, said, _ = cli(*words, "--out", tmp_path / "items")
    assert code == 0
    assert "S1A/2" in said
    assert "ascending 44" in said
    assert (tmp_path / "items" / "S1A_1.json").exists()
    assert cli("search", address, "--bbox", "0,0,1,1")[1].strip() == (
        "no scene of that place and time"
    )


@pytest.mark.parametrize("box", [(0, 0, 0, 1), (0, 2, 1, 1), (0, 0, 400, 1)])
def test_boxes_that_are_none_are_refused(box: Any) -> None:
    with pytest.raises(ConfigError, match="say west,south,east,north"):
        Search((), box, "")


@pytest.mark.parametrize("where", ["file:///etc/passwd", "http://127.0.0.1:9"])
def test_what_is_no_catalogue_is_refused(where: str) -> None:
    with pytest.raises(SceneError, match=r"no http\(s\) address|the search failed"):
        search(where, Search((), BOX, ""))


def test_a_page_that_is_no_catalogue_is_refused(address: str) -> None:
    with pytest.raises(SceneError, match=r"no STAC catalogue|search failed"):
        search(f"{address}/other", Search((), BOX, ""))
