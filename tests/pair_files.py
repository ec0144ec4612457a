"""Simulated pairs for the tests of paired sets: one landscape, cut into chips or kept whole."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sar2opt.synth import SceneSpec, make_scene
from sar2opt.training.pairs.pair import Pair, Split

SIDE = 128


@cache
def landscape(seed: int = 5, side: int = 640) -> tuple[Any, Any]:
    """Return backscatter in dB ``(y, x)`` and the optical image ``(3, y, x)`` uint8."""
    scene = make_scene(SceneSpec(name="land", kind="valley", shape=(side, side), seed=seed))
    power = scene.sar.values[0]
    decibel = 10.0 * np.log10(np.maximum(power, 1e-5))
    return decibel.astype(np.float32), np.round(scene.optical.values * 255).astype(np.uint8)


def chip(
    y: int, x: int, name: str = "", split: Split = "train", side: int = SIDE, **changes: Any
) -> Pair:
    """Return the chip of the landscape that begins at row ``y`` and column ``x``."""
    decibel, optical = landscape()
    window = (slice(y, y + side), slice(x, x + side))
    values: dict[str, Any] = {
        "name": f"land/{name or f'{y}-{x}'}",
        "source": "land",
        "place": name or f"{y}-{x}",
        "split": split,
        "look": "natural",
        "decibel": decibel[window].astype(np.float16),
        "optical": optical[(slice(None), *window)],
        "levels": (-8.0, -7.5),
        "tone": ((1.0, 0.0),) * 3,
    }
    return Pair(**values | changes)


def write_chips(folder: Path, step: int = SIDE, side: int = SIDE) -> list[str]:
    """Write the landscape as chips ``ROW_COL_sar.png`` and ``..._opt.png``; returns their names."""
    decibel, optical = landscape()
    grey = np.clip((decibel + 25.0) / 25.0 * 255.0, 0, 255).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for y in range(0, grey.shape[0] - side + 1, step):
        for x in range(0, grey.shape[1] - side + 1, step):
            window = (slice(y, y + side), slice(x, x + side))
            name = f"{y // step}_{x // step}"
            Image.fromarray(grey[window]).save(folder / f"{name}_sar.png")
            colour = np.ascontiguousarray(np.moveaxis(optical[(slice(None), *window)], 0, -1))
            Image.fromarray(colour).save(folder / f"{name}_opt.png")
            names.append(name)
    return names
