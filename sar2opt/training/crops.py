"""Random crops of the training places, augmented as physics allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from sar2opt.config import Settings
from sar2opt.errors import ConfigError
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.box_mean import box_mean
from sar2opt.training.pairs.pair import Image, Look, Pair, normalise_db, split_of
from sar2opt.training.water import Mask, open_water, roughened

T = TypeVar("T", bound=np.generic)

TRIES = 8
LEAST_KNOWN = 0.5  # share of a crop


class AugmentSettings(Settings):
    """How a crop is varied. Flips and quarter turns are always on.

    They turn the look direction too, which is wanted: ascending, descending, left- and
    right-looking scenes must all be read. SAR is never resampled: that would change its speckle.
    """

    gain_db: float = Field(1.0, description="spread of an offset in dB: unknown calibration")
    contrast: float = Field(0.1, description="largest change of the slope in dB over dB")
    speckle: float = Field(0.7, description="share of the crops of smooth sources that get speckle")
    filtered: float = Field(0.15, description="share of the crops of speckled sources, filtered")
    clipped: float = Field(0.3, description="share of the crops whose brightest pixels saturate")
    shift: int = Field(1, description="largest shift of the target in pixels: registration is so")
    hole: float = Field(0.1, description="share of the crops with a rectangle of no data")
    water: float = Field(0.0, description="share of the crops drawn where there is open water")
    wind_db: float = Field(0.0, description="the most that open water is raised by, in decibels")


@dataclass(frozen=True)
class Crop:
    """What one draw gives."""

    name: str  # of the pair, so that a bad batch can be told
    sar: Image  # (1, y, x), normalised, NaN is no data
    target: Image  # (3, y, x) in [0, 1]; a grey target three times
    look: Look


@dataclass
class CropSampler:
    """Endless random crops of the training places, the sources drawn by weight."""

    pairs: Sequence[Pair]
    weights: Mapping[str, float]  # of the sources; a source without one is left out
    smooth: Sequence[str]  # sources without speckle: multilooked, filtered or averaged
    norm: NormalisationSettings
    augment: AugmentSettings
    crop: int
    rng: np.random.Generator

    def __post_init__(self) -> None:
        train = split_of(self.pairs, "train")
        known = {pair.source for pair in train}
        missing = [source for source in self.weights if source not in known]
        if missing:
            raise ConfigError(
                f"no training pairs of {', '.join(missing)}: the set has {', '.join(sorted(known))}"
            )
        self._by_source = [[p for p in train if p.source == name] for name in self.weights]
        weights = np.array(list(self.weights.values()))
        self._weights = weights / weights.sum()
        self._waters = self._find_water()

    def _find_water(self) -> list[tuple[Pair, Mask]]:
        """Return the pairs with open water, a crop of it at the least, and where in them it is."""
        if self.augment.water <= 0 and self.augment.wind_db <= 0:
            return []
        found = [(pair, open_water(pair, self.norm)) for pairs in self._by_source for pair in pairs]
        least = self.crop**2 // 4
        return [(pair, water) for pair, water in found if np.count_nonzero(water) >= least]

    def draw(self) -> Crop:
        """Return the next crop."""
        if self._waters and self.rng.random() < self.augment.water:
            pair, water = self._waters[self.rng.integers(len(self._waters))]
            windows = [self._known_window(pair) for _ in range(8)]
            window = max(windows, key=lambda window: float(water[window].mean()))
        else:
            pairs = self._by_source[self.rng.choice(len(self._weights), p=self._weights)]
            pair = pairs[self.rng.integers(len(pairs))]
            window = self._window(pair)
        decibel = self._roughened(pair, window, pair.decibel[window].astype(np.float32))
        decibel = self._speckled(decibel, pair.source in self.smooth)
        level = pair.levels[self.rng.integers(len(pair.levels))]
        sar = normalise_db(self._calibrated(decibel, level), level, self.norm)
        target = pair.image(self._shifted(window, pair.decibel.shape))
        self._drop_rectangle(sar)
        turns, flip = int(self.rng.integers(4)), bool(self.rng.integers(2))
        sar, target = (turned(image, turns, flip) for image in (sar[None], target))
        if len(target) == 1:
            target = np.repeat(target, 3, axis=0)
        return Crop(pair.name, sar, target, pair.look)

    def _window(self, pair: Pair) -> tuple[slice, slice]:
        """Draw a window; half of the time the most varied of four, so that coasts, rivers and
        edges of towns, which are rare, are learnt too."""
        windows = [self._known_window(pair) for _ in range(4 if self.rng.random() < 0.5 else 1)]
        return max(windows, key=lambda window: _variety(pair.decibel[window]))

    def _known_window(self, pair: Pair) -> tuple[slice, slice]:
        """Draw a window with data in half of it; what was drawn last where there seems to be none.

        Chips that share ground with another split are blanked there, some of them nearly whole.
        """
        for _ in range(TRIES):
            y, x = (
                int(self.rng.integers(0, max(size - self.crop, 0) + 1))
                for size in pair.decibel.shape
            )
            window = (slice(y, y + self.crop), slice(x, x + self.crop))
            if np.isfinite(pair.decibel[window][::8, ::8]).mean() >= LEAST_KNOWN:
                break
        return window

    def _shifted(self, window: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[slice, slice]:
        moved = []
        for part, size in zip(window, shape, strict=True):
            step = int(self.rng.integers(-self.augment.shift, self.augment.shift + 1))
            start = min(max(part.start + step, 0), max(size - self.crop, 0))
            moved.append(slice(start, start + self.crop))
        return moved[0], moved[1]

    def _speckled(self, decibel: Image, smooth: bool) -> Image:
        """Return decibels with speckle put on (smooth sources) or filtered off (the others)."""
        chance = self.augment.speckle if smooth else self.augment.filtered
        if self.rng.random() >= chance:
            return decibel
        if smooth:  # gamma distributed, of 4 to 30 looks
            looks = float(np.exp(self.rng.uniform(np.log(4.0), np.log(30.0))))
            grains = self.rng.gamma(looks, 1.0 / looks, decibel.shape)
            if self.rng.random() < 0.5:  # neighbours are correlated in products of 10 m
                grains = ndimage.gaussian_filter(grains, 0.6)
            speckle: Image = np.float32(10.0) * np.log10(np.maximum(grains, 1e-4))
            return decibel + speckle.astype(np.float32)
        side = int(self.rng.choice((3, 5)))
        mean = np.maximum(box_mean(10.0 ** (decibel / 10.0), side), 1e-9)
        return np.where(np.isfinite(decibel), 10.0 * np.log10(mean), np.nan).astype(np.float32)

    def _calibrated(self, decibel: Image, level: float) -> Image:
        """Return decibels under another gain, slope and saturation."""
        augment = self.augment
        slope = 1.0 + self.rng.uniform(-augment.contrast, augment.contrast)
        gain = self.rng.normal(0.0, augment.gain_db)
        varied = (decibel - np.float32(level)) * np.float32(slope) + np.float32(level + gain)
        if self.rng.random() < augment.clipped:
            varied = np.minimum(varied, np.float32(level + gain + self.rng.uniform(3.0, 10.0)))
        return varied

    def _roughened(self, pair: Pair, window: tuple[slice, slice], decibel: Image) -> Image:
        """Return decibels in another wind, half of the time."""
        water = next((water for other, water in self._waters if other is pair), None)
        if water is None or self.augment.wind_db <= 0 or self.rng.random() < 0.5:
            return decibel
        return roughened(decibel, water[window], self.rng.uniform(0.0, self.augment.wind_db))

    def _drop_rectangle(self, sar: Image) -> None:
        if self.rng.random() < self.augment.hole:
            edge = int(self.rng.integers(sar.shape[0] // 4, sar.shape[0]))
            sar[edge:] = np.nan


def turned(image: npt.NDArray[T], turns: int, flip: bool) -> npt.NDArray[T]:
    """Return ``(band, y, x)`` after quarter turns and, maybe, a flip."""
    rotated = np.rot90(image, turns, axes=(1, 2))
    return np.ascontiguousarray(rotated[:, :, ::-1] if flip else rotated)


def _variety(decibel: npt.NDArray[np.float16]) -> float:
    """Return the spread of backscatter, in dB, once speckle is averaged away over 8 x 8 pixels."""
    rows, cols = (size // 8 * 8 for size in decibel.shape)
    cells = decibel[:rows, :cols].astype(np.float32).reshape(rows // 8, 8, cols // 8, 8)
    means = np.nan_to_num(cells.mean(axis=(1, 3)), nan=0.0)
    return float(means.std())
