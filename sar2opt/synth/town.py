"""Towns: arterial roads, quarters, and the streets, houses, roofs and towers in them."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from sar2opt.synth.fields import Floats, Mask, fractal
from sar2opt.synth.mosaic import Ids, Lots, bend, look_up, split
from sar2opt.synth.spec import Landscape, SceneSpec
from sar2opt.synth.surfaces import Cover, Use


class Quarter(IntEnum):
    """What a block of land between arterial roads is for."""

    NONE = 0
    HOUSES = 1
    INDUSTRY = 2
    CENTRE = 3
    PARK = 4
    VACANT = 5


LOT_M2 = {
    Quarter.NONE: 1e9,
    Quarter.HOUSES: 9e4,
    Quarter.INDUSTRY: 1.3e4,
    Quarter.CENTRE: 5e3,
    Quarter.PARK: 4e4,
    Quarter.VACANT: 4e4,
}


def build_town(land: Landscape, spec: SceneSpec, urban: Floats, angle_deg: float) -> None:
    """Build a town where ``urban`` ``(y, x)`` is above 0, its centre where it comes near 1.

    Whole quarters are built or left out, so that the edge of the town follows its roads.
    A river that is there already stays, and the main roads bridge it.
    """
    rng = spec.rng(f"town {angle_deg}")
    plane = bend(rng, spec.shape, spec.pixel_m, angle_deg)
    main, _ = split(rng, plane.bounds, 3.5e6)
    blocks, main_of = split(rng, main, 1.5e5)
    quarters = look_up(plane, blocks, spec.pixel_m)
    kinds = _quarters(rng, quarters, main_of, urban)
    lots, block_of = split(rng, blocks, [LOT_M2[Quarter(kind)] for kind in kinds])
    where = look_up(plane, lots, spec.pixel_m)
    kind = kinds[block_of][where.ids]
    tone = rng.standard_normal(len(lots)).astype(np.float32)[where.ids]
    stream = land.covered(Cover.RIVER)
    _houses(land, rng, spec, quarters, main_of, kind == Quarter.HOUSES)
    _works(land, where, kind == Quarter.INDUSTRY, tone)
    _centre(land, where, kind == Quarter.CENTRE, tone)
    _green(land, rng, spec, kind, tone)
    built = kind != Quarter.NONE
    street = built & (quarters.edge < 0.8 * spec.pixel_m)
    land.paint(street, Cover.STREET)
    land.use[street & np.isin(land.use, (Use.PARK, Use.BARE))] = Use.TRANSPORT
    land.paint(stream, Cover.RIVER, Use.WATER)
    avenue = look_up(plane, main, spec.pixel_m).edge < 1.3 * spec.pixel_m
    land.paint(built & avenue, Cover.STREET, Use.TRANSPORT)  # it bridges the stream


def _quarters(
    rng: np.random.Generator, quarters: Lots, main_of: Ids, urban: Floats
) -> npt.NDArray[np.int_]:
    """Return the kind of each block from how urban its pixels are on the average."""
    count = len(main_of)
    pixels = np.maximum(np.bincount(quarters.ids.ravel(), minlength=count), 1)
    level = np.bincount(quarters.ids.ravel(), urban.ravel(), minlength=count) / pixels
    # works keep together: whole districts are industrial, others hardly at all
    works = rng.choice([0.04, 0.55], int(main_of.max()) + 1, p=[0.75, 0.25])[main_of]
    dice = rng.uniform(size=count)
    kinds = np.where(dice < works, Quarter.INDUSTRY, Quarter.HOUSES)
    kinds = np.where(dice > 0.88, Quarter.PARK, kinds)
    kinds = np.where(dice > 0.94, Quarter.VACANT, kinds)
    kinds = np.where(level > 0.9, Quarter.CENTRE, kinds)
    # the town frays towards its edge
    return np.where(level > rng.choice([0.0, 0.2], count, p=[0.65, 0.35]), kinds, Quarter.NONE)


def _houses(
    land: Landscape, rng: np.random.Generator, spec: SceneSpec, at: Lots, main_of: Ids, here: Mask
) -> None:
    """Lay streets in rows, or winding, and fill the blocks between them with houses and trees."""
    count = len(main_of)
    near = rng.uniform(70, 110, count).astype(np.float32)[at.ids]
    far = rng.uniform(150, 320, count).astype(np.float32)[at.ids]
    winding = np.maximum(rng.normal(0, 16, count), 0).astype(np.float32)[at.ids]
    askew = rng.choice([0.0, 90.0, 22.0, 45.0], int(main_of.max()) + 1, p=[0.4, 0.3, 0.15, 0.15])
    turn = np.radians(askew[main_of]).astype(np.float32)[at.ids]
    s = np.cos(turn) * at.s + np.sin(turn) * at.t + 5000.0
    t = np.cos(turn) * at.t - np.sin(turn) * at.s + 5000.0
    width = 0.9 * spec.pixel_m
    street = (s + winding * np.sin(t / 60.0)) % near < width
    street |= (t + winding * np.sin(s / 75.0)) % far < width
    leafy = fractal(rng, spec.shape, 500.0 / spec.pixel_m, 1.0)
    density = 0.7 * rng.standard_normal(count, np.float32)[at.ids]
    density += 0.6 * fractal(rng, spec.shape, 900.0 / spec.pixel_m, 1.3)
    land.paint(here, Cover.HOUSES, Use.RESIDENTIAL, density)
    land.paint(here & (leafy > 1.9), Cover.GROVE)
    land.paint(here & street, Cover.LANE)


def _works(land: Landscape, lots: Lots, here: Mask, tone: Floats) -> None:
    """Set a large roof on most lots of an industrial quarter, with a paved yard around it."""
    land.paint(here, Cover.YARD, Use.INDUSTRY, tone)
    land.paint(here & (lots.edge > 14.0) & (tone > -0.6), Cover.ROOF)
    land.paint(here & (tone < -1.3), Cover.SOIL)


def _centre(land: Landscape, lots: Lots, here: Mask, tone: Floats) -> None:
    """Set towers and dense blocks between narrow streets."""
    land.paint(here, Cover.STREET, Use.INDUSTRY, tone)
    land.paint(here & (lots.edge > 6.0), Cover.TOWER)
    land.paint(here & (tone > 1.7), Cover.GRASS)


def _green(
    land: Landscape,
    rng: np.random.Generator,
    spec: SceneSpec,
    kind: npt.NDArray[np.int_],
    tone: Floats,
) -> None:
    """Lay out parks with groves and ponds, and leave vacant ground to grass and soil."""
    wooded = fractal(rng, spec.shape, 300.0 / spec.pixel_m, 2.0)
    park, vacant = kind == Quarter.PARK, kind == Quarter.VACANT
    land.paint(park, Cover.GRASS, Use.PARK, 0.6 + 0.4 * tone)
    land.paint(park & (wooded > 0.7), Cover.GROVE)
    land.paint(park & (wooded < -1.9), Cover.RIVER)
    land.paint(vacant, Cover.GRASS, Use.BARE, tone)
    land.paint(vacant & (tone > 0.0), Cover.SOIL)
