"""The table of held-out figures: who is in it, over what it averages, and what it judges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_pairs import NORM, green_of, make_pair

from sar2opt.errors import PairsError
from sar2opt.training.judging.baselines import baselines
from sar2opt.training.judging.calibrate import local_mean, place_scores
from sar2opt.training.judging.conformal import coverage, fit_quantiles
from sar2opt.training.judging.features import load_perception
from sar2opt.training.judging.judge import Row, judge
from sar2opt.training.pairs.pair import BLOCK, GUARD, Ground, Image, Look, Pair, Split


def perfect(sar: Image) -> Image:
    green = green_of(sar)
    return np.stack([1 - green, green, np.full_like(green, 0.2)])


def pairs_of(look: Look = "natural") -> list[Pair]:
    splits: list[Split] = ["train"] * 4 + ["test"] * 3
    return [make_pair(number, split, look) for number, split in enumerate(splits)]


def find(rows: list[Row], method: str, source: str = "all", label: str = "all") -> Row:
    (row,) = [r for r in rows if (r.method, r.source, r.label) == (method, source, label)]
    return row


def test_a_perfect_method_beats_the_baselines_that_are_always_there() -> None:
    rows = judge({"perfect": perfect}, pairs_of(), NORM, "natural")
    assert [row.method for row in rows[:4]] == [
        "perfect", "mean colour", "matched SAR", "SAR as grey"
    ]  # fmt: skip
    best, mean, matched, grey = rows[:4]
    assert {row.source for row in rows} == {"all", "fields"}
    assert {row.images for row in rows} == {3}
    assert best.figures["psnr"] > 50
    assert best.figures["layout"] == pytest.approx(1.0, abs=1e-3)
    assert mean.figures["layout"] == mean.figures["sharpness"] == 0.0
    assert matched.figures["psnr"] < 20  # its red grows with backscatter
    assert matched.figures["layout_red"] < -0.9
    assert grey.figures["layout_green"] > 0.9


def test_baselines_are_fitted_on_training_places_only() -> None:
    pairs = pairs_of()
    bright = [
        replace(pair, optical=np.full_like(pair.optical, 250)) if pair.split == "test" else pair
        for pair in pairs
    ]
    sar = pairs[-1].sar(NORM)
    for name, method in baselines(pairs, "natural", NORM).items():
        assert np.array_equal(method(sar), baselines(bright, "natural", NORM)[name](sar))


def test_the_mean_colour_is_the_mean_of_the_targets_sources_weighing_the_same() -> None:
    many = [make_pair(n, "train", source="many") for n in range(6)]
    one = replace(make_pair(9, "train", source="one"))
    white = replace(one, optical=np.full_like(one.optical, 255))
    colour = baselines([*many, white], "natural", NORM)["mean colour"](np.zeros((4, 4), np.float32))
    assert colour.shape == (3, 4, 4)
    assert colour[2] == pytest.approx((0.2 + 1.0) / 2, abs=1e-3)


def test_figures_are_averaged_by_image_source_and_class() -> None:
    pairs = [
        *pairs_of(),
        make_pair(20, "test", source="town", label="roofs"),
        make_pair(21, "test", source="town", label="parks"),
    ]
    rows = judge({"half": lambda sar: perfect(sar) / 2}, pairs, NORM, "natural")
    alone = [
        judge({"half": lambda sar: perfect(sar) / 2}, [*pairs[:4], pair], NORM, "natural")[0]
        for pair in pairs[4:]
    ]
    means = [row.figures["psnr"] for row in alone]
    assert find(rows, "half").figures["psnr"] == pytest.approx(np.mean(means))
    assert find(rows, "half", "town").figures["psnr"] == pytest.approx(np.mean(means[3:]))
    assert find(rows, "half", "town", "roofs").figures["psnr"] == pytest.approx(means[3])
    assert find(rows, "half", "town", "parks").images == 1


def test_the_grey_look_is_judged_on_grey_and_apart_on_luminance() -> None:
    pairs = [*pairs_of("grey"), *(replace(p, source="colour") for p in pairs_of())]
    rows = judge({"green": lambda sar: green_of(sar)[None], "rgb": perfect}, pairs, NORM, "grey")
    assert {row.source for row in rows} == {
        "all", "fields", "all, luminance", "colour, luminance"
    }  # fmt: skip
    assert find(rows, "green").figures["psnr"] > 50
    assert find(rows, "rgb").figures["psnr"] < 30  # the grey target is not its luminance
    assert find(rows, "rgb", "all, luminance").figures["psnr"] > 50
    assert find(rows, "rgb").images == 3


def test_a_block_is_judged_in_its_inner_part() -> None:
    ground = Ground("EPSG:32633", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0))
    block = replace(make_pair(30, "test", source="scene", side=BLOCK), ground=ground)

    def wrong_at_the_rim(sar: Image) -> Image:
        image = perfect(sar)
        if len(sar) == BLOCK:
            image[:, :GUARD] = 0
        return image

    rows = judge({"net": wrong_at_the_rim}, [*pairs_of(), block], NORM, "natural")
    assert find(rows, "net", "scene").figures["psnr"] > 50


def test_features_are_compared_over_all_images_of_a_row() -> None:
    pairs = [make_pair(n, "train", side=256) for n in range(2)]
    pairs += [make_pair(n, "test", side=256, label=str(n)) for n in range(10, 20)]
    rows = judge({"perfect": perfect}, pairs, NORM, "natural", perception=load_perception())
    ours, mean = find(rows, "perfect").figures, find(rows, "mean colour").figures
    assert 0 <= ours["lite0_frechet"] < 0.05 * mean["lite0_frechet"]
    assert ours["lite0_perceptual"] < 0.1 < mean["lite0_perceptual"]
    one = find(rows, "perfect", "fields", "10")  # 16 windows say nothing of 80 features
    assert np.isnan(one.figures["lite0_frechet"])


def test_a_set_without_the_split_or_the_look_is_refused() -> None:
    with pytest.raises(PairsError, match="'val' holds no pairs of the look 'natural'"):
        judge({}, pairs_of(), NORM, "natural", split="val")
    with pytest.raises(PairsError, match="no pairs of the look 'vivid'"):
        judge({}, pairs_of(), NORM, "vivid")
    with pytest.raises(PairsError, match="no training pairs"):
        judge({}, pairs_of()[4:], NORM, "natural")


def test_scores_of_a_net_that_knows_its_error_cover_what_they_promise() -> None:
    pairs = [make_pair(n, "val" if n < 40 else "test") for n in range(80)]

    def paint(sar: Image) -> tuple[Image, Image]:
        rng = np.random.default_rng(round(1e6 * float(sar.mean())) % 2**32)
        scale = (0.02 + 0.05 * green_of(sar)).astype(np.float32)
        return perfect(sar) + rng.laplace(0, scale).astype(np.float32), scale

    calibration = place_scores(paint, pairs, NORM, "natural", "val")
    assert len(calibration) == 40
    assert calibration[0].scores.shape == (13 * 13,)
    quantiles = fit_quantiles([place.scores for place in calibration])
    assert quantiles[90] == pytest.approx(-np.log(0.1), rel=0.08)
    test = place_scores(paint, pairs, NORM, "natural", "test")
    assert 0.88 < coverage([place.scores for place in test], quantiles[90]).share < 0.92


def test_pairs_of_one_place_make_one_place_and_no_data_is_left_out() -> None:
    twins = [replace(make_pair(n, "val"), place="same") for n in range(2)]
    twins[0].decibel[:32] = np.nan
    (place,) = place_scores(
        lambda sar: (perfect(sar), np.ones_like(sar)), twins, NORM, "natural", "val"
    )
    assert place.scores.shape == (13 * 7 + 13 * 13,)
    assert np.isfinite(place.backscatter).all()


def test_the_local_mean_is_over_pixels_with_data() -> None:
    sar = np.full((40, 40), -1.0, np.float32)
    sar[:, 20:] = np.nan
    assert local_mean(sar)[:, :20] == pytest.approx(-1.0, abs=1e-4)
