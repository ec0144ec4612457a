"""The generator: one band of backscatter in; three looks and their uncertainties out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sar2opt.config import Settings
from sar2opt.nets.layers import ENCODER_CHANNELS, ConvNormAct, make_encoder

LOOK_BANDS = {
    "natural": ("red", "green", "blue"),
    "vivid": ("vivid_red", "vivid_green", "vivid_blue"),
    "grey": ("grey",),
}
SCALE_BANDS = {look: f"{look}_scale" for look in LOOK_BANDS}


class GeneratorSettings(Settings):
    """Widths of the generator; they travel with the weights."""

    channels_in: int = 1
    eighth: int = 160  # decoder channels at stride 8, mixed by a 1 x 1 convolution
    quarter: int = 96  # decoder channels at stride 4
    half: int = 64  # decoder channels at stride 2
    full: int = 16  # channels at full resolution, where each costs most


class Generator(nn.Module):
    """U-Net on three stages of EfficientNet-lite0, with the work kept off full resolution.

    One convolution a level keeps the margin at 48 pixels, so that blocks of 1024 pixels compute
    less than 1.2 times what they deliver. All looks share one trunk, so that a look learns from
    the pairs of the others; each has bands and a scale of its own in the last convolution.

    Maps normalised backscatter ``(n, 1, y, x)`` to ``(n, band, y, x)`` in the order of
    ``bands_out``: the bands of the looks in [0, 1], then for each look the logarithm of the
    expected absolute error (a Laplace scale). Sides must be multiples of 8. After Isola et al.
    2017 (pix2pix) and Ronneberger et al. 2015 (U-Net).
    """

    bands_out = (*(band for bands in LOOK_BANDS.values() for band in bands), *SCALE_BANDS.values())

    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        half, quarter, eighth = ENCODER_CHANNELS
        self.encoder = make_encoder(settings.channels_in)
        self.at_eighth = ConvNormAct(eighth, settings.eighth, kernel=1)
        self.at_quarter = ConvNormAct(settings.eighth + quarter, settings.quarter)
        self.at_half = ConvNormAct(settings.quarter + half, settings.half)
        self.lift = nn.Conv2d(settings.half, 4 * settings.full, 1)
        self.at_full = ConvNormAct(settings.full + settings.channels_in, settings.full)
        self.head = nn.Conv2d(settings.full, len(self.bands_out), 3, padding=1)

    def forward(self, sar: Tensor) -> Tensor:
        _, half, quarter, eighth = self.encoder(sar)
        y = _double(self.at_eighth(eighth))  # (n, eighth, y/4, x/4)
        y = _double(self.at_quarter(torch.cat([y, quarter], dim=1)))  # (n, quarter, y/2, x/2)
        y = self.at_half(torch.cat([y, half], dim=1))  # (n, half, y/2, x/2)
        y = functional.relu(functional.pixel_shuffle(self.lift(y), 2))  # (n, full, y, x)
        y = self.head(self.at_full(torch.cat([y, sar], dim=1)))  # (n, band, y, x)
        scales = len(SCALE_BANDS)
        return torch.cat([torch.sigmoid(y[:, :-scales]), y[:, -scales:]], dim=1)


def _double(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")
