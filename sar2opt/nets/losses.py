"""What the translator is trained to do, term by term."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def luminance(image: Tensor) -> Tensor:
    """Return the luminance ``(n, 1, y, x)`` of imagery ``(n, 3, y, x)``."""
    weights = torch.tensor(LUMINANCE, dtype=image.dtype, device=image.device)
    return (image * weights[:, None, None]).sum(dim=1, keepdim=True)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of ``(n, c, y, x)`` where ``mask`` ``(n, 1, y, x)`` is one."""
    return (values * mask).sum() / (mask.sum() * values.shape[1]).clamp(min=1.0)


def laplace_nll(error: Tensor, log_scale: Tensor, mask: Tensor) -> Tensor:
    """Return the Laplace negative log-likelihood of an absolute error, per pixel, averaged.

    The error is detached: learning how wrong the picture is must not change the picture
    (Seitzer et al. 2022 on the pitfalls of joint training).
    """
    log_scale = log_scale.clamp(-6.0, 1.0)
    return masked_mean(error.detach() * torch.exp(-log_scale) + log_scale, mask)


def perceptual(features: Sequence[Tensor], targets: Sequence[Tensor], mask: Tensor) -> Tensor:
    """Return the L1 distance of two feature pyramids, each level scaled by its own magnitude."""
    total = torch.zeros((), device=mask.device)
    for own, target in zip(features, targets, strict=True):
        rows, cols = own.shape[-2:]
        level_mask = functional.adaptive_avg_pool2d(mask, (rows, cols))
        scale = target.abs().mean().clamp(min=1e-6)
        total = total + masked_mean((own - target).abs(), level_mask) / scale
    return total / len(features)


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Return the hinge loss of the discriminator (Lim and Ye 2017)."""
    return functional.relu(1.0 - real).mean() + functional.relu(1.0 + fake).mean()
