"""Speckle filters side by side: how much speckle goes, what stays, and how fast.

    python benchmarks/speckle.py [SCENE] [--crop ROW COL] [--looks 4.4] [--json speckle.json]

On simulated truth (``sar2opt.synth``) speckle is drawn anew, so all is known:

- **ENL**: mean^2 / variance on an even surface. **bias**: mean of the filtered over that of the
  truth. **ratio**: mean of noisy over filtered, 1 if speckle alone was taken away (Oliver and
  Quegan 2004, ch. 6; Gomez, Ospina and Frery, Unassisted quantitative evaluation of despeckling
  filters, Remote Sensing 9(4), 2017). **level**: mean of filtered over that of noisy, over the
  landscape, whose towns have bright points.
- **edges**: the correlation, over a landscape, of what a Laplacian finds in the truth and in the
  filtered scene, both in dB: 1 is all edges kept, and no others (the beta of F. Sattar,
  L. Floreby, G. Salomonsson and B. Lovstrom, IEEE Trans. Image Processing 6(6), 1997).
- **error**: root mean square difference to the truth in dB, over the landscape.

A real SCENE has no truth. **ENL**: estimated from the scene itself (``sar.looks``) after the
filter. **ratio**: as above. **edges**: the crop multilooked 4 x 4 serves as truth, real structure
under speckle that is simulated.

**Mpx/s**: filters of sar2opt in memory, in blocks on all cores; the Orfeo Toolbox's ``Despeckle``,
where it is installed, from file to file, start-up taken off (the difference of two sizes).
Megapixels a second of a processor, all threads and children added up, hardly depend on what else
runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rich.console import Console
from scipy.ndimage import laplace

from sar2opt import open_scene
from sar2opt.errors import Sar2optError
from sar2opt.raster import take_band
from sar2opt.sar.looks import estimate_looks, multilook
from sar2opt.sar.radiometry import to_db
from sar2opt.sar.speckle import FILTERS, SpeckleFilter
from sar2opt.sar.speckle.local_statistics import least_square_error
from sar2opt.sar.speckle.windows import Sums, Valid, by_tiles, core, moments
from sar2opt.synth import SceneSpec
from sar2opt.synth.backscatter import expected_power
from sar2opt.synth.landscape import make_landscape
from sar2opt.synth.speckle import draw_speckle
from sar2opt.tiles.engine import count_workers

Power = npt.NDArray[np.float32]
Filter = Callable[[Power], Power]

OTB = "otbcli_Despeckle"
OTB_FILTERS = {
    "lee": ("lee", "nblooks"),
    "kuan": ("kuan", "nblooks"),
    "frost": ("frost", "deramp"),
    "gamma-map": ("gammamap", "nblooks"),
}
DERAMP = 2.0  # what sar2opt's Frost filter has as damping
SIDE, CROP, LOOKED, ROUNDS = 512, 2048, 4, 3
COLUMNS = ("ENL", "bias", "ratio", "level", "edges", "error_db", "real_ENL", "real_ratio",
           "real_edges", "mpx_per_s", "mpx_per_cpu_s")  # fmt: skip


def ours(looks: float) -> dict[str, Filter]:
    """Return the filters of sar2opt, by name and window, and one that might become one."""
    windows = {name: (kind.window,) if kind.fixed else (5, 7) for name, kind in FILTERS.items()}
    windows["lee-sigma"] = (7, 9)
    made = [SpeckleFilter(name, side, looks) for name, sides in windows.items() for side in sides]
    tested: dict[str, Filter] = {
        f"lee {side}, tested": partial(tested_lee, window=side, looks=looks) for side in (5, 7)
    }
    return {**{f"{each.name} {each.side}": each for each in made}, **tested}


def tested_lee(power: Power, *, window: int, looks: float) -> Power:
    """Lee's filter, but the plain mean unless the window is uneven beyond chance.

    The squared coefficient of variation of n pixels of nothing but speckle has the standard
    deviation (2 (1 + 1 / looks) / n)^1/2 / looks, to first order; beyond 1.645 of these the window
    counts as uneven. The class of even windows is that of A. Lopes, R. Touzi and E. Nezry,
    Adaptive speckle filters and scene heterogeneity, IEEE TGRS 28(6), 1990; the threshold here
    allows for the size of the sample. It is no filter of the package: see speckle.md.
    """
    noise = 1 / looks
    most = noise * (1 + 1.645 * np.sqrt(2 * (1 + noise)) / window)

    def estimate(values: Sums, valid: Valid) -> Sums:
        mean, variance = moments(values, valid, window)
        smooth = least_square_error(core(values, window // 2), mean, variance, noise)
        return np.where(variance > most * mean * mean, smooth, mean)

    return by_tiles(estimate, power, window // 2)


def otb(looks: float) -> dict[str, Filter]:
    """Return the filters of the Orfeo Toolbox, if it is on this machine."""
    if shutil.which(OTB) is None:
        return {}
    return {
        f"OTB {name} {side}": partial(run_otb, name=name, side=side, looks=looks)
        for name in OTB_FILTERS
        for side in (5, 7)
    }


def run_otb(power: Power, *, name: str, side: int, looks: float) -> Power:
    """Filter ``power`` ``(y, x)`` by ``otbcli_Despeckle``; it knows no NaN, and gets 0 there."""
    word, setting = OTB_FILTERS[name]
    value = DERAMP if setting == "deramp" else looks
    with TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.tif", Path(folder) / "after.tif"
        size = {"height": power.shape[0], "width": power.shape[1], "count": 1}
        with rasterio.open(
            before, "w", driver="GTiff", dtype="float32", tiled=True, **size
        ) as file:
            file.write(np.nan_to_num(power), 1)
        how = [f"-filter.{word}.rad", str(side // 2), f"-filter.{word}.{setting}", str(value)]
        words = [OTB, "-in", str(before), "-out", str(after), "float", "-filter", word, *how]
        unset = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        subprocess.run(words, check=True, capture_output=True, env=unset)
        with rasterio.open(after) as file:
            return np.where(np.isfinite(power), file.read(1), np.float32(np.nan))


def edges_kept(truth: Power, smooth: Power) -> float:
    """Return the correlation of the Laplacians of two scenes ``(y, x)``, in dB."""
    seen = np.isfinite(truth) & np.isfinite(smooth)
    edges = [
        laplace(to_db(np.where(seen, power, 1.0)).astype(np.float64)) for power in (truth, smooth)
    ]
    inside = laplace(seen.astype(np.float64)) == 0
    return float(np.corrcoef(*(part[seen & inside] for part in edges))[0, 1])


def on_truth(apply: Filter, looks: float) -> dict[str, float]:
    """Judge a filter on simulated truth."""
    rng = np.random.default_rng(0)
    even = draw_speckle(rng, (SIDE, SIDE), looks).astype(np.float32) * np.float32(0.05)
    smooth = apply(even)
    spec = SceneSpec(shape=(SIDE, SIDE))
    truth = expected_power(make_landscape(spec), spec)[0][0]
    noisy = truth * draw_speckle(rng, truth.shape, looks)
    landscape = apply(noisy)
    return {
        "ENL": float(smooth.mean(dtype=float) ** 2 / smooth.var(dtype=float)),
        "bias": float(smooth.mean(dtype=float) / 0.05),
        "ratio": float((even / smooth).mean(dtype=float)),
        "level": float(landscape.mean(dtype=float) / noisy.mean(dtype=float)),
        "edges": edges_kept(truth, landscape),
        "error_db": float(np.sqrt(np.mean((to_db(landscape) - to_db(truth)) ** 2))),
    }


def on_scene(apply: Filter, crop: Power, looks: float) -> dict[str, float]:
    """Judge a filter on a real crop ``(y, x)``."""
    smooth = apply(crop)
    truth = multilook(crop, LOOKED)
    drawn = draw_speckle(np.random.default_rng(0), truth.shape, looks)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = crop / smooth
    return {
        "real_ENL": estimate_looks(smooth),
        "real_ratio": float(ratio[np.isfinite(ratio)].mean(dtype=float)),
        "real_edges": edges_kept(truth, apply(truth * drawn)),
    }


def speed_of_ours(apply: SpeckleFilter) -> dict[str, float]:
    """Return the speed over blocks with their margins, on all cores."""
    side, margin = 1024, apply.margin
    shape = (side + 2 * margin, side + 2 * margin)
    block = draw_speckle(np.random.default_rng(0), shape, apply.looks)
    workers = count_workers(0)
    with ThreadPoolExecutor(workers) as pool:
        rounds = [
            took(lambda: list(pool.map(apply, [block] * (2 * workers)))) for _ in range(ROUNDS)
        ]
    return speeds(2 * workers * side * side, np.median(rounds, axis=0))


def speed_of_otb(apply: Filter) -> dict[str, float]:
    """Return the speed from the difference of two sizes, files included."""
    sizes = (1024, 3072)
    scenes = [draw_speckle(np.random.default_rng(0), (side, side), 4.4) for side in sizes]
    seconds = [took(partial(apply, scene)) for scene in scenes]
    return speeds(sizes[1] ** 2 - sizes[0] ** 2, np.subtract(seconds[1], seconds[0]))


def took(work: Callable[[], Any]) -> tuple[float, float]:
    """Return the seconds that work takes, and those of processors, of children too."""

    def clocks() -> tuple[float, float]:
        return time.perf_counter(), time.process_time() + sum(os.times()[2:4])

    before = clocks()
    work()
    wall, cpu = np.subtract(clocks(), before)
    return float(wall), float(cpu)


def speeds(pixels: int, seconds: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return megapixels a second, and a second of a processor."""
    wall, cpu = (pixels / 1e6 / max(part, 0.01) for part in seconds)
    return {"mpx_per_s": float(wall), "mpx_per_cpu_s": float(cpu)}


def read_crop(path: Path, corner: tuple[int, int] | None) -> Power:
    """Return up to 2048 x 2048 pixels of the first band, from ``corner`` or in the middle."""
    scene = open_scene(path, chunks=512)
    scene = take_band(scene, str(scene.band.values[0]))
    row, col = corner or [max(0, (size - CROP) // 2) for size in scene.shape[1:]]
    return np.asarray(scene[0, row : row + CROP, col : col + CROP].values)


def table(rows: dict[str, dict[str, float]]) -> str:
    """Return the figures as Markdown."""
    shown = [name for name in COLUMNS if any(name in row for row in rows.values())]
    form = {
        "ENL": ".0f",
        "real_ENL": ".0f",
        "mpx_per_s": ".1f",
        "mpx_per_cpu_s": ".1f",
        "error_db": ".2f",
    }
    lines = [f"| filter | {' | '.join(shown)} |", "|---|" + "---|" * len(shown)]
    for name, row in rows.items():
        cells = [f"{row[key]:{form.get(key, '.3f')}}" if key in row else "" for key in shown]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", nargs="?", type=Path)
    parser.add_argument("--crop", nargs=2, type=int, metavar=("ROW", "COL"))
    parser.add_argument("--looks", type=float, default=4.4)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    err = Console(stderr=True)
    try:
        crop = read_crop(asked.scene, asked.crop) if asked.scene else None
        found = None if crop is None else estimate_looks(crop)
    except Sar2optError as error:
        parser.error(str(error))
    if shutil.which(OTB) is None:
        err.print(f"{OTB} is not installed: without it")
    rows: dict[str, dict[str, float]] = {}
    filters: dict[str, Any] = {**ours(asked.looks), **otb(asked.looks)}
    for name, apply in filters.items():
        rows[name] = on_truth(apply, asked.looks)
        if crop is not None:
            rows[name] |= on_scene(apply, crop, asked.looks)
        if isinstance(apply, SpeckleFilter):
            rows[name] |= speed_of_ours(apply)
        elif name.startswith("OTB"):
            rows[name] |= speed_of_otb(apply)
        err.print(f"{name}: {rows[name]}")
    print(table(rows))
    if found is not None:
        print(f"\nThe crop itself has {found:.1f} looks, as estimated.")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
