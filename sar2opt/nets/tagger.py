"""The tagger: one band of backscatter in, a score per land-cover class out."""

from __future__ import annotations

from functools import partial
from typing import Literal

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from sar2opt.config import Settings
from sar2opt.nets.layers import ENCODER, ENCODER_STAGES, truncate_encoder
from sar2opt.raster import LAND_COVER, TAGS

CLASSES = TAGS
COVERS = LAND_COVER  # what an optical teacher can tell
WIDE = (128, 96, 64, 48, 32)  # channels of the U-Net's decoder


class TaggerSettings(Settings):
    """Classes and width of the tagger; they travel with the weights."""

    classes: tuple[str, ...] = CLASSES
    channels_in: int = 1
    decoder: Literal["linknet", "unet"] = "linknet"  # light, or wide: four times the work
    stages: int = ENCODER_STAGES  # of the encoder: each halves the grid and doubles the reach
    channels: tuple[int, ...] = ()  # of the U-Net's decoder, coarse to fine; none: those of WIDE


class Tagger(nn.Module):
    """LinkNet or U-Net of segmentation-models-pytorch on three stages of EfficientNet-lite0.

    Maps ``(n, channel, y, x)`` to logits ``(n, class, y, x)``; sides must be multiples of 8.
    LinkNet (Chaurasia and Culurciello 2017), because its light decoder keeps the margin under 48
    pixels; U-Net (Ronneberger et al. 2015) where the wider decoder earns its time.
    """

    def __init__(self, settings: TaggerSettings) -> None:
        super().__init__()
        self.bands_out = settings.classes
        wide = settings.channels or WIDE[len(WIDE) - settings.stages :]
        make = {"linknet": smp.Linknet, "unet": partial(smp.Unet, decoder_channels=wide)}
        self.net = make[settings.decoder](
            ENCODER,
            encoder_weights=None,
            encoder_depth=settings.stages,
            in_channels=settings.channels_in,
            classes=len(settings.classes),
        )
        truncate_encoder(self.net.encoder, settings.stages)

    def forward(self, sar: Tensor) -> Tensor:
        logits: Tensor = self.net(sar)
        return logits
