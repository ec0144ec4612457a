"""Open water in the training: found where it is known, drawn more often, roughened by wind.

Wind raises the backscatter of water by ten decibels and more, so that a sea may be as bright as
sand, but the few scenes of a training set show each water on one day only. What tells a rough sea
from sand is that it is even over a wide area. So pixels of real water are raised in decibels,
which keeps their speckle, and stay water in the target.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_opening, gaussian_filter, uniform_filter

from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.box_mean import box_mean
from sar2opt.training.pairs.pair import Image, Pair

Mask = npt.NDArray[np.bool_]

SIDE = 9  # pixels over which speckle is averaged away
DARK = -0.8  # normalised backscatter; smooth water is darker
BLUER = 0.1  # than red, of 1: tarmac and shadow are dark too, but not blue
MOST_RED = 0.4
MOST_SPREAD = 0.04  # of red over SIDE pixels: fields have furrows, woods have crowns
LEAST_SIDE = 15  # pixels; what is narrower is a field, a river or a pond
SHORE_PIXELS = 1.5  # over which the roughening sets in


def open_water(pair: Pair, norm: NormalisationSettings) -> Mask:
    """Return where a pair of true colour shows open water ``(y, x)``: dark to radar, and blue.

    Nowhere in pairs of another look: their targets do not tell water from what is dark.
    """
    if pair.look != "natural":
        return np.zeros(pair.decibel.shape, bool)
    dark = box_mean(pair.sar(norm), SIDE) < DARK
    red, _, blue = pair.image()
    mean, square = uniform_filter(red, SIDE), uniform_filter(red * red, SIDE)
    even = square - mean * mean < MOST_SPREAD**2
    blueish = (mean < MOST_RED) & (uniform_filter(blue, SIDE) - mean > BLUER)
    water: Mask = dark & even & blueish & np.isfinite(pair.decibel)
    wide: Mask = binary_opening(water, np.ones((LEAST_SIDE, LEAST_SIDE), bool))
    return wide


def roughened(decibel: Image, water: Mask, raised_db: float) -> Image:
    """Return decibels ``(y, x)`` with those of ``water`` raised by ``raised_db``."""
    share = gaussian_filter(water.astype(np.float32), SHORE_PIXELS)
    raised: Image = decibel + share * np.float32(raised_db)
    return raised
