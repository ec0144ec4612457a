"""Paired sets for training: read whole into memory, split by place, cut into random crops."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image
from pydantic import Field

from sar2opt.config import Scale, Settings
from sar2opt.errors import SceneError
from sar2opt.nets.losses import LUMINANCE
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.sar.radiometry import to_db, to_power

Split = Literal["train", "val", "test"]
T = TypeVar("T", bound=np.generic)
BLOCK = 1024  # a place of a scene source is a block of this side
GUARD = 64  # pixels at the rim of a held-out block that are not judged: training may look there


class SourceSettings(Settings):
    """One source of pairs: two whole scenes on one grid, or a folder of chips."""

    name: str
    kind: Literal["scene", "chips"]
    sar: str = Field(description="scene: path below the data folder; chips: glob of SAR images")
    optical: str = Field(description="scene: path; chips: what replaces 'sar' in the file name")
    scale: Scale = "display-amplitude"
    place: str = Field(r"(.+)", description="chips: the first group of this names the place")
    weight: float = Field(1.0, description="share of the training crops")
    match_tone: bool = Field(False, description="map the optical tones onto those of the scenes")


class TrainingSettings(Settings):
    """What all trainings have in common."""

    kind: str
    name: str
    seed: int = 0
    crop: int = 128
    gain_jitter_db: float = 1.0
    sources: tuple[SourceSettings, ...] = ()
    norm_quantile: float = 0.75
    norm_span_db: float = 10.0

    @property
    def norm(self) -> NormalisationSettings:
        """The input normalisation that travels with the weights."""
        return NormalisationSettings(quantile=self.norm_quantile, span_db=self.norm_span_db)


@dataclass(frozen=True)
class Pair:
    """A co-registered pair that lies in one place.

    ``decibel`` is ``(y, x)`` float16 with NaN for no data; ``optical`` is ``(band, y, x)`` uint8
    of one (luminance) or three bands; ``levels`` are the normalisation levels to choose from:
    that of the whole source first.
    """

    source: str
    place: str
    decibel: npt.NDArray[np.float16]
    optical: npt.NDArray[np.uint8]
    levels: tuple[float, ...]

    @property
    def split(self) -> Split:
        """The split that the place belongs to: about 10 % val and 15 % test, by hash."""
        digest = hashlib.blake2b(f"{self.source}/{self.place}".encode(), digest_size=4).digest()
        share = int.from_bytes(digest, "big") % 100
        return "test" if share < 15 else "val" if share < 25 else "train"


def read_pairs(
    root: Path, sources: Sequence[SourceSettings], norm: NormalisationSettings
) -> list[Pair]:
    """Read all pairs of all sources below ``root``; raises ``SceneError`` where one is empty."""
    pairs: list[Pair] = []
    for source in sources:
        read = read_scene_pairs if source.kind == "scene" else read_chip_pairs
        found = list(read(root, source, norm))
        if not found:
            raise SceneError(f"source {source.name!r}: no pairs match {root / source.sar}")
        pairs += found
    return pairs


def read_scene_pairs(
    root: Path, source: SourceSettings, norm: NormalisationSettings
) -> Iterator[Pair]:
    """Cut a pair of scenes on one grid into blocks, each a place of its own."""
    with rasterio.open(root / source.sar) as sar, rasterio.open(root / source.optical) as optical:
        if sar.shape != optical.shape or sar.transform != optical.transform:
            raise SceneError(f"source {source.name!r}: the two scenes are not on one grid")
        values, rgb = sar.read(1), optical.read()
        valid = (values != sar.nodata) & (optical.dataset_mask() > 0)
    decibel = np.where(valid, to_db(to_power(values, source.scale)), np.nan).astype(np.float16)
    level = _level(decibel, norm)
    for y in range(0, decibel.shape[0], BLOCK):
        for x in range(0, decibel.shape[1], BLOCK):
            block = (slice(y, y + BLOCK), slice(x, x + BLOCK))
            if np.isfinite(decibel[block]).mean() > 0.5:
                place = f"{y // BLOCK}-{x // BLOCK}"
                yield Pair(source.name, place, decibel[block], rgb[(slice(None), *block)], (level,))


def read_chip_pairs(
    root: Path, source: SourceSettings, norm: NormalisationSettings
) -> Iterator[Pair]:
    """Read a folder of chips; the level is that of the whole source, or the chip's own."""
    chips = []
    for path in sorted(root.glob(source.sar)):
        other = path.with_name(path.name.replace("_sar", source.optical))
        with Image.open(path) as sar, Image.open(other) as optical:
            values = np.asarray(sar.convert("L"))
            rgb = np.atleast_3d(np.asarray(optical)).transpose(2, 0, 1)
        match = re.search(source.place, path.name)
        decibel = to_db(to_power(values, source.scale)).astype(np.float16)
        chips.append((match.group(1) if match else path.stem, decibel, rgb))
    if chips:
        common = _level(np.stack([decibel for _, decibel, _ in chips]), norm)
        for place, decibel, rgb in chips:
            yield Pair(source.name, place, decibel, rgb, (common, _level(decibel, norm)))


def match_tones(
    pairs: Sequence[Pair], sources: Sequence[SourceSettings]
) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return for each source the gain and offset that give a target its tone, per band.

    Sources with ``match_tone`` get the mean and spread of the training places of the scene
    sources (of their luminance, where only grey exists); the others keep theirs. Tones are
    measured on training places only.
    """
    train = [pair for pair in pairs if pair.split == "train"]
    matched = {source.name for source in sources if source.match_tone}
    reference = _tone([pair for pair in train if pair.source not in matched])
    tones: dict[str, tuple[tuple[float, float], ...]] = {}
    for source in sources:
        own = _tone([pair for pair in train if pair.source == source.name])
        bands = [(1.0, 0.0)] * len(own)
        if source.match_tone:
            goal = reference if len(own) == 3 else _grey(reference)
            bands = [(g_std / std, g_mean - g_std / std * mean) for (mean, std), (g_mean, g_std) in
                     zip(own, goal, strict=True)]  # fmt: skip
        tones[source.name] = tuple(bands)
    return tones


@dataclass
class CropSampler:
    """Endless random crops of the training places, the sources drawn by weight.

    Augmentation: flips and quarter turns of both images. They turn the look direction too, which
    is wanted here: ascending, descending, left- and right-looking scenes must all be read. Gain
    jitter in dB stands for calibration; a rectangle of no data for scene edges. SAR is never
    resampled.
    """

    pairs: Sequence[Pair]
    sources: Sequence[SourceSettings]
    tones: dict[str, tuple[tuple[float, float], ...]]
    norm: NormalisationSettings
    crop: int
    gain_jitter_db: float
    rng: np.random.Generator

    def __post_init__(self) -> None:
        train = [pair for pair in self.pairs if pair.split == "train"]
        self._by_source = [
            [pair for pair in train if pair.source == source.name] for source in self.sources
        ]
        weights = np.array([source.weight for source in self.sources])
        self._weights = weights / weights.sum()

    def draw(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], bool]:
        """Return normalised SAR ``(1, y, x)`` with NaN, optical ``(3, y, x)``, and whether grey."""
        pairs = self._by_source[self.rng.choice(len(self._weights), p=self._weights)]
        pair = pairs[self.rng.integers(len(pairs))]
        window = self._window(pair)
        level = pair.levels[self.rng.integers(len(pair.levels))]
        level += self.rng.normal(0.0, self.gain_jitter_db)
        sar = normalise_db(pair.decibel[window], level, self.norm)
        target = toned(pair.optical[(slice(None), *window)], self.tones[pair.source])
        self._drop_rectangle(sar)
        turns, flip = int(self.rng.integers(4)), bool(self.rng.integers(2))
        sar, target = (turned(image, turns, flip) for image in (sar[None], target))
        grey = target.shape[0] == 1
        return sar, np.repeat(target, 3, axis=0) if grey else target, grey

    def _window(self, pair: Pair) -> tuple[slice, slice]:
        """Draw a window; half of the time the most varied of four, so that coasts, rivers and
        edges of towns, which are rare, are learnt too."""
        windows = []
        for _ in range(4 if self.rng.random() < 0.5 else 1):
            y, x = (
                int(self.rng.integers(0, max(size - self.crop, 0) + 1))
                for size in pair.decibel.shape
            )
            windows.append((slice(y, y + self.crop), slice(x, x + self.crop)))
        return max(windows, key=lambda window: _variety(pair.decibel[window]))

    def _drop_rectangle(self, sar: npt.NDArray[np.float32]) -> None:
        if self.rng.random() < 0.1:
            edge = int(self.rng.integers(sar.shape[0] // 4, sar.shape[0]))
            sar[edge:] = np.nan


def _variety(decibel: npt.NDArray[np.float16]) -> float:
    """Return the spread of backscatter, in dB, once speckle is averaged away over 8 x 8 pixels."""
    rows, cols = (size // 8 * 8 for size in decibel.shape)
    cells = decibel[:rows, :cols].astype(np.float32).reshape(rows // 8, 8, cols // 8, 8)
    means = np.nan_to_num(cells.mean(axis=(1, 3)), nan=0.0)
    return float(means.std())


def normalise_db(
    decibel: npt.NDArray[np.floating], level: float, norm: NormalisationSettings
) -> npt.NDArray[np.float32]:
    """Normalise decibels as ``sar.normalise`` does at run time; NaN stays NaN."""
    scaled = (decibel.astype(np.float32) - np.float32(level)) / np.float32(norm.span_db)
    clipped: npt.NDArray[np.float32] = np.clip(scaled, norm.low, norm.high)
    return clipped


def toned(
    optical: npt.NDArray[np.uint8], tone: tuple[tuple[float, float], ...]
) -> npt.NDArray[np.float32]:
    """Return optical ``(band, y, x)`` in [0, 1] after a gain and offset per band."""
    gain, offset = (np.array(part, np.float32)[:, None, None] for part in zip(*tone, strict=True))
    image: npt.NDArray[np.float32] = np.clip(
        optical.astype(np.float32) / np.float32(255.0) * gain + offset, 0.0, 1.0
    )
    return image


def _level(decibel: npt.NDArray[np.float16], norm: NormalisationSettings) -> float:
    valid = decibel.ravel()[:: max(1, decibel.size // 2_000_000)]
    return float(np.quantile(valid[np.isfinite(valid)].astype(np.float64), norm.quantile))


def _tone(pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    sample = np.concatenate(
        [pair.optical[:, ::8, ::8].reshape(pair.optical.shape[0], -1) for pair in pairs], axis=1
    )
    return [(float(band.mean()) / 255.0, float(band.std()) / 255.0) for band in sample]


def _grey(tone: list[tuple[float, float]]) -> list[tuple[float, float]]:
    mean, std = (sum(w * t[i] for w, t in zip(LUMINANCE, tone, strict=True)) for i in (0, 1))
    return [(mean, std)]


def turned(image: npt.NDArray[T], turns: int, flip: bool) -> npt.NDArray[T]:
    """Return ``(band, y, x)`` after quarter turns and, maybe, a flip."""
    rotated = np.rot90(image, turns, axes=(1, 2))
    return np.ascontiguousarray(rotated[:, :, ::-1] if flip else rotated)
