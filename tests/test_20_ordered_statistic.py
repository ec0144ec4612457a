"""The ordered-statistic detector: its thresholds, and the same answer however it is reckoned."""

from __future__ import annotations

from math import ceil, prod

import numpy as np
import pytest

from sar2opt.errors import ConfigError
from sar2opt.sar.clutter import ca_cfar, ca_cfar_factor, ring_cells
from sar2opt.sar.ordered_statistic import RANK, os_cfar, os_cfar_factor, os_cfar_tail

GUARD, BACKGROUND = 2, 5
CELLS = ring_cells(GUARD, BACKGROUND)
WINDOWS = {"guard": GUARD, "background": BACKGROUND}


def clutter(shape: tuple[int, int], looks: float = 4.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).gamma(looks, 0.05 / looks, shape).astype(np.float32)


def test_one_look_is_what_rohling_found() -> None:
    k = ceil(RANK * CELLS)
    for ratio in (3.0, 8.0):
        exact = prod((CELLS - i) / (CELLS - i + ratio) for i in range(k))
        assert float(os_cfar_tail(ratio, 1, CELLS)) == pytest.approx(exact, rel=0.01)
    factor = os_cfar_factor(1e-5, 4.4, CELLS)
    assert float(os_cfar_tail(factor, 4.4, CELLS)) == pytest.approx(1e-5, rel=1e-6)


def test_it_is_the_ordered_statistic_of_the_ring() -> None:
    power = clutter((40, 44))
    power[20, 20] = 5.0
    power[3:9, 30:40] = np.nan
    ratio = os_cfar(power, **WINDOWS, factor=4.0, background_max=0.2)
    exact = os_cfar(power, **WINDOWS, factor=4.0, background_max=0.2, exact=True)
    assert np.array_equal(ratio > 1, exact > 1)
    assert np.array_equal(np.isnan(ratio), np.isnan(exact))
    for y, x in ((20, 20), (12, 12), (30, 9), (14, 33)):
        ring = power[y - 5 : y + 6, x - 5 : x + 6].copy()
        ring[3:8, 3:8] = np.nan
        values = np.sort(ring[np.isfinite(ring)])
        statistic = values[ceil(RANK * values.size) - 1]
        assert exact[y, x] == pytest.approx(power[y, x] / (4.0 * statistic), rel=0.012)
        assert ratio[y, x] >= exact[y, x] * 0.999


def test_false_alarms_come_as_often_as_asked() -> None:
    power = clutter((1200, 1200))
    factor = os_cfar_factor(1e-3, 4.0, CELLS)
    found = os_cfar(power, **WINDOWS, factor=factor, background_max=1.0) > 1
    assert 1e-3 * found.size == pytest.approx(found.sum(), rel=0.12)  # 1,440, and chance 2.6 %


def test_a_tile_has_the_answer_of_the_whole() -> None:
    power = clutter((90, 80))
    power[40:42, 30:50] = 3.0
    how = {**WINDOWS, "factor": 5.0, "background_max": 0.2}
    whole = os_cfar(power, **how)
    tile = os_cfar(power[20:70, 15:70], **how)
    inner = slice(BACKGROUND, -BACKGROUND)
    assert np.array_equal(tile[inner, inner], whole[20:70, 15:70][inner, inner], equal_nan=True)


def test_a_crowded_ring_hides_no_target() -> None:
    power = clutter((60, 60))
    power[30, 30] = 0.45  # 9 times the clutter
    power[22:26, 22:38] = 0.35  # a quay beside it, darker than what cell averaging leaves out
    ca = ca_cfar(power, **WINDOWS, factor=ca_cfar_factor(1e-5, 4.0, CELLS), background_max=0.2)
    ordered = os_cfar(power, **WINDOWS, factor=os_cfar_factor(1e-5, 4.0, CELLS), background_max=0.2)
    lone = np.where(np.arange(60)[:, None] < 28, clutter((60, 60)), power)
    alone = os_cfar(lone, **WINDOWS, factor=os_cfar_factor(1e-5, 4.0, CELLS), background_max=0.2)
    assert ordered[30, 30] > 1
    # the quay costs it less of its height than it costs cell averaging
    calm = ca_cfar(lone, **WINDOWS, factor=ca_cfar_factor(1e-5, 4.0, CELLS), background_max=0.2)
    assert ordered[30, 30] / alone[30, 30] > 1.3 * ca[30, 30] / calm[30, 30]


def test_what_is_not_tested() -> None:
    power = clutter((40, 40))
    power[:, 25:] = 10.0  # bright ground
    power[10:14, 5:9] = 0.0
    ratio = os_cfar(power, **WINDOWS, factor=4.0, background_max=0.2)
    assert np.isnan(ratio[20, 34])
    assert np.isfinite(ratio[20, 10])
    assert np.isnan(os_cfar(np.zeros((30, 30)), **WINDOWS, factor=4.0, background_max=0.2)).all()
    with pytest.raises(ConfigError, match="guard"):
        os_cfar(power, guard=5, background=5, factor=4.0, background_max=0.2)
    with pytest.raises(ConfigError, match="positive"):
        os_cfar(power, **WINDOWS, factor=-1.0, background_max=0.2)
    with pytest.raises(ConfigError, match="false_alarm"):
        os_cfar_factor(2.0, 4.0, CELLS)
