"""Model bundles: weights in a ``.safetensors`` file, with the card in its header.

The card is in the file itself, so that a bundle is one file that cannot lose it; the ``.json`` and
``.md`` beside it are copies to read. Loading is strict, and never unpickles anything.
"""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from sar2opt.errors import ModelError
from sar2opt.nets.bundle_files import read_card
from sar2opt.nets.card import Card
from sar2opt.nets.generator import Generator, GeneratorSettings
from sar2opt.nets.tagger import Tagger, TaggerSettings

LARGE = 2_000_000  # weights


def save_bundle(net: nn.Module, card: Card, path: Path) -> None:
    """Write ``path`` (.safetensors) and the card's copies beside it, each whole or not at all."""
    halved = _is_large(net)
    tensors = {
        name: (value.half() if halved and value.ndim > 1 else value).contiguous()
        for name, value in net.state_dict().items()
    }
    contents = {
        ".safetensors": save(tensors, metadata={"card": card.model_dump_json()}),
        ".json": (card.model_dump_json(indent=2) + "\n").encode(),
        ".md": card.markdown().encode(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix, content in contents.items():
        part = path.with_suffix(suffix + ".part")
        part.write_bytes(content)
        part.replace(path.with_suffix(suffix))


def load_net(path: Path) -> tuple[nn.Module, Card]:
    """Return a bundle's net in eval mode and its card; raises ``ModelError``."""
    card = read_card(path)
    try:
        with torch.device("meta"):  # no memory and no random numbers for what is replaced
            net = build_net(card)
        with safe_open(path, framework="pt") as bundle:
            state = {name: bundle.get_tensor(name) for name in bundle.keys()}  # noqa: SIM118
        net.load_state_dict(state, assign=True)
    except (ValidationError, SafetensorError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: weights and model card do not fit: {reason}") from error
    return net.float().eval().requires_grad_(False), card


def round_as_stored(net: nn.Module) -> None:
    """Round weights in place to what ``save_bundle`` keeps of them, so that figures are theirs."""
    if _is_large(net):
        with torch.no_grad():
            for parameter in net.parameters():
                if parameter.ndim > 1:
                    parameter.copy_(parameter.half().float())


def _is_large(net: nn.Module) -> bool:
    """Whether kernels are kept in 16 bits, which the nets run in on many processors anyway."""
    return sum(parameter.numel() for parameter in net.parameters()) > LARGE


def build_net(card: Card) -> nn.Module:
    """Return the net that a card describes, without weights; raises ``ModelError``."""
    if card.architecture == "Generator":
        return Generator(GeneratorSettings.model_validate(card.settings))
    if card.architecture == "Tagger":
        return Tagger(TaggerSettings.model_validate(card.settings))
    raise ModelError(f"architecture {card.architecture!r} is not known to this version of sar2opt")
