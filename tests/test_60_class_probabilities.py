"""One temperature makes honest probabilities of what a net is too sure of."""

from __future__ import annotations

import numpy as np
import torch

from sar2opt.training.tags.probabilities import Pixels, calibration_error, fit_temperature


def drawn(number: int, shares: tuple[float, ...], sharpened: float) -> Pixels:
    """Return pixels of three classes, and the scores of a net that takes them for equally common.

    Each class is a bell around its own value; true scores follow, and are ``sharpened``.
    """
    rng = np.random.default_rng(5)
    truth = rng.choice(3, number, p=shares)
    value = rng.normal(truth, 0.8)
    logits = -((value[:, None] - np.arange(3)) ** 2) / (2 * 0.8**2) * sharpened
    weight = torch.full((number,), 1 / number, dtype=torch.float64)
    return Pixels(torch.from_numpy(logits), torch.from_numpy(truth), weight)


def test_the_temperature_is_found() -> None:
    pixels = drawn(60_000, (1 / 3, 1 / 3, 1 / 3), sharpened=2.0)
    temperature = fit_temperature(pixels)
    assert abs(temperature - 2.0) < 0.1
    assert calibration_error(pixels, temperature) < 0.02
    assert calibration_error(pixels, 1.0) > 0.08
