"""What the annotation of a sub-swath of an SLC product says beside that of any product: its timing.

Fields as in the product specification (S1-RS-MDA-52-7441), swathTiming and imageInformation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sar2opt.sar.deburst import Counts
from sar2opt.sar.looks import effective_looks
from sar2opt.sar.orbit import Orbit
from sar2opt.scenes.sentinel1.annotation import Annotation, annotation_of, orbit_of
from sar2opt.scenes.sentinel1.xml import Tree

_LIGHT = 299_792_458.0  # metres a second
_MOST_BURSTS = 1000  # a data take of 25 minutes has 550


@dataclass(frozen=True)
class Timing:
    """When the samples of a sub-swath were seen; its bursts lie in the raster one below another."""

    facts: Annotation
    swath: str  # iw1 ...
    burst: tuple[np.datetime64, ...]  # of the first line of each
    interval: float  # of lines, seconds
    near: float  # slant range of the first sample, metres
    step: float  # of samples in slant range, metres
    first: Counts  # (b, n) first valid sample of each line of each burst, -1 for none
    last: Counts  # (b, n) last valid sample
    orbit: Orbit | None  # times in seconds since the first burst
    spectrum: tuple[tuple[float, float], ...]  # down, across: share of the sampling, Hamming's

    def looks(self, down: int, across: int) -> float:
        """Return the effective looks of the mean of so many lines and samples."""
        return effective_looks(down, *self.spectrum[0]) * effective_looks(across, *self.spectrum[1])


def parse_timing(content: bytes, where: str) -> Timing:
    """Read an annotation of SLC; raises ``SceneError`` if it is incomplete or contradictory."""
    tree = Tree.parse(content, where)
    facts, image = annotation_of(tree), "imageAnnotation/imageInformation/"
    interval = tree.number(f"{image}azimuthTimeInterval")  # positive, or refused above
    delay = tree.number(f"{image}slantRangeTime")
    rate = tree.number("generalAnnotation/productInformation/rangeSamplingRate")
    if min(delay, rate) <= 0:
        raise tree.wrong("its slant range or its sampling rate is not positive")
    bursts = tree.all("swathTiming/burstList/burst")
    if len(bursts) > _MOST_BURSTS or (facts.mode in ("IW", "EW") and not bursts):
        raise tree.wrong(f"it has {len(bursts)} bursts, which no product has")
    if bursts:
        times = tuple(burst.time("azimuthTime") for burst in bursts)
        first, last = (
            _valid(tree, bursts, facts, f"{end}ValidSample") for end in ("first", "last")
        )
    else:  # stripmap: one piece, valid throughout
        times = (tree.time(f"{image}productFirstLineUtcTime"),)
        first, last = (np.full((1, facts.lines), end) for end in (0, facts.samples - 1))
    return Timing(
        facts=facts,
        swath=tree.text("adsHeader/swath").lower(),
        burst=times,
        interval=interval,
        near=delay * _LIGHT / 2,
        step=_LIGHT / 2 / rate,
        first=first,
        last=last,
        orbit=orbit_of(tree, times[0]),
        spectrum=(_spectrum(tree, "azimuth", 1 / interval), _spectrum(tree, "range", rate)),
    )


def _valid(tree: Tree, bursts: list[Tree], facts: Annotation, name: str) -> Counts:
    """Return the first or last valid samples of all lines, one line of the raster a value."""
    lines = tree.count("swathTiming/linesPerBurst")
    stated = [burst.numbers(name) for burst in bursts]
    if len(bursts) * lines != facts.lines or any(one.size != lines for one in stated):
        raise tree.wrong(
            f"its {len(bursts)} bursts of {lines} lines do not make its {facts.lines} lines"
        )
    samples: Counts = np.clip(np.stack(stated), -2, facts.samples).astype(np.int64)
    if samples.min() < -1 or samples.max() >= facts.samples:
        raise tree.wrong(f"a {name} lies outside of its raster")
    return samples


def _spectrum(tree: Tree, axis: str, sampling: float) -> tuple[float, float]:
    """Return the share of the sampling frequency that is processed, and Hamming's coefficient."""
    path = f".//swathProcParams/{axis}Processing/"
    share = tree.number(f"{path}totalBandwidth") / sampling
    coefficient = tree.number(f"{path}windowCoefficient")
    if not (share > 0 and 0.5 <= coefficient <= 1):
        raise tree.wrong(f"the {axis} bandwidth or window that it states cannot be")
    return min(share, 1.0), coefficient
