"""What a C-band radar measures over a landscape, before speckle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sar2opt.synth.fields import Floats, fractal
from sar2opt.synth.relief import terrain_effect
from sar2opt.synth.spec import Landscape, SceneSpec
from sar2opt.synth.surfaces import REFERENCE_INCIDENCE_DEG, SOLIDS, SURFACES, Cover

NOISE_FLOOR_DB = -30.0
FACADE_DB = (0.0, -8.0)  # VV, VH of a wall that faces the radar squarely
RESPONSE_PX = 0.6  # standard deviation of the point response


def expected_power(land: Landscape, spec: SceneSpec) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """Return the mean sigma nought ``(2, y, x)``, VV and VH, linear, and the layover/shadow mask.

    Surface backscatter at the scene's incidence, with texture of mean 1, double bounce at walls,
    and terrain effect, as seen through the point response; never below the noise floor.
    """
    effect, mask = terrain_effect(
        land.height, spec.pixel_m, spec.incidence_deg, spec.look_azimuth_deg
    )
    bounce = double_bounce(land, spec)
    common = _texture(land, spec)
    floor = 10.0 ** (NOISE_FLOOR_DB / 10.0)
    bands = []
    for name, facade_db in zip(("vv_db", "vh_db"), FACADE_DB, strict=True):
        power = surface_power(land, spec, name) * effect
        power = (power + bounce * np.float32(10.0 ** (facade_db / 10.0))) * common
        bands.append(np.maximum(ndimage.gaussian_filter(power, RESPONSE_PX), floor))
    return np.stack(bands).astype(np.float32), mask


def surface_power(land: Landscape, spec: SceneSpec, band: str) -> Floats:
    """Return sigma nought ``(y, x)`` of the bare classes for ``vv_db`` or ``vh_db``, linear."""
    off = spec.incidence_deg - REFERENCE_INCIDENCE_DEG
    surfaces = [SURFACES[cover] for cover in Cover]
    level = np.array([getattr(s, band) + s.fall_db * off for s in surfaces], np.float32)
    swing = np.array([s.swing_db for s in surfaces], np.float32)
    db = level[land.cover] + swing[land.cover] * np.clip(land.tone, -2.5, 2.5)
    return np.asarray(10.0 ** (db / 10.0), np.float32)


def double_bounce(land: Landscape, spec: SceneSpec) -> Floats:
    """Return the strength ``(y, x)`` of wall-ground dihedrals: about 1 at walls facing the radar.

    A wall is where solid cover begins along the look direction; the return falls quickly as the
    wall turns away from the radar (the cardinal effect), and differs from building to building.
    """
    solid = ndimage.gaussian_filter(land.covered(*SOLIDS).astype(np.float32), 0.6)
    down, right = np.gradient(solid)
    look = np.radians(spec.look_azimuth_deg)
    facing = right * np.sin(look) - down * np.cos(look)
    steep = np.hypot(down, right) + 1e-6
    aligned = np.maximum(facing / steep, 0.0) ** 4
    height = np.exp(0.8 * np.clip(land.tone, -2.5, 2.5))
    return np.asarray(np.maximum(facing, 0.0) * 2.0 * aligned * height, np.float32)


def _texture(land: Landscape, spec: SceneSpec) -> Floats:
    """Return lognormal texture of mean 1 with each cover's coefficient of variation."""
    cv = np.array([SURFACES[cover].texture for cover in Cover], np.float32)
    spread = np.sqrt(np.log1p(cv**2))[land.cover]
    field = fractal(spec.rng("texture"), spec.shape, 2.0, 1.0)
    return np.asarray(np.exp(spread * field - 0.5 * spread**2), np.float32)
