"""Missing objects: of a reference feature nothing is seen, although it could be."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely import box

from sar2opt.errors import ConfigError
from sar2opt.overlay import NO_TAG, missing_objects

NAMES = ("water", "trees", "bare")
GRID = GeoBox((1200, 1300), Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32633")
EXPECT = {"forest": ["trees"], "lake": ["water"]}


def ground(row: float, col: float, rows: float, cols: float) -> Any:
    """Return pixels of the grid as a polygon on the map."""
    left, top = GRID.affine * (col, row)
    right, bottom = GRID.affine * (col + cols, row + rows)
    return box(left, bottom, right, top)


def layer(**shapes: Any) -> gpd.GeoDataFrame:
    kinds = [name.split("_")[0] for name in shapes]
    return gpd.GeoDataFrame({"class": kinds}, geometry=list(shapes.values()), crs="EPSG:32633")


def tags() -> Any:
    """Return bare ground, with a wood, and a corner without data."""
    field = np.full(GRID.shape, 2, np.uint8)
    field[100:140, 100:160] = 1
    field[:50, :50] = NO_TAG
    return field


def test_what_is_not_seen_is_missing_and_what_cannot_be_seen_is_not() -> None:
    score = np.full(GRID.shape, 80, np.uint8)
    reference = layer(
        forest_there=ground(100, 100, 40, 60),
        forest_gone=ground(1000, 980, 120, 200),  # over an edge of blocks
        forest_thinned=ground(100, 130, 40, 60),  # half of it stands
        lake_gone=ground(300, 300, 20, 20),
        lake_tiny=ground(400, 400, 5, 5),
        lake_hidden=ground(10, 10, 30, 30),
        lake_outside=ground(-300, -300, 50, 50),
        field_any=ground(600, 600, 50, 50),  # no rule
    ).to_crs("EPSG:4326")
    found = missing_objects(tags(), GRID, NAMES, reference, column="class", expect=EXPECT,
                            score=score)  # fmt: skip
    assert found["kind"].unique().tolist() == ["missing"]
    assert found["score"].tolist() == pytest.approx([0.8, 0.8])
    area = sorted(found["area_m2"])
    assert area == pytest.approx([20 * 20 * 100, 120 * 200 * 100], rel=0.002)
    gone = found.set_index("area_m2").loc[area[1]]
    assert gone["reason"] == (
        "The reference layer says forest (2.4 km²), but 0% of it looks like trees; most of it is "
        "tagged bare (80% sure on average)."
    )
    assert (gone["tag"], gone["expected"]) == ("bare", "forest")
    assert gone.geometry.symmetric_difference(ground(1000, 980, 120, 200)).area < 1000
    assert gone["pixels"] == pytest.approx(118 * 198, abs=400)


def test_nothing_missing_is_an_empty_table() -> None:
    reference = layer(forest=ground(100, 100, 40, 60))
    found = missing_objects(tags(), GRID, NAMES, reference, column="class", expect=EXPECT)
    assert len(found) == 0
    assert found.crs == GRID.crs


def test_rules_that_fit_no_class_are_refused() -> None:
    reference = layer(moor=ground(100, 100, 40, 60))
    with pytest.raises(ConfigError, match="no rule of allow fits a class"):
        missing_objects(tags(), GRID, NAMES, reference, column="class", expect=EXPECT)
