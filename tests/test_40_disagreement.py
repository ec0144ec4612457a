"""Disagreement with a reference: what is unlike its class is flagged, what the net confuses not."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pytest
import shapely
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from odc.geo.geobox import GeoBox

from sar2opt.overlay import NO_TAG, encode_probabilities, reference_disagreement
from sar2opt.raster import TAGS

UTM = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4100000.0)
SHAPE = (200, 300)
Floats = npt.NDArray[np.float64]


def box(rows: tuple[int, int], columns: tuple[int, int]) -> shapely.Polygon:
    left, top = UTM @ (columns[0], rows[0])
    right, bottom = UTM @ (columns[1], rows[1])
    return shapely.box(left, bottom, right, top)


def woods(shape: tuple[int, int] = SHAPE) -> Floats:
    """Probabilities of a wood that the tagger is sure of."""
    chance = np.full((len(TAGS), *shape), 0.005)
    chance[TAGS.index("trees")] = 1 - 0.005 * (len(TAGS) - 1)
    return chance


def looks_like(chance: Floats, where: tuple[slice, slice], **tags: float) -> None:
    """Let a window look like these tags, and trees for the rest."""
    chance[:, *where] = 0.001
    for tag, probability in tags.items():
        chance[(TAGS.index(tag), *where)] = probability
    chance[(TAGS.index("trees"), *where)] = 0
    chance[(TAGS.index("trees"), *where)] = 1 - chance[:, *where].sum(axis=0)


def flagged(chance: Floats, layer: gpd.GeoDataFrame | None = None, **how: Any) -> gpd.GeoDataFrame:
    if layer is None:
        zone = box((0, SHAPE[0]), (0, SHAPE[1]))
        layer = gpd.GeoDataFrame({"class": ["forest"]}, geometry=[zone], crs="EPSG:32611")
    tags = chance.argmax(axis=0).astype(np.uint8)
    how = {"column": "class", "allow": {"forest": ["trees"]}, "border": 0, "workers": 1} | how
    grid = GeoBox(chance.shape[1:], UTM, "EPSG:32611")
    codes = encode_probabilities(chance)
    return reference_disagreement(tags, grid, TAGS, layer, probabilities=codes, **how)


def test_probabilities_keep_their_ratios_in_a_byte() -> None:
    chance = np.array([1, 0.5, 0.03, 2e-4, 0, np.nan])
    codes = encode_probabilities(chance)
    assert (codes.dtype, codes[0], codes[4], codes[5]) == (np.uint8, 0, NO_TAG - 1, NO_TAG)
    np.testing.assert_allclose(10 ** (-codes[:4].astype(float) / 50), chance[:4], rtol=0.024)


def test_one_place_unlike_its_class_is_flagged_and_says_why() -> None:
    chance = woods()
    looks_like(chance, (slice(50, 70), slice(100, 120)), built_up=0.6, large_structure=0.366)
    for block in (1024, 64):
        (row,) = flagged(chance, block=block).itertuples()
        assert (row.tag, row.expected, row.pixels) == ("built_up", "forest", 400)
        assert row.geometry.equals(box((50, 70), (100, 120)))
        # 3.5 % of the rest seems something else, and 1 % may be: odds of 0.97 fall by 3.6
        usual = (0.035 * (200 * 300 - 400) + 0.01 * 1000) / (200 * 300 - 400 + 1000)
        odds = 0.972 / 0.028 * (0.01 / 0.99) * (1 - usual) / usual
        assert row.score == pytest.approx(odds / (1 + odds), abs=0.005)
        assert row.q_value == pytest.approx(1 - row.score)
        assert f"{row.score:.0%} sure, given that the tagger doubts 3.5%" in row.reason
        assert row.reason.startswith("Looks like built_up where the reference layer says forest")


def test_what_a_class_looks_like_all_over_is_no_anomaly() -> None:
    chance = woods()
    for row in range(10, 190, 40):
        for column in range(10, 290, 40):
            looks_like(chance, np.s_[row : row + 15, column : column + 15], built_up=0.9)
    assert len(flagged(chance)) == 0
    tags = chance.argmax(axis=0)
    assert (tags == TAGS.index("built_up")).mean() > 0.1  # and each of them is tagged so
    assert len(flagged(chance, wrong_share=0.2)) == 35  # unless so much may be wrong


def test_what_the_net_is_not_sure_of_is_not_flagged() -> None:
    chance = woods()
    looks_like(chance, np.s_[50:70, 100:120], built_up=0.7)
    assert len(flagged(chance)) == 0


def test_a_zone_that_is_wrong_all_over_is_flagged_where_nothing_else_is_of_its_class() -> None:
    chance = woods()
    looks_like(chance, np.s_[40:100, 40:100], water=0.95)
    zone = gpd.GeoDataFrame({"class": ["forest"]}, geometry=[box((40, 100), (40, 100))],
                            crs="EPSG:32611")  # fmt: skip
    (row,) = flagged(chance, zone).itertuples()
    assert (row.tag, row.pixels) == ("water", 3600)
    assert row.score == pytest.approx(0.955, abs=0.01)


def test_of_several_forbidden_tags_the_likeliest_is_told() -> None:
    chance = woods()
    looks_like(chance, np.s_[50:70, 100:120], bare=0.5, cropland=0.48)
    looks_like(chance, np.s_[50:70, 100:104], cropland=0.55, bare=0.43)
    (row,) = flagged(chance).itertuples()
    assert (row.tag, row.pixels) == ("bare", 400)


def test_where_a_class_allows_nothing_all_of_it_is_flagged() -> None:
    (row,) = flagged(woods(), allow={"forest": []}).itertuples()
    assert (row.tag, row.pixels, row.score) == ("trees", 200 * 300, pytest.approx(1))


def test_no_data_is_not_judged_and_blocks_change_nothing() -> None:
    rng = np.random.default_rng(5)
    chance = np.repeat(np.repeat(rng.dirichlet(np.full(8, 0.2), (20, 30)), 10, 0), 10, 1)
    chance = np.moveaxis(chance, 2, 0).copy()
    chance[:, :40, :60] = np.nan
    tags = np.where(np.isnan(chance[0]), NO_TAG, np.nan_to_num(chance).argmax(axis=0))
    zones = [box((0, 120), (0, 300)), box((100, 200), (100, 250))]
    layer = gpd.GeoDataFrame({"class": ["forest", "park"]}, geometry=zones, crs="EPSG:32611")
    how: dict[str, Any] = {"column": "class", "allow": {"forest": list(TAGS[:5]), "park": []}}
    codes = encode_probabilities(chance)
    whole, cut = (
        reference_disagreement(
            tags.astype(np.uint8), GeoBox(SHAPE, UTM, "EPSG:32611"), TAGS, layer,
            probabilities=codes, wrong_share=0.4, min_area_m2=0, block=block, workers=1, **how,
        )
        for block in (1024, 37)
    )  # fmt: skip
    assert len(whole) > 3
    assert_geodataframe_equal(whole, cut)
    assert not whole.intersects(box((0, 40), (0, 60)).buffer(-1)).any()
