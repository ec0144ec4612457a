"""Real radar pixels lie where known coordinates put them: the proofs of benchmarks/place.md."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

DATA = Path(os.environ.get("SAR2OPT_DATA", Path(__file__).parents[2] / "shared" / "data"))
PRODUCT = next(iter((DATA / "products/grd_with_gcps").rglob("measurement")), DATA / "none").parent
SCRIPT = Path(__file__).parent.parent / "benchmarks" / "place.py"
needs_kerala = pytest.mark.skipif(
    not PRODUCT.is_dir(), reason="needs products/grd_with_gcps of the shared data (SAR2OPT_DATA)"
)


@pytest.fixture(scope="module")
def place() -> ModuleType:
    spec = importlib.util.spec_from_file_location("place_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["place_benchmark"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def kerala(place: ModuleType) -> Any:
    return place.Scene.of(PRODUCT)


@needs_kerala
def test_ground_control_points_place_as_the_thin_plate_of_gdal_does(
    place: ModuleType, kerala: Any
) -> None:
    apart = place.beside_gdal(kerala, step=16)
    assert apart.size > 4000
    assert apart.max() < 0.1
    assert place.maps_agree(kerala) > 0.999


@needs_kerala
def test_the_coast_lies_where_it_is_once_the_heights_are_taken_off(
    place: ModuleType, kerala: Any
) -> None:
    bands = place.coast(kerala)
    assert len(bands) >= 18
    left = np.array([band.left for band in bands]) / kerala.metres  # pixels
    assert np.median(np.abs(left)) < 0.3
    assert np.abs(left).max() < 1
    assert np.hypot(*place.shift_of(bands)) < 0.5 * kerala.metres
    heights, shown = zip(*((band.height, band.shown) for band in bands), strict=True)
    assert np.corrcoef(heights, shown)[0, 1] < -0.5  # the higher its points, the further west
