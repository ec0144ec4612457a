"""Units of backscatter: conversion, and what unlabelled numbers are taken for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from sar2opt.errors import UnitsError
from sar2opt.sar.radiometry import (
    KNOWN_SCALES,
    check_scale,
    infer_scale,
    measure_speckle,
    to_db,
    to_power,
)

DATA = Path(os.environ.get("SAR2OPT_DATA", Path(__file__).parents[2] / "shared" / "data"))


def country(looks: float, level_db: float = -12.0, seed: int = 0) -> np.ndarray:
    """Return power ``(256, 256)``: fields of 16 pixels, 3.5 dB apart, with gamma speckle."""
    rng = np.random.default_rng(seed)
    fields = level_db + 3.5 * rng.standard_normal((16, 16))
    mean = 10 ** (np.kron(fields, np.ones((16, 16))) / 10)
    return mean * rng.gamma(looks, 1 / looks, mean.shape)


def stored(power: np.ndarray, scale: str) -> np.ndarray:
    """Return ``power`` as a file in ``scale`` would hold it."""
    amplitude, decibel = np.sqrt(power), 10 * np.log10(power)
    return {
        "power": power,
        "amplitude": amplitude,
        "dB": decibel,
        "display-amplitude": np.clip(amplitude / np.quantile(amplitude, 0.99) * 255, 1, 255),
        "display-dB": np.clip((decibel + 25) / 25 * 255, 0, 255),
    }[scale].astype("uint8" if scale.startswith("display") else "float32")


@pytest.mark.parametrize(
    ("scale", "value", "power"),
    [
        ("power", 0.25, 0.25),
        ("power", -1e-4, 0.0),
        ("amplitude", 0.5, 0.25),
        ("amplitude", -0.5, 0.0),
        ("dB", -20.0, 0.01),
        ("dB", -np.inf, 0.0),
        ("display-amplitude", 255, 1.0),
        ("display-amplitude", 51, 0.04),
        ("display-dB", 255, 1.0),
        ("display-dB", 0, 10**-2.5),
    ],
)
def test_values_become_power(scale: str, value: float, power: float) -> None:
    result = to_power(np.array([[value]]), scale)
    assert result.dtype == np.float32
    assert result[0, 0] == pytest.approx(power, rel=1e-5)


@pytest.mark.parametrize("scale", KNOWN_SCALES)
def test_no_data_stays_no_data(scale: str) -> None:
    assert np.isnan(to_power(np.array([np.nan, 1.0]), scale)).tolist() == [True, False]


def test_whole_numbers_do_not_wrap() -> None:
    assert to_power(np.array([65535], np.uint16), "amplitude")[0] == pytest.approx(65535.0**2)


def test_what_float32_cannot_hold_is_no_data() -> None:
    assert np.isnan(to_power(np.array([500.0]), "dB"))
    assert np.isnan(to_power(np.array([1e30]), "amplitude"))


def test_unknown_scale_names_the_known_ones() -> None:
    with pytest.raises(UnitsError, match="unknown scale 'decibel': choose one of power, amplitude"):
        to_power(np.zeros(1), "decibel")


@given(st.floats(-49, 60, width=32))
def test_db_and_back(decibel: float) -> None:
    power = to_power(np.array([decibel], np.float32), "dB")
    assert to_db(power)[0] == pytest.approx(decibel, abs=1e-4)


def test_db_of_nothing_is_the_floor() -> None:
    result = to_db(np.array([0.0, 1e-9, np.nan], np.float32))
    assert result[:2] == pytest.approx([-50, -50])
    assert np.isnan(result[2])
    assert to_db(np.array([0.0], np.float32), floor=0.1)[0] == pytest.approx(-10)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(KNOWN_SCALES), st.data())
def test_a_crop_converts_to_the_same_bits(scale: str, data: st.DataObject) -> None:
    values = stored(country(4.4), scale)
    row, col = data.draw(st.integers(0, 200)), data.draw(st.integers(0, 200))
    height, width = data.draw(st.integers(1, 56)), data.draw(st.integers(1, 56))
    crop = (slice(row, row + height), slice(col, col + width))
    np.testing.assert_array_equal(to_power(values, scale)[crop], to_power(values[crop], scale))


@pytest.mark.parametrize("scale", KNOWN_SCALES)
@pytest.mark.parametrize("looks", [3, 4.4, 8])
def test_scale_is_told_from_speckle(scale: str, looks: float) -> None:
    values = stored(country(looks), scale)
    told, reason = infer_scale(values, values.dtype)
    assert told == scale
    assert reason


def test_level_does_not_matter_to_digital_numbers() -> None:
    amplitude = (np.sqrt(country(4.4)) * 800).astype(np.uint16)
    assert infer_scale(amplitude, amplitude.dtype)[0] == "amplitude"
    assert infer_scale(amplitude.astype(np.float32), np.float32)[0] == "amplitude"


def test_8_bit_values_kept_as_floats_are_still_8_bit() -> None:
    values = stored(country(4.4), "display-amplitude").astype(np.float32)
    assert infer_scale(values, np.float32)[0] == "display-amplitude"


def test_no_data_in_a_sample_is_left_out() -> None:
    values = stored(country(4.4), "amplitude")
    values[:100] = np.nan
    assert infer_scale(values, np.float32)[0] == "amplitude"


def test_speckle_is_measured() -> None:
    flat = np.random.default_rng(0).gamma(4.4, 1 / 4.4, (512, 512))
    power, amplitude = measure_speckle(flat), measure_speckle(np.sqrt(flat))
    assert power.cv == pytest.approx(1 / np.sqrt(4.4), rel=0.1)
    assert amplitude.cv == pytest.approx(0.5227 / np.sqrt(4.4), rel=0.15)
    assert power.ratio == pytest.approx(2, abs=0.4)
    assert amplitude.ratio == pytest.approx(1, abs=0.3)


RAMP = np.add.outer(np.arange(256), np.arange(256))
UNIFORM = np.random.default_rng(0).random((256, 256))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param(np.full((64, 64), np.nan), "no valid pixel", id="nothing"),
        pytest.param(UNIFORM[:16, :16], "too few valid pixels", id="too few"),
        pytest.param(RAMP + 300, "does not look like SAR", id="terrain"),
        pytest.param((RAMP // 2).astype(np.uint8), "may be amplitude or dB", id="8-bit ramp"),
        pytest.param(1 - 0.2 * UNIFORM**2, "not the speckle", id="coherence"),
        pytest.param((UNIFORM - 0.4) * 6, "both signs", id="both signs"),
        pytest.param((UNIFORM - 0.5) * 2 * np.pi, "a phase", id="phase"),
        pytest.param(np.where(UNIFORM < 0.5, -9999, UNIFORM), "--nodata -9999", id="sentinel"),
        pytest.param(np.sqrt(country(1, -16)), "may be power or amplitude", id="between"),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_cure(values: np.ndarray, message: str) -> None:
    with pytest.raises(UnitsError, match=message) as caught:
        infer_scale(values, values.dtype)
    assert "--scale" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("held", "claimed", "message"),
    [
        ("dB", "power", "look like dB"),
        ("dB", "amplitude", "look like dB"),
        ("dB", "display-dB", "look like dB"),
        ("power", "dB", "too little for dB"),
        ("amplitude", "dB", "too little for dB"),
        ("display-amplitude", "dB", "too much for dB"),
    ],
)
def test_a_wrong_scale_is_refused(held: str, claimed: str, message: str) -> None:
    with pytest.raises(UnitsError, match=message):
        check_scale(stored(country(4.4), held), claimed)


def test_numbers_above_255_are_not_8_bit() -> None:
    with pytest.raises(UnitsError, match="above the 255"):
        check_scale(np.array([1.0, 300.0]), "display-amplitude")


@pytest.mark.parametrize("scale", KNOWN_SCALES)
def test_the_right_scale_passes(scale: str) -> None:
    check_scale(stored(country(4.4), scale), scale)
    check_scale(np.array([np.nan]), scale)


def test_noise_subtraction_may_leave_some_negative_power() -> None:
    check_scale(country(4.4) - 0.01, "power")


def sample(path: Path) -> np.ndarray:
    """Return windows of 128 x 128 pixels of a real raster, NaN where there is no data."""
    with rasterio.open(path) as file:
        rows = range(0, file.height, 128 if file.height < 2000 else 900)
        cols = range(0, file.width, 128 if file.width < 2000 else 900)
        windows = [Window(col, row, 128, 128) for row in rows for col in cols]
        read = [
            file.read(1, window=window, boundless=True, masked=True).astype(float)
            for window in windows
        ]
    return np.stack([np.ma.filled(window, np.nan) for window in read])


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("pattern", "scale"),
    [
        ("scenes/los_angeles_west_s1_vh.tif", "display-amplitude"),
        ("scenes/los_angeles_east_s1_vh.tif", "display-amplitude"),
        ("scenes/san_antonio_s1_vh.tif", "display-amplitude"),
        ("chips/terramind/*_S1RTC.tif", "dB"),
        ("chips/gee_brazil/sen1_*.VV.tif", "dB"),
        ("products/gamma0_db/*_db.tif", "dB"),
        ("products/morocco/amp_*_vv.tif", "amplitude"),
        ("products/grd_with_gcps/2018/7/16/IW/DV/*/measurement/*.tiff", "amplitude"),
        ("pairs/sen12_grey/*/1[0-9]3[0-9]_sar.jpg", "display-dB"),
        ("change/opera_rtc_series/T137-29232*/*_S1A_*_VH.tif", "power"),
    ],
)
def test_real_data(pattern: str, scale: str) -> None:
    paths = sorted(DATA.glob(pattern))[:12]
    if not paths:
        pytest.skip(f"{pattern} is not in {DATA}")
    for path in paths:
        with rasterio.open(path) as file:
            dtype = file.dtypes[0]
        assert infer_scale(sample(path), dtype)[0] == scale, path.name


@pytest.mark.parametrize("name", ["coh_vv.tif", "phi_vv.tif", "dem-b1-*-004.tiff"])
def test_real_data_that_is_not_backscatter(name: str) -> None:
    paths = list((DATA / "products" / "morocco").glob(name))
    if not paths:
        pytest.skip(f"{name} is not in {DATA}")
    with rasterio.open(paths[0]) as file:
        dtype = file.dtypes[0]
    with pytest.raises(UnitsError, match="--scale"):
        infer_scale(sample(paths[0]), dtype)
