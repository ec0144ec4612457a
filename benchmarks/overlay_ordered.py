"""The ordered-statistic detector beside cell averaging: false alarms, crowded rings, speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from overlay_bright import CELLS, DEFAULT, LOOKS, RING, SIMULATED, THREADS, draw

from sar2opt.sar.clutter import ca_cfar, ca_cfar_factor
from sar2opt.sar.clutter_fit import clutter_ratios, fit_clutter
from sar2opt.sar.ordered_statistic import os_cfar, os_cfar_factor
from sar2opt.synth.speckle import draw_speckle

Power = npt.NDArray[np.float32]
Detector = Callable[..., Power]

RATES = (1e-4, 1e-5)
SIDE, IMAGES = 2048, 6  # of the clutter that is judged: 25 million pixels
DETECTORS: dict[str, tuple[Detector, Callable[..., float]]] = {
    "cell averaging": (ca_cfar, ca_cfar_factor),
    "ordered statistic": (partial(os_cfar, exact=True), os_cfar_factor),
}
FALSE_ALARM, CROWD_DB = 1e-6, 8.0  # of the other targets in the ring, over the clutter
TARGETS_DB = (9.0, 10.0, 11.0)
CROWDS = (0.0, 0.1, 0.2)  # share of the ring that they cover
TRIALS = 400


def ordered(folder: Path) -> None:
    """Judge both detectors; everything is simulated, and FOLDER is not looked at."""
    head = " | ".join(f"{rate:g}" for rate in RATES)
    print(f"| clutter | detector | taken for | {head} |\n|---|---|---|---|---|")
    for name in ("gamma, 4.4 looks", "gamma, 4.4 looks, correlated", "K, 4.4 looks, order 4",
                 "lognormal, 2.2 dB", "Weibull, exponent 1.5"):  # fmt: skip
        for detector in DETECTORS:
            law, rates = false_alarms(*SIMULATED[name], DETECTORS[detector][0])
            cells = " | ".join(f"{rate:.2f}" for rate in rates)
            print(f"| {name} | {detector} | {law} | {cells} |", flush=True)
    print(
        "\n| share of the ring | detector | " + " | ".join(f"{x:g} dB" for x in TARGETS_DB) + " |"
    )
    print("|---" * 5 + "|")
    for crowd in CROWDS:
        for detector in DETECTORS:
            found = " | ".join(f"{crowded(crowd, size, detector):.0%}" for size in TARGETS_DB)
            print(f"| {crowd:.0%} | {detector} | {found} |")
    print("\n| detector | Mpx for a second of one core |\n|---|---|")
    for detector, run in {"cell averaging": ca_cfar, "ordered statistic": os_cfar}.items():
        print(f"| {detector} | {speed(run):.1f} |")


def false_alarms(
    kind: str, shapes: tuple[float, ...], detect: Detector
) -> tuple[str, npt.NDArray[np.float64]]:
    """Fit a law to one sample, judge it on other clutter: its name, realised over nominal rates."""
    sample = draw(kind, shapes, (1024, 1024), 0).astype(np.float32)
    windows = sample.reshape(4, 256, 4, 256).swapaxes(1, 2).reshape(16, 256, 256)
    how: dict[str, Any] = {**RING, "factor": 10.0, "background_max": 10 * float(sample.mean())}
    found, _ = fit_clutter(clutter_ratios(windows, **how, detect=detect), DEFAULT.background)
    assert found is not None

    def judge(seed: int) -> npt.NDArray[np.int64]:
        power = draw(kind, shapes, (SIDE, SIDE), seed).astype(np.float32)
        ratio = 10.0 * detect(power, **how)
        return np.array([(ratio > found.law.factor(rate)).sum() for rate in RATES])

    with ThreadPoolExecutor(THREADS) as pool:
        counts = sum(pool.map(judge, range(100, 100 + IMAGES)))
    return found.law.name, counts / (np.array(RATES) * IMAGES * SIDE**2)


def crowded(share: float, target_db: float, detector: str) -> float:
    """Return how many of many single bright pixels are found with others in their rings."""
    detect, factor_of = DETECTORS[detector]
    factor = factor_of(FALSE_ALARM, LOOKS, CELLS)
    side, rng, found = 2 * DEFAULT.background + 1, np.random.default_rng(7), 0
    middle, guard = DEFAULT.background, DEFAULT.guard
    ring = np.ones((side, side), bool)
    ring[middle - guard : middle + guard + 1, middle - guard : middle + guard + 1] = False
    for _ in range(TRIALS):
        power = draw_speckle(rng, (side, side), LOOKS)
        others = rng.choice(np.flatnonzero(ring), round(share * ring.sum()), replace=False)
        power.ravel()[others] *= 10 ** (CROWD_DB / 10)
        power[middle, middle] = 10 ** (target_db / 10)
        ratio = detect(power, **RING, factor=factor, background_max=4.0)
        found += bool(ratio[middle, middle] > 1)
    return found / TRIALS


def speed(detect: Detector) -> float:
    """Return million pixels for each second of processor time, on blocks of 1,024: best of five."""
    power = draw("gamma", (4.4,), (1024 + 40, 1024 + 40), 0)
    took = []
    for _ in range(5):
        start = time.process_time()
        detect(power, **RING, factor=5.0, background_max=2.0)
        took.append(time.process_time() - start)
    return 1024**2 / 1e6 / min(took)


PARTS = {"ordered": ordered}
