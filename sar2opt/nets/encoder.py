"""The encoder of both nets: the first three stages of EfficientNet-lite0.

Written out, though timm has it, so that who runs a net need not install and load a library of
hundreds. Modules are named as in timm, and weights fit both ways; a test holds the two together.
"""

from __future__ import annotations

from torch import Tensor, nn

ENCODER_STAGES = 3  # strides 2, 4 and 8: what a margin under 48 pixels can pay for
ENCODER_CHANNELS = (16, 24, 40)
_STEM = 32
_STAGES = (  # expansion, kernel, stride, channels, repeats: Tan and Le 2019, table 1
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
)


class Encoder(nn.Module):
    """Maps ``(n, i, y, x)`` to itself and features at strides 2, 4 and 8, of 16, 24, 40 channels.

    After Tan and Le 2019 (EfficientNet), in the lite variant: ReLU6, no squeeze and excitation,
    which would be statistics over the tile. The variant with symmetric padding is taken: it needs
    no padding copies, and after training it is as good as the one the ImageNet weights were made
    with.
    """

    def __init__(self, channels_in: int = 1) -> None:
        super().__init__()
        self.model = _Stages(channels_in)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, *self.model(x)]


class _Stages(nn.Module):
    def __init__(self, channels_in: int) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(channels_in, _STEM, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.act1 = nn.ReLU6(inplace=True)
        stages, channels = [], _STEM
        for expansion, kernel, stride, wide, repeats in _STAGES:
            blocks: list[nn.Module] = []
            for step in range(repeats):
                if expansion == 1:
                    blocks.append(_Separable(channels, wide, kernel))
                else:
                    first = stride if step == 0 else 1
                    blocks.append(_Inverted(channels, wide, kernel, first, expansion))
                channels = wide
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = [self.act1(self.bn1(self.conv_stem(x)))]
        for stage in self.blocks:
            features.append(stage(features[-1]))
        return features[1:]


class _Separable(nn.Sequential):
    """Depthwise, then pointwise convolution."""

    def __init__(self, channels: int, wide: int, kernel: int) -> None:
        super().__init__()
        self.conv_dw = _depthwise(channels, kernel)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = nn.ReLU6(inplace=True)
        self.conv_pw = nn.Conv2d(channels, wide, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)


class _Inverted(nn.Sequential):
    """Inverted residual (Sandler et al. 2018): widen, filter each channel, narrow."""

    def __init__(self, channels: int, wide: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = expansion * channels
        self.conv_pw = nn.Conv2d(channels, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.act1 = nn.ReLU6(inplace=True)
        self.conv_dw = _depthwise(middle, kernel, stride)
        self.bn2 = nn.BatchNorm2d(middle)
        self.act2 = nn.ReLU6(inplace=True)
        self.conv_pwl = nn.Conv2d(middle, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.residual = stride == 1 and channels == wide

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return y + x if self.residual else y


def _depthwise(channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        channels, channels, kernel, stride, padding=kernel // 2, groups=channels, bias=False
    )
