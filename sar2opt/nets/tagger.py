"""The tagger: one band of backscatter in, a score per land-cover class out."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from sar2opt.config import Settings
from sar2opt.nets.encoder import ENCODER_CHANNELS, Encoder
from sar2opt.raster import TAGS

CLASSES = TAGS
_LAST = 32  # channels at full resolution


class TaggerSettings(Settings):
    """Classes and width of the tagger; they travel with the weights."""

    classes: tuple[str, ...] = CLASSES
    channels_in: int = 1


class Tagger(nn.Module):
    """LinkNet on three stages of EfficientNet-lite0.

    Maps ``(n, 1, y, x)`` to logits ``(n, class, y, x)``; sides must be multiples of 8. LinkNet
    (Chaurasia and Culurciello 2017), because its light decoder keeps the margin under 48 pixels.
    Modules are named as in segmentation-models-pytorch.
    """

    def __init__(self, settings: TaggerSettings) -> None:
        super().__init__()
        self.bands_out = settings.classes
        self.net = _LinkNet(settings.channels_in, len(settings.classes))

    def forward(self, sar: Tensor) -> Tensor:
        logits: Tensor = self.net(sar)
        return logits


class _LinkNet(nn.Module):
    def __init__(self, channels_in: int, classes: int) -> None:
        super().__init__()
        self.encoder = Encoder(channels_in)
        self.decoder = _Decoder()
        self.segmentation_head = nn.Sequential(nn.Conv2d(_LAST, classes, 1))
        nn.init.xavier_uniform_(self.segmentation_head[0].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.segmentation_head(self.decoder(self.encoder(x)))
        return logits


class _Decoder(nn.Module):
    """Doubles the deepest features step by step, adding the encoder's features on the way."""

    def __init__(self) -> None:
        super().__init__()
        channels = (*reversed(ENCODER_CHANNELS), _LAST)
        self.blocks = nn.ModuleList(_DecoderBlock(*ends) for ends in pairwise(channels))

    def forward(self, features: list[Tensor]) -> Tensor:
        _, half, quarter, y = features
        for block, skip in zip(self.blocks, (quarter, half, None), strict=True):
            y = block(y) if skip is None else block(y) + skip
        return y


class _DecoderBlock(nn.Module):
    """Narrow to a quarter of the channels, double the sides, widen."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        narrow = channels_in // 4
        double = nn.ConvTranspose2d(narrow, narrow, 4, stride=2, padding=1)
        self.block = nn.Sequential(
            _norm_act(_pointwise(channels_in, narrow), narrow),
            _norm_act(double, narrow),
            _norm_act(_pointwise(narrow, channels_out), channels_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return y


def _norm_act(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _pointwise(channels_in: int, channels_out: int) -> nn.Conv2d:
    convolution = nn.Conv2d(channels_in, channels_out, 1, bias=False)
    nn.init.kaiming_uniform_(convolution.weight, nonlinearity="relu")
    return convolution
