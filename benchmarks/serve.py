"""How quick the dashboard's tiles are, beside titiler.application on the same file.

    python benchmarks/serve.py OUT SCENE [--clients 8] [--tiles 400] [--json serve.json]

Each server runs as a process of its own on loopback, one after the other in the same run. Clients
keep their connections and ask for the tiles of 256 px of the generated image in random order: each
once ("first", the file being in the memory of the system, but no tile made yet), then all once more
("warm": sar2opt keeps finished tiles, the peer makes them anew), and again. The processor time that
the server takes for a tile does not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import http.client
import importlib.util
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import morecantile
import numpy as np
import psutil

HOST, OURS, THEIRS = "127.0.0.1", 8961, 8962
ZOOMS = (13, 12, 11)


def measure(out: Path, scene: str, clients: int, count: int) -> dict[str, Any]:
    """Return, for each server and round, the percentiles in milliseconds and tiles a second."""
    (item,) = out.rglob(f"{scene}.json")
    bbox = json.loads(item.read_text(encoding="utf-8"))["bbox"]
    grid = morecantile.tms.get("WebMercatorQuad")
    tiles = [f"{t.z}/{t.x}/{t.y}" for t in grid.tiles(*bbox, zooms=ZOOMS)]
    random.Random(1).shuffle(tiles)
    tiles = tiles[:count]
    cog = urlencode({"url": str((item.parent / f"{scene}_optical.tif").resolve()), "tilesize": 256})
    if importlib.util.find_spec("titiler.application") is None:
        sys.exit("the peer is not installed: pip install titiler.application")
    servers = {
        "sar2opt serve": (
            OURS,
            [sys.executable, "-m", "sar2opt", "serve", str(out), "--port", str(OURS)],
            f"/products/{quote(scene)}/optical/tiles/WebMercatorQuad/{{}}.png",
        ),
        "titiler.application": (
            THEIRS,
            [sys.executable, "-m", "uvicorn", "titiler.application.main:app", "--port", str(THEIRS),
             "--log-level", "error"],
            f"/cog/tiles/WebMercatorQuad/{{}}.png?{cog}",
        ),
    }  # fmt: skip
    figures: dict[str, Any] = {"tiles": len(tiles), "clients": clients}
    for name, (port, command, address) in servers.items():
        with running(command, port) as process:
            paths = [address.format(tile) for tile in tiles]
            figures[name] = {
                kind: one_round(port, paths, clients, process)
                for kind in ("first", "warm", "warm again")
            }
    if chromium := shutil.which("chromium"):
        with running(servers["sar2opt serve"][1], OURS):
            figures["page"] = page_loads(chromium, f"http://{HOST}:{OURS}/#scene={scene}")
    return figures


@contextmanager
def running(command: list[str], port: int) -> Iterator[psutil.Process]:
    """Run a server until the block ends; wait until it answers."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(300):
                try:
                    http.client.HTTPConnection(HOST, port, timeout=5).request("GET", "/")
                    break
                except OSError:
                    time.sleep(0.2)
            time.sleep(1)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def one_round(
    port: int, paths: list[str], clients: int, server: psutil.Process
) -> dict[str, float]:
    """Ask for all paths once, by so many clients side by side."""

    def client(mine: list[str]) -> list[tuple[float, int]]:
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        times = []
        for path in mine:
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            times.append((time.perf_counter() - began, answer.status))
        return times

    began, worked = time.perf_counter(), sum(server.cpu_times()[:2])
    with ThreadPoolExecutor(clients) as pool:
        shares = [paths[start::clients] for start in range(clients)]
        answers = [one for share in pool.map(client, shares) for one in share]
    seconds = time.perf_counter() - began
    worked = sum(server.cpu_times()[:2]) - worked
    p50, p95, p99 = np.percentile([1000 * took for took, _ in answers], (50, 95, 99))
    return {
        "p50_ms": round(float(p50), 1),
        "p95_ms": round(float(p95), 1),
        "p99_ms": round(float(p99), 1),
        "server_cpu_ms_a_tile": round(1000 * worked / len(answers), 1),
        "tiles_per_s": round(len(answers) / seconds, 1),
        "not_200": sum(status != 200 for _, status in answers),
    }


def page_loads(chromium: str, address: str, times: int = 5) -> dict[str, Any]:
    """Return the seconds until the page can be used, in a fresh browser profile each."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader"]
    flags += ["--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
    seconds = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        for _ in range(times):
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            began = time.perf_counter()
            page.goto(address)
            page.wait_for_selector("body[data-ready]")
            seconds.append(round(time.perf_counter() - began, 2))
            context.close()
        browser.close()
    return {"seconds": seconds, "median": float(np.median(seconds))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("scene")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--tiles", type=int, default=400)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = measure(given.out, given.scene, given.clients, given.tiles)
    print(json.dumps(figures, indent=2))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
