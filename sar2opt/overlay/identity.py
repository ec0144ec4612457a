"""The same object, or anomaly, in the next scene: it keeps the id that it had.

An id made of a tag and a place holds within one scene only: an object that grows by a pixel has
another centroid. So ids are handed on by overlap. Of all pairs of an object and an earlier one of
the same tag, those that share most of their common ground (intersection over union) are taken
first, each object once. Where an object was cut in two, the larger part keeps the id; where two
grew together, the whole keeps that of the larger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

from sar2opt.errors import LayerError
from sar2opt.overlay.corners import Array
from sar2opt.overlay.reference import UNREADABLE, one_line

LEAST_SHARED = 0.3  # intersection over union: a square moved by half its side has 0.33
_PORTION = 10_000  # objects whose neighbours are looked at together


def read_earlier(
    path: Path, layer: str = "objects", kind: str = "tag", more: Sequence[str] = ()
) -> gpd.GeoDataFrame:
    """Read ids, kinds and outlines of a layer of an earlier GeoPackage; raises ``LayerError``.

    ``more`` are columns that it may have, too.
    """
    if not path.is_file():
        raise LayerError(f"{path}: no such file: give the .gpkg of an earlier scene")
    try:
        table = pyogrio.read_dataframe(path, layer=layer, columns=["id", kind, *more])
    except UNREADABLE as error:
        raise LayerError(
            f"{path}: layer {layer!r} cannot be read: {one_line(error)}: give the .gpkg of an "
            "earlier scene"
        ) from error
    missing = {"id", kind} - set(table.columns)
    if missing or table.crs is None:
        what = f"column {min(missing)!r}" if missing else "CRS"
        raise LayerError(f"{path}: layer {layer!r} has no {what}: sar2opt did not make it")
    table = table[table.geometry.notna() & table["id"].notna()]
    table = table.assign(id=table["id"].astype(str)).drop_duplicates("id")
    return table.assign(geometry=shapely.make_valid(table.geometry.to_numpy()))


def read_known(path: Path) -> gpd.GeoDataFrame:
    """Read the anomalies of an earlier GeoPackage, with ``first_seen``; raises ``LayerError``.

    Where they do not say when they were first seen, that is the date of their scene.
    """
    table = read_earlier(path, "anomalies", "kind", ["first_seen"])
    if "first_seen" in table:
        return table
    try:
        scene = pyogrio.read_dataframe(path, layer="footprint", read_geometry=False)
        return table.assign(first_seen=str(scene["acquired"].iloc[0]))
    except (*UNREADABLE, KeyError, IndexError) as error:
        raise LayerError(f"{path}: does not say of which date it is: {one_line(error)}") from error


def keep_anomaly_ids(
    table: gpd.GeoDataFrame, earlier: gpd.GeoDataFrame | None, acquired: str
) -> tuple[gpd.GeoDataFrame, int]:
    """Return anomalies of a scene with ``first_seen``, and how many of ``earlier`` are among them.

    Those keep ids and dates, as ``read_known`` gives them; others are first seen on ``acquired``.
    One anomaly in two tables is of one kind, whatever its tag.
    """
    table = table.assign(first_seen=acquired)
    if earlier is None:
        return table, 0
    return keep_ids(table, earlier, "kind", ("first_seen",))


def keep_ids(
    table: gpd.GeoDataFrame,
    earlier: gpd.GeoDataFrame,
    kind: str = "tag",
    kept_columns: Sequence[str] = (),
) -> tuple[gpd.GeoDataFrame, int]:
    """Return a table with the ids of an earlier one where objects are the same, and how many are.

    Both have ``id``, ``kind`` and outlines, in any CRS; one object in two tables shares
    ``LEAST_SHARED`` or more of the ground of both. ``kept_columns`` are kept like the ids. All
    other ids stay as they are, or, where an object that moved has taken one along, are made anew.
    """
    if table.empty or earlier.empty:
        return table, 0
    row, other, shared = _pairs(table, earlier.to_crs(table.crs), kind)
    order = np.lexsort((other, row, -shared))
    new, old = np.full(len(table), -1), np.zeros(len(earlier), bool)
    for one, two in zip(row[order].tolist(), other[order].tolist(), strict=True):
        if new[one] < 0 and not old[two]:
            new[one], old[two] = two, True
    kept = new >= 0
    columns = {
        name: table[name].to_numpy(dtype=object, copy=True) for name in ("id", *kept_columns)
    }
    for name, values in columns.items():
        values[kept] = earlier[name].to_numpy(dtype=object)[new[kept]]
    ids = columns["id"]
    taken = set(ids[kept])
    for index in np.flatnonzero(~kept):
        while ids[index] in taken:
            ids[index] = hashlib.blake2b(str(ids[index]).encode(), digest_size=6).hexdigest()
        taken.add(ids[index])
    lists = {name: values.tolist() for name, values in columns.items()}
    return table.assign(**lists), int(kept.sum())


def _pairs(
    table: gpd.GeoDataFrame, earlier: gpd.GeoDataFrame, kind: str
) -> tuple[Array, Array, Array]:
    """Return row, earlier row and shared part of all pairs of one kind that share enough."""
    ours, theirs = table.geometry.to_numpy(), earlier.geometry.to_numpy()
    kinds, others = (one[kind].to_numpy(dtype=object) for one in (table, earlier))
    found = []
    tree = shapely.STRtree(theirs)
    for first in range(0, len(ours), _PORTION):
        some = ours[first : first + _PORTION]
        row, other = tree.query(some, predicate="intersects")
        row += first
        same = kinds[row] == others[other]
        row, other = row[same], other[same]
        one, two = ours[row], theirs[other]
        both = shapely.area(shapely.intersection(one, two))
        shared = both / (shapely.area(one) + shapely.area(two) - both)
        enough = shared >= LEAST_SHARED
        found.append((row[enough], other[enough], shared[enough]))
    row, other, shared = (np.concatenate(column) for column in zip(*found, strict=True))
    return row, other, shared
