"""Disagreement with a reference layer: tags where they should not be."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from sar2opt.errors import ConfigError, LayerError
from sar2opt.overlay.anomalies import anomaly_table, area_in_words
from sar2opt.overlay.components import Progress, find_components
from sar2opt.overlay.corners import Array
from sar2opt.overlay.objects import check_shapes, least_pixels, tag_reader
from sar2opt.overlay.outlines import ground, outline
from sar2opt.raster import NO_TAG, OBJECTS

TOLERANCE = "tolerance_m"  # in a file of rules: no class, but how well the layer is registered

# What pyogrio and shapely raise on files that are damaged or something else.
UNREADABLE = (RuntimeError, ValueError, OSError, shapely.errors.ShapelyError)

# Vertices of reference layers like to lie on pixel centres, where a pixel is as much in as out.
# Moved by this many pixels, no side goes through a centre, and what is in no longer depends on
# how the side was cut at the block's edge.
_NUDGE = np.array([1.37e-5, 0.91e-5])


def read_reference(path: Path | str, column: str, key: str | None = None) -> gpd.GeoDataFrame:
    """Read the polygons of a vector file with their class, a text, in ``column``.

    Of several layers the first with that column is taken. Features without a class or an area
    are left out, broken polygons are mended, and ``attrs["notes"]`` says how many. ``key`` is a
    column to keep as it is. Raises ``LayerError`` in one line.
    """
    wanted = list(dict.fromkeys([column] if key is None else [column, key]))
    layer = _layer_with(Path(path), wanted)
    try:
        table = pyogrio.read_dataframe(path, layer=layer, columns=wanted, force_2d=True)
    except UNREADABLE as error:
        raise LayerError(f"{path}: cannot be read: {one_line(error)}") from error
    if table.crs is None:
        raise LayerError(f"{path}: has no CRS; assign the right one (ogr2ogr -a_srs EPSG:...)")
    shapes = table.geometry.to_numpy()
    mended = shapely.make_valid(shapes)
    flat = table[column].notna().to_numpy() & (np.nan_to_num(shapely.area(mended)) > 0)
    if not flat.any():
        raise LayerError(f"{path}: layer {layer!r} has no polygon with a class in {column!r}")
    notes = _repairs(Path(path).name, flat, ~shapely.is_valid(shapes))
    table = table.assign(geometry=mended)[flat]
    table = table.assign(**{column: [_class_name(value) for value in table[column]]})
    table = table.explode(ignore_index=True)
    table = table[table.geom_type.isin(["Polygon", "MultiPolygon"])]
    table = table.reset_index(drop=True)[[*wanted, "geometry"]]
    table.attrs["notes"] = notes
    return table


def _repairs(name: str, kept: Array, broken: Array) -> tuple[str, ...]:
    """Say how many features of a file were left out, and how many mended."""
    notes = []
    if not kept.all():
        notes.append(
            f"{name}: {(~kept).sum()} of {len(kept)} features have no class or no area, and are "
            "left out"
        )
    if (kept & broken).any():
        notes.append(f"{name}: {(kept & broken).sum()} features have a broken outline, mended")
    return tuple(notes)


def _layer_with(path: Path, columns: Sequence[str]) -> str:
    """Return the name of the first layer that has geometries and the columns."""
    if not path.exists():
        raise LayerError(f"{path}: no such file")
    try:
        layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
        fields = {name: list(pyogrio.read_info(path, layer=name)["fields"]) for name in layers}
    except UNREADABLE as error:
        raise LayerError(f"{path}: not a vector file that GDAL can read") from error
    for name in layers:
        if set(columns) <= set(fields[name]):
            return name
    there = sorted({field for names in fields.values() for field in names})
    missing = next((column for column in columns if column not in there), columns[0])
    how = "--column" if missing == columns[0] else "--on"
    raise LayerError(
        f"{path}: no column {missing!r}; there are: {', '.join(there) or 'none'} (set {how})"
    )


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _class_name(value: Any) -> str:
    """Return a class as text; whole numbers, which become floats beside a null, as such."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def read_allow(path: Path | str, names: Sequence[str]) -> dict[str, list[str]]:
    """Read which tags may occur in which reference class from TOML: ``class = ["tag", ...]``.

    Raises ``ConfigError`` in one line: unreadable, not lists of texts, or a tag that is not among
    ``names``.
    """
    rules = _read_toml(path)
    rules.pop(TOLERANCE, None)  # read_tolerance reads it
    if not rules:
        raise ConfigError(f'{path}: holds no rule; write lines like: forest = ["trees", "grass"]')
    for kind, tags in rules.items():
        if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
            raise ConfigError(f'{path}: {kind} must be a list of tags: ["trees", "grass"]')
        for tag in tags:
            if tag not in names:
                near = difflib.get_close_matches(tag, names, n=1, cutoff=0.0)[0]
                raise ConfigError(f"{path}: {kind}: unknown tag '{tag}'; the nearest is '{near}'")
    return rules


def read_tolerance(path: Path | str) -> float | None:
    """Read ``tolerance_m`` from a file of rules: metres beside an edge that are not judged.

    None where it is not there. Raises ``ConfigError`` for what is no number of metres.
    """
    said = _read_toml(path).get(TOLERANCE)
    number = isinstance(said, (int, float)) and not isinstance(said, bool)
    if said is not None and not (number and 0 <= said < np.inf):
        raise ConfigError(f"{path}: {TOLERANCE} is {said!r}: write metres, such as 30")
    return None if said is None else float(said)


def _read_toml(path: Path | str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as TOML: {one_line(error)}") from error


def with_their_objects(tags: Sequence[str], names: Sequence[str]) -> set[str]:
    """Return ``tags`` and those of ``names`` that are objects on them: a hall is built up."""
    return {name for name in names if {name, OBJECTS.get(name)} & set(tags)}


def check_rules(classes: Iterable[str], allow: Mapping[str, Sequence[str]]) -> None:
    """Raise ``ConfigError`` when no rule fits a class of the reference."""
    kinds = sorted(set(classes))
    if not set(kinds) & set(allow):
        some = ", ".join(kinds[:20]) + (", ..." if len(kinds) > 20 else "")
        raise ConfigError(
            "no rule of allow fits a class of the reference layer; its classes are: "
            f"{some} (write rules for them, or set --column)"
        )


def reference_disagreement(
    tags: Any,
    geobox: GeoBox,
    names: Sequence[str],
    reference: gpd.GeoDataFrame,
    *,
    column: str,
    allow: Mapping[str, Sequence[str]],
    score: Any = None,
    block: int = 1024,
    min_area_m2: float = 10000.0,
    border: float = 1.0,
    workers: int = 0,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """Return one anomaly for each connected area whose tag its reference class does not allow.

    ``tags`` and ``score`` as for ``tags_to_objects``; ``reference`` holds polygons in any CRS
    with their class in ``column``; where they overlap, the later one counts. ``allow`` gives the
    tags that each class allows; a class without a rule allows every tag. Pixels nearer than
    ``border`` pixels to the edge of a polygon are not judged: the layers are seldom registered
    better than that. Areas below ``min_area_m2`` are left out.

    ``tag`` is what is found, ``expected`` the class of the reference.

    The score is the mean probability of the tag; 0.5 when there is no ``score``. ``block``,
    ``workers`` and ``progress`` as for ``tags_to_objects``. Raises ``ConfigError`` when no rule
    fits a class of the reference, ``ConventionError`` when shapes differ.
    """
    check_shapes(geobox, tags=tags, score=score)
    kinds = sorted(set(reference[column]))
    check_rules(kinds, allow)
    forbidden = _forbidden(kinds, allow, names)
    read_tags, read_kinds = (
        tag_reader(tags, names),
        _kind_reader(reference, kinds, column, geobox, border),
    )

    def read(rows: slice, columns: slice) -> Array:
        tag = read_tags(rows, columns)
        if (tag == NO_TAG).all():
            return np.zeros(tag.shape, np.int32)
        kind = read_kinds(rows, columns)
        return np.where(forbidden[kind, tag], kind * 256 + tag, 0)

    area = ground(geobox)
    components = find_components(
        read,
        geobox.shape.yx,
        background=0,
        values=None if score is None else lambda y, x: np.asarray(score[y, x]),
        block=block,
        min_pixels=least_pixels(min_area_m2, area.largest),
        workers=workers,
        progress=progress,
    )
    table = outline(components, geobox, area, workers=workers)
    table = table[table["area_m2"] >= min_area_m2].reset_index(drop=True)
    return _disagreements(table, names, kinds, known=score is not None)


def _disagreements(
    table: gpd.GeoDataFrame, names: Sequence[str], kinds: Sequence[str], *, known: bool
) -> gpd.GeoDataFrame:
    """Turn outlines with codes ``256 * kind + tag`` into anomalies."""
    mean = (
        (table["total"] / table["pixels"] / 100).to_numpy() if known else np.full(len(table), 0.5)
    )
    tags = [names[code % 256] for code in table["code"]]
    table = table.assign(expected=[kinds[code // 256 - 1] for code in table["code"]])
    reasons = [
        f"Tagged {tag}{f' ({100 * sure:.0f} % sure)' if known else ''} where the reference layer "
        f"says {kind}; {area_in_words(area)}."
        for tag, sure, kind, area in zip(
            tags, mean, table["expected"], table["area_m2"], strict=True
        )
    ]
    return anomaly_table(table, "reference_disagreement", mean, tags, reasons)


def _forbidden(
    kinds: Sequence[str], allow: Mapping[str, Sequence[str]], names: Sequence[str]
) -> Array:
    """Return whether reference class k (from 1; 0 is none) forbids a tag: bool ``(k, 256)``."""
    forbidden = np.zeros((len(kinds) + 1, 256), bool)
    for number, kind in enumerate(kinds, start=1):
        if kind in allow:
            allowed = with_their_objects(allow[kind], names)
            forbidden[number, : len(names)] = [name not in allowed for name in names]
    return forbidden


def _kind_reader(
    reference: gpd.GeoDataFrame, kinds: Sequence[str], column: str, geobox: GeoBox, border: float
) -> Callable[[slice, slice], Array]:
    """Return a function that burns the reference classes, from 1, into a window; 0 is none."""
    shapes = reference.geometry.to_crs(geobox.crs).to_numpy()
    to_pixel = np.array((~geobox.affine)[:6]).reshape(2, 3)
    shapes = shapely.transform(
        shapes, lambda world: world @ to_pixel[:, :2].T + to_pixel[:, 2] + _NUDGE
    )
    placed = np.isfinite(shapely.bounds(shapes)).all(axis=1)  # some lie outside the projection
    shapes = shapely.buffer(shapely.make_valid(shapes[placed]), -border)
    numbers = np.searchsorted(kinds, reference[column].to_numpy()[placed].astype(str)) + 1
    tree = shapely.STRtree(shapes)

    def read(rows: slice, columns: slice) -> Array:
        window = columns.start, rows.start, columns.stop, rows.stop
        near = np.sort(tree.query(shapely.box(*window)))
        around = shapely.box(*np.add(window, (-1, -1, 1, 1)))
        parts, owner = shapely.get_parts(
            shapely.intersection(shapes[near], around), return_index=True
        )
        flat = shapely.area(parts) > 0
        size = rows.stop - rows.start, columns.stop - columns.start
        if not flat.any():
            return np.zeros(size, np.int32)
        burn = zip(parts[flat], numbers[near][owner[flat]].tolist(), strict=True)
        shift = Affine.translation(window[0], window[1])
        burnt: Array = rasterize(burn, size, transform=shift, dtype=np.int32)
        return burnt

    return read
