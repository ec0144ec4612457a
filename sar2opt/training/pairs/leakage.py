"""No ground in two splits: shared ground is taken out of the less held-out pair, then checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sar2opt.errors import PairsError
from sar2opt.training.pairs.ground import overlapping, shared_ground
from sar2opt.training.pairs.likeness import Overlap, equal_pairs, find_overlaps
from sar2opt.training.pairs.pair import SPLITS, Pair

MARGIN = 8  # pixels around shared ground: optical images are moved by up to half of it


def blank_shared(pairs: Sequence[Pair], overlaps: Sequence[Overlap]) -> list[Pair]:
    """Return the pairs with all ground blanked that a pair of a more held-out split shows too.

    A pair in ``test`` stays as it is, one in ``val`` gives way to ``test``, one in ``train`` to
    both: what was held out once stays so. Blanked pixels are no data in both images.
    """
    shared: dict[int, npt.NDArray[np.bool_]] = defaultdict(lambda: np.zeros((), bool))
    for overlap in overlaps:
        one, two = overlap.first, overlap.second
        if pairs[one].split != pairs[two].split:
            loser = min(one, two, key=lambda number: SPLITS.index(pairs[number].split))
            sign = 1 if loser == two else -1
            shape = pairs[loser].decibel.shape
            shared[loser] = shared[loser] | _shared(shape, sign * overlap.dy, sign * overlap.dx)
    for one, two in overlapping(pairs):
        loser, winner = sorted((one, two), key=lambda number: SPLITS.index(pairs[number].split))
        shared[loser] = shared[loser] | shared_ground(pairs[loser], pairs[winner])
    return [
        blanked(pair, shared[number]) if number in shared else pair
        for number, pair in enumerate(pairs)
    ]


def blanked(pair: Pair, where: npt.NDArray[np.bool_]) -> Pair:
    """Return ``pair`` with no data ``where`` ``(y, x)``, in both images."""
    return replace(
        pair,
        decibel=np.where(where, np.float16(np.nan), pair.decibel),
        optical=np.where(where, np.uint8(0), pair.optical),
    )


def check_leakage(pairs: Sequence[Pair]) -> None:
    """Raise ``PairsError`` if two splits share a place, a picture or ground.

    Everything is looked for anew in the finished pairs, so that this check can fail.
    """
    _check_places(pairs)
    for one, two in equal_pairs(pairs):
        _refuse(pairs, one, two, "the very same pixels")
    for overlap in find_overlaps(pairs, across_splits=True):
        where = "" if overlap.whole else f", displaced by {overlap.dy}, {overlap.dx} pixels"
        _refuse(pairs, overlap.first, overlap.second, f"the same picture{where}")
    for one, two in overlapping(pairs):
        _refuse(pairs, one, two, "the same ground")


def _check_places(pairs: Sequence[Pair]) -> None:
    first: dict[tuple[str, str], Pair] = {}
    for pair in pairs:
        other = first.setdefault((pair.source, pair.place), pair)
        if other.split != pair.split:
            raise PairsError(
                f"leakage: place {pair.place!r} of source {pair.source!r} lies in {other.split} "
                f"({other.name}) and in {pair.split} ({pair.name})"
            )


def _refuse(pairs: Sequence[Pair], one: int, two: int, what: str) -> None:
    a, b = pairs[one], pairs[two]
    if a.split != b.split:
        raise PairsError(
            f"leakage: {a.name} ({a.split}) and {b.name} ({b.split}) show {what}: give them one "
            "place, or leave one out"
        )


def _shared(shape: tuple[int, ...], dy: int, dx: int) -> npt.NDArray[np.bool_]:
    """Return where a pair shows what another shows at (y + dy, x + dx), and a margin around it."""
    where = np.zeros(shape, bool)
    rows, cols = shape
    where[
        max(0, -dy - MARGIN) : max(0, rows - max(0, dy - MARGIN)),
        max(0, -dx - MARGIN) : max(0, cols - max(0, dx - MARGIN)),
    ] = True
    return where
