"""A tiny simulated Sentinel-1 GRD product, of speckle, as a folder, a zip or in a flat layout."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from sar2opt.synth import safe as synth
from sar2opt.synth.safe import (
    LINES,
    NAME,
    SAMPLES,
    annotation,
    calibration,
    gain,
    noise,
    noise_xml,
    place,
    write_numbers,
)

__all__ = [
    "LINES",
    "NAME",
    "SAMPLES",
    "annotation",
    "calibration",
    "flatten",
    "gain",
    "noise",
    "noise_xml",
    "numbers",
    "place",
    "write_numbers",
    "write_safe",
    "zip_safe",
]


def numbers(seed: int = 0) -> Any:
    """Return simulated speckle as digital numbers, with a dark rim of no data on the left."""
    speckle = np.random.default_rng(seed).gamma(4.4, 1 / 4.4, (LINES, SAMPLES))
    stored = np.sqrt(20_000 * speckle).astype(np.uint16)
    stored[:, :3] = 0
    return stored


def write_safe(
    folder: Path, stored: Any = None, bands: tuple[str, ...] = ("vv", "vh"), **how: Any
) -> Path:
    """Write the product as a ``.SAFE`` folder; return its path."""
    return synth.write_safe(folder, numbers() if stored is None else stored, bands, **how)


def zip_safe(safe: Path, *, extra: str = "") -> Path:
    """Zip a ``.SAFE`` folder, with one more file named ``extra``; return the path of the zip."""
    path = safe.parent / f"{safe.name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(safe.rglob("*")):
            archive.write(file, file.relative_to(safe.parent))
        if extra:
            archive.writestr(extra, "")
    return path


def flatten(safe: Path) -> Path:
    """Rename a product to the flat layout of clouds; return the folder."""
    for file in [file for file in safe.rglob("*") if file.is_file()]:
        band = "vv" if "-vv-" in file.name else "vh"
        kind = file.name.partition("-")[0]
        prefix = f"{kind}-" if kind in ("calibration", "noise") else ""
        file.rename(file.with_name(f"{prefix}iw-{band}{file.suffix}"))
    return safe.rename(safe.with_suffix(""))
