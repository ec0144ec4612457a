"""Change told from two polarisations together: false alarms, and planted fields, as ``series``."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sar2opt import open_scene
from sar2opt.config import AnomalySettings
from sar2opt.overlay import changes, encode_changes
from sar2opt.sar.change import fit_change_test, local_mean
from sar2opt.sar.change_joint import fit_joint_test

Power = npt.NDArray[np.float32]
DEFAULT = AnomalySettings()
NOMINAL, STABLE = (1e-2, 1e-3), 0.5
SERIES, FIELD = 6, 12
PLANTED = (-6.0, -4.0, 4.0, 6.0)  # dB


def joint(folder: Path) -> None:
    """Judge VV, VH and both on the same series, dates and planted fields."""
    rates: dict[tuple[str, str, float], list[float]] = defaultdict(list)
    found: dict[tuple[str, float], list[bool]] = defaultdict(list)
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        power, grid = read_place(place)
        for name, bands in (("VV", [0]), ("VH", [1]), ("both", [0, 1])):
            for length, step in ((2, 1), (SERIES, 3)):
                for first in range(0, power.shape[1] - length + 1, step):
                    tested = np.arange(first, first + length)
                    p, _ = tested_of(power[bands][:, tested])
                    stable = stable_ground(power, tested) & np.isfinite(p)
                    for nominal in NOMINAL:
                        share = float(np.mean(p[stable] < nominal)) / nominal
                        rates[name, f"{length} dates", nominal].append(share)
            for first in range(0, power.shape[1] - SERIES + 1, 5):
                some = power[bands][:, first : first + SERIES]
                for size in PLANTED:
                    found[name, size].append(plant(some, grid, size))
    print("| tested | dates | 1e-2 | 1e-3 |\n|---|---|---|---|")
    for name in ("VV", "VH", "both"):
        for dates in ("2 dates", f"{SERIES} dates"):
            cells = [
                f"{np.mean(rates[name, dates, n]):.2f} ({np.median(rates[name, dates, n]):.2f})"
                for n in NOMINAL
            ]
            print(f"| {name} | {dates} | {' | '.join(cells)} |")
    print("\n| planted, dB | VV | VH | both |\n|---|---|---|---|")
    for size in PLANTED:
        seen = [found[name, size] for name in ("VV", "VH", "both")]
        print(f"| {size:+g} | " + " | ".join(f"{sum(one)} of {len(one)}" for one in seen) + " |")


def read_place(place: Path) -> tuple[Power, Any]:
    """Return the power of a place ``(polarisation, date, y, x)`` and its grid."""
    bands = []
    for band in ("VV", "VH"):
        scenes = [open_scene(path) for path in place.glob(f"*_{band}.tif")]
        scenes.sort(key=lambda scene: scene.attrs["acquired"])
        bands.append(np.concatenate([scene.values for scene in scenes]))
    return np.stack(bands), scenes[0].odc.geobox


def tested_of(series: Power) -> tuple[Any, Any]:
    """Return p-values of a series ``(polarisation, date, y, x)``, and what a run keeps of them."""
    if len(series) == 1:
        test = fit_change_test(series[0], DEFAULT.change_window)
        change = test(series[0])
    else:
        test = fit_joint_test(list(series), DEFAULT.change_window)
        change = test(series)
    return change.p, (test, encode_changes(change, test.level_db, DEFAULT.change_db))


def stable_ground(power: Power, tested: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return the half of the ground that varies least over all other dates, in VV and VH."""
    logs = np.log(np.maximum(local_mean(power, DEFAULT.change_window), 1e-6))
    logs -= np.nanmedian(logs, axis=(2, 3), keepdims=True)
    spread = np.delete(logs, tested, axis=1).std(axis=1).max(axis=0)
    return np.asarray(spread <= np.nanquantile(spread, STABLE))


def plant(power: Power, grid: Any, size: float) -> bool:
    """Plant a change in the middle of all polarisations for the last three dates: found?"""
    changed = power.copy()
    rows, cols = ((length - FIELD) // 2 for length in power.shape[2:])
    changed[:, -3:, rows : rows + FIELD, cols : cols + FIELD] *= 10 ** (size / 10)
    _, (test, found) = tested_of(changed)
    field = grid[rows : rows + FIELD, cols : cols + FIELD].extent.geom
    table = changes(
        found, grid, dates=[str(number) for number in range(power.shape[1])],
        level_db=test.level_db, false_share=DEFAULT.change_false_share,
        min_pixels=DEFAULT.change_window**2, workers=1,
    )  # fmt: skip
    for row in table.itertuples():
        both = row.geometry.intersection(field).area
        right_way = (row.after_db > row.before_db) == (size > 0)
        if right_way and both > 0.5 * field.area and both > 0.5 * row.geometry.area:
            return True
    return False


PARTS = {"joint": joint}
