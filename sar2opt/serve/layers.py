"""What is drawn: the raster layers, and the colours, which are those of the products."""

from __future__ import annotations

from functools import cache
from typing import Any

from sar2opt.products.classes import CLASSES
from sar2opt.products.facts import GENERATED
from sar2opt.products.pictures import TRUST_STOPS, tag_palette, trust_palette
from sar2opt.products.preview import MARK
from sar2opt.products.styles import STYLES

Palette = dict[int, tuple[int, int, int, int]]

FILE_OF = {"optical": "optical", "sar": "sar", "tags": "tags", "trust": "trust", "veil": "trust"}
"""The product of ``folder.FILES`` that a raster layer is drawn from."""

MARKED = ("optical", "tags", "trust")
"""The layers whose tiles say in their pixels that a net made them; the veil lies over one."""

TITLES = {
    "sar": "Radar",
    "optical": "Generated",
    "tags": "Land cover",
    "trust": "Trust",
    "veil": "Veil: where not to believe the generated image",
}
_VEIL_FULL = 225  # of 255: even where there is no trust at all, something is seen


@cache
def palette(layer: str) -> Palette | None:
    """Return red, green, blue and alpha of each value, 0 to 255, or None for an image.

    The veil is the colour of no trust, the more opaque the less the trust.
    """
    if layer not in ("tags", "trust", "veil"):
        return None
    colours, shown = trust_palette(), range(101)
    if layer == "tags":
        colours, shown = tag_palette(), range(len(CLASSES))
    known = {value: (*map(int, colours[value]), 255) for value in shown}
    if layer == "veil":
        known = {
            value: (*TRUST_STOPS[0], round(_VEIL_FULL * (1 - value / 100))) for value in range(101)
        }
    return {value: known.get(value, (0, 0, 0, 0)) for value in range(256)}  # type: ignore[misc]


def legend() -> dict[str, Any]:
    """Return what the page needs to draw and to explain, taken from the products' own tables."""
    return {
        "mark": MARK,
        "generated": dict(GENERATED),
        "layers": TITLES,
        "classes": [
            {"name": c.name, "title": c.title, "colour": c.hex, "description": c.description}
            for c in CLASSES
        ],
        "kinds": [
            {"name": s.value, "title": s.label, "colour": "#{:02x}{:02x}{:02x}".format(*s.fill)}
            for s in STYLES["anomalies"].symbols
        ],
        "trust": ["#{:02x}{:02x}{:02x}".format(*stop) for stop in TRUST_STOPS],
    }
