"""Windows of a Sentinel-1 SLC product as calibrated linear power: deburst, detected, multilooked.

1. A window of means is a window of the lattice of single samples, read in strips of lines so that
   memory does not grow with the window.
2. Of each sub-swath, the lines of its raster that follow one another are read at once, and laid on
   the lattice where it gives the samples (``sar.deburst``).
3. Power is ``(|z|^2 - noise) / A^2``, averaged over lines and samples, and only then raised to
   zero where it lies below: earlier, weak echoes would come out too bright.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sar2opt.sar.deburst import Share
from sar2opt.sar.radiometry import Power
from sar2opt.sar.resampling import block_mean
from sar2opt.scenes.indexed import Indexed
from sar2opt.scenes.sentinel1.source import Channel, read_numbers

_NONE = -2  # no line; -1 would come before line 0
_MOST_SAMPLES = 2**22  # complex, that are in memory at once


@dataclass(frozen=True)
class SubSwath:
    """A sub-swath: what it gives to the lattice, and its rasters."""

    share: Share
    channels: tuple[Channel, ...]  # of each polarisation
    stamp: tuple[int, int]  # time and size of the measurements: another stamp, other pixels


@dataclass(frozen=True)
class SlcSource(Indexed):
    """A product that is indexed like an array ``(band, line, pixel)`` of float32 linear power.

    A line and a pixel are the mean of ``down`` lines and ``across`` samples of the lattice; NaN
    where fewer than half of them are valid, or none has an echo. It holds no open file.
    """

    swaths: tuple[SubSwath, ...]
    down: int
    across: int
    lines: int
    samples: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return ``(band, line, pixel)``."""
        return len(self.swaths[0].channels), self.lines, self.samples

    def _read(self, bands: slice, lines: slice, pixels: slice) -> Power:
        samples = slice(pixels.start * self.across, pixels.stop * self.across)
        step = max(_MOST_SAMPLES // ((samples.stop - samples.start) * self.down), 1)
        strips = [
            slice(top * self.down, min(top + step, lines.stop) * self.down)
            for top in range(lines.start, lines.stop, step)
        ]
        return np.stack(
            [
                np.concatenate([self._mean(band, strip, samples) for strip in strips])
                for band in range(bands.start, bands.stop)
            ]
        )

    def _mean(self, band: int, lines: slice, samples: slice) -> Power:
        """Return the means ``(line, pixel)`` of a window of the lattice."""
        shape = lines.stop - lines.start, samples.stop - samples.start
        power: Power = np.full(shape, np.nan, np.float32)
        echo = np.zeros(shape, np.float32)
        for swath in self.swaths:
            _lay(swath, band, (lines, samples), power, echo)
        mean = block_mean(power, self.down, self.across)
        dark = block_mean(echo, self.down, self.across) == 0  # filled with zeros
        mean[dark] = np.nan
        return np.maximum(mean, np.float32(0))


def _lay(
    swath: SubSwath, band: int, window: tuple[slice, slice], power: Power, echo: Power
) -> None:
    """Write what a sub-swath gives in a window of the lattice into ``power`` and ``echo``."""
    share, (lines, samples), channel = swath.share, window, swath.channels[band]
    start = np.maximum(share.start[lines], samples.start)
    stop = np.minimum(share.stop[lines], samples.stop)
    own = np.where((start < stop) & (share.line[lines] >= 0), share.line[lines], _NONE)
    for rows in _runs(own):
        left, right = int(start[rows].min()), int(stop[rows].max())
        raster = slice(int(own[rows.start]), int(own[rows.stop - 1]) + 1)
        pixels = slice(left - share.left, right - share.left)
        number = read_numbers(channel.raster, swath.stamp, raster, pixels)
        at = np.arange(left, right)
        given = (at >= start[rows, None]) & (at < stop[rows, None])
        cols = slice(left - samples.start, right - samples.start)
        np.copyto(power[rows, cols], _power(number, channel, raster, pixels), where=given)
        np.copyto(echo[rows, cols], number != 0, where=given)


def _runs(line: npt.NDArray[np.int64]) -> Iterator[slice]:
    """Yield the spans in which lines of a raster follow one another; ``_NONE`` belongs to none."""
    breaks = np.flatnonzero(np.diff(line) != 1) + 1
    edges = [0, *breaks.tolist(), line.size]
    for start, stop in pairwise(edges):
        if line[start] >= 0:
            yield slice(start, stop)


def _power(number: npt.NDArray[Any], channel: Channel, lines: slice, pixels: slice) -> Power:
    power: Power = np.square(number.real) + np.square(number.imag)
    if channel.noise is not None:
        power -= channel.noise.over(lines, pixels)
    if channel.calibration is not None:
        power /= np.square(channel.calibration.over(lines, pixels))
    return power
