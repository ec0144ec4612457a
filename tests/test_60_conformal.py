"""Trust keeps what it promises on data like those it was calibrated on, and only on those."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sar2opt.training.judging.conformal import (
    PERCENT,
    PlaceScores,
    coverage,
    coverage_table,
    fit_quantiles,
    half_width,
    score,
    trust,
)


def places(rng: np.random.Generator, count: int, hardness: float = 1.0) -> list[np.ndarray]:
    """Return the scores of places: each has its own difficulty and its own number of pixels."""
    return [
        rng.laplace(0, hardness * rng.uniform(0.6, 1.5), rng.integers(50, 500)).__abs__()
        for _ in range(count)
    ]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), nominal=st.sampled_from([50, 80, 90]))
def test_coverage_on_exchangeable_places_is_within_the_sampling_error(
    seed: int, nominal: int
) -> None:
    rng = np.random.default_rng(seed)
    width = fit_quantiles(places(rng, 300))[nominal]
    found = coverage(places(rng, 300), width)
    # both the fit and the check are means over 300 places; five errors of their difference
    assert abs(found.share - nominal / 100) < 5 * np.sqrt(2) * found.error
    assert found.places == 300


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_coverage_on_the_calibration_places_is_nominal_by_definition(seed: int) -> None:
    own = places(np.random.default_rng(seed), 40)
    for nominal in (50, 90):
        assert coverage(own, fit_quantiles(own)[nominal]).share == pytest.approx(
            nominal / 100, abs=1e-3
        )


def test_coverage_fails_where_places_are_harder_than_those_of_calibration() -> None:
    rng = np.random.default_rng(0)
    width = fit_quantiles(places(rng, 300))[90]
    assert coverage(places(rng, 300, hardness=2.0), width).share < 0.75


def test_a_large_place_does_not_outvote_small_ones() -> None:
    easy, hard = np.linspace(0, 1, 100_000), np.linspace(10, 11, 100)
    quantiles = fit_quantiles([easy, hard])
    assert quantiles[49] < 1 < 10 <= quantiles[51]
    assert coverage([easy, hard], 5.0).share == 0.5
    with pytest.raises(ValueError, match="no scores"):
        fit_quantiles([np.zeros(0)])


def test_quantiles_and_half_width_are_those_of_a_laplace_distribution() -> None:
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.01, 0.2, (200, 500))
    scores = score(rng.laplace(0, scale), scale)
    quantiles = fit_quantiles(list(scores))
    assert len(quantiles) == 101
    assert quantiles[90] == pytest.approx(-np.log(0.1), rel=0.03)
    assert half_width(np.array([0.1]), quantiles) == pytest.approx(0.23, rel=0.03)


def test_trust_is_the_share_of_errors_below_tolerance_and_falls_with_the_scale() -> None:
    rng = np.random.default_rng(0)
    quantiles = fit_quantiles([np.abs(rng.laplace(0, 1, 100_000))])
    scale = np.geomspace(1e-4, 10, 200)
    found = trust(scale, quantiles, 0.1)
    assert found == pytest.approx(100 * (1 - np.exp(-0.1 / scale)), abs=0.7)
    assert (np.diff(found) <= 0).all()
    assert found[0] == 100
    assert 0 <= found[-1] < 2
    assert np.isnan(trust(np.array([np.nan]), quantiles, 0.1)).all()
    assert list(PERCENT) == list(range(101))


def test_the_table_tells_sources_and_fifths_of_backscatter_apart() -> None:
    rng = np.random.default_rng(0)
    made = []
    for number in range(60):
        dark = rng.uniform(-3, 1, 400)
        wide = 1.0 + (dark < -2.2)  # the darkest fifth is twice as wrong as predicted
        source = "sea" if number < 20 else "land"
        gain = 1.5 if source == "sea" else 1.0
        made.append(PlaceScores(source, str(number), rng.exponential(gain * wide), dark))
    table = coverage_table(made, -np.log(0.1))
    assert table["all"].places == 60
    assert table["source sea"].places == 20
    assert table["source sea"].share < 0.8 < table["source land"].share
    darkest, *others = (table[name].share for name in table if name.startswith("backscatter"))
    assert len(others) == 4
    assert darkest < min(others) - 0.1
    assert np.mean([darkest, *others]) == pytest.approx(table["all"].share, abs=0.01)


def test_a_place_counts_in_a_fifth_by_its_share_there() -> None:
    bright, dark = np.full(1000, 0.0), np.full(1000, -2.0)
    mostly_bright = np.where(np.arange(1000) < 5, -2.0, 0.0)
    made = [
        PlaceScores("a", "1", np.zeros(1000), dark),
        PlaceScores("a", "2", np.where(mostly_bright < -1, 9.0, 0.0), mostly_bright),
        PlaceScores("a", "3", np.zeros(1000), bright),
    ]
    table = coverage_table(made, 1.0)
    assert table["backscatter fifth 1, darkest"].share == pytest.approx(1 / 1.005)
