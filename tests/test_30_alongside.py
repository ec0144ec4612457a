"""A scene on the grid of another: the same pixels, or resampled to the same places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from scene_files import UTM, speckled, write

from sar2opt.errors import PlacementError
from sar2opt.scenes import open_scene
from sar2opt.scenes.alongside import lay_alongside


def opened(path: Path, power: np.ndarray, **profile: object):
    tags = {"SCALE": "power"}
    return open_scene(write(path, power, names=("VH",), nodata=np.nan, tags=tags, **profile))


def smooth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return power that varies slowly over the map, from its coordinates."""
    return np.exp(0.3 * np.sin((x - 500_000) / 300) + 0.3 * np.cos((y - 4_000_000) / 250))


def inside(geobox: GeoBox, crs: str, pixel: float) -> GeoBox:
    """Return a grid of another CRS between the corners of ``geobox``."""
    left, bottom, right, top = geobox.boundingbox
    x, y = geobox.crs.transformer_to_crs(crs, always_xy=True)(
        np.array([left, right, left, right]), np.array([bottom, bottom, top, top])
    )
    return GeoBox.from_bbox((x.min(), y.min(), x.max(), y.max()), crs, resolution=pixel)


def test_the_same_pixels_are_not_resampled(tmp_path: Path) -> None:
    power = speckled((90, 120))
    scene = opened(tmp_path / "a.tif", power)
    grid = GeoBox((100, 110), UTM * Affine.translation(30, -20), "EPSG:32632")
    laid = lay_alongside(scene, grid, chunks=37)
    expected = np.full((100, 110), np.nan, np.float32)
    expected[20:, :90] = power[:80, 30:]
    np.testing.assert_array_equal(laid[0].values, expected)
    assert laid.odc.geobox == grid
    assert laid.attrs["assumptions"] == scene.attrs["assumptions"]
    np.testing.assert_array_equal(laid[:, 10:40, 5:25].values[0], expected[10:40, 5:25])


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:32633", "EPSG:4326"])
def test_other_grids_are_brought_to_the_same_places(tmp_path: Path, crs: str) -> None:
    rows, cols = np.indices((150, 200)) + 0.5
    power = smooth(*(UTM * (cols, rows))).astype(np.float32)
    speckle = np.random.default_rng(0).gamma(1000, 1e-3, power.shape).astype(np.float32)
    scene = opened(tmp_path / "a.tif", power * speckle)
    whole = GeoBox((150, 200), UTM, "EPSG:32632")
    grid = inside(whole[20:120, 30:160], crs, 1.2e-4 if crs == "EPSG:4326" else 13)
    laid = lay_alongside(scene, grid)
    y, x = np.indices(grid.shape) + 0.5
    to_utm = grid.crs.transformer_to_crs("EPSG:32632", always_xy=True)
    expected = smooth(*to_utm(*(grid.affine * (x, y))))
    error = laid[0].values / expected - 1
    assert np.isfinite(error).mean() > 0.9
    assert np.nanmax(np.abs(error)) < 0.12
    said = laid.attrs["assumptions"][-1]
    assert said == f"resampled from its grid in EPSG:32632 to the scene's in {crs}"


def test_what_does_not_overlap_is_refused(tmp_path: Path) -> None:
    scene = opened(tmp_path / "a.tif", speckled((90, 120)))
    beside = GeoBox((90, 120), UTM * Affine.translation(120, 0), "EPSG:32632")
    with pytest.raises(PlacementError, match=r"a: it does not overlap the scene: check"):
        lay_alongside(scene, beside)
    inside = GeoBox((2, 3), UTM * Affine.translation(50, 50), "EPSG:32632")
    assert lay_alongside(scene, inside).shape == (1, 2, 3)
