"""The mean around a pixel, as training and judging take it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter


def box_mean(values: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """Return the mean of the valid pixels of ``(y, x)`` around each, over ``side`` x ``side``.

    NaN adds nothing to its neighbours; where there is nothing else the mean is 0. Edges are
    mirrored, so a tile does not give what the whole gives: ``sar.speckle.boxcar`` does.
    """
    valid = np.isfinite(values)
    share = uniform_filter(valid.astype(np.float32), side)
    total = uniform_filter(np.where(valid, values, np.float32(0.0)), side)
    mean: npt.NDArray[np.float32] = total / np.maximum(share, 1e-3)
    return mean
