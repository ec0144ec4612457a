"""Crops: from where they are drawn, and how they are varied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated_pairs import simulated_pairs

from sar2opt.errors import ConfigError
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.crops import AugmentSettings, CropSampler
from sar2opt.training.pairs.pair import Pair


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return simulated_pairs()


def sampler(
    pairs: list[Pair], *, smooth: tuple[str, ...] = (), augment: AugmentSettings | None = None
) -> CropSampler:
    weights = dict.fromkeys((pair.source for pair in pairs), 1.0)
    return CropSampler(
        pairs, weights, smooth, NormalisationSettings(), augment or AugmentSettings(), 64,
        np.random.default_rng(0),
    )  # fmt: skip


def test_crops_are_of_training_places_and_of_all_sources(pairs: list[Pair]) -> None:
    drawn = sampler(pairs)
    train = {pair.name for pair in pairs if pair.split == "train"}
    crops = [drawn.draw() for _ in range(60)]
    assert {crop.name for crop in crops} <= train
    assert {crop.look for crop in crops} == {"natural", "grey", "vivid"}
    assert all(crop.sar.shape == (1, 64, 64) and crop.target.shape == (3, 64, 64) for crop in crops)


def test_a_source_without_training_pairs_is_refused(pairs: list[Pair]) -> None:
    with pytest.raises(ConfigError, match="no training pairs of nowhere: the set has sim_grey"):
        CropSampler(
            pairs, {"nowhere": 1.0}, (), NormalisationSettings(), AugmentSettings(), 64,
            np.random.default_rng(0),
        )  # fmt: skip


def test_speckle_is_put_on_smooth_sources_in_power_and_keeps_its_mean(pairs: list[Pair]) -> None:
    flat = np.full((400, 400), -10.0, np.float32)
    drawn = sampler(pairs, smooth=("sim_vivid",), augment=AugmentSettings(speckle=1.0))
    power = 10.0 ** (drawn._speckled(flat, smooth=True) / 10.0)
    assert power.mean() == pytest.approx(0.1, rel=0.01)
    assert 4.0 / 1.2 < power.mean() ** 2 / power.var() < 60.0  # looks, grain included


def test_filtering_averages_power_not_decibels(pairs: list[Pair]) -> None:
    rng = np.random.default_rng(3)
    decibel = (10.0 * np.log10(rng.gamma(4.0, 0.25, (300, 300)))).astype(np.float32)
    drawn = sampler(pairs, augment=AugmentSettings(filtered=1.0))
    power = 10.0 ** (drawn._speckled(decibel, smooth=False) / 10.0)
    assert power.mean() == pytest.approx(1.0, rel=0.02)
    assert power.std() < 0.25  # was 0.5


def test_crops_hold_data_where_much_of_a_chip_is_blank(pairs: list[Pair]) -> None:
    train = next(pair for pair in pairs if pair.split == "train")
    decibel = train.decibel.copy()
    decibel[:, : decibel.shape[1] // 2] = np.nan
    drawn = sampler([replace(train, decibel=decibel)], augment=AugmentSettings(hole=0.0))
    shares = [np.isfinite(drawn.draw().sar).mean() for _ in range(40)]
    assert np.quantile(shares, 0.1) >= 0.45


def test_a_chip_without_data_does_not_stop_the_draw(pairs: list[Pair]) -> None:
    train = next(pair for pair in pairs if pair.split == "train")
    blank = replace(train, decibel=np.full_like(train.decibel, np.nan))
    assert np.isnan(sampler([blank]).draw().sar).all()
