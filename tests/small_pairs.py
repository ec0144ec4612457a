"""Small made pairs whose colours follow from backscatter, so that figures are known."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.pairs.pair import Ground, Image, Look, Pair, Split

NORM = NormalisationSettings()
SIDE = 64
GROUND = Ground("EPSG:3395", (10.0, 0.0, 0.0, 0.0, -10.0, 0.0))


def make_pair(
    number: int, split: Split, look: Look = "natural", source: str = "fields", side: int = SIDE,
    label: str = "",
) -> Pair:  # fmt: skip
    """Return a pair whose green is backscatter, whose red is its opposite, and whose blue is 51."""
    rng = np.random.default_rng(number)
    smooth = ndimage.gaussian_filter(rng.normal(size=(side, side)), 6)
    height = (smooth - smooth.min()) / np.ptp(smooth)
    green = np.rint(255 * height)
    bands = (255 - green, green, np.full_like(green, 51))
    return Pair(
        name=f"{source}/{number}", source=source, place=str(number), split=split, look=look,
        decibel=(40 * green / 255 - 30).astype(np.float16),
        optical=np.stack(bands[1:2] if look == "grey" else bands).astype(np.uint8),
        levels=(0.0,), tone=((1.0, 0.0),) * (1 if look == "grey" else 3), label=label,
    )  # fmt: skip


def green_of(sar: Image) -> Image:
    return (np.nan_to_num(sar) + 3) / 4
