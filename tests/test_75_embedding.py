"""The snippets of docs/dashboard.md for other programs do in those programs what they say."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from browser import CHROMIUM, chromium
from PIL import Image
from planted import Case
from served import server
from shown import ROOT, blocks_of

from sar2opt.products.styles import ANOMALY_COLOURS

pytest.importorskip("titiler.extensions", reason="serve is an extra: pip install '.[serve]'")

TESTS = Path(__file__).parent
GUIDE = ROOT / "docs" / "dashboard.md"
SNIPPETS = [block for language, block in blocks_of(GUIDE) if language in ("js", "json", "html")]


def snippet(*words: str) -> str:
    """Return the one block of the guide that holds all of these words."""
    (found,) = [block for block in SNIPPETS if all(word in block for word in words)]
    return found


class Pages:
    """A web server of somebody else on this machine, with Leaflet and one page."""

    def __init__(self) -> None:
        self.page, outer = "", self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                file = TESTS / "leaflet" / name
                content = file.read_bytes() if name and file.is_file() else outer.page.encode()
                kind = {".js": "text/javascript", ".css": "text/css"}.get(file.suffix, "text/html")
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def town() -> Iterator[Pages]:
    pages = Pages()
    yield pages
    pages.server.shutdown()
    pages.server.server_close()


@pytest.fixture(scope="module")
def address(utm: Case, town: Pages) -> Iterator[str]:
    with server(utm.products.folder.parent, "--cors", town.origin) as one:
        yield one


def here(text: str, address: str) -> str:
    """Return the text with the addresses of the server that runs."""
    return text.replace("http://127.0.0.1:8000", address).replace("harbour", "planted")


def bounds_of(address: str) -> Any:
    with urlopen(f"{address}/products.json") as answer:
        return json.load(answer)["products"][0]["bbox"]


needs_browser = pytest.mark.skipif(not CHROMIUM, reason="no chromium: apt install chromium")


@needs_browser
def test_leaflet_draws_the_tiles_and_the_anomalies(address: str, town: Pages) -> None:
    west, south, east, north = bounds_of(address)
    with chromium() as browser:
        town.page = (
            "<link rel=stylesheet href=leaflet.css><script src=leaflet.js></script>"
            "<div id=map style='height: 480px'></div><script type=module>"
            f"const map = L.map('map').fitBounds([[{south}, {west}], [{north}, {east}]]);"
            f"{here(snippet('L.tileLayer'), address)}; document.body.dataset.ready = 1;</script>"
        )
        page = browser.new_page(viewport={"width": 700, "height": 500})
        page.goto(town.origin)
        page.wait_for_selector("body[data-ready]", timeout=30_000)
        page.wait_for_selector("img.leaflet-tile-loaded")
        page.wait_for_function(
            "[...document.querySelectorAll('img.leaflet-tile')].every((i) => i.complete)"
        )
        page.wait_for_timeout(600)  # tiles are faded in
        shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), int)
        assert "generated from radar" in page.locator(".leaflet-control-attribution").inner_text()
        outlines = page.locator("path.leaflet-interactive")
        assert outlines.count() > 0
        outlines.first.dispatch_event("click")
        assert "surroundings" in page.locator(".leaflet-popup-content").inner_text()
    assert (np.ptp(shot, axis=2) > 30).mean() > 0.2  # classes have colours


@needs_browser
def test_the_page_opens_in_a_frame_of_the_town_and_of_nobody_else(
    address: str, town: Pages
) -> None:
    stranger = Pages()
    town.page = stranger.page = here(snippet("<iframe"), address)
    refused: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.goto(town.origin)
        inner = page.frame_locator("iframe")
        inner.locator("body[data-ready]").wait_for(timeout=60_000)
        assert inner.locator("#mark-right").inner_text().startswith("LAND COVER GENERATED")
        page.on("console", lambda said: refused.append(said.text))
        page.goto(stranger.origin)
        page.wait_for_timeout(1000)
    stranger.server.shutdown()
    stranger.server.server_close()
    assert any("frame-ancestors" in text for text in refused)


def test_what_the_grafana_panel_names_is_served(address: str) -> None:
    panel = json.loads(here(snippet('"geomap"'), address))
    options = panel["options"]
    west, south, east, north = bounds_of(address)
    tile = options["basemap"]["config"]["url"]
    assert (options["basemap"]["type"], set(re.findall(r"{(\w+)}", tile))) == (
        "xyz",
        {"x", "y", "z"},
    )
    x, y = (west + east) / 2, np.radians((south + north) / 2)
    place = {
        "z": 13,
        "x": int((x + 180) / 360 * 2**13),
        "y": int((1 - np.arcsinh(np.tan(y)) / np.pi) / 2 * 2**13),
    }
    with urlopen(tile.format(**place)) as answer:
        assert np.asarray(Image.open(answer).convert("RGBA"))[..., 3].any()
    (layer,) = options["layers"]
    with urlopen(layer["config"]["src"]) as answer:
        features = json.load(answer)["features"]
    (rule,) = layer["config"]["rules"]
    check = rule["check"]
    assert any(one["properties"][check["property"]] == check["value"] for one in features)
    assert rule["style"]["color"]["fixed"] == "#{:02x}{:02x}{:02x}".format(
        *ANOMALY_COLOURS[check["value"]][1]
    )


def test_the_capabilities_for_arcgis_are_those_of_the_standard(address: str) -> None:
    etree = pytest.importorskip("lxml.etree", reason="pip install lxml")
    schema = etree.XMLSchema(etree.parse(TESTS / "ogc/wmts/1.0/wmtsGetCapabilities_response.xsd"))
    (source,) = set(re.findall(r"http://127.0.0.1:8000\S+\.xml", GUIDE.read_text()))
    for question in ("", "?use_epsg=true"):
        with urlopen(here(source, address) + question) as answer:
            document = etree.parse(answer)
        assert schema.validate(document), schema.error_log
    template = document.find(".//{*}ResourceURL").get("template")
    assert template.startswith(f"{address}/products/planted/optical/tiles/")
