"""Disagreement with a reference layer: ground that shows what its class does not allow.

A tagger takes one thing for another, and on some scenes often. Were each of its tags believed, the
flags would show its errors and not those of the layer. But the layer itself tells how often it
errs here, for most of the layer is right:

1. For each class, the mean probability of tags that it forbids is measured over all its ground.
2. Ground that is likelier than not of such tags, connected, is a place in question where it is so
   by ``SURE`` in the mean. (Its paler parts belong to it: as the rest of its class they would tell
   against it.)
3. It is compared with the rest of its class. Where the tagger sees forbidden tags on more of that
   than may be wrong (``wrong_share``), its odds for the place are lowered by as much: Bayes' rule
   for a classifier whose classes are rarer than it believes (M. Saerens, P. Latinne and C.
   Decaestecker, Adjusting the outputs of a classifier to new a priori probabilities, Neural
   Computation 14(1), 2002). What is then more likely than not is flagged.

So a place is flagged that is unlike its class, whatever the net and however much it confuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from shapely.affinity import affine_transform

from sar2opt.errors import ConventionError
from sar2opt.overlay.anomalies import anomaly_table, area_in_words
from sar2opt.overlay.components import Progress, Read, find_components, windows
from sar2opt.overlay.corners import Array
from sar2opt.overlay.missing import look
from sar2opt.overlay.objects import check_shapes, least_pixels, tag_reader
from sar2opt.overlay.outlines import ground, outline
from sar2opt.overlay.reference import kind_reader
from sar2opt.overlay.rules import check_rules, forbidden_tags
from sar2opt.raster import NO_TAG

SURE = 0.8  # probability, the mean of a place, from which it is in question
_UNITS = 10_000  # of a probability: whole numbers have the same sum in any order
_FAMILIAR_M2 = 100_000.0  # so much ground of a class counts as right, before any is seen
_ONE_THING = {"large_structure": "built_up"}  # a hall and the yard around it
_STEPS = 50  # codes for a factor of ten
_CHANCE = np.append(10.0 ** (-np.arange(NO_TAG) / _STEPS), 0).astype(np.float32)  # of each code


def encode_probabilities(probability: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.uint8]:
    """Pack probabilities of any shape into bytes by their logarithm, to within 2.4 %.

    The code is ``-50 log10 p``, up to 254; NaN becomes 255. So small ones keep their ratio.
    """
    known = np.isfinite(probability)
    code = -_STEPS * np.log10(np.maximum(np.where(known, probability, 1), 1e-6))
    return np.where(known, np.clip(np.rint(code), 0, NO_TAG - 1), NO_TAG).astype(np.uint8)


def reference_disagreement(
    tags: Any,
    geobox: GeoBox,
    names: Sequence[str],
    reference: gpd.GeoDataFrame,
    *,
    column: str,
    allow: Mapping[str, Sequence[str]],
    probabilities: Any = None,
    wrong_share: float = 0.01,
    block: int = 1024,
    min_area_m2: float = 10000.0,
    border: float = 1.0,
    workers: int = 0,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """Return one anomaly for each connected area that shows what its reference class forbids.

    ``tags`` is uint8 ``(y, x)``, 255 is no data, codes index ``names``. ``probabilities``, uint8
    ``(tag, y, x)`` as ``encode_probabilities`` packs them, are those of all tags; without them
    every tag is believed, as true ones may be. ``reference`` holds polygons in any CRS with their
    class in ``column``; where they overlap, the later one counts. ``allow`` gives the tags that
    each class allows; a class without a rule allows every tag. ``wrong_share`` is the share of a
    class's ground on which the layer may be wrong. Pixels nearer than ``border`` pixels to the
    edge of a polygon are not judged: the layers are seldom registered better than that. Areas
    below ``min_area_m2`` are left out.

    ``tag`` is the likeliest of the forbidden tags, ``expected`` the class of the reference.

    The score is the probability that the area shows a forbidden tag; 0.5 when there are no
    ``probabilities``. ``q_value`` is the share of false ones among those with as high a score that
    these probabilities imply. ``block``, ``workers`` and ``progress`` as for ``tags_to_objects``.
    Raises ``ConfigError`` when no rule fits a class of the reference, ``ConventionError`` when
    shapes differ.
    """
    judge = _judge(tags, probabilities, geobox, names, (reference, column, border), allow)
    area = ground(geobox)
    components = find_components(
        judge.doubted,
        judge.shape,
        background=0,
        values=lambda rows, columns: judge.against(rows, columns)[1],
        block=block,
        min_pixels=least_pixels(min_area_m2, area.largest),
        workers=workers,
        progress=progress,
    )
    table = outline(components, geobox, area, workers=workers)
    table = table[table["area_m2"] >= min_area_m2].assign(score=0.5, usual=np.nan)
    if probabilities is not None and len(table):
        table = _corrected(table, *judge.seen(block), wrong_share, _FAMILIAR_M2 / area.largest)
    return _disagreements(table.reset_index(drop=True), judge, geobox)


@dataclass(frozen=True)
class _Judge:
    """What the reference and the tagger say, window by window."""

    names: Sequence[str]  # of tags
    kinds: Sequence[str]  # classes of the reference, from 1
    forbidden: Array  # (class, 256)
    read_kinds: Read  # 0 is none
    read_tags: Read
    probabilities: Any  # (tag, y, x), or None
    shape: tuple[int, int]

    def against(self, rows: slice, columns: slice) -> tuple[Array, Array]:
        """Return class, and probability in ``_UNITS`` that it does not allow what is there."""
        tag = self.read_tags(rows, columns)
        if (tag == NO_TAG).all():
            return np.zeros((2, *tag.shape), np.int32)  # type: ignore[return-value]
        kind = np.where(tag == NO_TAG, 0, self.read_kinds(rows, columns))
        if self.probabilities is None:
            return kind, _UNITS * self.forbidden[kind, tag].astype(np.int32)
        chance = _CHANCE[np.asarray(self.probabilities[:, rows, columns])]
        wrong = np.zeros(kind.shape, np.float32)
        for code, one in enumerate(chance):
            wrong += one * self.forbidden[kind, code]
        total = np.maximum(chance.sum(axis=0), 1e-6)
        return kind, np.rint(_UNITS * wrong / total).astype(np.int32)

    def doubted(self, rows: slice, columns: slice) -> Array:
        """Return the class where it is in question, else 0."""
        kind, chance = self.against(rows, columns)
        return np.where(2 * chance >= _UNITS, kind, 0)

    def seen(self, block: int) -> tuple[Array, Array]:
        """Return the pixels of each class, and the sum of the probabilities against it."""
        count = np.zeros((2, len(self.forbidden)))
        for window in windows(self.shape, block):
            kind, chance = (part.ravel() for part in self.against(*window))
            count[0] += np.bincount(kind, minlength=len(self.forbidden))
            count[1] += np.bincount(kind, chance, minlength=len(self.forbidden))
        return count[0], count[1] / _UNITS

    def __getitem__(self, window: tuple[slice, slice]) -> Array:
        """Return the likeliest forbidden tag of a window, as bytes."""
        tag = self.read_tags(*window)
        if self.probabilities is None:
            return tag
        kind = self.read_kinds(*window)
        chance = _CHANCE[np.asarray(self.probabilities[(slice(None), *window)])]
        likely = [one * self.forbidden[kind, code] for code, one in enumerate(chance)]
        return np.where(tag == NO_TAG, NO_TAG, np.argmax(likely, axis=0))


def _judge(
    tags: Any,
    probabilities: Any,
    geobox: GeoBox,
    names: Sequence[str],
    layer: tuple[gpd.GeoDataFrame, str, float],
    allow: Mapping[str, Sequence[str]],
) -> _Judge:
    """Check what is compared, and put it together; ``layer`` is its table, column and border."""
    check_shapes(geobox, tags=tags)
    wanted = (len(names), *geobox.shape)
    if probabilities is not None and tuple(probabilities.shape) != wanted:
        raise ConventionError(
            f"probabilities have shape {tuple(probabilities.shape)}, not {wanted}"
        )
    reference, column, border = layer
    kinds = sorted(set(reference[column]))
    check_rules(kinds, allow)
    forbidden = forbidden_tags(kinds, allow, names)
    read = kind_reader(reference, kinds, column, geobox, border), tag_reader(tags, names)
    return _Judge(names, kinds, forbidden, *read, probabilities, geobox.shape.yx)


def _corrected(
    table: gpd.GeoDataFrame, pixels: Array, against: Array, wrong_share: float, familiar: float
) -> gpd.GeoDataFrame:
    """Return the areas that stay in question after a look at the rest of their class.

    ``familiar`` pixels of it are taken to be as wrong as ``wrong_share`` says, so that a class
    that has no other ground is not judged by nothing.
    """
    code = table["code"].to_numpy()
    own = table["total"].to_numpy() / _UNITS
    chance = own / table["pixels"].to_numpy()
    rest = against[code] - own + wrong_share * familiar
    usual = rest / (pixels[code] - table["pixels"].to_numpy() + familiar)
    true = np.minimum(wrong_share, usual)
    odds = true / (1 - true) * (1 - usual) / usual
    score = chance * odds / (chance * odds + 1 - chance)
    return table.assign(score=score, usual=usual)[(chance >= SURE) & (score > 0.5)]


def _disagreements(table: gpd.GeoDataFrame, judge: _Judge, geobox: GeoBox) -> gpd.GeoDataFrame:
    """Turn outlines with score and the class as code into anomalies."""
    kinds = [judge.kinds[code - 1] for code in table["code"]]
    tags = [_tag(shape, judge, geobox) for shape in table.geometry]
    reasons = [
        _reason(row, tag, kind)
        for row, tag, kind in zip(table.itertuples(), tags, kinds, strict=True)
    ]
    if judge.probabilities is not None:
        false = (1 - table["score"]).sort_values(kind="stable")
        table = table.assign(q_value=false.cumsum() / np.arange(1, len(false) + 1))
    score = table["score"].to_numpy()
    return anomaly_table(
        table.assign(expected=kinds), "reference_disagreement", score, tags, reasons
    )


def _tag(shape: Any, judge: _Judge, geobox: GeoBox) -> str:
    """Return the commonest tag of an area among those that its class forbids."""
    to_pixel = (~geobox.affine).to_shapely()
    counts = look(affine_transform(shape, to_pixel), judge).counts[: len(judge.names)]
    covers: dict[str, int] = {}
    for name, count in zip(judge.names, counts.tolist(), strict=True):
        cover = _ONE_THING.get(name, name)
        cover = cover if cover in judge.names else name
        covers[cover] = covers.get(cover, 0) + count
    return max(covers, key=lambda name: covers[name])


def _reason(place: Any, tag: str, kind: str) -> str:
    """Say in a sentence what is seen where something else should be, and how sure that is."""
    where = f"where the reference layer says {kind}"
    if np.isnan(place.usual):
        return f"Tagged {tag} {where}; {area_in_words(place.area_m2)}."
    return (
        f"Looks like {tag} {where}, over {area_in_words(place.area_m2)}: {place.score:.0%} sure, "
        f"given that the tagger doubts {place.usual:.1%} of the other ground of that class."
    )
