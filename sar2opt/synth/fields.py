"""Random fields and drawing on the pixel grid: the tools that landscapes are made with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.features import rasterize
from scipy import fft
from shapely import affinity
from shapely.geometry import LineString, Polygon, box

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Shape = tuple[int, int]


def fractal(rng: np.random.Generator, shape: Shape, wavelength: float, slope: float) -> Floats:
    """Return a Gaussian field ``(y, x)`` of mean 0 and variance 1, fractal below ``wavelength``.

    Its amplitude spectrum is flat down to ``wavelength`` (pixels) and falls with the power
    ``slope`` from there (Matern; 1.5 is ragged, 3 is smooth). The field is made on a larger
    grid, so that opposite sides of the scene do not resemble one another.
    """
    size = [fft.next_fast_len(int(n + min(wavelength, n)), real=True) for n in shape]
    noise = rng.standard_normal(size, dtype=np.float32)
    fy = np.float32(wavelength) * np.fft.fftfreq(size[0]).astype(np.float32)[:, None]
    fx = np.float32(wavelength) * np.fft.rfftfreq(size[1]).astype(np.float32)[None, :]
    gain = (np.float32(1.0) + fy**2 + fx**2) ** np.float32(-slope / 2.0)
    gain[0, 0] = 0.0
    field = fft.irfft2(fft.rfft2(noise, workers=2) * gain, s=size, overwrite_x=True, workers=2)
    field = field[: shape[0], : shape[1]]
    return np.asarray((field - field.mean()) / field.std(), np.float32)


def burn(shape: Shape, *geometries: Any, all_touched: bool = False) -> Mask:
    """Return the pixels ``(y, x)`` whose centre lies in a geometry given in pixels ``(x, y)``."""
    drawn = [geometry for geometry in geometries if not geometry.is_empty]
    if not drawn:
        return np.zeros(shape, bool)
    return np.asarray(rasterize(drawn, shape, dtype="uint8", all_touched=all_touched), bool)


def curve(
    rng: np.random.Generator, start: tuple[float, float], end: tuple[float, float], bend: float
) -> LineString:
    """Return a winding line from ``start`` to ``end``, its bends ``bend`` times its length."""
    t = np.linspace(0.0, 1.0, 241)
    waves = np.arange(1, 13)
    weights = rng.standard_normal(12) / waves**1.4
    aside = (weights * np.sin(np.pi * waves * t[:, None])).sum(axis=1) * bend
    along = np.subtract(end, start)
    points = np.asarray(start) + t[:, None] * along + aside[:, None] * (-along[1], along[0])
    return LineString(points)


def rectangle(centre: tuple[float, float], length: float, width: float, angle: float) -> Polygon:
    """Return a rectangle around ``centre``, its length along ``angle`` (degrees, clockwise)."""
    x, y = centre
    upright = box(x - length / 2, y - width / 2, x + length / 2, y + width / 2)
    return affinity.rotate(upright, angle)
