"""The optical teacher says whether a generated image shows the same land cover."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sar2opt.errors import ModelError
from sar2opt.training.judging.evaluate import with_teacher
from sar2opt.training.judging.features import Perception
from sar2opt.training.judging.semantics import (
    STRIDE,
    agreement,
    agreement_of,
    load_teacher,
    save_teacher,
    tags_of,
)

VALID = np.ones((50, 70), bool)


class Brightest(nn.Module):
    """A teacher that tags a pixel by its brightest colour, and wants whole strides."""

    def forward(self, image: Tensor) -> Tensor:
        assert image.shape[-2] % STRIDE == image.shape[-1] % STRIDE == 0
        return image


def striped(*colours: int) -> np.ndarray:
    """Return upright stripes of full red (0), green (1) or blue (2)."""
    image = np.zeros((3, 50, 70), np.float32)
    for number, colour in enumerate(colours):
        width = 70 // len(colours)
        image[colour, :, number * width : (number + 1) * width] = 1.0
    return image


def test_agreement_is_the_share_of_pixels_tagged_alike() -> None:
    same = agreement_of(Brightest())
    assert same(striped(0, 1), 0.5 * striped(0, 1), VALID) == 1.0
    assert same(striped(0, 1), striped(0, 2), VALID) == 0.5
    left = VALID.copy()
    left[:, 35:] = False
    assert same(striped(0, 1), striped(0, 2), left) == 1.0
    assert tags_of(Brightest(), striped(2), VALID).shape == VALID.shape
    assert np.isnan(agreement(np.zeros((2, 2), int), np.zeros((2, 2), int), np.zeros((2, 2), bool)))


def test_only_natural_colour_is_shown_to_the_teacher() -> None:
    assert set(with_teacher(Perception(), Brightest(), "natural").compare) == {"agreement"}
    assert not with_teacher(Perception(), Brightest(), "vivid").compare
    assert not with_teacher(Perception(), None, "natural").compare


def test_a_teacher_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    from sar2opt.training.tags.teacher import make_teacher

    torch.manual_seed(0)
    net = make_teacher().eval().to(memory_format=torch.channels_last)  # as it is trained
    save_teacher(net, tmp_path / "teacher.safetensors")
    again = load_teacher(tmp_path / "teacher.safetensors").state_dict()
    assert all(torch.equal(again[name], value) for name, value in net.state_dict().items())


def test_what_is_no_teacher_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="not the weights of the land-cover teacher"):
        load_teacher(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="not the weights"):
        load_teacher(path)
    with pytest.raises(ModelError, match="not the weights"):
        load_teacher(tmp_path / "missing.safetensors")
