"""The command line: what each command prints and makes."""

from __future__ import annotations

import html
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from planted import planted_power
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate
from scene_files import write

from sar2opt.config import RunConfig, default_toml, parse_config
from sar2opt.nets.bundle_files import sha256, shipped_bundles
from sar2opt.nets.models import load_model

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the planted scene in two polarisations."""
    made = tmp_path_factory.mktemp("[cli] :fire:")  # no markup, and no emoji
    power = planted_power()
    names = ("VV", "VH")
    write(made / "two.tif", 4 * power, power, names=names, nodata=np.nan, tags={"SCALE": "power"})
    return made


# ---- run -----------------------------------------------------------------------------------------


def test_run_says_what_it_assumes_and_what_it_made(folder: Path, cli: Cli) -> None:
    out = folder / "first"
    words = ["run", folder / "two.tif", "--out", out, "--workers", "1"]
    code, said, told = cli(*words)
    assert code == 0
    line, *more = said.splitlines()
    assert "  look first: two_preview.png" in more
    assert sum(told.startswith("  worth a look: ") for told in more) == 2
    assert line.startswith(f"{out / 'two'}: ")
    assert " objects, 2 anomalies, in " in line
    assumed = [line for line in told.splitlines() if line.startswith("assumed: ")]
    assert "assumed: of vv, vh, vh is translated and vh tagged (--polarisation chooses)" in assumed
    assert any("no calibration is written" in line for line in assumed)
    for step in ("making blocks", "writing rasters", "outlining objects"):
        assert step in told
    with rasterio.open(out / "two" / "two_optical.tif") as file:
        for line in assumed:
            assert line.removeprefix("assumed: ") in file.tags()["ASSUMPTIONS"]
    report = (out / "two" / "two_report.html").read_text(encoding="utf-8")
    assert shlex.join(["sar2opt", *map(str, words)]) in html.unescape(report)


def test_grey_and_despeckled_with_more_vectors_and_a_configuration(folder: Path, cli: Cli) -> None:
    toml, out = folder / "my.toml", folder / "grey"
    toml.write_text(
        '[output]\nvectors = ["geojson", "flatgeobuf"]\n'
        '[translate]\nlook = "natural"\n[engine]\nblock = 64\n'
    )
    how = ["--config", toml, "--look", "grey", "--despeckle", "lee", "--polarisation", "vv"]
    code, _, told = cli("run", folder / "two.tif", "--out", out, *how)
    assert code == 0, told
    with rasterio.open(out / "two" / "two_optical.tif") as file:
        assert file.count == 1
        assert file.colorinterp == (ColorInterp.gray,)
        assert file.tags()["LOOK"].startswith("grey: luminance")
        assert file.tags()["POLARISATION"] == "VV"
    assert cog_validate(out / "two" / "two_optical.tif", strict=True)[0]
    names = [path.name for path in (out / "two").iterdir()]
    layers = ("objects", "anomalies", "footprint")
    for ending in ("geojson", "fgb"):
        assert {f"two_{layer}.{ending}" for layer in layers} <= set(names)
    assert len(names) == 14 + 6


def test_the_printed_configuration_and_a_reference(folder: Path, cli: Cli) -> None:
    out, landuse, allow = folder / "reference", folder / "landuse.gpkg", folder / "allow.toml"
    with rasterio.open(folder / "two.tif") as file:
        bounds = file.bounds
    ends = gpd.GeoSeries.from_xy([bounds.left, bounds.right], [bounds.bottom, bounds.top])
    field = ends.union_all().envelope
    gpd.GeoDataFrame({"use": ["nothing"]}, geometry=[field], crs="EPSG:32632").to_file(landuse)
    allow.write_text("nothing = []\n")
    owners = folder / "owners.csv"
    owners.write_text("use,owner\nnothing,Ada & Co\nelse,Eve\n")
    printed = folder / "printed.toml"
    printed.write_text(cli("config")[1], encoding="utf-8")
    how = ["--config", printed, "--reference", landuse, "--column", "use", "--allow", allow]
    how += ["--join", owners, "--on", "use"]
    assert cli("run", folder / "two.tif", "--out", out, *how)[0] == 0
    table = gpd.read_file(out / "two" / "two.gpkg", layer="anomalies")
    found = table[table["kind"] == "reference_disagreement"]
    assert len(found) > 0  # no tag is allowed anywhere, so whatever the tagger says is wrong
    assert found["reason"].str.contains("where the reference layer says nothing").all()
    assert set(found["owner"]) == {"Ada & Co"}
    report = (out / "two" / "two_report.html").read_text(encoding="utf-8")
    assert "owner: <b>Ada &amp; Co</b>" in report
    assert "owners.csv is joined on use: 1 of 2 rows have a place" in report


def test_overwrite_replaces(folder: Path, cli: Cli) -> None:
    out = folder / "first"  # of the first test
    words = ["run", folder / "two.tif", "--out", out, "--look", "grey", "--device", "cpu"]
    if not out.exists():
        assert cli(*words)[0] == 0
    assert cli(*words)[0] == 2
    assert cli(*words, "--overwrite")[0] == 0
    with rasterio.open(out / "two" / "two_optical.tif") as file:
        assert file.count == 1


# ---- the other commands --------------------------------------------------------------------------


def test_info_says_what_a_scene_is_and_makes_nothing(folder: Path, cli: Cli) -> None:
    before = sorted(folder.iterdir())
    code, said, told = cli("info", folder / "two.tif")
    assert (code, told) == (0, "")
    rows = dict(line.split("  ", 1) for line in said.splitlines() if not line.startswith(" "))
    rows = {name: text.strip() for name, text in rows.items()}
    assert rows["bands"] == "vv"
    assert "\n" in said.partition("bands")[2].partition("vh")[0]  # the second band, below
    assert rows["size"] == "260 x 200 pixels (0.1 megapixels)"
    assert rows["crs"] == "EPSG:32632"
    assert rows["pixel"] == "10, 10"
    assert rows["bounds"] == "500000, 3998000, 502600, 4000000"
    assert rows["input scale"] == "power"
    assert "no calibration is written" in said
    assert sorted(folder.iterdir()) == before


def test_info_takes_what_run_takes(folder: Path, cli: Cli) -> None:
    code, said, _ = cli("info", folder / "two.tif", "--polarisation", "vv", "--scale", "amplitude")
    assert code == 0
    assert "vh" not in said
    assert "the values are amplitude, as given" in said


def test_config_prints_the_defaults_with_comments(cli: Cli) -> None:
    code, said, _ = cli("config")
    assert (code, said) == (0, default_toml(RunConfig))
    assert parse_config(tomllib.loads(said), RunConfig) == RunConfig()
    assert "# side of a block, pixels\nblock = 1024" in said


def test_models_lists_what_ships(cli: Cli) -> None:
    code, said, _ = cli("models")
    assert code == 0
    for path in shipped_bundles():
        assert path.stem in said
        assert sha256(path)[:16] in said
    assert re.search("^  look [a-z]+, the default: ", said, re.MULTILINE)
    assert said.count("must not be used for: ") == len(shipped_bundles())


def test_models_prints_a_card(cli: Cli) -> None:
    code, said, _ = cli("models", "show", "translator-s1")
    assert code == 0
    assert said == load_model("translator-s1", device="cpu").card.markdown()
    assert said.startswith("# translator-s1\n")


def test_synth_writes_the_samples(tmp_path: Path, cli: Cli, monkeypatch: Any) -> None:
    long = tmp_path / "a folder with a name so long that no terminal has it in one line" / "samples"
    code, said, _ = cli("synth", long)
    assert code == 0
    paths = [Path(line) for line in said.splitlines()]
    assert long / "harbour.tif" in paths
    assert all(path.is_file() for path in paths)
    code, said, told = cli("synth", long)
    assert (code, said) == (2, "")
    assert told.startswith(f"sar2opt: {long}/")
    assert "--overwrite" in told


def test_help_names_every_command(cli: Cli) -> None:
    code, said, _ = cli("--help")
    assert code == 0
    for command in ("run", "info", "config", "models", "synth", "train"):
        assert f" {command} " in said


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("sar2opt")
    done = subprocess.run([program, "config"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (default_toml(RunConfig), "")
