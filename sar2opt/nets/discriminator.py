"""The discriminator: does this patch look like the optical image of this backscatter?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """PatchGAN (Isola et al. 2017) with spectral norm (Miyato et al. 2018) and no tile statistics.

    Maps ``(n, channels_in, y, x)`` to the activations of its layers; the last are the scores
    ``(n, 1, y/8, x/8)``, each for a patch of 38 pixels.
    """

    def __init__(self, channels_in: int = 4, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = channels_in
        for step in range(3):
            convolution = nn.Conv2d(channels, width << step, 4, stride=2, padding=1)
            layers.append(nn.Sequential(spectral_norm(convolution), nn.LeakyReLU(0.2)))
            channels = width << step
        layers.append(spectral_norm(nn.Conv2d(channels, 1, 3, padding=1)))
        self.layers = nn.ModuleList(layers)

    def forward(self, images: Tensor) -> list[Tensor]:
        activations = []
        for layer in self.layers:
            images = layer(images)
            activations.append(images)
        return activations


class MultiScaleDiscriminator(nn.Module):
    """The same patch of pixels, judged at full and at half resolution (Wang et al. 2018).

    Returns the activations of a ``PatchDiscriminator`` for each scale.
    """

    def __init__(self, channels_in: int = 4, width: int = 32, scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(channels_in, width) for _ in range(scales))

    def forward(self, images: Tensor) -> list[list[Tensor]]:
        found = []
        for net in self.scales:
            found.append(net(images))
            images = functional.avg_pool2d(images, 2)
        return found


def scores_of(activations: list[list[Tensor]]) -> Tensor:
    """Return all patch scores of all scales, flat."""
    return torch.cat([scale[-1].flatten() for scale in activations])
