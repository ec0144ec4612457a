"""Tables without a place: rows of a CSV, Parquet or Excel file laid on the ground by a key."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from sar2opt.errors import LayerError

_KINDS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".xlsx": "excel"}
_NEEDS = {"parquet": "pyarrow", "excel": "openpyxl"}
_MOST_BYTES = 2**30
_SHOWN = 3  # keys in a message


@dataclass(frozen=True)
class Sites:
    """Polygons with the columns of a table, and what was found when they were matched."""

    table: gpd.GeoDataFrame  # the key, the table's columns, geometry
    notes: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """The key and the table's columns."""
        return [str(name) for name in self.table.columns if name != self.table.geometry.name]

    def names(self, taken: Iterable[str]) -> dict[str, str]:
        """Return what each column is called beside others: ``site_`` before a name in use."""
        used = set(taken)
        return {name: f"site_{name}" if name in used else name for name in self.columns}


def read_rows(path: Path, key: str) -> pd.DataFrame:
    """Read a table whose column ``key`` tells its rows apart; keys become texts.

    Raises ``LayerError`` in one line: no such file, of another kind, damaged, or a key that is
    missing, empty or twice there.
    """
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise LayerError(f"{path}: a table to join is a {', '.join(sorted(_KINDS))} file")
    if not path.is_file():
        raise LayerError(f"{path}: no such file")
    if path.stat().st_size > _MOST_BYTES:
        raise LayerError(f"{path}: is larger than a table to join may be (1 GiB): cut it down")
    if kind in _NEEDS and importlib.util.find_spec(_NEEDS[kind]) is None:
        raise LayerError(f"{path}: needs {_NEEDS[kind]}: pip install {_NEEDS[kind]}, or give a CSV")
    rows = _read(path, kind)
    if key not in rows.columns:
        there = ", ".join(map(str, rows.columns[:20]))
        raise LayerError(f"{path}: no column {key!r}; there are: {there} (set --on)")
    keys = rows[key].map(as_key)
    if (keys == "").any():
        raise LayerError(f"{path}: {(keys == '').sum()} rows have no {key}: fill it in")
    if keys.duplicated().any():
        twice = keys[keys.duplicated()].unique()
        shown = ", ".join(twice[:_SHOWN]) + (", ..." if len(twice) > _SHOWN else "")
        raise LayerError(f"{path}: several rows have the {key} {shown}: keep one row of each")
    rows.columns = rows.columns.map(str)
    return rows.assign(**{key: keys})


def _read(path: Path, kind: str) -> pd.DataFrame:
    try:
        if kind == "parquet":
            return pd.read_parquet(path)
        if kind == "excel":
            return pd.read_excel(path, dtype={}, engine="openpyxl")
        text = path.read_text(encoding="utf-8-sig")
        first = text.split("\n", 1)[0]
        separator = max(",;\t", key=first.count)
        return pd.read_csv(path, sep=separator, encoding="utf-8-sig", dtype=str)
    except Exception as error:  # whatever a parser of a stranger's file comes upon
        said = " ".join(str(error).split())
        raise LayerError(f"{path}: cannot be read as {kind}: {said}") from error


def as_key(value: Any) -> str:
    """Return a key as text: 12.0, as a number beside a gap is read, is 12; no value is ""."""
    if pd.isna(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def match_rows(
    features: gpd.GeoDataFrame, rows: pd.DataFrame, key: str, name: str = "the table"
) -> Sites:
    """Lay rows on the features with their key, and count those that stay alone.

    ``features`` are polygons with a column ``key``, several of which may share one. Raises
    ``LayerError`` where no row has a feature.
    """
    places = features.assign(**{key: features[key].map(as_key)})[[key, features.geometry.name]]
    known, wanted = set(places[key]) - {""}, set(rows[key])
    if not known & wanted:
        some = ", ".join(sorted(known)[:_SHOWN]), ", ".join(sorted(wanted)[:_SHOWN])
        raise LayerError(
            f"{name}: no {key} of it is in the reference layer, which has {some[0]} ..., and the "
            f"table {some[1]} ...: check --on"
        )
    notes = [f"{name} is joined on {key}: {len(known & wanted)} of {len(rows)} rows have a place"]
    if wanted - known:
        notes.append(f"{name}: {len(wanted - known)} rows match no place, and are left out")
    if known - wanted:
        notes.append(f"{name}: {len(known - wanted)} places have no row")
    joined = places.merge(rows, on=key, how="inner")
    return Sites(gpd.GeoDataFrame(joined, geometry=features.geometry.name, crs=features.crs),
                 tuple(notes))  # fmt: skip


def with_sites(table: gpd.GeoDataFrame, sites: Sites) -> gpd.GeoDataFrame:
    """Return objects or anomalies with the columns of the site that holds most of each.

    Columns that the table has already get ``site_`` before their name; what lies in no site has
    no value in them. Rows keep their order.
    """
    ground = sites.table.to_crs(table.crs)
    found = _largest(table, ground)
    values = ground.drop(columns=ground.geometry.name).rename(columns=sites.names(table.columns))
    values = values.reindex(found).set_axis(table.index)
    ahead = table.drop(columns=table.geometry.name)
    columns = pd.concat([ahead, values, table[[table.geometry.name]]], axis=1)
    return gpd.GeoDataFrame(columns, geometry=table.geometry.name, crs=table.crs)


def _largest(table: gpd.GeoDataFrame, ground: gpd.GeoDataFrame) -> pd.Series:
    """Return, for each row, the label of the feature that shares most of its area, or -1."""
    ground.index = pd.RangeIndex(len(ground))
    row, site = ground.sindex.query(table.geometry, predicate="intersects")
    one, other = table.geometry.to_numpy()[row], ground.geometry.to_numpy()[site]
    area = shapely.area(shapely.intersection(one, other))
    best = (
        pd.DataFrame({"row": row, "site": site, "area": area})
        .sort_values(["row", "area", "site"], ascending=[True, False, True])
        .drop_duplicates("row")
        .set_index("row")["site"]
    )
    return best.reindex(range(len(table)), fill_value=-1)
