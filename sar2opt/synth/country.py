"""The open country: fields, meadows, hedges, farms, woods, rivers, roads."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from shapely import affinity
from shapely.geometry import LineString

from sar2opt.synth.fields import Floats, Mask, burn, fractal, rectangle
from sar2opt.synth.mosaic import Lots, bend, look_up, split
from sar2opt.synth.spec import Landscape, SceneSpec
from sar2opt.synth.surfaces import Cover, Use


def till(land: Landscape, spec: SceneSpec, angle_deg: float, field_m2: float = 6e4) -> None:
    """Cover the whole land with farms: fields of one tone each, meadows, hedges, dirt tracks."""
    rng = spec.rng(f"fields {angle_deg}")
    plane = bend(rng, spec.shape, spec.pixel_m, angle_deg, bend_m=110.0)
    farms, _ = split(rng, plane.bounds, 1.1e6, ragged=0.25)
    sizes = field_m2 * np.exp(rng.normal(0.0, 0.5, len(farms)))
    fields, farm_of = split(rng, farms, sizes, ragged=0.22)
    at = look_up(plane, fields, spec.pixel_m)
    dice = rng.uniform(size=len(fields))[at.ids]
    # a farm grows few things at a time, so neighbouring fields resemble one another
    tone = rng.standard_normal(len(fields)) + 0.5 * rng.standard_normal(len(farms))[farm_of]
    within = 0.2 * fractal(rng, spec.shape, 400.0 / spec.pixel_m, 2.0)
    state = (tone.astype(np.float32)[at.ids] + within).astype(np.float32)
    land.paint(np.ones(spec.shape, bool), Cover.CROP, Use.AGRICULTURE, state)
    land.paint(dice < 0.17, Cover.GRASS)
    land.paint(dice > 0.94, Cover.SOIL)
    _hedges(land, rng, at, len(fields), spec)
    _farmsteads(land, rng, at, len(fields))
    track = look_up(plane, farms, spec.pixel_m).edge < 0.6 * spec.pixel_m
    land.paint(track, Cover.SOIL, Use.AGRICULTURE, np.ones(spec.shape, np.float32))


def _hedges(
    land: Landscape, rng: np.random.Generator, at: Lots, count: int, spec: SceneSpec
) -> None:
    """Grow a hedge, with gaps, around one field in four."""
    hedged = (rng.uniform(size=count) < 0.3)[at.ids]
    gaps = fractal(rng, spec.shape, 200.0 / spec.pixel_m, 1.5) < 0.6
    land.paint(hedged & gaps & (at.edge < 1.2 * spec.pixel_m), Cover.GROVE)


def _farmsteads(land: Landscape, rng: np.random.Generator, at: Lots, count: int) -> None:
    """Put farm buildings and their trees in the corner of some fields."""
    farm = (rng.uniform(size=count) < 0.06)[at.ids]
    land.paint(farm & (at.s < 90) & (at.t < 80), Cover.GROVE, Use.RESIDENTIAL)
    land.paint(farm & (at.s < 70) & (at.t < 60), Cover.HOUSES)
    land.paint(farm & (at.s > 30) & (at.s < 55) & (at.t > 15) & (at.t < 55), Cover.ROOF)


def wood(land: Landscape, here: Mask, tone: Floats) -> None:
    """Grow forest on the pixels ``here``."""
    land.paint(here, Cover.FOREST, Use.FOREST, tone)


def wilderness(
    land: Landscape, spec: SceneSpec, here: Mask, tree_line_m: float, wooded: float = 0.0
) -> None:
    """Leave ``here`` to nature: forest in gullies and on shaded slopes, scrub, rock above."""
    rng = spec.rng("wilderness")
    here = here & ~land.covered(Cover.RIVER)
    patchy = fractal(rng, spec.shape, 900.0 / spec.pixel_m, 1.25)
    tone = fractal(rng, spec.shape, 700.0 / spec.pixel_m, 1.2)
    smooth = ndimage.gaussian_filter(land.height, 2.0)
    hollow = (ndimage.gaussian_filter(smooth, 60.0 / spec.pixel_m) - smooth) / 7.0
    down, right = np.gradient(smooth, spec.pixel_m)
    steep = np.hypot(down, right)
    above = (land.height - tree_line_m) / 120.0
    # trees need water, which gathers in hollows and stays on slopes that fall to the north
    wet = patchy + np.clip(hollow, -1.0, 1.0) - 2.0 * down - 2.0 * np.maximum(above, 0.0)
    forest = here & (wet > 0.7 - wooded)
    land.paint(here, Cover.SCRUB, Use.NATURE, tone)
    land.paint(forest, Cover.FOREST, tone=tone)
    # the register knows forests and clearings, not single trees
    dense = ndimage.gaussian_filter(forest.astype(np.float32), 140.0 / spec.pixel_m) > 0.42
    land.use[here & dense] = Use.FOREST
    bare = here & (above + 2.0 * (steep - 0.6) + 0.5 * patchy > 1.2)
    land.paint(bare, Cover.ROCK, Use.NATURE, tone)


def river(land: Landscape, spec: SceneSpec, course: LineString, width_m: float) -> None:
    """Let a river run along ``course`` (pixels), with a ragged band of trees beside it."""
    half = width_m / 2.0 / spec.pixel_m
    ragged = fractal(spec.rng("river"), spec.shape, 250.0 / spec.pixel_m, 1.5)
    banks = [burn(spec.shape, course.buffer(half + grow / spec.pixel_m)) for grow in (20, 70, 150)]
    green = banks[0] | (banks[1] & (ragged > -0.3)) | (banks[2] & (ragged > 0.8))
    land.paint(green, Cover.GROVE, Use.AGRICULTURE, ragged)
    land.paint(burn(spec.shape, course.buffer(half)), Cover.RIVER, Use.WATER, ragged * 0.3)


def pit(land: Landscape, spec: SceneSpec, centre: tuple[float, float], radius_m: float) -> None:
    """Clear ground of ragged outline around ``centre`` (pixels): a gravel pit, bare and even."""
    rng = spec.rng("pit")
    rows, cols = np.indices(spec.shape, dtype=np.float32)
    distance = np.hypot(cols - centre[0], rows - centre[1]) * spec.pixel_m
    ragged = 1.0 + 0.12 * fractal(rng, spec.shape, 400.0 / spec.pixel_m, 1.5)
    even = 0.3 * fractal(rng, spec.shape, 400.0 / spec.pixel_m, 1.5)
    here = (distance < radius_m * ragged) & ~land.covered(Cover.RIVER)
    # its floor is levelled, and the slopes around it lead down to it
    weight = np.clip(2.2 - distance / radius_m, 0.0, 1.0).astype(np.float32)
    land.height += weight * (float(land.height[here].mean()) - land.height)
    land.paint(here, Cover.SOIL, Use.BARE, even)


def airfield(
    land: Landscape, spec: SceneSpec, centre: tuple[float, float], angle_deg: float
) -> None:
    """Lay out an airfield around ``centre`` (pixels): runway, taxiways, apron and hangars."""

    def strip(along: float, aside: float, length: float, width: float, turn: float = 0) -> Mask:
        metres = affinity.translate(rectangle((0, 0), length, width, turn), along, aside)
        pixels = affinity.scale(metres, 1 / spec.pixel_m, 1 / spec.pixel_m, origin=(0, 0))
        turned = affinity.rotate(pixels, angle_deg, origin=(0, 0))
        return burn(spec.shape, affinity.translate(turned, *centre))

    calm = np.full(spec.shape, 0.3, np.float32)
    land.paint(strip(0, 60, 2700, 700), Cover.GRASS, Use.INDUSTRY, calm)
    ways = [strip(0, 0, 2450, 50), strip(0, 190, 2300, 28)]
    ways += [strip(along, 95, 190, 28, 90.0) for along in (-1130, -400, 350, 1130)]
    for way in ways:
        land.paint(way, Cover.STREET)
    land.paint(strip(150, 280, 900, 150), Cover.YARD)
    for along in (-180, 40, 300, 500):
        land.paint(strip(along, 340, 130, 60), Cover.ROOF)


def motorway(land: Landscape, spec: SceneSpec, course: LineString, width_m: float = 45.0) -> None:
    """Build a motorway along ``course`` (pixels), with grassy sides; it bridges what it meets."""
    half = width_m / 2.0 / spec.pixel_m
    verge = burn(spec.shape, course.buffer(half + 12.0 / spec.pixel_m))
    land.paint(verge & ~land.covered(Cover.SEA, Cover.RIVER), Cover.GRASS, Use.TRANSPORT)
    land.paint(burn(spec.shape, course.buffer(half)), Cover.STREET, Use.TRANSPORT)
