"""The optical teacher: it sees true colour, and learns from labelled chips."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import segmentation_models_pytorch as smp
import torch
from torch import nn

from sar2opt.nets.tagger import COVERS
from sar2opt.training.crops import turned
from sar2opt.training.loop.run import train_loop
from sar2opt.training.pretrained import load_encoder
from sar2opt.training.tags.chips import LabelChip, restretch
from sar2opt.training.tags.settings import TaggerTraining
from sar2opt.training.tags.step import TagStep, class_weights


def make_teacher() -> nn.Module:
    """Return the teacher: a U-Net on all five stages, as it need be neither small nor fast."""
    net: nn.Module = smp.Unet(
        "tu-tf_efficientnet_lite0",
        encoder_weights=None,
        encoder_depth=5,
        decoder_channels=(96, 64, 48, 32, 16),
        classes=len(COVERS),
    )
    load_encoder(net.encoder)  # type: ignore[arg-type]
    return net


def train_teacher(
    config: TaggerTraining, chips: Sequence[LabelChip], out: Path, *, resume: bool = False
) -> nn.Module:
    """Train the optical teacher on the chips that are not held out; sees images in [0, 1]."""
    seen = [chip for chip in chips if not chip.held_out]
    kinds = [[c for c in seen if c.source == kind] for kind in sorted({c.source for c in seen})]

    def draw(
        rng: np.random.Generator,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        pool = kinds[rng.integers(len(kinds))]
        chip = pool[rng.integers(len(pool))]
        turns, flip = int(rng.integers(4)), bool(rng.integers(2))
        image = turned(restretch(chip.image, rng), turns, flip)
        return image, turned(chip.tags[None], turns, flip)[0]

    torch.manual_seed(config.seed)
    weights = class_weights([chip.tags for chip in seen])
    step = TagStep(make_teacher(), config.teacher, weights, draw, config.seed)
    train_loop(step, step.rng, config.teacher, out / "teacher", resume=resume)
    return copy.deepcopy(step.average.net).eval()
