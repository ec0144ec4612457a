"""Several files of one pass on one grid: checked to belong together, then laid out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import combinations, product
from math import ceil, floor
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.affinity import affine_transform
from shapely.ops import unary_union

from sar2opt.errors import SceneError, UnitsError
from sar2opt.raster import SAR_BANDS, pixel_area_m2
from sar2opt.scenes.blocks import MOST_PIXELS
from sar2opt.scenes.joined import FEATHER, JoinedSource, Tile, outline_in
from sar2opt.scenes.opened import Opened

_PASS_S = 900  # an orbit takes about 6,000 s; slices of one pass follow one another
_COVERED = 0.5  # of a file, by those of another polarisation: neighbours overlap by less
_COPY = 0.9  # of the smaller of two files, in the other: neighbours overlap by less
_SAMPLES = 6  # a side, of two files' data


def join(scenes: Sequence[Opened], name: str) -> Opened:
    """Return several open files as one scene on one grid.

    The grid is that of the file with the finest pixels among those of the commonest CRS (of two
    as common, that of the co-polarised files), made to hold all. Raises ``SceneError`` where the
    files are of different passes, quantities, radars or polarisations.
    """
    if len(scenes) == 1:
        return scenes[0]
    scenes = sorted(scenes, key=lambda scene: SAR_BANDS.index(scene.names[0]))
    attrs = _common(scenes, name)
    geobox = _grid([scene.geobox for scene in scenes], name)
    tiles = [
        (band, Tile.place(scene.source, scene.geobox, index, geobox))
        for scene in scenes
        for index, band in enumerate(scene.names)
    ]
    names = [band for band in SAR_BANDS if any(band == of for of, _ in tiles)]
    of_band = tuple(tuple(tile for of, tile in tiles if of == band) for band in names)
    _check_cover(dict(zip(names, of_band, strict=True)), name)
    _refuse_copies(dict(zip(names, of_band, strict=True)), geobox, name)
    sentence = f"{len(scenes)} files joined on one grid ({geobox.crs})"
    moved = sum(tile.offset is None for _, tile in tiles)
    if moved:
        sentence += f": {moved} of {len(tiles)} bands lie on another, and are resampled (bilinear)"
        sentence += " on linear power"
    attrs["assumptions"].append(sentence)
    if any(len(of) > 1 for of in of_band):
        attrs["assumptions"].append(f"seams are feathered over {FEATHER} pixels of valid data")
    source = JoinedSource(of_band, (len(names), *geobox.shape), geobox.affine, str(geobox.crs))
    return Opened(source, geobox, tuple(names), attrs)


def _common(scenes: Sequence[Opened], name: str) -> dict[str, Any]:
    """Return the attributes of the whole; raises where the files contradict one another."""
    every = [scene.attrs for scene in scenes]
    for key, what in (("quantity", "quantities"), ("frequency_band", "radar bands")):
        values = sorted({str(attrs[key]) for attrs in every if attrs.get(key)})
        if len(values) > 1:
            raise UnitsError(f"{name}: mixed {what} ({', '.join(values)}): give those of one kind")
    scales = sorted({attrs["input_scale"] for attrs in every})
    if len(scales) > 1 and any(scale.startswith("display") for scale in scales):
        raise UnitsError(f"{name}: mixed scales ({', '.join(scales)}): give those of one kind")
    times = sorted(attrs["acquired"] for attrs in every if attrs["acquired"])
    if times and not _one_pass(times[0], times[-1]):
        raise SceneError(
            f"{name}: mixed passes, from {times[0]} to {times[-1]}: give the files of one pass"
        )
    notes = list(dict.fromkeys(note for attrs in every for note in attrs["assumptions"]))
    if untimed := sum(not attrs["acquired"] for attrs in every):
        notes.append(f"the time of {untimed} files is not written: taken as of the same pass")
    sources = list(dict.fromkeys(attrs["source"] for attrs in every))
    looks = [attrs["looks"] for attrs in every if "looks" in attrs]
    return {
        **{key: value for attrs in every for key, value in attrs.items()},
        "acquired": times[0] if times else "",
        "source": sources[0] if len(sources) == 1 else name,
        "input_scale": " and ".join(scales),
        "simulated": any(attrs["simulated"] for attrs in every),
        "assumptions": notes,
        **({"looks": min(looks)} if looks else {}),
    }


def _one_pass(first: str, last: str) -> bool:
    if "T" not in first or "T" not in last:
        return first[:10] == last[:10]
    between = datetime.fromisoformat(last) - datetime.fromisoformat(first)
    return between.total_seconds() <= _PASS_S


def _grid(boxes: Sequence[GeoBox], name: str) -> GeoBox:
    crs = Counter(str(box.crs) for box in boxes).most_common(1)[0][0]
    base = min((box for box in boxes if str(box.crs) == crs), key=pixel_area_m2)
    extents = [outline_in(box, crs) for box in boxes]
    pixels = affine_transform(unary_union(extents), (~base.affine).to_shapely())
    left, top, right, bottom = (round(edge, 3) for edge in pixels.bounds)
    first, shape = (floor(left), floor(top)), (ceil(bottom), ceil(right))
    size = shape[0] - first[1], shape[1] - first[0]
    grown = GeoBox(size, base.affine @ Affine.translation(*first), base.crs)
    if grown.shape[0] * grown.shape[1] > MOST_PIXELS:
        raise SceneError(f"{name}: its files lie too far apart for one grid: give neighbours only")
    return grown


def _check_cover(tiles: dict[str, tuple[Tile, ...]], name: str) -> None:
    """Raise where a file of one polarisation covers what no file of another does."""
    covers = {band: unary_union([tile.footprint for tile in of]) for band, of in tiles.items()}
    for (band, of), (other, cover) in product(tiles.items(), covers.items()):
        share = min(tile.footprint.intersection(cover).area / tile.footprint.area for tile in of)
        if share < _COVERED:
            raise SceneError(
                f"{name}: mixed polarisations: a file of {band} has {share:.0%} of its ground in "
                f"{other}: say --polarisation {band} or {other}, or give the missing files"
            )


def _refuse_copies(tiles: dict[str, tuple[Tile, ...]], geobox: GeoBox, name: str) -> None:
    """Raise where two files of one polarisation hold the same ground: two dates, or versions."""
    for band, of in tiles.items():
        for one, other in combinations(of, 2):
            shared = one.footprint.intersection(other.footprint)
            least = min(one.footprint.area, other.footprint.area)
            if shared.area > _COPY * least and _same_data(one, other, shared.bounds, geobox):
                raise SceneError(
                    f"{name}: two files of {band} cover the same ground, as two dates or two "
                    "versions do: give one of them"
                )


def _same_data(one: Tile, other: Tile, bounds: Sequence[float], geobox: GeoBox) -> bool:
    """Return whether the valid pixels of two tiles coincide, by a grid of samples.

    Slices of a pass that were exported to one frame share their footprint, but not their data.
    """
    left, top, right, bottom = bounds
    rows, cols = (
        (low + (high - low) * (np.arange(_SAMPLES) + 0.5) / _SAMPLES).astype(int)
        for low, high in ((top, bottom), (left, right))
    )
    crs = str(geobox.crs)
    valid = np.array(
        [
            [
                np.isfinite(tile.read(slice(y, y + 1), slice(x, x + 1), geobox.affine, crs)).all()
                for y, x in product(rows, cols)
            ]
            for tile in (one, other)
        ]
    )
    return bool(valid.all(axis=0).sum() > _COPY / 2 * valid.sum(axis=1).min())
