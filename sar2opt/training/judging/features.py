"""Distances as nets see them: in the features of the pretrained encoder, and published ones.

The encoder is EfficientNet-lite0 with ImageNet weights (``training.pretrained``), so the
distances are called after it: they are neither LPIPS nor FID, and no figure of another table can
be compared with them. LPIPS, DISTS and FID themselves come from torchmetrics where it and their
weights are on the machine; nothing is ever downloaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from sar2opt.training.judging.metrics import Mask
from sar2opt.training.pairs.pair import Image
from sar2opt.training.pretrained import PerceptualFeatures

Embedded = npt.NDArray[np.float64]  # (window, feature)
Compare = Callable[[Image, Image, Mask], float]  # output, target, valid -> distance of one image
Embed = Callable[[Image, Mask], Embedded]

LITE0_DISTANCE, LITE0_FRECHET = "lite0_perceptual", "lite0_frechet"
WINDOW = 64  # pixels; the encoder's features are averaged over windows of this side
INCEPTION_WINDOW = 256  # pixels; Inception scales what it gets to 299
MOST = 64  # windows of one image: a block of a scene must not outvote all chips
LEAST = 160  # windows: twice as many as the encoder has features
STRIDE = 8  # of the deepest features
WEIGHTS = {
    "LPIPS": "alexnet-owt-7be5be79.pth",
    "DISTS": "vgg16-397923af.pth",
    "FID": "weights-inception-2015-12-05-6726825d.pth",
}  # as torchvision and torch-fidelity name them in the checkpoints of the torch hub


@dataclass(frozen=True)
class Perception:
    """Figures of one image by name, embeddings of many by name, and why others are missing."""

    compare: Mapping[str, Compare] = field(default_factory=dict)
    embed: Mapping[str, Embed] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)


def load_perception() -> Perception:
    """Return all that the machine has; raises ``ModelError`` without the encoder's weights."""
    encoder = EncoderEye()
    compare: dict[str, Compare] = {LITE0_DISTANCE: encoder.distance}
    embed: dict[str, Embed] = {LITE0_FRECHET: encoder.embed}
    skipped: dict[str, str] = {}
    for name in WEIGHTS:
        reason = why_missing(name)
        if reason:
            skipped[name] = reason
        elif name == "FID":
            embed["fid"] = _inception()
        else:
            compare[name.lower()] = _lpips() if name == "LPIPS" else _dists()
    return Perception(compare, embed, skipped)


class EncoderEye:
    """The first three stages of EfficientNet-lite0 as a judge of images in [0, 1]."""

    def __init__(self) -> None:
        self.net = PerceptualFeatures().to(memory_format=torch.channels_last)

    def distance(self, output: Image, target: Image, valid: Mask) -> float:
        """Return the perceptual distance in the features of EfficientNet-lite0.

        As LPIPS without learned weights (Zhang et al. 2018): features of unit length over the
        channels at each pixel of a level, squared distance, mean over pixels, mean over levels.
        """
        known = torch.from_numpy(valid[None, None].astype(np.float32))
        levels = []
        for ours, theirs in zip(self._look(output, valid), self._look(target, valid), strict=True):
            rows, cols = ours.shape[-2:]
            weight = functional.adaptive_avg_pool2d(known, (rows, cols))
            apart = (functional.normalize(ours) - functional.normalize(theirs)).square().sum(dim=1)
            levels.append(float((apart * weight[:, 0]).sum() / weight.sum().clamp(min=1e-6)))
        return float(np.mean(levels)) if valid.any() else np.nan

    def embed(self, image: Image, valid: Mask) -> Embedded:
        """Return the mean features of all levels by window of 64 x 64 pixels, ``(window, 80)``."""
        side = min(WINDOW, *(size // STRIDE * STRIDE for size in valid.shape))
        if side == 0:
            return np.zeros((0, 0))
        rows, cols = (size // side * side for size in valid.shape)
        image, valid = image[:, :rows, :cols], valid[:rows, :cols]  # whole windows
        levels = [
            functional.avg_pool2d(level, side >> depth)
            for depth, level in enumerate(self._look(image, valid), 1)
        ]
        means = torch.cat(levels, dim=1)[0].flatten(1).T  # (window, feature)
        full = valid.reshape(rows // side, side, cols // side, side).all(axis=(1, 3))
        return thinned(means.double().numpy()[full.ravel()])

    def _look(self, image: Image, valid: Mask) -> list[Tensor]:
        with torch.inference_mode():
            batch = to_tensor(image, valid).contiguous(memory_format=torch.channels_last)
            return list(self.net(batch))


def frechet_distance(ours: Embedded, theirs: Embedded) -> float:
    """Return the Frechet distance of two normal distributions fitted to ``(n, feature)``.

    Dowson and Landau 1982; in Inception's features it is FID (Heusel et al. 2017). NaN with
    fewer than 160 samples, where covariances mean little.
    """
    if min(len(ours), len(theirs)) < LEAST:
        return np.nan
    shift = np.square(ours.mean(axis=0) - theirs.mean(axis=0)).sum()
    own, other = np.cov(ours, rowvar=False), np.cov(theirs, rowvar=False)
    # the eigenvalues of a product of two covariances are real and not negative
    roots = np.sqrt(np.maximum(np.linalg.eigvals(own @ other).real, 0.0)).sum()
    return float(max(shift + np.trace(own) + np.trace(other) - 2.0 * roots, 0.0))


def why_missing(name: str) -> str:
    """Return why LPIPS, DISTS or FID cannot be had on this machine; empty where it can."""
    needed = ("torchmetrics", "torch_fidelity") if name == "FID" else ("torchmetrics",)
    for package in needed:
        try:
            importlib.import_module(package)
        except ImportError:
            return f"{package} is not installed"
    if not weights_file(name).is_file():
        return f"its weights are not on this machine ({WEIGHTS[name]}), and are not downloaded"
    return ""


def weights_file(name: str) -> Path:
    """Return where the weights of LPIPS, DISTS or FID would lie."""
    return Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS[name]


def to_tensor(image: Image, valid: Mask) -> Tensor:
    """Return ``(1, 3, y, x)`` in [0, 1]: grey in all three bands, mid-grey for no data."""
    filled = np.where(valid, image, np.float32(0.5))
    return torch.from_numpy(np.broadcast_to(filled, (3, *valid.shape)).copy())[None]


def thinned(embedded: Embedded) -> Embedded:
    """Return at most 64 of the windows, evenly spread."""
    if len(embedded) <= MOST:
        return embedded
    chosen: Embedded = embedded[np.linspace(0, len(embedded) - 1, MOST).round().astype(int)]
    return chosen


def _lpips() -> Compare:
    module: Any = importlib.import_module("torchmetrics.image.lpip")
    net = module.LearnedPerceptualImagePatchSimilarity(net_type="alex").eval()
    return _paired(lambda ours, theirs: net(2.0 * ours - 1.0, 2.0 * theirs - 1.0))  # [-1, 1]


def _dists() -> Compare:
    module: Any = importlib.import_module("torchmetrics.image.dists")
    net = module.DeepImageStructureAndTextureSimilarity().eval()
    return _paired(net)


def _paired(distance: Callable[[Tensor, Tensor], Tensor]) -> Compare:
    def compare(output: Image, target: Image, valid: Mask) -> float:
        with torch.inference_mode():
            return float(distance(to_tensor(output, valid), to_tensor(target, valid)))

    return compare


def _inception() -> Embed:
    module: Any = importlib.import_module("torchmetrics.image.fid")
    net = module.FrechetInceptionDistance(feature=2048).inception.eval()

    def embed(image: Image, valid: Mask) -> Embedded:
        side = min(INCEPTION_WINDOW, *valid.shape)
        windows = [
            to_tensor(image[:, y : y + side, x : x + side], valid[y : y + side, x : x + side])
            for y in range(0, valid.shape[0] - side + 1, side)
            for x in range(0, valid.shape[1] - side + 1, side)
            if valid[y : y + side, x : x + side].all()
        ]
        if not windows:
            return np.zeros((0, 0))
        bytes_ = [(255.0 * window.clamp(0.0, 1.0)).round().byte() for window in windows]
        with torch.inference_mode():
            found: Tensor = torch.cat([net(window) for window in bytes_])
            return found.double().numpy()

    return embed
