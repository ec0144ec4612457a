"""What the translator is trained to do, term by term."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

LOG_SCALE = (-6.0, 1.0)  # what a net may say of its error
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
    image: Tensor, target: Tensor, mask: Tensor, share: float = 1.0, cell: int = 16
) -> Tensor:
    """Return how far the local strength of gradients is from the target's, relative to the mean.

    A pixel-wise loss is least for a blurred mean. This one asks for ``share`` of the contrast that
    the target has around each place, not for the target's own pixels: a city grainy, a lake
    smooth. Strength is averaged over cells of ``cell`` pixels, which overlap by half. It is that of
    images averaged over 2 x 2 pixels, where a checkerboard, the cheapest grain of all for a net
    that upsamples, has none.
    """
    half = functional.avg_pool2d(mask, 2)[..., 1:, 1:]
    own, wanted = (
        functional.avg_pool2d(
            _gradient(functional.avg_pool2d(part, 2)) * half, cell // 2, cell // 4
        )
        for part in (image, target)
    )
    wanted = share * wanted
    return (own - wanted).abs().mean() / wanted.mean().clamp(min=1e-4)


def _gradient(image: Tensor) -> Tensor:
    """Return the magnitude of the gradient ``(n, c, y - 1, x - 1)``, by forward differences."""
    here = image[..., 1:, 1:]
    down, right = here - image[..., :-1, 1:], here - image[..., 1:, :-1]
    return torch.sqrt(down.square() + right.square() + 1e-8)
