"""Floods told by a net: training on pictures, planning, and what a run makes of it."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image

from sar2opt.errors import BandError, ConventionError, SceneError
from sar2opt.nets.models import FloodModel, load_model
from sar2opt.overlay import changes, encode_changes, floods
from sar2opt.sar.change import Change
from sar2opt.sar.normalise import fit_spread
from sar2opt.synth import SceneSpec, make_scene
from sar2opt.training.floods import held_out, read_floods
from sar2opt.training.recipe import train

GRID = GeoBox((40, 60), Affine(10, 0, 500_000, 0, -10, 4_000_000), "EPSG:32632")
FIELD = (slice(10, 20), slice(15, 35))


def write_pictures(folder: Path, number: int) -> None:
    """Write simulated pictures: land, of which the left half is dark after the flood."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    for index in range(number):
        before = rng.normal(150, 12, (64, 64))
        after = rng.normal(140, 12, (64, 64))
        mask = np.zeros((64, 64), np.uint8)
        mask[:, : 20 + index % 24] = 255
        after[mask > 0] -= 90
        for name, values in (("before.jpg", before), ("after.jpg", after), ("mask.png", mask)):
            grey = np.clip(values, 1, 255).astype(np.uint8)
            Image.fromarray(grey).save(folder / f"{index:03d}_{name}")


def test_a_net_learns_simulated_floods_and_is_packed_with_its_figures(tmp_path: Path) -> None:
    write_pictures(tmp_path / "floods/train", 48)
    write_pictures(tmp_path / "floods/test", 4)
    recipe = tmp_path / "flood.toml"
    recipe.write_text(
        'kind = "flood"\nname = "small"\ncrop = 64\n[schedule]\nsteps = 60\nwarm_up = 5\n'
    )
    model = load_model(str(train(recipe, tmp_path, tmp_path / "out")), precision="float32")
    assert isinstance(model, FloodModel)
    assert model.bands_in == ("before", "after")
    assert model.margin < 64
    figures = model.card.figures["pixels pooled"]
    assert figures["test"]["IoU"] > 0.8
    assert figures["validation"]["IoU"] > 0.8
    (pair, *_) = read_floods(tmp_path / "floods/test")
    percent = model.predict_bytes(pair.dates[None], model.to_bytes())[0, 0]
    assert percent[pair.flood == 1].mean() > 60
    assert percent[pair.flood == 0].mean() < 40


def test_pictures_are_split_by_runs_of_their_numbers(tmp_path: Path) -> None:
    write_pictures(tmp_path / "floods", 48)
    held = [held_out(pair) for pair in read_floods(tmp_path / "floods")]
    assert held == [False] * 32 + [True] * 16


def test_pictures_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="no NAME_mask"):
        read_floods(tmp_path)
    write_pictures(tmp_path / "floods", 1)
    Image.new("L", (10, 10)).save(tmp_path / "floods/000_after.jpg")
    with pytest.raises(SceneError, match="differ in size"):
        read_floods(tmp_path / "floods")
    (tmp_path / "floods/000_after.jpg").write_bytes(b"no picture")
    with pytest.raises(SceneError, match="cannot be read"):
        read_floods(tmp_path / "floods")


def test_two_stretches_of_one_scene_are_normalised_alike() -> None:
    decibel = np.random.default_rng(1).normal(-12, 3, 10_000)
    power, stretched = (10 ** (db / 10) for db in (decibel, 1.5 * decibel + 7))
    one, other = (
        fit_spread(values.astype(np.float32))(values.astype(np.float32))
        for values in (power, stretched)
    )
    np.testing.assert_allclose(one, other, atol=2e-3)


def told() -> np.ndarray:
    """Return what a net might say: one flood, and a rim without data."""
    percent = np.full(GRID.shape, 3, np.uint8)
    percent[FIELD] = 84
    percent[:, :2] = 255
    return percent


def change_layer(after_db: float) -> np.ndarray:
    """Return a change layer in which the flood's place moved from -8 dB to ``after_db``."""
    before = np.full(GRID.shape, 10**-0.8)
    after = before.copy()
    after[FIELD] = 10 ** (after_db / 10)
    p = np.where(before == after, 0.5, 1e-9)
    return encode_changes(Change(p, np.ones(GRID.shape, int), before, after), -8.0, 3.0)


def test_a_flood_lies_in_its_place_and_says_what_it_rests_on() -> None:
    found = floods(
        told(), GRID, found=change_layer(-16.0), level_db=-8.0,
        dates=("2024-05-01", "2024-05-13"), model="some-net",
    )  # fmt: skip
    (row,) = found.itertuples()
    corners = GRID.affine * (15, 10), GRID.affine * (35, 20)
    assert row.geometry.equals(shapely.box(*corners[0], *corners[1]))
    assert (row.kind, row.tag, row.since) == ("flood", "water", "2024-05-13")
    assert (row.before_db, row.after_db) == pytest.approx((-8, -16), abs=0.3)
    assert row.score == pytest.approx(0.84)
    assert np.isnan(row.q_value)
    assert "some-net with a mean probability of 84%" in row.reason
    assert "fell by 8 dB" in row.reason


def test_a_doubt_halves_the_score_and_small_floods_are_left_out() -> None:
    how = {"found": change_layer(-16.0), "level_db": -8.0, "dates": ("a", "b"), "model": "net"}
    (row,) = floods(told(), GRID, doubt="another orbit", **how).itertuples()
    assert row.score == pytest.approx(0.42)
    assert "score halved: another orbit" in row.reason
    assert floods(told(), GRID, min_pixels=201, **how).empty


def test_a_change_that_a_flood_explains_is_told_once() -> None:
    how = {"dates": ("a", "b"), "level_db": -8.0}
    flooded = (told() == 84).astype(np.uint8)
    assert len(changes(change_layer(-16.0), GRID, **how)) == 1
    assert changes(change_layer(-16.0), GRID, flooded=flooded, **how).empty
    (risen,) = changes(change_layer(-2.0), GRID, flooded=flooded, **how).itertuples()
    assert risen.kind == "change"


def test_nothing_flooded_is_an_empty_table() -> None:
    dry = np.zeros(GRID.shape, np.uint8)
    found = floods(
        dry, GRID, found=change_layer(-8.0), level_db=-8.0, dates=("a", "b"), model="net"
    )
    assert isinstance(found, gpd.GeoDataFrame)
    assert found.empty
    assert found.crs == GRID.crs


def test_two_scenes_are_compared_lazily_and_what_does_not_fit_is_refused() -> None:
    scene = make_scene(SceneSpec("small", kind="plain", shape=(136, 150), seed=4)).sar
    model = load_model("flood-s1", precision="float32")
    assert isinstance(model, FloodModel)
    found = model(scene, scene, "vh")
    assert found.odc.geobox == scene.odc.geobox
    assert found.attrs["generated"].startswith("yes")
    values = found.sel(band="flood").values
    assert np.nanmax(values) <= 1
    assert np.nanmean(values) < 0.2  # nothing changed
    with pytest.raises(BandError, match="no band 'hh'"):
        model(scene, scene, "hh")
    with pytest.raises(ConventionError, match="different grids"):
        model(scene, scene[:, 1:], "vh")
