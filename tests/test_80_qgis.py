"""The real QGIS opens the products as they are meant to look, and runs the Processing script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from PIL import Image
from planted import Case, planted_power
from scene_files import write
from served import server

from sar2opt.products.classes import CLASSES
from sar2opt.products.styles import ANOMALY_COLOURS

ROOT = Path(__file__).parent.parent
SYSTEM_PYTHON = "/usr/bin/python3"  # that QGIS is packaged for


def qgis(*words: object) -> Any:
    """Run ``qgis_looks.py``; return what it found."""
    environ = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    environ.pop("PYTHONPATH", None)  # numpy and GDAL of another Python would not load
    done = subprocess.run(
        [SYSTEM_PYTHON, ROOT / "tests" / "qgis_looks.py", *map(str, words)],
        capture_output=True, text=True, env=environ, timeout=300, check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    assert lines, done.stderr
    return json.loads(lines[0].removeprefix("FOUND "))


@cache
def missing() -> bool:
    asked = [SYSTEM_PYTHON, "-c", "import qgis.core"]
    return not Path(SYSTEM_PYTHON).exists() or bool(
        subprocess.run(asked, capture_output=True, check=False).returncode
    )


pytestmark = pytest.mark.skipif(missing(), reason="QGIS for /usr/bin/python3 is not installed")


def test_products_open_styled(utm: Case, tmp_path: Path) -> None:
    picture = tmp_path / "tags.png"
    found = qgis(utm.products.folder, "planted", picture)
    assert all(layer["valid"] for layer in found.values())
    assert {layer["crs"] for layer in found.values()} == {"EPSG:32632"}
    titles = [entry.title for entry in CLASSES]
    assert found["objects"]["renderer"] == "categorizedSymbol"
    assert found["objects"]["legend"] == titles
    assert found["objects"]["colours"] == [entry.hex.lower() for entry in CLASSES]
    labels = [label for label, _ in ANOMALY_COLOURS.values()]
    assert found["anomalies"]["legend"] == [*labels, "Other anomaly"]
    for name in ("objects", "anomalies"):  # the styles for GeoServer are read as the same
        told = {key: found[name][key] for key in ("legend", "colours")}
        assert found[name]["sld"] == {"read": True, **told}
    assert found["footprint"]["renderer"] == "singleSymbol"
    assert (found["tags"]["renderer"], found["tags"]["legend"]) == ("paletted", titles)
    assert found["trust"]["renderer"] == "singlebandpseudocolor"
    assert found["optical"]["renderer"] == "multibandcolor"
    with Image.open(picture) as drawn:
        colours = {tuple(colour) for colour in np.unique(
            np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0
        ).tolist()}  # fmt: skip
    assert colours <= {*(entry.colour for entry in CLASSES), (255, 255, 255)}
    assert len(colours) > 2


def test_what_is_served_opens(utm: Case, tmp_path: Path) -> None:
    """Tiles and WMTS draw the same; GeoJSON and OGC API - Features hold the same."""
    pytest.importorskip("titiler.extensions", reason="serve is an extra: pip install '.[serve]'")
    with server(utm.products.folder.parent) as address:
        found = qgis("--served", address, "planted", tmp_path / "map.png")
    assert all(layer["valid"] for layer in found.values())
    ids = sorted(gpd.read_file(utm.path(".gpkg"), layer="anomalies")["id"])
    for kind in ("geojson", "ogc"):
        assert found[kind]["ids"] == ids
        assert found[kind]["crs"] in ("EPSG:4326", "OGC:CRS84")
    drawn = [np.asarray(Image.open(tmp_path / f"map_{kind}.png").convert("RGB"), int)
             for kind in ("xyz", "wmts")]  # fmt: skip
    for picture in drawn:
        assert (picture.min(axis=2) < 250).mean() > 0.5
        assert picture.std() > 10
    assert np.abs(drawn[0] - drawn[1]).mean() < 10  # their zooms may differ


def test_the_processing_script_runs_and_loads_the_products(tmp_path: Path) -> None:
    power = planted_power()
    scene, command = tmp_path / "planted.tif", tmp_path / "sar2opt"
    write(scene, power, names=("VH",), nodata=np.nan, tags={"SCALE": "power"})
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -W ignore -m sar2opt "$@"\n'
    )
    command.chmod(0o755)
    script = ROOT / "qgis" / "sar2opt_run.py"
    found = qgis("--run", script, command, scene, tmp_path / "out")
    assert found["good"]
    assert found["folder"] == str(tmp_path / "out" / "planted")
    made = ("anomalies", "objects", "optical", "tags", "trust")
    assert found["layers"] == [f"{name} (generated)" for name in made]
