"""A U-Net that decodes only what the margin of a tile leaves.

A deep net looks far around, so most of a tile may be margin. Its encoder must see all of that, at
coarse grids, which is cheap; the decoder's fine grids, which are not, only matter near what the
tile is for. Each level is cropped to what the next finer one needs: the values stay the same.
"""

from __future__ import annotations

import segmentation_models_pytorch as smp
from torch import Tensor, nn
from torch.nn import functional

REACH = 4  # pixels of a level that all finer ones and its own two convolutions look beyond


class InnerUnet(nn.Module):
    """Maps ``(n, channel, y, x)`` to logits ``(n, class, y, x)``, zero in most of the margin.

    ``margin`` is how far the whole net looks, in pixels; so much of each side of a tile is there
    for the rest only. A tile that is no larger than its margins is decoded whole.
    """

    def __init__(self, net: smp.Unet, margin: int) -> None:
        super().__init__()
        self.net, self.margin = net, margin

    def forward(self, sar: Tensor) -> Tensor:
        skips = self.net.encoder(sar)[:0:-1]  # the deepest first, without the input
        decoder, cropped = self.net.decoder, 0
        margin = self.margin if min(sar.shape[2:]) > 2 * self.margin else 0
        features: Tensor = decoder.center(skips[0])
        for level, block in enumerate(decoder.blocks, start=1):
            stride = 2 ** (len(decoder.blocks) - level)
            crop = _crop(margin, stride)
            features = _without(features, (crop - cropped) // (2 * stride))
            skip = _without(skips[level], crop // stride) if level < len(skips) else None
            rows, cols = (2 * size for size in features.shape[2:])
            features = block(features, rows, cols, skip_connection=skip)
            cropped = crop
        logits: Tensor = self.net.segmentation_head(features)
        return functional.pad(logits, [cropped] * 4)


def decode_inner(net: nn.Module, margin: int) -> nn.Module:
    """Return a U-Net that decodes only the inner part of its tiles; any other net as it is."""
    unet = getattr(net, "net", None)
    return InnerUnet(unet, margin) if isinstance(unet, smp.Unet) else net


def _crop(margin: int, stride: int) -> int:
    """Return how many pixels of each side the level of a stride can do without."""
    step = 2 * stride  # it is made from features of twice the stride
    return max(margin - REACH * stride, 0) // step * step


def _without(features: Tensor, rim: int) -> Tensor:
    """Return features ``(n, channel, y, x)`` without so many at each side."""
    rows, cols = features.shape[2:]
    return features[:, :, rim : rows - rim, rim : cols - rim]
