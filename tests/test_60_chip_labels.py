"""Labels of whole chips: as weak labels of their pixels, and as a test of the tagger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from simulated_pairs import simulated_pairs

from sar2opt.errors import ConfigError
from sar2opt.nets.tagger import CLASSES
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.pairs.pair import Pair
from sar2opt.training.tags.chips import IGNORE
from sar2opt.training.tags.evaluate import on_chip_labels
from sar2opt.training.tags.step import partial_loss
from sar2opt.training.tags.weak_labels import DRY, LEAVES, ONE_OF, choices, label_by_chip


def chip(label: str, level: float, split: str = "test") -> Pair:
    """Return an even chip at a level in dB, whose source lies at 0 dB."""
    decibel = np.full((96, 96), level, np.float16)
    decibel[:40, :40] = -9.0  # a lake
    decibel[0] = np.nan
    pair = simulated_pairs()[0]
    return replace(pair, decibel=decibel, levels=(0.0,), label=label, split=split)


def test_pixels_take_the_tag_of_their_chip_where_backscatter_allows_it() -> None:
    pairs = [chip("forest", 0.0), chip("resident", 1.0), chip("gorge", 0.0)]
    wood, town = label_by_chip(pairs, {"forest": "trees", "resident": "built_up"})
    for item, name in ((wood, "trees"), (town, "built_up")):
        assert (item.tags[50:, 50:] == CLASSES.index(name)).all()
        assert (item.tags[5:30, 5:30] == IGNORE).all()
        assert (item.tags[0] == IGNORE).all()


def test_a_tag_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="no tag is called wood: say water, trees"):
        label_by_chip([], {"forest": "wood"})


def scores(sar: Any) -> Any:
    """Call dark pixels water, bright ones built up, and the rest trees."""
    tag = np.select([sar < -0.5, sar > 0.05], [CLASSES.index("water"), CLASSES.index("built_up")],
                    CLASSES.index("trees"))  # fmt: skip
    return (np.arange(len(CLASSES))[:, None, None] == tag).astype(np.float32)


def test_chips_are_recognised_by_what_covers_them() -> None:
    pairs = [chip("forest", 0.0), chip("forest", 1.0), chip("resident", 1.0), chip("river", 0.0),
             chip("forest", 0.0, split="train")]  # fmt: skip
    found = on_chip_labels(scores, pairs, NormalisationSettings())
    assert found["forest"] == {"chips": 2, "recognised": 0.5, "others": 0.5}
    assert found["resident"] == {"chips": 1, "recognised": 1.0, "others": pytest.approx(0.333)}
    assert found["river"] == {"chips": 1, "recognised": 1.0, "others": 1.0}  # all have the lake
    assert "agriculture" not in found


def test_a_chip_may_stand_for_one_of_several_tags() -> None:
    labels = {"forest": "trees", "gorge": ("trees", "bare"), "river": ("trees", "bare")}
    wood, gorge = label_by_chip([chip("forest", 0.0), chip("gorge", 0.0)], labels)
    assert choices(labels) == [DRY, LEAVES, ("trees", "bare")]
    assert (gorge.tags[50:, 50:] == ONE_OF + 2).all()
    assert (gorge.tags[0] == IGNORE).all()
    assert (wood.tags[50:, 50:] == CLASSES.index("trees")).all()


def test_what_a_label_leaves_open_costs_nothing() -> None:
    logits = torch.zeros(1, 3, 1, 2)
    logits[0, 1, 0, 0], logits[0, 2, 0, 1] = 50.0, 50.0
    open_sets, weights = torch.tensor([[True, True, False]]), torch.ones(3)
    left_open = torch.tensor([[[ONE_OF, IGNORE]]])
    assert float(partial_loss(logits, left_open, weights, open_sets)) == pytest.approx(0.0)
    closed = torch.tensor([[[IGNORE, ONE_OF]]])
    assert float(partial_loss(logits, closed, weights, open_sets)) > 40.0
    # labels of one tag weigh as in cross-entropy
    tags, weights = torch.tensor([[[0, 2]]]), torch.tensor([1.0, 2.0, 3.0])
    usual = torch.nn.functional.cross_entropy(logits, tags, weights)
    assert float(partial_loss(logits, tags, weights, open_sets)) == pytest.approx(float(usual))
