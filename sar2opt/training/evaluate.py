"""Held-out figures, always beside baselines, in one table."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn

from sar2opt.nets.losses import LUMINANCE
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.data import BLOCK, GUARD, Pair, Split, normalise_db, toned

Image = npt.NDArray[np.float32]
Tones = dict[str, tuple[tuple[float, float], ...]]
Method = Callable[[Image], Image]  # normalised SAR (y, x), NaN is no data -> (3 or more, y, x)
QUANTILES = np.linspace(0, 1, 257)


def split_of(pairs: Sequence[Pair], split: Split) -> list[Pair]:
    """Return the pairs whose places belong to ``split``."""
    return [pair for pair in pairs if pair.split == split]


def net_method(net: nn.Module) -> Method:
    """Return the net as a function of one normalised SAR image; sides are padded to the stride."""

    def predict(sar: Image) -> Image:
        pads = [(0, -size % 8) for size in sar.shape]
        padded = np.pad(np.nan_to_num(sar, nan=0.0), pads)
        with torch.inference_mode():
            output = net(torch.from_numpy(padded[None, None]))[0].numpy()
        cut: Image = output[:, : sar.shape[0], : sar.shape[1]]
        return cut

    return predict


def mean_colour(train: Sequence[Pair], tones: Tones) -> Method:
    """Baseline: the mean colour of the training targets everywhere.

    It scores well on PSNR and SSIM and looks like nothing.
    """
    colour = _targets(train, tones).mean(axis=1)
    return lambda sar: np.broadcast_to(colour[:, None, None], (3, *sar.shape)).astype(np.float32)


def matched_sar(train: Sequence[Pair], tones: Tones, norm: NormalisationSettings) -> Method:
    """Baseline: the SAR image with its histogram matched to each band of the training targets."""
    colour = [pair for pair in train if pair.optical.shape[0] == 3]
    sar = np.concatenate([_sar(pair, norm)[::8, ::8].ravel() for pair in colour])
    source = np.quantile(sar[np.isfinite(sar)], QUANTILES)
    targets = [np.quantile(band, QUANTILES) for band in _targets(train, tones)]
    return lambda sar: np.stack(
        [np.interp(np.nan_to_num(sar), source, target) for target in targets]
    ).astype(np.float32)


def judge(
    method: Method, pairs: Sequence[Pair], tones: Tones, norm: NormalisationSettings
) -> dict[str, float]:
    """Return figures per image, then averaged; grey targets are judged on luminance.

    PSNR (dB), SSIM (Wang et al. 2004, Gaussian window) and MAE on images in [0, 1]; ``layout``,
    Pearson's r after averaging 8 x 8 pixels, over the bands (luminance where only that exists),
    and ``layout_g_r`` of green minus red: is the colour in the right place, whatever its tone.
    """
    rows = []
    for pair in pairs:
        target = toned(pair.optical, tones[pair.source])
        output = method(_sar(pair, norm))[:3]
        if target.shape[0] == 1:
            output = np.tensordot(np.array(LUMINANCE, np.float32), output, axes=1)[None]
        inner = GUARD if min(pair.decibel.shape) >= BLOCK else 0
        cut = (slice(None), slice(inner, -inner or None), slice(inner, -inner or None))
        rows.append(_figures(output[cut], target[cut]))
    names = sorted({name for row in rows for name in row})
    return {
        name: round(float(np.nanmean([row.get(name, np.nan) for row in rows])), 4) for name in names
    }


def fit_trust_gain(
    method: Method, pairs: Sequence[Pair], tones: Tones, norm: NormalisationSettings
) -> float:
    """Return what the predicted Laplace scale must be multiplied by to fit the errors."""
    errors, scales = _errors(method, pairs, tones, norm)
    return round(float(errors.mean() / scales.mean()), 4)


def judge_trust(
    method: Method,
    pairs: Sequence[Pair],
    tones: Tones,
    norm: NormalisationSettings,
    gain: float,
    tolerance: float,
) -> dict[str, dict[str, float]]:
    """Return, for each fifth of the predicted trust, how often the error was below tolerance."""
    errors, scales = _errors(method, pairs, tones, norm)
    trust = 1.0 - np.exp(-tolerance / (gain * scales))
    edges = np.quantile(trust, np.linspace(0, 1, 6))
    rows = {}
    for number, (low, high) in enumerate(itertools.pairwise(edges), 1):
        inside = (trust >= low) & (trust <= high)
        rows[f"fifth {number}"] = {
            "predicted": round(float(trust[inside].mean()), 3),
            "observed": round(float((errors[inside] < tolerance).mean()), 3),
        }
    return rows


def _errors(
    method: Method, pairs: Sequence[Pair], tones: Tones, norm: NormalisationSettings
) -> tuple[Image, Image]:
    errors, scales = [], []
    for pair in pairs:
        if pair.optical.shape[0] == 3:
            sar = _sar(pair, norm)
            output, valid = method(sar), np.isfinite(sar)
            error = np.abs(output[:3] - toned(pair.optical, tones[pair.source])).mean(axis=0)
            errors.append(error[valid][::7])
            scales.append(np.exp(np.clip(output[3], -6.0, 1.0))[valid][::7])
    return np.concatenate(errors), np.concatenate(scales)


def _figures(output: Image, target: Image) -> dict[str, float]:
    small, small_target = _averaged(output), _averaged(target)
    figures = {
        "psnr": float(peak_signal_noise_ratio(target, output, data_range=1.0)),
        "ssim": float(
            structural_similarity(
                target, output, channel_axis=0, data_range=1.0,
                gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
            )
        ),
        "mae": float(np.abs(output - target).mean()),
        "layout": float(np.mean([_r(a, b) for a, b in zip(small, small_target, strict=True)])),
    }  # fmt: skip
    if len(target) == 3:
        figures["layout_g_r"] = _r(small[1] - small[0], small_target[1] - small_target[0])
    return figures


def _averaged(image: Image) -> Image:
    bands, rows, cols = image.shape
    cells = image[:, : rows // 8 * 8, : cols // 8 * 8].reshape(bands, rows // 8, 8, cols // 8, 8)
    averaged: Image = cells.mean(axis=(2, 4))
    return averaged


def _r(a: Image, b: Image) -> float:
    if a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def _sar(pair: Pair, norm: NormalisationSettings) -> Image:
    return normalise_db(pair.decibel, pair.levels[0], norm)


def _targets(train: Sequence[Pair], tones: Tones) -> Image:
    """Return the pixels of the colour targets, ``(3, n)``, thinned."""
    return np.concatenate(
        [
            toned(pair.optical[:, ::8, ::8], tones[pair.source]).reshape(3, -1)
            for pair in train
            if pair.optical.shape[0] == 3
        ],
        axis=1,
    )
