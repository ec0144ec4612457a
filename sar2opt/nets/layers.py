"""Building blocks that keep the law of tiling, and the two operations on whole nets."""

from __future__ import annotations

import copy
import itertools

import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

ENCODER = "tu-efficientnet_lite0"
ENCODER_STAGES = 3  # strides 2, 4 and 8: what a margin under 48 pixels can pay for
ENCODER_CHANNELS = (16, 24, 40)
STRIDE = 8


class ConvNormAct(nn.Sequential):
    """Convolution, batch norm, ReLU: ``(n, i, y, x)`` to ``(n, o, y, x)``."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


def make_encoder(channels_in: int = 1) -> nn.Module:
    """Return the first three stages of EfficientNet-lite0, without weights.

    The variant with symmetric padding is taken: it needs no padding copies, and after training
    it is as good as the one the ImageNet weights were made with.
    """
    encoder = smp.encoders.get_encoder(
        ENCODER, in_channels=channels_in, depth=ENCODER_STAGES, weights=None
    )
    return truncate_encoder(encoder)


def truncate_encoder(encoder: nn.Module, stages: int = ENCODER_STAGES) -> nn.Module:
    """Drop the stages whose features nobody reads; timm would compute them all the same."""
    blocks = {3: 3, 4: 5, 5: 7}[stages]  # timm's blocks 3 and 4, and 5 and 6, share a stride
    encoder.model.blocks = encoder.model.blocks[:blocks]  # type: ignore[union-attr,index]
    return encoder


def fold_batch_norm(net: nn.Module) -> nn.Module:
    """Return a copy in eval mode whose batch norms are folded into the convolutions before them.

    The function stays the same up to rounding; memory traffic, which bounds the speed on a CPU,
    nearly halves.
    """
    folded = copy.deepcopy(net).eval()
    for module in list(folded.modules()):
        children = list(module.named_children())
        for (name, first), (next_name, second) in itertools.pairwise(children):
            if isinstance(second, nn.BatchNorm2d) and isinstance(
                first, nn.Conv2d | nn.ConvTranspose2d
            ):
                transposed = isinstance(first, nn.ConvTranspose2d)
                setattr(module, name, fuse_conv_bn_eval(first, second, transpose=transposed))
                # timm's batch norm carries the activation that follows it
                setattr(module, next_name, getattr(second, "act", nn.Identity()))
    return folded


def find_margin(net: nn.Module, channels_in: int = 1, stride: int = STRIDE) -> int:
    """Return how far an output pixel looks, in pixels, found by what an input pixel touches.

    On a copy all weights are 1 and what a layer gives is cut to 0 or 1, so that no dead unit hides
    a path. A pixel in each phase of the stride is tried, on strips along both axes. Raises
    ``ValueError`` when the reach is not finite within half of a strip.
    """
    probe = copy.deepcopy(net).float().eval()
    for module in probe.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        if not list(module.children()):
            module.register_forward_hook(lambda _module, _args, output: output.abs().clamp(max=1))
    with torch.no_grad():
        for name, parameter in probe.named_parameters():
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    length = stride * max(20, 2 * stride)
    reach = max(_reach(probe, channels_in, stride, length, axis) for axis in (0, 1))
    if reach >= length // 2 - stride:
        raise ValueError(f"the reach of the net is not finite: over {reach} pixels")
    return reach


def _reach(probe: nn.Module, channels_in: int, stride: int, length: int, axis: int) -> int:
    """Return how far a pixel in the middle of a strip is felt along its longer side."""
    reach, shape = 0, (length, stride) if axis == 0 else (stride, length)
    with torch.inference_mode():
        untouched = probe(torch.zeros(1, channels_in, *shape))
        for place in range(length // 2, length // 2 + stride):
            tile = torch.zeros(1, channels_in, *shape)
            tile[(..., *((place, 0) if axis == 0 else (0, place)))] = 1.0
            touched = (probe(tile) != untouched).any(dim=1)[0].nonzero()[:, axis]
            reach = max(reach, int((touched - place).abs().max()))
    return reach
