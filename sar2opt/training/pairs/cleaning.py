"""Which pairs are fit to learn from: what is measured on each, and the limits.

All shares are of the pixels that have data. The measures are crude on purpose: each has one line
of reason, and what it rejects is shown in the report of the set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sar2opt.config import Settings
from sar2opt.nets.losses import LUMINANCE
from sar2opt.training.pairs.pair import Pair

Floats = npt.NDArray[np.floating[Any]]

CELL = 8  # pixels; speckle averages out in a cell, clouds are larger


class CleaningSettings(Settings):
    """What makes a pair unfit."""

    least_data: float = Field(0.45, description="share of pixels that have data in both images")
    most_cloud: float = Field(0.3, description="share of cells that look like cloud or snow")
    most_saturated: float = Field(
        0.25, description="share of optical pixels at the top of all bands"
    )
    most_black: float = Field(0.6, description="share of optical pixels at the bottom of all bands")
    least_sar_spread_db: float = Field(
        0.6, description="standard deviation of 8 x 8 means of backscatter; less is only speckle"
    )
    most_shift: float = Field(
        4.0, description="pixels; chips with a significant displacement beyond this are rejected"
    )
    most_shift_of_block: float = Field(
        6.0, description="the same for blocks of a scene, which hold more to go by"
    )
    registration: bool = Field(True, description="whether displacements are looked for at all")


def luminance(optical: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the luminance ``(y, x)`` of ``(band, y, x)``, 0 to 255."""
    if len(optical) == 1:
        return np.asarray(optical[0], np.float32)
    return np.asarray(
        np.tensordot(np.array(LUMINANCE, np.float32), optical.astype(np.float32), axes=1),
        np.float32,
    )


def why_unfit(pair: Pair, limits: CleaningSettings) -> str:
    """Return the reason why a pair is unfit, a few words that can be counted, or nothing."""
    if np.isfinite(pair.decibel).mean() < limits.least_data:
        return "too little data"
    pixels = pair.optical[:, np.isfinite(pair.decibel)]
    if (pixels >= 253).all(axis=0).mean() > limits.most_saturated:
        return "saturated optical image"
    if (pixels <= 1).all(axis=0).mean() > limits.most_black:
        return "black optical image"
    if cloud_share(pair) > limits.most_cloud:
        return "cloud or snow"
    if sar_spread(pair) < limits.least_sar_spread_db:
        return "flat SAR"
    return ""


def cloud_share(pair: Pair) -> float:
    """Return the share of cells that are bright, colourless and smooth.

    In grey there is no colour to go by, so the cell must be brighter. Snow, salt and white sand
    look alike; they teach a translator as little. Small clouds and haze are not found.
    """
    grey = luminance(pair.optical)
    bright, rough = cells(grey, np.mean), cells(grey, np.std)
    smooth = rough < 20.0
    if len(pair.optical) == 1:
        return float((smooth & (bright > 230.0)).mean())
    bands = np.stack([cells(band.astype(np.float32), np.mean) for band in pair.optical])
    colourless = bands.max(axis=0) - bands.min(axis=0) < 0.12 * bands.max(axis=0)
    return float((smooth & colourless & (bright > 205.0)).mean())


def sar_spread(pair: Pair) -> float:
    """Return the standard deviation of the means of cells, in dB."""
    with np.errstate(invalid="ignore"):
        means = cells(pair.decibel.astype(np.float32), np.mean)
    return float(np.nanstd(means)) if np.isfinite(means).any() else 0.0


def cells(image: Floats, reduce: Any) -> Floats:
    """Return ``reduce`` of cells of 8 x 8 pixels of ``(y, x)``; what is left over is cut off."""
    rows, cols = (size // CELL for size in image.shape)
    parts = image[: rows * CELL, : cols * CELL].reshape(rows, CELL, cols, CELL)
    return np.asarray(reduce(parts, axis=(1, 3)), np.float32)
