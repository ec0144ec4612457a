"""CA-CFAR: the promised false-alarm rate, the same answer on any tile, no data left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sar2opt.errors import ConfigError
from sar2opt.sar.clutter import ca_cfar, ca_cfar_factor, ring_cells


def clutter(shape, looks, seed, mean=1.0):
    power = np.random.default_rng(seed).gamma(looks, mean / looks, shape)
    return power.astype(np.float32)


def by_hand(power, guard, background, factor, background_max):
    """The definition, pixel by pixel, in float64."""
    ratio = np.full(power.shape, np.nan)
    cells = ring_cells(guard, background)
    for y, x in np.ndindex(power.shape):
        dy, dx = np.indices(power.shape) - np.array([y, x])[:, None, None]
        far = np.maximum(np.abs(dy), np.abs(dx))
        ring = power[(far > guard) & (far <= background)].astype(np.float64)
        ring = ring[ring <= factor * background_max]  # false for NaN
        if 4 * len(ring) >= cells and 0 < ring.mean() <= background_max:
            ratio[y, x] = power[y, x] / (factor * ring.mean())
    return ratio


def test_the_factor_is_the_tail_of_an_f_distribution() -> None:
    assert ring_cells(1, 2) == 25 - 9
    for looks, cells, rate in [(1, 16, 1e-2), (4.4, 1320, 1e-3), (10, 80, 1e-5)]:
        factor = ca_cfar_factor(rate, looks, cells)
        assert stats.f.sf(factor, 2 * looks, 2 * looks * cells) == pytest.approx(rate, rel=1e-6)
    # the classical law for one look, and many cells: exponential clutter of known mean
    assert ca_cfar_factor(1e-9, 1, 32) == pytest.approx(32 * (1e-9 ** (-1 / 32) - 1), rel=1e-9)
    assert ca_cfar_factor(1e-9, 1, 10**7) == pytest.approx(-np.log(1e-9), rel=1e-4)


@pytest.mark.parametrize("looks", [1, 4.4])
def test_the_false_alarm_rate_is_the_nominal_one(looks) -> None:
    power = clutter((1200, 1600), looks, seed=7)
    cells = ring_cells(4, 9)
    for rate in (1e-3, 1e-4):
        factor = ca_cfar_factor(rate, looks, cells)
        ratio = ca_cfar(power, guard=4, background=9, factor=factor, background_max=2.0)
        tested = np.isfinite(ratio)
        assert tested.all()
        assert rate / 1.5 < (ratio > 1).mean() < rate * 1.5


@given(
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    st.integers(0, 2),
    st.integers(1, 3),
    st.integers(0, 2**32),
)
@settings(max_examples=25, deadline=None)
def test_it_computes_its_definition(shape, guard, wider, seed) -> None:
    power = clutter(shape, 1, seed)
    power[np.random.default_rng(seed).random(shape) < 0.2] = np.nan
    options = {"guard": guard, "background": guard + wider, "factor": 3.0, "background_max": 1.1}
    ratio = ca_cfar(power, **options)
    assert ratio.dtype == np.float32
    np.testing.assert_allclose(ratio, by_hand(power, **options), rtol=1e-5)


@given(
    st.integers(0, 2**32),
    st.sampled_from([1e-6, 1.0, 1e9]),
    st.tuples(st.integers(0, 40), st.integers(0, 40)),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.floats(0, 0.6),
)
@settings(max_examples=60, deadline=None)
def test_a_tile_with_its_margin_gives_the_bits_of_the_whole(seed, unit, at, size, gaps) -> None:
    rng = np.random.default_rng(seed)
    power = clutter((50, 60), 1, seed, mean=unit) * rng.choice([1, 1, 1, 300], (50, 60))
    power = power.astype(np.float32)
    power[rng.random(power.shape) < gaps] = np.nan
    options = {"guard": 2, "background": 5, "factor": 4.0, "background_max": 30 * unit}
    whole = ca_cfar(power, **options)
    (y, x), (high, wide) = at, size
    top, left = max(y - 5, 0), max(x - 5, 0)
    tile = ca_cfar(power[top : y + high + 5, left : x + wide + 5], **options)
    tile = tile[y - top :, x - left :][:high, :wide]
    np.testing.assert_array_equal(tile, whole[y : y + high, x : x + wide], strict=True)


def test_it_looks_as_far_as_the_background_window_and_no_farther() -> None:
    power = clutter((41, 41), 4, seed=1)
    options = {"guard": 2, "background": 6, "factor": 5.0, "background_max": 3.0}
    before = ca_cfar(power, **options)
    power[20, 20] += 0.5
    changed = ca_cfar(power, **options) != before
    assert np.isfinite(before).all()
    y, x = np.nonzero(changed)
    assert (y.min(), y.max(), x.min(), x.max()) == (14, 26, 14, 26)
    assert not changed[18:20, 18:23].any()  # the guard window


def test_no_data_stays_where_it_is() -> None:
    power = clutter((60, 60), 4, seed=2)
    power[10, 30] = np.nan
    power[:, 45:] = np.nan
    ratio = ca_cfar(power, guard=2, background=6, factor=5.0, background_max=3.0)
    np.testing.assert_array_equal(np.isnan(ratio), np.isnan(power))
    # all around a pixel is missing: not tested rather than detected
    power[:] = np.nan
    power[30, 30] = 1e6
    assert np.isnan(ca_cfar(power, guard=2, background=6, factor=5.0, background_max=3.0)).all()
    lone = ca_cfar(power, guard=2, background=6, factor=5.0, background_max=3.0, min_cells=0)
    assert np.isnan(lone).all()


def test_ships_are_found_on_the_sea_and_roofs_in_the_city_are_not() -> None:
    power = clutter((200, 300), 4.4, seed=3, mean=0.01)
    power[:, 150:] *= 30  # a city
    power[np.random.default_rng(0).random(power.shape) < 0.02] *= 20  # ... and its roofs
    power[:, :150] = clutter((200, 150), 4.4, seed=4, mean=0.01)
    power[50:52, 60:63] = 2.0
    power[55:58, 60:63] = 2.0  # in the ring of the other
    cells = ring_cells(4, 10)
    factor = ca_cfar_factor(1e-7, 4.4, cells)
    options = {"guard": 4, "background": 10, "factor": factor}
    ratio = ca_cfar(power, **options, background_max=0.05)
    found = np.zeros(power.shape, bool)
    found[50:52, 60:63] = found[55:58, 60:63] = True
    np.testing.assert_array_equal(ratio > 1, found)
    # two targets in one ring do not raise each other's background
    assert ratio[50, 61] == pytest.approx(2.0 / (factor * 0.01), rel=0.1)
    assert np.isnan(ratio[:, 175:]).all()


@pytest.mark.parametrize("odd", [0.0, -1.0, np.inf, 1e38])
def test_odd_values_are_no_trouble(odd) -> None:
    power = clutter((30, 30), 4, seed=5)
    power[15, 15] = odd
    ratio = ca_cfar(power, guard=1, background=4, factor=5.0, background_max=3.0)
    assert (ratio[15, 15] > 1) == (odd > 1)
    assert not (np.delete(ratio.ravel(), 15 * 30 + 15) > 1).any()
    assert np.isnan(
        ca_cfar(0 * power[:9, :9], guard=1, background=4, factor=5.0, background_max=3.0)
    ).all()


@pytest.mark.parametrize(
    "wrong", [{"guard": 5}, {"background": 300}, {"factor": 0.0}, {"background_max": np.nan}]
)
def test_settings_out_of_range_are_refused(wrong) -> None:
    options = {"guard": 2, "background": 5, "factor": 5.0, "background_max": 1.0} | wrong
    with pytest.raises(ConfigError, match="CA-CFAR"):
        ca_cfar(np.ones((9, 9), np.float32), **options)
    with pytest.raises(ConfigError, match="false_alarm"):
        ca_cfar_factor(0.0, 4.4, 100)
