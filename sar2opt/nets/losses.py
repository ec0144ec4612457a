"""What the translator is trained to do, term by term."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

LOG_SCALE = (-6.0, 1.0)  # what a net may say of its error
CELL = 32  # pixels, over which texture is compared
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
    log_scale = log_scale.clamp(*LOG_SCALE)
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


def feature_matching(real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
    """Return the L1 distance of a discriminator's activations, scores aside (Wang et al. 2018)."""
    pairs = [
        (a.detach(), b)
        for own, other in zip(real, fake, strict=True)
        for a, b in zip(own[:-1], other[:-1], strict=True)
    ]
    return torch.stack([(a - b).abs().mean() for a, b in pairs]).mean()


def texture(
    features: Sequence[Tensor], targets: Sequence[Tensor], mask: Tensor, share: float = 1.0
) -> Tensor:
    """Return how far the local contrast of feature pyramids is from the target's, relative to it.

    A pixel-wise loss is least for a blurred mean. This one asks for ``share`` of the contrast that
    the target has around each place, not for the target's own pixels: a city grainy, a lake
    smooth. Contrast is the standard deviation of each channel over cells of ``CELL`` pixels, which
    overlap by half: the diagonal of a Gram matrix (Gatys et al. 2015), in its place. In channels
    that tell lines from grain a mesh, which gradients of pixels cannot tell from a city, is wrong.
    """
    total = torch.zeros((), device=mask.device)
    for own, target in zip(features, targets, strict=True):
        rows, cols = target.shape[-2:]
        level_mask = functional.adaptive_avg_pool2d(mask, (rows, cols))
        side = CELL * cols // mask.shape[-1]
        spread, wanted = (_spread(part, level_mask, side) for part in (own, target))
        wanted = share * wanted
        total = total + (spread - wanted).abs().mean() / wanted.mean().clamp(min=1e-4)
    return total / len(features)


def _spread(values: Tensor, mask: Tensor, side: int) -> Tensor:
    """Return the standard deviation ``(n, c, y', x')`` over cells where ``mask`` is one."""
    share = functional.avg_pool2d(mask, side, side // 2).clamp(min=1e-3)
    mean, square = (
        functional.avg_pool2d(part * mask, side, side // 2) / share
        for part in (values, values.square())
    )
    return torch.sqrt((square - mean.square()).clamp(min=0.0) + 1e-6)
