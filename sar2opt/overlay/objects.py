"""Tags to objects: a class raster of any size becomes polygons of one class each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
from odc.geo.geobox import GeoBox

from sar2opt.errors import ConventionError
from sar2opt.overlay.components import Progress, Read, find_components
from sar2opt.overlay.corners import Array
from sar2opt.overlay.outlines import ground, identities, outline
from sar2opt.raster import NO_TAG

OBJECT_COLUMNS = ("id", "tag", "score", "area_m2", "pixels", "lon", "lat", "geometry")


def tags_to_objects(
    tags: Any,
    geobox: GeoBox,
    names: Sequence[str],
    *,
    score: Any = None,
    block: int = 1024,
    min_area_m2: float = 5000.0,
    max_hole_m2: float = 2000.0,
    workers: int = 0,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """Return one row for each connected area of one tag, the surest first.

    ``tags`` is uint8 ``(y, x)``, NumPy, Zarr or anything that is sliced like them; 255 is no
    data, any other code an index into ``names``. ``score`` is uint8 ``(y, x)``, the probability of
    that tag in percent. Pixels that touch by a corner only are not connected.

    Columns: ``id``, the same in every run; ``tag``; ``score``, mean probability from 0 to 1, NaN
    without ``score``; ``area_m2`` on the ground and ``pixels``, both of the tag itself; ``lon``
    and ``lat`` (EPSG:4326) of the centroid, or of a point inside where the centroid is not;
    ``geometry`` in the raster's CRS, in which holes smaller than ``max_hole_m2`` are filled.
    Objects smaller than ``min_area_m2`` are left out.

    The rows do not depend on ``block`` or ``workers`` (threads; 0 is one a core). ``progress``
    is called with the blocks done and the blocks there are. Raises ``ConventionError`` when
    ``tags`` holds a code without a name or shapes differ.
    """
    check_shapes(geobox, tags=tags, score=score)
    area = ground(geobox)
    components = find_components(
        tag_reader(tags, names),
        geobox.shape.yx,
        background=NO_TAG,
        values=None if score is None else lambda y, x: np.asarray(score[y, x]),
        block=block,
        min_pixels=least_pixels(min_area_m2, area.largest),
        workers=workers,
        progress=progress,
    )
    table = outline(components, geobox, area, max_hole_m2=max_hole_m2, workers=workers)
    table["tag"] = [names[code] for code in table["code"]]
    table["score"] = np.nan if score is None else table["total"] / table["pixels"] / 100
    table["id"] = identities(table, table["tag"])
    table = table[table["area_m2"] >= min_area_m2]
    table = table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    return table[list(OBJECT_COLUMNS)]


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
