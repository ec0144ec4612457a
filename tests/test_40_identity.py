"""What objects say of themselves, and the ids that they keep from one scene to the next."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from sar2opt.errors import LayerError
from sar2opt.overlay import (
    NO_TAG,
    keep_anomaly_ids,
    keep_ids,
    read_earlier,
    read_known,
    tags_to_objects,
)
from sar2opt.overlay.extents import extents
from sar2opt.sar.power_codes import encode_power

NAMES = ("water", "trees", "crops", "built_up")
UTM = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4100000.0)
GRID = GeoBox((60, 80), UTM, "EPSG:32611")


def scene(*fields):
    """Objects of a scene with rectangles (tag, top, left, bottom, right) in pixels."""
    tags = np.full(GRID.shape, NO_TAG, np.uint8)
    for tag, top, left, bottom, right in fields:
        tags[top:bottom, left:right] = tag
    return tags_to_objects(tags, GRID, NAMES, min_area_m2=0, max_hole_m2=0, workers=1)


FIELD = (1, 10, 10, 20, 30)


@pytest.mark.parametrize(
    "later",
    [
        (1, 10, 10, 20, 30),
        (1, 9, 9, 21, 31),  # grown by a pixel on all sides
        (1, 11, 11, 19, 29),  # shrunk
        (1, 13, 14, 23, 34),  # displaced by 3 and 4 pixels
    ],
)
def test_an_object_that_moved_or_grew_keeps_its_id(later) -> None:
    before = scene(FIELD, (1, 40, 40, 50, 50))
    after = scene(later, (1, 30, 60, 40, 70), (0, 45, 5, 50, 10))
    kept, number = keep_ids(after, before)
    same = before.loc[before["pixels"] == 200, "id"].item()
    assert number == 1
    assert (
        kept.loc[kept["pixels"] == (later[3] - later[1]) * (later[4] - later[2]), "id"].item()
        == same
    )
    assert kept["id"].is_unique
    assert set(kept["id"]) & set(before["id"]) == {same}


def test_another_tag_or_place_is_another_object() -> None:
    before = scene(FIELD)
    for later in ((2, 10, 10, 20, 30), (1, 10, 26, 20, 46), (1, 30, 10, 40, 30)):
        after = scene(later)
        kept, number = keep_ids(after, before)
        assert number == 0
        assert kept["id"].tolist() == after["id"].tolist()
        assert kept["id"].item() != before["id"].item()


def test_of_a_parted_object_the_larger_part_keeps_the_id() -> None:
    before = scene((1, 10, 10, 20, 40))
    kept, number = keep_ids(scene((1, 10, 10, 20, 28), (1, 10, 29, 20, 40)), before)
    assert number == 1
    assert kept.loc[kept["pixels"] == 180, "id"].item() == before["id"].item()
    joined, number = keep_ids(before, scene((1, 10, 10, 20, 28), (1, 10, 29, 20, 40)))
    assert number == 1
    assert joined["id"].item() in scene((1, 10, 10, 20, 28))["id"].tolist()


def test_an_id_that_was_taken_along_is_not_given_twice() -> None:
    before = scene((1, 10, 10, 20, 20))
    # what lies where it was has its centroid, and so its own id, but is too small to be the same
    after = scene((1, 10, 10, 20, 14), (1, 14, 15, 16, 16), (1, 10, 17, 20, 20))
    middle = after["pixels"] == 2
    after.loc[middle, "id"] = before["id"].item()
    kept, number = keep_ids(after, before)
    assert number == 1
    assert kept["id"].is_unique
    assert kept.loc[middle, "id"].item() != before["id"].item()


def test_ids_are_kept_across_reference_systems_and_files(tmp_path: Path) -> None:
    before = scene(FIELD)
    before.to_crs("EPSG:4326").to_file(tmp_path / "may.gpkg", layer="objects")
    kept, number = keep_ids(scene(FIELD), read_earlier(tmp_path / "may.gpkg"))
    assert number == 1
    assert kept["id"].tolist() == before["id"].tolist()


def test_empty_layers_keep_nothing() -> None:
    before = scene(FIELD)
    assert keep_ids(before.iloc[:0], before)[1] == 0
    kept, number = keep_ids(before, before.iloc[:0])
    assert (number, kept["id"].tolist()) == (0, before["id"].tolist())


def test_an_earlier_layer_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="no such file"):
        read_earlier(tmp_path / "none.gpkg")
    (tmp_path / "text.gpkg").write_text("dear sir or madam")
    with pytest.raises(LayerError, match="cannot be read"):
        read_earlier(tmp_path / "text.gpkg")
    table = gpd.GeoDataFrame({"id": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32611")
    table.to_file(tmp_path / "other.gpkg", layer="objects")
    with pytest.raises(LayerError, match="no column 'tag': sar2opt did not make it"):
        read_earlier(tmp_path / "other.gpkg")


# ---- how long, which way, how bright -------------------------------------------------------------


@pytest.mark.parametrize("crs", ["EPSG:32611", "EPSG:3857", "EPSG:4326", "EPSG:3413"])
@pytest.mark.parametrize("azimuth", [0.0, 30.0, 90.0, 135.0])
def test_length_and_orientation_are_those_of_the_ground(crs: str, azimuth: float) -> None:
    # on the central meridian at 60 degrees north, where grid north is north
    turned = shapely.affinity.rotate(shapely.box(-15, -100, 15, 100), -azimuth, origin=(0, 0))
    ship = gpd.GeoSeries(
        [shapely.affinity.translate(turned, 500000, 6651411)], crs="EPSG:32611"
    ).segmentize(5)
    here = ship.to_crs(crs)
    grid = GeoBox((10, 10), Affine.identity(), crs)
    length, width, along = extents(here.to_numpy(), grid)
    assert length[0] == pytest.approx(200 / 0.9996, rel=3e-3)
    assert width[0] == pytest.approx(30 / 0.9996, rel=3e-2)
    assert abs((along[0] - azimuth + 90) % 180 - 90) < 0.3


def test_what_is_as_wide_as_long_has_no_direction() -> None:
    length, width, along = extents(np.array([shapely.box(500000, 4e6, 500100, 4e6 + 90)]), GRID)
    assert (length[0], width[0]) == pytest.approx((100, 90), rel=1e-3)
    assert np.isnan(along[0])
    assert [len(one) for one in extents(np.array([]), GRID)] == [0, 0, 0]


def test_extents_do_not_depend_on_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    shapes = [shapely.box(500000, 4e6, 500000 + 10 * w, 4e6 + 10 * h)
              for w, h in rng.integers(1, 20, (7, 2))]  # fmt: skip
    whole = extents(np.array(shapes), GRID)
    monkeypatch.setattr("sar2opt.overlay.extents._PORTION", 3)
    for one, other in zip(whole, extents(np.array(shapes), GRID), strict=True):
        np.testing.assert_array_equal(one, other)


def test_objects_tell_the_mean_of_power_and_not_of_decibels() -> None:
    tags = np.full(GRID.shape, 1, np.uint8)
    tags[:, 40:] = 2
    power = np.where(tags == 1, 0.02, 0.2) * np.random.default_rng(1).gamma(2, 0.5, GRID.shape)
    table = tags_to_objects(
        tags, GRID, NAMES, power=encode_power(power, -10.0), level_db=-10.0, block=16
    ).set_index("tag")
    for tag, part in (("trees", power[:, :40]), ("crops", power[:, 40:])):
        truth = 10 * np.log10(part.mean())
        assert table.loc[tag, "backscatter_db"] == pytest.approx(truth, abs=0.03)
    assert tags_to_objects(tags, GRID, NAMES)["backscatter_db"].isna().all()


# ---- anomalies over dates ------------------------------------------------------------------------


def flags(day, *places):
    """Anomalies of a scene of a day: (kind, left, bottom, side) in metres."""
    shapes = [shapely.box(x, y, x + side, y + side) for _, x, y, side in places]
    rows = {"id": [f"{day}-{number}" for number in range(len(places))],
            "kind": [place[0] for place in places]}  # fmt: skip
    return gpd.GeoDataFrame(rows, geometry=shapes, crs="EPSG:32611")


MAY, JUNE, JULY = "2024-05-01T00:00:00Z", "2024-06-01T00:00:00Z", "2024-07-01T00:00:00Z"


def test_an_anomaly_that_stays_keeps_its_id_and_says_since_when() -> None:
    may, none = keep_anomaly_ids(flags("may", ("bright_target", 0, 0, 40)), None, MAY)
    assert (may["first_seen"].tolist(), none) == ([MAY], 0)
    now = flags("june", ("bright_target", 5, 5, 40), ("low_trust", 0, 0, 40))
    june, kept = keep_anomaly_ids(now, may, JUNE)
    assert kept == 1
    assert june["id"].tolist() == ["may-0", "june-1"]  # another kind is another anomaly
    assert june["first_seen"].tolist() == [MAY, JUNE]
    july, kept = keep_anomaly_ids(flags("july", ("bright_target", 10, 10, 40)), june, JULY)
    assert (kept, july["id"].item(), july["first_seen"].item()) == (1, "may-0", MAY)
    empty, kept = keep_anomaly_ids(flags("july"), june, JULY)
    assert (len(empty), kept, "first_seen" in empty) == (0, 0, True)


def test_an_earlier_layer_that_does_not_say_since_when_has_the_date_of_its_scene(
    tmp_path: Path,
) -> None:
    path, place = tmp_path / "may.gpkg", ("missing", 0, 0, 40)
    flags("may", place).to_file(path, layer="anomalies")
    with pytest.raises(LayerError, match="does not say of which date it is"):
        read_known(path)
    dated = gpd.GeoDataFrame({"acquired": [MAY]}, geometry=[shapely.box(0, 0, 9, 9)])
    dated.set_crs("EPSG:32611").to_file(path, layer="footprint")
    assert read_known(path)["first_seen"].tolist() == [MAY]
    flags("may", place).assign(first_seen=JUNE).to_file(path, layer="anomalies")
    assert read_known(path)["first_seen"].tolist() == [JUNE]
