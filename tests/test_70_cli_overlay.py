"""``sar2opt tag``, ``objects`` and ``anomalies``: the steps of a run, each on its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from PIL import Image
from planted import Case, planted_power, write_planted
from rio_cogeo.cogeo import cog_validate
from scene_files import UTM, write

import sar2opt

Cli = Callable[..., tuple[int, str, str]]


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read(path: Path) -> Any:
    with rasterio.open(path) as file:
        return file.read()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted scene, as a run of the fixture ``utm`` had it."""
    return write_planted(tmp_path_factory.mktemp("scene") / "planted.tif")


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory, scene: Path) -> Path:
    """Its tags, as the step writes them."""
    out = tmp_path_factory.mktemp("tagged") / "tags.tif"
    config = sar2opt.RunConfig(scene={"path": scene}, engine={"block": 64, "workers": 1})
    counts = sar2opt.tag_scene(config, out)
    assert counts[:255].sum() == np.isfinite(planted_power()).sum()
    return out


def objects_of(path: Path) -> gpd.GeoDataFrame:
    return pyogrio.read_dataframe(path, layer="objects")


# ---- tag -----------------------------------------------------------------------------------------


def test_tags_alone_are_those_of_a_run(utm: Case, tagged: Path) -> None:
    np.testing.assert_array_equal(read(tagged), read(utm.path("_tags.tif")))
    assert left(tagged.parent) == [
        "tags.qml", "tags.tif", "tags.tif.aux.xml", "tags_probability.tif"
    ]  # fmt: skip
    assert cog_validate(tagged, strict=True)[0]
    with rasterio.open(tagged) as file, rasterio.open(utm.path("_tags.tif")) as whole:
        said, known = file.tags(), whole.tags()
        assert (file.crs, file.transform) == (whole.crs, whole.transform)
    for name in ("GENERATED", "MODEL", "MODEL_SHA256", "SOURCE", "ACQUIRED", "CLASSES"):
        assert said[name] == known[name]
    probability = read(tagged.with_name("tags_probability.tif"))
    assert ((probability == 255) == (read(tagged) == 255)).all()
    assert (
        16 <= probability[probability != 255].min() <= probability[probability != 255].max() <= 100
    )


def test_tag_says_what_there_is(tmp_path: Path, scene: Path, cli: Cli) -> None:
    out = tmp_path / "t.tif"
    code, said, told = cli("tag", scene, "--out", out, "--workers", "1")
    assert code == 0, told
    assert said.startswith(f"{out}: water ")
    assert "bright targets" not in told  # they are not looked for
    code, said, told = cli("tag", scene, "--out", out)
    assert (code, said) == (2, "")
    assert "exists already; give --overwrite" in told
    (tmp_path / "t.tif").unlink()
    code, said, told = cli("tag", scene, "--out", out)
    assert (code, said) == (2, "")
    assert "t_probability.tif: exists already" in told


# ---- objects -------------------------------------------------------------------------------------


def test_objects_of_a_raster_are_those_of_a_run(
    utm: Case, tagged: Path, scene: Path, tmp_path: Path, cli: Cli
) -> None:
    out = tmp_path / "o.gpkg"
    code, said, told = cli("objects", tagged, "--out", out, "--scene", scene)
    assert code == 0, told
    table, whole = objects_of(out), objects_of(utm.path(".gpkg"))
    assert said.startswith(f"{out}: {len(table)} objects: ")
    assert list(table.columns) == list(whole.columns)
    exact = ["id", "tag", "score", "area_m2", "length_m", "pixels", "acquired", "source", "model"]
    assert table[exact].equals(whole[exact])
    # another level, another rounding: two times half a step, where pixels are all alike
    assert (table["backscatter_db"] - whole["backscatter_db"]).abs().max() < 0.3
    assert table["model"].str.startswith("tagger-s1 (").all()
    assert (table["acquired"] == "2024-05-14T05:12:41Z").all()
    metadata = pyogrio.read_info(out, layer="objects")["layer_metadata"]
    assert metadata["GENERATED"].startswith("YES")
    assert left(tmp_path) == ["o.gpkg"]


def test_objects_keep_the_ids_of_an_earlier_scene(tagged: Path, tmp_path: Path, cli: Cli) -> None:
    first, second = tmp_path / "may.gpkg", tmp_path / "june.gpkg"
    assert cli("objects", tagged, "--out", first)[0] == 0
    with rasterio.open(tagged) as file:
        profile, tags, numbers = file.profile, file.tags(), file.read()
    profile.update(driver="GTiff")
    with rasterio.open(tmp_path / "june.tif", "w", **profile) as file:
        file.write(np.roll(numbers, 2, axis=2))
        file.update_tags(**tags)
    code, _, told = cli("objects", tmp_path / "june.tif", "--out", second, "--before", first)
    assert code == 0, told
    before, after = objects_of(first), objects_of(second)
    assert set(before["id"]) & set(after["id"])
    large = before.nlargest(2, "area_m2")["id"]
    assert large.isin(after["id"]).all()
    assert "objects keep the id of an earlier scene" in told
    assert "no june_probability.tif beside the tags: objects have no score" in told
    assert after["score"].isna().all()


def test_tags_of_others_are_taken_for_our_classes_and_that_is_said(
    tmp_path: Path, cli: Cli
) -> None:
    numbers = np.full((40, 50), 255, np.uint8)
    numbers[5:20, 5:30] = 4
    path = write(tmp_path / "mine.tif", numbers, nodata=255)
    code, said, told = cli("objects", path, "--out", tmp_path / "o.gpkg")
    assert code == 0, told
    assert "built_up 1" in said
    assert "mine.tif names no classes: its codes are taken for 0 water, 1 trees" in told
    with rasterio.open(path, "r+") as file:
        file.update_tags(CLASSES="0 sea; 4 quay")
    code, said, _ = cli("objects", path, "--out", tmp_path / "o.gpkg", "--overwrite")
    assert (code, said) == (0, f"{tmp_path / 'o.gpkg'}: 1 objects: quay 1\n")


def test_nothing_found_is_an_empty_layer_and_a_sentence(tmp_path: Path, cli: Cli) -> None:
    path = write(tmp_path / "mine.tif", np.full((40, 50), 255, np.uint8), nodata=255)
    out = tmp_path / "o.gpkg"
    code, said, _ = cli("objects", path, "--out", out)
    assert code == 0
    assert said == f"{out}: 0 objects\nno object is as large as that: the layer is empty\n"
    assert list(objects_of(out).columns)[:2] == ["id", "tag"]
    assert len(objects_of(out)) == 0


def a_text(folder: Path) -> Path:
    (folder / "s.tif").write_text("dear sir or madam")
    return folder / "s.tif"


def without_a_place(folder: Path) -> Path:
    Image.fromarray(np.ones((9, 9), np.uint8)).save(folder / "s.tif")
    return folder / "s.tif"


def beside_other_probabilities(folder: Path) -> Path:
    write(folder / "s_probability.tif", np.ones((9, 8), np.uint8))
    return write(folder / "s.tif", np.ones((9, 9), np.uint8))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.tif", "no such file"),
        (a_text, "not a GeoTIFF, or damaged"),
        (without_a_place, "nothing in it says where its pixels lie on the Earth"),
        (beside_other_probabilities, "lies on another grid than s.tif: take it away"),
        (lambda folder: write(folder / "s.tif", np.ones((9, 9), np.float32)), "1 band of float32"),
        (lambda folder: write(folder / "s.tif", *np.ones((2, 9, 9), np.uint8)), "2 bands of uint8"),
        (lambda folder: write(folder / "s.tif", np.full((9, 9), 9, np.uint8)), "hold code 9"),
        (
            lambda folder: write(
                folder / "s.tif", np.ones((9, 9), np.uint8), tags={"CLASSES": "trees"}
            ),
            "which is not like '0 water; 1 trees'",
        ),
    ],
)
def test_what_is_no_raster_of_tags_is_refused(
    make: Any, message: str, tmp_path: Path, cli: Cli
) -> None:
    path = make(tmp_path)
    before = left(tmp_path)
    code, said, told = cli("objects", path, "--out", tmp_path / "o.gpkg")
    assert (code, said) == (2, "")
    last = told.splitlines()[-1]
    assert last.startswith("sar2opt: ")
    assert message in last
    assert left(tmp_path) == before


def test_objects_go_to_a_geopackage_only(tagged: Path, tmp_path: Path, cli: Cli) -> None:
    code, _, told = cli("objects", tagged, "--out", tmp_path / "o.shp")
    assert code == 2
    assert "give a name that ends in .gpkg" in told


# ---- anomalies -----------------------------------------------------------------------------------


def test_anomalies_alone_are_those_of_a_run(
    utm: Case, scene: Path, tmp_path: Path, cli: Cli
) -> None:
    out, config = tmp_path / "flags.gpkg", tmp_path / "c.toml"
    config.write_text("[engine]\nblock = 64\n")
    code, said, told = cli("anomalies", scene, "--out", out, "--config", config, "--workers", "1")
    assert code == 0, told
    assert said == f"{out}: 2 anomalies: bright_target 2\n"
    table = pyogrio.read_dataframe(out, layer="anomalies")
    whole = pyogrio.read_dataframe(utm.path(".gpkg"), layer="anomalies")
    assert table.drop(columns="geometry").equals(whole.drop(columns="geometry"))
    assert table.geometry.geom_equals(whole.geometry).all()
    assert table["length_m"].tolist() == pytest.approx([30, 30], rel=2e-3)
    outline = pyogrio.read_dataframe(out, layer="footprint")
    assert "assumptions" in outline.columns
    assert sorted(left(tmp_path)) == ["c.toml", "flags.gpkg"]


def test_anomalies_take_earlier_scenes_rules_and_a_table(tmp_path: Path, cli: Cli) -> None:
    power = planted_power()
    tags = {"SCALE": "power", "ACQUIRED": "2024-05-14T05:12:41Z"}
    scene = write(tmp_path / "now_vh.tif", power, nodata=np.nan, tags=tags)
    power = power * np.random.default_rng(3).gamma(20, 1 / 20, power.shape).astype(np.float32)
    power[150:180, 20:60] *= 30
    earlier = write(
        tmp_path / "may_vh.tif",
        power,
        nodata=np.nan,
        tags=tags | {"ACQUIRED": "2024-05-02T05:12:41Z"},
    )
    corner = UTM @ (88, 172), UTM @ (236, 62)
    lake = gpd.GeoDataFrame(
        {"class": ["field"], "plot": ["7"]},
        geometry=[shapely.box(*corner[0], *corner[1])], crs="EPSG:32632",
    )  # fmt: skip
    lake.to_file(tmp_path / "zoning.gpkg")
    (tmp_path / "rules.toml").write_text('field = ["cropland"]\n')
    (tmp_path / "permits.csv").write_text("plot,owner\n7,Smith\n")
    how = ["--before", earlier, "--reference", tmp_path / "zoning.gpkg", "--allow",
           tmp_path / "rules.toml", "--join", tmp_path / "permits.csv", "--on", "plot"]  # fmt: skip
    out = tmp_path / "flags.gpkg"
    code, said, told = cli("anomalies", scene, *how, "--out", out)
    assert code == 0, told
    table = pyogrio.read_dataframe(out, layer="anomalies")
    assert {"bright_target", "change", "reference_disagreement"} <= set(table["kind"])
    bright = table.loc[table["kind"] == "bright_target", "reason"]
    assert bright.str.contains("surroundings; the earlier scene shows it too; expected by").all()
    inside = table["kind"] == "reference_disagreement"
    assert set(table.loc[inside, "owner"]) == {"Smith"}
    assert "change 1" in said


def test_an_even_scene_has_no_anomalies_and_that_is_said(tmp_path: Path, cli: Cli) -> None:
    power = np.random.default_rng(1).gamma(4.4, 0.1 / 4.4, (128, 128)).astype(np.float32)
    scene = write(tmp_path / "s_vh.tif", power, tags={"SCALE": "power"})
    out = tmp_path / "flags.gpkg"
    code, said, told = cli("anomalies", scene, "--out", out, "--workers", "1")
    assert code == 0, told
    assert (
        said == f"{out}: 0 anomalies\nnothing was flagged; that is no proof that there is nothing\n"
    )
    assert len(pyogrio.read_dataframe(out, layer="anomalies")) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--allow", "r.toml"], "--allow needs --reference"),
        (["--before", "none.tif"], "none.tif"),
        (["--join", "t.csv"], "--join needs --reference"),
    ],
)
def test_anomalies_refuse_what_a_run_refuses(
    words: list[str], message: str, scene: Path, tmp_path: Path, cli: Cli
) -> None:
    code, said, told = cli("anomalies", scene, "--out", tmp_path / "f.gpkg", *words)
    assert (code, said) == (2, "")
    assert message in told.splitlines()[-1]
    assert left(tmp_path) == []


@pytest.mark.parametrize("command", ["tag", "objects", "anomalies"])
def test_the_help_has_an_example(command: str, cli: Cli) -> None:
    code, said, _ = cli(command, "--help")
    assert code == 0
    assert f"Example: sar2opt {command} " in " ".join(said.split())


# ---- tolerance, features, evidence ---------------------------------------------------------------


@pytest.fixture
def zoned(tmp_path: Path, scene: Path) -> Path:
    """A register that calls the lake and a strip of land around it a field."""
    corners = UTM @ (80, 180), UTM @ (244, 54)
    far = UTM @ (0, 60), UTM @ (20, 45)
    zones = gpd.GeoDataFrame(
        {"class": ["field", "wood"], "plot": ["7", "8"]},
        geometry=[shapely.box(*one, *two) for one, two in (corners, far)],
        crs="EPSG:32632",
    )
    zones.to_file(tmp_path / "zoning.gpkg")
    (tmp_path / "rules.toml").write_text('field = ["cropland"]\nwood = ["water"]\n')
    return tmp_path


def disagreements(out: Path) -> gpd.GeoDataFrame:
    table = pyogrio.read_dataframe(out, layer="anomalies")
    return table[table["kind"] == "reference_disagreement"]


def test_ground_beside_an_edge_is_not_judged(zoned: Path, scene: Path, cli: Cli) -> None:
    rules, out = zoned / "rules.toml", zoned / "flags.gpkg"
    how = ["anomalies", scene, "--reference", zoned / "zoning.gpkg", "--allow", rules,
           "--out", out, "--overwrite"]  # fmt: skip
    register = gpd.read_file(zoned / "zoning.gpkg")
    assert cli(*how)[0] == 0
    assert disagreements(out).union_all().area > 3e5
    rules.write_text("tolerance_m = 300\n" + rules.read_text())
    code, _, told = cli(*how)
    assert code == 0, told
    assert "ground within 300 m of the edge of a feature of the reference is not judged" in told
    inner = register.buffer(-299).union_all()
    assert inner.buffer(10).covers(disagreements(out).union_all())
    assert cli(*how, "--tolerance", "0")[0] == 0  # what is said now counts
    assert not inner.buffer(10).covers(disagreements(out).union_all())
    rules.write_text('tolerance_m = "much"\nfield = ["cropland"]\n')
    code, said, told = cli(*how)
    assert (code, said) == (2, "")
    assert "tolerance_m is 'much': write metres, such as 30" in told


def test_features_say_what_was_flagged_in_them(zoned: Path, scene: Path, cli: Cli) -> None:
    out = zoned / "flags.gpkg"
    code, _, told = cli(
        "anomalies", scene, "--reference", zoned / "zoning.gpkg", "--allow", zoned / "rules.toml",
        "--out", out,
    )  # fmt: skip
    assert code == 0, told
    features = pyogrio.read_dataframe(out, layer="features")
    assert set(features["class"]) == {"field", "wood"}
    field = features[features["class"] == "field"].iloc[0]
    flagged = disagreements(out)
    flagged = flagged[flagged.intersects(field.geometry)]
    assert f"reference_disagreement {len(flagged)}" in field["kinds"]
    assert "bright_target 2" in field["kinds"]
    assert field["anomalies"] == len(flagged) + 2
    assert field["area_m2"] == pytest.approx(164 * 126 * 100, rel=3e-3)
    share = flagged.intersection(field.geometry).area.sum() / field.geometry.area
    assert field["flagged_share"] == pytest.approx(share, rel=1e-3)
    anomalies = pyogrio.read_dataframe(out, layer="anomalies")
    inside = anomalies.intersects(field.geometry)
    assert field["strongest"] == pytest.approx(anomalies.loc[inside, "score"].max())
    assert features["flagged_share"].is_monotonic_decreasing


def test_evidence_lies_beside_the_flags_and_says_what_is_generated(
    scene: Path, tmp_path: Path, cli: Cli
) -> None:
    out = tmp_path / "flags.gpkg"
    code, _, told = cli("anomalies", scene, "--out", out, "--evidence", "1", "--workers", "1")
    assert code == 0, told
    table = pyogrio.read_dataframe(out, layer="anomalies")
    first = table.iloc[0]
    assert first["evidence_sar"] == f"flags_evidence_{first['id']}_sar.png"
    assert table["evidence_optical"].iloc[1] == ""
    with (
        Image.open(tmp_path / first["evidence_sar"]) as sar,
        Image.open(tmp_path / first["evidence_optical"]) as optical,
    ):
        assert "GENERATED" in optical.info["Description"]
        assert "Description" not in sar.info
        assert optical.size[1] > sar.size[1] >= 320  # a bar above it carries the mark
        bar = np.asarray(optical)[: optical.size[1] - sar.size[1]]
        assert (np.abs(bar.astype(int) - bar[0, 0]).max(axis=2) > 40).any()  # letters
        brightest = np.asarray(sar.convert("L")).astype(int)
        middle = brightest.shape[0] // 2
        assert brightest[middle, middle] > np.median(brightest) + 50  # the target
    assert left(tmp_path) == ["flags.gpkg", first["evidence_optical"], first["evidence_sar"]]
    assert cli("anomalies", scene, "--out", out, "--overwrite")[0] == 0
    assert left(tmp_path) == ["flags.gpkg"]  # pictures of an earlier run do not stay


def test_a_run_keeps_evidence_too_and_links_it(
    utm: Case, scene: Path, tmp_path: Path, cli: Cli
) -> None:
    code, _, told = cli("run", scene, "--out", tmp_path, "--evidence", "2", "--workers", "1")
    assert code == 0, told
    folder = tmp_path / "planted"
    table = pyogrio.read_dataframe(folder / "planted.gpkg", layer="anomalies")
    report = (folder / "planted_report.html").read_text(encoding="utf-8")
    for name in (*table["evidence_sar"], *table["evidence_optical"]):
        assert (folder / name).is_file()
        assert f'href="{name}"' in report
    alone = tmp_path / "flags.gpkg"
    assert cli("anomalies", scene, "--out", alone, "--evidence", "2")[0] == 0
    for name in table["evidence_optical"]:  # the image of a window is that of the whole
        with (
            Image.open(folder / name) as one,
            Image.open(tmp_path / name.replace("planted_", "flags_")) as other,
        ):
            assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 2
    assert cli("run", scene, "--out", tmp_path, "--overwrite", "--workers", "1")[0] == 0
    assert not list(folder.glob("*evidence*"))
