"""Change between dates: false alarms as rare as stated, and changes found and dated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import f as fisher

from sar2opt.errors import ConfigError, SceneError
from sar2opt.sar.change import ChangeTest, fit_change_test, local_mean
from sar2opt.sar.change_statistics import (
    change_p,
    false_discovery_rates,
    latest_change,
    textured_p,
    unevenness,
)
from sar2opt.synth.speckle import draw_speckle


def speckle(dates: int, shape: tuple[int, int], looks: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.gamma(looks, 1 / looks, (dates, *shape)).astype(np.float32)


def plain(looks: float, dates: int) -> ChangeTest:
    """A test of single pixels, of known looks and level."""
    return ChangeTest(looks, np.inf, (1.0,) * dates, floor=0.0, noise=0.0, window=1)


def test_two_dates_follow_the_f_distribution_exactly() -> None:
    pair = speckle(2, (1, 50), 3.3)
    ratio = (pair[1] / pair[0]).astype(np.float64)
    two_sided = 2 * np.minimum(fisher.cdf(ratio, 6.6, 6.6), fisher.sf(ratio, 6.6, 6.6))
    np.testing.assert_allclose(plain(3.3, 2)(pair).p, two_sided, rtol=1e-5)


@pytest.mark.parametrize("dates", [2, 3, 6, 21])
@pytest.mark.parametrize("looks", [2, 4.4, 30])
def test_false_alarms_are_as_rare_as_stated(dates: int, looks: float) -> None:
    p = plain(looks, dates)(speckle(dates, (600, 1000), looks)).p
    for rate in (0.5, 0.1, 1e-2, 1e-3, 1e-4):
        expected = rate * p.size
        assert np.count_nonzero(p < rate) == pytest.approx(
            expected, abs=4 * np.sqrt(expected) + 0.05 * expected
        )


@pytest.mark.parametrize("dates", [2, 5])
def test_a_single_look_errs_on_the_side_of_caution(dates: int) -> None:
    p = plain(1, dates)(speckle(dates, (600, 1000), 1)).p
    assert np.mean(p < 1e-3) < 1.2e-3
    assert np.mean(p < 1e-4) < 1.4e-4


@pytest.mark.parametrize("dates", [2, 4])
def test_looks_and_levels_are_found_in_correlated_speckle(dates: int) -> None:
    rng = np.random.default_rng(3)
    truth = np.repeat(10 ** (0.5 * rng.standard_normal((1, 500, 20))), 25, axis=2)
    gains = np.array([2.0, 0.5, 1.0, 1.0])[:dates]
    series = [draw_speckle(rng, (500, 500), 4.4, 1.0) * gain for gain in gains]
    series = (truth * np.stack(series)).astype(np.float32)
    series[-1, :50] *= 10  # a tenth has changed
    test = fit_change_test(series, 3)
    np.testing.assert_allclose(test.gains, gains[-1] / gains, rtol=0.03)
    assert 4.4 < test.looks < 0.9 * 9 * 4.4  # fewer than of as many independent pixels
    p = test(series).p[60:]
    assert 0.5e-2 < np.nanmean(p < 1e-2) < 1.5e-2
    assert np.nanmedian(test(series).p[:49]) < 1e-3
    p = fit_change_test(series[:, 60:], 3)(series[:, 60:]).p
    for rate in (1e-2, 1e-3):
        assert np.nanmean(p < rate) == pytest.approx(rate, rel=0.3)


@pytest.mark.parametrize("texture", [0.4, 3.0, 40.0])
def test_unevenness_under_texture_follows_a_k_law(texture: float) -> None:
    rng = np.random.default_rng(1)
    here = rng.gamma(texture, 1 / texture, 400_000)
    uneven = here * unevenness(rng.gamma(20, 1 / 20, (5, 400_000)))
    p = change_p(uneven, 5, 20, texture)
    for rate in (0.5, 0.1, 1e-2, 1e-3, 1e-4):
        expected = rate * p.size
        assert np.count_nonzero(p < rate) == pytest.approx(
            expected, abs=4 * np.sqrt(expected) + 0.05 * expected
        )
    some = uneven[:1000]
    np.testing.assert_allclose(p[:1000], textured_p(some, 5, 20, texture), rtol=1e-2)


@pytest.mark.parametrize("dates", [4, 8])
def test_ground_that_varies_more_in_one_place_than_in_another_raises_no_more_alarms(
    dates: int,
) -> None:
    rng = np.random.default_rng(8)
    looks = 30 / rng.gamma(3, 1 / 3, (40, 40)).repeat(10, axis=0).repeat(10, axis=1)
    series = (rng.gamma(looks, size=(dates, 400, 400)) / looks).astype(np.float32)
    test = fit_change_test(series, 1, 30)
    assert test.texture == pytest.approx(3, rel=0.2)
    assert test.looks == pytest.approx(30, rel=0.05)
    for rate in (1e-2, 1e-3):
        assert 0.7 < np.mean(test(series).p < rate) / rate < 1.3
    even = replace(test, texture=np.inf)
    assert np.mean(even(series).p < 1e-3) / 1e-3 > 5


@pytest.mark.parametrize("dates", [2, 3, 6])
@pytest.mark.parametrize("share", [0.05, 0.4])
def test_a_change_of_much_of_the_scene_is_none_of_its_usual_variation(
    dates: int, share: float
) -> None:
    series = speckle(dates, (300, 300), 4.4)
    series[-1, : int(300 * share)] /= 10
    test = fit_change_test(series, 3)
    np.testing.assert_allclose(test.gains, 1, rtol=0.03)
    assert test.looks == pytest.approx(9 * 4.4, rel=0.1)
    assert np.mean(test(series).p[1 : int(300 * share) - 1, 1:-1] < 1e-6) > 0.99


def test_a_change_is_dated_with_its_levels() -> None:
    series = speckle(6, (40, 40), 40)
    series[4:, :20] *= 10
    series[2:, 20:] /= 4
    change = plain(40, 6)(series)
    assert (change.p < 1e-3).mean() > 0.99
    assert (change.since[:20] == 4).mean() > 0.99
    assert (change.since[20:] == 2).mean() > 0.95
    assert np.mean(change.before) == pytest.approx(1, rel=0.02)
    assert np.mean(change.after[:20]) == pytest.approx(10, rel=0.02)
    assert np.mean(change.after[20:]) == pytest.approx(0.25, rel=0.02)


def test_dates_without_data_are_passed_over() -> None:
    series = np.ones((5, 1, 5), np.float32)
    series[3:] = 8
    series[3, 0, 0] = np.nan  # the change is seen at the next date
    series[:3, 0, 1] = np.nan  # two dates left, of one level
    series[4, 0, 2] = np.nan  # the newest date says nothing
    series[:4, 0, 3] = np.nan  # nothing to compare with
    change = plain(20, 5)(series)
    assert change.since[0].tolist() == [4, 4, 0, 0, 3]
    assert np.isnan(change.p[0]).tolist() == [False, False, True, True, False]
    assert change.p[0, 1] == pytest.approx(1)
    assert change.p[0, 0] == pytest.approx(change_p(unevenness(series[[0, 1, 2, 4], 0, 0]), 4, 20))
    since, before, after = latest_change(series[:, 0, :])
    assert (since[0], before[0], after[0]) == (4, 1, 8)


def test_what_noise_subtraction_left_is_no_change() -> None:
    noise = 0.01
    truth = np.repeat([0.0, 1.0], [60, 140])[:, None]  # calm water, and land
    series = (truth + noise) * speckle(2, (200, 200), 4.4) - noise
    series = np.maximum(series, 0).astype(np.float32)
    p = fit_change_test(series, 3)(series).p
    assert np.nanmean(p[1:58] < 1e-3) < 1e-3
    assert np.nanmean(p[62:] < 1e-2) == pytest.approx(1e-2, rel=0.5)
    series[1, 100:150, 100:150] *= 0.01
    assert np.median(fit_change_test(series, 3)(series).p[100:150, 100:150]) < 1e-6


def test_means_are_of_whole_windows_and_the_same_however_they_are_cut() -> None:
    power = speckle(2, (40, 50), 4)
    power[0, 20, 20] = np.nan
    means = local_mean(power, 5)
    assert np.isnan(means[0]).sum() == 25 + 4 * (40 + 50) - 16
    assert means[1, 10, 10] == pytest.approx(power[1, 8:13, 8:13].mean())
    np.testing.assert_array_equal(local_mean(power[:, 7:30, 3:33], 5)[:, 2:-2, 2:-2],
                                  means[:, 9:28, 5:31])  # fmt: skip
    np.testing.assert_array_equal(local_mean(power, 1), power)
    assert np.isnan(local_mean(power[:, :3], 5)).all()
    with pytest.raises(ConfigError, match="must be odd, 1 to 15"):
        local_mean(power, 4)


def test_rates_of_false_discoveries_are_those_of_benjamini_and_hochberg() -> None:
    rng = np.random.default_rng(4)
    p = np.sort(np.concatenate([rng.random(9000), rng.random(1000) * 1e-3]))
    bins = 10.0 ** (-0.1 * np.arange(60))
    coded = bins[np.clip(np.floor(-10 * np.log10(p)), 0, 59).astype(int)]  # never below p
    counts = [np.count_nonzero(coded == one) for one in bins]
    rates = false_discovery_rates(counts, bins)
    assert (np.diff(rates) <= 0).all()
    for share in (0.01, 0.1):
        passed = np.flatnonzero(coded <= share * np.arange(1, p.size + 1) / p.size)
        threshold = coded[passed.max()]
        assert bins[rates <= share].max() == pytest.approx(threshold)
        flagged = p <= threshold
        assert 800 < flagged.sum() < 1300
    assert (false_discovery_rates([100, 0, 0], bins[:3]) == 1).all()


def test_flags_are_false_as_seldom_as_stated() -> None:
    series = speckle(2, (500, 500), 15, seed=8)
    series[1, :50] *= 4
    p = plain(15, 2)(series).p
    bins = 10.0 ** (-0.1 * np.arange(255))
    code = np.minimum(np.floor(-10 * np.log10(p)), 254).astype(int)
    flagged = false_discovery_rates(np.bincount(code.ravel(), minlength=255), bins)[code] <= 0.05
    assert flagged[:50].mean() > 0.7
    assert flagged[50:].sum() / flagged.sum() == pytest.approx(0.05, abs=0.02)


def test_too_little_common_ground_is_refused() -> None:
    series = speckle(2, (40, 40), 4)
    series[0, :30] = np.nan
    with pytest.raises(SceneError, match="only 304 pixels are valid at all dates, and 500"):
        fit_change_test(series, 3)
