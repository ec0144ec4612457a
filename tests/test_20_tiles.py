"""The law of tiling: stitched equals whole."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from sar2opt.errors import ConfigError, OutputError
from sar2opt.raster import make_raster
from sar2opt.tiles.apply import lay, predict_block, read_padded, read_window
from sar2opt.tiles.model import TileModel, Tiles
from sar2opt.tiles.plan import Plan, Window
from sar2opt.tiles.sample import sample, sample_patches, sample_windows
from sar2opt.tiles.staging import Layer, Staging


class Neighbours:
    """A tile model whose pixels hold a fixed-order sum over their neighbourhood, and whose
    result is wrong within ``margin`` of a tile's rim, as a net's is."""

    name = "neighbours"
    bands_in = ("a",)
    bands_out = ("sum", "phase")

    def __init__(self, margin: int, stride: int) -> None:
        self.margin, self.stride = margin, stride

    def predict(self, tiles: Tiles) -> Tiles:
        assert np.isfinite(tiles).all()
        assert all(side % self.stride == 0 for side in tiles.shape[2:])
        total = np.zeros_like(tiles)
        for dy in (-self.margin, 0, self.margin):
            for dx in (-self.margin, 0, self.margin):
                total += np.roll(tiles, (dy, dx), axis=(2, 3)) * np.float32(1 + dy + 3 * dx)
        rows, cols = tiles.shape[2:]
        phase = np.add.outer(np.arange(rows) % self.stride, np.arange(cols) % self.stride)
        return np.concatenate([total, np.broadcast_to(phase, tiles.shape).astype("f4")], axis=1)


def scene_of(values: np.ndarray) -> xr.DataArray:
    box = GeoBox.from_bbox((0, 0, values.shape[1] * 10, values.shape[0] * 10), "EPSG:32633",
                           resolution=10)  # fmt: skip
    return make_raster(values[None], box, ["vv"], quantity="sigma0", scale="linear")


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, TileModel, int]:
    stride = draw(st.sampled_from([1, 2, 8]))
    model = Neighbours(draw(st.integers(0, 20)), stride)
    rows, cols = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.normal(size=(rows, cols)).astype("f4")
    values[rng.random((rows, cols)) < draw(st.sampled_from([0.0, 0.01, 0.5, 1.0]))] = np.nan
    if draw(st.booleans()):
        values[: draw(st.integers(0, rows))] = np.nan
    return values, model, stride * draw(st.integers(1, 40))


def whole_of(values: np.ndarray, model: TileModel) -> Tiles:
    everything = Window(0, values.shape[0], 0, values.shape[1])
    return predict_block(model, lambda w: read_padded(values[None], w), everything)


@settings(deadline=None, max_examples=100)
@given(cases())
def test_stitched_equals_whole_exactly(case: tuple[np.ndarray, TileModel, int]) -> None:
    values, model, block = case
    whole = whole_of(values, model)
    stitched = np.full_like(whole, -1.0)
    for window in Plan(values.shape, block, model.stride).blocks():
        part = predict_block(model, lambda w: read_padded(values[None], w), window)
        stitched[(slice(None), *window.slices)] = part
    np.testing.assert_array_equal(stitched, whole)
    np.testing.assert_array_equal(np.isnan(whole), np.isnan(values)[None].repeat(2, axis=0))


@settings(deadline=None, max_examples=10)
@given(cases())
def test_the_lazy_raster_equals_the_whole_too(case: tuple[np.ndarray, TileModel, int]) -> None:
    values, model, block = case
    whole = whole_of(values, model)
    laid = lay(model, scene_of(values).chunk({"y": 33, "x": 17}), lambda tile: tile, block)
    np.testing.assert_array_equal(laid.compute(scheduler="threads"), whole)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 100))
def test_blocks_paint_every_pixel_once(rows: int, cols: int, block: int) -> None:
    canvas = np.zeros((rows, cols), int)
    for window in Plan((rows, cols), block, 1).blocks():
        canvas[window.slices] += 1
    assert (canvas == 1).all()


def test_a_block_that_is_no_multiple_of_the_stride_is_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of 8"):
        Plan((100, 100), 100, 8)


def test_blocks_without_data_are_never_predicted() -> None:
    class Never(Neighbours):
        def predict(self, tiles: Tiles) -> Tiles:
            raise AssertionError("predicted")

    empty = np.full((1, 64, 64), np.nan, "f4")
    out = predict_block(Never(3, 8), lambda w: read_padded(empty, w), Window(0, 64, 0, 64))
    assert out.shape == (2, 64, 64)
    assert np.isnan(out).all()


def test_the_read_window_holds_the_margin_and_keeps_the_stride() -> None:
    model = Neighbours(13, 8)
    assert read_window(model, Window(64, 128, 0, 64)) == Window(48, 144, -16, 80)


def test_the_sample_finds_a_small_island() -> None:
    values = np.full((3000, 3000), np.nan, "f4")
    values[1501:1561, 1507:1567] = 2.0
    found = sample(scene_of(values))
    assert found.shape[0] == 1
    assert np.nanmedian(found) == 2.0


def test_a_staged_run_goes_on_where_it_stopped(tmp_path) -> None:
    plan = Plan((50, 70), 32, 8)
    layers = {"tags": Layer(1, 255), "thin": Layer(1, 0, factor=8)}
    store = Staging.prepare(tmp_path / "s", plan, layers, "one")
    first, second = list(plan.blocks())[:2]
    store.write(first, {"tags": (np.full((1, 32, 32), 7, np.uint8), 1)})
    again = Staging.prepare(tmp_path / "s", plan, layers, "one")
    assert again.is_done(first)
    assert not again.is_done(second)
    assert again.array("tags")[0, 31, 31] == 7
    assert again.array("tags")[0, 32, 31] == 255
    other = Staging.prepare(tmp_path / "s", plan, layers, "two")
    assert not other.is_done(first)
    assert other.array("tags")[0, 31, 31] == 255


def test_a_store_that_cannot_be_made_says_so(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        Staging.prepare(tmp_path / "file" / "s", Plan((8, 8), 8, 8), {}, "x")


def test_patches_are_read_where_a_scene_is_dark() -> None:
    power = np.ones((1, 3000, 2000), np.float32)
    power[0, :700, :900] = 0.01
    power[0, 2900:, 1900:] = np.nan
    scene = xr.DataArray(power, dims=("band", "y", "x"))
    patches = sample_patches(scene, sample_windows(scene), darkest=0.1)
    assert patches.shape[1:] == (256, 256)
    assert 6 <= len(patches) <= 12
    for patch in patches:
        assert np.isclose(patch, 0.01).mean() > 0.05
    everything = sample_patches(scene, sample_windows(scene), darkest=2.0)
    assert 12 <= len(everything) <= 24
    assert sample_patches(scene, sample_windows(scene), darkest=1e-6).shape == (0, 256, 256)
