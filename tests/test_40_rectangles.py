"""Right-angled outlines: a hall becomes a rectangle, and what is none stays as it is."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from odc.geo.geobox import GeoBox
from shapely import affinity

from sar2opt.errors import ConfigError
from sar2opt.overlay import check_tags, rectangular, tags_to_objects

NAMES = ("water", "trees", "low_vegetation", "hall")
GRID = GeoBox((60, 60), Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4100000.0), "EPSG:32611")


def objects(inside, **how):
    """The objects of a raster that is trees, and a hall where ``inside(x, y)`` of the centres."""
    y, x = np.mgrid[:60, :60] + 0.5
    tags = np.where(inside(x, y), 3, 1).astype(np.uint8)
    how = {"min_area_m2": 0, "max_hole_m2": 0, "workers": 1, "smooth": True} | how
    return tags_to_objects(tags, GRID, NAMES, **how)


def turned(along, across, degrees):
    def inside(x, y):
        u, v = (x - 30.2, y - 29.7) @ np.array(
            [[np.cos(a := np.radians(degrees)), -np.sin(a)], [np.sin(a), np.cos(a)]]
        )
        return (np.abs(u) < along / 2) & (np.abs(v) < across / 2)

    return lambda x, y: np.vectorize(inside)(x, y)


@pytest.mark.parametrize("degrees", [0, 17, 45, 70])
def test_a_hall_gets_four_right_angles_its_area_and_its_place(degrees: float) -> None:
    table = objects(turned(20, 9, degrees))
    after = rectangular(table, ["hall"])
    hall, outline = (one.geometry[one["tag"] == "hall"].item() for one in (after, table))
    assert len(hall.exterior.coords) == 5
    sides = np.diff(shapely.get_coordinates(hall)[:3], axis=0)
    assert sides[0] @ sides[1] == pytest.approx(0, abs=1e-3)
    assert hall.area == pytest.approx(outline.area)
    truth = affinity.rotate(shapely.box(-100, -45, 100, 45), -degrees, origin=(0, 0))
    truth = affinity.translate(truth, 500000 + 302, 4100000 - 297)
    assert hall.intersection(truth).area > 0.85 * hall.union(truth).area
    trees = table["tag"] == "trees"
    assert_geodataframe_equal(after[trees], table[trees])  # neighbours keep the old border
    assert_geodataframe_equal(rectangular(table, ["water"]), table)


@pytest.mark.parametrize(
    "inside",
    [
        lambda x, y: np.hypot(x - 30, y - 30) < 12,  # a tank
        lambda x, y: (abs(x - 30) < 12) & (abs(y - 30) < 12) & ((x < 24) | (y > 36)),  # an L
        lambda x, y: (abs(x - 30) < 12) & (abs(y - 30) < 12) & (x < y),  # a triangle
    ],
)
def test_what_is_no_rectangle_stays_as_it_is(inside) -> None:
    table = objects(inside)
    assert_geodataframe_equal(rectangular(table, ["hall"]), table)
    assert not rectangular(table, ["hall"], 0.1).equals(table)


def test_a_hall_around_a_yard_stays_as_it_is() -> None:
    table = objects(
        lambda x, y: (abs(x - 30) < 12) & (abs(y - 30) < 12) & ~((abs(x - 30) < 3) & (y < 33))
    )
    assert_geodataframe_equal(rectangular(table, ["hall"]), table)  # open to one side
    table = objects(
        lambda x, y: (abs(x - 30) < 12) & (abs(y - 30) < 12) & (np.hypot(x - 30, y - 30) > 3)
    )
    assert_geodataframe_equal(rectangular(table, ["hall"], 0.5), table)


def test_angles_are_right_on_the_ground_where_the_layer_is_in_degrees() -> None:
    plane = gpd.GeoDataFrame(
        {"tag": ["hall"]}, crs="EPSG:32632",
        geometry=[affinity.rotate(shapely.box(500000, 6651000, 500200, 6651090), 30)],
    )  # fmt: skip
    degrees = plane.to_crs("EPSG:4326")  # at 60 degrees north, where they are half as wide
    after = rectangular(degrees, ["hall"])
    assert after.crs == degrees.crs
    one, other = plane.geometry.item(), after.to_crs("EPSG:32632").geometry.item()
    assert one.intersection(other).area > 0.99 * one.union(other).area
    assert not after.geometry.equals(degrees.geometry)


def test_a_tag_that_there_is_not_is_refused() -> None:
    check_tags(["hall"], NAMES)
    with pytest.raises(ConfigError, match="no tag 'halls'; the nearest is 'hall'"):
        check_tags(["halls"], NAMES)
