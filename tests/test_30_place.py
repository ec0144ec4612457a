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

from sar2opt import open_scene

DATA = Path(os.environ.get("SAR2OPT_DATA", Path(__file__).parents[2] / "shared" / "data"))
PRODUCT = next(iter((DATA / "products/grd_with_gcps").rglob("measurement")), DATA / "none").parent
MOROCCO = DATA / "products/morocco"
SCRIPTS = Path(__file__).parent.parent / "benchmarks"
needs_kerala = pytest.mark.skipif(
    not PRODUCT.is_dir(), reason="needs products/grd_with_gcps of the shared data (SAR2OPT_DATA)"
)


needs_morocco = pytest.mark.skipif(
    not MOROCCO.is_dir(), reason="needs products/morocco of the shared data (SAR2OPT_DATA)"
)


def benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{name}_benchmark", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"{name}_benchmark"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def place() -> ModuleType:
    return benchmark("place")


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


@needs_morocco
def test_slopes_are_bright_where_the_terrain_code_says() -> None:
    terrain = benchmark("place_terrain")
    scene = open_scene(MOROCCO / "amp_prm_vv.tif")
    dem = min(MOROCCO.glob("dem-*.tiff"))
    found = {
        heading: terrain.displacement(
            *terrain.pictures(scene.values[0], scene.odc.geobox, dem, heading)
        )
        for heading in (terrain.DESCENDING, terrain.ASCENDING)
    }
    south, east, alike = found[terrain.DESCENDING]
    assert np.hypot(south, east) < 1  # pixel
    assert alike > 0.35
    assert found[terrain.ASCENDING][2] < 0.1


@needs_morocco
def test_a_raster_of_another_crs_is_laid_where_gdal_lays_it() -> None:
    assert benchmark("place_terrain").beside_gdal(MOROCCO) > 0.998
