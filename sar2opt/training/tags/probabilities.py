"""Honest probabilities of classes: a temperature from held-out places, and how far off they are.

A tagger learns from crops in which rare classes are drawn more often and weigh more. Its scores
are divided by one number, fitted on validation places by maximum likelihood (Guo et al. 2017,
On Calibration of Modern Neural Networks), each source and label counting alike. Which class is the
likeliest stays: offsets that bring back the mixture of the places lose what is rare (tried).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from sar2opt.nets.tagger import CLASSES
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.pairs.pair import Image
from sar2opt.training.tags.weak_labels import WeakPair

MOST, SHARE = 400, 60  # pixels of a pair: at least so many, or one in so many
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
    weak = [item for item in weak if (item.tags < len(CLASSES)).any()]
    if not weak:
        nothing = torch.zeros(0, dtype=torch.float64)
        return Pixels(nothing[:, None].expand(0, len(CLASSES)), nothing.long(), nothing)
    for item in weak:
        known = np.flatnonzero(item.tags < len(CLASSES))
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


def fit_temperature(pixels: Pixels) -> float:
    """Return the number to divide scores by: of 60 from 0.5 to 4, the most likely; 1 for none."""
    if not len(pixels.truth):
        return 1.0

    def loss(temperature: float) -> float:
        scaled = pixels.logits / temperature
        each = functional.cross_entropy(scaled, pixels.truth, reduction="none")
        return float((each * pixels.weight).sum())

    return round(float(min(np.geomspace(0.5, 4.0, 60), key=loss)), 3)


def calibration_error(pixels: Pixels, temperature: float) -> float:
    """Return the expected calibration error: |right - sure|, by tenths of how sure the net is."""
    sure, given = torch.softmax(pixels.logits / temperature, dim=1).max(dim=1)
    bins = (sure * BINS).long().clamp(max=BINS - 1)
    gap = ((given == pixels.truth).double() - sure) * pixels.weight
    return float(torch.zeros(BINS, dtype=torch.float64).index_add(0, bins, gap).abs().sum())
