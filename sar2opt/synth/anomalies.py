"""What does not belong, planted: the truth that the flags of a run are held against.

Ships and a metal structure are bright targets on dark ground; patches of the wrong cover make
the land-use register wrong, and nothing else does. Each is planted where there is most room for
it, and left out where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import geopandas as gpd
import numpy as np
from rasterio.features import shapes
from scipy import ndimage
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from sar2opt.synth.fields import Floats, Mask, burn, fractal, rectangle
from sar2opt.synth.spec import Landscape, SceneSpec
from sar2opt.synth.surfaces import CLASSES, TAG_OF, Cover, Use

BRIGHT, DISAGREEMENT = "bright_target", "reference_disagreement"
COLUMNS = ("kind", "what", "reason", "geometry")
SHIPS = 9
NATURAL = (Cover.FOREST, Cover.SCRUB, Cover.GRASS, Cover.CROP)
Row = tuple[str, str, str, Any]


def plant(land: Landscape, spec: SceneSpec, valid: Mask) -> gpd.GeoDataFrame:
    """Change ``land`` in place where anomalies are planted, and return them.

    Columns: ``kind`` (``bright_target``, ``reference_disagreement``), ``what``, ``reason`` (a
    sentence) and the geometry: the outline of exactly the pixels that were changed, in the
    scene's CRS. The register (``land.use``) is left as it was. ``valid`` says where the scene
    has data.
    """
    rng = spec.rng("anomalies")
    rows = [*_ships(land, spec, rng, valid), *_metal(land, spec, valid)]
    patches: tuple[tuple[Use, Cover, str, Callable[..., Mask]], ...] = (
        (Use.FOREST, Cover.HOUSES, "unregistered buildings", _estate),
        (Use.AGRICULTURE, Cover.HOUSES, "unregistered buildings", _estate),
        (Use.AGRICULTURE, Cover.RIVER, "standing water", _blot),
        (Use.FOREST, Cover.SOIL, "cleared ground", _blot),
    )
    for use, cover, what, outline in patches:
        home = (land.use == use) & land.covered(*NATURAL)
        at = _roomiest(home & valid, 130.0 / spec.pixel_m)
        if at is not None:
            rows.append(_patch(land, spec, outline(spec, rng, at) & home, use, cover, what))
    return gpd.GeoDataFrame(rows, columns=COLUMNS, geometry="geometry", crs=spec.crs)


def outline_of(mask: Mask, spec: SceneSpec) -> BaseGeometry:
    """Return the outline of the pixels in ``mask``, in the scene's CRS."""
    rows, cols = ndimage.find_objects(mask.astype(np.uint8))[0]
    cut = mask[rows, cols]
    found = shapes(cut.astype(np.uint8), mask=cut, transform=spec.geobox[rows, cols].affine)
    return unary_union([shape(geometry) for geometry, _ in found])


def _roomiest(mask: Mask, radius: float) -> tuple[float, float] | None:
    """Return (x, y) of the pixel of ``mask`` farthest from its edge, if that is ``radius`` off."""
    room = _room(mask[::2, ::2])  # every second pixel is near enough
    y, x = np.unravel_index(int(room.argmax()), room.shape)
    return (2.0 * x, 2.0 * y) if 2.0 * room[y, x] >= radius else None


def _room(mask: Mask) -> Floats:
    """Return how far each pixel is from the nearest one outside ``mask``, or off the scene."""
    return np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1], np.float32)


def _ships(land: Landscape, spec: SceneSpec, rng: np.random.Generator, valid: Mask) -> list[Row]:
    """Anchor ships off the coast, turned into one wind, well apart from one another."""
    rows: list[Row] = []
    wind, least = rng.uniform(0, 180), 600.0 / spec.pixel_m
    spots = np.argwhere(_room(land.covered(Cover.SEA) & valid) > 320.0 / spec.pixel_m)
    anchored: list[tuple[int, int]] = []
    for y, x in rng.permutation(spots)[:2000]:
        if any(np.hypot(y - v, x - u) < least for v, u in anchored) or len(rows) == SHIPS:
            continue
        anchored.append((y, x))
        length = rng.uniform(60, 290)
        size = (length / spec.pixel_m, max(length / 7.0, 22.0) / spec.pixel_m)
        mask = burn(spec.shape, rectangle((x + 0.5, y + 0.5), *size, wind + rng.normal(0, 16)))
        land.paint(mask, Cover.SHIP)
        reason = f"A ship of {length:.0f} m lies at anchor in open water."
        rows.append((BRIGHT, "ship", reason, outline_of(mask, spec)))
    return rows


def _metal(land: Landscape, spec: SceneSpec, valid: Mask) -> list[Row]:
    """Set a metal structure of 50 x 40 m on the widest even bare ground."""
    bare = land.covered(Cover.SOIL, Cover.SAND) & valid
    at = _roomiest(bare, 120.0 / spec.pixel_m)
    if at is None:
        return []
    mask = burn(spec.shape, rectangle(at, 50.0 / spec.pixel_m, 40.0 / spec.pixel_m, 20.0))
    land.paint(mask, Cover.METAL)
    reason = "A metal structure stands alone on bare ground."
    return [(BRIGHT, "metal structure", reason, outline_of(mask, spec))]


def _patch(land: Landscape, spec: SceneSpec, mask: Mask, use: Use, cover: Cover, what: str) -> Row:
    """Cover ``mask`` with what the register does not allow there."""
    land.paint(mask, cover, tone=np.zeros(spec.shape, np.float32))
    if cover == Cover.HOUSES:  # large roofs in rows among the houses
        rows, cols = np.indices(spec.shape)
        land.paint(mask & (rows % 6 < 3) & (cols % 8 < 5), Cover.ROOF)
    tag = CLASSES[TAG_OF[cover]]
    reason = f"The register says {use.name.lower()}, the ground is {tag}: {what}."
    return (DISAGREEMENT, what, reason, outline_of(mask, spec))


def _estate(spec: SceneSpec, rng: np.random.Generator, at: tuple[float, float]) -> Mask:
    """Return the pixels of a rectangle of about 220 x 170 m around ``at``."""
    length, width = rng.uniform(200, 250) / spec.pixel_m, rng.uniform(150, 190) / spec.pixel_m
    return burn(spec.shape, rectangle(at, length, width, rng.uniform(0, 180)))


def _blot(spec: SceneSpec, rng: np.random.Generator, at: tuple[float, float]) -> Mask:
    """Return the pixels of a ragged round of about 200 m across around ``at``, in one piece."""
    rows, cols = np.indices(spec.shape, dtype=np.float32)
    ragged = 1.0 + 0.15 * fractal(rng, spec.shape, 200.0 / spec.pixel_m, 2.0)
    near = np.hypot(cols - at[0], rows - at[1]) * spec.pixel_m < 105.0 * ragged
    labels, _ = ndimage.label(near)
    return np.asarray(labels == labels[int(at[1]), int(at[0])])
