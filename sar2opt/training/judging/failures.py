"""Where a translator fails: the held-out places with the largest errors, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.judging.baselines import serves, target_of
from sar2opt.training.judging.judge import like
from sar2opt.training.judging.methods import Method
from sar2opt.training.judging.sheet import Column, draw_sheet, middle
from sar2opt.training.pairs.pair import Look, Pair, split_of

WORST = 3  # places of each look


def draw_failures(
    methods: Mapping[Look, Method], pairs: Sequence[Pair], norm: NormalisationSettings, path: Path
) -> bool:
    """Draw the worst test places of each look to ``path``; return whether there are any.

    Worst is the mean absolute error over the middle of a pair; one pair a place, so that a bad
    place does not fill the sheet.
    """
    columns = []
    for look, method in methods.items():
        found: dict[tuple[str, str], tuple[float, Column]] = {}
        for pair in (pair for pair in split_of(pairs, "test") if serves(pair, look)):
            seen, place = _seen(pair, look, method, norm), (pair.source, pair.place)
            if seen[0] > (found[place][0] if place in found else 0.0):
                found[place] = seen
        worst = sorted(found.values(), key=lambda item: -item[0])[:WORST]
        columns += [column for _, column in worst]
    if columns:
        draw_sheet(columns, path)
    return bool(columns)


def _seen(
    pair: Pair, look: Look, method: Method, norm: NormalisationSettings
) -> tuple[float, Column]:
    """Return the mean absolute error and the pictures of the middle of a pair."""
    window = middle(pair.decibel.shape)
    sar = pair.sar(norm)
    target = target_of(pair, look, window)
    image = like(method(sar)[(slice(None), *window)], target)
    error = np.abs(image - target).mean(axis=0)[np.isfinite(sar[window])]
    known = error.size > 0.5 * target[0].size
    column = Column(f"{look}: {pair.name}", sar[window][None], image, target)
    return (float(error.mean()) if known else 0.0), column
