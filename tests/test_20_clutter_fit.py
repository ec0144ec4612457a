"""The law of clutter is told from the scene, and the false-alarm rate is the one asked for."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from sar2opt.errors import ConfigError
from sar2opt.sar.clutter import ca_cfar, ca_cfar_factor, ring_cells
from sar2opt.sar.clutter_fit import FEWEST, clutter_ratios, correlated_pixels, fit_clutter
from sar2opt.sar.clutter_laws import LAWS, Law, fit_law, log_cumulants
from sar2opt.synth.speckle import draw_speckle

RING = {"guard": 4, "background": 9}
CLUTTER = (
    ("gamma", (4.4,)),
    ("gamma", (20.0,)),
    ("k", (4.4, 4.0)),
    ("k", (1.0, 2.0)),
    ("lognormal", (0.5,)),
    ("weibull", (1.5,)),
    ("weibull", (0.8,)),
)


def draw(name, shapes, size, seed):
    """Return independent clutter, of no particular level."""
    rng = np.random.default_rng(seed)
    match name:
        case "gamma":
            power = rng.gamma(shapes[0], 1, size)
        case "k":
            power = rng.gamma(shapes[0], 1, size) * rng.gamma(shapes[1], 1, size)
        case "lognormal":
            power = np.exp(shapes[0] * rng.standard_normal(size))
        case _:
            power = rng.weibull(shapes[0], size)
    return (0.01 * power).astype(np.float32)


def ratios(power, factor=8.0):
    settings = {"factor": factor, "background_max": 10 * float(np.nanmean(power))}
    return clutter_ratios(power, **RING, **settings)


@cache
def fitted(name, shapes):
    return fit_clutter(ratios(draw(name, shapes, (4, 256, 256), seed=1)), RING["background"])[0]


@pytest.mark.parametrize(("name", "shapes"), CLUTTER)
def test_the_law_that_made_the_clutter_wins(name, shapes) -> None:
    fit = fitted(name, shapes)
    assert fit.law.name == name
    assert fit.distance < 0.003
    assert [other for other, _ in fit.others] == [law for law in LAWS if law != name]
    found = [fit.law.shape, fit.law.texture][: len(shapes)]
    assert sorted(found) == pytest.approx(sorted(shapes), rel=0.15)


@pytest.mark.parametrize(("name", "shapes"), CLUTTER)
def test_the_false_alarm_rate_is_the_nominal_one(name, shapes) -> None:
    power = draw(name, shapes, (1500, 2000), seed=2)
    law, level = fitted(name, shapes).law, 10 * float(power.mean())
    for rate in (1e-3, 1e-4):
        factor = law.factor(rate)
        found = ca_cfar(power, **RING, factor=factor, background_max=level) > 1
        assert rate / 1.5 < found.mean() < rate * 1.5
    if name != "gamma":  # what the number of looks promises is not met
        factor = ca_cfar_factor(1e-4, 4.4, ring_cells(**RING))
        assert (ca_cfar(power, **RING, factor=factor, background_max=level) > 1).mean() > 5e-4


def test_neighbours_that_repeat_one_another_change_nothing_but_the_count() -> None:
    rng = np.random.default_rng(3)
    power = np.stack([draw_speckle(rng, (256, 256), 4.4, grain=0.8) for _ in range(4)])
    fit, independent = fit_clutter(ratios(power), RING["background"])
    assert fit is not None
    assert fit.law.name == "gamma"
    assert fit.law.shape == pytest.approx(4.4, rel=0.05)
    assert 3 < power.size / independent < 12
    alone = rng.gamma(4.4, 1, (2, 100, 100))
    assert correlated_pixels(alone) == pytest.approx(1, abs=0.05)


def test_targets_are_not_clutter() -> None:
    power = draw("gamma", (4.4,), (4, 256, 256), seed=4)
    rng = np.random.default_rng(5)
    for window in power:
        for y, x in rng.integers(0, 250, (6, 2)):
            window[y : y + 2, x : x + 5] *= rng.uniform(5, 100)
    fit, _ = fit_clutter(ratios(power), RING["background"])
    assert fit is not None
    assert fit.law.name == "gamma"
    assert fit.law.factor(1e-6) == pytest.approx(Law("gamma", 1, 4.4).factor(1e-6), rel=0.06)


def test_no_data_and_shores_are_left_out() -> None:
    power = draw("gamma", (4.4,), (4, 256, 256), seed=6)
    power[:, 100:110, 50:60] = np.nan
    power[0, 3, 3] = 0.0
    power[1, :, 128:] *= 1000  # land
    dark = clutter_ratios(power, **RING, factor=8.0, background_max=0.1)
    assert np.isnan(dark[:, 100:110, 50:60]).all()
    assert np.isnan(dark[1, :, 128:]).all()
    assert np.isfinite(dark[2:]).mean() > 0.9
    fit, _ = fit_clutter(dark, RING["background"])
    assert fit is not None
    assert fit.law.name == "gamma"
    assert fit.law.shape == pytest.approx(4.4, rel=0.05)


def test_of_too_few_pixels_no_law_is_told() -> None:
    few = draw("gamma", (4.4,), (1, 60, 60), seed=7)
    fit, independent = fit_clutter(ratios(few), RING["background"])
    assert fit is None
    assert 0 < independent < FEWEST
    for nothing in (np.full((1, 60, 60), np.nan, np.float32), np.empty((0, 9, 9), np.float32)):
        settings = {"factor": 8.0, "background_max": 1.0}
        assert fit_clutter(clutter_ratios(nothing, **RING, **settings), 9) == (None, 0)


def test_a_filled_area_is_no_clutter() -> None:
    filled = np.full((2, 256, 256), 0.01, np.float32)
    assert fit_clutter(ratios(filled), RING["background"]) == (None, 0)


@pytest.mark.parametrize("second", [1e-3, 0.2, 3.0, 30.0])
@pytest.mark.parametrize("skew", [-5.0, -1.0, 0.0, 2.0])
def test_any_log_cumulants_give_a_law(second, skew) -> None:
    for name in LAWS:
        law = fit_law(name, (0.0, second, skew * second**1.5))
        assert law.scale > 0
        assert law.factor(1e-7) > law.factor(1e-3)


def test_one_law_may_be_asked_for() -> None:
    power = draw("gamma", (4.4,), (2, 256, 256), seed=8)
    for name in LAWS:
        fit, _ = fit_clutter(ratios(power), RING["background"], (name,))
        assert fit is not None
        assert fit.law.name == name
    with pytest.raises(ConfigError, match="unknown clutter 'rice'"):
        fit_law("rice", (0.0, 1.0, 0.0))


@pytest.mark.parametrize(
    "law",
    [
        Law("gamma", 1.1, 4.4),
        Law("k", 1.0, 4.4, 4.0),
        Law("k", 0.9, 1.0, 0.3),
        Law("k", 1.0, 4.4, 9000.0),
        Law("lognormal", 0.9, 0.5),
        Law("weibull", 1.1, 0.8),
    ],
)
def test_tail_factor_and_log_cumulants_of_a_law_agree(law) -> None:
    rates = (0.9, 0.5, 1e-3, 1e-7)
    factors = [law.factor(rate) for rate in rates]
    np.testing.assert_allclose(law.tail(factors), rates, rtol=1e-6)
    assert law.tail(0.0) == pytest.approx(1)
    assert law.tail(1e6) < 1e-9
    # the law's quantiles, as a sample without chance
    shares = (np.arange(4000) + 0.5) / 4000
    grid = np.geomspace(1e-12, 1e3, 40000)
    again = fit_law(law.name, log_cumulants(np.interp(shares, 1 - law.tail(grid), grid)))
    assert again.factor(1e-3) == pytest.approx(law.factor(1e-3), rel=0.1)
    assert law.name[1:] in str(law).lower()


def test_a_gamma_law_is_that_of_cfar_with_a_large_ring() -> None:
    assert Law("gamma", 1.0, 4.4).factor(1e-6) == pytest.approx(
        ca_cfar_factor(1e-6, 4.4, 10**6), rel=1e-3
    )
    with pytest.raises(ConfigError, match="between 0 and 1"):
        Law("gamma", 1.0, 4.4).factor(0.0)
