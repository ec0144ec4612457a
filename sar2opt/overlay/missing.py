"""Missing objects: features of a reference layer of which nothing is seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from sar2opt.overlay.anomalies import anomaly_table, area_in_words
from sar2opt.overlay.components import Progress
from sar2opt.overlay.corners import Array
from sar2opt.overlay.objects import check_shapes
from sar2opt.overlay.outlines import places
from sar2opt.overlay.rules import check_rules, with_their_objects
from sar2opt.raster import NO_TAG, pixel_area_m2

LEAST_PIXELS = 16  # within its border; a net that looks at some 100 pixels blurs what is smaller
LEAST_SEEN = 0.8  # share of a feature with data
_BLOCK = 1024  # pixels; a large feature is looked at piece by piece


@dataclass
class Seen:
    """The tags within a shape."""

    counts: Array  # (256,)
    sure: float  # sum of the scores, percent

    @property
    def known(self) -> int:
        return int(self.counts[:NO_TAG].sum())


def missing_objects(
    tags: Any,
    geobox: GeoBox,
    names: Sequence[str],
    reference: gpd.GeoDataFrame,
    *,
    column: str,
    expect: Mapping[str, Sequence[str]],
    score: Any = None,
    most_share: float = 0.1,
    border: float = 1.0,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """Return one anomaly for each feature of which no more than ``most_share`` is as expected.

    ``tags`` and ``score`` as for ``tags_to_objects``; ``reference`` holds polygons in any CRS with
    their class in ``column``; ``expect`` gives the tags that each class must show, any of them. A
    class without a rule is not looked for. Pixels nearer than ``border`` pixels to the edge do
    not count. What cannot be seen is never called missing: features of fewer than
    ``LEAST_PIXELS`` pixels, and those of which less than ``LEAST_SEEN`` has data.

    The geometry is the feature's, ``expected`` its class, ``tag`` what most of it shows.

    The score is the share that is not as expected times the mean
    probability of the tags that are there (0.5 when there is no ``score``). Raises ``ConfigError``
    when no rule fits a class of the reference, ``ConventionError`` when shapes differ.
    """
    check_shapes(geobox, tags=tags, score=score)
    check_rules(reference[column], expect)
    wanted = visible(reference, geobox, column, expect, border)
    codes = {
        kind: [names.index(tag) for tag in with_their_objects(allowed, names)]
        for kind, allowed in expect.items()
    }
    rows = []
    for done, (index, shape) in enumerate(wanted, start=1):
        kind = reference[column].iloc[index]
        seen = look(shape, tags, score)
        if seen.known >= LEAST_SEEN * shapely.area(shape) and seen.known >= LEAST_PIXELS:
            share = float(seen.counts[codes[kind]].sum()) / seen.known
            if share <= most_share:
                sure = 0.5 if score is None else seen.sure / seen.known / 100
                rows.append((index, kind, share, sure, int(seen.counts[:NO_TAG].argmax()), seen))
        if progress:
            progress(done, len(wanted))
    return _table(rows, reference, geobox, names, expect)


def visible(
    reference: gpd.GeoDataFrame,
    geobox: GeoBox,
    column: str,
    expect: Mapping[str, Sequence[str]],
    border: float = 1.0,
) -> list[tuple[int, Any]]:
    """Return row and shape, in pixels without the border, of the features that can be seen."""
    to_pixel = (~geobox.affine).to_shapely()
    asked = np.flatnonzero(reference[column].isin(list(expect)))
    shapes = reference.geometry.iloc[asked].to_crs(geobox.crs).affine_transform(to_pixel)
    inner = shapely.buffer(shapely.make_valid(shapes.to_numpy()), -border)
    grid = shapely.box(0, 0, geobox.shape[1], geobox.shape[0])
    near = (shapely.area(inner) >= LEAST_PIXELS) & shapely.intersects(inner, grid)
    return [(int(index), shape) for index, shape in zip(asked[near], inner[near], strict=True)]


def look(shape: Any, tags: Any, score: Any = None) -> Seen:
    """Count the tags whose pixels' centres lie in a shape, given in pixels, block by block."""
    height, width = tags.shape
    seen = Seen(np.zeros(256, np.int64), 0.0)
    for rows, cols in _windows(shapely.bounds(shape), (height, width)):
        size = rows.stop - rows.start, cols.stop - cols.start
        piece = shapely.intersection(
            shape, shapely.box(cols.start, rows.start, cols.stop, rows.stop)
        )
        if shapely.area(piece) == 0:
            continue
        inside = rasterize([piece], size, transform=Affine.translation(cols.start, rows.start)) == 1
        found = np.asarray(tags[rows, cols])[inside]
        seen.counts += np.bincount(found, minlength=256)
        if score is not None:
            seen.sure += float(np.asarray(score[rows, cols])[inside][found != NO_TAG].sum())
    return seen


def _windows(bounds: Array, shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    left, top, right, bottom = bounds
    first = max(int(np.floor(top)), 0), max(int(np.floor(left)), 0)
    last = min(int(np.ceil(bottom)), shape[0]), min(int(np.ceil(right)), shape[1])
    for row in range(first[0], last[0], _BLOCK):
        for col in range(first[1], last[1], _BLOCK):
            yield slice(row, min(row + _BLOCK, last[0])), slice(col, min(col + _BLOCK, last[1]))


def _table(
    rows: Sequence[tuple[int, str, float, float, int, Seen]],
    reference: gpd.GeoDataFrame,
    geobox: GeoBox,
    names: Sequence[str],
    expect: Mapping[str, Sequence[str]],
) -> gpd.GeoDataFrame:
    geometry = reference.geometry.iloc[[row[0] for row in rows]].to_crs(geobox.crs)
    area = geometry.area.to_numpy() / abs(geobox.affine.determinant) * pixel_area_m2(geobox)
    lon, lat = places(geometry.to_numpy(), geobox)
    pixels = [row[-1].known for row in rows]
    table = gpd.GeoDataFrame(
        {"pixels": pixels, "area_m2": area, "lon": lon, "lat": lat,
         "expected": [row[1] for row in rows]},
        geometry=geometry.to_numpy(), crs=geobox.crs,
    )  # fmt: skip
    reasons = [
        f"The reference layer says {kind} ({area_in_words(size)}), but {share:.0%} of it looks "
        f"like {' or '.join(expect[kind])}; most of it is tagged {names[tag]} ({sure:.0%} sure on "
        "average)."
        for (_, kind, share, sure, tag, _), size in zip(rows, area, strict=True)
    ]
    strength = np.array([(1 - share) * sure for _, _, share, sure, _, _ in rows])
    return anomaly_table(table, "missing", strength, [names[row[4]] for row in rows], reasons)
