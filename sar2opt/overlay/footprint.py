"""The footprint: the outline of the pixels that hold data."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from sar2opt.overlay.components import find_components
from sar2opt.overlay.outlines import ground, outline


def footprint(
    layer: Any, geobox: GeoBox, missing: int, *, block: int = 1024, workers: int = 0
) -> BaseGeometry:
    """Return the outline of the pixels of ``layer`` that are not missing, in the CRS of ``geobox``.

    ``layer`` is uint8 ``(y, x)``, NumPy, Zarr or anything that is sliced like them.
    """
    parts = find_components(
        lambda y, x: (np.asarray(layer[y, x]) != missing).astype(np.uint8),
        geobox.shape.yx,
        background=0,
        block=block,
        workers=workers,
    )
    table = outline(parts, geobox, ground(geobox), workers=workers)
    return shapely.union_all(table.geometry.to_numpy())
