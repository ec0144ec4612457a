"""A trained tagger becomes a bundle: honest probabilities, held-out figures, a card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sar2opt.nets.bundle import save_bundle
from sar2opt.nets.tagger import CLASSES, Tagger
from sar2opt.training.cards import tagger_card
from sar2opt.training.judging.methods import net_method
from sar2opt.training.pairs.pair import Pair
from sar2opt.training.tags.evaluate import (
    Scores,
    merged,
    on_chip_labels,
    on_true_labels,
    on_weak_labels,
    summary,
    water_iou,
)
from sar2opt.training.tags.probabilities import calibration_error, draw_pixels, fit_temperature
from sar2opt.training.tags.settings import TaggerTraining
from sar2opt.training.tags.weak_labels import WeakPair


def pack_tagger(
    net: Tagger,
    config: TaggerTraining,
    file: str,
    pairs: Sequence[Pair],
    weak: Sequence[WeakPair],
    data: Path,
    out: Path,
) -> Path:
    """Make a trained tagger's probabilities honest, judge it and write its bundle."""
    scores = net_method(net, stride=2**config.net.stages)
    # on infrared pictures only water has a tag of its own, so they say nothing of probabilities
    judged = [item for item in weak if item.pair.look != config.infrared]
    val = [item for item in judged if item.pair.split == "val"]
    temperature = fit_temperature(draw_pixels(scores, val, config.norm))
    test = [item for item in weak if item.pair.split == "test"]
    figures = {
        **_on_weak(scores, config, test, temperature),
        **_on_chips(scores, config, pairs),
        **_on_true(scores, config, data),
    }
    card = tagger_card(config, file, net, weak, temperature, figures)
    path = out / f"{config.name}.safetensors"
    save_bundle(net, card, path)
    return path


def _on_weak(
    scores: Scores, config: TaggerTraining, test: Sequence[WeakPair], temperature: float
) -> dict[str, Any]:
    """Return the figures on weak labels, and on one's own, of test places."""
    own_names = {source.name for source in config.labels}
    told = [item for item in test if item.pair.look != config.infrared]
    rivers = [item for item in test if item.pair.look == config.infrared]
    found: dict[str, Any] = {}
    for name, items in (
        ("weak labels", [x for x in told if x.pair.source not in own_names and not x.pair.label]),
        ("own labels", [x for x in told if x.pair.source in own_names]),
    ):
        if items:
            counts = on_weak_labels(scores, items, config.norm)
            found[f"{name}, test places"] = summary(counts)
    if told:
        error = calibration_error(draw_pixels(scores, told, config.norm), temperature)
        found["probabilities against these labels, test places, sources alike"] = {
            "expected_calibration_error": round(error, 3)
        }
    if rivers:
        found["weak labels of water in infrared pictures, test places"] = dict(
            water_iou(scores, rivers, config.norm)
        )
    return found


def _on_chips(scores: Scores, config: TaggerTraining, pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return the figures on labels of whole chips, where there are any."""
    found = on_chip_labels(scores, pairs, config.norm)
    return {"labels of whole chips, test places": found} if found else {}


def _on_true(scores: Scores, config: TaggerTraining, data: Path) -> dict[str, Any]:
    """Return the figures on true labels, where there are any."""
    true = on_true_labels(scores, data, config.norm)
    if not true:
        return {}
    total, names = merged(sum(true.values(), start=np.zeros((len(CLASSES),) * 2, np.int64)))
    return {
        "true labels, chips/terramind, VH, low vegetation and cropland as one": summary(
            total, names
        ),
        "true labels, confusion (rows true, columns given)": {
            name: str(row.tolist()) for name, row in zip(names, total, strict=True)
        },
    }
