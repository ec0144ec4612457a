"""What the cards of the trained bundles say, beside the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sar2opt.nets.card import Card
from sar2opt.nets.generator import Generator
from sar2opt.nets.layers import STRIDE, find_margin
from sar2opt.nets.losses import LUMINANCE
from sar2opt.nets.tagger import CLASSES, Tagger
from sar2opt.training.data import Pair
from sar2opt.training.evaluate import Tones, split_of
from sar2opt.training.tagger import TaggerTraining, WeakPair
from sar2opt.training.translator import TranslatorTraining

COPERNICUS = "Contains modified Copernicus Sentinel data 2017 to 2021"
SOURCES = (
    f"{COPERNICUS}; scenes: VolkovVl/Optical-SAR-dataset, redistribution and change allowed",
    "SEN1-2 samples, CC BY 4.0 (Schmitt et al. 2018)",
    "Encoder: EfficientNet-lite0, ImageNet weights, Apache-2.0",
)
LIMITS = (
    "evidence of any kind: the picture is a guess of what an optical sensor would show, and small "
    "objects, colours and textures in it may be invented",
    "measuring colour, vegetation indices or reflectance",
    "sensors other than C-band SAR at about 10 m, and places unlike Los Angeles, San Antonio and "
    "the SEN1-2 samples: the trust layer does not know what it has never seen",
)
LABEL_SOURCES = (
    "EuroSAT, MIT (Helber et al. 2019)",
    "WorldCover chips: ESA WorldCover, CC BY 4.0; their repository states MIT in its README, "
    "without a licence file; used for the teacher",
)
SPLIT = (
    "split by place: blocks of 1024 pixels of the scenes, runs of 100 numbers or whole scenes of "
    "the chips; 64 pixels at the rim of a test block are not judged"
)
COMMON: dict[str, Any] = {
    "polarisations": ("vh", "vv"),
    "input_units": "linear power of any gain",
    "pixel_m": (8.0, 15.0),
    "stride": STRIDE,
    "limits": LIMITS,
}


def translator_card(
    config: TranslatorTraining,
    file: str,
    net: Generator,
    tones: Tones,
    pairs: Sequence[Pair],
    gain: float,
    figures: dict[str, Any],
) -> Card:
    """Return the card of a translator made from the configuration ``file``."""
    splits = {name: split_of(pairs, name) for name in ("train", "val", "test")}
    places = {
        source.name: {
            name: sum(pair.source == source.name for pair in part) for name, part in splits.items()
        }
        for source in config.sources
    }
    return Card(
        name=config.name,
        kind="translator",
        summary="Translates one band of C-band backscatter into true colour as Sentinel-2 sees "
        "it at the top of the atmosphere, and says for each pixel how far to trust it.",
        architecture="Generator",
        settings=config.generator.model_dump(),
        bands_out=Generator.bands_out,
        normalisation=config.norm,
        margin=find_margin(net),
        looks=_looks(splits["train"]),
        trust_gain=gain,
        training={
            "command": f"sar2opt train configs/{file} --data DATA --out OUT",
            "protocol": SPLIT,
            "pairs by source": places,
            "tone maps (gain, offset per band)": {
                name: str([(round(a, 3), round(b, 3)) for a, b in bands])
                for name, bands in tones.items()
            },
            "configuration": str(config.model_dump(exclude={"sources"})),
        },
        figures=figures,
        licences=SOURCES,
        **COMMON,
    )


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
    known = np.sum(counts, axis=0)
    shares = {
        name: round(float(count / known.sum()), 3)
        for name, count in zip(CLASSES, known, strict=True)
    }
    return Card(
        name=config.name,
        kind="tagger",
        summary="Tags land cover from one band of C-band backscatter. Trained on weak labels: "
        "what an optical net says of the optical image beside the radar image.",
        architecture="Tagger",
        settings={"classes": list(CLASSES), "channels_in": 1},
        bands_out=CLASSES,
        normalisation=config.norm,
        margin=find_margin(net),
        temperature=temperature,
        training={
            "command": f"sar2opt train configs/{file} --data DATA --out OUT",
            "protocol": f"{SPLIT}; labels are weak everywhere but in chips/terramind, which no "
            "training saw",
            "remarks": config.remarks or "none",
            "share of pixels by weak label": shares,
            "configuration": str(config.model_dump(exclude={"sources"})),
        },
        figures=figures,
        licences=(*SOURCES, *LABEL_SOURCES),
        **COMMON,
    )


def _looks(train: Sequence[Pair]) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Return the looks as affine maps of the generated colour.

    ``clear`` takes the haze of the top of the atmosphere away: each band is stretched between the
    1st and 98th percentile of the whole-scene targets in training.
    """
    scenes = [pair.optical for pair in train if len(pair.optical) == 3 and len(pair.levels) == 1]
    pixels = np.concatenate([image[:, ::16, ::16].reshape(3, -1) for image in scenes], axis=1)
    low, high = np.percentile(pixels / 255.0, (1, 98), axis=1)
    gain, offset = 0.95 / (high - low), 0.02 - 0.95 * low / (high - low)
    clear = np.concatenate([np.diag(gain), offset[:, None]], axis=1).round(4)
    return {
        "natural": tuple(tuple(row) for row in np.eye(3, 4).tolist()),
        "clear": tuple(tuple(row) for row in clear.tolist()),
        "grey": ((*LUMINANCE, 0.0),),
    }
