"""Bursts and sub-swaths of TOPS on one lattice of lines and samples: who gives which sample (pure).

1. Sub-swaths share the intervals of lines and samples, so each burst lies on the lattice by whole
   lines and samples (De Zan and Monti Guarnieri, 2006: TOPSAR).
2. Where two bursts of a sub-swath both have valid lines, the seam lies in the middle of them.
3. Where two sub-swaths both have valid samples in a line, the seam lies in the middle of them; in
   a line that only one of the two has, it gives all that it has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bursts:
    """The bursts of a sub-swath, in order of time, as its raster has them one below another."""

    top: Counts  # (b,) line of the lattice at which each begins, ascending
    left: int  # sample of the lattice at which the raster begins
    first: Counts  # (b, n) first valid sample of each of their n lines, -1 for none
    last: Counts  # (b, n) last valid sample


@dataclass(frozen=True)
class Share:
    """What one sub-swath gives, line by line of the lattice, each ``(line,)``."""

    line: Counts  # of its raster; -1 where it gives none
    start: Counts  # first sample of the lattice
    stop: Counts  # behind the last
    left: int  # sample of the lattice at which its raster begins


def share_out(swaths: list[Bursts]) -> list[Share]:
    """Return what each sub-swath gives, near range first; no sample comes from two of them."""
    lines = max(int(bursts.top[-1]) + bursts.first.shape[1] for bursts in swaths)
    shares = [_deburst(bursts, lines) for bursts in swaths]
    for index in range(len(shares) - 1):
        near, far = shares[index : index + 2]
        both = (near.line >= 0) & (far.line >= 0) & (far.start < near.stop)
        seam = (near.stop + far.start) // 2
        shares[index] = replace(near, stop=np.where(both, seam, near.stop))
        shares[index + 1] = replace(far, start=np.where(both, seam, far.start))
    return shares


def _deburst(bursts: Bursts, lines: int) -> Share:
    """Return what a sub-swath has in each of so many lines of the lattice."""
    count = bursts.first.shape[1]
    line, start, stop = np.full(lines, -1), np.zeros(lines, np.int64), np.zeros(lines, np.int64)
    valid = (bursts.first >= 0) & (bursts.last >= bursts.first)
    spans = []
    for index in np.flatnonzero(valid.any(axis=1)).tolist():
        at = np.flatnonzero(valid[index]) + bursts.top[index]
        spans.append((index, int(at[0]), int(at[-1]) + 1))
    seams = [
        (end + begin) // 2 if begin < end else 0 for (_, _, end), (_, begin, _) in pairwise(spans)
    ]
    for (index, begin, end), above, below in zip(spans, [0, *seams], [*seams, 0], strict=True):
        at = np.arange(max(begin, above), min(end, below or lines))
        own = at - bursts.top[index]
        line[at] = np.where(valid[index, own], index * count + own, -1)
        start[at] = bursts.first[index, own] + bursts.left
        stop[at] = bursts.last[index, own] + bursts.left + 1
    return Share(line, start, stop, bursts.left)
