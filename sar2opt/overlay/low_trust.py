"""Low trust: where the picture must not be believed, told by the trust layer.

Trust varies from pixel to pixel, and single pixels of low trust lie all over a scene. So it is
averaged over a window around each pixel, in whole numbers, which come out the same however the
scene is cut; connected ground whose mean lies below a threshold is an area to name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox

from sar2opt.overlay.anomalies import anomaly_table, area_in_words, empty_anomalies
from sar2opt.overlay.components import Progress, Read, find_components, windows
from sar2opt.overlay.corners import Array
from sar2opt.overlay.missing import look
from sar2opt.overlay.objects import check_shapes, least_pixels
from sar2opt.overlay.outlines import ground, outline
from sar2opt.raster import NO_TAG
from sar2opt.sar.speckle.windows import box_sum, core

_REACH = 7  # pixels to each side: windows of 15
_MOST_SCORE = 0.5  # so that what is flagged of the ground itself comes first


def low_trust(
    trust: Any,
    geobox: GeoBox,
    *,
    below: float = 30.0,
    min_area_m2: float = 100_000.0,
    tags: Any = None,
    names: Sequence[str] = (),
    block: int = 1024,
    workers: int = 0,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """Return one anomaly for each area in which the mean trust lies below ``below`` percent.

    ``trust`` is uint8 ``(y, x)``: percent, 255 is no data; means are those of windows of 15 x 15
    pixels. Areas smaller than ``min_area_m2`` are left out, and holes smaller than that are
    filled. Where the scene as a whole is no better (``middle_trust``), there is no area to name,
    and the table is empty. ``tags`` and ``names`` as for ``bright_targets``: the tag is that of
    most of the area.

    The score is 0 at the threshold and 0.5 where there is no trust at all, so that what is flagged
    of the ground itself comes first. ``block``, ``workers`` and ``progress`` as for
    ``tags_to_objects``. Raises ``ConventionError`` when shapes differ.
    """
    check_shapes(geobox, trust=trust, tags=tags)
    if not middle_trust(trust, block) >= below:  # NaN where there is no data
        return empty_anomalies(geobox.crs)
    area = ground(geobox)
    components = find_components(
        _low_reader(trust, below),
        geobox.shape.yx,
        background=0,
        values=lambda rows, columns: np.asarray(trust[rows, columns]),
        block=block,
        min_pixels=least_pixels(min_area_m2, area.largest),
        workers=workers,
        progress=progress,
    )
    table = outline(components, geobox, area, max_hole_m2=min_area_m2, workers=workers)
    table = table[table["area_m2"] >= min_area_m2].reset_index(drop=True)
    found = [""] * len(table) if tags is None else _commonest(table, geobox, tags, names)
    mean = (table["total"] / table["pixels"]).to_numpy(float)
    reasons = [
        f"Do not believe the picture here: {area_in_words(size)} with a trust of {percent:.0f} % "
        f"on average{f', most of it tagged {tag}' if tag else ''}."
        for size, percent, tag in zip(table["area_m2"], mean, found, strict=True)
    ]
    score = _MOST_SCORE * np.clip(1 - mean / below, 0, 1)
    return anomaly_table(table, "low_trust", score, found, reasons)


def middle_trust(trust: Any, block: int = 1024) -> float:
    """Return the median of the trust ``(y, x)`` in percent; NaN where there is no data."""
    counts = np.zeros(256, np.int64)
    for rows, columns in windows(trust.shape, block):
        counts += np.bincount(np.asarray(trust[rows, columns]).ravel(), minlength=256)
    below = np.cumsum(counts[:NO_TAG])
    return float(np.searchsorted(below, below[-1] / 2)) if below[-1] else float("nan")


def _low_reader(trust: Any, below: float) -> Read:
    """Return a function that reads where the mean over windows lies below so many percent, as 1."""
    side = 2 * _REACH + 1

    def read(rows: slice, columns: slice) -> Array:
        near = _with_rim(trust, rows, columns)
        known = near != NO_TAG
        total = box_sum(np.where(known, near, 0).astype(np.int32), side)
        count = box_sum(known.astype(np.int32), side)
        low = (total < below * count) & core(known, _REACH)
        return np.asarray(low, np.uint8)

    return read


def _with_rim(layer: Any, rows: slice, columns: slice) -> Array:
    """Read a window and ``_REACH`` pixels around it; beyond the layer is no data."""
    spans, pads = [], []
    for part, size in zip((rows, columns), layer.shape, strict=True):
        first, last = max(part.start - _REACH, 0), min(part.stop + _REACH, size)
        spans.append(slice(first, last))
        pads.append((first - part.start + _REACH, part.stop + _REACH - last))
    return np.pad(np.asarray(layer[tuple(spans)]), pads, constant_values=NO_TAG)


def _commonest(
    table: gpd.GeoDataFrame, geobox: GeoBox, tags: Any, names: Sequence[str]
) -> list[str]:
    """Return the tag of most of each polygon; "" where there is none."""
    shapes = table.geometry.affine_transform((~geobox.affine).to_shapely())
    counts: list[npt.NDArray[np.int64]] = [
        look(shapely.make_valid(shape), tags).counts[:NO_TAG] for shape in shapes
    ]
    return [names[int(one.argmax())] if one.any() else "" for one in counts]
