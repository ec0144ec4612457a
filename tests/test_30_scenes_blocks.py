"""The front door: scenes are read lazily, block by block, and cut to the area of interest."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scene_files import speckled, write

from sar2opt.errors import SceneError
from sar2opt.raster import take_band
from sar2opt.scenes import open_scene
from sar2opt.scenes.blocks import BlockSource
from sar2opt.tiles.apply import read_padded
from sar2opt.tiles.plan import Window

# odc-geo and rasterio multiply affine matrices with *, which affine 3.1 will deprecate

POWER = speckled()


def values(path: Path, **how: Any) -> np.ndarray:
    return open_scene(path, **how).values


# ---- laziness ------------------------------------------------------------------------------------


def test_a_slice_reads_that_slice_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = open_scene(write(tmp_path / "s_vv.tif", POWER), chunks=128)
    assert scene.chunksizes == {"band": (1,), "y": (128, 128), "x": (128, 128)}
    windows = []
    read = BlockSource.read

    def spy(self: BlockSource, file: Any, window: Any) -> Any:
        windows.append((window.row_off, window.col_off, window.height, window.width))
        return read(self, file, window)

    monkeypatch.setattr(BlockSource, "read", spy)
    scene[:, 10:30, 130:140].compute(scheduler="synchronous")
    assert windows == [(10, 130, 20, 10)]


def test_a_window_of_one_band_of_several_reads_that_window_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "s.tif", POWER, POWER / 7, names=("vv", "vh"))
    scene = open_scene(path, scale="power", chunks=2**24)
    windows = []
    read = BlockSource.read

    def spy(self: BlockSource, file: Any, window: Any) -> Any:
        windows.append((self.bands, window.row_off, window.col_off, window.height, window.width))
        return read(self, file, window)

    monkeypatch.setattr(BlockSource, "read", spy)
    for name, times in (("vv", 1), ("vh", 7)):
        band = pickle.loads(pickle.dumps(take_band(scene, name)))
        assert list(band.band.values) == [name]
        power = read_padded(band, Window(10, 30, 130, 140))
        np.testing.assert_allclose(power[0] * times, POWER[10:30, 130:140], rtol=1e-6)
    assert windows == [((1,), 10, 130, 20, 10), ((2,), 10, 130, 20, 10)]


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bands with holes, of awkward size, as stripes."""
    power = speckled((150, 203))
    power[power < 0.02] = np.nan
    path = tmp_path_factory.mktemp("dual") / "s.tif"
    return write(path, power, power / 7, names=("vv", "vh"), nodata=np.nan, stripe=7)


def slices(size: int) -> st.SearchStrategy[Any]:
    some = st.lists(st.integers(0, size - 1), min_size=1, max_size=5, unique=True).map(sorted)
    return st.one_of(st.integers(-size, size - 1), st.slices(size), some)


@given(st.integers(16, 250), slices(2), slices(150), slices(203))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_lazy_is_eager(dual: Path, chunks: int, band: Any, rows: Any, cols: Any) -> None:
    whole = open_scene(dual, scale="power", chunks=1000).compute()
    lazy = open_scene(dual, scale="power", chunks=chunks)
    index = {"band": band, "y": rows, "x": cols}
    np.testing.assert_array_equal(lazy.isel(index).values, whole.isel(index).values)


def test_threads_and_processes_read_the_same(dual: Path) -> None:
    scene = open_scene(dual, scale="power", chunks=64)
    expected = scene.compute(scheduler="synchronous").values
    np.testing.assert_array_equal(scene.compute(scheduler="threads", num_workers=4), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scene)).compute(), expected)


def test_the_graph_is_the_same_for_the_same_file_and_not_for_another(
    tmp_path: Path, dual: Path
) -> None:
    first, again = (open_scene(dual, scale="power") for _ in range(2))
    assert first.data.name == again.data.name
    path = write(tmp_path / "s_vv.tif", POWER)
    before = open_scene(path).data.name
    write(path, POWER * 2)
    os.utime(path, ns=(1, 1))
    assert open_scene(path).data.name != before


def test_damage_after_opening_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", POWER)
    scene = open_scene(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(SceneError, match="damaged or cut off"):
        scene.compute()


# ---- area of interest ----------------------------------------------------------------------------


def aoi_file(folder: Path, shape: Any, crs: str = "EPSG:4326") -> Path:
    path = folder / "aoi.geojson"
    gpd.GeoSeries([shape], crs="EPSG:32632").to_crs(crs).to_file(path, driver="GeoJSON")
    return path


def test_the_scene_is_cut_to_the_area(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", POWER)
    triangle = shapely.Polygon([(500_500, 3_999_500), (501_500, 3_999_500), (501_000, 3_998_500)])
    scene = open_scene(path, aoi=aoi_file(tmp_path, triangle), chunks=30)
    box = scene.odc.geobox.boundingbox
    assert tuple(box) == pytest.approx((500_500, 3_998_500, 501_500, 3_999_500), abs=20)
    x, y = np.meshgrid(scene.x, scene.y)
    np.testing.assert_array_equal(
        np.isfinite(scene.values[0]), shapely.contains_xy(triangle.buffer(-1e-3), x, y)
    )
    whole = open_scene(path).sel(x=scene.x, y=scene.y, method="nearest", tolerance=0.01).values
    inside = np.isfinite(scene.values)
    np.testing.assert_array_equal(scene.values[inside], whole[inside])


def test_an_area_beyond_the_edges_is_cut_to_the_scene(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", POWER)
    big = shapely.box(400_000, 3_900_000, 600_000, 4_100_000)
    np.testing.assert_array_equal(open_scene(path, aoi=aoi_file(tmp_path, big)).values[0], POWER)


@given(
    st.lists(st.tuples(st.integers(1, 2559), st.integers(1, 2559)), min_size=3, max_size=9),
    st.integers(16, 300),
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_cut_does_not_depend_on_chunks(
    tmp_path: Path, points: list[tuple[int, int]], chunks: int
) -> None:
    shape = shapely.MultiPoint([(500_000 + x, 4_000_000 - y) for x, y in points]).convex_hull
    if shape.area < 5000:
        return
    path = write(tmp_path / "s_vv.tif", POWER)
    area = aoi_file(tmp_path, shape)
    np.testing.assert_array_equal(values(path, aoi=area, chunks=chunks), values(path, aoi=area))
