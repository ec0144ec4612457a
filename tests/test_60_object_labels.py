"""Weak labels of ships and large structures, and the hulls that are laid on water (simulated)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated_pairs import simulated_pairs

from sar2opt.nets.tagger import CLASSES
from sar2opt.training.tags.chips import IGNORE
from sar2opt.training.tags.object_labels import SHIP, STRUCTURE, WATER, lay_hulls, with_objects
from sar2opt.training.tags.student import cut_edges
from sar2opt.training.tags.weak_labels import WeakPair

TOWN = CLASSES.index("built_up")


def shore() -> WeakPair:
    """Return even ground, water at -15 dB on the left and a town at 0 dB on the right."""
    decibel = np.full((120, 200), -15.0, np.float16)
    decibel[:, 100:] = 0.0
    tags = np.where(decibel < -9, WATER, TOWN).astype(np.uint8)
    pair = replace(simulated_pairs()[0], decibel=decibel, levels=(0.0,))
    return WeakPair(pair, tags)


def with_echo(rows: slice, cols: slice, decibel: float) -> WeakPair:
    """Return the shore with one strong echo."""
    weak = shore()
    weak.pair.decibel[rows, cols] = decibel
    return with_objects(weak)


def test_a_strong_echo_is_named_after_what_it_stands_on() -> None:
    ship = with_echo(slice(60, 63), slice(40, 46), 10.0)
    assert (ship.tags[60:63, 40:46] == SHIP).all()
    assert (ship.tags == STRUCTURE).sum() == 0
    hall = with_echo(slice(60, 66), slice(160, 166), 15.0)
    assert (hall.tags[60:66, 160:166] == STRUCTURE).all()
    assert (hall.tags == SHIP).sum() == 0
    for weak, around in ((ship, WATER), (hall, TOWN)):
        far = (slice(0, 20), slice(65, 75))  # from the echo, and from the shore
        assert (weak.tags[far] == WATER).all()
        assert weak.tags[63, 80 if around == WATER else 140] == around


@pytest.mark.parametrize(
    ("rows", "cols", "decibel"),
    [
        (slice(60, 64), slice(96, 104), 20.0),  # on the shore: a quay, or a ship beside it
        (slice(60, 63), slice(160, 163), 6.5),  # stands out, but hardly
        (slice(20, 100), slice(40, 46), 10.0),  # too large for a ship
    ],
)
def test_what_may_be_anything_is_not_named(rows: slice, cols: slice, decibel: float) -> None:
    tags = with_echo(rows, cols, decibel).tags
    assert not np.isin(tags, (SHIP, STRUCTURE)).any()
    assert (tags[rows, cols] == IGNORE).mean() > 0.8


def test_hulls_lie_on_water_stand_out_and_are_tagged() -> None:
    weak, rng = shore(), np.random.default_rng(3)
    sea = weak.pair.decibel.astype(np.float32)
    for _ in range(5):
        decibel, tags = lay_hulls(sea, weak.tags, rng, clip_db=8.0)
        ships = tags == SHIP
        assert ships.any()
        assert (decibel[ships] > sea[ships] + 2.0).all()
        assert decibel.max() <= 8.0
        changed = decibel != sea
        assert (weak.tags[changed] == WATER).all()  # none on land
        assert (tags[~changed] == weak.tags[~changed]).all()


def test_where_there_is_no_room_no_hull_is_laid() -> None:
    weak, rng = shore(), np.random.default_rng(3)
    pond = np.where(np.indices(weak.tags.shape)[1] < 8, WATER, TOWN).astype(np.uint8)
    decibel, tags = lay_hulls(weak.pair.decibel.astype(np.float32), pond, rng, clip_db=8.0)
    assert np.array_equal(tags, pond)
    assert np.array_equal(decibel, weak.pair.decibel)


def test_a_scene_that_ends_in_a_crop_has_no_data_and_no_tags_beyond() -> None:
    weak, rng = shore(), np.random.default_rng(4)
    decibel = weak.pair.decibel.astype(np.float32)
    for _ in range(10):
        cut, tags = cut_edges(decibel, weak.tags, rng)
        beyond = np.isnan(cut)
        assert 0.0 < beyond.mean() < 0.8
        assert (tags[beyond] == IGNORE).all()
        assert (tags[~beyond] == weak.tags[~beyond]).all()
        rows, cols = np.flatnonzero(~beyond.all(axis=1)), np.flatnonzero(~beyond.all(axis=0))
        assert not beyond[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].any()  # a rectangle
