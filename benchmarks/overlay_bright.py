"""What the bright targets of CFAR are worth: false-alarm rates, ships, speed.

Parts of ``overlay.py``, which is run; ``overlay.md`` keeps the tables and the protocol.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import binary_dilation, label, uniform_filter

from sar2opt import open_scene
from sar2opt.config import AnomalySettings
from sar2opt.sar.clutter import ca_cfar, ca_cfar_factor, ring_cells
from sar2opt.sar.clutter_fit import clutter_ratios, fit_clutter
from sar2opt.sar.clutter_laws import LAWS, Law
from sar2opt.sar.ground import find_ground
from sar2opt.sar.looks import multilook
from sar2opt.sar.normalise import NormalisationSettings, fit_normalisation
from sar2opt.synth.speckle import draw_speckle
from sar2opt.tiles.sample import sample_patches, sample_windows

Power = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
DEFAULT = AnomalySettings()
RING = {"guard": DEFAULT.guard, "background": DEFAULT.background}
CELLS = ring_cells(**RING)
LOOKS = 4.4  # what a run assumes where the file does not say
RATES = (1e-4, 1e-5, 1e-6)
THREADS = 2

FITS = 5  # times that a law is fitted, to another sample
SIDE, IMAGES = 2048, 24  # of the clutter that is judged: 100 million pixels
SIMULATED: dict[str, tuple[str, tuple[float, ...]]] = {
    "gamma, 4.4 looks": ("gamma", (4.4,)),
    "gamma, 10 looks": ("gamma", (10.0,)),
    "gamma, 4.4 looks, correlated": ("correlated", (4.4,)),
    "K, 4.4 looks, order 4": ("k", (4.4, 4.0)),
    "K, 4.4 looks, order 4, correlated": ("correlated", (4.4, 4.0)),
    "K, 1 look, order 2": ("k", (1.0, 2.0)),
    "lognormal, 2.2 dB": ("lognormal", (0.5,)),
    "lognormal, 3.5 dB": ("lognormal", (0.8,)),
    "Weibull, exponent 1.5": ("weibull", (1.5,)),
    "Weibull, exponent 0.8": ("weibull", (0.8,)),
}
GRAIN = (0.8, 5.0)  # pixels over which speckle and texture are correlated

# First and last column and row + 1 of open water in scenes/los_angeles_west, by eye: clear of
# ships, breakwaters, jetties and surf.
OPEN_WATER = {
    "Santa Monica Bay": (
        (6152, 6400, 4180, 5110), (6400, 6560, 4480, 5110), (6560, 6680, 4840, 5110),
    ),
    "San Pedro Bay": (
        (9680, 9980, 7900, 7990), (9980, 10130, 7620, 7930), (9980, 10120, 7500, 7580),
        (10180, 10380, 7830, 7920), (10460, 10600, 7740, 7860), (10460, 10660, 7860, 7990),
        (9720, 10260, 8040, 8170), (10350, 10640, 8040, 8180), (10720, 11000, 8000, 8100),
        (10800, 11000, 8110, 8180),
    ),
}  # fmt: skip


def draw(kind: str, shapes: tuple[float, ...], size: tuple[int, int], seed: int) -> Power:
    """Return clutter of mean or scale 1, ``(y, x)``."""
    rng = np.random.default_rng(seed)
    match kind:
        case "correlated":
            parts = zip(shapes, GRAIN, strict=False)
            return np.prod([draw_speckle(rng, size, *part) for part in parts], axis=0)
        case "gamma" | "k":
            power = np.ones(size, np.float32)
            for shape in shapes:
                power *= rng.standard_gamma(shape, size, dtype=np.float32) / np.float32(shape)
            return power
        case "lognormal":
            return np.exp(np.float32(shapes[0]) * rng.standard_normal(size, dtype=np.float32))
    return rng.standard_exponential(size, dtype=np.float32) ** np.float32(1 / shapes[0])


def ratios_of(power: Power, ceiling: float = np.inf) -> Power:
    """Return pixel over ring mean wherever the ring mean is at most ``ceiling``."""
    ceiling = min(ceiling, 10 * float(np.nanmean(power)))
    return 10 * ca_cfar(power, **RING, factor=10.0, background_max=ceiling)


def fit(windows: Power) -> Law:
    """Return the law that a run fits to dark ground ``(window, y, x)``."""
    settings = {"factor": 10.0, "background_max": 10 * float(np.nanmean(windows))}
    found, independent = fit_clutter(
        clutter_ratios(windows, **RING, **settings), DEFAULT.background
    )
    assert found is not None, independent
    return found.law


def exceeded(values: Power, factor: Callable[[float], float]) -> list[int]:
    """Return how many of the ratios exceed the thresholds for ``RATES``."""
    return [int((values > factor(rate)).sum()) for rate in RATES]


def assumed(rate: float) -> float:
    """Return the threshold for gamma clutter of the looks that a run assumes."""
    return ca_cfar_factor(rate, LOOKS, CELLS)


def over_nominal(counts: Iterable[int], pixels: int) -> str:
    """Return rates over the nominal ones, and the counts, as cells of a table."""
    pairs = zip(counts, RATES, strict=True)
    return " | ".join(f"{count / pixels / rate:.2f} ({count})" for count, rate in pairs)


def clutter(scene: Path) -> None:
    """Judge false-alarm rates: simulated clutter, real sea; and speed."""
    head = " | ".join(f"{rate:g}" for rate in RATES)
    print(f"Realised over nominal rate\n\n| clutter | taken for | {head} |\n|---|---|---|---|---|")
    for name, (kind, shapes) in SIMULATED.items():
        judge_simulated(name, kind, shapes)
    print(f"\n| sea | pixels | taken for | {head} |\n|---|---|---|---|---|---|")
    judge_sea(scene)
    print("\n| detector | Mpx/s |\n|---|---|")
    for name, speed in speeds().items():
        print(f"| {name} | {speed:.0f} |")


def judge_simulated(name: str, kind: str, shapes: tuple[float, ...]) -> None:
    """Fit to five samples, judge on other clutter: the least and the largest rate of the five."""
    laws = []
    for seed in range(FITS):
        power = draw(kind, shapes, (1024, 1024), seed)
        laws.append(fit(power.reshape(4, 256, 4, 256).swapaxes(1, 2).reshape(16, 256, 256)))

    def judge(seed: int) -> npt.NDArray[np.int64]:
        values = ratios_of(draw(kind, shapes, (SIDE, SIDE), seed))
        return np.array([exceeded(values, law) for law in (assumed, *(x.factor for x in laws))])

    with ThreadPoolExecutor(THREADS) as pool:
        counts = sum(pool.map(judge, range(100, 100 + IMAGES)))
    nominal = np.array(RATES) * IMAGES * SIDE**2
    print(f"| {name} | gamma, {LOOKS:g} looks |", *row_of(counts[:1] / nominal))
    print(f"| | {' / '.join(dict.fromkeys(law.name for law in laws))}, fitted |",
          *row_of(counts[1:] / nominal), flush=True)  # fmt: skip


def row_of(rates: npt.NDArray[np.float64]) -> Iterator[str]:
    for column in rates.T:
        ends = [f"{end:.2f}" if end < 10 else f"{end:.0f}" for end in (column.min(), column.max())]
        yield " to ".join(dict.fromkeys(ends)) + " |"


def judge_sea(path: Path) -> None:
    """Judge on open water: as a run fits, and each bay by what was fitted to the other one."""
    scene = open_scene(path)
    power = scene.values[0]
    run = law_of_run(scene)
    water = {name: [power[y0 - 20 : y1 + 20, x0 - 20 : x1 + 20] for x0, x1, y0, y1 in areas]
             for name, areas in OPEN_WATER.items()}  # fmt: skip
    values = {name: np.concatenate([ratios_of(area)[20:-20, 20:-20].ravel() for area in areas])
              for name, areas in water.items()}  # fmt: skip
    bays = list(water)
    for bay, other in zip(bays, bays[::-1], strict=True):
        cross = fit(padded(water[other]))
        for name, factor in {
            f"gamma, {LOOKS:g} looks": assumed,
            f"{run}, as a run fits": run.factor,
            f"{cross}, fitted to {other}": cross.factor,
        }.items():
            counts = exceeded(values[bay], factor)
            row = over_nominal(counts, values[bay].size)
            print(f"| {bay} | {values[bay].size:,} | {name} | {row} |", flush=True)


def padded(areas: list[Power]) -> Power:
    """Stack areas of several sizes, NaN around the smaller ones."""
    rows, cols = (max(area.shape[axis] for area in areas) for axis in (0, 1))
    stack = np.full((len(areas), rows, cols), np.nan, np.float32)
    for out, area in zip(stack, areas, strict=True):
        out[: area.shape[0], : area.shape[1]] = area
    return stack


def law_of_run(scene: Any) -> Law:
    """Return the law that a run fits to a scene, without the rest of the run."""
    windows = sample_windows(scene)
    ceiling = ceiling_of(windows)
    settings = {"factor": assumed(DEFAULT.false_alarm), "background_max": ceiling}
    patches = sample_patches(scene, windows, ceiling)
    found, _ = fit_clutter(clutter_ratios(patches, **RING, **settings), DEFAULT.background)
    assert found is not None
    return found.law


def ceiling_of(power: Power) -> float:
    """Return the power up to which ground is looked at in a run with the shipped models."""
    settings = NormalisationSettings()
    norm = fit_normalisation(power, settings)
    how = {"dark_db": DEFAULT.dark_db, "even_db": DEFAULT.even_db}
    return float(10 ** (find_ground(norm, settings.quantile, LOOKS, **how).highest_db / 10))


def sea(folder: Path) -> None:
    """Judge series at sea: each place fitted on every other date, judged on those between."""
    counts: dict[tuple[str, str], npt.NDArray[np.int64]] = defaultdict(lambda: np.zeros(3, int))
    pixels: dict[str, int] = defaultdict(int)
    names: dict[str, list[str]] = defaultdict(list)
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        if place.name == "T137-292325-IW1":  # the only one with land
            continue
        for band in ("VV", "VH"):
            scenes = [open_scene(path).values[0] for path in sorted(place.glob(f"*_{band}.tif"))]
            law = fit(np.stack(scenes[::2]))
            names[band].append(law.name)
            values = np.concatenate([ratios_of(power).ravel() for power in scenes[1::2]])
            values = values[np.isfinite(values)]
            pixels[band] += values.size
            counts[band, "assumed"] += exceeded(values, assumed)
            counts[band, "fitted"] += exceeded(values, law.factor)
    print("| band | pixels | taken for | " + " | ".join(f"{rate:g}" for rate in RATES) + " |")
    print("|---" * 6 + "|")
    for (band, how), found in counts.items():
        laws = ", ".join(f"{names[band].count(law)} {law}" for law in LAWS if law in names[band])
        what = f"gamma, {LOOKS:g} looks" if how == "assumed" else f"fitted: {laws}"
        print(f"| {band} | {pixels[band]:,} | {what} | {over_nominal(found, pixels[band])} |")


def speeds() -> dict[str, float]:
    """Return million pixels a second, on blocks of 1,024 pixels and two threads: best of five."""
    blocks = [draw("gamma", (4.4,), (1024 + 40, 1024 + 40), seed) for seed in range(8)]

    def detector(power: Power) -> None:
        ca_cfar(power, **RING, factor=5.0, background_max=2.0)

    def plain(power: Power) -> None:
        outer, inner = (2 * side + 1 for side in (DEFAULT.background, DEFAULT.guard))
        ring = uniform_filter(power, outer) * outer**2 - uniform_filter(power, inner) * inner**2
        np.greater(power, ring * (5.0 / CELLS))

    found = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for name, run in {
            "sar2opt: censored, NaN-safe, exact sums": detector,
            "scipy: two uniform filters, neither": plain,
        }.items():
            took = []
            for _ in range(5):
                start = time.perf_counter()
                list(pool.map(run, blocks))
                took.append(time.perf_counter() - start)
            found[name] = len(blocks) * 1024**2 / 1e6 / min(took)
    return found


def ships(folder: Path) -> None:
    """Judge on pictures with masks, 8 bit, taken for amplitude, at several pixel sizes."""
    print("| looks taken | clutter | ships | found | false groups | pictures without any |")
    print("|---|---|---|---|---|---|")
    for side in (1, 2, 4, 8):
        for how in ("assumed", "fitted"):
            judged = [judge_ships(path, side, how) for path in sorted(folder.glob("*_sar.jpg"))]
            there, found, false, fell_back = (sum(column) for column in zip(*judged, strict=True))
            silent = sum(row[2] == 0 for row in judged)
            note = f"fitted ({fell_back} of {len(judged)} fell back)" if how == "fitted" else how
            print(f"| {side} x {side} | {note} | {there} | {found} ({found / there:.0%}) | {false} "
                  f"| {silent} of {len(judged)} |")  # fmt: skip


def judge_ships(path: Path, side: int, how: str) -> tuple[int, int, int, int]:
    """Return ships, ships found, groups found elsewhere, and whether no law could be fitted."""
    with Image.open(path) as picture:
        amplitude = np.asarray(picture.convert("L"), np.float32)
    with Image.open(path.with_name(path.name.replace("_sar.jpg", "_mask.png"))) as picture:
        mask = np.asarray(picture.convert("RGB"))[..., 1] > 127
    power = multilook((amplitude / 255) ** 2, side)
    marked = multilook(mask.astype(np.float32), side) > 0
    ceiling, factor = ceiling_of(power), assumed(DEFAULT.false_alarm)
    found_law = None
    if how == "fitted":
        dark = clutter_ratios(power[None], **RING, factor=factor, background_max=ceiling)
        found_law, _ = fit_clutter(dark, DEFAULT.background)
        factor = found_law.law.factor(DEFAULT.false_alarm) if found_law else factor
    bright = ca_cfar(power, **RING, factor=factor, background_max=ceiling) > 1
    groups, number = label(bright, np.ones((3, 3)))
    large = np.bincount(groups.ravel(), minlength=number + 1) >= DEFAULT.min_pixels
    large[0] = False
    bodies, there = label(marked, np.ones((3, 3)))
    seen = np.unique(bodies[large[groups] & marked])
    near = np.unique(groups[binary_dilation(marked, np.ones((3, 3)), 2)])
    false = large.sum() - large[near].sum()
    return there, int((seen > 0).sum()), int(false), int(how == "fitted" and found_law is None)


PARTS: dict[str, Callable[[Path], None]] = {"clutter": clutter, "sea": sea, "ships": ships}
