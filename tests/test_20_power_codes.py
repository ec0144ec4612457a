"""Backscatter in a byte serves both the picture and the mean over an object."""

from __future__ import annotations

import numpy as np
import pytest

from sar2opt.sar.normalise import NormalisationSettings, fit_normalisation, to_grey
from sar2opt.sar.power_codes import encode_power, mean_db, power_of_codes, summable


def test_power_is_packed_within_its_range() -> None:
    code = encode_power(np.array([np.nan, 0, 1e-9, 1.0, 1e9]), 0.0)
    assert code.tolist() == [0, 1, 1, 165, 255]
    one = np.array([1])
    assert mean_db(summable(code[3:4]), one, 0.0) == pytest.approx(0.0, abs=0.08)
    assert np.isnan(mean_db(summable(code[:1]), one, 0.0)).all()


def test_every_code_is_that_of_its_own_power() -> None:
    power = power_of_codes(-10.0)
    assert np.isnan(power[0])
    np.testing.assert_array_equal(encode_power(power, -10.0), np.arange(256))


@pytest.mark.parametrize("level_db", [-25.0, 3.0])
def test_codes_show_what_power_shows_to_a_grey_level(level_db: float) -> None:
    power = 10 ** (np.linspace(level_db - 60, level_db + 40, 100_001, dtype=np.float32) / 10)
    norm = fit_normalisation(power, NormalisationSettings(quantile=0.6))
    assert norm.level_db == pytest.approx(level_db)
    grey = to_grey(power_of_codes(norm.level_db), norm)
    assert grey[0] == 0
    packed = grey[encode_power(power, norm.level_db)].astype(int)
    assert np.abs(packed - to_grey(power, norm)).max() <= 1


@pytest.mark.parametrize("below_db", [30.0, 25.0, 5.0, -15.0])
def test_the_mean_over_an_object_of_fifty_pixels_holds_to_a_tenth(below_db: float) -> None:
    power = 10 ** (-below_db / 10) * np.random.default_rng(5).gamma(4.4, 1 / 4.4, (200, 50))
    totals = summable(encode_power(power, 0.0)).sum(axis=1)
    means = mean_db(totals, np.full(200, 50), 0.0)
    np.testing.assert_allclose(means, 10 * np.log10(power.mean(axis=1)), atol=0.1)
