"""Open water in the training: found, drawn more often, roughened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated_pairs import simulated_pairs

from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.crops import AugmentSettings, CropSampler
from sar2opt.training.pairs.pair import Pair
from sar2opt.training.water import open_water, roughened

NORM = NormalisationSettings()
SEA = (slice(0, 128), slice(0, 256))


@pytest.fixture(scope="module")
def coast() -> Pair:
    """A pair whose upper half is calm, blue sea; a dark, brown field lies in the lower half."""
    pair = next(p for p in simulated_pairs() if p.split == "train" and p.look == "natural")
    decibel = np.full((256, 256), -8.0, np.float16)
    decibel[SEA] = decibel[180:220, 20:60] = -22.0
    optical = np.zeros((3, 256, 256), np.uint8) + np.array([120, 110, 90], np.uint8)[:, None, None]
    optical[:, *SEA] = np.array([40, 70, 110], np.uint8)[:, None, None]
    return replace(pair, decibel=decibel, optical=optical, levels=(-8.0,), tone=((1.0, 0.0),) * 3)


def sampler(pair: Pair, **augment: float) -> CropSampler:
    still = {"gain_db": 0.0, "contrast": 0.0, "filtered": 0.0, "clipped": 0.0, "hole": 0.0}
    return CropSampler(
        [pair], {pair.source: 1.0}, (), NORM, AugmentSettings(**{**still, **augment}), 64,
        np.random.default_rng(0),
    )  # fmt: skip


def test_open_water_is_dark_to_radar_and_blue(coast: Pair) -> None:
    water = open_water(coast, NORM)
    assert water[8:-8][:112].mean() > 0.95
    assert not water[136:].any()
    assert not open_water(replace(coast, look="vivid"), NORM).any()


def test_wind_raises_water_alone_and_keeps_its_speckle(coast: Pair) -> None:
    decibel = coast.decibel.astype(np.float32)
    decibel += np.random.default_rng(1).normal(0, 2, decibel.shape).astype(np.float32)
    raised = roughened(decibel, open_water(coast, NORM), 5.0) - decibel
    np.testing.assert_allclose(raised[20:100, 20:-20], 5.0, atol=1e-4)
    np.testing.assert_allclose(raised[150:], 0.0, atol=1e-4)


def test_water_is_drawn_as_often_as_asked_and_in_all_winds(coast: Pair) -> None:
    drawn = sampler(coast, water=1.0, wind_db=7.0)
    crops = [drawn.draw() for _ in range(60)]
    levels = np.array([np.median(crop.sar) for crop in crops])
    assert np.mean([crop.target[2].mean() > crop.target[0].mean() for crop in crops]) > 0.9
    assert levels.min() == pytest.approx(-1.4, abs=0.01)
    assert levels.max() > -0.9
    assert 0.3 < np.mean(levels < -1.39) < 0.7  # calm, half of the time


def test_without_water_nothing_is_looked_for(coast: Pair) -> None:
    plain = sampler(replace(coast, look="vivid"), water=0.5, wind_db=7.0)
    assert plain.draw().sar.shape == (1, 64, 64)
