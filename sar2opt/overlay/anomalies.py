"""What does not belong: one table for all kinds of anomalies, and the targets that CFAR finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from odc.geo.geobox import GeoBox

from sar2opt.overlay.components import Progress, find_components
from sar2opt.overlay.corners import Array
from sar2opt.overlay.extents import extents
from sar2opt.overlay.objects import check_shapes
from sar2opt.overlay.outlines import ground, identities, outline
from sar2opt.raster import NO_TAG

ANOMALY_COLUMNS = (
    "id",  # the same in every run
    "kind",  # bright_target, change, flood, reference_disagreement, missing, low_trust
    "score",  # 0 to 1, the stranger the higher
    "reason",  # one sentence for a person, with figures
    "area_m2",  # on the ground
    "pixels",
    "length_m",  # bright_target: on the ground, of the minimum rotated rectangle
    "orientation_deg",  # bright_target: of that, clockwise from north, if it is longer than wide
    "tag",  # bright_target: of the surroundings; else of the place itself, as it is found
    "expected",  # reference_disagreement, missing: what the reference says; else nothing
    "before_db",  # change, flood: mean backscatter before and after; else nothing
    "after_db",
    "since",  # change, flood: the first date that shows the latest state
    "p_value",  # bright_target, change, flood: chance of a pixel as clear as the clearest
    "q_value",  # change, flood, disagreement: share of false ones among those as clear
    "first_seen",  # date of the first product with this id; "" where the table is not of a product
    "lon",  # EPSG:4326, a point on the anomaly
    "lat",
    "geometry",  # in the raster's CRS
)

_NUMBERS = (
    "score",
    "area_m2",
    "length_m",
    "orientation_deg",
    "before_db",
    "after_db",
    "p_value",
    "q_value",
    "lon",
    "lat",
)

# A target's surroundings are judged by the tags from GAP to REACH pixels off its bounding box:
# the tags right beside it are made from windows that hold the target itself.
_GAP, _REACH = 3, 10

# Ratios are kept as decibels: the strongest echoes of a scene lie 40 dB above its threshold.
_STEP_DB = 0.2

LEAST_P = 1e-12  # no smaller chance is claimed: so far out, no law has been counted


def encode_ratio(ratio: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Pack CFAR ratios into bytes: ``1 + round(dB / 0.2)`` where above 1, else 0.

    A byte of 1 or more is a detected pixel; 255 is a ratio of 50.8 dB or more; NaN becomes 0.
    """
    detected = ratio > 1  # false for NaN
    decibel = 10 * np.log10(np.where(detected, ratio, 1))
    code = np.minimum(1 + np.rint(decibel / _STEP_DB), 255)
    return np.where(detected, code, 0).astype(np.uint8)


def decode_ratio(code: Array) -> npt.NDArray[np.float32]:
    """Unpack what ``encode_ratio`` made, to within 0.1 dB; 0 where nothing was detected."""
    steps = np.asarray(code, np.float32) - 1
    ratio = np.float32(10) ** (np.float32(_STEP_DB / 10) * steps)
    return np.where(steps < 0, np.float32(0), ratio)


def empty_anomalies(crs: Any) -> gpd.GeoDataFrame:
    """Return an anomaly table without rows, with the columns and their types, in ``crs``."""
    numbers = dict.fromkeys(_NUMBERS, float) | {"pixels": np.int64}
    columns = {name: pd.Series([], dtype=numbers.get(name, "str")) for name in ANOMALY_COLUMNS[:-1]}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=crs))


def concat(tables: Sequence[gpd.GeoDataFrame], crs: Any) -> gpd.GeoDataFrame:
    """Put anomaly tables of one CRS together, the highest score first."""
    filled = [table for table in tables if len(table)]
    if not filled:
        return empty_anomalies(crs)
    table = pd.concat(filled, ignore_index=True)
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def strongest(table: gpd.GeoDataFrame, most: int) -> gpd.GeoDataFrame:
    """Return the ``most`` strongest anomalies of each kind, in their order; all of them for 0."""
    if most == 0 or table.empty:
        return table
    rank = table.groupby("kind")["score"].rank(method="first", ascending=False)
    return table[rank <= most].reset_index(drop=True)


def anomaly_table(
    outlines: gpd.GeoDataFrame, kind: str, score: Array, tag: Sequence[str], reason: Sequence[str]
) -> gpd.GeoDataFrame:
    """Complete outlines to a table of anomalies of one kind, the highest score first.

    Columns that the outlines lack are filled with nothing: NaN or "".
    """
    if len(outlines) == 0:
        return empty_anomalies(outlines.crs)
    ids = identities(outlines, [f"{kind} {name}" for name in tag])
    table = outlines.assign(id=ids, kind=kind, score=score, tag=list(tag), reason=list(reason))
    for name in set(ANOMALY_COLUMNS) - set(table.columns):
        table[name] = np.nan if name in _NUMBERS else ""
    table = table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    return table[list(ANOMALY_COLUMNS)]


def bright_targets(
    bright: Any,
    geobox: GeoBox,
    *,
    factor: float,
    false_alarm: float,
    tail: Callable[[Array], Array] | None = None,
    tags: Any = None,
    names: Sequence[str] = (),
    min_pixels: int = 1,
    block: int = 1024,
    workers: int = 0,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """Return one anomaly for each group of pixels that stand out of dark surroundings.

    ``bright`` is uint8 ``(y, x)`` as ``encode_ratio`` makes it of the ratios of
    ``sar.clutter.ca_cfar``; ``factor`` and ``false_alarm`` are the threshold and the probability
    that it was made with. Pixels that touch by a corner are one target, and targets of fewer than
    ``min_pixels`` are left out. ``tags`` (uint8
    ``(y, x)``, 255 is no data, codes index ``names``) tell what surrounds the target. ``tail``
    gives the probability that clutter exceeds a ratio of pixel to ring mean, such as that of the
    law that was fitted (``sar.clutter_laws.Law.tail``); then ``p_value`` is that of the target's
    brightest pixel, no smaller than 1e-12.

    The score is r / (1 + r), where r is the target's highest ratio to the threshold: 0.5 for
    what is just detected, 0.91 for ten times that. ``block``, ``workers`` and ``progress`` as for
    ``tags_to_objects``. Raises ``ConventionError`` when shapes differ.
    """
    check_shapes(geobox, bright=bright, tags=tags)
    components = find_components(
        lambda y, x: (np.asarray(bright[y, x]) > 0).astype(np.uint8),
        geobox.shape.yx,
        background=0,
        values=lambda y, x: np.asarray(bright[y, x]),
        block=block,
        min_pixels=min_pixels,
        connectivity=8,
        workers=workers,
        progress=progress,
    )
    table = outline(components, geobox, ground(geobox), workers=workers)
    table["length_m"], table["orientation_deg"] = extents(table.geometry.to_numpy(), geobox)
    around = [""] * len(table)
    if tags is not None and len(table):
        codes = _surroundings(_boxes(table, geobox), tags, block)
        around = ["" if code == NO_TAG else names[code] for code in codes]
    peak = table["peak"].to_numpy()
    if tail is not None:
        least = np.maximum(10 ** ((_STEP_DB / 10) * (peak - 1.5)), 1)  # what rounds to this peak
        table["p_value"] = np.clip(tail(factor * least), LEAST_P, false_alarm)
    ratio = decode_ratio(peak).astype(np.float64)
    reasons = [
        _bright_reason(row, factor, false_alarm, tag)
        for row, tag in zip(table.itertuples(), around, strict=True)
    ]
    return anomaly_table(table, "bright_target", ratio / (1 + ratio), around, reasons)


def _bright_reason(target: Any, factor: float, false_alarm: float, tag: str) -> str:
    """Say in a sentence what a target is and how likely chance is; ``tag`` may be empty."""
    level = _STEP_DB * (target.peak - 1) + 10 * np.log10(factor)
    least = "at least " if target.peak == 255 else ""
    place = {"": "on a darker background", "water": "on water, possibly a ship"}.get(
        tag, f"on a darker background of {tag}"
    )
    return (
        f"Echo {least}{level:.0f} dB above its surroundings over {target.pixels} "
        f"pixel{'' if target.pixels == 1 else 's'} ({area_in_words(target.area_m2)}) {place}; "
        f"expected by chance less than once in {count_in_words(1 / false_alarm)} pixels."
    )


def _boxes(table: gpd.GeoDataFrame, geobox: GeoBox) -> Array:
    """Return the pixel windows ``(n, 4)`` of geometries: first row and column, then past the last.

    Under a rotated grid they hold the geometry and more.
    """
    west, south, east, north = table.geometry.bounds.to_numpy().T
    a, b, c, d, e, f = (~geobox.affine)[:6]
    ends = [(x, y) for x in (west, east) for y in (south, north)]
    x = np.rint([a * x + b * y + c for x, y in ends]).astype(int)
    y = np.rint([d * x + e * y + f for x, y in ends]).astype(int)
    return np.stack([y.min(axis=0), x.min(axis=0), y.max(axis=0), x.max(axis=0)], axis=1)


def _surroundings(boxes: Array, tags: Any, block: int) -> Array:
    """Return the commonest tag around each of the windows ``(n, 4)``; 255 where there is none."""
    codes = np.full(len(boxes), NO_TAG)
    for group in _by_block(boxes, block):
        some = boxes[group]
        y, x = np.maximum(some[:, :2].min(axis=0) - _REACH, 0)
        window = np.asarray(tags[y : some[:, 2].max() + _REACH, x : some[:, 3].max() + _REACH])

        def count(box: Array, by: int, window: Array = window, y: int = y, x: int = x) -> Array:
            first = np.maximum(box[:2] - (y + by, x + by), 0)
            inside = window[first[0] : box[2] + by - y, first[1] : box[3] + by - x]
            return np.bincount(inside.ravel(), minlength=256)

        for index in group:
            ring = count(boxes[index], _REACH) - count(boxes[index], _GAP)
            ring[NO_TAG] = 0
            codes[index] = ring.argmax() if ring.any() else NO_TAG
    return codes


def _by_block(boxes: Array, block: int) -> Iterator[Array]:
    """Yield indices of windows that begin in the same block, so that it is read once for all."""
    _, group = np.unique(boxes[:, :2] // block, axis=0, return_inverse=True)
    order = np.argsort(group, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def area_in_words(area_m2: float) -> str:
    """Return an area in the unit that a person would choose."""
    for size, unit in ((1e6, "km²"), (1e4, "ha")):
        if area_m2 >= size:
            return f"{area_m2 / size:.1f} {unit}"
    return f"{area_m2:,.0f} m²"


def count_in_words(count: float) -> str:
    """Return a count as a person would say it."""
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if round(count) >= size:
            return f"{count / size:,.3g} {word}"
    return f"{count:,.0f}"
