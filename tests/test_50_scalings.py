"""One place, however its backscatter was scaled and stored, gives one picture."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scene_files import speckled, write

from sar2opt.nets.models import Translator, load_model
from sar2opt.scenes import open_scene

DATA = Path(os.environ.get("SAR2OPT_DATA", Path(__file__).parents[2] / "shared" / "data"))
CHIPS = sorted((DATA / "chips" / "terramind").glob("*_S1RTC.tif"))
# grey levels of 255 that the mean pixel may differ from that of linear power: nothing, but for
# what 8 bits have lost, the brightest pixels above all
SCALINGS = {"dB": 0.01, "amplitude": 0.01, "display-dB": 6.0, "display-amplitude": 12.0}


@pytest.fixture(scope="module")
def translator() -> Translator:
    found = load_model("translator-s1", device="cpu", precision="float32")
    assert isinstance(found, Translator)
    return found


def scaled(power: np.ndarray, scale: str) -> np.ndarray:
    """Return power in another scale; the 8-bit ones as they are met: 25 dB, or the 99 % clipped."""
    decibel = 10 * np.log10(power)
    if scale == "display-dB":
        top = np.quantile(decibel, 0.995)
        return np.clip(np.rint(255 * (1 + (decibel - top) / 25)), 1, 255).astype(np.uint8)
    if scale == "display-amplitude":
        amplitude = np.sqrt(power / np.quantile(power, 0.99))
        return np.clip(np.rint(255 * amplitude), 1, 255).astype(np.uint8)
    return {"power": power, "dB": decibel, "amplitude": np.sqrt(power)}[scale].astype(np.float32)


def painted(power: np.ndarray, scale: str, translator: Translator, folder: Path) -> np.ndarray:
    path = write(folder / f"{scale}.tif", scaled(power, scale), names=("vh",))
    scene = open_scene(path, scale=scale, nodata=-9999)
    return translator(scene).sel(band=["red", "green", "blue"]).values


@pytest.mark.parametrize("scale", SCALINGS)
def test_a_simulated_place_gives_one_picture(
    scale: str, translator: Translator, tmp_path: Path
) -> None:
    power = speckled()
    reference = painted(power, "power", translator, tmp_path)
    difference = np.abs(painted(power, scale, translator, tmp_path) - reference)
    assert 255 * difference.mean() < SCALINGS[scale]
    assert reference.std() > 0.01


@pytest.mark.skipif(not CHIPS, reason="needs chips/terramind of the shared data (SAR2OPT_DATA)")
@pytest.mark.parametrize("scale", SCALINGS)
@pytest.mark.parametrize("path", CHIPS, ids=lambda path: path.stem)
def test_a_real_place_gives_one_picture(
    path: Path, scale: str, translator: Translator, tmp_path: Path
) -> None:
    with rasterio.open(path) as file:
        power = 10 ** (file.read(2).astype(np.float64) / 10)  # VH in dB
    assert np.isfinite(power).all()
    reference = painted(power, "power", translator, tmp_path)
    difference = np.abs(painted(power, scale, translator, tmp_path) - reference)
    assert 255 * difference.mean() < SCALINGS[scale]
