"""Tags to objects: a class raster of any size becomes polygons of one class each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
from odc.geo.geobox import GeoBox

from sar2opt.errors import ConventionError
from sar2opt.overlay.components import Progress, Read, find_components
from sar2opt.overlay.corners import Array
from sar2opt.overlay.extents import extents
from sar2opt.overlay.outlines import ground, identities, outline
from sar2opt.overlay.sieve import sieve
from sar2opt.raster import NO_TAG
from sar2opt.sar.power_codes import mean_db, summable

OBJECT_COLUMNS = (
    "id",
    "tag",
    "score",  # mean probability of the tag, 0 to 1
    "area_m2",  # on the ground
    "length_m",  # of the minimum rotated rectangle, on the ground
    "orientation_deg",  # of its longer side, clockwise from north; nothing where it is no longer
    "backscatter_db",  # mean power
    "pixels",
    "lon",  # EPSG:4326
    "lat",
    "geometry",  # in the raster's CRS
)


def tags_to_objects(
    tags: Any,
    geobox: GeoBox,
    names: Sequence[str],
    *,
    score: Any = None,
    power: Any = None,
    level_db: float = 0.0,
    block: int = 1024,
    min_area_m2: float = 5000.0,
    min_areas_m2: Mapping[str, float] | None = None,
    max_hole_m2: float = 2000.0,
    smooth: bool = False,
    fill: bool = False,
    workers: int = 0,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """Return one row for each connected area of one tag, the surest first.

    ``tags`` is uint8 ``(y, x)``, NumPy, Zarr or anything that is sliced like them; 255 is no
    data, any other code an index into ``names``. ``score`` is uint8 ``(y, x)``, the probability of
    that tag in percent, ``power`` uint8 ``(y, x)``, backscatter as ``encode_power`` packs it
    around ``level_db``. Pixels that touch by a corner only are not connected.

    Columns: ``id``, the same in every run; ``tag``; ``score``, mean probability from 0 to 1, NaN
    without ``score``; ``area_m2`` on the ground and ``pixels``, both of the tag itself;
    ``length_m`` and ``orientation_deg`` as ``extents`` says; ``backscatter_db``, mean power in dB,
    NaN without ``power``; ``lon``
    and ``lat`` (EPSG:4326) of the centroid, or of a point inside where the centroid is not;
    ``geometry`` in the raster's CRS, in which holes smaller than ``max_hole_m2`` are filled.
    Objects smaller than ``min_area_m2``, or than what ``min_areas_m2`` says of their tag, as a ship
    is smaller than a lake may be, are left out, and leave gaps; with ``fill`` they go to the
    neighbour with the longest common border instead (see ``sieve``), so that only what touches no
    other is left out. There such scraps count in all columns, with a probability of 0 for the tag
    of their neighbour. With ``smooth`` outlines lose their stairs,
    and neighbours still share their border, point for point.

    The rows do not depend on ``block`` or ``workers`` (threads; 0 is one a core). ``progress``
    is called with the blocks done and the blocks there are. Raises ``ConventionError`` when
    ``tags`` holds a code without a name or shapes differ.
    """
    check_shapes(geobox, tags=tags, score=score, power=power)
    area = ground(geobox)
    read = own = tag_reader(tags, names)
    cut: dict[str, Any] = {"background": NO_TAG, "block": block, "workers": workers}
    smallest = {**dict.fromkeys(names, min_area_m2), **(min_areas_m2 or {})}
    if fill:
        least = np.zeros(256, np.int64)  # so many are large enough anywhere
        least[: len(names)] = [math.ceil(smallest[name] / area.smallest) for name in names]
        read = sieve(own, geobox.shape.yx, min_pixels=least, **cut)

    def sure(rows: slice, columns: slice) -> Array:
        percent = np.asarray(score[rows, columns])
        return np.where(read(rows, columns) == own(rows, columns), percent, 0) if fill else percent

    components = find_components(
        read,
        geobox.shape.yx,
        values=None if score is None else sure,
        weights=None if power is None else lambda y, x: summable(np.asarray(power[y, x])),
        min_pixels=least_pixels(min(smallest.values()), area.largest),
        progress=progress,
        **cut,
    )
    table = outline(
        components, geobox, area, max_hole_m2=max_hole_m2, smooth=smooth, workers=workers
    )
    table["tag"] = [names[code] for code in table["code"]]
    table["score"] = np.nan if score is None else table["total"] / table["pixels"] / 100
    table["id"] = identities(table, table["tag"])
    table["backscatter_db"] = mean_db(
        table["weight"].to_numpy(), table["pixels"].to_numpy(), level_db
    )
    table = table[table["area_m2"] >= table["tag"].map(smallest)]
    table["length_m"], _, table["orientation_deg"] = extents(table.geometry.to_numpy(), geobox)
    table = table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    return table[list(OBJECT_COLUMNS)]


def with_origin(
    table: gpd.GeoDataFrame, *, acquired: str, source: str, model: str
) -> gpd.GeoDataFrame:
    """Return objects with three more columns: when and in what scene they were seen, and by what.

    They say the same in each row, so that it is not lost where layers of many scenes are merged.
    """
    own = table.drop(columns="geometry").assign(acquired=acquired, source=source, model=model)
    return gpd.GeoDataFrame(own, geometry=table.geometry, crs=table.crs)


def least_pixels(min_area_m2: float, largest_pixel_m2: float) -> int:
    """Return the number of pixels below which a component is too small wherever it lies."""
    return max(1, int(min_area_m2 / largest_pixel_m2))


def check_shapes(geobox: GeoBox, **layers: Any) -> None:
    """Raise ``ConventionError`` unless each layer (None is none) has the shape of the grid."""
    for name, layer in layers.items():
        if layer is not None and tuple(layer.shape) != tuple(geobox.shape):
            raise ConventionError(
                f"{name} has shape {tuple(layer.shape)}, the grid {tuple(geobox.shape)}"
            )


def tag_reader(tags: Any, names: Sequence[str]) -> Read:
    """Return a function that reads a window of tags and refuses codes without a name."""
    named = np.zeros(256, bool)
    named[: len(names)] = named[NO_TAG] = True

    def read(rows: slice, columns: slice) -> Array:
        window: Array = np.asarray(tags[rows, columns])
        if not named[window].all():
            code = window[~named[window]][0]
            raise ConventionError(f"tags hold code {code}, but there are {len(names)} names")
        return window

    return read
