"""Objects: polygons say exactly what the raster says, however it is cut."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio.features
import shapely
import zarr
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer
from scipy import ndimage

from sar2opt.errors import ConventionError
from sar2opt.overlay import NO_TAG, OBJECT_COLUMNS, tags_to_objects
from sar2opt.overlay.components import find_components
from sar2opt.overlay.outlines import ground, outline

NAMES = ("water", "trees", "crops", "built_up")
# On the central meridian of the zone, scale factor 0.9996: a pixel is 100.08 m2 on the ground.
UTM = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4100000.0)


def grid(shape, affine=UTM, crs="EPSG:32611"):
    return GeoBox(shape, affine, crs)


def objects(tags, **settings):
    settings = {"min_area_m2": 0, "max_hole_m2": 0, "workers": 1} | settings
    return tags_to_objects(tags, settings.pop("geobox", grid(tags.shape)), NAMES, **settings)


@st.composite
def class_maps(draw):
    """Small maps of few classes, so that pixels touch by corners and holes abound."""
    shape = draw(st.tuples(st.integers(1, 13), st.integers(1, 13)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes = np.array([0, 1, 2, NO_TAG], np.uint8)[: draw(st.integers(2, 4))]
    return rng.choice(codes, shape)


def test_a_rectangle_is_described_exactly() -> None:
    tags = np.full((40, 50), NO_TAG, np.uint8)
    tags[10:14, 20:27] = 3
    score = np.full(tags.shape, 7, np.uint8)
    score[10:14, 20:27] = 80
    score[10, 20] = 52
    table = objects(tags, score=score)
    assert tuple(table.columns) == OBJECT_COLUMNS
    assert table.crs == "EPSG:32611"
    (row,) = table.itertuples()
    assert (row.tag, row.pixels) == ("built_up", 28)
    assert row.score == pytest.approx(0.79)
    assert row.area_m2 == pytest.approx(2800 / 0.9996**2, rel=1e-5)
    corners = [(500200, 4099900), (500270, 4099900), (500270, 4099860), (500200, 4099860)]
    assert row.geometry.normalize() == shapely.Polygon(corners).normalize()
    to_lonlat = Transformer.from_crs("EPSG:32611", "EPSG:4326", always_xy=True)
    assert (row.lon, row.lat) == pytest.approx(to_lonlat.transform(500235, 4099880), abs=1e-9)


@given(class_maps(), st.integers(1, 14), st.integers(1, 3), st.integers(0, 900))
@settings(max_examples=40, deadline=None)
def test_objects_do_not_depend_on_blocks(tags, block, workers, min_area) -> None:
    score = np.random.default_rng(tags.size).integers(0, 101, tags.shape, np.uint8)
    limits = {"score": score, "min_area_m2": min_area, "max_hole_m2": 300}
    whole = objects(tags, block=64, **limits)
    cut = objects(tags, block=block, **(limits | {"workers": workers}))
    assert_geodataframe_equal(whole, cut)
    # bit for bit: the comparison above allows for tolerance
    assert (whole.geometry.to_wkb() == cut.geometry.to_wkb()).all()
    assert (whole[["id", "score", "area_m2"]] == cut[["id", "score", "area_m2"]]).all(axis=None)


@given(class_maps(), st.integers(1, 14))
@settings(max_examples=40, deadline=None)
def test_objects_are_what_gdal_polygonises(tags, block) -> None:
    table = objects(tags, block=block)
    assert table.geometry.is_valid.all()
    shapes = rasterio.features.shapes(tags, mask=tags != NO_TAG, transform=UTM, connectivity=4)
    truth = {(NAMES[int(code)], shapely.geometry.shape(g).normalize().wkb) for g, code in shapes}
    found = {(row.tag, row.geometry.normalize().wkb) for row in table.itertuples()}
    assert found == truth
    assert len(table) == len(truth)
    assert table["id"].is_unique
    assert table["pixels"].to_numpy() == pytest.approx(table.area / 100)


@given(class_maps(), st.integers(1, 14))
@settings(max_examples=40, deadline=None)
def test_corner_connected_components(tags, block) -> None:
    found = find_components(
        lambda y, x: tags[y, x], tags.shape, background=NO_TAG, block=block, connectivity=8
    )
    box = grid(tags.shape)
    table = outline(found, box, ground(box))
    assert table.geometry.is_valid.all()
    count = 0
    for code in set(tags.flat) - {NO_TAG}:
        labels, number = ndimage.label(tags == code, np.ones((3, 3)))
        count += number
        for row in table[table["code"] == code].itertuples():
            burnt = rasterio.features.rasterize([row.geometry], tags.shape, transform=UTM) > 0
            label = labels[burnt][0]
            np.testing.assert_array_equal(burnt, labels == label)
    assert len(table) == count


def test_objects_do_not_depend_on_the_portions_that_are_outlined(monkeypatch) -> None:
    tags = np.random.default_rng(6).choice(np.array([0, 1, 2, NO_TAG], np.uint8), (60, 50))
    whole = objects(tags, max_hole_m2=300)
    monkeypatch.setattr("sar2opt.overlay.outlines._PORTION", 7)
    assert_geodataframe_equal(whole, objects(tags, max_hole_m2=300, workers=3))


def test_pixels_that_touch_by_a_corner_are_two_objects() -> None:
    tags = np.full((2, 2), NO_TAG, np.uint8)
    tags[0, 0] = tags[1, 1] = 1
    for block in (1, 2):
        assert objects(tags, block=block)["pixels"].tolist() == [1, 1]


def test_a_spiral_through_many_blocks_is_one_object() -> None:
    tags = np.full((41, 41), NO_TAG, np.uint8)
    y = x = 20
    dy, dx, length = 0, 1, 2
    while length <= 38:
        for _ in range(2):
            for _ in range(length):
                tags[y, x] = 0
                y, x = y + dy, x + dx
            dy, dx = dx, -dy
        length += 2
    table = objects(tags, block=4)
    assert len(table) == 1
    assert table["pixels"][0] == (tags == 0).sum()
    assert table.area[0] == 100 * (tags == 0).sum()
    assert len(shapely.get_coordinates(table.geometry[0])) == 2 * 38 + 3  # corners only, no seams


def test_small_holes_are_filled_and_large_ones_stay() -> None:
    tags = np.zeros((30, 30), np.uint8)
    tags[5:7, 5:7] = NO_TAG  # 4 pixels
    tags[15:20, 15:20] = 1  # 25 pixels
    table = objects(tags, max_hole_m2=1000, block=8, min_area_m2=1000)
    water = table[table["tag"] == "water"].iloc[0]
    assert water["pixels"] == 900 - 29  # the tag's own pixels, filled or not
    assert water["area_m2"] == pytest.approx(100.08 * (900 - 29), rel=1e-4)
    assert water.geometry.area == 100 * (900 - 25)
    (hole,) = water.geometry.interiors
    assert shapely.Polygon(hole).area == 2500
    # its centroid lies beside the hole: lon and lat stay on the object
    assert table["tag"].tolist() == ["water", "trees"]


def test_a_ring_is_placed_on_itself_and_not_in_its_hole() -> None:
    tags = np.full((21, 21), NO_TAG, np.uint8)
    tags[5:16, 5:16] = 2
    tags[7:14, 7:14] = NO_TAG
    table = objects(tags)
    spot = table.set_geometry([shapely.Point(table.lon[0], table.lat[0])], crs="EPSG:4326").to_crs(
        "EPSG:32611"
    )
    assert table.geometry[0].contains(spot.geometry[0])


def test_the_minimum_area_is_the_tags_own() -> None:
    tags = np.full((10, 30), NO_TAG, np.uint8)
    tags[2, 2:6] = 1  # 400.3 m2
    tags[4, 2:7] = 1  # 500.4 m2
    tags[6, 2:26] = 1
    assert objects(tags, min_area_m2=500, block=8)["pixels"].tolist() == [5, 24]
    assert objects(tags, min_area_m2=501, block=8)["pixels"].tolist() == [24]


@pytest.mark.parametrize(
    ("crs", "affine"),
    [
        ("EPSG:3395", Affine(400.0, 0, 1e6, 0, -400.0, 9e6)),  # 60 to 64 degrees north
        ("EPSG:3857", Affine(400.0, 0, -2e6, 0, -400.0, 7e6)),
        ("EPSG:4326", Affine(0.01, 0, 170.0, 0, -0.008, 66.0)),
        ("EPSG:32611", Affine(400.0, 0, 450000.0, 0, -400.0, 5e6)),
        ("EPSG:32611", Affine(300.0, 100.0, 450000.0, 100.0, -300.0, 5e6)),  # rotated
        ("EPSG:3413", Affine(400.0, 0, 1e6, 0, -400.0, -1e6)),  # polar stereographic
    ],
)
def test_areas_are_those_of_the_ground(crs, affine) -> None:
    rng = np.random.default_rng(4)
    tags = (ndimage.gaussian_filter(rng.normal(size=(300, 400)), 12) > 0).astype(np.uint8)
    table = objects(tags, geobox=grid(tags.shape, affine, crs), block=100)
    assert table.crs == crs
    dense = table.geometry.segmentize(abs(affine.a)).to_crs("EPSG:4326")
    truth = [abs(Geod(ellps="WGS84").geometry_area_perimeter(g)[0]) for g in dense]
    np.testing.assert_allclose(table["area_m2"], truth, rtol=2e-4)
    assert table["area_m2"].max() / table["area_m2"].min() > 10
    spots = shapely.points(table["lon"], table["lat"])
    assert shapely.intersects(dense.to_numpy(), spots).all()


def test_zarr_is_read_once_and_an_empty_scene_gives_an_empty_table(tmp_path) -> None:
    empty = zarr.create_array(
        tmp_path / "tags.zarr", shape=(100, 90), chunks=(32, 32), dtype="u1", fill_value=NO_TAG
    )
    seen = []
    table = objects(empty, block=32, progress=lambda done, total: seen.append((done, total)))
    assert len(table) == 0
    assert tuple(table.columns) == OBJECT_COLUMNS
    assert table.crs == "EPSG:32611"
    assert seen == [(done, 12) for done in range(1, 13)]
    empty[40:60, 10:80] = 1
    assert objects(empty, block=32)["pixels"].tolist() == [1400]


def test_each_pixel_is_read_once_and_scores_only_where_there_are_tags() -> None:
    class Counted:
        def __init__(self, data):
            self.data, self.shape = data, data.shape
            self.reads = np.zeros(data.shape, int)

        def __getitem__(self, window):
            self.reads[window] += 1
            return self.data[window]

    tags = np.full((50, 70), NO_TAG, np.uint8)
    tags[3:9, 5:60] = 2
    tags, score = Counted(tags), Counted(np.full((50, 70), 50, np.uint8))
    assert objects(tags, score=score, block=20)["score"].tolist() == [0.5]
    assert (tags.reads == 1).all()
    assert (score.reads[:20, :60] == 1).all()
    assert score.reads.sum() == 20 * 60


def test_the_surest_comes_first_and_without_a_score_it_is_unknown() -> None:
    tags = np.tile(np.array([0, 1, 2], np.uint8), (4, 1))
    score = np.tile(np.array([40, 90, 60], np.uint8), (4, 1))
    assert objects(tags, score=score)["tag"].tolist() == ["trees", "crops", "water"]
    assert objects(tags)["score"].isna().all()


def test_an_id_stays_when_its_neighbours_change() -> None:
    tags = np.full((40, 40), NO_TAG, np.uint8)
    tags[10:20, 10:20] = 1
    (before,) = objects(tags)["id"]
    tags[25:30, 3:9] = 1
    table = objects(tags)
    assert table.loc[table["pixels"] == 100, "id"].tolist() == [before]


@given(class_maps(), st.integers(1, 14), st.sampled_from([0, 300]))
@settings(max_examples=60, deadline=None)
def test_smooth_outlines_are_a_coverage_and_know_nothing_of_blocks(tags, block, min_area) -> None:
    stairs = objects(tags, min_area_m2=min_area)
    whole = objects(tags, smooth=True, min_area_m2=min_area)
    cut = objects(tags, smooth=True, min_area_m2=min_area, block=block)
    assert (whole.geometry.to_wkb() == cut.geometry.to_wkb()).all()
    assert whole.geometry.is_valid.all()
    assert shapely.coverage_is_valid(whole.geometry.to_numpy())
    assert whole["area_m2"].tolist() == stairs["area_m2"].tolist()  # of the tag itself
    for outlines in (whole, stairs):  # no centre of a pixel changes sides
        burnt = [(row.geometry, NAMES.index(row.tag)) for row in outlines.itertuples()]
        if min_area == 0 and burnt:
            seen = rasterio.features.rasterize(burnt, tags.shape, fill=NO_TAG, transform=UTM)
            np.testing.assert_array_equal(seen, tags)


@given(class_maps())
@settings(max_examples=40, deadline=None)
def test_smooth_neighbours_leave_no_gap(tags) -> None:
    framed = np.pad(np.where(tags == NO_TAG, np.uint8(0), tags), 1, constant_values=3)
    united = shapely.union_all(objects(framed, smooth=True).geometry.to_numpy())
    assert united.geom_type == "Polygon"
    assert len(united.interiors) == 0


def test_stairs_become_straight_lines() -> None:
    rows, columns = np.indices((60, 60))
    tags = np.where(rows < columns, np.uint8(1), np.uint8(2))
    for table, most in ((objects(tags), 125), (objects(tags, smooth=True), 12)):
        assert shapely.get_num_coordinates(table.geometry.to_numpy()).max() <= most
    slanted = np.where(3 * rows < columns + 60, np.uint8(1), np.uint8(2))
    counts = [
        shapely.get_num_coordinates(objects(slanted, smooth=smooth).geometry.to_numpy()).sum()
        for smooth in (False, True)
    ]
    assert counts[1] < 0.6 * counts[0]


def test_codes_without_a_name_and_other_shapes_are_refused() -> None:
    with pytest.raises(ConventionError, match="code 9, but there are 4 names"):
        objects(np.full((5, 5), 9, np.uint8))
    with pytest.raises(ConventionError, match=r"score has shape \(4, 4\), the grid \(5, 5\)"):
        objects(np.zeros((5, 5), np.uint8), score=np.zeros((4, 4), np.uint8))
