"""The three kinds of land, each made from the same parts in its own order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from sar2opt.synth import country
from sar2opt.synth.fields import Floats, Mask, curve, fractal
from sar2opt.synth.harbour import Port, build_port
from sar2opt.synth.spec import Landscape, SceneSpec
from sar2opt.synth.surfaces import Cover, Use
from sar2opt.synth.town import build_town


def make_landscape(spec: SceneSpec) -> Landscape:
    """Return the land of a scene; the same for the same ``spec``, whatever else was made before."""
    makers: dict[str, Callable[[SceneSpec], Landscape]] = {
        "harbour": _harbour,
        "valley": _valley,
        "plain": _plain,
    }
    return makers[spec.kind](spec)


def _harbour(spec: SceneSpec) -> Landscape:
    """A port city between hills and sea, with fields beside it."""
    rows, cols = spec.shape
    side_m = min(spec.shape) * spec.pixel_m
    y, x = _unit_grid(spec)
    sea = _sea(spec, y, x)
    inland = ndimage.distance_transform_edt(~sea).astype(np.float32) * spec.pixel_m
    land = Landscape.blank(_hills(spec, y, x, inland, side_m), _tone(spec))
    country.till(land, spec, angle_deg=-14.0)
    patchy = fractal(spec.rng("woods"), spec.shape, 1500.0 / spec.pixel_m, 2.4)
    country.wood(land, patchy > 1.45, _tone(spec))
    course = curve(spec.rng("course"), (0.36 * cols, -2.0), (0.26 * cols, 0.9 * rows), 0.05)
    country.river(land, spec, course, width_m=70.0)
    distance = np.hypot(x - 0.47, 0.95 * (y - 0.58)) / 0.44
    urban = 1.0 - distance + 0.22 * fractal(spec.rng("urban"), spec.shape, rows / 4, 1.6)
    build_town(land, spec, np.where(sea, 0.0, urban - 0.004 * land.height), angle_deg=9.0)
    country.wilderness(land, spec, land.height > 55.0, tree_line_m=900.0)
    if side_m > 6000.0:
        country.airfield(land, spec, (0.16 * cols, 0.40 * rows), angle_deg=-24.0)
    country.pit(land, spec, (0.80 * cols, 0.24 * rows), radius_m=min(0.04 * side_m, 380.0))
    way = curve(spec.rng("way"), (-2.0, 0.55 * rows), (cols + 2.0, 0.42 * rows), 0.05)
    country.motorway(land, spec, way)
    _shore(land, spec, sea, inland)
    shore = int(np.argmax(sea[:, int(0.47 * cols)]))
    port = Port(0.47 * cols, shore, -7.0, min(0.26 * side_m, 3000.0), spec.pixel_m)
    build_port(land, spec, port)
    land.height[land.covered(Cover.SEA, Cover.SHIP)] = 0.0
    return land


def _valley(spec: SceneSpec) -> Landscape:
    """A river valley between steep mountains: fields and a village below, rock above."""
    rows, cols = spec.shape
    course = curve(spec.rng("course"), (0.56 * cols, -2.0), (0.42 * cols, rows + 2.0), 0.06)
    axis = np.interp(np.arange(rows), *np.array(course.coords).T[::-1]).astype(np.float32)
    aside = np.abs(np.arange(cols, dtype=np.float32) - axis[:, None]) * spec.pixel_m
    ridges = _ridges(spec.rng("ridges"), spec, 2200.0)
    floor = 330.0 + 130.0 * fractal(spec.rng("floor"), spec.shape, 900.0 / spec.pixel_m, 3.0)
    climb = np.maximum(aside - floor, 0.0)
    height = 0.40 * climb + np.minimum(climb / 600.0, 1.0) * 230.0 * ridges
    height = ndimage.gaussian_filter(np.maximum(height, 0.0), 1.5).astype(np.float32)
    land = Landscape.blank(height, _tone(spec))
    country.till(land, spec, angle_deg=17.0, field_m2=2.2e4)
    country.river(land, spec, course, width_m=45.0)
    y, x = _unit_grid(spec)
    urban = 1.0 - np.hypot(x - 0.46, y - 0.62) / 0.13
    build_town(land, spec, np.where(height < 8.0, urban, 0.0), angle_deg=24.0)
    country.wilderness(land, spec, height > 6.0, tree_line_m=700.0, wooded=0.7)
    country.pit(land, spec, (0.50 * cols, 0.86 * rows), radius_m=170.0)
    return land


def _plain(spec: SceneSpec) -> Landscape:
    """Farmland with woods, a small town, a river and a motorway."""
    rows, cols = spec.shape
    rolling = fractal(spec.rng("rolling"), spec.shape, 2500.0 / spec.pixel_m, 2.5)
    land = Landscape.blank((40.0 + 14.0 * rolling).astype(np.float32), _tone(spec))
    country.till(land, spec, angle_deg=float(spec.rng("angle").uniform(-45, 45)))
    patchy = fractal(spec.rng("woods"), spec.shape, 1200.0 / spec.pixel_m, 2.4)
    country.wood(land, patchy > 1.0, _tone(spec))
    y, x = _unit_grid(spec)
    centre = spec.rng("town").uniform(0.25, 0.75, 2)
    urban = 1.0 - np.hypot(x - centre[0], y - centre[1]) / 0.24
    build_town(land, spec, urban.astype(np.float32), angle_deg=31.0)
    start, end = spec.rng("ends").uniform(0.1, 0.9, (2, 2))
    course = curve(spec.rng("course"), (start[0] * cols, -2.0), (end[0] * cols, rows + 2.0), 0.12)
    country.river(land, spec, course, width_m=50.0)
    way = curve(spec.rng("way"), (-2.0, start[1] * rows), (cols + 2.0, end[1] * rows), 0.04)
    country.motorway(land, spec, way, width_m=35.0)
    return land


def _unit_grid(spec: SceneSpec) -> tuple[Floats, Floats]:
    """Return y and x of every pixel, 0 to 1 across the scene."""
    rows, cols = np.indices(spec.shape, dtype=np.float32)
    return rows / np.float32(spec.shape[0]), cols / np.float32(spec.shape[1])


def _tone(spec: SceneSpec) -> Floats:
    return fractal(spec.rng("tone"), spec.shape, 800.0 / spec.pixel_m, 1.2)


def _sea(spec: SceneSpec, y: Floats, x: Floats) -> Mask:
    """Return the sea in the south: one body of water, one coast, without islets."""
    rng = spec.rng("coast")
    bays = fractal(rng, spec.shape, 0.35 * spec.shape[1], 2.4)
    south = y - 0.70 - 0.10 * (x - 0.5) + 0.035 * bays
    sea = _largest(south > 0)
    return ~_largest(~sea)


def _largest(mask: Mask) -> Mask:
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def _hills(spec: SceneSpec, y: Floats, x: Floats, inland: Floats, side_m: float) -> Floats:
    """Return heights in metres: a coastal plain, and hills cut by valleys in the north-east."""
    rng = spec.rng("hills")
    ridges = _ridges(rng, spec, 2000.0)
    swell = fractal(rng, spec.shape, 4000.0 / spec.pixel_m, 3.0)
    rise = np.clip((0.95 * x - 1.25 * y - 0.12 + 0.10 * swell) / 0.45, 0.0, 1.0)
    plain = 25.0 * np.minimum(inland / (0.5 * side_m), 1.0) * (1.0 + 0.3 * swell)
    height = plain + rise**1.2 * (200.0 + 110.0 * ridges)
    return np.asarray(ndimage.gaussian_filter(np.maximum(height, 0.0), 1.5), np.float32)


def _ridges(rng: np.random.Generator, spec: SceneSpec, wavelength_m: float) -> Floats:
    """Return mountains of height around 0 to 1: crests with spurs that branch off from them."""
    wavelength = wavelength_m / spec.pixel_m
    crest = 1.0 - np.abs(fractal(rng, spec.shape, wavelength, 5.0))
    spur = 1.0 - np.abs(fractal(rng, spec.shape, wavelength / 2.6, 5.0))
    gully = 1.0 - np.abs(fractal(rng, spec.shape, wavelength / 6.0, 5.0))
    return np.asarray(crest + 0.5 * spur + 0.2 * gully, np.float32)


def _shore(land: Landscape, spec: SceneSpec, sea: Mask, inland: Floats) -> None:
    """Let the sea in, behind a beach of changing width, with rock where the coast is bold."""
    width = 25.0 + 28.0 * fractal(spec.rng("beach"), spec.shape, 1500.0 / spec.pixel_m, 2.0)
    wind = fractal(spec.rng("wind"), spec.shape, 1500.0 / spec.pixel_m, 1.4)
    land.paint((inland < width) & ~sea, Cover.SAND, Use.BARE)
    land.paint(sea, Cover.SEA, Use.WATER, wind)
