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
