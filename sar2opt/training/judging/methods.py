"""What is judged: a method maps one normalised SAR image to imagery."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from sar2opt.nets.models import Translator
from sar2opt.training.judging.conformal import half_width
from sar2opt.training.pairs.pair import Image

Method = Callable[[Image], Image]
"""Normalised SAR ``(y, x)``, NaN is no data -> ``(1 or 3, y, x)`` in [0, 1]."""
Paint = Callable[[Image], tuple[Image, Image]]
"""The same -> imagery ``(1 or 3, y, x)`` and the predicted Laplace scale ``(y, x)``."""


def net_method(net: nn.Module, stride: int = 8) -> Method:
    """Return the net as a function of one normalised SAR image; sides are padded to the stride."""

    def predict(sar: Image) -> Image:
        padded = padded_to(sar, stride)
        with torch.inference_mode():
            output = net(torch.from_numpy(padded[None, None]))[0].numpy()
        cut: Image = output[:, : sar.shape[0], : sar.shape[1]]
        return cut

    return predict


def translator_paint(translator: Translator, look: str) -> Paint:
    """Return a bundle as a function that paints one look and says how sure it is."""
    translator.look(look)  # raises where it has none
    return lambda sar: translator.paint(sar, look)


def translator_method(translator: Translator, look: str) -> Method:
    """Return a bundle as a function that paints one look."""
    paint = translator_paint(translator, look)
    return lambda sar: paint(sar)[0]


def promised_width(translator: Translator, look: str) -> float:
    """Return how many of its scales a bundle says that 90 % of the errors stay below."""
    _, chosen = translator.look(look)
    return float(half_width(np.ones(()), chosen.scores))


def padded_to(sar: Image, stride: int) -> Image:
    """Return the image with 0, the level of the scene, for no data and up to whole strides."""
    return np.pad(np.nan_to_num(sar, nan=0.0), [(0, -size % stride) for size in sar.shape])
