"""What does not belong: one table for all kinds of anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from sar2opt.overlay.corners import Array
from sar2opt.overlay.outlines import identities

ANOMALY_COLUMNS = (
    "id",  # the same in every run
    "kind",  # bright_target, change, flood, reference_disagreement, missing, low_trust
    "score",  # 0 to 1, the stranger the higher
    "reason",  # one sentence for a person, with figures
    "area_m2",  # on the ground
    "pixels",
    "length_m",  # bright_target: on the ground, of the minimum rotated rectangle
    "orientation_deg",  # bright_target: of that, clockwise from north, if it is longer than wide
    "tag",  # bright_target: of the surroundings; else of the place itself, as it is found
    "expected",  # reference_disagreement, missing: what the reference says; else nothing
    "before_db",  # change, flood: mean backscatter before and after; else nothing
    "after_db",
    "since",  # change, flood: the first date that shows the latest state
    "p_value",  # bright_target, change, flood: chance of a pixel as clear as the clearest
    "q_value",  # change, flood, disagreement: share of false ones among those as clear
    "first_seen",  # date of the first product with this id; "" where the table is not of a product
    "lon",  # EPSG:4326, a point on the anomaly
    "lat",
    "geometry",  # in the raster's CRS
)

_NUMBERS = (
    "score",
    "area_m2",
    "length_m",
    "orientation_deg",
    "before_db",
    "after_db",
    "p_value",
    "q_value",
    "lon",
    "lat",
)


def empty_anomalies(crs: Any) -> gpd.GeoDataFrame:
    """Return an anomaly table without rows, with the columns and their types, in ``crs``."""
    numbers = dict.fromkeys(_NUMBERS, float) | {"pixels": np.int64}
    columns = {name: pd.Series([], dtype=numbers.get(name, "str")) for name in ANOMALY_COLUMNS[:-1]}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=crs))


def concat(tables: Sequence[gpd.GeoDataFrame], crs: Any) -> gpd.GeoDataFrame:
    """Put anomaly tables of one CRS together, the highest score first."""
    filled = [table for table in tables if len(table)]
    if not filled:
        return empty_anomalies(crs)
    table = pd.concat(filled, ignore_index=True)
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)


def strongest(table: gpd.GeoDataFrame, most: int) -> gpd.GeoDataFrame:
    """Return the ``most`` strongest anomalies of each kind, in their order; all of them for 0."""
    if most == 0 or table.empty:
        return table
    rank = table.groupby("kind")["score"].rank(method="first", ascending=False)
    return table[rank <= most].reset_index(drop=True)


def anomaly_table(
    outlines: gpd.GeoDataFrame, kind: str, score: Array, tag: Sequence[str], reason: Sequence[str]
) -> gpd.GeoDataFrame:
    """Complete outlines to a table of anomalies of one kind, the highest score first.

    Columns that the outlines lack are filled with nothing: NaN or "".
    """
    if len(outlines) == 0:
        return empty_anomalies(outlines.crs)
    ids = identities(outlines, [f"{kind} {name}" for name in tag])
    table = outlines.assign(id=ids, kind=kind, score=score, tag=list(tag), reason=list(reason))
    for name in set(ANOMALY_COLUMNS) - set(table.columns):
        table[name] = np.nan if name in _NUMBERS else ""
    table = table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    return table[list(ANOMALY_COLUMNS)]


def area_in_words(area_m2: float) -> str:
    """Return an area in the unit that a person would choose."""
    for size, unit in ((1e6, "km²"), (1e4, "ha")):
        if area_m2 >= size:
            return f"{area_m2 / size:.1f} {unit}"
    return f"{area_m2:,.0f} m²"


def count_in_words(count: float) -> str:
    """Return a count as a person would say it."""
    for size, word in ((1e9, "billion"), (1e6, "million")):
        if round(count) >= size:
            return f"{count / size:,.3g} {word}"
    return f"{count:,.0f}"
