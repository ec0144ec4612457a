"""Changes against earlier scenes: tested pixels to anomalies, at a known share of false ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from sar2opt.errors import ConventionError
from sar2opt.overlay.anomalies import anomaly_table, area_in_words, concat, count_in_words
from sar2opt.overlay.components import Components, Progress, Read, find_components, windows
from sar2opt.overlay.corners import Array
from sar2opt.overlay.objects import check_shapes
from sar2opt.overlay.outlines import outline_numbered
from sar2opt.overlay.turned_to_water import WATER, Levels, levels_of_tags, likelier_water
from sar2opt.sar.change import Change, fit_change_test
from sar2opt.sar.change_statistics import false_discovery_rates

CHANGE_BANDS = 4  # p-value, date, before, after
_STEP_P = 0.1  # of -log10 p, by which p-values are kept
_STEP_DB = 0.5  # by which power is kept
_MIDDLE = 128  # code of the scene's level
_MOST_DATES = 127
_DOWN, _UP = 1, 2
_GROWN_P = 0.01  # a flood grows to pixels that fell as clearly, from those that are flagged
_SUREST = 1e-6  # no smaller share is claimed: so far out, no one has counted


def encode_changes(change: Change, level_db: float, least_db: float = 0.0) -> npt.NDArray[np.uint8]:
    """Pack what ``sar.change.ChangeTest`` found into bytes ``(4, y, x)``.

    1. ``1 + floor(-10 log10 p)``, up to 255; 0 where nothing was tested. A change of less than
       ``least_db`` decibels counts as none: p is 1.
    2. The number of the first date of the latest state.
    3. and 4. Power before and after, in steps of 0.5 dB around ``level_db``.
    """
    tested = np.isfinite(change.p)
    with np.errstate(divide="ignore", invalid="ignore"):
        before, after = (10 * np.log10(power) for power in (change.before, change.after))
        steps = np.floor(-np.log10(change.p) / _STEP_P)
        steps[np.abs(after - before) < least_db] = 0
    code = np.where(tested, np.minimum(1 + steps, 255), 0)
    power = [
        np.where(tested, np.clip(np.rint((db - level_db) / _STEP_DB) + _MIDDLE, 1, 255), 0)
        for db in (before, after)
    ]
    since = np.minimum(change.since, _MOST_DATES)
    return np.stack([code, since, *power]).astype(np.uint8)


def changes(
    found: Any,
    geobox: GeoBox,
    *,
    dates: Sequence[str],
    level_db: float,
    false_share: float = 0.01,
    min_pixels: int = 1,
    tags: Any = None,
    names: Sequence[str] = (),
    flooded: Any = None,
    doubt: str = "",
    block: int = 1024,
    workers: int = 0,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """Return one anomaly for each group of pixels whose backscatter rose, or fell, with time.

    ``found`` is uint8 ``(4, y, x)`` as ``encode_changes`` makes it with ``level_db``, NumPy, Zarr
    or anything that is sliced like them; ``dates`` says when each date was, the newest last. Among
    all pixels that are flagged, a share of ``false_share`` is expected to be so by chance. Pixels
    that touch by a corner are one change, and changes of fewer than ``min_pixels`` are left out.
    ``tags`` and ``names`` as for ``bright_targets``: the tag is that of most of the place itself.

    ``before_db`` and ``after_db`` are means over the place, ``since`` the first date that shows
    the latest state, ``p_value`` that of the clearest pixel, and ``q_value`` the share of false
    ones among pixels as clear as that.
    Where backscatter fell and the tag is water, or the ground is as dark as water now and was not
    (``overlay.turned_to_water``), the kind is ``flood``; else it is ``change``. A flood of the
    second kind grows from flagged pixels over what became so dark less clearly. With ``flooded``,
    uint8 ``(y, x)`` that is 1 where a net tells floods, what fell and lies in one for the most part
    is left to that, and the tag of the rest is not believed.

    The score is r / (1 + r), r being the ratio of the two levels: 0.67 for 3 dB, 0.91 for 10 dB.
    ``doubt`` says why all scores are halved; empty, they are not. ``block``, ``workers`` and
    ``progress`` as for ``tags_to_objects``. Raises ``ConventionError`` when shapes differ.
    """
    if tuple(found.shape) != (CHANGE_BANDS, *geobox.shape):
        raise ConventionError(
            f"found has shape {tuple(found.shape)}, not {(CHANGE_BANDS, *geobox.shape)}"
        )
    check_shapes(geobox, tags=tags, flooded=flooded)
    rates = change_rates(found, block)
    threshold = int((rates > false_share).sum())  # they fall
    levels = None if tags is None else levels_of_tags(Band(found, 3), tags, len(names), block)
    wet = _wet(np.arange(256), levels, names)  # by code of power

    def classes(rows: slice, columns: slice) -> Array:
        return _moved(np.asarray(found[:, rows, columns]), threshold, wet)

    def find(values: Read, progress: Progress | None = None) -> Components:
        how: dict[str, Any] = {"block": block, "workers": workers, "progress": progress}
        how |= {"background": 0, "min_pixels": min_pixels, "connectivity": 8}
        return find_components(classes, geobox.shape.yx, values=values, **how)

    clear = find(band_reader(found, 0), progress)
    table, order = outline_numbered(clear, geobox, workers=workers)
    pixels = table["pixels"].to_numpy()
    since, before, after = (
        find(band_reader(found, band)).total[order] / pixels for band in (1, 2, 3)
    )
    codes = range(len(names)) if tags is not None else ()
    cover = [find(band_reader(tags, code=code)).total[order] for code in codes]
    table = table.assign(
        since=np.rint(since).astype(int),
        before_db=db_of_code(before, level_db),
        after_db=db_of_code(after, level_db),
        p_value=p_of_code(table["peak"].to_numpy()),
        q_value=rates[table["peak"].to_numpy()],
    )
    around = _commonest(cover, names, len(table))
    drowned = _wet(after, levels, names) & ~_wet(before, levels, names) & (after < before)
    seeds = find(lambda rows, columns: np.asarray(found[0, rows, columns]) >= threshold)
    grown = seeds.total[order] < min_pixels  # from next to nothing
    told = np.zeros(len(table), bool)
    if flooded is None:
        drowned |= _flooded(table, around)
    else:
        told = (find(band_reader(flooded, code=1)).total[order] > pixels / 2) & (before > after)
    left = [int(number) for number in np.flatnonzero(~(told | grown))]
    table, around = table.iloc[left].reset_index(drop=True), [around[number] for number in left]
    return _changes(table, around, drowned[left], dates, doubt)


def _moved(found: Array, threshold: int, wet: Array) -> Array:
    """Return where power rose, and where it fell: to that of water, less clearly, too."""
    code, _, before, after = found
    moved = np.where(code >= threshold, np.where(after > before, _UP, _DOWN), 0)
    clear = code >= min(threshold, code_of_p(_GROWN_P))
    drowned = clear & wet[after] & ~wet[before] & (after < before)
    return np.where(drowned, _DOWN, moved).astype(np.uint8)


def _wet(code: Array, levels: Levels | None, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return where codes of power ``(n,)`` are those of water; nowhere if no levels are known."""
    return np.zeros(len(code), bool) if levels is None else likelier_water(code, levels, names)


class Band:
    """A band of a layer ``(band, y, x)``, seen as ``(y, x)``."""

    def __init__(self, layer: Any, number: int = 0) -> None:
        self._layer, self._number = layer, number
        self.shape = layer.shape[1:]

    def __getitem__(self, window: tuple[slice, slice]) -> npt.NDArray[np.uint8]:
        return np.asarray(self._layer[(self._number, *window)])


def db_of_code(code: Array, level_db: float) -> npt.NDArray[np.float64]:
    """Return the decibels that bands 3 and 4 of ``encode_changes`` stand for, or means of them."""
    decibel: npt.NDArray[np.float64] = level_db + _STEP_DB * (code - _MIDDLE)
    return decibel


def p_of_code(code: Array) -> npt.NDArray[np.float64]:
    """Return the largest p-value that band 1 of ``encode_changes`` stands for; NaN untested."""
    return np.where(code > 0, np.power(10.0, -_STEP_P * (np.asarray(code, float) - 1)), np.nan)


def series_changes(
    series: npt.NDArray[np.float32],
    geobox: GeoBox,
    *,
    dates: Sequence[str],
    window: int = 3,
    least_db: float = 3.0,
    **settings: Any,
) -> gpd.GeoDataFrame:
    """Return the changes in a series ``(date, y, x)`` of linear power, the newest date last.

    As ``sar2opt run --before`` finds them, for scenes on one grid that fit in memory: the test is
    fitted to the series (``sar.change.fit_change_test``) with windows of ``window`` pixels, and
    changes of less than ``least_db`` decibels are none. ``settings`` are those of ``changes``;
    groups of fewer than ``window`` squared pixels are left out. Raises ``SceneError`` where fewer
    than 500 pixels are valid at all dates, ``ConfigError`` for a window that cannot be.
    """
    test = fit_change_test(series, window)
    found = encode_changes(test(series), test.level_db, least_db)
    how = {"min_pixels": window**2} | settings
    return changes(found, geobox, dates=dates, level_db=test.level_db, **how)


def band_reader(layer: Any, band: int | None = None, code: int | None = None) -> Read:
    """Return a function that reads a window of a band, or where a layer has a code, as 1."""
    if code is not None:
        return lambda rows, columns: (np.asarray(layer[rows, columns]) == code).astype(np.int64)
    return lambda rows, columns: np.asarray(layer[band, rows, columns])


def code_of_p(p: float) -> int:
    """Return the code in band 1 of ``encode_changes`` of a p-value."""
    return 1 + int(-np.log10(p) / _STEP_P + 1e-9)


def change_rates(found: Any, block: int) -> npt.NDArray[np.float64]:
    """Return the q-value of each code of p-values ``(256,)``; infinite for untested pixels."""
    counts = np.zeros(256, np.int64)
    for rows, columns in windows(tuple(found.shape[1:]), block):
        counts += np.bincount(np.asarray(found[0, rows, columns]).ravel(), minlength=256)
    p = p_of_code(np.arange(1, 256))
    return np.concatenate([[np.inf], false_discovery_rates(counts[1:], p)])


def _commonest(cover: Sequence[Array], names: Sequence[str], number: int) -> list[str]:
    """Return the tag that covers most of each of so many places; "" where there is none."""
    if not cover:
        return [""] * number
    counts = np.stack(cover)
    most, tagged = counts.argmax(axis=0), counts.max(axis=0) > 0
    return [names[code] if there else "" for code, there in zip(most, tagged, strict=True)]


def _changes(
    table: gpd.GeoDataFrame,
    tags: Sequence[str],
    flooded: npt.NDArray[np.bool_],
    dates: Sequence[str],
    doubt: str,
) -> gpd.GeoDataFrame:
    ratio = 10 ** (np.abs(table["after_db"] - table["before_db"]).to_numpy() / 10)
    score = ratio / (1 + ratio) * (0.5 if doubt else 1.0)
    reasons = [
        _reason(row, tag, water, dates, doubt)
        for row, tag, water in zip(table.itertuples(), tags, flooded, strict=True)
    ]
    table["since"] = [dates[number] for number in table["since"]]
    kinds = []
    for kind, here in (("change", ~flooded), ("flood", flooded)):
        some = [int(number) for number in np.flatnonzero(here)]
        rows = table.iloc[some].reset_index(drop=True)
        words = ([texts[number] for number in some] for texts in (tags, reasons))
        kinds.append(anomaly_table(rows, kind, score[some], *words))
    return concat(kinds, table.crs)


def _flooded(table: gpd.GeoDataFrame, tags: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return where backscatter fell and water is tagged now."""
    fell = (table["after_db"] < table["before_db"]).to_numpy(bool)
    return np.asarray(fell & np.array([tag == WATER for tag in tags], bool))


def _reason(change: Any, tag: str, flooded: bool, dates: Sequence[str], doubt: str) -> str:
    """Say in a sentence what changed, when, and how likely chance is."""
    moved = "rose" if change.after_db > change.before_db else "fell"
    wind = ", where wind does that too" if tag == WATER else ""
    place = f" on {tag.replace('_', ' ')}{wind}," if tag and not flooded else ""
    first = "Backscatter"
    if flooded:  # by the tag, or by how dark it is
        now = "water, or water that has calmed" if tag == WATER else "as dark as water"
        first = f"Now {now}: backscatter"
    halved = f"; score halved: {doubt}" if doubt else ""
    return (
        f"{first} {moved} by {abs(change.after_db - change.before_db):.0f} dB "
        f"(from {change.before_db:.0f} to {change.after_db:.0f} dB) over "
        f"{area_in_words(change.area_m2)}{place} between {dates[change.since - 1]} and "
        f"{dates[change.since]}; of changes as clear as this, fewer than one in "
        f"{count_in_words(1 / max(change.q_value, _SUREST))} is chance{halved}."
    )
