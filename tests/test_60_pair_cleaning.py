"""What makes a pair unfit, how far its images lie apart, and which pairs share ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pair_files import chip, landscape
from scipy import ndimage

from sar2opt.errors import PairsError
from sar2opt.training.pairs.cleaning import CleaningSettings, luminance, why_unfit
from sar2opt.training.pairs.leakage import blank_shared, check_leakage
from sar2opt.training.pairs.likeness import Overlap, equal_pairs, find_overlaps
from sar2opt.training.pairs.pair import Ground, Pair
from sar2opt.training.pairs.registration import estimate_field, estimate_shift, move, warp

LIMITS = CleaningSettings()


def test_fit_pairs_are_fit() -> None:
    assert [why_unfit(chip(y, 128), LIMITS) for y in (0, 128, 256)] == ["", "", ""]


def test_a_cloud_is_found_but_a_small_one_is_not() -> None:
    pair = chip(0, 0)
    y, x = np.mgrid[0:128, 0:128]
    for radius, reason in ((70, "cloud or snow"), (20, "")):
        veil = np.clip(1.5 - np.hypot(y - 60, x - 60) / radius, 0, 1)
        cloudy = (pair.optical * (1 - veil) + 235 * veil).astype(np.uint8)
        assert why_unfit(replace(pair, optical=cloudy), LIMITS) == reason


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: replace(p, optical=np.maximum(p.optical, 255)), "saturated optical image"),
        (lambda p: replace(p, optical=p.optical * 0), "black optical image"),
        (lambda p: replace(p, decibel=np.where(np.arange(128) < 80, np.nan, p.decibel)),
         "too little data"),
        (lambda p: replace(p, decibel=np.random.default_rng(0).normal(-20, 2, p.decibel.shape)),
         "flat SAR"),
    ],
)  # fmt: skip
def test_unfit_pairs_are_told_apart(spoil: object, reason: str) -> None:
    assert why_unfit(spoil(chip(128, 128)), LIMITS) == reason  # type: ignore[operator]


def laid_apart(dy: float, dx: float, side: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Return SAR and luminance, the latter displaced: it shows (0, 0) at (dy, dx)."""
    pair = chip(64, 64, side=side)
    return pair.decibel.astype(np.float32), ndimage.shift(luminance(pair.optical), (dy, dx))


@pytest.mark.parametrize(("dy", "dx"), [(0, 0), (3, -2), (-4, 4), (0, 3), (-7, 1)])
def test_a_planted_displacement_is_found(dy: int, dx: int) -> None:
    shift, own = estimate_shift(*laid_apart(dy, dx)), estimate_shift(*laid_apart(0, 0))
    assert shift
    assert own  # of the simulated terrain, half a pixel: slopes lie toward the radar
    assert shift.significant
    assert (shift.dy - own.dy, shift.dx - own.dx) == pytest.approx((dy, dx), abs=0.3)
    assert shift.whole == ((round(shift.dy), round(shift.dx)) if dy or dx else (0, 0))


def test_half_a_pixel_is_left_and_another_place_is_not_believed() -> None:
    half = estimate_shift(*laid_apart(0.6, 0.0))
    assert half
    assert half.whole == (0, 0)
    decibel, _ = laid_apart(0, 0)
    for other in (5, 9, 23):
        _, optical = landscape(seed=other + 100)
        wrong = estimate_shift(decibel, luminance(optical[:, 64:320, 64:320]))
        assert wrong
        assert not wrong.significant
        assert wrong.whole == (0, 0)


def test_what_cannot_be_compared_gives_none() -> None:
    decibel, grey = laid_apart(0, 0)
    assert estimate_shift(decibel[:64, :64], grey[:64, :64]) is None
    assert estimate_shift(np.full_like(decibel, np.nan), grey) is None
    assert estimate_shift(decibel, np.zeros_like(grey)) is None


def test_moving_back_undoes_a_displacement() -> None:
    image = np.arange(60).reshape(1, 6, 10)
    moved = move(move(image, 2, -3, 0), -2, 3, 0)
    np.testing.assert_array_equal(moved[:, 2:, :7], image[:, 2:, :7])
    assert (move(image, 1, 0, -1)[0, -1] == -1).all()


def test_a_displacement_that_varies_is_found_and_taken_out() -> None:
    pair = chip(0, 0, side=640)
    y, x = np.mgrid[0:640, 0:640].astype(np.float32)
    bent = [
        ndimage.map_coordinates(
            band.astype(np.float32), [y - 1.0, x - 3.0 + 5.0 * x / 640], order=1, mode="nearest"
        )
        for band in pair.optical
    ]
    spoilt = np.stack(bent).astype(np.uint8)
    decibel = pair.decibel.astype(np.float32)
    field = estimate_field(decibel, luminance(spoilt))
    assert field
    corrected, inside = warp(spoilt, field)
    inner = np.zeros_like(inside)
    inner[20:-20, 20:-20] = True
    true, before, after = (luminance(image)[inner] for image in (pair.optical, spoilt, corrected))
    assert np.abs(after - true).mean() < 0.6 * np.abs(before - true).mean()
    for window in ((slice(0, 320), slice(0, 320)), (slice(320, 640), slice(320, 640))):
        left = estimate_shift(decibel[window], luminance(corrected)[window])
        assert left
        assert left.length < 1.0


def test_overlapping_chips_are_found_with_their_displacement() -> None:
    pairs = [chip(0, 0), chip(64, 0, "half"), chip(64, 64, "quarter"), chip(256, 256)]
    assert [o for o in find_overlaps(pairs) if o.first == 0] == [
        Overlap(0, 1, 64, 0), Overlap(0, 2, 64, 64),
    ]  # fmt: skip
    assert not any(3 in (o.first, o.second) for o in find_overlaps(pairs))


def test_a_stretch_of_its_own_hides_no_near_duplicate() -> None:
    pair = chip(128, 128)
    again = replace(
        pair, name="x", optical=(pair.optical * 0.7 + 40).astype(np.uint8), look="grey",
        decibel=pair.decibel + np.float16(3),
    )  # fmt: skip
    assert find_overlaps([pair, again]) == [Overlap(0, 1, 0, 0)]
    assert not list(equal_pairs([pair, again]))
    assert list(equal_pairs([pair, replace(pair, optical=again.optical)])) == [(0, 1)]


def test_shared_ground_leaves_the_training_side_and_only_that() -> None:
    pairs = [chip(64, 64, "train"), chip(64, 128, "test", "test"), chip(128, 64, "val", "val")]
    with pytest.raises(PairsError, match="leakage"):
        check_leakage(pairs)
    parted = blank_shared(pairs, find_overlaps(pairs))
    check_leakage(parted)
    train, test, val = (np.isfinite(pair.decibel) for pair in parted)
    assert test.all()
    assert not train[:, 64:].any()
    assert not train[64:].any()
    assert train[:50, :50].all()
    assert not val[:64, 64:].any()
    assert val[72:, :].all()
    assert (parted[0].optical[:, ~train] == 0).all()


def held_out(**changes: object) -> Pair:
    return replace(chip(256, 256, "b", "test"), **changes)  # type: ignore[arg-type]


GRID = (10.0, 0.0, 500000.0, 0.0, -10.0, 4400000.0)
BESIDE = (10.0, 0.0, 500000.0 + 1280.0, 0.0, -10.0, 4400000.0)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (chip(0, 0, "a"), held_out(place="a"), "place 'a'"),
        (chip(0, 0, "a"), held_out(optical=chip(0, 0).optical), "the very same pixels"),
        (chip(0, 0, "a"), held_out(decibel=chip(0, 64).decibel), "displaced by 0, 64 pixels"),
        (
            chip(0, 0, "a", ground=Ground("EPSG:32633", GRID)),
            held_out(ground=Ground("EPSG:32633", (10.0, 0.0, 500400.0, 0.0, -10.0, 4400300.0))),
            "the same ground",
        ),
        (  # zone 32 lies 6 degrees west: the same place has another easting there
            chip(0, 0, "a", ground=Ground("EPSG:32633", GRID)),
            held_out(ground=Ground("EPSG:3857", (14.0, 0.0, 1669792.0, 0.0, -14.0, 4830000.0))),
            "the same ground",
        ),
    ],
)  # fmt: skip
def test_the_leakage_check_can_fail(first: Pair, second: Pair, said: str) -> None:
    with pytest.raises(PairsError, match=said):
        check_leakage([first, second])
    check_leakage([first, replace(second, split="train")])


def test_blocks_that_touch_share_no_ground_and_those_that_overlap_lose_it() -> None:
    near = chip(0, 0, "a", ground=Ground("EPSG:32633", GRID))
    check_leakage([near, held_out(ground=Ground("EPSG:32633", BESIDE))])
    over = held_out(ground=Ground("EPSG:32633", (10.0, 0.0, 501000.0, 0.0, -10.0, 4400000.0)))
    parted = blank_shared([near, over], [])
    check_leakage(parted)
    lost = np.isnan(parted[0].decibel)
    assert lost[2:-2, 102:].all()
    assert not lost[:, :98].any()
    assert parted[1] is over
