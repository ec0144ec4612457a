"""Does a generated image show the same land cover? As a fixed optical teacher sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from sar2opt.errors import ModelError
from sar2opt.training.judging.features import Compare, to_tensor
from sar2opt.training.judging.metrics import Mask
from sar2opt.training.pairs.pair import Image

STRIDE = 32  # of the teacher
AGREEMENT = "agreement"
NATURAL_ONLY = "the teacher knows natural colour only"
NO_TEACHER = "no --teacher was given"


def save_teacher(teacher: nn.Module, path: Path) -> None:
    """Write the weights of the teacher, for ``load_teacher``."""
    save_file({name: value.contiguous() for name, value in teacher.state_dict().items()}, path)


def load_teacher(path: Path) -> nn.Module:
    """Return the optical land-cover teacher with the weights of ``path``; raises ``ModelError``.

    The file is one of ``save_teacher``; the net is that of ``training.tagger.make_teacher``.
    """
    from sar2opt.training.tags.teacher import (
        make_teacher,  # builds a net: only where there is a teacher
    )

    net = make_teacher()
    try:
        net.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: not the weights of the land-cover teacher: {reason}") from error
    return net.eval().requires_grad_(False)


def agreement_of(teacher: nn.Module) -> Compare:
    """Return the figure: the share of valid pixels that the teacher tags alike in both images."""

    def compare(output: Image, target: Image, valid: Mask) -> float:
        return agreement(tags_of(teacher, output, valid), tags_of(teacher, target, valid), valid)

    return compare


def tags_of(teacher: nn.Module, image: Image, valid: Mask) -> npt.NDArray[np.integer]:
    """Return the most likely class of each pixel ``(y, x)`` of an image in [0, 1]."""
    rows, cols = valid.shape
    pads = (0, -cols % STRIDE, 0, -rows % STRIDE)
    padded = nn.functional.pad(to_tensor(image, valid), pads, mode="replicate")
    with torch.inference_mode():
        tags: npt.NDArray[np.integer] = teacher(padded).argmax(dim=1)[0, :rows, :cols].numpy()
    return tags


def agreement(ours: npt.NDArray[np.integer], theirs: npt.NDArray[np.integer], valid: Mask) -> float:
    """Return the share of valid pixels with the same tag; NaN where there are none."""
    return float((ours == theirs)[valid].mean()) if valid.any() else np.nan
