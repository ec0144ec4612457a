"""A co-registered pair of SAR and optical imagery: what every training and judging works on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sar2opt.sar.normalise import NormalisationSettings

Split = Literal["train", "val", "test"]
Look = Literal["natural", "vivid", "grey"]
Tone = tuple[tuple[float, float], ...]  # gain and offset of each band
Image = npt.NDArray[np.float32]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
BLOCK = 1024  # pixels; a place of a whole scene is a block of this side
GUARD = 64  # pixels at the rim of a held-out block that are not judged: training may look there


@dataclass(frozen=True)
class Ground:
    """Where a pair lies on the Earth: ``transform`` is that of ``affine``, six numbers."""

    crs: str  # WKT, or EPSG:number
    transform: tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Pair:
    """A pair of images on one grid, in one place.

    ``decibel`` is backscatter ``(y, x)``, float16, NaN for no data; ``optical`` is
    ``(band, y, x)`` uint8 of one (grey) or three bands; ``look`` says what kind of target that is;
    ``levels`` are the normalisation levels to choose from, in dB: that of the whole source first.
    ``tone`` is the gain and offset that give the target the tone of its look, band by band.
    ``moved`` is the displacement ``(dy, dx)`` that was taken out of the optical image, in pixels.
    """

    name: str  # unique among the pairs
    source: str
    place: str  # pairs of one place belong to one split
    split: Split
    look: Look
    decibel: npt.NDArray[np.float16]
    optical: npt.NDArray[np.uint8]
    levels: tuple[float, ...]
    tone: Tone
    label: str = ""  # a weak class of the whole pair, where there is one
    ground: Ground | None = None  # None: not georeferenced
    moved: tuple[int, int] = (0, 0)

    def sar(self, norm: NormalisationSettings) -> Image:
        """Return normalised backscatter ``(y, x)``; NaN is no data."""
        return normalise_db(self.decibel, self.levels[0], norm)

    def image(self, window: tuple[slice, slice] = (slice(None), slice(None))) -> Image:
        """Return the target ``(band, y, x)`` in [0, 1], in its tone."""
        return toned(self.optical[(slice(None), *window)], self.tone)

    @property
    def judged(self) -> tuple[slice, slice]:
        """The part that may be judged: not the rim of a block, where training may have looked."""
        side = min(self.decibel.shape) if self.ground else 0  # chips are not parts of a scene
        inner = min(GUARD, side // 8)
        return slice(inner, -inner or None), slice(inner, -inner or None)


def split_of_place(source: str, place: str) -> Split:
    """Return the split that a place belongs to: about 15 % test and 10 % val, by hash."""
    digest = hashlib.blake2b(f"{source}/{place}".encode(), digest_size=4).digest()
    share = int.from_bytes(digest, "big") % 100
    return "test" if share < 15 else "val" if share < 25 else "train"


def split_of(pairs: Sequence[Pair], split: Split) -> list[Pair]:
    """Return the pairs that belong to ``split``."""
    return [pair for pair in pairs if pair.split == split]


def normalise_db(
    decibel: npt.NDArray[np.floating], level: float, norm: NormalisationSettings
) -> npt.NDArray[np.float32]:
    """Normalise decibels as ``sar.normalise`` does at run time; NaN stays NaN."""
    scaled = (decibel.astype(np.float32) - np.float32(level)) / np.float32(norm.span_db)
    clipped: npt.NDArray[np.float32] = np.clip(scaled, norm.low, norm.high)
    return clipped


def toned(optical: npt.NDArray[np.uint8], tone: Tone) -> npt.NDArray[np.float32]:
    """Return optical ``(band, y, x)`` in [0, 1] after a gain and offset per band."""
    gain, offset = (np.array(part, np.float32)[:, None, None] for part in zip(*tone, strict=True))
    image: npt.NDArray[np.float32] = np.clip(
        optical.astype(np.float32) / np.float32(255.0) * gain + offset, 0.0, 1.0
    )
    return image
