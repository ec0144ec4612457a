"""Low trust: areas of it come out, and neither single pixels nor a whole scene."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from scipy.ndimage import generic_filter

from sar2opt.errors import ConventionError
from sar2opt.overlay import ANOMALY_COLUMNS, NO_TAG, low_trust, middle_trust

NAMES = ("water", "trees")
UTM = Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4100000.0)


def found(trust, **how):
    grid = GeoBox(trust.shape, UTM, "EPSG:32611")
    return low_trust(trust, grid, **({"min_area_m2": 10_000, "workers": 1} | how))


def doubtful(shape=(120, 150)):
    """Trust of 60 % with pepper on it, and a field of 40 x 50 pixels with 18 %."""
    rng = np.random.default_rng(2)
    trust = np.full(shape, 60, np.uint8)
    trust[rng.random(shape) < 0.05] = 5
    trust[40:80, 60:110] = 18
    trust[:, :20] = NO_TAG
    return trust


def test_an_area_is_named_and_single_pixels_are_not() -> None:
    tags = np.ones((120, 150), np.uint8)
    tags[40:80, 60:90] = 0
    (row,) = found(doubtful(), tags=tags, names=NAMES).itertuples()
    left, top = UTM * (60, 40)
    right, bottom = UTM * (110, 80)
    field = shapely.box(left, bottom, right, top)
    # where half of the window of 15 pixels or so lies in the field, its mean is below the threshold
    assert field.buffer(10).covers(row.geometry)
    assert row.geometry.covers(field.buffer(-50))
    assert (row.kind, row.tag) == ("low_trust", "water")
    assert row.score == pytest.approx(0.5 * (1 - 18 / 30), abs=0.01)
    assert np.isnan(row.p_value)
    assert row.reason == (
        f"Do not believe the picture here: {row.area_m2 / 1e4:.1f} ha with a trust of 18 % on "
        "average, most of it tagged water."
    )
    assert tuple(found(doubtful()).columns) == ANOMALY_COLUMNS
    assert len(found(doubtful(), min_area_m2=300_000)) == 0
    assert len(found(doubtful(), below=10)) == 0


def test_a_window_is_averaged_over_what_is_known() -> None:
    rng = np.random.default_rng(5)
    trust = rng.choice(np.array([10, 30, 50, NO_TAG], np.uint8), (40, 45), p=[0.3, 0.3, 0.3, 0.1])
    known = np.where(trust == NO_TAG, np.nan, trust)
    mean = generic_filter(known, np.nanmean, 15, mode="constant", cval=np.nan)
    below = 29.5
    low = (mean < below) & ~np.isnan(known)
    table = found(trust, below=below, min_area_m2=0)
    assert 0 < table["pixels"].sum() == low.sum()
    assert table["score"].is_monotonic_decreasing


@given(st.integers(0, 2**32), st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_areas_do_not_depend_on_blocks(seed, block) -> None:
    rng = np.random.default_rng(seed)
    trust = np.repeat(np.repeat(rng.integers(10, 90, (4, 4)), 12, axis=0), 11, axis=1)
    trust = np.where(rng.random(trust.shape) < 0.1, NO_TAG, trust).astype(np.uint8)
    tags = rng.integers(0, 2, trust.shape).astype(np.uint8)
    how = {"min_area_m2": 0, "below": 40, "tags": tags, "names": NAMES}
    assert_geodataframe_equal(found(trust, block=64, **how), found(trust, block=block, **how))


def test_a_scene_that_is_to_be_doubted_all_over_is_no_area() -> None:
    trust = np.full((120, 150), 20, np.uint8)
    trust[:50] = 70
    assert middle_trust(trust, block=32) == 20
    assert len(found(trust)) == 0
    assert len(found(trust, below=20)) == 0  # it is not below that anywhere
    trust[:70] = 70
    assert middle_trust(trust) == 70
    assert found(trust)["pixels"].sum() == pytest.approx(50 * 150, rel=0.1)


def test_no_data_is_no_low_trust() -> None:
    nothing = np.full((60, 60), NO_TAG, np.uint8)
    assert np.isnan(middle_trust(nothing))
    table = found(nothing)
    assert (len(table), tuple(table.columns)) == (0, ANOMALY_COLUMNS)
    with pytest.raises(ConventionError, match="tags has shape"):
        found(nothing, tags=np.zeros((3, 3), np.uint8), names=NAMES)
