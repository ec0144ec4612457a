"""Sources of pairs as they lie on the disk: two whole scenes on one grid, or folders of chips."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image as Picture
from pydantic import Field

from sar2opt.config import Scale, Settings
from sar2opt.errors import SceneError
from sar2opt.nets.losses import LUMINANCE
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.sar.radiometry import to_db, to_power
from sar2opt.training.pairs import BLOCK, Look, Pair, Split, Tone, split_of, split_of_place


class SourceSettings(Settings):
    """One source of pairs."""

    name: str
    kind: Literal["scene", "chips"]
    look: Look = Field("natural", description="what the optical side shows")
    sar: str = Field(description="scene: path below the data folder; chips: glob of SAR images")
    optical: str = Field(description="scene: path; chips: what replaces '_sar' in the file name")
    scale: Scale = "display-amplitude"
    place: str = Field(r"(.+)", description="chips: the first group of this names the place")
    label: str = Field("", description="chips: the first group of this, in the path, is a class")
    val: tuple[str, ...] = Field((), description="places that are held out to choose by")
    test: tuple[str, ...] = Field((), description="places that are held out to judge by")
    own_level: bool = Field(False, description="each chip was stretched on its own")
    match_tone: bool = Field(False, description="map the optical tones onto those of the scenes")

    def split(self, place: str) -> Split:
        """Return the split of a place: as listed, or else by hash."""
        if self.val or self.test:
            return "test" if place in self.test else "val" if place in self.val else "train"
        return split_of_place(self.name, place)


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
    tones = match_tones(pairs, sources)
    return [replace(pair, tone=tones[pair.source]) for pair in pairs]


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
    level = level_of(decibel, norm)
    for y in range(0, decibel.shape[0], BLOCK):
        for x in range(0, decibel.shape[1], BLOCK):
            block = (slice(y, y + BLOCK), slice(x, x + BLOCK))
            if np.isfinite(decibel[block]).mean() > 0.5:
                place = f"{y // BLOCK}-{x // BLOCK}"
                yield _pair(source, place, place, decibel[block], rgb[(slice(None), *block)],
                            (level,))  # fmt: skip


def read_chip_pairs(
    root: Path, source: SourceSettings, norm: NormalisationSettings
) -> Iterator[Pair]:
    """Read a folder of chips; the level is that of the whole source, and then the chip's own."""
    chips = []
    for path in sorted(root.glob(source.sar)):
        other = path.with_name(path.name.replace("_sar", source.optical))
        with Picture.open(path) as sar, Picture.open(other) as optical:
            values = np.asarray(sar.convert("L"))
            wanted = "L" if source.look == "grey" else "RGB"
            rgb = np.atleast_3d(np.asarray(optical.convert(wanted))).transpose(2, 0, 1)
        decibel = to_db(to_power(values, source.scale)).astype(np.float16)
        chips.append((path.relative_to(root), decibel, rgb))
    if chips:
        common = level_of(np.stack([decibel for _, decibel, _ in chips]), norm)
        for path, decibel, rgb in chips:
            place = _group(source.place, path.name) or path.stem
            label = _group(source.label, path.as_posix()) if source.label else ""
            own = level_of(decibel, norm)
            levels = (own,) if source.own_level else (common, own)
            yield _pair(source, path.stem, place, decibel, rgb, levels, label)


def match_tones(pairs: Sequence[Pair], sources: Sequence[SourceSettings]) -> dict[str, Tone]:
    """Return for each source the gain and offset that give a target its tone, per band.

    Sources with ``match_tone`` get the mean and spread of the natural colours that are not
    matched (of their luminance, where only grey exists); the others keep theirs. Tones are
    measured on training places only.
    """
    train = split_of(pairs, "train")
    matched = {source.name for source in sources if source.match_tone}
    model = [pair for pair in train if pair.look == "natural" and pair.source not in matched]
    tones: dict[str, Tone] = {}
    for source in sources:
        own = [pair for pair in train if pair.source == source.name]
        if source.match_tone and own and model:
            goal = _tone(model) if source.look == "natural" else _grey(_tone(model))
            tones[source.name] = tuple(
                (g_std / std, g_mean - g_std / std * mean)
                for (mean, std), (g_mean, g_std) in zip(_tone(own), goal, strict=True)
            )
        else:
            tones[source.name] = ((1.0, 0.0),) * (1 if source.look == "grey" else 3)
    return tones


def level_of(decibel: npt.NDArray[np.float16], norm: NormalisationSettings) -> float:
    """Return the normalisation level of backscatter in dB, of any shape, NaN is no data."""
    valid = decibel.ravel()[:: max(1, decibel.size // 2_000_000)]
    return float(np.quantile(valid[np.isfinite(valid)].astype(np.float64), norm.quantile))


def _pair(
    source: SourceSettings,
    name: str,
    place: str,
    decibel: npt.NDArray[np.float16],
    optical: npt.NDArray[np.uint8],
    levels: tuple[float, ...],
    label: str = "",
) -> Pair:
    return Pair(
        name=f"{source.name}/{name}",
        source=source.name,
        place=place,
        split=source.split(place),
        look=source.look,
        decibel=decibel,
        optical=optical,
        levels=levels,
        tone=((1.0, 0.0),) * len(optical),
        label=label,
    )


def _group(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match.group(1) if match else ""


def _tone(pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    sample = np.concatenate(
        [pair.optical[:, ::8, ::8].reshape(pair.optical.shape[0], -1) for pair in pairs], axis=1
    )
    return [(float(band.mean()) / 255.0, float(band.std()) / 255.0) for band in sample]


def _grey(tone: list[tuple[float, float]]) -> list[tuple[float, float]]:
    mean, std = (sum(w * t[i] for w, t in zip(LUMINANCE, tone, strict=True)) for i in (0, 1))
    return [(mean, std)]
