"""The class table: what a tag is called, how it is drawn, and what it is in ESA WorldCover.

The colours stay apart for the three common kinds of colour blindness (the least difference is
held by a test), and follow the habits of land-cover maps as far as that allows: water is blue,
vegetation is green, built-up land is red. Physical objects have colours that no ground has, and
WorldCover has no class for them.
"""

from __future__ import annotations

from dataclasses import dataclass

from sar2opt.raster import NO_TAG

__all__ = ["BY_NAME", "CLASSES", "NO_TAG", "LandCover"]


@dataclass(frozen=True)
class LandCover:
    """A class of the tags."""

    code: int
    name: str
    title: str
    colour: tuple[int, int, int]  # red, green, blue, 0 to 255
    worldcover: tuple[int, ...]  # codes of ESA WorldCover v200 that fall into this class
    description: str

    @property
    def hex(self) -> str:
        """Colour as ``#RRGGBB``."""
        return "#{:02X}{:02X}{:02X}".format(*self.colour)


CLASSES = (
    LandCover(
        0, "water", "Water", (40, 110, 190), (80,), "Open water: sea, lakes, rivers, reservoirs"
    ),
    LandCover(
        1, "trees", "Trees", (15, 75, 45), (10, 95), "Forest, orchards and mangroves: closed crowns"
    ),
    LandCover(
        2,
        "low_vegetation",
        "Low vegetation",
        (136, 190, 106),
        (20, 30, 90, 100),
        "Grass, shrub, herbaceous wetland, moss and lichen",
    ),
    LandCover(
        3, "cropland", "Cropland", (240, 197, 66), (40,), "Fields that are sown and harvested"
    ),
    LandCover(
        4,
        "built_up",
        "Built-up",
        (214, 60, 110),
        (50,),
        "Buildings, roads, paved and industrial land",
    ),
    LandCover(
        5,
        "bare",
        "Bare",
        (222, 214, 206),
        (60, 70),
        "Bare soil, rock and sand with little vegetation; snow and ice",
    ),
    LandCover(
        6, "ship", "Ship", (136, 17, 255), (), "A compact strong echo on water: ship, platform"
    ),
    LandCover(
        7,
        "large_structure",
        "Large structure",
        (51, 0, 68),
        (),
        "A compact strong echo on land: hall, tank, stack, tower, bridge",
    ),
)

BY_NAME = {entry.name: entry for entry in CLASSES}
