"""A STAC API of this machine, with two scenes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

API = "https://api.stacspec.org/v1.0.0/"
Box = tuple[float, float, float, float]


def item(number: int, href: str, box: Box) -> dict[str, Any]:
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": f"S1A/{number}", "collection": "rtc",
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": list(box), "links": [],
        "properties": {
            "datetime": f"2024-05-{10 + number}T05:00:00Z", "sar:product_type": "RTC",
            "sat:orbit_state": "ascending", "sat:relative_orbit": 44,
            "sar:polarizations": ["VV"],
        },
        "assets": {"vv": {"href": href, "type": "image/tiff; application=geotiff",
                          "roles": ["data"]}},
    }  # fmt: skip


class Catalogue(BaseHTTPRequestHandler):
    """Two items of one place and collection, and a file."""

    tiff = b""
    collection = ""
    box: Box

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
        found = [item(number, f"{here}/vv.tif", self.box) for number in (1, 2)]
        known = asked["bbox"] == list(self.box) and asked.get("collections") == [self.collection]
        page = {"type": "FeatureCollection", "features": found if known else [], "links": []}
        self.answer(json.dumps(page).encode(), "application/geo+json")

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def stac_api(collection: str, box: Box, tiff: bytes = b"") -> Iterator[str]:
    """Serve the catalogue until the block ends; give its address."""
    facts = {"collection": collection, "box": box, "tiff": tiff}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Catalogue,), facts))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
