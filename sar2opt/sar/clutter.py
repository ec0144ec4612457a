"""Clutter statistics: a cell-averaging CFAR detector that gives the same answer on any tile.

A pixel is compared with the mean of the ring around it: the background window less the guard
window, which keeps the target itself out. For intensity of L looks in homogeneous clutter, pixel
over ring mean follows an F distribution, so a false-alarm probability gives the threshold.

Three choices:

- Only dark ground is tested: the ring mean must not exceed ``background_max``. Cities, where
  every other roof would be a detection, stay silent.
- The ring is censored once: pixels brighter than ``factor * background_max`` are left out of it.
  Clutter as dark as what is tested reaches that level with less than the false-alarm
  probability, so what is left out are other targets, and two ships do not hide each other.
- Sums are integers. A running sum of floats depends on where the tile begins; a running sum of
  integers does not, so the result is bit for bit the same however the scene is cut.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincc, betainccinv

from sar2opt.errors import ConfigError

# One unsigned 64-bit sum carries two: below, the power of up to 2^16 cells of 30 bits each;
# above, in steps of 2^46, the number of the cells.
_CELL_BITS = 30
_POWER_BITS = 46
CELLS_MAX = 1 << (_POWER_BITS - _CELL_BITS)


def ring_cells(guard: int, background: int) -> int:
    """Return the number of pixels in the ring between two windows of these half sides (pixels)."""
    return (2 * background + 1) ** 2 - (2 * guard + 1) ** 2


def ca_cfar_factor(false_alarm: float, looks: float, cells: int) -> float:
    """Return the threshold on pixel over ring mean, for a probability of false alarm.

    In homogeneous clutter the pixel is gamma distributed with shape ``looks``, the sum of
    ``cells`` independent ring pixels with shape ``looks * cells``, hence their ratio follows
    F(2 looks, 2 looks cells) exactly. With one look this is the classical
    ``cells * (false_alarm ** (-1 / cells) - 1)``.

    Neighbouring pixels of a real image are correlated, which makes the ring count for fewer
    cells than it has. That matters little for rings of hundreds of pixels; ``looks``, the
    equivalent number of looks of the pixel itself, matters much. Real sea and land may be rougher
    than gamma clutter: ``clutter_fit`` takes the threshold from the scene instead.

    Sources: Finn and Johnson, RCA Review 29 (1968), for the detector; Gandhi and Kassam, IEEE
    Trans. AES 24 (1988), equation 12, for one look; Oliver and Quegan, Understanding Synthetic
    Aperture Radar Images (2004), chapter 4, for gamma intensity. Raises ``ConfigError`` when an
    argument is out of range.
    """
    if not (0 < false_alarm < 1 and looks > 0 and cells > 0):
        raise ConfigError(
            f"CA-CFAR needs 0 < false_alarm < 1, looks > 0 and cells > 0, "
            f"not {false_alarm}, {looks} and {cells}"
        )
    # The share of the pixel in pixel plus ring sum follows Beta(looks, looks * cells). Its
    # complement's inverse keeps its digits where the tail of F would lose them.
    share = float(betainccinv(looks, looks * cells, false_alarm))
    return cells * share / (1 - share)


def ca_cfar_tail(ratio: npt.ArrayLike, looks: float, cells: int) -> npt.NDArray[np.float64]:
    """Return the probability that pixel over ring mean exceeds ``ratio``, of any shape.

    The inverse of ``ca_cfar_factor``.
    """
    x = np.asarray(ratio, np.float64)
    return np.asarray(betaincc(looks, looks * cells, x / (cells + x)))


def ca_cfar(
    power: npt.NDArray[np.floating[Any]],
    *,
    guard: int,
    background: int,
    factor: float,
    background_max: float,
    min_cells: int | None = None,
) -> npt.NDArray[np.float32]:
    """Return how far each pixel stands above its threshold, ``power / (factor * ring mean)``.

    ``power`` is linear power ``(y, x)``, in any unit, NaN where there is no data; negative power
    (noise taken off) counts as zero in the ring. The result ``(y, x)`` is above 1 where a pixel is
    detected, and NaN where it was not tested: no data, fewer than ``min_cells`` cells in the ring
    (by default a quarter of the ring, which is what the corner of a scene has), or a ring mean
    that is zero or above ``background_max``, in the unit of ``power``. It looks ``background``
    pixels far.

    Raises ``ConfigError`` when an argument is out of range.
    """
    cells = ring_cells(guard, background)
    if not 0 <= guard < background or cells > CELLS_MAX:
        raise ConfigError(
            f"CA-CFAR: guard ({guard}) must be smaller than background ({background}), "
            f"and the ring of {cells} pixels no larger than {CELLS_MAX}"
        )
    ceiling = factor * background_max
    if not (0 < ceiling < np.inf and factor > 0):
        raise ConfigError("CA-CFAR: factor and background_max must be positive and finite")
    step = ceiling / (1 << _CELL_BITS)
    ring = ring_sums(_cells(power, ceiling, step, background), guard, background)
    count = ring >> np.uint64(_POWER_BITS)
    ring &= np.uint64((1 << _POWER_BITS) - 1)
    mean = ring * step
    np.divide(mean, count, out=mean, where=count > 0)
    least = max(1, (cells + 3) // 4 if min_cells is None else min_cells)
    tested = (count >= least) & (mean > 0) & (mean <= background_max)
    mean *= factor
    ratio = np.full(power.shape, np.nan, np.float32)
    with np.errstate(over="ignore"):  # beyond float32 is infinitely bright
        np.divide(power, mean, out=ratio, where=tested, casting="same_kind")
    return ratio


def _cells(
    power: npt.NDArray[np.floating[Any]], ceiling: float, step: float, border: int
) -> npt.NDArray[np.uint64]:
    """Return power in whole steps with a count of 1 above it, or 0; framed by ``border`` zeros."""
    usable = power <= ceiling  # false for NaN
    scaled = np.multiply(power, 1 / step, dtype=np.float64)
    np.clip(scaled, 0, 1 << _CELL_BITS, out=scaled)
    scaled[~usable] = 0
    cells = np.zeros((power.shape[0] + 2 * border, power.shape[1] + 2 * border), np.uint64)
    inner = cells[border:-border, border:-border]
    inner[...] = np.rint(scaled, out=scaled).astype(np.int64)
    inner += usable.astype(np.uint64) << np.uint64(_POWER_BITS)
    return cells


def ring_sums(cells: npt.NDArray[np.uint64], guard: int, background: int) -> npt.NDArray[np.uint64]:
    """Sum the ring around each pixel that is ``background`` or more from the edge of ``cells``.

    Summed-area table (Crow, SIGGRAPH 1984). The table may overflow: integers wrap around, and
    the differences come out right all the same because a ring's sum fits.
    """
    table = np.zeros((cells.shape[0] + 1, cells.shape[1] + 1), np.uint64)
    np.cumsum(cells, axis=0, out=table[1:, 1:])
    np.cumsum(table, axis=1, out=table)
    rows, cols = (side - 2 * background for side in cells.shape)

    def corner(dy: int, dx: int) -> npt.NDArray[np.uint64]:
        return table[background + dy :, background + dx :][:rows, :cols]

    outer, inner = (-background, background + 1), (-guard, guard + 1)
    ring = corner(outer[0], outer[0]) + corner(outer[1], outer[1])
    ring += corner(inner[0], inner[1])
    ring += corner(inner[1], inner[0])
    for minus in ((outer[0], outer[1]), (outer[1], outer[0]), (inner[0],) * 2, (inner[1],) * 2):
        ring -= corner(*minus)
    return ring
