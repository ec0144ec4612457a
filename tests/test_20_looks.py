"""The number of looks, found in the scene itself; and multilooking."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sar2opt.errors import ConfigError, SceneError
from sar2opt.sar.looks import effective_looks, estimate_looks, multilook
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


@pytest.mark.parametrize(("share", "coefficient"), [(1.0, 1.0), (0.88, 0.75), (0.66, 0.7)])
def test_effective_looks_of_samples_of_narrow_bandwidth(share: float, coefficient: float) -> None:
    rng, size = np.random.default_rng(4), 2**18
    white = rng.normal(size=size) + 1j * rng.normal(size=size)
    frequency = np.fft.fftfreq(size)
    window = coefficient + (1 - coefficient) * np.cos(2 * np.pi * frequency / share)
    samples = np.fft.ifft(np.fft.fft(white) * np.where(np.abs(frequency) <= share / 2, window, 0))
    for count in (1, 5):
        power = (np.abs(samples[: size // count * count]) ** 2).reshape(-1, count).mean(axis=1)
        seen = power.mean() ** 2 / power.var()
        assert effective_looks(count, share, coefficient) == pytest.approx(seen, rel=0.03)
