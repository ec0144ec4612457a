"""How far an optical image lies from its SAR image, by the cross-correlation of their gradients.

1. Where backscatter and reflectance change, they mostly change together, though either way: so
   the magnitudes of their gradients are compared, each compressed so that no roof outweighs a town.
2. The inner part of the SAR is laid over the optical image at all displacements of up to ``FAR``
   pixels; each displacement gets one correlation.
3. Displacements well beyond ``NEAR`` cannot be right, so the correlations there say what chance
   gives: the best near one is significant if it stands ``SIGNIFICANT`` standard deviations of
   those above their mean (SAR laid over the optical image of another place reaches 4.5 in one of
   a thousand cases). It is corrected if it also stands ``BETTER`` of them above no displacement,
   and is at least ``LEAST`` pixels long, so that no half pixel is rounded up to a whole one.
4. In a large image the displacement may vary: a polynomial goes through those of its windows, the
   outliers are left out, and the optical image is resampled along it. The SAR image never is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Floats = npt.NDArray[np.floating[Any]]

NEAR = 8  # pixels; the largest displacement that can be found
FAR = 40  # pixels; displacements from NEAR to here tell what chance gives
SMALLEST = 96  # pixels; below this there is too little to compare
SMOOTH_SAR, SMOOTH_OPTICAL = 2.0, 1.5  # pixels; speckle needs the more
HIGH_PASS = 8.0  # pixels; where a town lies says little about pixels, its streets do
SIGNIFICANT = 6.0
BETTER = 1.5
LEAST = 1.5  # pixels
WINDOW, STEP = 256, 128  # pixels; where the displacement of a large image is measured
TERMS = {18: 2, 9: 1, 4: 0}  # so many good windows allow a polynomial of this degree
ROUGH = 1.5  # pixels; windows further from the polynomial are outliers


@dataclass(frozen=True)
class Shift:
    """Where the optical image lies: it shows at ``(y + dy, x + dx)`` what the SAR shows at (y, x).

    ``height`` is the best correlation above those of chance, in their standard deviations;
    ``gain`` is by how many of them it is better than no displacement.
    """

    dy: float
    dx: float
    height: float
    gain: float

    @property
    def significant(self) -> bool:
        """Whether the best displacement is no accident."""
        return self.height >= SIGNIFICANT

    @property
    def whole(self) -> tuple[int, int]:
        """The displacement to correct, in whole pixels: (0, 0) unless it is believed."""
        if not self.significant or self.gain < BETTER or self.length < LEAST:
            return 0, 0
        return round(self.dy), round(self.dx)

    @property
    def length(self) -> float:
        """Pixels from no displacement."""
        return float(np.hypot(self.dy, self.dx))


def estimate_shift(decibel: Floats, luminance: Floats) -> Shift | None:
    """Return the displacement of ``luminance`` against ``decibel``, both ``(y, x)``.

    NaN in ``decibel`` is no data. None where the images are too small or too empty to compare.
    """
    side = min(decibel.shape)
    far = min(FAR, side // 6)
    if side < SMALLEST:
        return None
    valid = np.isfinite(decibel)
    inner = np.zeros_like(valid)
    inner[far:-far, far:-far] = _eroded(valid, 4)[far:-far, far:-far]
    if inner.sum() < SMALLEST**2 // 4:
        return None
    filled = np.where(valid, decibel, np.median(decibel[valid])).astype(np.float32)
    sar = _edges(filled, SMOOTH_SAR, valid)
    optical = _edges(luminance.astype(np.float32), SMOOTH_OPTICAL, valid)
    sar = np.where(inner, sar - sar[inner].mean(), 0.0)
    if not sar.any() or optical.std() == 0:
        return None
    surface = _correlations(sar, optical - optical[valid].mean(), far)
    return _peak(surface, far)


@dataclass(frozen=True)
class Field:
    """A displacement that varies: polynomials of ``degree`` in y and x from -1 to 1."""

    degree: int
    terms: Floats  # (term, 2) of dy and dx
    spread: float  # median distance of the windows from it, pixels
    windows: int

    def at(self, y: Floats, x: Floats) -> npt.NDArray[np.float64]:
        """Return displacements ``(2, ...)`` at places from -1 to 1."""
        return np.moveaxis(_basis(y, x, self.degree) @ self.terms, -1, 0)


def estimate_field(decibel: Floats, luminance: Floats) -> Field | None:
    """Return how the displacement varies over a large image, or None where it cannot be told."""
    rows, cols = decibel.shape
    found = []
    for y in range(0, rows - WINDOW + 1, STEP):
        for x in range(0, cols - WINDOW + 1, STEP):
            window = (slice(y, y + WINDOW), slice(x, x + WINDOW))
            shift = estimate_shift(decibel[window], luminance[window])
            if shift and shift.significant and shift.length < NEAR - 0.5:  # not at the rim
                place = (2.0 * (y + WINDOW / 2) / rows - 1, 2.0 * (x + WINDOW / 2) / cols - 1)
                found.append((*place, shift.dy, shift.dx))
    return _fit(np.array(found)) if len(found) >= min(TERMS) else None


def warp(image: npt.NDArray[np.uint8], field: Field) -> tuple[npt.NDArray[np.uint8], Any]:
    """Return ``image`` ``(band, y, x)`` resampled along ``field``, and where it has pixels."""
    rows, cols = image.shape[-2:]
    y, x = np.mgrid[0:rows, 0:cols].astype(np.float32)
    dy, dx = field.at(2.0 * (y + 0.5) / rows - 1, 2.0 * (x + 0.5) / cols - 1)
    at = np.stack([y + dy, x + dx])
    inside = (at >= 0).all(axis=0) & (at[0] <= rows - 1) & (at[1] <= cols - 1)
    bands = [ndimage.map_coordinates(band.astype(np.float32), at, order=3) for band in image]
    warped = np.clip(np.round(np.stack(bands)), 0, 255).astype(np.uint8)
    return np.where(inside, warped, 0).astype(np.uint8), inside


def move(image: npt.NDArray[Any], dy: int, dx: int, fill: Any) -> npt.NDArray[Any]:
    """Return ``image`` ``(..., y, x)`` with what was at (y + dy, x + dx) at (y, x)."""
    moved = np.full_like(image, fill)
    rows, cols = image.shape[-2:]
    to = (slice(max(0, -dy), rows - max(0, dy)), slice(max(0, -dx), cols - max(0, dx)))
    of = (slice(max(0, dy), rows - max(0, -dy)), slice(max(0, dx), cols - max(0, -dx)))
    moved[(..., *to)] = image[(..., *of)]
    return moved


def _basis(y: Floats, x: Floats, degree: int) -> npt.NDArray[np.float64]:
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    return np.stack([np.asarray(y, np.float64) ** i * x**j for i, j in powers], axis=-1)


def _fit(found: npt.NDArray[np.float64]) -> Field | None:
    """Fit ``(window, [y, x, dy, dx])``, leaving out the worst until all lie within ``ROUGH``."""
    while len(found) >= min(TERMS):
        degree = next(degree for fewest, degree in TERMS.items() if len(found) >= fewest)
        basis = _basis(found[:, 0], found[:, 1], degree)
        terms = np.linalg.lstsq(basis, found[:, 2:], rcond=None)[0]
        off = np.hypot(*(found[:, 2:] - basis @ terms).T)
        if off.max() <= ROUGH:
            return Field(degree, terms, float(np.median(off)), len(found))
        found = np.delete(found, int(off.argmax()), axis=0)
    return None


def _edges(image: Floats, smooth: float, valid: npt.NDArray[np.bool_]) -> Floats:
    magnitude = ndimage.gaussian_gradient_magnitude(image, smooth)
    middle = np.median(magnitude[valid])
    edges = magnitude / (magnitude + middle + 1e-6)
    return np.asarray(edges - ndimage.gaussian_filter(edges, HIGH_PASS), np.float32)


def _eroded(valid: npt.NDArray[np.bool_], by: int) -> npt.NDArray[np.bool_]:
    if valid.all():
        return valid
    eroded: npt.NDArray[np.bool_] = ndimage.minimum_filter(valid, 2 * by + 1, mode="nearest")
    return eroded


def _correlations(sar: Floats, optical: Floats, far: int) -> Floats:
    """Return the correlation at each displacement ``(2 far + 1, 2 far + 1)``, zero in the middle.

    ``sar`` is zero within ``far`` of the rim, so nothing wraps around.
    """
    shape = [fft.next_fast_len(size, real=True) for size in sar.shape]
    product = np.conj(fft.rfft2(sar, shape)) * fft.rfft2(optical, shape)
    surface = np.fft.fftshift(fft.irfft2(product, shape))
    y, x = shape[0] // 2, shape[1] // 2
    scale = np.sqrt(np.square(sar).sum() * np.square(optical).mean() * np.count_nonzero(sar))
    return np.asarray(surface[y - far : y + far + 1, x - far : x + far + 1] / scale)


def _peak(surface: Floats, far: int) -> Shift:
    offsets = np.abs(np.arange(-far, far + 1))
    near = np.maximum(offsets[:, None], offsets[None]) <= NEAR
    chance = surface[np.maximum(offsets[:, None], offsets[None]) >= 1.5 * NEAR]
    mean, spread = float(chance.mean()), float(chance.std())
    y, x = np.unravel_index(int(np.argmax(np.where(near, surface, -np.inf))), surface.shape)
    dy = y - far + _vertex(surface[y - 1 : y + 2, x])
    dx = x - far + _vertex(surface[y, x - 1 : x + 2])
    peak = float(surface[y, x])
    gain = (peak - float(surface[far, far])) / spread
    return Shift(float(dy), float(dx), (peak - mean) / spread, gain)


def _vertex(three: Floats) -> float:
    """Return where between -0.5 and 0.5 the parabola through three values is highest."""
    low, middle, high = (float(value) for value in three)
    bend = low - 2.0 * middle + high
    return float(np.clip(0.5 * (low - high) / bend, -0.5, 0.5)) if bend < 0 else 0.0
