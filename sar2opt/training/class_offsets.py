"""Honest probabilities of classes: an offset for each and one temperature, from held-out places.

A tagger learns from crops in which rare classes are drawn more often and weigh more, so that its
scores speak of that mixture. On the validation places, each source and label counting alike, one
offset a class and a temperature are fitted by maximum likelihood (vector scaling with a scalar
scale: Guo et al. 2017, On Calibration of Modern Neural Networks); the offsets go into the net.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from sar2opt.nets.tagger import Tagger
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.labels import IGNORE
from sar2opt.training.pairs import Image
from sar2opt.training.tagger import WeakPair

MOST, SHARE = 400, 60  # pixels of a pair: at least so many, or one in so many
PRIOR = 1e-3  # weight of small offsets, for classes that validation does not show
BINS = 10


@dataclass(frozen=True)
class Pixels:
    """Scores ``(n, class)``, true codes ``(n,)`` and weights ``(n,)`` that sum to 1."""

    logits: torch.Tensor
    truth: torch.Tensor
    weight: torch.Tensor


def draw_pixels(
    scores: Callable[[Image], Image], weak: Sequence[WeakPair], norm: NormalisationSettings
) -> Pixels:
    """Draw labelled pixels of pairs, each source, and each label of whole chips, weighing alike."""
    rng, logits, truth, groups = np.random.default_rng(0), [], [], []
    for item in weak:
        known = np.flatnonzero(item.tags != IGNORE)
        some = rng.choice(known, min(known.size, max(MOST, known.size // SHARE)), replace=False)
        output = scores(item.pair.sar(norm))
        logits.append(output.reshape(len(output), -1)[:, some].T)
        truth.append(item.tags.ravel()[some])
        groups += [f"{item.pair.source}/{item.pair.label}"] * some.size
    _, group, count = np.unique(groups, return_inverse=True, return_counts=True)
    weight = 1.0 / count[group] / count.size
    return Pixels(
        torch.from_numpy(np.concatenate(logits)).double(),
        torch.from_numpy(np.concatenate(truth)).long(),
        torch.from_numpy(weight),
    )


def fit_offsets(pixels: Pixels) -> tuple[npt.NDArray[np.float64], float]:
    """Return what to add to the scores, ``(class,)``, and the temperature to divide them by."""
    offset = torch.zeros(pixels.logits.shape[1], dtype=torch.float64, requires_grad=True)
    scale = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([offset, scale], max_iter=200)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        scaled = pixels.logits * scale.exp() + offset
        each = functional.cross_entropy(scaled, pixels.truth, reduction="none")
        total = (each * pixels.weight).sum() + PRIOR * (offset**2).sum()
        total.backward()
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    temperature = float((-scale).exp().detach())
    added = (offset.detach() - offset.detach().mean()).numpy() * temperature
    return added, round(temperature, 3)


def add_offsets(net: Tagger, offsets: npt.NDArray[np.float64]) -> None:
    """Add offsets ``(class,)`` to the scores of a net, in place."""
    head = net.net.segmentation_head[0]
    assert isinstance(head, nn.Conv2d)
    assert head.bias is not None
    with torch.no_grad():
        head.bias += torch.from_numpy(offsets).float()


def calibration_error(pixels: Pixels, temperature: float) -> float:
    """Return the expected calibration error: |right - sure|, by tenths of how sure the net is."""
    sure, given = torch.softmax(pixels.logits / temperature, dim=1).max(dim=1)
    bins = (sure * BINS).long().clamp(max=BINS - 1)
    gap = ((given == pixels.truth).double() - sure) * pixels.weight
    return float(torch.zeros(BINS, dtype=torch.float64).index_add(0, bins, gap).abs().sum())
