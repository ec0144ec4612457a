"""What flags are worth: changes between scenes, floods, and bright targets.

    python benchmarks/overlay.py pairs FOLDER     # FOLDER/NAME/NAME_1.bmp, NAME_2.bmp, NAME_gt.bmp
    python benchmarks/overlay.py series FOLDER    # FOLDER/PLACE/*_DATEtTIME_*_VV.tif and VH
    python benchmarks/overlay.py joint FOLDER     # as series, VV and VH together
    python benchmarks/overlay.py floods FOLDER    # FOLDER/ID_before.jpg, ID_after.jpg, ID_mask.png
    python benchmarks/overlay.py clutter SCENE    # simulated clutter; SCENE = los_angeles_west
    python benchmarks/overlay.py ordered FOLDER   # all simulated
    python benchmarks/overlay.py sea FOLDER       # as series
    python benchmarks/overlay.py ships FOLDER     # FOLDER/ID_sar.jpg, ID_mask.png
    python benchmarks/overlay.py planted FOLDER   # makes its scenes in FOLDER
    python benchmarks/overlay.py anchored SCENE   # SCENE = los_angeles_west: ships counted by eye
    python benchmarks/overlay.py tags FOLDER      # FOLDER/chips/terramind; a pair set in pairs/
    python benchmarks/overlay.py million FOLDER   # makes its raster in FOLDER

Everything runs with the settings that ``sar2opt run --before`` has by default; nothing is set for
one data set. ``overlay.md`` keeps the tables, and says what each column is.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import overlay_anchored
import overlay_bright
import overlay_joint
import overlay_objects
import overlay_ordered
import overlay_planted
import overlay_tags
from PIL import Image
from scipy.ndimage import label, uniform_filter

from sar2opt import load_model, open_scene
from sar2opt.config import AnomalySettings
from sar2opt.overlay import encode_changes, is_flooded, series_changes
from sar2opt.overlay.changes import change_rates
from sar2opt.sar.change import Change, fit_change_test, local_mean
from sar2opt.sar.normalise import fit_spread
from sar2opt.sar.radiometry import to_power

Power = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
DEFAULT = AnomalySettings()
NOMINAL = 1e-3
STABLE = 0.5  # share of the ground that varies least over all other dates
SERIES, FIELD = 6, 12  # dates of a planted series; side of the planted field, pixels
PLANTED = (-10.0, -6.0, -4.0, 4.0, 6.0, 10.0)  # dB


def sieve(flagged: Mask, least: int) -> Mask:
    """Drop groups of fewer than ``least`` pixels, which may touch by corners."""
    number, _ = label(flagged, np.ones((3, 3)))
    large = np.bincount(number.ravel()) >= least
    large[0] = False
    return large[number]


def flags(pair: Power, window: int = DEFAULT.change_window) -> Mask:
    """Return what a run flags in the last of two dates ``(date, y, x)``, edges mirrored."""
    edge = window // 2
    padded = np.pad(pair, ((0, 0), (edge, edge), (edge, edge)), mode="reflect")
    test = fit_change_test(padded, window)
    inner = (slice(edge, edge + pair.shape[1]), slice(edge, edge + pair.shape[2]))
    found = encode_changes(
        Change(*(values[inner] for values in test(padded))), test.level_db, DEFAULT.change_db
    )
    rates = change_rates(found, 1024)
    return sieve(rates[found[0]] <= DEFAULT.change_false_share, window**2)


def otsu(values: npt.NDArray[Any]) -> float:
    """Return the threshold of N. Otsu, IEEE Trans. Systems, Man and Cybernetics 9(1), 1979."""
    counts, edges = np.histogram(values, 256)
    weight, moment = np.cumsum(counts), np.cumsum(counts * (edges[1:] + edges[:-1]) / 2)
    spread = (moment[-1] * weight / weight[-1] - moment) ** 2
    return float(edges[1:][np.argmax(spread / np.maximum(weight * (weight[-1] - weight), 1))])


def log_ratio_otsu(pair: Power, window: int) -> Mask:
    """Return the classical map: log-ratio of the means of windows, cut by Otsu's threshold."""
    before, after = (uniform_filter(date.astype(float), window) for date in pair)
    ratio = np.abs(np.log((after + 1) / (before + 1)))
    return ratio > otsu(ratio)


def agreement(found: Mask, truth: Mask) -> dict[str, float]:
    """Return kappa, overall accuracy (PCC), F1 and IoU, percent."""
    right, both = float((found == truth).mean()), float((found & truth).sum())
    chance = found.mean() * truth.mean() + (1 - found.mean()) * (1 - truth.mean())
    total = float(found.sum() + truth.sum())
    return {
        "kappa": 100 * (right - chance) / (1 - chance),
        "PCC": 100 * right,
        "F1": 100 * 2 * both / total,
        "IoU": 100 * both / (total - both),
    }


def grey(path: Path) -> npt.NDArray[np.uint8]:
    """Read a picture as grey levels ``(y, x)``."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"))


def pairs(folder: Path) -> None:
    """Judge pairs of 8-bit pictures; their grey levels are taken for power."""
    methods: dict[str, Callable[[Power], Mask]] = {
        "sar2opt, as it runs (windows of 3)": flags,
        "the same, windows of 5": lambda pair: flags(pair, 5),
        "log-ratio + Otsu, windows of 3": lambda pair: log_ratio_otsu(pair, 3),
        "log-ratio + Otsu, windows of 5": lambda pair: log_ratio_otsu(pair, 5),
    }
    print("| pair | method | kappa | PCC | F1 |\n|---|---|---|---|---|")
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        first, second, truth = (grey(place / f"{place.name}_{end}.bmp") for end in ("1", "2", "gt"))
        pair = np.stack([first, second]).astype(np.float32)
        for name, method in methods.items():
            figures = agreement(method(pair), truth > 127)
            row = " | ".join(f"{figures[key]:.1f}" for key in ("kappa", "PCC", "F1"))
            print(f"| {place.name} | {name} | {row} |")


def read_series(place: Path, band: str) -> Iterator[Any]:
    """Yield the scenes of a place in one polarisation, the earliest first."""
    scenes = (open_scene(path) for path in sorted(place.glob(f"*_{band}.tif")))
    yield from sorted(scenes, key=lambda scene: scene.attrs["acquired"])


def series(folder: Path) -> None:
    """Judge series without much real change: alarms of neighbouring dates, and planted fields."""
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    planted: dict[tuple[str, float], list[tuple[bool, bool]]] = defaultdict(list)
    silent: dict[str, list[float]] = defaultdict(list)
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        for band in ("VV", "VH"):
            scenes = list(read_series(place, band))
            power = np.concatenate([scene.values for scene in scenes])
            for name, values in alarms(power).items():
                rates[f"{place.name} {band}", name] += values
            for first in range(0, len(scenes) - SERIES + 1, 5):
                some, grid = power[first : first + SERIES], scenes[first].odc.geobox
                silent[f"{place.name} {band}"].append(flagged_share(some, grid))
                for size in PLANTED:
                    planted[band, size].append(plant(some, grid, size))
    names = ("two dates, all", "two dates, stable", "six dates, all", "six dates, stable")
    print(f"Alarms over {NOMINAL:g}: mean (median) over the series\n")
    print("| place | " + " | ".join(names) + " | flagged by a run, % |\n" + "|---" * 6 + "|")
    for key in silent:
        cells = [f"{np.mean(rates[key, n]):.2f} ({np.median(rates[key, n]):.2f})" for n in names]
        print(f"| {key} | {' | '.join(cells)} | {100 * np.mean(silent[key]):.2f} |")
    for band in ("VV", "VH"):
        cells = []
        for name in names:
            every = [x for key, values in rates.items() if key[0].endswith(band) and key[1] == name
                     for x in values]  # fmt: skip
            cells.append(f"{np.mean(every):.2f} ({np.median(every):.2f})")
        print(f"| all {band} | {' | '.join(cells)} | |")
    print("\n| planted, dB | band | found | of these dated right |\n|---|---|---|---|")
    for (band, size), seen in planted.items():
        found = [dated for there, dated in seen if there]
        print(f"| {size:+g} | {band} | {len(found)} of {len(seen)} | {sum(found)} |")


def alarms(power: Power) -> dict[str, list[float]]:
    """Return rates of p < nominal over nominal of a series ``(date, y, x)``.

    Stable is the ground that varies least, as the standard deviation of log-power with the level
    of each date taken off, over all dates but those that are tested.
    """
    window = DEFAULT.change_window
    logs = np.log(np.maximum(local_mean(power, window), 1e-6))
    logs -= np.nanmedian(logs, axis=(1, 2), keepdims=True)
    rates: dict[str, list[float]] = defaultdict(list)
    for name, length, step in (("two dates", 2, 1), ("six dates", SERIES, 3)):
        for first in range(0, len(power) - length + 1, step):
            tested = np.arange(first, first + length)
            p = fit_change_test(power[tested], window)(power[tested]).p
            spread = np.delete(logs, tested, axis=0).std(axis=0)
            stable = spread <= np.nanquantile(spread, STABLE)
            valid = np.isfinite(p)
            rates[f"{name}, all"].append(float(np.mean(p[valid] < NOMINAL)) / NOMINAL)
            rates[f"{name}, stable"].append(float(np.mean(p[valid & stable] < NOMINAL)) / NOMINAL)
    return rates


def table_of(power: Power, grid: Any) -> Any:
    """Return the changes that a run flags in the last of a series ``(date, y, x)``."""
    return series_changes(
        power,
        grid,
        dates=[str(number) for number in range(len(power))],
        window=DEFAULT.change_window,
        least_db=DEFAULT.change_db,
        false_share=DEFAULT.change_false_share,
        workers=1,
    )


def flagged_share(power: Power, grid: Any) -> float:
    """Return the share of the ground that a run flags."""
    return float(table_of(power, grid)["pixels"].sum() / power[0].size)


def plant(power: Power, grid: Any, size: float) -> tuple[bool, bool]:
    """Plant a change of ``size`` dB in the middle for the last three dates: found, dated right?

    It is found if a change of its direction covers half of the field, and at most half of what is
    flagged there lies elsewhere; dated right if it is dated to the first of the three.
    """
    changed = power.copy()
    rows, cols = ((length - FIELD) // 2 for length in power.shape[1:])
    changed[-3:, rows : rows + FIELD, cols : cols + FIELD] *= 10 ** (size / 10)
    field = grid[rows : rows + FIELD, cols : cols + FIELD].extent.geom
    for row in table_of(changed, grid).itertuples():
        both = row.geometry.intersection(field).area
        right_way = (row.after_db > row.before_db) == (size > 0)
        if right_way and both > 0.5 * field.area and both > 0.5 * row.geometry.area:
            return True, row.since == str(len(power) - 3)
    return False, False


def floods(folder: Path) -> None:
    """Judge pairs of 8-bit pictures before and after floods, each stretched on its own."""
    methods: dict[str, Callable[[Power], Mask]] = {
        "Otsu, dark after": lambda pair: pair[1] < otsu(pair[1]),
        "the same, means of 5 x 5": lambda pair: dark(pair[1]),
        "dark after, and darker than before": lambda pair: dark(pair[1]) & fell(pair),
        "sar2opt: changes that fell": lambda pair: flags(pair) & fell(pair),
        "sar2opt: the net flood-s1, as it runs": told_by_net,
    }
    pooled = {name: np.zeros(3) for name in methods}
    for path in sorted(folder.glob("*_mask.png")):
        number = path.name.removesuffix("_mask.png")
        pair = np.stack([grey(folder / f"{number}_{when}.jpg") for when in ("before", "after")])
        truth = grey(path) > 127
        for name, method in methods.items():
            found = method(pair.astype(np.float32))
            pooled[name] += (found & truth).sum(), found.sum(), truth.sum()
    print("| method | IoU | F1 | precision | recall |\n|---|---|---|---|---|")
    for name, (both, found, true) in pooled.items():
        figures = both / (found + true - both), 2 * both / (found + true), both / found, both / true
        print(f"| {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} |")


def told_by_net(pair: Power) -> Mask:
    """Return where the shipped net gives flood half or more, the pictures read as a run would."""
    model = load_model("flood-s1", precision="float32")
    dates = [to_power(date, "display-dB") for date in pair]
    tile = np.nan_to_num(np.stack([fit_spread(date)(date) for date in dates]), nan=0.0)
    return is_flooded(model.predict_bytes(tile[None], model.to_bytes())[0, 0]) == 1


def dark(after: Power) -> Mask:
    """Return what Otsu's threshold takes for dark in the means of 5 x 5 pixels."""
    smooth = uniform_filter(after, 5)
    return smooth < otsu(smooth)


def fell(pair: Power) -> Mask:
    """Return what became darker than most of the ground did, in means of 5 x 5 pixels."""
    before, after = (uniform_filter(date, 5) + 1 for date in pair)
    return after / before < np.median(after / before)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args(arguments)
    PARTS[asked.part](asked.folder)


PARTS: dict[str, Callable[[Path], None]] = {
    "pairs": pairs,
    "series": series,
    "floods": floods,
    **overlay_bright.PARTS,
    **overlay_anchored.PARTS,
    **overlay_joint.PARTS,
    **overlay_objects.PARTS,
    **overlay_ordered.PARTS,
    **overlay_planted.PARTS,
    **overlay_tags.PARTS,
}

if __name__ == "__main__":
    main()
