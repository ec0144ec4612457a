"""Bundles of small untrained nets, for tests that need one and not a good one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from sar2opt.nets.bundle import save_bundle
from sar2opt.nets.card import Card, Look
from sar2opt.nets.generator import LOOK_BANDS, SCALE_BANDS, Generator, GeneratorSettings
from sar2opt.nets.layers import STRIDE
from sar2opt.nets.tagger import Tagger, TaggerSettings
from sar2opt.sar.normalise import NormalisationSettings

SMALL = GeneratorSettings(eighth=8, quarter=8, half=8, full=4)


def save_translator(path: Path, norm: NormalisationSettings | None = None) -> Path:
    torch.manual_seed(0)
    looks = {
        name: Look(
            bands=bands, scale=SCALE_BANDS[name], legend="A test.",
            affine=tuple(map(tuple, np.eye(len(bands), len(bands) + 1).tolist())),
            scores=tuple(np.linspace(0.0, 4.0, 101).tolist()),
        )
        for name, bands in LOOK_BANDS.items()
    }  # fmt: skip
    return _save(path, "translator", Generator(SMALL), SMALL.model_dump(), norm, looks)


def save_tagger(path: Path) -> Path:
    return _save(path, "tagger", Tagger(TaggerSettings()), {}, None, {})


def _save(
    path: Path, kind: str, net: nn.Module, settings: dict[str, object],
    norm: NormalisationSettings | None, looks: dict[str, Look],
) -> Path:  # fmt: skip
    card = Card.model_validate(
        {
            "name": f"small-{kind}", "kind": kind, "summary": "A test.",
            "architecture": type(net).__name__, "settings": settings, "polarisations": ("vh",),
            "bands_out": net.bands_out, "input_units": "power", "pixel_m": (8.0, 15.0),
            "normalisation": norm or NormalisationSettings(), "margin": 48, "stride": STRIDE,
            "looks": looks, "default_look": "natural" if looks else "",
            "training": {"command": "none"}, "figures": {}, "licences": ("none",),
            "limits": ("everything",),
        }
    )  # fmt: skip
    save_bundle(net.eval(), card, path)
    return path
