"""From a net's errors on held-out places to the table that turns its scale into trust."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.box_mean import box_mean
from sar2opt.training.judging.baselines import serves, target_of
from sar2opt.training.judging.conformal import PlaceScores, score
from sar2opt.training.judging.judge import AS_GREY, like
from sar2opt.training.judging.methods import Paint
from sar2opt.training.pairs.pair import Image, Look, Pair, Split, split_of

NEIGHBOURHOOD = 9  # pixels, over which backscatter is averaged to tell dark ground from bright
STEP = 5  # pixels; neighbours err together and say little more than one of them


def place_scores(
    paint: Paint, pairs: Sequence[Pair], norm: NormalisationSettings, look: Look, split: Split
) -> list[PlaceScores]:
    """Return the scores of each place of a look in a split, from every fifth row and column.

    The grey look has those of natural pairs too, on their luminance.
    """
    found: dict[tuple[str, str], list[tuple[Image, Image]]] = {}
    for pair in split_of(pairs, split):
        if serves(pair, look):
            source = pair.source if pair.look == look else pair.source + AS_GREY
            found.setdefault((source, pair.place), []).append(_scores(paint, pair, norm, look))
    return [
        PlaceScores(source, place, *(np.concatenate(part) for part in zip(*parts, strict=True)))
        for (source, place), parts in found.items()
    ]


def local_mean(sar: Image) -> npt.NDArray[np.float32]:
    """Return normalised backscatter averaged over 9 x 9 pixels with data."""
    return box_mean(sar, NEIGHBOURHOOD)


def _scores(
    paint: Paint, pair: Pair, norm: NormalisationSettings, look: Look
) -> tuple[Image, Image]:
    """Return scores and local mean backscatter, both ``(n,)``, where a pair may be judged."""
    sar = pair.sar(norm)
    image, scale = paint(sar)
    target = target_of(pair, look, pair.judged)
    error = np.abs(like(image[(slice(None), *pair.judged)], target) - target).mean(axis=0)
    thin = (slice(STEP // 2, None, STEP), slice(STEP // 2, None, STEP))
    known = np.isfinite(sar[pair.judged])[thin]
    scores = score(error, scale[pair.judged])[thin][known]
    return scores, local_mean(sar)[pair.judged][thin][known]
