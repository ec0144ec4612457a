"""Windows of a Sentinel-1 GRD raster as calibrated linear power, in radar geometry."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.windows import Window
from scipy.ndimage import uniform_filter1d

from sar2opt.errors import SceneError
from sar2opt.sar.radiometry import Power
from sar2opt.scenes.blocks import ONE_AT_A_TIME, open_raster
from sar2opt.scenes.indexed import Indexed
from sar2opt.scenes.sentinel1.luts import Lut, Noise

_BORDER = 1024  # pixels at either side that border noise can reach
_BORDER_DN = 30.0  # root mean square over _BORDER_SPAN pixels; border noise lies below, land above
_BORDER_SPAN = 33  # pixels
_MOST_KEPT = 8  # rasters in a zip that a thread keeps open

_KEPT = threading.local()


@dataclass(frozen=True)
class Channel:
    """One polarisation: its raster, and what makes power of its numbers."""

    raster: str
    calibration: Lut | None  # None: power is DN squared
    noise: Noise | None  # None: thermal noise stays in


@dataclass(frozen=True)
class GrdSource(Indexed):
    """A product that is indexed like an array ``(band, line, pixel)`` of float32 linear power.

    Power is ``max(DN^2 - noise, 0) / A^2``; DN 0 is no data, NaN. It holds no open file, so it
    pickles. Rasters in a zip are kept open by each thread that reads them: only an open one
    remembers places in the deflated stream, and without them every window is unpacked from the
    start.
    """

    channels: tuple[Channel, ...]
    lines: int
    samples: int
    rim: str  # raster that tells where the dark rim of products before IPF 2.9 (2018) ends, or ""
    stamp: tuple[int, int]  # time and size of the measurement: another stamp, other pixels

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return ``(band, line, pixel)``."""
        return len(self.channels), self.lines, self.samples

    def _read(self, bands: slice, lines: slice, pixels: slice) -> Power:
        power = np.stack([self._power(one, lines, pixels) for one in self.channels[bands]])
        if self.rim and (pixels.start < _BORDER or pixels.stop > self.samples - _BORDER):
            wide = _with_rims(pixels, self.samples)
            inner = slice(pixels.start - wide.start, pixels.stop - wide.start)
            number = read_numbers(self.rim, self.stamp, lines, wide)
            power[:, _border(number, wide, self.samples)[:, inner]] = np.nan
        return power

    def _power(self, channel: Channel, lines: slice, pixels: slice) -> Power:
        number = read_numbers(channel.raster, self.stamp, lines, pixels).astype(np.float32)
        power: Power = np.square(number)
        if channel.noise is not None:
            power -= channel.noise.over(lines, pixels)
            np.maximum(power, 0, out=power)
        if channel.calibration is not None:
            power /= np.square(channel.calibration.over(lines, pixels))
        power[number == 0] = np.nan
        return power


def _with_rims(pixels: slice, samples: int) -> slice:
    """Return a span that holds all that the mask of the rims in it looks at."""
    start, stop, reach = pixels.start, pixels.stop, _BORDER + _BORDER_SPAN
    if pixels.start < _BORDER:
        start, stop = 0, max(stop, reach)
    if pixels.stop > samples - _BORDER:
        start, stop = min(start, samples - reach), samples
    return slice(max(start, 0), min(stop, samples))


def _border(number: npt.NDArray[Any], pixels: slice, samples: int) -> npt.NDArray[np.bool_]:
    """Return True on the dark rim: from either edge up to the first pixels of a line that echo.

    The masks of Ali et al. (2018) look for the same step, over time; this looks along a line.
    """
    square = np.square(number, dtype=np.float64)  # exact, so that sums know no order
    echo = uniform_filter1d(square, _BORDER_SPAN, axis=1) > _BORDER_DN**2
    rim = np.zeros(number.shape, bool)
    if pixels.start == 0:
        edge = min(_BORDER, number.shape[1])
        rim[:, :edge] |= ~np.logical_or.accumulate(echo[:, :edge], axis=1)
    if pixels.stop == samples:
        edge = max(number.shape[1] - _BORDER, 0)
        rim[:, edge:] |= ~np.logical_or.accumulate(echo[:, edge:][:, ::-1], axis=1)[:, ::-1]
    return rim


def read_numbers(
    path: str, stamp: tuple[int, int], lines: slice, pixels: slice
) -> npt.NDArray[Any]:
    """Return a window ``(line, pixel)`` of a measurement; raises ``SceneError`` if damaged."""
    window = Window(pixels.start, lines.start, pixels.stop - pixels.start, lines.stop - lines.start)
    try:
        with opened(path, stamp) as file:
            return np.asarray(file.read(1, window=window))
    except RasterioIOError as error:
        raise SceneError(
            f"{path}: lines {lines.start} to {lines.stop} cannot be read: the file is damaged or "
            "cut off: fetch it again"
        ) from error


@contextmanager
def opened(path: str, stamp: tuple[int, int]) -> Iterator[rasterio.DatasetReader]:
    """Open a measurement; one in a zip stays open for this thread, as long as its stamp is."""
    if not path.startswith("/vsizip/"):
        with _open(path) as file:
            yield file
        return
    kept: dict[Any, rasterio.DatasetReader] = _KEPT.__dict__.setdefault("files", {})
    if (path, stamp) not in kept:
        while len(kept) >= _MOST_KEPT:
            kept.pop(next(iter(kept))).close()
        kept[path, stamp] = _open(path)
    yield kept[path, stamp]


def _open(path: str) -> rasterio.DatasetReader:
    with ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # the annotation places it
        return open_raster(path)
