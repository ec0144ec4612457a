"""Slices of one Sentinel-1 pass: joined on one grid, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simulated_radar as radar
import simulated_safe as s1
import simulated_slc as slc

from sar2opt.errors import SceneError
from sar2opt.scenes import open_scene, open_with_terrain, scene_files, scene_info

OVERLAP = 40  # lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two slices, one of them a zip, of pixels that hold their own place."""
    line, pixel = np.mgrid[: 2 * s1.LINES - OVERLAP, : s1.SAMPLES]
    whole = (1000 + 10 * line + pixel).astype(np.uint16)
    starts = (0, s1.LINES - OVERLAP)
    first, second = (
        s1.write_safe(tmp_path, whole[top : top + s1.LINES], name=f"slice_{top}", first=top)
        for top in starts
    )
    s1.zip_safe(second)
    for file in sorted(second.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    second.rmdir()
    return first.parent


def test_slices_lie_where_one_product_would(folder: Path) -> None:
    scene = open_scene(folder, calibration="none")
    power = np.sqrt(scene.sel(band="vv").values)
    row, col = (np.arange(size) + 0.5 for size in scene.odc.geobox.shape)
    to_lonlat = scene.odc.geobox.crs.transformer_to_crs("EPSG:4326", always_xy=True)
    lon, lat = to_lonlat(*(scene.odc.geobox.affine * np.meshgrid(col, row)))
    lon0, lat0 = s1.place(0, 0)
    lon1, lat1 = s1.place(1, 1)
    line, pixel = (lat - lat0) / (lat1 - lat0), (lon - lon0) / (lon1 - lon0)
    inner = (line > 1) & (line < 2 * s1.LINES - OVERLAP - 2) & (pixel > 1) & (pixel < 238)
    assert np.isfinite(power[inner]).all()
    assert np.abs(power - (1000 + 10 * line + pixel))[inner].max() < 1.0  # a tenth of a line
    assert any("2 files joined on one grid" in note for note in scene.attrs["assumptions"])
    assert not any("resampled" in note for note in scene.attrs["assumptions"])


def test_a_pattern_finds_them_and_their_files(folder: Path) -> None:
    pattern = folder / "slice_*"
    assert open_scene(pattern).shape == open_scene(folder).shape
    named = [file.name for file in scene_files(pattern)]
    assert "slice_160.SAFE.zip" in named
    assert sum(name.endswith(".tiff") for name in named) == 2
    assert scene_info(folder)["sampled"].startswith("slice_0.SAFE")


def test_products_of_two_passes_are_refused(folder: Path) -> None:
    for file in (folder / "slice_0.SAFE" / "annotation").glob("*.xml"):
        text = file.read_text().replace(">39156<", ">39331<")
        file.write_text(text)
    with pytest.raises(SceneError, match=r"mixed passes .S1A orbit 39156, S1A orbit 39331."):
        open_scene(folder)


def test_slices_see_the_terrain_as_one_product_does(tmp_path: Path) -> None:
    how = {"mode": "S4", "speckle": False, "calibrated": True}
    for folder, part in (("one", (0, 360)), ("two", (0, 200)), ("two", (150, 360))):
        slc.write_slc(tmp_path / folder, lambda line, _: 0.1 + 0 * line, cut=slice(*part), **how)
    row, col = np.mgrid[:400, :400]
    peak = np.maximum(0, 600 - 30 * np.hypot(row - 200, col - 200))  # steep enough to be layover
    dem = radar.write_dem(tmp_path / "dem.tif", peak, slc.CENTRE)
    (_, one), (_, two) = (open_with_terrain(tmp_path / it, dem=dem) for it in ("one", "two"))
    assert one is not None
    assert two is not None
    assert set(np.unique(one[1].values[np.isfinite(one[1].values)])) >= {0, 1}
    joined = two.reindex_like(one, method="nearest", tolerance=1e-3)
    known = np.isfinite(one.values)
    assert known.mean() > 0.5
    np.testing.assert_allclose(joined.values[known], one.values[known], atol=1e-3)
    part = open_with_terrain(tmp_path / "two", dem=dem, chunks=37)[1]
    np.testing.assert_allclose(part.values, two.values, atol=0.05)  # as of one product: GDAL
    assert two.attrs["quantity"] == "terrain"
    assert open_with_terrain(tmp_path / "two")[1] is None
