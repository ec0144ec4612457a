"""The speckle filter: what it does, and that tiles do not show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sar2opt.config import DESPECKLE
from sar2opt.errors import ConfigError
from sar2opt.sar.speckle import FILTERS, SpeckleFilter, lee, refined_lee
from sar2opt.sar.speckle.lee_sigma import sigma_range


def speckled(shape: tuple[int, ...], seed: int = 0, looks: float = 4.4) -> np.ndarray:
    return np.random.default_rng(seed).gamma(looks, 0.1 / looks, shape).astype(np.float32)


def lee_by_hand(power: np.ndarray, window: int, looks: float) -> np.ndarray:
    """Return Lee's estimate, pixel by pixel, as the paper has it."""
    margin = window // 2
    result = np.full(power.shape, np.nan)
    for row, col in np.argwhere(np.isfinite(power)):
        around = power[
            max(row - margin, 0) : row + margin + 1, max(col - margin, 0) : col + margin + 1
        ].astype(np.float64)
        mean, variance = np.nanmean(around), np.nanvar(around)
        scene = max((variance - mean**2 / looks) / (1 + 1 / looks), 0)
        gain = scene / variance if variance > 0 else 0
        result[row, col] = mean + gain * (power[row, col] - mean)
    return result


@given(st.integers(0, 1000), st.sampled_from([3, 5, 7]), st.floats(0, 0.5))
@settings(max_examples=20, deadline=None)
def test_it_is_lees_filter(seed: int, window: int, share_missing: float) -> None:
    power = speckled((17, 13), seed)
    power[np.random.default_rng(seed).random(power.shape) < share_missing] = np.nan
    np.testing.assert_allclose(
        lee(power, window, 4.4), lee_by_hand(power, window, 4.4), rtol=1e-5, atol=1e-9
    )


@given(st.data(), st.sampled_from(sorted(FILTERS)), st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_tile_with_margin_gives_the_same_bits(
    data: st.DataObject, name: str, holes: bool
) -> None:
    despeckle = SpeckleFilter(name)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    power = 10 ** rng.uniform(-6, 6, (2, 90, 110)).astype(np.float32)  # running sums would show
    if holes:
        power[power > 1000] = np.nan
    row, col = data.draw(st.integers(0, 80)), data.draw(st.integers(0, 100))
    height, width = data.draw(st.integers(1, 90 - row)), data.draw(st.integers(1, 110 - col))
    margin = despeckle.margin
    top, left = max(row - margin, 0), max(col - margin, 0)
    tile = power[:, top : row + height + margin, left : col + width + margin]
    inner = despeckle(tile)[:, row - top :, col - left :][:, :height, :width]
    whole = despeckle(power)[:, row : row + height, col : col + width]
    np.testing.assert_array_equal(inner, whole)


def test_padding_with_no_data_changes_nothing() -> None:
    power = speckled((40, 40))
    padded = np.pad(power, 6, constant_values=np.nan)
    np.testing.assert_array_equal(lee(padded, 5, 4.4)[6:-6, 6:-6], lee(power, 5, 4.4))


def test_no_data_stays_and_does_not_bleed() -> None:
    power = np.full((20, 20), 0.1, np.float32)
    power[5:9, 5:9] = np.nan
    filtered = lee(power, 5, 4.4)
    np.testing.assert_array_equal(np.isnan(filtered), np.isnan(power))
    assert filtered[np.isfinite(filtered)] == pytest.approx(0.1)


def test_speckle_goes_and_the_mean_stays() -> None:
    power = speckled((400, 400))
    filtered = lee(power, 7, 4.4)
    assert filtered.mean() == pytest.approx(power.mean(), rel=0.01)
    looks_after = filtered.mean() ** 2 / filtered.var()
    assert looks_after > 10 * 4.4


def test_an_edge_and_a_bright_target_stay() -> None:
    power = speckled((60, 60), looks=50)
    power[:, 30:] *= 100
    power[20, 10] = 50
    filtered = lee(power, 5, 50)
    assert filtered[20, 10] > 45
    assert filtered[:, 29].max() < 0.5
    assert filtered[:, 30].min() > 5


def test_power_never_becomes_negative() -> None:
    assert lee(speckled((200, 200), looks=1), 9, 1).min() >= 0


def test_empty_and_all_missing_tiles_pass() -> None:
    assert lee(np.empty((0, 5), np.float32), 5, 4.4).shape == (0, 5)
    assert np.isnan(lee(np.full((4, 4), np.nan, np.float32), 5, 4.4)).all()


@pytest.mark.parametrize("window", [-1, 0, 1, 4])
def test_an_even_window_is_refused(window: int) -> None:
    with pytest.raises(ConfigError, match="must be odd"):
        SpeckleFilter("lee", window)
    with pytest.raises(ConfigError, match="must be odd"):
        lee(speckled((8, 8)), window, 4.4)


@pytest.mark.parametrize("looks", [0, -1, np.nan])
def test_looks_must_be_positive(looks: float) -> None:
    with pytest.raises(ConfigError, match="must be positive"):
        lee(speckled((8, 8)), 5, looks)


def test_margin_is_the_reach() -> None:
    power = np.full((41, 41), 0.1, np.float32)
    changed = power.copy()
    changed[20, 20] = 9
    rows, cols = np.nonzero(lee(power, 7, 4.4) != lee(changed, 7, 4.4))
    assert max(abs(rows - 20).max(), abs(cols - 20).max()) == SpeckleFilter("lee", 7).margin == 3


def test_the_settings_know_all_filters() -> None:
    assert set(DESPECKLE) == {"none", *FILTERS}


@pytest.mark.parametrize("name", FILTERS)
def test_each_keeps_the_mean_and_no_data(name: str) -> None:
    power = speckled((300, 300))
    power[40:50, 60:90] = np.nan
    filtered = SpeckleFilter(name)(power)
    np.testing.assert_array_equal(np.isnan(filtered), np.isnan(power))
    # the most probable scene lies below the mean: gamma-MAP loses 1.5 % with 5 x 5 pixels
    assert np.nanmean(filtered) == pytest.approx(
        np.nanmean(power), rel=0.02 if name == "gamma-map" else 0.01
    )
    assert np.nanmean(power / filtered) == pytest.approx(1, abs=0.015)
    assert np.nanmean(filtered) ** 2 / np.nanvar(filtered) > 40


@pytest.mark.parametrize("name", FILTERS)
def test_a_constant_stays(name: str) -> None:
    power = np.full((30, 30), 0.1, np.float32)
    assert SpeckleFilter(name)(power) == pytest.approx(power)


def test_refined_lee_keeps_a_slanted_edge_sharp() -> None:
    rows, cols = np.indices((80, 80))
    truth = np.where(rows > cols, 1, 0.1)
    noisy = (truth * speckled((80, 80), looks=10) / 0.1).astype(np.float32)
    beside = np.isin(rows - cols, (0, 1, -1, 2))
    errors = [np.abs(smooth - truth)[beside].mean() / np.abs(noisy - truth)[beside].mean()
              for smooth in (refined_lee(noisy, 10), lee(noisy, 7, 10))]  # fmt: skip
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.parametrize(
    ("share", "low", "high", "deviation"),
    [(0.5, 0.436, 1.920, 0.4057), (0.8, 0.168, 3.094, 0.6966), (0.9, 0.084, 3.941, 0.8191)],
)
def test_the_sigma_range_is_that_of_the_paper(
    share: float, low: float, high: float, deviation: float
) -> None:
    found = sigma_range(1, share)
    assert (found.low, found.high, found.variance**0.5) == pytest.approx(
        (low, high, deviation), rel=0.01
    )


def test_lee_sigma_keeps_a_bright_cluster() -> None:
    power = speckled((40, 40))
    power[20:23, 20:23] = 30
    assert SpeckleFilter("lee-sigma")(power)[20:23, 20:23] == pytest.approx(30)


def test_unknown_names_and_other_windows_of_refined_lee_are_refused() -> None:
    with pytest.raises(ConfigError, match="choose one of boxcar"):
        SpeckleFilter("median")
    with pytest.raises(ConfigError, match="and no other"):
        SpeckleFilter("refined-lee", 5)
