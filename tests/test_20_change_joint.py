"""Change told from two polarisations together: its false alarms, its power, and how it is cut."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sar2opt.errors import SceneError
from sar2opt.sar.change import fit_change_test
from sar2opt.sar.change_joint import JointTest, fit_joint_test, joint_p
from sar2opt.sar.change_statistics import joint_latest_change, latest_change

SHAPE = (300, 400)
LEVELS = (0.1, 0.02)


def series(dates: int, *, nature_db: float = 0.0, seed: int = 1) -> np.ndarray:
    """Speckle of 4.4 looks ``(polarisation, date, y, x)``, and what both bands share of nature."""
    rng = np.random.default_rng(seed)
    shared = 10 ** (nature_db / 10 * rng.normal(size=(dates, *SHAPE)))
    bands = [shared * rng.gamma(4.4, level / 4.4, (dates, *SHAPE)) for level in LEVELS]
    return np.stack(bands).astype(np.float32)


def test_fishers_statistic_has_its_own_distribution() -> None:
    p = np.random.default_rng(2).uniform(size=(2, 200_000))
    joint = joint_p(-2 * np.log(p).sum(axis=0))
    truth = stats.combine_pvalues(p[:, 0]).pvalue
    assert joint[0] == pytest.approx(truth)
    assert stats.kstest(joint, "uniform").pvalue > 0.01


@pytest.mark.parametrize("dates", [2, 5])
def test_where_nothing_changed_alarms_are_as_many_as_stated(dates: int) -> None:
    power = series(dates)
    test = fit_joint_test(list(power))
    assert (test.scale, test.shape) == pytest.approx((2.0, 2.0), rel=0.03)
    p = test(power).p
    p = p[np.isfinite(p)]
    for nominal in (1e-2, 1e-3):
        assert 0.6 < (p < nominal).mean() / nominal < 1.5


def test_what_the_bands_share_of_nature_is_allowed_for() -> None:
    power = series(2, nature_db=1.5)
    test = fit_joint_test(list(power))
    assert test.shape < 1.95
    rates = [
        (one(power).p < 1e-3)[1:-1, 1:-1].mean() / 1e-3 for one in (test, JointTest(test.tests))
    ]
    assert rates[0] < 1.7
    assert rates[0] < 0.85 * rates[1]  # as if they were independent


def test_two_bands_see_what_one_cannot() -> None:
    power = series(2)
    power[:, 1, 100:130, 100:130] *= 10**0.4  # 4 dB
    field = (slice(102, 128), slice(102, 128))
    joint = fit_joint_test(list(power))(power).p[field]
    for band in range(2):
        alone = fit_change_test(power[band])(power[band]).p[field]
        assert np.median(joint) < 0.2 * np.median(alone)


def test_levels_are_means_of_decibels_and_the_date_is_that_of_both() -> None:
    power = series(4)
    power[0, 2:, 50:70, 50:70] *= 10
    power[1, 2:, 50:70, 50:70] *= 100
    test = fit_joint_test(list(power))
    change = test(power)
    field = (slice(52, 68), slice(52, 68))
    assert (change.since[field] == 2).mean() > 0.95
    rise = 10 * np.log10(change.after[field] / change.before[field])
    assert np.median(rise) == pytest.approx(15, abs=0.5)
    assert test.level_db == pytest.approx(
        np.mean([10 * np.log10(level) for level in LEVELS]), abs=0.3
    )


def test_the_result_is_the_same_however_the_scene_is_cut() -> None:
    power = series(3)
    power[0, 2, 120:140, 10:30] = np.nan
    test = fit_joint_test(list(power))
    whole, cut = test(power), test(power[:, :, 100:180, 20:90])
    inner = (slice(101, 179), slice(21, 89))
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(one[inner], other[1:-1, 1:-1])
    assert np.isnan(whole.p[122:138, 12:28]).all()  # the newest date has no data there


def test_the_date_of_one_series_is_that_of_all_of_it() -> None:
    means = np.random.default_rng(5).gamma(9, 1 / 9, (6, 20, 30))
    means[3, 4] = np.nan
    since, before, after = latest_change(means)
    twice = joint_latest_change([means, means], [3.0, 5.0])
    np.testing.assert_array_equal(since, twice[0])
    np.testing.assert_array_equal(before, twice[1][1])
    np.testing.assert_array_equal(after, twice[2][0])


def test_too_little_common_ground_is_refused() -> None:
    power = series(2)
    power[1, 0, :, 3:] = np.nan
    with pytest.raises(SceneError, match="give scenes that overlap more"):
        fit_joint_test(list(power))
