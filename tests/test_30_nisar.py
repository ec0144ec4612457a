"""NISAR GCOV: on simulated files of the product's layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sar2opt.errors import BandError, PlacementError, SceneError
from sar2opt.scenes import open_scene, scene_info

h5py = pytest.importorskip("h5py")

ROWS, COLS, STEP = 70, 90, 20.0
LEFT, TOP = 400_000.0, 4_000_000.0
GRID = "science/LSAR/GCOV/grids/frequencyA"


def write_gcov(path: Path, change: Callable[[Any], None] = lambda file: None) -> Path:
    """Write HHHH and HVHV that hold their own row and column, and some that is no backscatter."""
    rows, cols = np.mgrid[:ROWS, :COLS].astype(np.float32)
    power = 0.1 + rows / 100 + cols / 10_000
    power[:5] = np.nan
    with h5py.File(path, "w") as file:
        file.attrs["SIMULATED"] = "YES"
        grid = file.create_group(GRID)
        for name, values in (("HHHH", power), ("HVHV", power / 4)):
            grid.create_dataset(name, data=values, chunks=(32, 32), compression="gzip")
        grid["mask"] = np.ones((ROWS, COLS), np.uint8)
        grid["xCoordinates"] = LEFT + STEP * (np.arange(COLS) + 0.5)
        grid["yCoordinates"] = TOP - STEP * (np.arange(ROWS) + 0.5)
        grid["projection"] = 32633
        file["science/LSAR/identification/zeroDopplerStartTime"] = b"2026-01-02T03:04:05.678900000"
        change(file)
    return path


def test_terms_are_bands_in_their_place(tmp_path: Path) -> None:
    scene = open_scene(write_gcov(tmp_path / "gcov.h5"))
    assert scene.band.values.tolist() == ["hh", "hv"]
    assert scene.odc.geobox.crs.epsg == 32633
    assert scene.odc.geobox.affine[:6] == (STEP, 0, LEFT, 0, -STEP, TOP)
    values = scene.values
    assert np.isnan(values[:, :5]).all()
    assert values[0, 20, 30] == pytest.approx(0.1 + 0.2 + 0.003)
    assert values[1, 20, 30] == pytest.approx(values[0, 20, 30] / 4)
    assert scene.attrs["quantity"] == "gamma0"
    assert scene.attrs["acquired"] == "2026-01-02T03:04:05Z"
    assert scene.attrs["frequency_band"] == "L"
    assert scene.attrs["simulated"]
    np.testing.assert_array_equal(
        open_scene(tmp_path / "gcov.h5", polarisation="hv", chunks=32).values, values[1:]
    )
    assert scene_info(tmp_path / "gcov.h5")["input_scale"] == "power"


def _renamed(old: str, new: str) -> Callable[[Any], None]:
    return lambda file: file.move(old, new)


def _external(file: Any) -> None:
    del file[f"{GRID}/HVHV"]
    file[f"{GRID}/HVHV"] = h5py.ExternalLink("/etc/passwd", "/x")


def _virtual(file: Any) -> None:
    del file[f"{GRID}/HVHV"]
    layout = h5py.VirtualLayout((ROWS, COLS), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(ROWS, COLS))
    file.create_virtual_dataset(f"{GRID}/HVHV", layout)


def _complex(file: Any) -> None:
    del file[f"{GRID}/HVHV"]
    file[f"{GRID}/HVHV"] = np.zeros((ROWS, COLS), np.complex64)


def _smaller(file: Any) -> None:
    del file[f"{GRID}/HVHV"]
    file[f"{GRID}/HVHV"] = np.zeros((ROWS, COLS - 1), np.float32)


def _bomb(file: Any) -> None:
    del file[f"{GRID}/HVHV"], file[f"{GRID}/xCoordinates"], file[f"{GRID}/yCoordinates"]
    shape = (2**14, 2**14)
    file.create_dataset(f"{GRID}/HVHV", shape, np.float32, chunks=(2**13 + 1, 2**13))
    del file[f"{GRID}/HHHH"]
    file[f"{GRID}/xCoordinates"] = LEFT + STEP * np.arange(shape[1])
    file[f"{GRID}/yCoordinates"] = TOP - STEP * np.arange(shape[0])


def _no_place(file: Any) -> None:
    del file[f"{GRID}/projection"]
    file[f"{GRID}/projection"] = 1


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (_external, SceneError, "leads to another file: refused"),
        (_virtual, SceneError, "leads to another file: refused"),
        (_complex, SceneError, "holds complex64, not backscatter"),
        (_smaller, SceneError, "differ in number"),
        (_bomb, SceneError, "unpacks to more than memory holds"),
        (_no_place, PlacementError, "its grid cannot be read"),
        (_renamed("science/LSAR/GCOV", "science/LSAR/GSLC"), SceneError, "complex single-look"),
        (_renamed("science/LSAR", "other"), SceneError, "this HDF5 is no NISAR GCOV"),
        (_renamed(f"{GRID}/HHHH", f"{GRID}/x"), None, ""),
    ],
)
def test_files_that_are_not_what_they_should_be(
    change: Callable[[Any], None], error: Any, said: str, tmp_path: Path
) -> None:
    path = write_gcov(tmp_path / "gcov.h5", change)
    if error is None:
        assert open_scene(path).band.values.tolist() == ["hv"]
        return
    with pytest.raises(error, match=said):
        open_scene(path)


def test_bands_scales_and_damage_are_refused(tmp_path: Path) -> None:
    path = write_gcov(tmp_path / "gcov.h5")
    with pytest.raises(BandError, match="it has no band vv"):
        open_scene(path, polarisation="vv")
    with pytest.raises(SceneError, match="leave --scale out"):
        open_scene(path, scale="dB")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SceneError, match="damaged or cut off"):
        open_scene(path).values  # noqa: B018
