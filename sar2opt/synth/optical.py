"""The sunlit true-colour image that belongs to a landscape."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from sar2opt.synth.fields import Floats, fractal
from sar2opt.synth.spec import Landscape, SceneSpec
from sar2opt.synth.surfaces import SURFACES, Cover

SUN_AZIMUTH_DEG, SUN_ELEVATION_DEG = 150.0, 48.0
HAZE = np.array([0.020, 0.030, 0.050], np.float32)


def sunlit(land: Landscape, spec: SceneSpec) -> Floats:
    """Return red, green and blue ``(3, y, x)``, 0 to 1, of the land at late morning.

    Colours of the covers by their tone, grain of canopies and houses, light and shade of the
    relief, the blur of the optics, a little haze.
    """
    grain = np.array([SURFACES[cover].grain for cover in Cover], np.float32)[land.cover]
    fine = fractal(spec.rng("grain"), spec.shape, 1.6, 1.0)
    broad = fractal(spec.rng("stain"), spec.shape, 150.0 / spec.pixel_m, 1.3)
    light = _hillshade(land.height, spec.pixel_m) * (1.0 + grain * (fine + 0.5 * broad))
    bands = _colours(land) * np.clip(light, 0.25, 1.6)
    bands = ndimage.gaussian_filter(bands, (0, 0.55, 0.55))
    hazy = bands * (1.0 - HAZE)[:, None, None] + HAZE[:, None, None]
    return np.asarray(np.clip(hazy, 0.0, 1.0), np.float32)


def _colours(land: Landscape) -> Floats:
    """Return each pixel's colour ``(3, y, x)`` by its cover and tone."""
    steps = np.arange(-2.0, 2.01, 0.125)
    table = np.empty((len(Cover), len(steps), 3), np.float32)
    for cover in Cover:
        stops = np.array(SURFACES[cover].colours, np.float32) / 255.0
        at = np.linspace(-2.0, 2.0, len(stops))
        table[cover] = np.stack([np.interp(steps, at, stops[:, c]) for c in range(3)], axis=-1)
    step = np.round((np.clip(land.tone, -2.0, 2.0) + 2.0) * 8.0).astype(np.int8)
    return np.moveaxis(table[land.cover, step], -1, 0)


def _hillshade(height: Floats, pixel_m: float) -> Floats:
    """Return the light on the ground, 1 on level ground, with a share of skylight."""
    down, right = np.gradient(height, pixel_m)
    sun, up = np.radians(SUN_AZIMUTH_DEG), np.radians(SUN_ELEVATION_DEG)
    # the normal is (-right, +down, 1) in (east, north, up)
    toward = np.cos(up) * (-right * np.sin(sun) + down * np.cos(sun)) + np.sin(up)
    direct = np.maximum(toward, 0.0) / np.sqrt(1.0 + down**2 + right**2) / np.sin(up)
    return np.asarray(0.25 + 0.75 * direct, np.float32)
