"""``sar2opt prepare`` and ``despeckle``: what they write, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from cli_process import run_cli
from rio_cogeo.cogeo import cog_validate
from scene_files import UTM, speckled, write

from sar2opt.sar.speckle import SpeckleFilter
from sar2opt.scenes import open_scene
from sar2opt.scenes.blocks import BlockSource

Cli = Callable[..., tuple[int, str, str]]
TAGS = {
    "SCALE": "power",
    "SOURCE": "S1A_IW_GRDH_1SDV_20201107T135241_20201107T135306_035140_0419F7_1234",
    "QUANTITY": "sigma0",
    "SIMULATED": "YES",
}
SHAPE = (1100, 1061)  # more than a block


@pytest.fixture(scope="module")
def bands() -> np.ndarray:
    """Simulated backscatter ``(2, y, x)`` with a hole across the border of two blocks."""
    power = np.stack([speckled(SHAPE, -8), speckled(SHAPE, -15, seed=1)])
    power[:, 1000:1040, 100:300] = np.nan
    power[:, 700:, 1020:] = np.nan
    return power


@pytest.fixture
def scene(tmp_path: Path, bands: np.ndarray) -> Path:
    return write(tmp_path / "s.tif", *bands, names=("VV", "VH"), tags=TAGS, nodata=np.nan)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in ("s.tif", "cli"))


# ---- what it writes ------------------------------------------------------------------------------


def test_geography_values_and_no_data_hold(
    tmp_path: Path, scene: Path, bands: np.ndarray, cli: Cli
) -> None:
    out = tmp_path / "out.tif"
    code, said, told = cli("despeckle", scene, "--out", out, "--looks", "4.4")
    assert code == 0, told
    assert said == f"{out}: refined Lee (1981), 7 x 7 pixels, 4.4 looks\n"
    assert "preparing" in told
    assert "assumed: 4.4 looks, as given" in told
    assert cog_validate(out, strict=True)[0]
    with rasterio.open(out) as file:
        assert (file.crs, file.transform, file.shape) == ("EPSG:32632", UTM, SHAPE)
        assert file.dtypes == ("float32", "float32")
        assert np.isnan(file.nodata)
        assert file.descriptions == ("vv", "vh")
        assert file.units == ("linear power",) * 2
        tags = file.tags()
    np.testing.assert_array_equal(read(out), SpeckleFilter("refined-lee")(bands))
    assert tags["SPECKLE_FILTER"] == "refined Lee (1981), 7 x 7 pixels, 4.4 looks"
    assert tags["SPECKLE_FILTER_NAME"] == "refined-lee"
    assert tags["SPECKLE_FILTER_WINDOW"] == "7"
    assert tags["SPECKLE_FILTER_LOOKS"] == "4.4"
    assert tags["SOURCE"] == TAGS["SOURCE"]
    assert tags["SCALE"] == "power"
    assert "LOOKS" not in tags
    assert left_behind(tmp_path) == ["out.tif"]


def test_it_reopens_as_power(tmp_path: Path, scene: Path, cli: Cli) -> None:
    code, _, told = cli("despeckle", scene, "--out", tmp_path / "out.tif", "--filter", "boxcar")
    assert code == 0, told
    before, after = open_scene(scene), open_scene(tmp_path / "out.tif")
    assert after.attrs == before.attrs
    assert after.attrs["input_scale"] == "power"
    assert after.odc.geobox == before.odc.geobox
    np.testing.assert_array_equal(after, SpeckleFilter("boxcar")(before.values))


def test_decibels_reopen_as_the_same_power(tmp_path: Path, scene: Path, cli: Cli) -> None:
    out = tmp_path / "out.tif"
    how = ["--db", "--filter", "lee", "--window", "7", "--looks", "4", "--polarisation", "vh"]
    code, _, told = cli("despeckle", scene, "--out", out, *how)
    assert code == 0, told
    power = SpeckleFilter("lee", 7, 4)(open_scene(scene, polarisation="vh").values)
    np.testing.assert_allclose(read(out), 10 * np.log10(power), rtol=1e-5)
    with rasterio.open(out) as file:
        assert (file.descriptions, file.units) == (("vh",), ("dB",))
        assert (file.tags()["SCALE"], file.tags()["UNITS"]) == ("dB", "dB")
    np.testing.assert_allclose(open_scene(out), power, rtol=1e-5)


@pytest.mark.parametrize(
    ("tags", "looks", "source"),
    [({"LOOKS": "9"}, "9", "as the file says"), ({}, "4.4", "estimated from the scene itself")],
)
def test_looks_are_those_of_the_file_or_found(
    tmp_path: Path, bands: np.ndarray, tags: dict[str, str], looks: str, source: str, cli: Cli
) -> None:
    small = write(tmp_path / "s.tif", bands[0, :512, :512].copy(), tags=TAGS | tags, names=("VV",))
    code, _, told = cli("despeckle", small, "--out", tmp_path / "out.tif")
    assert code == 0, told
    with rasterio.open(tmp_path / "out.tif") as file:
        found = file.tags()
    assert float(found["SPECKLE_FILTER_LOOKS"]) == pytest.approx(float(looks), rel=0.1)
    assert f"{found['SPECKLE_FILTER_LOOKS']} looks, {source}" in found["ASSUMPTIONS"]


def test_only_the_area_of_interest(tmp_path: Path, scene: Path, cli: Cli) -> None:
    area = shapely.Point(505_000, 3_995_000).buffer(1000)
    gpd.GeoDataFrame(geometry=[area], crs="EPSG:32632").to_file(tmp_path / "cli")
    out = tmp_path / "out.tif"
    code, _, told = cli("despeckle", scene, "--out", out, "--aoi", tmp_path / "cli")
    assert code == 0, told
    asked = open_scene(scene, aoi=tmp_path / "cli")
    written = open_scene(out)
    assert written.odc.geobox == asked.odc.geobox
    np.testing.assert_array_equal(np.isnan(written), np.isnan(asked))


def test_no_more_than_a_block_is_read_at_once(
    tmp_path: Path, scene: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    areas = []
    original = BlockSource.read

    def noted(self: BlockSource, file: Any, window: Any) -> Any:
        areas.append(window.height * window.width)
        return original(self, file, window)

    monkeypatch.setattr(BlockSource, "read", noted)
    assert cli("despeckle", scene, "--out", tmp_path / "out.tif")[0] == 0
    assert max(areas) <= 1030 * 1030


def test_a_file_is_replaced_only_when_asked(tmp_path: Path, scene: Path, cli: Cli) -> None:
    out = tmp_path / "out.tif"
    out.write_text("mine")
    code, _, told = cli("despeckle", scene, "--out", out)
    assert (code, out.read_text()) == (2, "mine")
    assert "give --overwrite" in told
    assert cli("despeckle", scene, "--out", out, "--overwrite")[0] == 0
    assert read(out).shape == (2, *SHAPE)


# ---- what it refuses -----------------------------------------------------------------------------

REFUSED = [
    (["--filter", "median"], "no speckle filter is called 'median'"),
    (["--filter", "lee", "--window", "4"], "must be odd"),
    (["--window", "5"], "a window of 7 and no other"),
    (["--looks", "many"], "looks is 'many': say auto"),
    (["--looks", "0"], "must be positive"),
    (["--looks", "inf"], "must be positive"),
    (["--looks", "nan"], "must be positive"),
    (["--polarisation", "hh"], "no band hh"),
    (["--scale", "decibel"], "scale"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_bad_settings_are_one_line(
    tmp_path: Path, scene: Path, words: list[str], message: str, cli: Cli
) -> None:
    code, said, told = cli("despeckle", scene, "--out", tmp_path / "out.tif", *words)
    assert (code, said) == (2, "")
    assert message in told
    assert told.count("\n") == 1
    assert left_behind(tmp_path) == []


def test_bad_places_are_one_line(tmp_path: Path, scene: Path, cli: Cli) -> None:
    for out, message in (
        (tmp_path, "this is a folder"),
        (tmp_path / "no" / "out.tif", "make it first"),
        (scene, "this is the scene itself"),
    ):
        code, said, told = cli("despeckle", scene, "--out", out, "--overwrite")
        assert (code, said) == (2, "")
        assert message in told
        assert told.count("\n") == 1
    code, _, told = cli("despeckle", tmp_path / "nowhere.tif", "--out", tmp_path / "out.tif")
    assert (code, told.count("\n")) == (2, 1)
    assert left_behind(tmp_path) == []
    assert read(scene).shape == (2, *SHAPE)


def test_a_scene_without_even_ground_asks_for_looks(tmp_path: Path, cli: Cli) -> None:
    tiny = write(tmp_path / "s.tif", speckled((20, 20)), names=("VV",), tags=TAGS)
    code, _, told = cli("despeckle", tiny, "--out", tmp_path / "out.tif")
    assert code == 2
    assert "--looks N" in told
    assert cli("despeckle", tiny, "--out", tmp_path / "out.tif", "--looks", "4.4")[0] == 0


def test_damage_found_on_the_way_leaves_what_was_there(
    tmp_path: Path, scene: Path, cli: Cli
) -> None:
    content = bytearray(scene.read_bytes())
    third = len(content) // 3
    content[third : third + third // 2] = bytes(third // 2)
    scene.write_bytes(content)
    (tmp_path / "out.tif").write_text("mine")
    code, _, told = cli(
        "despeckle", scene, "--out", tmp_path / "out.tif", "--overwrite", "--looks", "4.4"
    )
    assert code == 2
    assert "damaged" in told
    assert (tmp_path / "out.tif").read_text() == "mine"
    assert left_behind(tmp_path) == ["out.tif"]


@pytest.mark.parametrize("largest_file", [100_000, 5_000_000, 9_300_000])
def test_a_full_disk_leaves_nothing(tmp_path: Path, scene: Path, largest_file: int) -> None:
    code, said, told = run_cli(
        tmp_path / "cli", "despeckle", str(scene), "--out", str(tmp_path / "out.tif"),
        largest_file=largest_file,
    )  # fmt: skip
    assert (code, said) == (2, "")
    assert told.splitlines()[-1].startswith("sar2opt: ")
    assert left_behind(tmp_path) == []


def test_prepare_leaves_the_speckle_in(cli: Cli, scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "prepared.tif"
    code, _, told = cli("prepare", scene, "--out", out)
    assert code == 0, told
    before, after = open_scene(scene), open_scene(out)
    np.testing.assert_allclose(after.values, before.values, rtol=1e-6)
    assert after.odc.geobox == before.odc.geobox
    with rasterio.open(out) as file:
        assert file.tags()["SPECKLE_FILTER"] == "none"
