"""Where bright targets are looked for: below land, and all over a sea that knows no land."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sar2opt.sar.ground import find_ground, speckle_spread_db
from sar2opt.sar.normalise import NormalisationSettings, fit_normalisation

SHAPE = (400, 500)
SETTINGS = NormalisationSettings()


def ground(mean, looks=4.4, seed=3):
    """The ground of a scene of this mean power under speckle, and the scene's level."""
    power = mean * np.random.default_rng(seed).gamma(looks, 1 / looks, SHAPE)
    norm = fit_normalisation(power.astype(np.float32), SETTINGS)
    return find_ground(norm, SETTINGS.quantile, looks, dark_db=5, even_db=1.5), norm.level_db


def sea(across_db=0.0):
    """Mean power of a sea that darkens from near range to far range."""
    return 10 ** ((-22 + np.linspace(across_db / 2, -across_db / 2, SHAPE[1])) / 10)


@pytest.mark.parametrize("looks", [1, 4.4, 20])
def test_the_spread_of_speckle_is_that_of_a_gamma_law(looks) -> None:
    draws = np.random.default_rng(1).gamma(looks, 1 / looks, 400_000)
    low, high = np.quantile(draws, (0.1, 0.75))
    assert speckle_spread_db(looks, 0.1, 0.75) == pytest.approx(10 * np.log10(high / low), abs=0.1)
    exact = stats.gamma.ppf(0.75, looks) / stats.gamma.ppf(0.1, looks)
    assert speckle_spread_db(looks, 0.1, 0.75) == pytest.approx(10 * np.log10(exact))


@pytest.mark.parametrize("looks", [1, 4.4, 20])
def test_one_even_surface_is_looked_at_as_a_whole(looks) -> None:
    found, level = ground(sea(), looks)
    assert found.even
    assert found.spread_db == pytest.approx(found.speckle_db, abs=0.1)
    assert found.highest_db == level + 1.5
    assert found.highest_db > -22 + 1  # every ring of the sea, with room for swell


def test_a_sea_that_darkens_with_the_incidence_angle_is_even_all_the_same() -> None:
    found, _ = ground(sea(6.0))
    assert found.even
    assert np.mean(10 * np.log10(sea(6.0)) < found.highest_db) > 0.95


def test_ships_and_an_island_do_not_make_a_sea_uneven_and_are_not_looked_at() -> None:
    mean = np.broadcast_to(sea(), SHAPE).copy()
    mean[50:60, 50:60] = 10.0
    mean[200:, 360:] = 0.1  # 14 % land
    found, _ = ground(mean)
    assert found.even
    assert -22 < found.highest_db < -15


def test_land_is_not_looked_at_however_little_or_much_there_is() -> None:
    for share in (0.3, 0.5, 0.8, 1.0):
        fields = -12 + 3.5 * np.random.default_rng(5).standard_normal((8, 10))
        mean = 10 ** (np.kron(fields, np.ones((50, 50))) / 10)
        mean[:, round(share * SHAPE[1]) :] = 10**-2.2
        found, level = ground(mean)
        assert not found.even
        assert found.highest_db == level - 5
