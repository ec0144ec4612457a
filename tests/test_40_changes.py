"""Changes as anomalies: planted ones come out once, in their place, with date, levels and words."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from odc.geo.geobox import GeoBox

from sar2opt.errors import ConventionError
from sar2opt.overlay import ANOMALY_COLUMNS, NO_TAG, changes, concat, encode_changes, series_changes
from sar2opt.overlay.turned_to_water import likelier_water
from sar2opt.sar.change import Change

UTM = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4100000.0)
DATES = ("2024-05-01", "2024-05-13", "2024-05-25")


def grid(shape):
    return GeoBox(shape, UTM, "EPSG:32611")


def series(*, changed=True, seed=0):
    """Three dates of even ground; fields that rose for the last and fell for the last two."""
    power = np.random.default_rng(seed).gamma(4.4, 0.1 / 4.4, (3, 200, 260)).astype(np.float32)
    if changed:
        power[2, 40:60, 50:90] *= 5
        power[1:, 120:140, 120:150] /= 8
    return power


def table_of(power, **settings):
    return series_changes(power, grid(power.shape[1:]), dates=DATES, workers=1, **settings)


def one_pixel(p, before, after, since=1):
    values = (np.full((1, 1), value, np.float64) for value in (p, before, after))
    p, before, after = values
    return Change(p, np.full((1, 1), since), before, after)


def test_changes_are_packed_into_bytes() -> None:
    code = encode_changes(one_pixel(2e-4, 0.1, 1.0), level_db=-10.0)
    assert code.dtype == np.uint8
    assert code[:, 0, 0].tolist() == [37, 1, 128, 148]
    assert encode_changes(one_pixel(0.0, 0.1, 1.0), 0.0)[0, 0, 0] == 255
    assert encode_changes(one_pixel(1e-9, 0.1, 0.15), 0.0, least_db=3.0)[0, 0, 0] == 1
    assert not encode_changes(one_pixel(np.nan, np.nan, np.nan, 0), 0.0).any()


def test_planted_changes_are_found_and_nothing_else() -> None:
    table = table_of(series())
    assert tuple(table.columns) == ANOMALY_COLUMNS
    assert table["kind"].tolist() == ["change", "change"]
    fell, rose = table.itertuples()
    assert (fell.since, rose.since) == ("2024-05-13", "2024-05-25")
    assert (fell.before_db, fell.after_db) == pytest.approx((-10, -19), abs=0.7)
    assert (rose.before_db, rose.after_db) == pytest.approx((-10, -3), abs=0.7)
    for one, (top, bottom, left, right) in ((fell, (120, 140, 120, 150)), (rose, (40, 60, 50, 90))):
        planted = shapely.box(
            500000 + 10 * left, 4100000 - 10 * bottom, 500000 + 10 * right, 4100000 - 10 * top
        )
        assert planted.buffer(20).contains(one.geometry)
        assert one.geometry.intersection(planted).area > 0.9 * planted.area
    assert (table["q_value"] < 1e-9).all()
    assert rose.score == pytest.approx(0.83, abs=0.02)
    assert rose.reason == (
        f"Backscatter rose by 7 dB (from -10 to -3 dB) over {rose.area_m2 / 1e4:.1f} ha between "
        "2024-05-13 and 2024-05-25; of changes as clear as this, fewer than one in 1 million is "
        "chance."
    )


@pytest.mark.parametrize("seed", range(5))
def test_where_nothing_changed_nothing_is_flagged(seed) -> None:
    table = table_of(series(changed=False, seed=seed))
    assert tuple(table.columns) == ANOMALY_COLUMNS
    assert len(table) == 0


@pytest.mark.parametrize("block", [16, 100])
def test_changes_do_not_depend_on_blocks(block) -> None:
    tags = np.random.default_rng(1).choice(np.array([0, 1, NO_TAG], np.uint8), (200, 260))
    how = {"tags": tags, "names": ("water", "trees"), "min_pixels": 1, "false_share": 0.2}
    whole, cut = (table_of(series(), block=side, **how) for side in (1024, block))
    assert len(whole) > 2
    assert_geodataframe_equal(whole, cut)


def test_the_tag_is_that_of_the_place_and_wind_is_thought_of() -> None:
    tags = np.full((200, 260), NO_TAG, np.uint8)
    tags[:100] = 0
    tags[120:125] = 1
    fell, rose = table_of(series(), tags=tags, names=("water", "low_vegetation")).itertuples()
    assert (fell.tag, rose.tag) == ("low_vegetation", "water")
    assert " ha on low vegetation, between" in fell.reason
    assert " ha on water, where wind does that too, between" in rose.reason
    assert table_of(series(), tags=np.full_like(tags, NO_TAG), names=("water",))["tag"][0] == ""


def test_what_fell_and_is_water_now_is_a_flood() -> None:
    tags = np.zeros((200, 260), np.uint8)
    table = table_of(series(), tags=tags, names=("water",))
    assert table["kind"].tolist() == ["flood", "change"]
    assert table["reason"][0].startswith(
        "Now water, or water that has calmed: backscatter fell by 9 dB (from -10 to -1"
    )
    assert "wind" not in table["reason"][0]
    assert table["score"].is_monotonic_decreasing
    assert table["id"].is_unique


def lakeside(field_db: float) -> tuple[np.ndarray, np.ndarray]:
    """Two dates of a lake, dry land around it, and a field of the land that fell to a level."""
    rng = np.random.default_rng(4)
    power = rng.gamma(4.4, 0.1 / 4.4, (2, 200, 260)).astype(np.float32)
    power[:, :, 200:] /= 10  # the lake: -20 dB
    power[1, 60:90, 50:90] *= 10 ** (field_db / 10 + 1)
    tags = np.where(np.arange(260) < 200, 1, 0).astype(np.uint8) * np.ones((200, 1), np.uint8)
    return power, tags


@pytest.mark.parametrize(
    ("level", "kind"), [(-20.0, "flood"), (-23.0, "flood"), (-14.0, "change"), (-3.0, "change")]
)
def test_what_fell_to_the_level_of_water_is_a_flood(level: float, kind: str) -> None:
    power, tags = lakeside(level)
    for flooded in (None, np.zeros_like(tags)):  # a net that says nothing changes nothing
        table = series_changes(
            power, grid(power.shape[1:]), dates=DATES[1:], workers=1, tags=tags,
            names=("water", "low_vegetation"), flooded=flooded,
        )  # fmt: skip
        (row,) = table.nlargest(1, "pixels").itertuples()
        assert (row.kind, row.tag) == (kind, "low_vegetation")
        assert row.reason.startswith("Now as dark as water: backscatter fell") == (kind == "flood")
    dry = np.ones_like(tags)  # with no water to compare with
    table = series_changes(
        power, grid(power.shape[1:]), dates=DATES[1:], workers=1, tags=dry, names=("water", "bare")
    )
    assert set(table["kind"]) == {"change"}


def test_water_that_calms_is_no_flood_by_its_level() -> None:
    levels = np.array([[100.0, 2.0], [124.0, 4.0]])
    names = ("water", "bare")
    before, after = np.array([125.0, 104, 125, 96]), np.array([99.0, 96, 118, 125])
    assert likelier_water(before, levels, names).tolist() == [False, True, False, True]
    assert likelier_water(after, levels, names).tolist() == [True, True, False, False]
    stirred = np.array([[120.0, 3.0], [124.0, 4.0]])
    assert not likelier_water(after, stirred, names).any()
    alone = np.where([[True], [False]], levels, np.nan)  # no land to compare with
    assert not likelier_water(after, alone, names).any()


def test_a_flood_grows_over_what_is_less_clear() -> None:
    rng = np.random.default_rng(6)
    tags = np.where(np.arange(260) < 200, 1, 0).astype(np.uint8) * np.ones((200, 1), np.uint8)
    level = np.where(tags == 1, 150, 110) + np.rint(rng.normal(0, 3, tags.shape)).astype(int)
    found = np.stack([np.full(tags.shape, 5), np.ones(tags.shape), level, level]).astype(np.uint8)
    for left in (50, 100, 150):  # three fields under water, 30 x 40 pixels
        found[3, 60:90, left : left + 40] = 108
        found[0, 60:90, left : left + 40] = 25  # p = 0.004
    found[0, 60:90, 50:70] = found[0, 60:90, 150:153] = 100  # clear in half, and in a strip
    found[0, 60, 100:104] = 100  # too few pixels
    found[3, 60:90, 180:190] = 130  # no water, and not clear
    how = {"dates": DATES[1:], "level_db": -10.0, "min_pixels": 9, "workers": 1}
    names = ("water", "low_vegetation")
    plain = changes(found, grid(tags.shape), **how)
    assert sorted(plain["pixels"]) == [90, 600]
    for block in (1024, 64):
        table = changes(found, grid(tags.shape), tags=tags, names=names, block=block, **how)
        assert sorted(table["pixels"]) == [900, 1200]
        assert set(table["kind"]) == {"flood"}


def test_a_doubt_halves_scores_and_is_said() -> None:
    sure, doubtful = (
        table_of(series()),
        table_of(series(), doubt="b.tif has another relative orbit"),
    )
    np.testing.assert_allclose(doubtful["score"], sure["score"] / 2)
    assert (
        doubtful["reason"].str.endswith("; score halved: b.tif has another relative orbit.").all()
    )


def test_changes_and_other_kinds_share_a_table(tmp_path) -> None:
    power = series()
    both = concat([table_of(power), table_of(power).assign(kind="other", since="")], "EPSG:32611")
    both.to_file(tmp_path / "both.gpkg")
    again = gpd.read_file(tmp_path / "both.gpkg")
    assert again["kind"].value_counts().to_dict() == {"change": 2, "other": 2}


def test_another_shape_is_refused() -> None:
    with pytest.raises(ConventionError, match="found has shape"):
        changes(np.zeros((4, 5, 5), np.uint8), grid((6, 5)), dates=DATES, level_db=0)
