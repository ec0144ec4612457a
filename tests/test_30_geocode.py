"""Geocoding: pixels that hold their own line and pixel, on a simulated radar's geometry."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from simulated_radar import SHAPE, SPACING, Pixels, grid_of, radar_over, ramps, write_dem

from sar2opt.config import SceneSettings
from sar2opt.errors import ConfigError, LayerError, PlacementError, Sar2optError
from sar2opt.sar.geolocation import GridGeometry, to_ellipsoid
from sar2opt.sar.resampling import bilinear, block_mean
from sar2opt.scenes.dem import Dem
from sar2opt.scenes.geometry import degrees
from sar2opt.scenes.terrain import TerrainPositions
from sar2opt.scenes.terrain_layers import seen_terrain
from sar2opt.scenes.warp import geocoded, warp

CENTRE = (12.5, 42.0)
MODEL = radar_over(*CENTRE)
FLAT = grid_of(MODEL, CENTRE)
HILLY = grid_of(MODEL, CENTRE, relief=200.0)


def lay(grid: Any = FLAT, source: Any = None, chunks: int = 4096, **how: Any) -> Any:
    source = source or ramps()
    warped, geobox, notes = geocoded(source, grid, SPACING, SceneSettings(**how), model=MODEL)
    return da.from_array(warped, chunks=(-1, chunks, chunks)), geobox, notes


def layers_of(dem: Path) -> Any:
    """Return local incidence, and layover and shadow, of the whole map."""
    warped, _, _ = geocoded(ramps(), FLAT, SPACING, SceneSettings(dem=dem), model=MODEL)
    layers = seen_terrain(warped)
    assert layers is not None
    return layers[:, :, :]


def misplaced(data: Any, geobox: Any, locate: Any) -> Any:
    """Return the distance, in pixels of the source, between what pixels hold and their place."""
    rows, cols = (np.arange(size) + 0.5 for size in geobox.shape)
    line, pixel = locate(*degrees(geobox, *np.meshgrid(rows, cols, indexing="ij")))
    inner = (line > 0) & (line < SHAPE[0] - 1) & (pixel > 0) & (pixel < SHAPE[1] - 1)
    values = np.asarray(data)
    assert np.isfinite(values[:, inner]).all()
    assert np.count_nonzero(inner) > 1000
    return np.hypot(values[0] - line, values[1] - pixel)[inner]


# ---- place ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [FLAT, HILLY], ids=["flat", "hilly"])
def test_the_inverse_of_a_grid_is_exact(grid: Any) -> None:
    geometry = GridGeometry(grid)
    nodes = np.meshgrid(grid.line, grid.pixel, indexing="ij")
    np.testing.assert_allclose(geometry.locate(grid.longitude, grid.latitude), nodes, atol=1e-6)
    somewhere = np.random.default_rng(1).uniform(0, 1, (2, 2000)) * np.array([[299.0], [399.0]])
    np.testing.assert_allclose(geometry.locate(*geometry.place(*somewhere)), somewhere, atol=1e-4)


@pytest.mark.parametrize("grid", [FLAT, HILLY], ids=["flat", "hilly"])
def test_pixels_lie_where_the_grid_says(grid: Any) -> None:
    data, geobox, _ = lay(grid)
    assert geobox.crs == "EPSG:32633"
    assert geobox.resolution.x == SPACING
    assert misplaced(data, geobox, GridGeometry(grid).locate).max() < 0.05


@pytest.mark.parametrize("grid", [FLAT, HILLY], ids=["flat", "hilly"])
def test_on_the_ellipsoid_pixels_lie_where_range_and_doppler_say(grid: Any) -> None:
    data, geobox, notes = lay(grid, geocode="ellipsoid")
    off = misplaced(data, geobox, lambda lon, lat: MODEL.locate(lon, lat, 0.0))
    assert off.max() < 0.1
    assert "height 0 m" in notes[0]


def test_a_grid_brought_to_the_ellipsoid_sees_the_same() -> None:
    level = to_ellipsoid(HILLY)
    seen = MODEL.locate(level.longitude, level.latitude, 0.0)
    nodes = np.meshgrid(HILLY.line, HILLY.pixel, indexing="ij")
    np.testing.assert_allclose(seen, nodes, atol=0.1)


@pytest.mark.parametrize(
    ("centre", "crs"),
    [((179.99, 10.0), "EPSG:32660"), ((20.0, 87.0), "EPSG:5041"), ((20.0, -84.0), "EPSG:5042")],
)
def test_antimeridian_and_poles(centre: tuple[float, float], crs: str) -> None:
    model = radar_over(*centre)
    grid = grid_of(model, centre)
    wrapped = replace(grid, longitude=(grid.longitude + 180) % 360 - 180)
    data, geobox, _ = geocoded(ramps(), wrapped, SPACING, SceneSettings())
    data = data[:, :, :]
    assert str(geobox.crs) == crs
    off = misplaced(data, geobox, lambda lon, lat: model.locate(lon, lat, 0.0))
    assert off.max() < 0.05


def test_degrees_over_the_antimeridian_are_refused() -> None:
    grid = replace(FLAT, longitude=(FLAT.longitude - CENTRE[0] + 360) % 360 - 180)
    with pytest.raises(PlacementError, match=r"antimeridian.*say --crs EPSG:32"):
        lay(grid, crs="EPSG:4326")


def test_on_terrain_pixels_lie_where_range_and_doppler_say(tmp_path: Path) -> None:
    hill = 600 * np.exp(-(((np.mgrid[:400, :400] - 200) / 60) ** 2).sum(axis=0))
    dem = write_dem(tmp_path / "dem.tif", hill, CENTRE)
    whole = lay()[1]
    places = TerrainPositions(MODEL, Dem(str(dem), (0, 0), None), whole, flatten=False)
    warped, _ = warp(ramps(), GridGeometry(FLAT), whole, SPACING, SceneSettings(), places)
    data = warped[:, :, :]
    height = Dem(str(dem), (0, 0), None).heights(whole.affine, str(whole.crs), tuple(whole.shape))
    off = misplaced(data, whole, lambda lon, lat: MODEL.locate(lon, lat, height))
    assert off.max() < 0.1
    level, _, _ = lay(dem=write_dem(tmp_path / "zero.tif", 0 * hill, CENTRE))
    flat = lay(geocode="ellipsoid")[0].compute()
    gain = level.compute()[flat > 10] / flat[flat > 10]
    assert np.nanmedian(gain) == pytest.approx(1, abs=0.01)


# ---- target --------------------------------------------------------------------------------------


def test_layers_of_the_terrain(tmp_path: Path) -> None:
    rows, cols = np.mgrid[:200, :200]
    heights = 3000.0 * np.exp(-((rows - 100.0) ** 2 + (cols - 100.0) ** 2) / 8.0**2)
    level = write_dem(tmp_path / "zero.tif", 0 * heights, CENTRE)
    peak = write_dem(tmp_path / "peak.tif", heights, CENTRE)
    flat, steep = (layers_of(path) for path in (level, peak))
    seen = np.isfinite(flat[0])
    assert 0.3 < seen.mean() < 1.0
    assert set(np.unique(flat[1][seen])) == {0.0}
    assert np.ptp(flat[0][seen]) < 2.0
    assert np.median(flat[0][seen]) == pytest.approx(np.median(FLAT.incidence), abs=0.5)
    assert set(np.unique(steep[1][np.isfinite(steep[1])])) == {0.0, 1.0, 2.0}


def test_a_terrain_model_without_its_geoid_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sar2opt.scenes.dem._PLACES", ())
    monkeypatch.setattr("sar2opt.scenes.dem.get_data_dir", lambda: str(tmp_path))
    path = write_dem(tmp_path / "dem.tif", np.zeros((200, 200)), CENTRE)
    with rasterio.open(path, "r+") as file:
        file.crs = "EPSG:4326"
    with pytest.raises(PlacementError, match=r"EGM96, which is not installed.*pyproj sync"):
        lay(dem=path)


def test_crs_and_resolution() -> None:
    data, geobox, _ = lay(crs="EPSG:4326", resolution=2e-4)
    assert (str(geobox.crs), geobox.resolution.x) == ("EPSG:4326", 2e-4)
    assert misplaced(data, geobox, GridGeometry(FLAT).locate).max() < 0.1


def test_like_another_file(tmp_path: Path) -> None:
    from scene_files import speckled, write

    _, geobox, _ = lay(resolution=50.0)
    like = write(tmp_path / "like.tif", speckled(), crs="EPSG:32633", transform=geobox.affine)
    data, as_asked, _ = lay(like=like)
    assert as_asked.affine == geobox.affine
    assert data.shape == (2, 256, 256)
    elsewhere = write(tmp_path / "far.tif", speckled())
    with pytest.raises(PlacementError, match="lies outside the scene"):
        lay(like=elsewhere)
    with pytest.raises(ConfigError, match="leave out crs and resolution"):
        lay(like=like, resolution=10.0)


def test_an_area_holds_the_pixels_of_the_whole(tmp_path: Path) -> None:
    whole, geobox, _ = lay()
    left, bottom, right, top = geobox.boundingbox
    x, y = (left + right) / 2, (bottom + top) / 2
    area = tmp_path / "area.gpkg"
    gpd.GeoSeries([shapely.box(x - 900, y - 700, x + 900, y + 700)], crs="EPSG:32633").to_file(area)
    part, cut, _ = lay(aoi=area, chunks=37)
    row, col = (
        round(v) for v in (~geobox.affine * (cut.boundingbox.left, cut.boundingbox.top))[::-1]
    )
    rows, cols = cut.shape
    same = whole.compute()[:, row : row + rows, col : col + cols]
    valid = np.isfinite(part.compute())
    assert valid.mean() > 0.9
    np.testing.assert_allclose(part.compute()[valid], same[valid], rtol=1e-5, atol=1e-4)


def test_an_area_beside_the_swath(tmp_path: Path) -> None:
    _, geobox, _ = lay()
    left, _, _, top = geobox.boundingbox
    area = tmp_path / "area.gpkg"
    gpd.GeoSeries([shapely.box(left, top - 60, left + 60, top)], crs="EPSG:32633").to_file(area)
    with pytest.raises(LayerError, match="where the radar did not look"):
        lay(aoi=area)


# ---- pixels --------------------------------------------------------------------------------------


def test_blocks_do_not_show_and_pickle() -> None:
    whole = lay(HILLY)[0].compute()
    parts = pickle.loads(pickle.dumps(lay(HILLY, chunks=53)[0])).compute(scheduler="sync")
    np.testing.assert_allclose(whole, parts, rtol=1e-5, atol=1e-4)  # of 400 pixels


def test_a_block_reads_no_more_than_it_needs() -> None:
    source = ramps()
    data, _, _ = lay(source=source, chunks=64)
    data.compute(scheduler="sync")
    assert source.largest < 3 * 64 * 64


def test_a_block_too_large_is_done_by_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lay()[0].compute()
    monkeypatch.setattr("sar2opt.scenes.warp._MOST_SOURCE", 5000)
    monkeypatch.setattr("sar2opt.scenes.warp._MOST_POINTS", 3000)
    source = ramps()
    np.testing.assert_allclose(lay(source=source)[0].compute(), whole, rtol=1e-5, atol=1e-4)
    assert source.largest <= 5000


def test_a_coarse_map_holds_the_mean_of_what_it_covers() -> None:
    noise = Pixels(np.random.default_rng(0).gamma(1, 1, (1, *SHAPE)).astype(np.float32))
    fine, coarse = (lay(source=noise, resolution=r)[0].compute() for r in (20.0, 100.0))
    assert np.nanmean(coarse) == pytest.approx(np.nanmean(noise.values), rel=0.02)
    assert np.nanstd(coarse) < np.nanstd(fine) / 3


def test_no_data_stays_no_data_and_does_not_grow() -> None:
    values = np.ones((1, 9, 9), np.float32)
    values[0, 4, 4] = np.nan
    at = np.stack(np.meshgrid([3.4, 3.6, 4.0, 4.4, 9.0], [4.0], indexing="ij"))
    got = bilinear(values[0], at)[:, 0]
    np.testing.assert_array_equal(np.isnan(got), [False, True, True, True, True])
    assert got[0] == 1
    assert block_mean(np.array([[1, np.nan], [3, np.nan]], np.float32), 2, 2) == 2


# ---- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "how", "kind", "message"),
    [
        ({"line": FLAT.line[::-1]}, {}, PlacementError, "no mesh of places"),
        ({"latitude": FLAT.latitude * np.nan}, {}, PlacementError, "no mesh of places"),
        ({"latitude": FLAT.latitude + 60}, {}, PlacementError, "no mesh of places"),
        ({"longitude": FLAT.longitude[:2]}, {}, PlacementError, "no mesh of places"),
        ({"incidence": -FLAT.incidence}, {}, PlacementError, "incidence angles that cannot be"),
        ({"incidence": None}, {"geocode": "ellipsoid"}, PlacementError, "without incidence"),
        ({}, {"geocode": "terrain"}, PlacementError, "say --dem FILE"),
        ({}, {"geocode": "gcp", "dem": Path("dem.tif")}, PlacementError, "leave out --dem"),
        ({}, {"dem": Path("none.tif")}, PlacementError, "no such file"),
        ({}, {"crs": "EPSG:nonsense"}, ConfigError, "is not a CRS"),
        ({}, {"crs": "EPSG:5773"}, ConfigError, "no CRS of a map"),
        ({}, {"resolution": 1e-4}, PlacementError, "say another --resolution"),
        ({}, {"resolution": 1e6}, PlacementError, "say another --resolution"),
    ],
)
def test_refused(change: Any, how: Any, kind: type[Sar2optError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        lay(replace(FLAT, **change), **how)
    assert "\n" not in str(caught.value)
