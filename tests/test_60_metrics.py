"""Each figure, on images whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sar2opt.training.judging import metrics
from sar2opt.training.judging.features import (
    EncoderEye,
    frechet_distance,
    load_perception,
    why_missing,
)
from sar2opt.training.pairs.pair import Image

SIDE = 128
EVERYWHERE = np.ones((SIDE, SIDE), bool)


def scene(bands: int = 3, seed: int = 0, side: int = SIDE) -> Image:
    """Return soft shapes with a little texture, ``(band, y, x)`` between 0.1 and 0.9."""
    rng = np.random.default_rng(seed)
    coarse = ndimage.gaussian_filter(rng.normal(size=(bands, side, side)), (0, 9, 9))
    fine = ndimage.gaussian_filter(rng.normal(size=(bands, side, side)), (0, 1, 1))
    image = coarse / coarse.std() + 0.3 * fine / fine.std()
    image = 0.1 + 0.8 * (image - image.min()) / np.ptp(image)
    return image.astype(np.float32)


def blurred(image: Image) -> Image:
    return ndimage.gaussian_filter(image, (0, 3, 3))


def shuffled(image: Image) -> Image:
    """Return the image with its cells of 8 x 8 pixels in another order."""
    bands, rows, cols = image.shape
    parts = image.reshape(bands, rows // 8, 8, cols // 8, 8).transpose(1, 3, 0, 2, 4)
    flat = parts.reshape(-1, bands, 8, 8)
    mixed = flat[np.random.default_rng(1).permutation(len(flat))]
    return (
        mixed.reshape(rows // 8, cols // 8, bands, 8, 8)
        .transpose(2, 0, 3, 1, 4)
        .reshape(image.shape)
    )


def test_an_offset_of_a_tenth_is_20_db_and_a_tenth_of_absolute_error() -> None:
    image = scene()
    assert metrics.psnr(image + np.float32(0.1), image) == pytest.approx(20.0, abs=1e-3)
    assert metrics.mae(image + np.float32(0.1), image) == pytest.approx(0.1, abs=1e-6)


def test_a_perfect_image_has_perfect_figures() -> None:
    image, sar = scene(), scene(1, 5)[0]
    found = metrics.figures(image, image, sar)
    assert found["psnr"] == found["psnr_8"] == 100.0
    assert found["ssim"] == pytest.approx(1.0)
    assert found["ssim_8"] == pytest.approx(1.0)
    assert found["mae"] == found["spectrum"] == 0.0
    assert found["spectral_angle"] == pytest.approx(0.0, abs=0.05)
    assert found["layout"] == pytest.approx(1.0)
    assert found["layout_green_red"] == pytest.approx(1.0)
    assert found["sharpness"] == 1.0
    assert found["copy_ratio"] > 50


def test_ssim_is_that_of_the_formula_on_flat_images() -> None:
    low, high = (np.full((1, 32, 32), value, np.float32) for value in (0.2, 0.6))
    c1 = 0.01**2  # without texture only the comparison of the means is left (Wang 2004, eq. 6)
    expected = (2 * 0.2 * 0.6 + c1) / (0.2**2 + 0.6**2 + c1)
    assert metrics.ssim(low, high) == pytest.approx(expected, rel=1e-4)
    assert np.isnan(metrics.ssim(low[:, :8], high[:, :8]))


def test_the_angle_between_red_and_yellow_is_45_degrees_at_any_brightness() -> None:
    red, yellow = np.zeros((3, 4, 4), np.float32), np.zeros((3, 4, 4), np.float32)
    red[0], yellow[:2] = 0.9, 0.3
    assert metrics.spectral_angle(red, yellow) == pytest.approx(45.0, abs=1e-3)
    assert metrics.spectral_angle(red, 0.5 * red) == pytest.approx(0.0, abs=0.05)
    assert np.isnan(metrics.spectral_angle(red[:1], yellow[:1]))
    assert np.isnan(metrics.spectral_angle(red, 0 * red))


def test_layout_is_one_for_a_blurred_copy_and_near_zero_for_a_shuffled_one() -> None:
    image = scene()
    soft = metrics.layout(0.5 * blurred(image) + np.float32(0.2), image)
    assert set(soft) == {"layout", "layout_red", "layout_green", "layout_blue", "layout_green_red"}
    assert min(soft.values()) > 0.97
    assert abs(metrics.layout(shuffled(image), image)["layout"]) < 0.1
    assert metrics.layout(1 - image, image)["layout_red"] == pytest.approx(-1.0)
    assert metrics.layout(image[:1], image[:1]) == pytest.approx({"layout": 1, "layout_grey": 1})


def test_a_flat_output_has_no_layout_and_a_flat_target_asks_for_none() -> None:
    image, flat = scene(), np.full((3, SIDE, SIDE), 0.5, np.float32)
    assert metrics.layout(flat, image)["layout"] == 0.0
    assert np.isnan(metrics.layout(image, flat)["layout"])


def test_figures_after_averaging_do_not_mind_fine_noise() -> None:
    image = scene()
    noise = np.random.default_rng(0).normal(0, 0.1, image.shape).astype(np.float32)
    found = metrics.figures(image + noise, image, image[0])
    # 64 pixels average 18 dB of noise away
    assert found["psnr_8"] - found["psnr"] == pytest.approx(18.06, abs=0.5)
    assert found["ssim_8"] > found["ssim"] + 0.1


def test_blur_lacks_sharpness_and_noise_has_too_much() -> None:
    image = scene()
    noisy = image + np.random.default_rng(0).normal(0, 0.1, image.shape).astype(np.float32)
    assert metrics.sharpness(blurred(image), image) < 0.7
    assert metrics.sharpness(noisy, image) > 1.5
    assert metrics.sharpness(np.float32(0.5) * image, image) == pytest.approx(0.5)
    assert np.isnan(metrics.sharpness(image, 0 * image))


def test_a_gain_moves_the_spectrum_by_its_decibels_and_blur_by_more() -> None:
    image = scene()
    half = metrics.spectrum_distance(np.float32(0.5) * image, image)
    assert half == pytest.approx(20 * np.log10(2), abs=0.3)
    assert metrics.spectrum_distance(blurred(image), image) > half


def test_the_copy_ratio_exposes_what_copies_its_input() -> None:
    target, sar = scene(seed=1), scene(1, seed=2)
    copying = metrics.copy_ratio(np.float32(0.4) * sar, target, sar[0])  # whatever its tone
    half = metrics.copy_ratio((target + sar) / np.float32(2), target, sar[0])
    perfect = metrics.copy_ratio(target, target, sar[0])
    unrelated = metrics.copy_ratio(scene(seed=3), target, sar[0])
    assert copying == pytest.approx(0.0, abs=1e-3)
    assert copying < half < perfect
    assert unrelated == pytest.approx(1.0, abs=0.25)
    assert np.isnan(metrics.copy_ratio(0 * target, target, sar[0]))


def test_what_lies_where_there_is_no_backscatter_counts_for_nothing() -> None:
    target, output = scene(seed=1), blurred(scene(seed=1))
    sar = scene(1, seed=2)[0]
    sar[:, :37] = np.nan
    expected = metrics.figures(output, target, sar)
    assert np.isfinite(list(expected.values())).all()
    wrong, strange = output.copy(), target.copy()
    wrong[:, :, :37], strange[:, :, :37] = np.nan, 0.0
    assert metrics.figures(wrong, strange, sar) == pytest.approx(expected)
    nothing = metrics.figures(output, target, np.full_like(sar, np.nan))
    assert np.isnan([nothing[name] for name in nothing if name != "spectrum"]).all()


def test_the_perceptual_distance_grows_with_what_is_wrong() -> None:
    eye, image = EncoderEye(), scene()
    same, soft, other = (
        eye.distance(seen, image, EVERYWHERE) for seen in (image, blurred(image), scene(seed=4))
    )
    assert same == pytest.approx(0.0, abs=1e-6)
    assert 0.01 < soft < other


def test_features_are_averaged_over_whole_windows_with_data() -> None:
    eye, image = EncoderEye(), scene(side=200)  # three windows and a rest
    valid = np.ones((200, 200), bool)
    assert eye.embed(image, valid).shape == (9, 80)
    valid[70, 70] = False  # in the middle one
    assert eye.embed(image, valid).shape == (8, 80)
    assert eye.embed(image[:, :48, :61], valid[:48, :61]).shape == (1, 80)
    assert eye.embed(image[:, :5, :5], valid[:5, :5]).size == 0


def test_the_frechet_distance_is_that_of_two_normal_distributions() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0, 1, (20_000, 3)), rng.normal(0, 1, (20_000, 3)) * 2 + [3, 0, 0]
    # (3)^2 + 3 * (2 - 1)^2, for independent features
    assert frechet_distance(ours, theirs) == pytest.approx(12.0, rel=0.03)
    assert frechet_distance(ours, ours) == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(frechet_distance(ours[:5], theirs))


def test_what_is_not_on_the_machine_is_skipped_with_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("empty")))
    found = load_perception()
    assert set(found.skipped) == {"LPIPS", "DISTS", "FID"}
    assert set(found.compare) == {"lite0_perceptual"}
    assert set(found.embed) == {"lite0_frechet"}
    assert "not installed" in why_missing("FID") or "not on this machine" in why_missing("FID")
