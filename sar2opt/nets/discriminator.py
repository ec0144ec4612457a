"""The discriminator: does this patch look like the optical image of this backscatter?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """PatchGAN (Isola et al. 2017) with spectral norm (Miyato et al. 2018) and no tile statistics.

    Maps backscatter ``(n, 1, y, x)`` and imagery ``(n, 3, y, x)`` to scores ``(n, 1, y/8, x/8)``,
    each for a patch of 38 pixels.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 4
        for step in range(3):
            layers += [
                spectral_norm(nn.Conv2d(channels, width << step, 4, stride=2, padding=1)),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            channels = width << step
        layers.append(spectral_norm(nn.Conv2d(channels, 1, 3, padding=1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, sar: Tensor, image: Tensor) -> Tensor:
        scores: Tensor = self.layers(torch.cat([sar, image], dim=1))
        return scores
