"""The number of looks, found in the scene itself; and multilooking."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sar2opt.errors import ConfigError, SceneError
from sar2opt.sar.looks import estimate_looks, multilook
from sar2opt.synth.speckle import draw_speckle


def landscape(rng: np.random.Generator, side: int = 512) -> np.ndarray:
    """Return simulated power without speckle: even fields 3.5 dB apart, and textured ground."""
    fields = 10 ** (0.35 * rng.standard_normal((side // 32, side // 32)))
    power = np.kron(fields, np.ones((32, 32)))
    texture = gaussian_filter(rng.standard_normal((side, side)), 1.5) * 5.3
    power[:, side // 2 :] *= np.exp(0.4 * texture[:, side // 2 :])  # coefficient of variation 0.4
    return power


@pytest.mark.parametrize("looks", [1, 4.4, 20])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_looks_are_found_beside_texture(looks: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    power = landscape(rng) * draw_speckle(rng, (512, 512), looks)
    assert estimate_looks(power.astype(np.float32)) == pytest.approx(looks, rel=0.1)


def test_looks_do_not_depend_on_level_or_on_what_is_no_data() -> None:
    rng = np.random.default_rng(0)
    power = rng.gamma(4.4, 1 / 4.4, (2, 256, 256)).astype(np.float32)
    found = estimate_looks(power)
    assert estimate_looks(power * np.float32(1e-4)) == pytest.approx(found, rel=1e-3)
    padded = np.pad(power, ((0, 0), (16, 8), (0, 64)), constant_values=np.nan)
    padded[:, :, -8:] = 0.01  # filled
    assert estimate_looks(padded) == pytest.approx(found)


@pytest.mark.parametrize("shape", [(7, 7), (16, 16)])
def test_too_few_pixels_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(SceneError, match="--looks N"):
        estimate_looks(np.random.default_rng(0).random(shape, np.float32))


def test_multilook_is_the_mean_of_what_is_valid() -> None:
    power = np.random.default_rng(0).random((2, 13, 11), np.float32)
    power[0, :3, :3] = np.nan
    power[1, 4, 4] = np.nan
    looked = multilook(power, 3)
    assert looked.shape == (2, 4, 3)
    assert looked.dtype == np.float32
    assert np.isnan(looked[0, 0, 0])
    assert np.isfinite(looked).sum() == looked.size - 1
    assert looked[1, 1, 1] == pytest.approx(np.nanmean(power[1, 3:6, 3:6]))
    np.testing.assert_array_equal(looked[:, 1:, 2:], multilook(power[:, 3:, 6:], 3))


def test_multilook_adds_looks() -> None:
    power = np.random.default_rng(0).gamma(1, 1, (400, 400)).astype(np.float32)
    assert estimate_looks(multilook(power, 2)) == pytest.approx(4, rel=0.1)


def test_multilook_refuses_no_pixels() -> None:
    with pytest.raises(ConfigError, match="1 or more"):
        multilook(np.ones((4, 4), np.float32), 0)
