"""Weak labels from pictures of two infrared bands and red: water is dark in both of them.

Water absorbs near and short-wave infrared, whatever mud or sky make of its colour (Gao 1996, NDWI:
A Normalized Difference Water Index; Xu 2006, Modification of NDWI), and leaves are bright in the
near infrared. So a picture of short-wave infrared, near infrared and red tells water and green
ground without a net. Its thresholds are grey levels of one stretch for all pictures of a look.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sar2opt.nets.tagger import CLASSES
from sar2opt.training.pairs.pair import Pair
from sar2opt.training.tags.chips import IGNORE
from sar2opt.training.tags.weak_labels import (
    IS_DRY,
    IS_GREEN,
    WeakPair,
    backscatter_near,
    believable,
)

DARK_NIR, DARK_SWIR = 55, 40  # grey levels of water, at the most
BLUE = 0.8  # of its short-wave infrared is in its red, at the least: burnt ground has less
DRY_NIR, DRY_SWIR = 70, 60  # ground that is no water has one of them, at the least
GREEN = 1.3  # times its short-wave infrared is the near infrared of leaves
DOUBTFUL_DB = -6.0  # dry ground so dark to the radar may have been wet on that day


def label_by_infrared(pairs: Sequence[Pair], look: str) -> list[WeakPair]:
    """Tag water, and what is dry or green without saying more, on the pairs of a look."""
    weak = []
    for pair in pairs:
        if pair.look == look:
            swir, nir, red = pair.optical.astype(np.float32)
            dark = (nir < DARK_NIR) & (swir < DARK_SWIR) & (red >= BLUE * swir)
            dry = (nir > DRY_NIR) | (swir > DRY_SWIR)
            green = dry & (nir > DRY_NIR) & (nir > GREEN * swir)
            tags: npt.NDArray[np.uint8] = np.select(
                [dark, green, dry],
                [np.uint8(CLASSES.index("water")), np.uint8(IS_GREEN), np.uint8(IS_DRY)],
                np.uint8(IGNORE),
            )
            known = believable(tags, pair) & (dark | (backscatter_near(pair) > DOUBTFUL_DB))
            weak.append(WeakPair(pair, np.where(known, tags, np.uint8(IGNORE))))
    return weak
