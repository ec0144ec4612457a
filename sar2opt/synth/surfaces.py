"""What the ground of a synthetic scene can be, and how radar and sunlight see each kind of it.

Backscatter is sigma nought at C-band and 38 degrees of incidence. The figures are those that
Sentinel-1 shows over such ground: contrasts between sea, suburbs, harbour, fields and hills were
taken from single-date IW scenes, and the level from Ulaby & Dobson, Handbook of Radar Scattering
Statistics for Terrain (1989). Colours are those of a hazeless Sentinel-2 true-colour image.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from sar2opt.raster import NO_TAG, TAGS

CLASSES = TAGS
NODATA_TAG = NO_TAG
REFERENCE_INCIDENCE_DEG = 38.0

Colour = tuple[int, int, int]


class Cover(IntEnum):
    """What covers a pixel; finer than the classes, since a roof and a street differ to a radar."""

    SEA = 0
    RIVER = 1
    SHIP = 2
    FOREST = 3
    GROVE = 4
    GRASS = 5
    SCRUB = 6
    CROP = 7
    HOUSES = 8
    STREET = 9
    YARD = 10
    ROOF = 11
    TOWER = 12
    STACK = 13
    SAND = 14
    SOIL = 15
    ROCK = 16
    METAL = 17
    LANE = 18


class Use(IntEnum):
    """What a land-use register says of a parcel."""

    WATER = 0
    FOREST = 1
    NATURE = 2
    AGRICULTURE = 3
    RESIDENTIAL = 4
    INDUSTRY = 5
    PARK = 6
    TRANSPORT = 7
    BARE = 8


ALLOW: dict[Use, tuple[str, ...]] = {
    Use.WATER: ("water", "ship"),
    Use.FOREST: ("trees", "low_vegetation"),
    Use.NATURE: ("trees", "low_vegetation", "bare"),
    Use.AGRICULTURE: ("cropland", "low_vegetation", "trees", "bare"),
    Use.RESIDENTIAL: ("built_up", "large_structure", "trees", "low_vegetation", "bare"),
    Use.INDUSTRY: ("built_up", "large_structure", "low_vegetation", "bare"),
    Use.PARK: ("trees", "low_vegetation", "water"),
    Use.TRANSPORT: ("built_up", "large_structure", "low_vegetation", "bare"),
    Use.BARE: ("bare", "low_vegetation", "large_structure"),
}


@dataclass(frozen=True)
class Surface:
    """How one cover looks to the radar and to the eye."""

    tag: str
    vv_db: float
    vh_db: float
    swing_db: float  # for one standard deviation of tone: vigour of a crop, density of a town
    texture: float  # coefficient of variation of the backscatter itself, before speckle
    fall_db: float  # per degree of incidence
    grain: float  # relative variation of brightness in the optical image, pixel to pixel
    colours: tuple[Colour, ...]  # evenly spaced over tones from -2 to 2


_CROP_COLOURS = ((148, 122, 98), (168, 150, 112), (120, 122, 78), (84, 108, 60), (58, 92, 46))
_ROOF_COLOURS = ((92, 84, 84), (132, 130, 130), (168, 166, 160), (222, 220, 214))
_STACK_COLOURS = ((116, 60, 54), (108, 104, 112), (74, 88, 118), (150, 146, 142))

SURFACES: dict[Cover, Surface] = {
    Cover.SEA: Surface("water", -18.5, -25.8, 0.5, 0.0, -0.45, 0.01, ((18, 46, 74), (26, 60, 88))),
    Cover.RIVER: Surface(
        "water", -21.0, -27.0, 0.3, 0.0, -0.45, 0.02, ((32, 54, 60), (44, 66, 66))
    ),
    Cover.SHIP: Surface("ship", 5.0, -2.0, 0.0, 0.8, 0.0, 0.25, ((120, 96, 90), (176, 170, 166))),
    Cover.FOREST: Surface(
        "trees", -8.3, -13.8, 0.5, 0.2, -0.12, 0.13, ((36, 62, 40), (60, 86, 46))
    ),
    Cover.GROVE: Surface("trees", -8.2, -13.5, 0.6, 0.3, -0.12, 0.17, ((42, 68, 44), (72, 98, 56))),
    Cover.GRASS: Surface(
        "low_vegetation", -12.5, -19.0, 0.6, 0.15, -0.15, 0.05, ((128, 128, 84), (82, 114, 58))
    ),
    Cover.SCRUB: Surface(
        "low_vegetation", -12.1, -18.9, 0.8, 0.25, -0.13, 0.1, ((134, 112, 84), (84, 90, 58))
    ),
    Cover.CROP: Surface("cropland", -12.5, -19.6, 2.4, 0.12, -0.15, 0.03, _CROP_COLOURS),
    Cover.HOUSES: Surface(
        "built_up", -7.8, -14.0, 0.9, 0.55, -0.1, 0.2, ((112, 112, 104), (144, 134, 126))
    ),
    Cover.STREET: Surface(
        "built_up", -15.5, -22.0, 0.0, 0.2, -0.2, 0.06, ((132, 132, 132), (150, 148, 146))
    ),
    Cover.LANE: Surface(
        "built_up", -11.0, -17.0, 0.5, 0.4, -0.2, 0.1, ((120, 120, 116), (140, 136, 130))
    ),
    Cover.YARD: Surface(
        "built_up", -9.5, -16.5, 0.8, 0.9, -0.15, 0.1, ((128, 124, 120), (168, 162, 154))
    ),
    Cover.ROOF: Surface("built_up", -9.0, -16.0, 1.2, 0.9, -0.1, 0.07, _ROOF_COLOURS),
    Cover.TOWER: Surface(
        "large_structure", -5.0, -11.0, 1.0, 0.9, -0.1, 0.2, ((96, 96, 102), (142, 138, 136))
    ),
    Cover.STACK: Surface("large_structure", -2.5, -8.5, 1.0, 0.9, -0.1, 0.16, _STACK_COLOURS),
    Cover.SAND: Surface(
        "bare", -16.5, -24.0, 0.4, 0.15, -0.25, 0.04, ((198, 182, 150), (222, 208, 178))
    ),
    Cover.SOIL: Surface(
        "bare", -14.5, -22.0, 0.8, 0.15, -0.2, 0.05, ((158, 122, 92), (188, 156, 122))
    ),
    Cover.ROCK: Surface(
        "bare", -11.0, -18.0, 0.8, 0.4, -0.15, 0.12, ((128, 122, 114), (160, 154, 146))
    ),
    Cover.METAL: Surface(
        "large_structure", 8.0, 1.0, 0.0, 0.3, 0.0, 0.1, ((196, 198, 204), (196, 198, 204))
    ),
}

SOLIDS = (Cover.ROOF, Cover.TOWER, Cover.STACK)
"""Covers with walls, whose foot makes a dihedral with the ground."""

TAG_OF = np.array([CLASSES.index(SURFACES[cover].tag) for cover in Cover], np.uint8)
"""Class code of each cover, so that ``TAG_OF[cover]`` is the class map."""
