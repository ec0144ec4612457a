"""Offsets and temperature make honest probabilities of what a net says of another mixture."""

from __future__ import annotations

import numpy as np
import torch

from sar2opt.nets.tagger import Tagger, TaggerSettings
from sar2opt.training.class_offsets import Pixels, add_offsets, calibration_error, fit_offsets


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


def test_the_mixture_and_the_temperature_are_found() -> None:
    shares = (0.7, 0.25, 0.05)
    pixels = drawn(60_000, shares, sharpened=2.0)
    offsets, temperature = fit_offsets(pixels)
    assert abs(temperature - 2.0) < 0.1
    expected = np.log(shares) - np.log(shares).mean()
    np.testing.assert_allclose(offsets / temperature, expected, atol=0.1)
    honest = Pixels(pixels.logits + torch.from_numpy(offsets), pixels.truth, pixels.weight)
    assert calibration_error(honest, temperature) < 0.01
    assert calibration_error(pixels, 1.0) > 0.15


def test_offsets_are_added_to_the_scores_of_a_net() -> None:
    torch.manual_seed(0)
    net = Tagger(TaggerSettings(classes=("a", "b", "c"))).eval()
    tile = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        before = net(tile)
    offsets = np.array([1.0, -0.5, 0.25])
    add_offsets(net, offsets)
    with torch.inference_mode():
        after = net(tile)
    added = torch.tensor(offsets).float()[None, :, None, None].expand_as(after)
    torch.testing.assert_close(after - before, added)
