"""Open sea: nothing in it is dark for its scene, and its ships are found all the same."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pytest
from planted import settings
from scene_files import write

import sar2opt
from sar2opt.pipeline import Products
from sar2opt.synth.anomalies import plant
from sar2opt.synth.backscatter import expected_power
from sar2opt.synth.spec import Landscape, SceneSpec
from sar2opt.synth.speckle import draw_speckle
from sar2opt.synth.surfaces import Cover, Use

SPEC = SceneSpec(name="sea", shape=(400, 420), crs="EPSG:32632", seed=2)


@dataclass(frozen=True)
class Sea:
    """A run over the open sea, and the ships that are on it."""

    products: Products
    ships: gpd.GeoDataFrame


@pytest.fixture(scope="module")
def sea(tmp_path_factory: pytest.TempPathFactory) -> Sea:
    folder = tmp_path_factory.mktemp("sea")
    flat = np.zeros(SPEC.shape, np.float32)
    land = Landscape.blank(flat, flat)
    land.paint(np.ones(SPEC.shape, bool), Cover.SEA, Use.WATER)
    ships = plant(land, SPEC, np.ones(SPEC.shape, bool))
    power = expected_power(land, SPEC)[0][1]
    power *= draw_speckle(SPEC.rng("vh"), SPEC.shape, SPEC.looks, SPEC.grain)
    power *= 10 ** np.linspace(0.2, -0.2, SPEC.shape[1], dtype=np.float32)  # near to far range
    path = write(folder / "sea.tif", power, names=("VH",), transform=SPEC.geobox.affine,
                 tags={"SCALE": "power", "LOOKS": "4.4"})  # fmt: skip
    return Sea(sar2opt.run(settings(path, folder / "out")), ships)


def test_every_ship_is_found_and_nothing_else(sea: Sea) -> None:
    found = sea.products.anomalies
    assert len(sea.ships) >= 5
    assert len(found) == len(sea.ships)
    for ship in sea.ships.geometry:
        assert found.intersects(ship).sum() == 1


def test_it_says_that_the_scene_is_one_even_surface(sea: Sea) -> None:
    (said,) = [text for text in sea.products.assumptions if text.startswith("bright targets")]
    assert "the scene is one even surface, as open sea is" in said
    assert any("do not rely on its colours and tags" in text for text in sea.products.assumptions)


def test_it_says_which_clutter_it_found(sea: Sea) -> None:
    (said,) = [text for text in sea.products.assumptions if text.startswith("the clutter")]
    assert "bright targets is taken for gamma of 4." in said
    assert "whose brighter half fits best" in said
    for other in ("K", "lognormal", "Weibull"):
        assert f"{other} " in said


def test_the_strongest_echoes_keep_their_rank(sea: Sea) -> None:
    score = sea.products.anomalies["score"]
    assert score.is_monotonic_decreasing
    assert score.nunique() >= len(score) - 1
