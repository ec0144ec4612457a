"""Scraps go to the neighbour with the longest common border, however the raster is cut."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import shapely
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from scipy import ndimage

from sar2opt.overlay import NO_TAG, tags_to_objects
from sar2opt.overlay.components import windows
from sar2opt.overlay.sieve import sieve

NAMES = ("water", "trees", "crops", "built_up")
UTM = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4100000.0)
PIXEL_M2 = 100 / 0.9996**2


def sieved(tags, least, block=64):
    """The whole raster as it is read without components of fewer than ``least`` pixels."""
    read = sieve(
        lambda y, x: tags[y, x], tags.shape, background=NO_TAG, min_pixels=least, block=block,
        workers=1,
    )  # fmt: skip
    out = np.empty_like(tags)
    for rows, columns in windows(tags.shape, block):
        out[rows, columns] = read(rows, columns)
    return out


def components(tags):
    """Labels from 1, 0 where there is no data; numbered by where they begin."""
    labels, number = np.zeros(tags.shape, int), 0
    for code in np.unique(tags[tags != NO_TAG]):
        here, count = ndimage.label(tags == code)
        labels[here > 0] = here[here > 0] + number
        number += count
    seen = dict.fromkeys(labels.ravel().tolist())
    order = {label: number for number, label in enumerate((x for x in seen if x), start=1)}
    return np.vectorize(lambda label: order.get(label, 0), otypes=[int])(labels)


def given_away(tags, least):
    """What ``sieve`` promises, in the plainest words: pixel pairs counted one by one."""
    labels = components(tags)
    size = Counter(labels[labels > 0].tolist())
    code = {label: tags.ravel()[np.argmax(labels.ravel() == label)] for label in size}
    scraps = {label for label in size if size[label] < least}
    owner = {label: label for label in size}
    while True:
        border = Counter()
        for one, other in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
            for pair in zip(one.ravel().tolist(), other.ravel().tolist(), strict=True):
                if all(pair) and (ends := tuple(owner[label] for label in pair))[0] != ends[1]:
                    border[ends] += 1
                    border[ends[::-1]] += 1
        takers = {}
        for giver in scraps:
            near = [t for (g, t) in border if g == giver and t not in scraps]
            if near:
                takers[giver] = max(near, key=lambda t: (border[giver, t], size[t], -t))
        if not takers:
            groups = {g for g, t in border if g in scraps and t in scraps}
            if not groups:
                break
            while groups:  # the largest of each group stays
                group, grown = {min(groups)}, True
                while grown:
                    more = {t for g, t in border if g in group} - group
                    group, grown = group | more, bool(more)
                groups -= group
                scraps.discard(max(group, key=lambda label: (size[label], -label)))
            continue
        for giver, taker in takers.items():
            for label in owner:
                owner[label] = taker if owner[label] == giver else owner[label]
            scraps.discard(giver)
        for giver, taker in takers.items():
            size[taker] += size[giver]
    return np.array(
        [code[owner[label]] if label else NO_TAG for label in labels.ravel()], np.uint8
    ).reshape(tags.shape)


@st.composite
def class_maps(draw):
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    coarse = rng.choice(np.array([0, 1, 2, NO_TAG], np.uint8), shape, p=[0.4, 0.25, 0.25, 0.1])
    return np.kron(coarse, np.ones((draw(st.integers(1, 2)),) * 2, np.uint8))


@given(class_maps(), st.integers(1, 14), st.integers(1, 9))
@settings(max_examples=80, deadline=None)
def test_scraps_go_where_the_plain_rule_says_and_blocks_do_not_matter(tags, block, least) -> None:
    np.testing.assert_array_equal(sieved(tags, least, block), given_away(tags, least))


def test_the_longest_border_counts_and_not_the_largest_neighbour() -> None:
    tags = np.zeros((20, 30), np.uint8)
    tags[:, 20:] = 2  # smaller than what lies left of it
    tags[8:10, 19:22] = 1  # a scrap with 4 sides on the left, and 6 on the right
    after = sieved(tags, 12, block=7)
    assert (after[tags == 1] == 2).all()
    tags[8:10, 18] = 1  # 6 on both: now the larger gets it
    assert (sieved(tags, 12, block=7)[tags == 1] == 0).all()
    np.testing.assert_array_equal(sieved(tags, 8), tags)  # large enough


def test_scraps_among_themselves_become_one_and_an_island_stays() -> None:
    tags = np.full((9, 20), NO_TAG, np.uint8)
    tags[1:3, 1:4], tags[3, 1:4], tags[3, 4] = 0, 1, 2
    tags[6, 15] = 3
    after = sieved(tags, 50, block=4)
    assert (after[1:4, 1:5][tags[1:4, 1:5] != NO_TAG] == 0).all()
    assert after[6, 15] == 3
    np.testing.assert_array_equal(after == NO_TAG, tags == NO_TAG)


@given(class_maps(), st.integers(1, 14), st.booleans())
@settings(max_examples=40, deadline=None)
def test_objects_cover_the_scene_without_holes_or_slivers(tags, block, smooth) -> None:
    grid = GeoBox(tags.shape, UTM, "EPSG:32611")
    score = np.random.default_rng(tags.size).integers(1, 101, tags.shape, np.uint8)
    how = {"min_area_m2": 4.5 * PIXEL_M2, "max_hole_m2": 0, "fill": True, "smooth": smooth,
           "score": score}  # fmt: skip
    whole = tags_to_objects(tags, grid, NAMES, workers=1, **how)
    cut = tags_to_objects(tags, grid, NAMES, workers=2, block=block, **how)
    assert_geodataframe_equal(whole, cut)
    assert (whole["area_m2"] >= 4.5 * PIXEL_M2).all()
    islands, count = ndimage.label(tags != NO_TAG)
    sizes = np.bincount(islands.ravel(), minlength=count + 1)[1:]
    assert whole["pixels"].sum() == sizes[sizes >= 5].sum()
    if smooth:  # where neighbours meet, they share their border point for point
        assert shapely.coverage_is_valid(whole.geometry.to_numpy())
    else:
        assert whole.geometry.area.sum() == pytest.approx(100 * sizes[sizes >= 5].sum())
        assert whole.union_all().area == pytest.approx(whole.geometry.area.sum())


def test_a_scrap_does_not_make_its_neighbour_surer() -> None:
    tags = np.zeros((20, 30), np.uint8)
    tags[5, 5:10] = 1
    score = np.where(tags == 0, 60, 90).astype(np.uint8)
    grid = GeoBox(tags.shape, UTM, "EPSG:32611")
    how = {"score": score, "min_area_m2": 1000, "max_hole_m2": 0, "workers": 1}
    (row,) = tags_to_objects(tags, grid, NAMES, fill=True, **how).itertuples()
    assert row.pixels == 600
    assert row.score == pytest.approx(0.6 * 595 / 600)
    (gap,) = tags_to_objects(tags, grid, NAMES, **how).itertuples()
    assert (gap.pixels, len(gap.geometry.interiors)) == (595, 1)
