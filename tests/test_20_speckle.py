"""The speckle filter: what it does, and that tiles do not show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sar2opt.errors import ConfigError
from sar2opt.sar.speckle import lee, lee_margin


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


@given(st.data(), st.sampled_from([3, 5, 9]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_tile_with_margin_gives_the_same_bits(
    data: st.DataObject, window: int, holes: bool
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    power = 10 ** rng.uniform(-6, 6, (2, 90, 110)).astype(np.float32)  # running sums would show
    if holes:
        power[power > 1000] = np.nan
    row, col = data.draw(st.integers(0, 80)), data.draw(st.integers(0, 100))
    height, width = data.draw(st.integers(1, 90 - row)), data.draw(st.integers(1, 110 - col))
    margin = lee_margin(window)
    top, left = max(row - margin, 0), max(col - margin, 0)
    tile = power[:, top : row + height + margin, left : col + width + margin]
    inner = lee(tile, window, 4.4)[:, row - top :, col - left :][:, :height, :width]
    whole = lee(power, window, 4.4)[:, row : row + height, col : col + width]
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
        lee_margin(window)
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
    assert max(abs(rows - 20).max(), abs(cols - 20).max()) == lee_margin(7) == 3
