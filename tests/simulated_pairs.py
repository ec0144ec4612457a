"""Small simulated pairs for the tests of training: harbours and valleys with their own colours."""

from __future__ import annotations

import numpy as np

from sar2opt.nets.losses import LUMINANCE
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.sar.radiometry import to_db
from sar2opt.synth import SceneSpec, make_scene
from sar2opt.training.pairs.pair import Look, Pair, Split
from sar2opt.training.pairs.sources import level_of

SPLITS: tuple[Split, ...] = ("train", "train", "train", "val", "test")


def simulated_pair(seed: int, split: Split, look: Look = "natural", side: int = 128) -> Pair:
    kind = ("harbour", "valley", "plain")[seed % 3]
    scene = make_scene(SceneSpec(kind=kind, shape=(side, side), seed=seed))
    decibel = to_db(scene.sar.values[1]).astype(np.float16)
    optical = scene.optical.values
    if look == "grey":
        optical = np.tensordot(np.array(LUMINANCE), optical, 1)[None]
    return Pair(
        name=f"sim_{look}/{seed}", source=f"sim_{look}", place=str(seed), split=split, look=look,
        decibel=decibel, optical=np.rint(255 * np.clip(optical, 0, 1)).astype(np.uint8),
        levels=(level_of(decibel, NormalisationSettings()),),
        tone=((1.0, 0.0),) * len(optical),
    )  # fmt: skip


def simulated_pairs(looks: tuple[Look, ...] = ("natural", "grey", "vivid")) -> list[Pair]:
    return [
        simulated_pair(10 * number + step, split, look)
        for number, look in enumerate(looks)
        for step, split in enumerate(SPLITS)
    ]
