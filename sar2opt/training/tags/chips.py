"""Optical labels for the teacher: chips of one class, and chips with a class per pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image

from sar2opt.errors import SceneError
from sar2opt.nets.tagger import CLASSES
from sar2opt.raster import NO_TAG

IGNORE = NO_TAG
REFLECTANCE_WHITE = 3000.0  # reflectance x 10,000 that displays as white

EUROSAT = {
    "Forest": "trees",
    "SeaLake": "water",
    "AnnualCrop": "cropland",
    "PermanentCrop": "cropland",
    "Residential": "built_up",
    "Industrial": "built_up",
    "HerbaceousVegetation": "low_vegetation",
    "Pasture": "low_vegetation",
}  # rivers and highways are mostly something else than their chip's name
WORLDCOVER = {10: "trees", 20: "low_vegetation", 30: "low_vegetation", 40: "cropland",
              50: "built_up", 60: "bare", 80: "water"}  # fmt: skip


@dataclass(frozen=True)
class LabelChip:
    """An optical chip with labels: ``(3, y, x)`` in [0, 1] and ``(y, x)`` class codes."""

    image: npt.NDArray[np.float32]
    tags: npt.NDArray[np.uint8]
    place: str
    source: str

    @property
    def held_out(self) -> bool:
        """Whether the place is kept from training: about one in five, by hash."""
        return hashlib.blake2b(self.place.encode(), digest_size=2).digest()[0] % 5 == 0


def read_label_chips(root: Path) -> list[LabelChip]:
    """Read EuroSAT and WorldCover chips below ``root``; raises ``SceneError`` if there are none."""
    chips = [*_eurosat(root / "labels/eurosat_rgb"), *_worldcover(root / "labels/worldcover_chips")]
    if not chips:
        raise SceneError(f"no label chips below {root / 'labels'}")
    return chips


def _eurosat(folder: Path) -> Iterator[LabelChip]:
    for name, tag in EUROSAT.items():
        for path in sorted((folder / name).glob("*.jpg")):
            with Image.open(path) as picture:
                chip = np.asarray(picture, np.float32).transpose(2, 0, 1) / np.float32(255.0)
            # mirrored to the size of the other chips: the class is that of the whole chip
            image = np.pad(chip, ((0, 0), (0, 64), (0, 64)), mode="symmetric")
            tags = np.full(image.shape[1:], CLASSES.index(tag), np.uint8)
            yield LabelChip(image, tags, path.stem, "eurosat")


def _worldcover(folder: Path) -> Iterator[LabelChip]:
    codes = np.full(256, IGNORE, np.uint8)
    for code, tag in WORLDCOVER.items():
        codes[code] = CLASSES.index(tag)
    for path in sorted(folder.glob("*.tif")):
        with rasterio.open(path) as chip:
            values = chip.read()
        image = np.clip(values[:3].astype(np.float32) / np.float32(REFLECTANCE_WHITE), 0, 1)
        tags = codes[np.minimum(values[3], 255)]
        tags[(values[:3] == 0).all(axis=0)] = IGNORE
        yield LabelChip(image, tags, path.stem.split("_")[0], "worldcover")


def tone_of(images: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Return mean and spread per band ``(2, 3)`` over images ``(3, y, x)`` in [0, 1]."""
    pixels = np.concatenate([image[:, ::4, ::4].reshape(3, -1) for image in images], axis=1)
    return np.stack([pixels.mean(axis=1), pixels.std(axis=1)])


def restretch(image: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return the chip under another display stretch: gamma, haze, gain per band.

    8-bit optical imagery comes in many stretches; a teacher must not depend on one.
    """
    gamma = rng.uniform(0.8, 1.25)
    gain = rng.uniform(0.8, 1.25) * rng.uniform(0.93, 1.07, (3, 1, 1))
    haze = rng.uniform(0.0, 0.15) * np.array([0.5, 0.75, 1.0])[:, None, None]
    stretched = np.power(image, gamma) * gain * (1 - haze) + haze
    return np.clip(stretched, 0, 1).astype(np.float32)
