"""Baselines that every table shows: without them, its figures mislead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sar2opt.errors import PairsError
from sar2opt.sar.normalise import DARKEST, NormalisationSettings
from sar2opt.training.judging.methods import Method
from sar2opt.training.judging.metrics import luminance
from sar2opt.training.pairs.pair import Image, Look, Pair, split_of

MEAN_COLOUR, MATCHED_SAR, SAR_AS_GREY = "mean colour", "matched SAR", "SAR as grey"
QUANTILES = np.linspace(0, 1, 257)
SAMPLES = 100_000  # pixels of each source that a baseline is fitted on


def baselines(pairs: Sequence[Pair], look: Look, norm: NormalisationSettings) -> dict[str, Method]:
    """Return the baselines of a look, fitted on the training places of ``pairs``.

    Raises ``PairsError`` where there are none of this look.
    """
    sar, targets = _samples(split_of(pairs, "train"), look, norm)
    return {
        MEAN_COLOUR: mean_colour(targets),
        MATCHED_SAR: matched_sar(sar, targets),
        SAR_AS_GREY: sar_as_grey(norm),
    }


def mean_colour(targets: Image) -> Method:
    """Return a method that paints the mean of the targets ``(band, n)`` everywhere.

    It scores well on PSNR and SSIM and looks like nothing.
    """
    colour = targets.mean(axis=1)[:, None, None]
    return lambda sar: np.broadcast_to(colour, (len(colour), *sar.shape)).astype(np.float32)


def matched_sar(sar: Image, targets: Image) -> Method:
    """Return a method that gives SAR ``(n,)`` the histogram of each band of ``(band, n)``."""
    levels = np.quantile(sar, QUANTILES)
    bands = [np.quantile(band, QUANTILES) for band in targets]
    return lambda image: np.stack(
        [np.interp(np.nan_to_num(image), levels, band) for band in bands]
    ).astype(np.float32)


def sar_as_grey(norm: NormalisationSettings) -> Method:
    """Return a method that shows the backscatter itself, as the products do."""

    def show(sar: Image) -> Image:
        grey = (np.nan_to_num(sar, nan=DARKEST) - DARKEST) / (norm.high - DARKEST)
        clipped: Image = np.clip(grey, 0.0, 1.0).astype(np.float32)[None]
        return clipped

    return show


def target_of(pair: Pair, look: Look, window: tuple[slice, slice] | None = None) -> Image:
    """Return what a method of this look should have painted; luminance for the grey look."""
    image = pair.image(window) if window else pair.image()
    return luminance(image) if look == "grey" else image


def serves(pair: Pair, look: Look) -> bool:
    """Return whether a pair says what a look should be: natural pairs do of grey too."""
    return pair.look == look or (look == "grey" and pair.look == "natural")


def _samples(train: Sequence[Pair], look: Look, norm: NormalisationSettings) -> tuple[Image, Image]:
    """Return pixels ``(n,)`` and ``(band, n)`` where both are known; sources weigh the same."""
    rng = np.random.default_rng(0)
    sar, targets = [], []
    for source in sorted({pair.source for pair in train if serves(pair, look)}):
        own = [pair for pair in train if pair.source == source and serves(pair, look)]
        known = [_known(pair, look, norm) for pair in own]
        values = np.concatenate([value for value, _ in known])
        colours = np.concatenate([colour for _, colour in known], axis=1)
        if values.size:
            drawn = rng.integers(values.size, size=SAMPLES)
            sar.append(values[drawn])
            targets.append(colours[:, drawn])
    if not sar:
        raise PairsError(f"no training pairs of the look {look!r}: baselines are fitted on them")
    return np.concatenate(sar), np.concatenate(targets, axis=1)


def _known(pair: Pair, look: Look, norm: NormalisationSettings) -> tuple[Image, Image]:
    sar, target = pair.sar(norm)[::8, ::8], target_of(pair, look)[:, ::8, ::8]
    valid = np.isfinite(sar)
    return sar[valid], target[:, valid]
