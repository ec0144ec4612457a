"""Anomalies: planted targets and wrong tags come out, with a place and a readable reason."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from sar2opt.errors import ConfigError, ConventionError, LayerError
from sar2opt.overlay import (
    ANOMALY_COLUMNS,
    NO_TAG,
    Ground,
    bright_targets,
    concat,
    decode_ratio,
    empty_anomalies,
    encode_ratio,
    read_allow,
    read_reference,
    reference_disagreement,
    strongest,
)
from sar2opt.sar.clutter import ca_cfar, ca_cfar_factor, ca_cfar_tail, ring_cells
from sar2opt.sar.clutter_laws import Law

NAMES = ("water", "trees", "crops", "built_up")
UTM = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4100000.0)
ALLOW = {"forest": ["trees"], "lake": ["water", "trees"]}


def grid(shape):
    return GeoBox(shape, UTM, "EPSG:32611")


def box(rows, columns):
    """The polygon of a window of pixels."""
    return shapely.box(
        500000 + 10 * columns[0],
        4100000 - 10 * rows[1],
        500000 + 10 * columns[1],
        4100000 - 10 * rows[0],
    )


def bright(raster, **settings):
    settings = {"factor": 10.0, "false_alarm": 1e-7, "workers": 1} | settings
    return bright_targets(raster, grid(raster.shape), **settings)


def disagreement(tags, layer, **settings):
    settings = {"column": "class", "allow": ALLOW, "min_area_m2": 0, "border": 0} | settings
    return reference_disagreement(
        tags, grid(tags.shape), NAMES, layer, **({"workers": 1} | settings)
    )


def reference(*polygons, crs="EPSG:32611"):
    kinds, shapes = zip(*polygons, strict=True)
    return gpd.GeoDataFrame({"class": kinds}, geometry=list(shapes), crs="EPSG:32611").to_crs(crs)


def test_ratios_are_packed_into_bytes() -> None:
    above = np.nextafter(np.float32(1), np.float32(2))
    ratio = np.array([np.nan, -3, 0, 1, above, 1.26, 10, 400, 1e5, 1e9, np.inf], np.float32)
    code = encode_ratio(ratio)
    assert code.dtype == np.uint8
    assert code.tolist() == [0, 0, 0, 0, 1, 6, 51, 131, 251, 255, 255]
    decibels = 10 * np.log10(decode_ratio(code)[4:9])
    np.testing.assert_allclose(decibels, 10 * np.log10(ratio[4:9]), atol=0.1001)
    assert decode_ratio(code)[:4].tolist() == [0, 0, 0, 0]


@given(st.lists(st.floats(0, 1e8, width=32), min_size=2, max_size=50))
def test_what_is_detected_and_its_rank_outlive_the_byte(ratios) -> None:
    ratio = np.sort(np.array(ratios, np.float32))
    code = encode_ratio(ratio)
    np.testing.assert_array_equal(code > 0, ratio > 1)
    np.testing.assert_array_equal(decode_ratio(code) > 0, ratio > 1)
    assert (np.diff(code.astype(int)) >= 0).all()
    apart = (ratio[1:] > 1.06 * ratio[:-1]) & (ratio[:-1] > 1) & (ratio[1:] < 1e5)
    assert (np.diff(decode_ratio(code))[apart] > 0).all()


def test_a_target_says_how_likely_chance_is() -> None:
    raster = np.zeros((9, 40), np.uint8)
    raster[4, 4:40:8] = encode_ratio(np.array([1.001, 1.2, 2, 30, 9e4], np.float32))
    law, cells = Law("gamma", 1.0, 4.4), ring_cells(9, 20)
    for tail, factor in (
        (law.tail, law.factor(1e-7)),
        (lambda ratio: ca_cfar_tail(ratio, 4.4, cells), ca_cfar_factor(1e-7, 4.4, cells)),
    ):
        table = bright(raster, factor=factor, tail=tail).sort_values("score")
        p = table["p_value"].to_numpy()
        assert p[0] == pytest.approx(1e-7)
        # a step of 0.2 dB, and never said to be clearer than it is
        assert tail(1.2 * factor) <= p[1] <= tail(1.2 * factor * 10**-0.02)
        assert p[2:].tolist() == [1e-12] * 3
    assert bright(raster)["p_value"].isna().all()


def test_of_each_kind_the_strongest_are_kept() -> None:
    raster = np.zeros((9, 40), np.uint8)
    raster[4, 4:40:8] = (10, 20, 30, 40, 50)
    table = bright(raster)
    other = table.assign(kind="change", score=table["score"] / 2)
    both = concat([table, other], table.crs)
    kept = strongest(both, 2)
    assert kept["kind"].value_counts().to_dict() == {"bright_target": 2, "change": 2}
    assert kept["score"].tolist() == pytest.approx(
        sorted([*table["score"][:2], *other["score"][:2]], reverse=True)
    )
    assert len(strongest(both, 0)) == 10
    assert len(strongest(empty_anomalies("EPSG:32611"), 2)) == 0


@pytest.mark.filterwarnings("error")
def test_what_was_mended_in_a_reference_and_left_out_of_it_is_counted(tmp_path) -> None:
    bow = shapely.Polygon([(5e5, 4e6), (500100, 4000100), (500100, 4e6), (5e5, 4000100)])
    shapes = [box((0, 9), (0, 9)), bow, shapely.Polygon(), None, box((0, 9), (20, 29))]
    kinds = ["lake", "lake", "lake", "lake", None]
    path = tmp_path / "r.gpkg"
    gpd.GeoDataFrame({"class": kinds}, geometry=shapes, crs="EPSG:32611").to_file(path)
    table = read_reference(path, "class")
    assert (len(table), table.geometry.is_valid.all()) == (3, True)  # the bow is two triangles
    assert table.attrs["notes"] == (
        "r.gpkg: 3 of 5 features have no class or no area, and are left out",
        "r.gpkg: 1 features have a broken outline, mended",
    )


def test_the_strongest_targets_do_not_tie() -> None:
    raster = np.zeros((9, 40), np.uint8)
    ratio = np.array([30, 100, 1e3, 1e4, 9e4], np.float32)
    raster[4, 4:40:8] = encode_ratio(ratio)
    table = bright(raster)
    assert table["score"].is_unique
    assert table.geometry.centroid.x.is_monotonic_decreasing


def test_a_target_is_described_exactly() -> None:
    raster = np.zeros((40, 50), np.uint8)
    # joined by a corner
    raster[10, 20], raster[11, 21], raster[11, 22] = encode_ratio(np.array([2.0, 10.0, 3.0]))
    raster[30, 5] = 255
    table = bright(raster)
    assert tuple(table.columns) == ANOMALY_COLUMNS
    assert table.crs == "EPSG:32611"
    assert table["kind"].tolist() == ["bright_target"] * 2
    assert table["pixels"].tolist() == [1, 3]
    assert table["score"].tolist() == pytest.approx([1, 10 / 11], abs=1e-4)
    assert table["reason"].tolist() == [
        "Bright object of 10 m x 10 m on a darker background, at least 61 dB above its "
        "surroundings; expected by chance less than once in 10 million pixels.",
        "Bright object of 23 m x 13 m on a darker background, 20 dB above its surroundings; "
        "expected by chance less than once in 10 million pixels.",
    ]
    parts = box((10, 11), (20, 21)), box((11, 12), (21, 23))
    assert table.geometry[1].equals(shapely.MultiPolygon(parts))
    assert table.geometry.is_valid.all()


@given(st.integers(0, 2**32), st.integers(1, 14), st.floats(0.05, 0.7))
@settings(max_examples=25, deadline=None)
def test_targets_do_not_depend_on_blocks(seed, block, share) -> None:
    rng = np.random.default_rng(seed)
    raster = (rng.integers(10, 256, (13, 12)) * (rng.random((13, 12)) < share)).astype(np.uint8)
    tags = rng.choice(np.array([0, 1, NO_TAG], np.uint8), raster.shape)
    options = {"known": Ground(tags, NAMES)}
    whole, cut = (bright(raster, block=side, **options) for side in (64, block))
    assert_geodataframe_equal(whole, cut)
    assert whole["id"].is_unique
    assert whole["pixels"].sum() == (raster > 0).sum()


def test_a_target_on_water_may_be_a_ship() -> None:
    raster = np.zeros((60, 60), np.uint8)
    raster[20:23, 18:22] = 80
    raster[45:47, 30] = 50
    raster[0, 59] = 90
    tags = np.zeros((60, 60), np.uint8)
    tags[18:25, 16:24] = 3  # the tagger takes the ship and what is near for a building
    tags[35:] = 2
    tags[:15, 45:] = NO_TAG
    table = bright(raster, known=Ground(tags, NAMES), block=16)
    assert table["tag"].tolist() == ["", "water", "crops"]
    nowhere, ship, field = table["reason"]
    assert " on a darker background, " in nowhere
    assert ship.startswith("Bright object of 40 m x 30 m on water, possibly a ship, 2")
    assert "of 20 m x 10 m on darker crops, " in field


def test_planted_ships_are_found_and_nothing_else() -> None:
    rng = np.random.default_rng(11)
    power = rng.gamma(4.4, 0.01 / 4.4, (400, 500)).astype(np.float32)
    ships = [(rng.integers(20, 380), rng.integers(20, 480)) for _ in range(12)]
    for y, x in ships:
        power[y : y + 2, x : x + 3] = 0.4
    factor = ca_cfar_factor(1e-7, 4.4, ring_cells(9, 20))
    ratio = ca_cfar(power, guard=9, background=20, factor=factor, background_max=0.05)
    table = bright(encode_ratio(ratio), factor=factor, block=128)
    truth = {box((y, y + 2), (x, x + 3)).normalize().wkb for y, x in ships}
    assert {shape.normalize().wkb for shape in table.geometry} == truth
    assert table["reason"].str.contains("of 30 m x 20 m on a darker background, 16 dB").all()


def test_wrong_tags_in_a_reference_class_are_reported() -> None:
    tags = np.full((100, 100), 1, np.uint8)
    tags[20:40, 30:50] = 3  # built_up in the forest, and beyond its edge
    tags[70:80, 70:90] = 2  # outside the reference
    layer = reference(("forest", box((0, 60), (0, 45))), ("meadow", box((0, 60), (45, 60))))
    for block in (1024, 16):
        table = disagreement(tags, layer, block=block)
        (row,) = table.itertuples()
        assert (row.kind, row.tag, row.pixels) == ("reference_disagreement", "built_up", 300)
        assert (row.score, row.expected) == (0.5, "forest")  # nothing says how sure it is
        assert row.reason == "Tagged built_up where the reference layer says forest; 3.0 ha."
        assert row.geometry.equals(box((20, 40), (30, 45)))
        assert tuple(table.columns) == ANOMALY_COLUMNS
    assert len(disagreement(tags, layer, min_area_m2=31000)) == 0


def test_the_border_of_a_reference_polygon_is_not_judged() -> None:
    tags = np.full((60, 60), 3, np.uint8)
    layer = reference(("forest", box((10, 50), (10, 50))))
    assert disagreement(tags, layer)["pixels"].tolist() == [1600]
    assert disagreement(tags, layer, border=1.0)["pixels"].tolist() == [38 * 38]


def test_the_reference_is_reprojected() -> None:
    tags = np.full((60, 60), 3, np.uint8)
    layer = reference(("forest", box((10, 50), (10, 50))), crs="EPSG:4326")
    (row,) = disagreement(tags, layer).itertuples()
    assert row.pixels == pytest.approx(1600, abs=40)
    assert row.geometry.intersection(box((10, 50), (10, 50))).area > 0.97 * 160000


def test_later_polygons_count_and_classes_are_kept_apart() -> None:
    tags = np.full((40, 40), 3, np.uint8)
    layer = reference(("forest", box((0, 40), (0, 40))), ("lake", box((0, 40), (20, 40))))
    table = disagreement(tags, layer)
    assert sorted(table["reason"].str.extract(r"says (\w+)")[0]) == ["forest", "lake"]
    assert table["pixels"].tolist() == [800, 800]
    layer = reference(("forest", box((0, 40), (0, 40))), ("town", box((10, 20), (10, 20))))
    assert disagreement(tags, layer)["pixels"].tolist() == [1500]  # a town allows every tag


@given(st.integers(0, 2**32), st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_disagreement_does_not_depend_on_blocks(seed, block) -> None:
    rng = np.random.default_rng(seed)
    tags = rng.choice(np.array([0, 1, 3, NO_TAG], np.uint8), (21, 18), p=[0.1, 0.1, 0.7, 0.1])
    # vertices on pixel centres and corners, where it is hardest to tell in from out
    points = 0.5 * rng.integers(-6, 48, (4, 3, 2))
    shapes = [shapely.Polygon([(500000 + 10 * x, 4100000 - 10 * y) for x, y in p]) for p in points]
    layer = reference(*zip(["forest", "lake", "forest", "town"], shapes, strict=True))
    whole, cut = (disagreement(tags, layer, block=side, min_area_m2=250) for side in (64, block))
    assert_geodataframe_equal(whole, cut)


def test_rules_that_fit_no_class_are_refused() -> None:
    layer = reference(("wood", box((0, 9), (0, 9))))
    with pytest.raises(ConfigError, match=r"no rule .* its classes are: wood"):
        disagreement(np.zeros((9, 9), np.uint8), layer)
    with pytest.raises(ConventionError, match=r"probabilities have shape .*, not \(4, 9, 9\)"):
        disagreement(np.zeros((9, 9), np.uint8), layer, probabilities=np.zeros((3, 9, 9), np.uint8))


def test_no_anomalies_give_an_empty_table(tmp_path) -> None:
    none = bright(np.zeros((30, 30), np.uint8), block=16)
    nothing = disagreement(
        np.full((30, 30), NO_TAG, np.uint8), reference(("forest", box((0, 9), (0, 9))))
    )
    for table in (none, nothing, concat([none, nothing], "EPSG:32611"), empty_anomalies(32611)):
        assert tuple(table.columns) == ANOMALY_COLUMNS
        assert (len(table), table.crs) == (0, "EPSG:32611")
        assert table["score"].dtype == float
    concat([], "EPSG:32611").to_file(tmp_path / "none.gpkg")
    assert gpd.read_file(tmp_path / "none.gpkg").crs == "EPSG:32611"


def test_tables_are_put_together_by_score() -> None:
    raster = np.zeros((30, 30), np.uint8)
    raster[4, 4], raster[20, 20] = 255, 11
    layer = reference(("forest", box((10, 15), (10, 15))))
    wrong = disagreement(np.full((30, 30), 3, np.uint8), layer).assign(score=0.7)
    table = concat([bright(raster), wrong, empty_anomalies("EPSG:32611")], "EPSG:32611")
    assert table["kind"].tolist() == ["bright_target", "reference_disagreement", "bright_target"]
    assert table.index.tolist() == [0, 1, 2]
    assert table["id"].is_unique
    assert table.crs == "EPSG:32611"


def test_a_reference_is_read_from_the_layer_that_has_the_column(tmp_path) -> None:
    path = tmp_path / "landuse.gpkg"
    bowtie = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
    gpd.GeoDataFrame({"name": ["x"]}, geometry=[shapely.Point(0, 0)], crs=32611).to_file(
        path, layer="first"
    )
    gpd.GeoDataFrame(
        {"code": [10.0, None, 20.0, 30.0], "other": 1},
        geometry=[box((0, 9), (0, 9)), box((0, 9), (0, 9)), shapely.Point(1, 1), bowtie],
        crs=32611,
    ).to_file(path, layer="landuse")
    table = read_reference(path, "code")
    assert list(table.columns) == ["code", "geometry"]
    assert table["code"].tolist() == ["10", "30", "30"]
    assert table.geometry.is_valid.all()
    assert table.crs == "EPSG:32611"


@pytest.mark.parametrize(
    ("make", "column", "message"),
    [
        (lambda path: None, "class", "no such file"),
        (lambda path: path.write_bytes(b"GIF89a nonsense"), "class", "not a vector file"),
        (lambda path: path.write_bytes(b""), "class", "not a vector file"),
        (
            lambda path: reference(("forest", box((0, 9), (0, 9)))).to_file(path),
            "klass",
            "no column 'klass'; there are: class",
        ),
        (
            lambda path: gpd.GeoDataFrame(
                {"class": ["a"]}, geometry=[box((0, 9), (0, 9))], crs=None
            ).to_file(path),
            "class",
            "has no CRS; assign",
        ),
        (
            lambda path: gpd.GeoDataFrame(
                {"class": ["a"]}, geometry=[shapely.Point(1, 1)], crs=32611
            ).to_file(path),
            "class",
            "no polygon with a class in 'class'",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:'crs' was not provided:UserWarning")
def test_a_reference_that_cannot_be_used_gets_one_line(tmp_path, make, column, message) -> None:
    path = tmp_path / "layer.gpkg"
    make(path)
    with pytest.raises(LayerError, match=message) as error:
        read_reference(path, column)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_truncated_reference_gets_one_line(tmp_path, keep) -> None:
    path = tmp_path / "layer.gpkg"
    reference(*[("forest", box((y, y + 9), (0, 9))) for y in range(500)]).to_file(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(LayerError):
        read_reference(path, "class")


def test_rules_are_read_from_toml(tmp_path) -> None:
    path = tmp_path / "allow.toml"
    path.write_text('forest = ["trees"]\n"open water" = ["water"]\n10 = []\n')
    assert read_allow(path, NAMES) == {"forest": ["trees"], "open water": ["water"], "10": []}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('forest = ["tress"]', "forest: unknown tag 'tress'; the nearest is 'trees'"),
        ('forest = "trees"', "forest must be a list of tags"),
        ("[forest]\ntrees = true", "forest must be a list of tags"),
        ("forest = [1]", "forest must be a list of tags"),
        ("", "holds no rule"),
        ("forest = ", "cannot be read as TOML"),
        (None, "cannot be read as TOML"),
    ],
)
def test_rules_that_cannot_be_used_get_one_line(tmp_path, text, message) -> None:
    path = tmp_path / "allow.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        read_allow(path, NAMES)
    assert "\n" not in str(error.value)
