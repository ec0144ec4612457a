"""Changes through the whole run: found in their place, quiet without any, refused in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
import simulated_safe as s1
import xarray as xr
from planted import pixels, settings
from scene_files import UTM, write

import sar2opt
from sar2opt.errors import ConfigError, PlacementError, SceneError
from sar2opt.pipeline import Products, resources
from sar2opt.pipeline.plan import make_plan
from sar2opt.tiles import sample

SHAPE = (150, 190)
FIELD = (slice(50, 75), slice(100, 140))  # lies across blocks of 64


def write_scene(path: Path, seed: int, day: str, *, changed: bool = False, **how: Any) -> Path:
    """Write even land under speckle, one field of it 8 dB brighter if ``changed``."""
    gain, band = how.pop("gain", 1.0), how.pop("band", "VH")
    time, said = how.pop("time", "T05:12:41Z"), how.pop("tags", {})
    power = gain * np.random.default_rng(seed).gamma(4.4, 0.1 / 4.4, SHAPE)
    if changed:
        power[FIELD] *= 10**0.8
    tags = {"LOOKS": "4.4", "SCALE": "power", "ACQUIRED": f"2024-05-{day}{time}", **said}
    return write(path, power.astype(np.float32), names=(band,), nodata=np.nan, tags=tags, **how)


def run_against(folder: Path, *before: Path, **sections: Any) -> Products:
    scene = folder / "scene.tif"
    if not scene.exists():
        write_scene(scene, 1, "25", changed=True)
    sections["anomalies"] = {"before": before} | sections.get("anomalies", {})
    return sar2opt.run(settings(scene, folder / "out", engine={"block": 64}, **sections))


def changed(products: Products) -> gpd.GeoDataFrame:
    return products.anomalies[products.anomalies["kind"] == "change"]


def said(products: Products) -> str:
    return " | ".join(products.assumptions)


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Products:
    """A run against two earlier scenes, named out of order, one of them brighter."""
    folder = tmp_path_factory.mktemp("changes")
    second = write_scene(folder / "second.tif", 3, "13", gain=1.5)
    return run_against(folder, second, write_scene(folder / "first.tif", 2, "01"))


def test_a_planted_change_is_found_in_its_place(products: Products) -> None:
    table = gpd.read_file(products.folder / "scene.gpkg", layer="anomalies")
    (row,) = table[table["kind"] == "change"].itertuples()
    left, top = UTM * (FIELD[1].start, FIELD[0].start)
    right, bottom = UTM * (FIELD[1].stop, FIELD[0].stop)
    planted = shapely.box(left, bottom, right, top)
    assert planted.buffer(20).contains(row.geometry)
    assert row.geometry.intersection(planted).area > 0.95 * planted.area
    place = gpd.GeoSeries([planted.centroid], crs=table.crs).to_crs("EPSG:4326").iloc[0]
    assert shapely.Point(row.lon, row.lat).distance(place) < 2e-4
    assert row.since == "2024-05-25"
    assert (row.before_db, row.after_db) == pytest.approx((-10, -2), abs=0.7)
    assert row.q_value < 1e-9
    assert row.reason.startswith("Backscatter rose by 8 dB (from -10 to -")
    assert "between 2024-05-13 and 2024-05-25" in row.reason


def test_what_was_assumed_is_said(products: Products) -> None:
    assert "changes: vh against 2024-05-01, 2024-05-13; " in said(products)
    assert "2024-05-13 lies 1.8 dB above the scene on most ground" in said(products)
    assert "halved" not in said(products)


def test_changes_do_not_depend_on_blocks(products: Products, tmp_path: Path) -> None:
    folder = products.folder.parents[1]
    before = (folder / "first.tif", folder / "second.tif")
    whole = sar2opt.run(
        settings(folder / "scene.tif", tmp_path / "out", anomalies={"before": before})
    )
    drop = ["tag", "id", "reason"]  # the tags of a net may differ a little
    assert changed(whole).drop(columns=drop).equals(changed(products).drop(columns=drop))
    np.testing.assert_array_equal(pixels(whole.folder, "tags"), pixels(products.folder, "tags"))


def test_a_cluster_of_two_processes_finds_the_same(
    products: Products, cluster: Any, tmp_path: Path
) -> None:
    folder = products.folder.parents[1]
    before = (folder / "second.tif", folder / "first.tif")
    how = {"block": 64, "scheduler": cluster.scheduler_address}
    other = sar2opt.run(
        settings(folder / "scene.tif", tmp_path / "out", engine=how, anomalies={"before": before})
    )
    assert changed(other).equals(changed(products))


def test_a_scene_is_no_change_to_itself(tmp_path: Path) -> None:
    again = write_scene(tmp_path / "again.tif", 1, "25", changed=True)
    products = run_against(tmp_path, again)
    assert len(changed(products)) == 0


def test_an_area_of_interest_shows_the_same_change(products: Products, tmp_path: Path) -> None:
    folder, area = products.folder.parents[1], tmp_path / "area.geojson"
    corners = *(UTM * (80, 100)), *(UTM * (160, 30))
    around = gpd.GeoSeries([shapely.box(*corners)], crs="EPSG:32632")
    around.to_crs("EPSG:4326").to_file(area)
    before = (folder / "first.tif", folder / "second.tif")
    cut = sar2opt.run(
        settings(
            folder / "scene.tif",
            tmp_path / "out",
            scene={"aoi": area},
            anomalies={"before": before},
        )
    )
    (one,), (other,) = (changed(run).itertuples() for run in (cut, products))
    shared = one.geometry.intersection(other.geometry).area
    assert shared > 0.95 * one.geometry.union(other.geometry).area  # fewer tests, another threshold
    assert one.since == other.since
    assert one.before_db == pytest.approx(other.before_db, abs=0.1)
    assert one.after_db == pytest.approx(other.after_db, abs=0.2)


def test_products_of_sentinel1_are_compared_by_their_orbits(tmp_path: Path) -> None:
    now, old = (
        s1.write_safe(tmp_path / name, s1.numbers(seed)) for seed, name in enumerate(("now", "old"))
    )
    for path in old.rglob("*.xml"):
        text = (
            path.read_text().replace("2021-08-09", "2021-07-28").replace("Ascending", "Descending")
        )
        path.write_text(text)
    products = sar2opt.run(settings(now, tmp_path / "out", anomalies={"before": [old]}))
    assert len(changed(products)) == 0
    assert "changes: vv and vh against 2021-07-28; " in said(products)
    assert "another orbit direction (descending, the scene ascending): scores" in said(products)
    assert "resampled" not in said(products)


@pytest.mark.parametrize("grid", ["same", "half a pixel off", "other zone"])
def test_nothing_is_flagged_where_nothing_changed(tmp_path: Path, grid: str) -> None:
    write_scene(tmp_path / "scene.tif", 1, "25")
    how = {
        "same": {},
        "half a pixel off": {"transform": UTM * UTM.translation(0.5, 0.5)},
        "other zone": {"crs": "EPSG:4326", "transform": degrees()},
    }[grid]
    products = run_against(tmp_path, write_scene(tmp_path / "a.tif", 2, "13", **how))
    assert len(changed(products)) == 0
    assert ("resampled from its grid" in said(products)) == (grid != "same")


def degrees() -> Any:
    """Return a grid in degrees around the scene's."""
    scene = gpd.GeoSeries([shapely.box(*(UTM * (-5, 155)), *(UTM * (195, -5)))], crs="EPSG:32632")
    west, _, east, north = scene.to_crs("EPSG:4326").total_bounds
    pixel = (east - west) / SHAPE[1]
    return type(UTM)(pixel, 0, west, 0, -pixel, north)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"time": "T17:12:41Z"}, "another orbit direction, by the time of day (17:12"),
        ({"time": "T05:21:10Z"}, "another relative orbit, by the time of day (05:21"),
    ],
)
def test_another_view_halves_the_scores_and_is_said(
    products: Products, tmp_path: Path, how: dict[str, Any], words: str
) -> None:
    doubtful = run_against(tmp_path, write_scene(tmp_path / "a.tif", 2, "13", **how))
    assert words in said(doubtful)
    assert "scores of changes are halved" in said(doubtful)
    ((score, reason),) = changed(doubtful)[["score", "reason"]].itertuples(index=False)
    assert score == pytest.approx(changed(products)["score"].iloc[0] / 2, rel=0.03)
    assert f"score halved: a seems to have {words}" in reason


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"band": "VV"}, SceneError, "it has vv, but vh is compared: give an earlier scene with"),
        ({"day": "26"}, ConfigError, r"it was taken at 2024-05-26T05:12:41Z, after the scene"),
        ({"transform": UTM * UTM.translation(500, 0)}, PlacementError, "does not overlap"),
        ({"transform": UTM * UTM.translation(185, 145)}, SceneError, "only .* pixels are valid"),
        ({"tags": {"FREQUENCY_BAND": "L"}}, SceneError, "it is of a L-band radar, the scene of"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, how: dict[str, Any], error: type[Exception], words: str
) -> None:
    write_scene(tmp_path / "scene.tif", 1, "25", tags={"FREQUENCY_BAND": "C"})
    before = write_scene(tmp_path / "a.tif", 2, **({"day": "13"} | how))
    with pytest.raises(error, match=words) as caught:
        run_against(tmp_path, before)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".tif"] == []


def test_an_even_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="change_window is 4: it must be odd"):
        run_against(tmp_path, tmp_path / "a.tif", anomalies={"change_window": 4})


def test_a_run_is_not_gone_on_with_after_an_earlier_scene_changed(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", 1, "25")
    before = write_scene(tmp_path / "a.tif", 2, "13")

    def fingerprint(**anomalies: Any) -> str:
        plan = make_plan(settings(scene, tmp_path / "out", anomalies=anomalies))
        plan.staging.remove()
        return plan.job.fingerprint

    first = fingerprint(before=[before])
    assert fingerprint(before=[before]) == first
    assert fingerprint() != first
    assert fingerprint(before=[before], change_db=2.0) != first
    write_scene(before, 7, "13")
    assert fingerprint(before=[before]) != first


def test_the_command_line_takes_several(cli: Any, tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif", 1, "25", changed=True)
    one, two = (write_scene(tmp_path / f"{n}.tif", n, f"0{n}") for n in (3, 4))
    code, out, errors = cli(
        "run", scene, "--before", one, "--before", two, "--out", tmp_path / "out", "--workers", "1"
    )
    assert (code, "1 anomalies" in " ".join(out.split())) == (0, True)
    assert "changes: vh against 2024-05-03, 2024-05-04" in " ".join(errors.split())
    code, _, errors = cli("run", scene, "--before", tmp_path / "none.tif", "--out", tmp_path / "o")
    assert (code, "none.tif: no such file" in " ".join(errors.split())) == (2, True)


def test_a_scene_in_other_units_is_refused(tmp_path: Path) -> None:
    loud = write_scene(tmp_path / "loud.tif", 2, "01", gain=1e5)
    with pytest.raises(
        SceneError, match=r"lies 50\.\d dB above .*in other units than it was taken"
    ):
        run_against(tmp_path, loud)


# ---- two polarisations ---------------------------------------------------------------------------


def write_two(path: Path, seed: int, day: str, bands: tuple[str, ...], gain_db: float = 0) -> Path:
    rng, power = np.random.default_rng(seed), []
    for band in bands:
        one = rng.gamma(4.4, (0.02 if band == "VH" else 0.1) / 4.4, SHAPE)
        one[FIELD] *= 10 ** (gain_db / 10)
        power.append(one.astype(np.float32))
    tags = {"LOOKS": "4.4", "SCALE": "power", "ACQUIRED": f"2024-05-{day}T05:12:41Z"}
    return write(path, *power, names=bands, nodata=np.nan, tags=tags)


def test_both_polarisations_are_compared_where_all_scenes_have_them(tmp_path: Path) -> None:
    write_two(tmp_path / "scene.tif", 1, "25", ("VV", "VH"), 5)
    turned = write_two(tmp_path / "a.tif", 2, "13", ("VH", "VV"))
    products = run_against(tmp_path, turned)
    (row,) = changed(products).itertuples()
    assert row.after_db - row.before_db == pytest.approx(5, abs=0.7)
    assert row.before_db == pytest.approx(-13.5, abs=0.7)  # the mean of -10 and -17 dB
    planted = (FIELD[0].stop - FIELD[0].start) * (FIELD[1].stop - FIELD[1].start)
    assert row.pixels > 0.9 * planted
    assert "changes: vv and vh against 2024-05-13; " in said(products)
    how = {"engine": {"block": 128}, "anomalies": {"before": [turned]}}
    large = sar2opt.run(settings(tmp_path / "scene.tif", tmp_path / "large", **how))
    assert changed(large)["area_m2"].tolist() == changed(products)["area_m2"].tolist()


@pytest.mark.parametrize("bands", [("VH",), ("VV", "VH")])
def test_one_is_compared_where_one_is_missing_or_asked_for(
    tmp_path: Path, bands: tuple[str, ...]
) -> None:
    write_two(tmp_path / "scene.tif", 1, "25", ("VV", "VH"), 9)
    earlier = write_two(tmp_path / "a.tif", 2, "13", bands)
    scene = {"polarisation": "vh"} if len(bands) == 2 else {}
    products = run_against(tmp_path, earlier, scene=scene)
    assert "changes: vh against 2024-05-13; " in said(products)
    assert changed(products)["before_db"].max() == pytest.approx(-17, abs=0.7)


def test_the_sample_of_each_date_is_drawn_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def noted(raster: xr.DataArray) -> Any:
        drawn.append(raster.attrs["source"])
        return read(raster)

    read = sample.sample_windows
    monkeypatch.setattr(sample, "sample_windows", noted)
    run_against(tmp_path, write_scene(tmp_path / "first.tif", 2, "01"))
    assert sorted(drawn) == ["first", "scene"]


@pytest.mark.parametrize("part", [False, True])
def test_an_earlier_scene_is_opened_once(
    tmp_path: Path, part: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    real = resources.open_scene

    def open_scene(path: Path, **how: Any) -> xr.DataArray:
        opened.append(path.name)
        return real(path, **how)

    monkeypatch.setattr(resources, "open_scene", open_scene)
    scene = write_scene(tmp_path / "scene.tif", 1, "25")
    how: dict[str, Any] = {"path": scene}
    if part:
        left, top = UTM * (20, 20)
        area = shapely.box(left, top - 800, left + 900, top)
        gpd.GeoDataFrame(geometry=[area], crs="EPSG:32632").to_file(tmp_path / "part.gpkg")
        how["aoi"] = tmp_path / "part.gpkg"
    before = [write_scene(tmp_path / f"{day}.tif", int(day), day) for day in ("01", "13")]
    config = sar2opt.RunConfig(scene=how, anomalies={"before": before, "low_trust": 0})
    sar2opt.flag_scene(config, tmp_path / "flags.gpkg")
    assert sorted(name for name in opened if name != "scene.tif") == ["01.tif", "13.tif"]
