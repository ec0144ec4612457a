"""What the cards of the trained bundles say, beside the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sar2opt.nets.card import Card, InputRange
from sar2opt.nets.generator import Generator
from sar2opt.nets.layers import STRIDE, find_margin
from sar2opt.nets.tagger import CLASSES, Tagger
from sar2opt.training.pairs.pair import SPLITS, Pair
from sar2opt.training.tags.settings import TaggerTraining
from sar2opt.training.tags.weak_labels import WeakPair
from sar2opt.training.translation.paired import TranslatorTraining

ENCODER = "Encoder: EfficientNet-lite0, ImageNet weights, Apache-2.0"
TAGGER_SOURCES = (
    "Contains modified Copernicus Sentinel data 2017 to 2021; scenes: "
    "VolkovVl/Optical-SAR-dataset, redistribution and change allowed",
    "SEN1-2 samples, CC BY 4.0 (Schmitt et al. 2018)",
    "vivid: Sentinel-1 and Sentinel-2 chips collected by geodrak/OMBRIA, which has no licence "
    "file; the images are modified Copernicus Sentinel data, whose terms allow use and adaptation",
    ENCODER,
)
LIMITS = (
    "evidence of any kind: the picture is a guess of what an optical sensor would show, and small "
    "objects, colours and textures in it may be invented",
    "measuring colour, vegetation indices or reflectance",
    "sensors other than C-band SAR at about 10 m, and places unlike those it was trained on: the "
    "trust layer does not know what it has never seen",
)
FLOOD_SOURCES = (
    "Sentinel-1 pictures before and after floods with masks from the Copernicus Emergency "
    "Management Service, collected by geodrak/OMBRIA, which has no licence file; the images are "
    "modified Copernicus Sentinel data, whose terms allow use and adaptation",
)
FLOOD_LIMITS = (
    "a legal or insurance record of a flood, or a rescue decision by itself: see the figures for "
    "how much of what it flags is dry, and how much it misses, against maps drawn by people",
    "water under trees and between houses, which radar hardly shows",
    "sensors other than C-band SAR at about 10 m, and dates from different orbits",
)
NO_NOTICES = "the set of pairs names no sources or licences: its configuration has no notices"
LABEL_SOURCES = (
    "EuroSAT, MIT (Helber et al. 2019)",
    "WorldCover chips: ESA WorldCover, CC BY 4.0; their repository states MIT in its README, "
    "without a licence file; used for the teacher",
)
LEGENDS = {
    "natural": "true colour as Sentinel-2 sees it from the top of the atmosphere, with its haze",
    "clear": "true colour with the haze of the atmosphere taken away",
    "vivid": "short-wave infrared, near infrared and red shown as red, green and blue: plants "
    "green, soil brown, water dark blue, towns grey-violet",
    "grey": "luminance of the true colour",
}
SPLIT = (
    "split by place: blocks of 1024 pixels of the scenes, runs of numbers or whole scenes of the "
    "chips, near-duplicates in one place; 64 pixels at the rim of a held-out block are not judged"
)
COMMON: dict[str, Any] = {
    "polarisations": ("vh", "vv"),
    "input_units": "linear power of any gain",
    "pixel_m": (8.0, 15.0),
    "stride": STRIDE,
    "limits": LIMITS,
}


@dataclass(frozen=True)
class About:
    """What a card says that neither the checkpoint nor the pairs can."""

    recipe: str = "CONFIG"  # the file of the configuration
    remarks: str = ""
    notices: tuple[str, ...] = ()  # of the set of pairs: sources, licences
    blend: str = "none"  # what was mixed into the weights


def translator_card(
    config: TranslatorTraining,
    net: Generator,
    pairs: Sequence[Pair],
    seen: InputRange,
    step: int,
    about: About,
) -> Card:
    """Return the card of a translator trained on ``pairs``; looks and figures come later."""
    return Card(
        name=config.name,
        kind="translator",
        summary="Translates one band of C-band backscatter into optical imagery in several looks, "
        "and says for each pixel how far to trust it.",
        architecture="Generator",
        settings=config.generator.model_dump(),
        bands_out=Generator.bands_out,
        normalisation=config.norm,
        margin=find_margin(net, config.generator.channels_in),
        input_range=seen,
        training={
            "command": f"sar2opt train {about.recipe} --data PAIRS --out OUT, {step} steps",
            "protocol": SPLIT,
            "remarks": about.remarks or "none",
            "blended in": about.blend,
            "pairs by source": _counts(pairs),
            "tones (gain, offset per band)": {
                pair.source: str([(round(a, 3), round(b, 3)) for a, b in pair.tone])
                for pair in pairs
            },
            "configuration": str(config.model_dump()),
        },
        figures={},
        licences=(*(about.notices or (NO_NOTICES,)), *((ENCODER,) if config.pretrained else ())),
        **COMMON,
    )


def _counts(pairs: Sequence[Pair]) -> dict[str, dict[str, int]]:
    sources = dict.fromkeys(pair.source for pair in pairs)
    return {
        source: {
            split: sum((pair.source, pair.split) == (source, split) for pair in pairs)
            for split in SPLITS
        }
        for source in sources
    }


def tagger_card(
    config: TaggerTraining,
    file: str,
    net: Tagger,
    weak: Sequence[WeakPair],
    temperature: float,
    figures: dict[str, Any],
) -> Card:
    """Return the card of a tagger made from the configuration ``file``."""
    counts = [np.bincount(item.tags.ravel(), minlength=256)[: len(CLASSES)] for item in weak]
    known, stride = np.sum(counts, axis=0), 2**config.net.stages
    shares = {
        name: round(float(count / known.sum()), 3)
        for name, count in zip(CLASSES, known, strict=True)
    }
    return Card(
        name=config.name,
        kind="tagger",
        summary="Tags land cover from one band of C-band backscatter. Trained on "
        f"{_learnt(config)}.",
        architecture="Tagger",
        settings=config.net.model_dump(mode="json"),
        bands_out=CLASSES,
        normalisation=config.norm,
        margin=find_margin(net, stride=stride),
        temperature=temperature,
        training={
            "command": f"sar2opt train configs/{file} --data DATA --out OUT",
            "protocol": f"{SPLIT}; {_told(config)}",
            "remarks": config.remarks or "none",
            "share of pixels by weak label": shares,
            "configuration": str(config.model_dump(exclude={"sources"})),
        },
        figures=figures,
        licences=_licences(config),
        **COMMON | {"stride": stride},
    )


def _has_teacher(config: TaggerTraining) -> bool:
    return bool(config.sources or config.pairs)


def _learnt(config: TaggerTraining) -> str:
    """Say what labels a tagger learnt from."""
    own = f"labels of {', '.join(source.name for source in config.labels)}"
    weak = "weak labels: what an optical net says of the optical image beside the radar image"
    return "; ".join([weak] * _has_teacher(config) + [own] * bool(config.labels))


def _told(config: TaggerTraining) -> str:
    """Say what is true of the labels that figures rest on."""
    if _has_teacher(config):
        return "labels are weak everywhere but in chips/terramind, which no training saw"
    return "labels are as they were given"


def _licences(config: TaggerTraining) -> tuple[str, ...]:
    if config.notices:
        return (*config.notices, ENCODER)
    if _has_teacher(config):
        return (*TAGGER_SOURCES, *LABEL_SOURCES)
    return ("the recipe names no sources or licences: it has no notices", ENCODER)
