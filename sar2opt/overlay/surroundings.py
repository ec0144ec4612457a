"""What the ground around and under targets shows: tags, backscatter, earlier scenes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from scipy.special import ndtr

from sar2opt.overlay.components import windows
from sar2opt.overlay.corners import Array
from sar2opt.overlay.rules import with_their_objects
from sar2opt.raster import NO_TAG
from sar2opt.sar.power_codes import power_of_codes

BUILT = "built_up"  # the tag
UNKNOWN = 255  # of how many earlier scenes show a pixel: one of them has no data there

# A target's surroundings are judged by the tags from GAP to REACH pixels off its bounding box:
# the tags right beside it are made from windows that hold the target itself.
_GAP, _REACH = 3, 10
FEWEST = 500  # pixels of a tag, of fewer no law is told
_LEAST_SPREAD = 0.2  # dB


@dataclass(frozen=True)
class Ground:
    """What is known of the ground of a scene: layers ``(y, x)``, uint8, as a run stages them."""

    tags: Any = None  # 255 is no data
    names: Sequence[str] = ()  # of tags
    power: Any = None  # as ``sar.power_codes.encode_power`` makes it; 0 is no data
    shown: Any = None  # how many earlier scenes show a bright pixel here; ``UNKNOWN``
    earlier: int = 0  # scenes


NOTHING = Ground()


def cover_tails(tags: Any, power: Any, block: int = 1024) -> npt.NDArray[np.float64]:
    """Return the probability that ground of a tag is as bright as a code of power ``(256, 256)``.

    ``tags`` and ``power`` are uint8 ``(y, x)``, 255 and 0 are no data. Backscatter of each tag is
    taken for lognormal, with the median and the 84 % quantile that it has; 0 where a tag covers
    less than 500 pixels.
    """
    counts = count_codes(tags, power, block)
    level = 10 * np.log10(power_of_codes(0.0).astype(np.float64), where=np.arange(256) > 0,
                          out=np.full(256, np.nan))  # fmt: skip
    tails = np.zeros((256, 256))
    for own in np.flatnonzero(counts.sum(axis=1) >= FEWEST):
        below = np.cumsum(counts[own]) / counts[own].sum()
        middle, upper = (level[np.searchsorted(below, share)] for share in (0.5, ndtr(1.0)))
        tails[own, 1:] = ndtr((middle - level[1:]) / max(upper - middle, _LEAST_SPREAD))
    return tails


def count_codes(tags: Any, power: Any, block: int = 1024) -> npt.NDArray[np.int64]:
    """Count how often ground of each tag has each code of power, ``(256, 256)``.

    ``tags`` and ``power`` are uint8 ``(y, x)``; 255 and 0 are no data, and not counted.
    """
    counts = np.zeros((256, 256), np.int64)
    for rows, columns in windows(tuple(tags.shape), block):
        tag, code = (np.asarray(layer[rows, columns]).astype(np.int64) for layer in (tags, power))
        counts += np.bincount((256 * tag + code).ravel(), minlength=256 * 256).reshape(256, 256)
    counts[:, 0] = counts[NO_TAG] = 0
    return counts


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


def look_around(
    table: gpd.GeoDataFrame, bright: Any, known: Ground, geobox: GeoBox, block: int
) -> gpd.GeoDataFrame:
    """Return targets with what the layers show.

    ``around`` and ``own``, the commonest tags around them and under them, 255 where there is none;
    ``built``, the share of their surroundings that is built up; ``power``, their highest code;
    ``shown``, by how many earlier scenes at most.
    """
    seen = np.zeros((len(table), 5))
    seen[:, :2], seen[:, 4] = NO_TAG, UNKNOWN
    built = np.zeros(256, bool)
    built[: len(known.names)] = [
        name in with_their_objects([BUILT], known.names) for name in known.names
    ]
    boxes = _boxes(table, geobox)
    for group in _by_block(boxes, block) if len(table) else ():
        some = boxes[group]
        y, x = np.maximum(some[:, :2].min(axis=0) - _REACH, 0)
        window = slice(y, some[:, 2].max() + _REACH), slice(x, some[:, 3].max() + _REACH)
        lit, tags, power, shown = (
            None if layer is None else np.asarray(layer[window])
            for layer in (bright, known.tags, known.power, known.shown)
        )
        for index in group:
            box = boxes[index] - (y, x, y, x)
            on = slice(*np.maximum(box[::2], 0)), slice(*np.maximum(box[1::2], 0))
            under = lit[on] > 0  # type: ignore[index]
            if tags is not None:
                ring = _count(tags, box, _REACH) - _count(tags, box, _GAP)
                seen[index, :2] = _commonest(ring), _commonest(np.bincount(tags[on][under]))
                seen[index, 2] = ring[built].sum() / max(ring[:NO_TAG].sum(), 1)
            if power is not None:
                seen[index, 3] = power[on][under].max(initial=0)
            if shown is not None:
                seen[index, 4] = shown[on][under].max(initial=0)
    columns = ("around", "own", "built", "power", "shown")
    kinds = {name: seen[:, number] for number, name in enumerate(columns)}
    return table.assign(
        **{name: one if name == "built" else one.astype(int) for name, one in kinds.items()}
    )


def _count(tags: Array, box: Array, by: int) -> Array:
    """Count the tags of a window, grown to all sides."""
    first, last = np.maximum(box[:2] - by, 0), box[2:] + by
    return np.bincount(tags[first[0] : last[0], first[1] : last[1]].ravel(), minlength=256)


def _commonest(counts: Array) -> int:
    """Return the commonest tag; 255 where there is none."""
    tagged = counts[:NO_TAG]
    return int(tagged.argmax()) if tagged.any() else NO_TAG


def _by_block(boxes: Array, block: int) -> Iterator[Array]:
    """Yield indices of windows that begin in the same block, so that it is read once for all."""
    _, group = np.unique(boxes[:, :2] // block, axis=0, return_inverse=True)
    order = np.argsort(group, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
