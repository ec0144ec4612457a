"""Water and green ground told from pictures in two infrared bands and red."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from simulated_pairs import simulated_pairs

from sar2opt.nets.tagger import CLASSES, COVERS
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.pairs.pair import Pair
from sar2opt.training.tags.chips import IGNORE, LabelChip
from sar2opt.training.tags.evaluate import water_iou
from sar2opt.training.tags.infrared import label_by_infrared
from sar2opt.training.tags.settings import TaggerTraining
from sar2opt.training.tags.student import open_sets
from sar2opt.training.tags.weak_labels import DRY, IS_DRY, IS_GREEN, LEAVES, label_weakly

WATER = CLASSES.index("water")
GROUND = {
    "river": (10, 20, 40),
    "field": (60, 120, 30),
    "soil": (120, 90, 60),
    "town": (90, 60, 70),
}


def picture() -> Pair:
    """Return a pair whose quarters are a dark river, a field, soil and a bright town."""
    decibel, colour = np.full((80, 80), 0.0, np.float16), np.zeros((3, 80, 80), np.uint8)
    for number, (name, grey) in enumerate(GROUND.items()):
        rows, cols = (slice(40 * half, 40 * half + 40) for half in divmod(number, 2))
        colour[:, rows, cols] = np.array(grey, np.uint8)[:, None, None]
        decibel[rows, cols] = -12.0 if name == "river" else 0.0
    pair = simulated_pairs()[0]
    return replace(pair, decibel=decibel, optical=colour, levels=(0.0,), look="vivid")


def test_water_has_its_tag_and_other_ground_leaves_some_open() -> None:
    (weak,) = label_by_infrared([picture()], "vivid")
    assert (weak.tags[10:30, 10:30] == WATER).all()
    assert (weak.tags[10:30, 50:70] == IS_GREEN).all()  # leaves
    assert (weak.tags[50:70, 10:70] == IS_DRY).all()  # dry
    config = TaggerTraining(infrared="vivid", chip_labels={"gorge": ("trees", "bare")})
    sets = open_sets(config)
    assert sets.shape == (3, len(CLASSES))
    assert [[CLASSES[i] for i in np.flatnonzero(row)] for row in sets.numpy()] == [
        list(DRY), list(LEAVES), ["trees", "bare"]
    ]  # fmt: skip


def test_what_the_radar_contradicts_is_left_out() -> None:
    pair = picture()
    other = np.where(pair.decibel < -6, np.float16(0.0), np.float16(-12.0))  # all the other way
    (weak,) = label_by_infrared([replace(pair, decibel=other)], "vivid")
    for rows in (slice(5, 35), slice(45, 75)):
        for cols in (slice(5, 35), slice(45, 75)):
            assert (weak.tags[rows, cols] == IGNORE).all()
    assert label_by_infrared([replace(pair, look="grey")], "vivid") == []


def test_water_is_counted_where_labels_are_known() -> None:
    weak = label_by_infrared([picture()], "vivid")

    def scores(sar: Any) -> Any:  # calls the dark quarter and the one below it water
        wet = np.zeros(sar.shape, int)
        wet[:, 40:] = CLASSES.index("bare")
        return (np.arange(len(CLASSES))[:, None, None] == wet).astype(np.float32)

    found = water_iou(scores, weak, NormalisationSettings())
    assert found["recall"] == 1.0
    assert 0.4 < found["iou_water"] == found["precision"] < 0.55


def test_a_town_that_only_the_radar_sees_dark_is_known_to_be_dry() -> None:
    class Town(torch.nn.Module):
        def forward(self, image: Any) -> Any:
            logits = torch.zeros(1, len(COVERS), *image.shape[2:])
            logits[:, COVERS.index("built_up")] = 9.0
            return logits

    pair = replace(picture(), look="natural")
    seen = np.random.default_rng(0).random((3, 8, 8), np.float32)
    chip = LabelChip(seen, np.zeros((8, 8), np.uint8), "a", "sim")
    runway = pair.optical.copy()
    runway[:, :40, :20] = 250  # the other half is a harbour basin
    (weak,) = label_weakly(Town(), [replace(pair, optical=runway)], [chip], confidence=0.7)
    assert (weak.tags[5:30, 5:15] == IS_DRY).all()
    assert (weak.tags[5:30, 25:35] == IGNORE).all()
    assert (weak.tags[50:, 50:] == CLASSES.index("built_up")).all()
