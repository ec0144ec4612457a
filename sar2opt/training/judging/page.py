"""One self-contained page about an evaluation: pictures first, then tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from sar2opt.nets.models import Translator
from sar2opt.products.pages import read_template
from sar2opt.products.preview import MARK
from sar2opt.products.report import data_uri, marked
from sar2opt.training.judging.baselines import (
    MATCHED_SAR,
    SAR_AS_GREY,
    baselines,
    serves,
    target_of,
)
from sar2opt.training.judging.evaluation import PROTOCOL, Evaluation, versions
from sar2opt.training.judging.judge import like
from sar2opt.training.judging.methods import Method, translator_method
from sar2opt.training.judging.tables import COLUMNS, share_of, table_of
from sar2opt.training.pairs.pair import Image, Look, Pair, split_of

SAMPLES = 3  # of each source
SIDE = 320  # pixels; of a block the middle is shown
LEAST = 256  # pixels; smaller chips are enlarged by whole numbers


@dataclass(frozen=True)
class View:
    """A picture of one place as one method or instrument shows it."""

    title: str
    uri: str


@dataclass(frozen=True)
class Sample:
    """The views of one place."""

    title: str
    views: Sequence[View]


def page_of(
    result: Evaluation, translators: Mapping[str, Translator], pairs: Sequence[Pair]
) -> str:
    """Return the page as HTML."""
    tables = {look: table_of(result.rows, look) for look in result.looks}
    used = {column for table in tables.values() for column in table.columns}
    return read_template(Path(__file__).with_name("page.html.j2")).render(
        result=result,
        mark=MARK,
        tables=tables,
        classes={look: table_of(result.rows, look, classes=True) for look in result.looks},
        samples={look: samples(result, translators, pairs, look) for look in result.looks},
        columns=[column for column in COLUMNS if column in used],
        protocol=PROTOCOL,
        share_of=share_of,
        versions=versions(),
    )


def samples(
    result: Evaluation,
    translators: Mapping[str, Translator],
    pairs: Sequence[Pair],
    look: Look,
) -> list[Sample]:
    """Return the views of a few places of each source, the same ones for every model."""
    norm = next(iter(translators.values())).card.normalisation
    standing = baselines(pairs, look, norm)
    ours = {
        name: translator_method(each, look)
        for name, each in translators.items()
        if look in each.card.looks
    }
    generated = {**ours, MATCHED_SAR: standing[MATCHED_SAR]}
    return [
        Sample(pair.name, _views(pair, pair.sar(norm), look, generated, standing[SAR_AS_GREY]))
        for pair in choose(split_of(pairs, result.split), look)
    ]


def choose(pairs: Sequence[Pair], look: Look) -> list[Pair]:
    """Return a few pairs of each source of a look, evenly spread over their sorted names."""
    chosen = []
    usable = sorted((pair for pair in pairs if serves(pair, look)), key=lambda pair: pair.name)
    for source in sorted({pair.source for pair in usable}):
        own = [pair for pair in usable if pair.source == source]
        count = min(SAMPLES, len(own))
        chosen += [own[(2 * number + 1) * len(own) // (2 * count)] for number in range(count)]
    return chosen


def _views(
    pair: Pair, sar: Image, look: Look, generated: Mapping[str, Method], radar: Method
) -> list[View]:
    target = target_of(pair, look, pair.judged)
    window = middle(target.shape[1:])
    known = np.isfinite(sar[pair.judged])[window]

    def picture(image: Image) -> Picture.Image:
        return to_picture(np.where(known, image[(slice(None), *window)], np.float32(1.0)))

    def seen(method: Method) -> Image:
        return method(sar)[(slice(None), *pair.judged)]

    return [
        View("Radar", data_uri(picture(seen(radar)), "JPEG")),
        *(
            View(name, data_uri(marked(picture(like(seen(method), target))), "JPEG"))
            for name, method in generated.items()
        ),
        View("Real image", data_uri(picture(target), "JPEG")),
    ]


def middle(shape: Sequence[int]) -> tuple[slice, slice]:
    """Return the window of at most 320 pixels in the middle of an image ``(y, x)``."""
    starts = [max(0, (size - SIDE) // 2) for size in shape]
    return slice(starts[0], starts[0] + SIDE), slice(starts[1], starts[1] + SIDE)


def to_picture(image: Image) -> Picture.Image:
    """Return ``(1 or 3, y, x)`` in [0, 1] as a picture; a small one is enlarged."""
    values = np.rint(255.0 * np.clip(np.broadcast_to(image, (3, *image.shape[1:])), 0.0, 1.0))
    shown = Picture.fromarray(np.moveaxis(values.astype(np.uint8), 0, 2).copy())
    times = max(1, LEAST // max(shown.size))
    return shown.resize((times * shown.width, times * shown.height), Picture.Resampling.NEAREST)
