"""The features of a reference layer, and what was flagged in them."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from sar2opt.overlay import ANOMALY_COLUMNS, SUMMARY_COLUMNS, empty_anomalies, summarise_features

# on the central meridian of the zone, scale factor 0.9996
GRID = GeoBox((100, 100), Affine(10.0, 0.0, 500000.0, 0.0, -10.0, 4100000.0), "EPSG:32611")


def square(left: float, top: float, side: float) -> shapely.Polygon:
    return shapely.box(500000 + left, 4100000 - top - side, 500000 + left + side, 4100000 - top)


def reference(**columns: list[object]) -> gpd.GeoDataFrame:
    shapes = [square(0, 0, 100), square(300, 300, 200), square(5000, 0, 100)]
    return gpd.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32611")


def anomalies(*rows: tuple[str, float, shapely.Polygon]) -> gpd.GeoDataFrame:
    table = pd.DataFrame(index=range(len(rows)), columns=list(ANOMALY_COLUMNS[:-1]))
    table["kind"], table["score"] = [row[0] for row in rows], [row[1] for row in rows]
    return gpd.GeoDataFrame(table, geometry=[row[2] for row in rows], crs="EPSG:32611")


def test_flags_are_counted_where_they_lie() -> None:
    flags = anomalies(
        ("reference_disagreement", 0.4, square(400, 300, 100)),
        ("bright_target", 0.9, square(310, 310, 20)),
        ("bright_target", 0.7, square(270, 310, 30)),  # it only touches
        ("change", 0.8, square(700, 700, 50)),
    )
    layer = reference(**{"class": ["wood", "field", "far"]}).to_crs("EPSG:4326")
    table = summarise_features(layer, flags, GRID, ["class"])
    assert tuple(table.columns) == ("class", *SUMMARY_COLUMNS, "geometry")
    assert table["class"].tolist() == ["field", "wood"]  # what lies outside is left out
    field, wood = table.itertuples()
    assert field.kinds in ("reference_disagreement 1, bright_target 1",
                           "bright_target 1, reference_disagreement 1")  # fmt: skip
    assert field.area_m2 == pytest.approx(40000 / 0.9996**2, rel=1e-4)
    assert field.flagged_m2 == pytest.approx(10000 / 0.9996**2, rel=1e-4)
    assert field.flagged_share == pytest.approx(0.25, rel=1e-4)
    assert (field.strongest, field.anomalies) == (0.9, 2)
    assert (wood.anomalies, wood.kinds, wood.flagged_share) == (0, "", 0)
    assert np.isnan(wood.strongest)
    assert table.crs == "EPSG:32611"


def test_without_flags_all_features_are_there() -> None:
    layer = reference(**{"class": ["wood", "field", "far"]})
    table = summarise_features(layer, empty_anomalies("EPSG:32611"), GRID, ["class"])
    assert table["anomalies"].tolist() == [0, 0]
    assert table["kinds"].tolist() == ["", ""]


def test_columns_with_names_in_use_are_kept_under_others() -> None:
    layer = reference(kinds=["a", "b", "c"], FID=[7, 7, 7])
    table = summarise_features(layer, empty_anomalies("EPSG:32611"), GRID, ["kinds", "FID"])
    assert table["site_kinds"].tolist() == ["a", "b"]
    assert table["site_FID"].tolist() == [7, 7]
    assert table["kinds"].tolist() == ["", ""]
