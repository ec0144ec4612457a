"""Held-out figures of several methods in one table, always beside the baselines."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sar2opt.errors import PairsError
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.judging.baselines import baselines, serves, target_of
from sar2opt.training.judging.features import Embedded, Perception, frechet_distance
from sar2opt.training.judging.methods import Method
from sar2opt.training.judging.metrics import figures, luminance, mean_known
from sar2opt.training.pairs.pair import Image, Look, Pair, Split, split_of

ALL = "all"
AS_GREY = ", luminance"  # of natural colour, where the grey look is judged on that
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Row:
    """The figures of one method on one group of images, averaged over the images."""

    method: str
    look: Look
    split: Split
    source: str  # or all
    label: str  # a class of whole images, or all
    images: int
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Record:
    """The figures of one method on one image, and its embedded windows beside the target's."""

    method: str
    group: str  # all, or all in luminance
    source: str
    label: str
    figures: Mapping[str, float]
    embedded: Mapping[str, tuple[Embedded, Embedded]]


def judge(
    methods: Mapping[str, Method],
    pairs: Sequence[Pair],
    norm: NormalisationSettings,
    look: Look,
    *,
    split: Split = "test",
    perception: Perception | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Judge methods on the pairs of a look in a split, beside baselines fitted on ``train``.

    Rows are by method: all images, each source, and each class of a source. Targets are those of
    the look; the grey look is judged on the luminance of natural pairs too, in rows of their own.
    Blocks of scenes are judged in their inner part. Raises ``PairsError`` where a split holds no
    pairs of the look.
    """
    chosen = [pair for pair in split_of(pairs, split) if serves(pair, look)]
    if not chosen:
        raise PairsError(f"the split {split!r} holds no pairs of the look {look!r}")
    everyone = {**methods, **baselines(pairs, look, norm)}
    eye = perception or Perception()
    records: list[Record] = []
    for number, pair in enumerate(chosen, 1):
        records += examine(everyone, pair, norm, look, eye)
        if progress:
            progress("judging", number, len(chosen))
    return [_row(look, split, *group) for group in _groups(records, list(everyone))]


def examine(
    methods: Mapping[str, Method],
    pair: Pair,
    norm: NormalisationSettings,
    look: Look,
    eye: Perception,
) -> list[Record]:
    """Return the record of each method on one pair, in the part of it that may be judged."""
    whole, target = pair.sar(norm), target_of(pair, look, pair.judged)
    sar = whole[pair.judged]
    valid = np.isfinite(sar)
    suffix = "" if pair.look == look else AS_GREY
    seen = {name: embed(target, valid) for name, embed in eye.embed.items()}
    records = []
    for name, method in methods.items():
        output = like(method(whole)[(slice(None), *pair.judged)], target)
        records.append(
            Record(
                method=name,
                group=ALL + suffix,
                source=pair.source + suffix,
                label=pair.label,
                figures={
                    **figures(output, target, sar, valid),
                    **{key: compare(output, target, valid) for key, compare in eye.compare.items()},
                },
                embedded={
                    key: (embed(output, valid), seen[key]) for key, embed in eye.embed.items()
                },
            )
        )
    return records


def like(output: Image, target: Image) -> Image:
    """Return an output with the bands of the target: luminance for grey, grey in all bands."""
    if len(target) == 1:
        return luminance(output)
    return np.broadcast_to(output, target.shape) if len(output) == 1 else output


Group = tuple[str, str, str, list[Record]]  # method, source, class, records


def _groups(records: Sequence[Record], methods: Sequence[str]) -> Iterator[Group]:
    """Yield the records of each row: all together, by source, by class within a source."""
    wholes = sorted({record.group for record in records})
    sources = sorted({record.source for record in records})
    classes = sorted({(record.source, record.label) for record in records if record.label})
    for whole, method in itertools.product(wholes, methods):
        yield method, whole, ALL, [r for r in records if (r.method, r.group) == (method, whole)]
    for source, method in itertools.product(sources, methods):
        yield method, source, ALL, [r for r in records if (r.method, r.source) == (method, source)]
    for (source, label), method in itertools.product(classes, methods):
        key = (method, source, label)
        yield *key, [r for r in records if (r.method, r.source, r.label) == key]


def _row(
    look: Look, split: Split, method: str, source: str, label: str, records: list[Record]
) -> Row:
    names = list(dict.fromkeys(name for record in records for name in record.figures))
    averaged = {
        name: mean_known([record.figures.get(name, np.nan) for record in records]) for name in names
    }
    for name in records[0].embedded:
        ours, theirs = zip(*(record.embedded[name] for record in records), strict=True)
        averaged[name] = frechet_distance(_joined(ours), _joined(theirs))
    return Row(method, look, split, source, label, len(records), averaged)


def _joined(parts: Sequence[Embedded]) -> Embedded:
    filled = [part for part in parts if part.size]
    return np.concatenate(filled) if filled else np.zeros((0, 0))
