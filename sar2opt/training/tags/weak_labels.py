"""Weak labels of pairs: what the teacher sees in colour, or what a whole chip is said to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sar2opt.errors import ConfigError
from sar2opt.nets.tagger import CLASSES
from sar2opt.training.box_mean import box_mean
from sar2opt.training.pairs.pair import Pair
from sar2opt.training.tags.chips import IGNORE, LabelChip, tone_of

TOWN_DB = -2.0  # weak built-up labels darker than this, against the scene's level, are dropped
WATER_DB = -4.0  # and weak water labels brighter than this
ONE_OF = 128  # codes from here on: one of several tags, by their order in ``choices``
DRY = tuple(name for name in CLASSES if name not in ("water", "ship"))
LEAVES = ("trees", "low_vegetation", "cropland")
IS_DRY, IS_GREEN = ONE_OF, ONE_OF + 1


@dataclass(frozen=True)
class WeakPair:
    """A pair with weak labels ``(y, x)``: codes of tags or of ``choices``, 255 where unsure."""

    pair: Pair
    tags: npt.NDArray[np.uint8]


def label_weakly(
    teacher: nn.Module, pairs: Sequence[Pair], chips: Sequence[LabelChip], confidence: float
) -> list[WeakPair]:
    """Tag true colour with the teacher, each source in the tone of the chips it learnt from.

    Towns that the radar sees dark and the eye light, as runways are, are labelled as dry; what is
    dark to both may be a harbour that the teacher does not know.
    """
    goal = tone_of([chip.image for chip in chips])
    colour = [pair for pair in pairs if pair.look == "natural"]
    weak = []
    for source in sorted({pair.source for pair in colour}):
        own = [pair for pair in colour if pair.source == source]
        tone = tone_of([pair.optical.astype(np.float32) / 255.0 for pair in own])
        for pair in own:
            image = (pair.optical / 255.0 - tone[0][:, None, None]) / tone[1][:, None, None]
            image = np.clip(image * goal[1][:, None, None] + goal[0][:, None, None], 0, 1)
            with torch.inference_mode():
                scores = teacher(torch.from_numpy(image[None].astype(np.float32)))
            best, tags = torch.softmax(scores, dim=1)[0].max(dim=0)
            sure = (best >= confidence).numpy() & np.isfinite(pair.decibel)
            town = tags.numpy() == CLASSES.index("built_up")
            light = image.mean(axis=0) > goal[0].mean()
            told = np.where(believable(tags.numpy(), pair), tags.numpy(), IGNORE)
            told = np.where(town & light & (told == IGNORE), IS_DRY, told)
            weak.append(WeakPair(pair, np.where(sure, told, IGNORE).astype(np.uint8)))
    return weak


def label_by_chip(
    pairs: Sequence[Pair], chip_labels: Mapping[str, str | tuple[str, ...]]
) -> list[WeakPair]:
    """Give every pixel of a chip what the chip's label stands for, where it may be so.

    That is one tag, or the code of one of several. Raises ``ConfigError`` where there is no such
    tag.
    """
    said = [(tag,) if isinstance(tag, str) else tag for tag in chip_labels.values()]
    if unknown := sorted({name for names in said for name in names} - set(CLASSES)):
        raise ConfigError(f"chip_labels: no tag is called {unknown[0]}: say {', '.join(CLASSES)}")
    several = choices(chip_labels)
    weak = []
    for pair in pairs:
        if pair.label in chip_labels:
            tag = chip_labels[pair.label]
            one = isinstance(tag, str)
            code = CLASSES.index(tag) if one else ONE_OF + several.index(tuple(tag))
            tags = np.full(pair.decibel.shape, code, np.uint8)
            known = believable(tags, pair)
            if one and tag != "water":
                known &= backscatter_near(pair) > WATER_DB  # a wood may have a lake in it
            weak.append(WeakPair(pair, np.where(known, tags, np.uint8(IGNORE))))
    return weak


def choices(chip_labels: Mapping[str, str | tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the sets of tags that labels leave open: two for all, then those of chips."""
    said = {tuple(tags) for tags in chip_labels.values() if not isinstance(tags, str)}
    return [DRY, LEAVES, *sorted(said - {DRY, LEAVES})]


def believable(tags: npt.NDArray[np.integer], pair: Pair) -> npt.NDArray[np.bool_]:
    """Return where backscatter does not contradict a tag ``(y, x)``.

    Walls and corners make towns bright and smooth water is dark, whatever an optical net makes of
    brown hills and dark roofs. Judged on power averaged over 9 x 9 pixels.
    """
    relative = backscatter_near(pair)
    built_up, water = tags == CLASSES.index("built_up"), tags == CLASSES.index("water")
    dark_town, bright_water = built_up & (relative < TOWN_DB), water & (relative > WATER_DB)
    agreed: npt.NDArray[np.bool_] = np.isfinite(pair.decibel) & ~dark_town & ~bright_water
    return agreed


def backscatter_near(pair: Pair) -> npt.NDArray[np.float32]:
    """Return backscatter averaged over 9 x 9 pixels ``(y, x)``, in dB against the scene's level."""
    mean = box_mean(10.0 ** (pair.decibel.astype(np.float32) / 10.0), 9)
    decibel: npt.NDArray[np.float32] = np.float32(10.0) * np.log10(np.maximum(mean, 1e-9))
    return decibel - np.float32(pair.levels[0])
