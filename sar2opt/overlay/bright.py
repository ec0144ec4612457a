"""Bright targets: what CFAR finds on dark ground, less what the ground itself explains.

CFAR asks whether a pixel is brighter than the ground around it would be by chance. So it finds
ships at sea and structures on bare ground, but also the bright parts of what is larger than its
ring: the edge of a wood amid fields, a breakwater, a quay. As usual, a stage that discriminates
follows (L. Novak, G. Owirka and C. Netishen, Performance of a high-resolution polarimetric SAR
automatic target recognition system, Lincoln Laboratory Journal 6(1), 1993; D. Crisp, The
state-of-the-art in ship detection in synthetic aperture radar imagery, DSTO-RR-0272, 2004). It
knows the tags, and leaves out

1. targets that are land cover, as bright as such cover can be by chance elsewhere in the scene:
   at the same false-alarm probability, under the lognormal law of the backscatter of their tag;
2. targets a ``CROWDED`` share of whose surroundings is built up: they do not stand alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox

from sar2opt.overlay.anomalies import anomaly_table, count_in_words
from sar2opt.overlay.components import Progress, find_components
from sar2opt.overlay.corners import Array
from sar2opt.overlay.extents import extents
from sar2opt.overlay.objects import check_shapes
from sar2opt.overlay.outlines import ground, outline
from sar2opt.overlay.surroundings import BUILT, NOTHING, UNKNOWN, Ground, cover_tails, look_around
from sar2opt.raster import NO_TAG, OBJECTS

CROWDED = 0.25
LEAST_P = 1e-12  # no smaller chance is claimed: so far out, no law has been counted

# Ratios are kept as decibels: the strongest echoes of a scene lie 40 dB above its threshold.
_STEP_DB = 0.2


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


def bright_targets(
    bright: Any,
    geobox: GeoBox,
    *,
    factor: float,
    false_alarm: float,
    tail: Callable[[Array], Array] | None = None,
    known: Ground = NOTHING,
    min_pixels: int = 1,
    block: int = 1024,
    workers: int = 0,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """Return one anomaly for each group of pixels that stand out of dark surroundings.

    ``bright`` is uint8 ``(y, x)`` as ``encode_ratio`` makes it of the ratios of
    ``sar.clutter.ca_cfar``; ``factor`` and ``false_alarm`` are the threshold and the probability
    that it was made with. Pixels that touch by a corner are one target, and targets of fewer than
    ``min_pixels`` are left out. ``known`` tells what surrounds the target; with tags and power,
    what the ground explains is left out, see the head of the module. ``tail``
    gives the probability that clutter exceeds a ratio of pixel to ring mean, such as that of the
    law that was fitted (``sar.clutter_laws.Law.tail``); then ``p_value`` is that of the target's
    brightest pixel, no smaller than 1e-12.

    The score is r / (1 + r), where r is the target's highest ratio to the threshold: 0.5 for
    what is just detected, 0.91 for ten times that. ``block``, ``workers`` and ``progress`` as for
    ``tags_to_objects``. Raises ``ConventionError`` when shapes differ.
    """
    check_shapes(geobox, bright=bright, tags=known.tags, power=known.power, shown=known.shown)
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
    table = look_around(table, bright, known, geobox, block)
    if known.tags is not None and known.power is not None and len(table):
        explained = _explained(table, known, block, false_alarm)
        table = table[~explained].reset_index(drop=True)
    length, width, along = extents(table.geometry.to_numpy(), geobox, stairs=True)
    table = table.assign(length_m=length, width_m=width, orientation_deg=along)
    peak = table["peak"].to_numpy()
    if tail is not None:
        least = np.maximum(10 ** ((_STEP_DB / 10) * (peak - 1.5)), 1)  # what rounds to this peak
        table["p_value"] = np.clip(tail(factor * least), LEAST_P, false_alarm)
    ratio = decode_ratio(peak).astype(np.float64)
    around = ["" if code == NO_TAG else known.names[code] for code in table["around"]]
    reasons = [
        _reason(row, factor, false_alarm, tag, known.earlier)
        for row, tag in zip(table.itertuples(), around, strict=True)
    ]
    return anomaly_table(table, "bright_target", ratio / (1 + ratio), around, reasons)


def expected_targets(
    table: gpd.GeoDataFrame,
    reference: gpd.GeoDataFrame,
    column: str,
    allow: Mapping[str, Sequence[str]],
    tolerance: float,
) -> npt.NDArray[np.bool_]:
    """Return which targets lie where the reference allows what is built up: bright is expected.

    ``table`` holds anomalies, ``reference`` polygons in any CRS with their class in ``column``;
    ``allow`` gives the tags that each class allows. A target within ``tolerance``, in the unit of
    the table's CRS, of such a feature is expected.
    """
    built = [kind for kind, tags in allow.items() if BUILT in tags]
    sites = reference.geometry[reference[column].isin(built)].to_crs(table.crs).to_numpy()
    expected = np.zeros(len(table), bool)
    if len(sites) and len(table):
        sites = shapely.make_valid(sites)
        places = table.geometry.to_numpy()
        found = shapely.STRtree(sites).query(places, predicate="dwithin", distance=tolerance)
        expected[found[0]] = True
    return expected


_GROUND = {
    "": "on a darker background",
    "water": "on water, possibly a ship",
    "built_up": "on darker built-up ground",
    "bare": "on darker bare ground",
}


def _reason(target: Any, factor: float, false_alarm: float, tag: str, earlier: int) -> str:
    """Say in a sentence what a target is and how likely chance is; ``tag`` may be empty."""
    level = _STEP_DB * (target.peak - 1) + 10 * np.log10(factor)
    least = "at least " if target.peak == 255 else ""
    place = _GROUND.get(tag, f"on darker {tag.replace('_', ' ')}")
    length, width = (f"{float(f'{side:.2g}'):g} m" for side in (target.length_m, target.width_m))
    return (
        f"Bright object of {length} x {width} {place}, {least}{level:.0f} dB above its "
        f"surroundings;{_earlier(target.shown, earlier)} expected by chance less than once in "
        f"{count_in_words(1 / false_alarm)} pixels."
    )


def _earlier(shown: int, earlier: int) -> str:
    """Say how many of the earlier scenes show it, if that is known."""
    if earlier == 0 or shown == UNKNOWN:
        return ""
    if earlier == 1:
        return (
            " the earlier scene shows it too;" if shown else " the earlier scene does not show it;"
        )
    count = {0: "none", earlier: "all"}.get(shown, str(shown))
    return f" {count} of {earlier} earlier scenes {'show' if shown > 1 else 'shows'} it;"


def _explained(
    table: gpd.GeoDataFrame, known: Ground, block: int, false_alarm: float
) -> npt.NDArray[np.bool_]:
    """Return which targets are as bright as their own cover may be, or stand in built-up ground."""
    chance = cover_tails(known.tags, known.power, block)[table["own"], table["power"]]
    cover = np.array([name not in OBJECTS and name != BUILT for name in known.names])
    own = table["own"].to_numpy()
    natural = np.append(cover, np.zeros(256 - len(cover), bool))[own]
    crowded = table["built"].to_numpy() >= CROWDED
    return np.asarray(natural & (chance > false_alarm) | crowded)
