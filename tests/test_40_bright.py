"""Bright targets: what the ground explains is left out, and a sentence says how large it is."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from sar2opt.overlay import (
    NO_TAG,
    Ground,
    bright_targets,
    cover_tails,
    encode_ratio,
    expected_targets,
)
from sar2opt.overlay.extents import extents
from sar2opt.raster import TAGS
from sar2opt.sar.power_codes import encode_power

UTM = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4100000.0)
SHAPE = (200, 300)
GRID = GeoBox(SHAPE, UTM, "EPSG:32611")
Bytes = npt.NDArray[np.uint8]
BARE, TREES, BUILT = (TAGS.index(name) for name in ("bare", "trees", "built_up"))


class Scene:
    """Bare ground and a wood, lognormal, and targets on them."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.tags = np.full(SHAPE, BARE, np.uint8)
        self.tags[:, 200:] = TREES
        self.db = np.where(self.tags == TREES, -8.0, -16.0) + rng.normal(0, 2, SHAPE)
        self.bright = np.zeros(SHAPE, np.uint8)
        self.shown = np.zeros(SHAPE, np.uint8)

    def target(self, at: tuple[slice, slice], db: float, tag: str) -> None:
        self.db[at], self.tags[at] = db, TAGS.index(tag)
        self.bright[at] = encode_ratio(np.array([4.0], np.float32))[0]

    def found(self, earlier: int = 0, **how: Any) -> gpd.GeoDataFrame:
        power = encode_power(10 ** (self.db / 10), -12.0)
        shown = self.shown if earlier else None
        ground = Ground(self.tags, TAGS, power, shown, earlier)
        return bright_targets(self.bright, GRID, factor=10.0, false_alarm=1e-7, known=ground, **how)


def test_what_its_own_cover_explains_is_no_target() -> None:
    scene = Scene()
    scene.target(np.s_[50:53, 50:54], -6.0, "trees")  # a grove: as bright as trees may be
    scene.target(np.s_[90:93, 50:54], 6.0, "trees")  # seven standard deviations above
    scene.target(np.s_[130:133, 50:54], -6.0, "bare")  # five above its own ground: 3e-7
    scene.target(np.s_[150:153, 50:54], -5.0, "bare")  # and more
    scene.target(np.s_[150:153, 90:94], -6.0, "large_structure")  # of which there is nothing else
    for block in (1024, 60):
        table = scene.found(block=block)
        rows = sorted(np.rint((4100000 - table.geometry.centroid.y) / 10).astype(int))
        assert rows == [92, 152, 152]


def test_what_stands_in_built_up_ground_is_no_target() -> None:
    scene = Scene()
    scene.target(np.s_[50:53, 50:54], 0.0, "large_structure")
    scene.target(np.s_[90:93, 50:54], 0.0, "large_structure")
    scene.tags[80:105, 57:70] = BUILT  # a port, on one side
    (row,) = scene.found().itertuples()
    assert row.geometry.centroid.y == pytest.approx(4100000 - 515)
    assert row.tag == "bare"


def test_how_bright_a_cover_may_be_is_told_from_the_scene() -> None:
    scene = Scene()
    scene.tags[:10, :10] = TAGS.index("water")  # too little to tell
    scene.tags[-20:] = NO_TAG
    power = encode_power(10 ** (scene.db / 10), -12.0)
    tails = cover_tails(scene.tags, power)
    np.testing.assert_array_equal(tails, cover_tails(scene.tags, power, block=64))
    level = encode_power(10 ** (np.array([-16.0, -14, -12, -8, -6]) / 10), -12.0)
    np.testing.assert_allclose(tails[BARE, level], [0.5, 0.159, 0.023, 3e-5, 3e-7], rtol=0.5)
    np.testing.assert_allclose(tails[TREES, level[3:]], [0.5, 0.159], rtol=0.1)
    assert tails[TAGS.index("water")].max() == tails[NO_TAG].max() == 0


@pytest.mark.parametrize(
    ("earlier", "shown", "words"),
    [
        (0, 0, "surroundings; expected by chance"),
        (1, 0, "surroundings; the earlier scene does not show it; expected"),
        (1, 1, "surroundings; the earlier scene shows it too; expected"),
        (5, 0, "surroundings; none of 5 earlier scenes shows it; expected"),
        (5, 1, "surroundings; 1 of 5 earlier scenes shows it; expected"),
        (5, 3, "surroundings; 3 of 5 earlier scenes show it; expected"),
        (5, 5, "surroundings; all of 5 earlier scenes show it; expected"),
        (5, 255, "surroundings; expected by chance"),  # one has no data there
    ],
)
def test_it_is_said_whether_earlier_scenes_show_it(earlier: int, shown: int, words: str) -> None:
    scene = Scene()
    scene.target(np.s_[50:53, 50:68], 5.0, "ship")
    scene.shown[51, 60] = shown
    (row,) = scene.found(earlier).itertuples()
    assert row.reason.startswith(
        "Bright object of 180 m x 30 m on darker bare ground, 16 dB above its "
    )
    assert words in row.reason
    assert row.length_m == pytest.approx(180, rel=0.01)


def test_targets_where_the_reference_allows_buildings_are_expected() -> None:
    scene = Scene()
    for column in (50, 80, 110):
        scene.target(np.s_[50:52, column : column + 2], 5.0, "large_structure")
    table = scene.found().sort_values("lon")
    zones = [
        shapely.box(500000, 4099000, 500780, 4100000),
        shapely.box(500900, 4099000, 501500, 41e5),
    ]
    layer = gpd.GeoDataFrame({"class": ["town", "field"]}, geometry=zones, crs="EPSG:32611")
    rules = "class", {"town": ["built_up"], "field": ["cropland", "large_structure"]}
    for crs in ("EPSG:32611", "EPSG:4326"):
        near, far = (
            expected_targets(table, layer.to_crs(crs), *rules, tolerance) for tolerance in (5, 25)
        )
        assert near.tolist() == [True, False, False]
        assert far.tolist() == [True, True, False]  # 20 m off
    assert not expected_targets(table, layer, "class", {"field": ["water"]}, 5).any()
    assert len(expected_targets(table[:0], layer, *rules, 5)) == 0


def test_what_lies_aslant_is_as_long_as_it_is() -> None:
    rng = np.random.default_rng(2)
    errors = []
    for _ in range(60):
        length, width, turn = rng.uniform(80, 300), rng.uniform(30, 50), rng.uniform(0, 180)
        ship = shapely.box(-width / 2, -length / 2, width / 2, length / 2)
        ship = shapely.affinity.translate(
            shapely.affinity.rotate(ship, turn),
            501500 + rng.uniform(0, 10),
            4099000 + rng.uniform(0, 10),
        )
        burnt = rasterize([ship], SHAPE, transform=UTM).astype(bool)
        rows, columns = np.nonzero(burnt)
        left, top = UTM @ (columns, rows)
        outline = shapely.union_all(shapely.box(left, top - 10, left + 10, top))
        found, wide, _ = extents(np.array([outline]), GRID, stairs=True)
        raw = extents(np.array([outline]), GRID)
        errors.append([found[0] - length, wide[0] - width, raw[0][0] - length, raw[1][0] - width])
    bias = np.mean(errors, axis=0)
    assert abs(bias[0]) < 2
    assert abs(bias[1]) < 2
    assert bias[2] > 5  # without the correction
    assert bias[3] > 5
