"""Cloud-optimised GeoTIFFs: whole, exact, valid, and they say what they are."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from product_scene import facts, finished_scene, grid, reader
from rasterio.enums import ColorInterp
from rasterio.shutil import copy
from rio_cogeo import cog_validate

from sar2opt.errors import OutputError
from sar2opt.products import cog as cog_module
from sar2opt.products import overviews
from sar2opt.products.classes import CLASSES
from sar2opt.products.cog import write_cog
from sar2opt.products.profiles import GREY, OPTICAL, TAGS, TRUST, write_class_names

PROFILES = {"optical": OPTICAL, "grey": GREY, "trust": TRUST, "tags": TAGS}


def content(name: str, shape: tuple[int, int]) -> tuple[Any, Any]:
    """Return pixels that fit the profile, and validity with holes, stripes and lone pixels."""
    rng = np.random.default_rng(abs(hash(shape)) % 1000)
    high = {"trust": 101, "tags": 6}.get(name, 256)
    pixels = rng.integers(0, high, (len(PROFILES[name].bands), *shape), dtype=np.uint8)
    valid = rng.random(shape) > 0.2
    valid[: shape[0] // 3, : shape[1] // 2] = False
    return pixels, valid


def naive_half(pixels: Any, valid: Any, how: str) -> tuple[Any, Any]:
    """Halve pixel by pixel, straight from the definition."""
    rows, cols = (-(-side // 2) for side in valid.shape)
    small = np.zeros((len(pixels), rows, cols), np.uint8)
    seen = np.zeros((rows, cols), bool)
    for row, col in product(range(rows), range(cols)):
        window = np.s_[2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
        inside = valid[window]
        seen[row, col] = inside.any()
        for band in range(len(pixels)) if inside.any() else ():
            values = [int(value) for value in pixels[band][window][inside]]
            if how == "average":
                small[band, row, col] = (sum(values) + len(values) // 2) // len(values)
            else:
                small[band, row, col] = max(values, key=values.count)  # the first of the commonest
    return small, seen


@settings(max_examples=40, deadline=None)
@given(
    how=st.sampled_from(["average", "mode"]),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    data=st.data(),
)
def test_halving_is_what_its_definition_says(
    how: str, shape: tuple[int, int], data: st.DataObject
) -> None:
    high = 255 if how == "average" else 3
    pixels = data.draw(hnp.arrays(np.uint8, (2, *shape), elements=st.integers(0, high)))
    valid = data.draw(hnp.arrays(np.bool_, shape))
    # where validity differs by band there is one mask only, so both bands share it
    expected, seen = naive_half(pixels, valid, how)
    small, kept = overviews.HALVE[how](pixels, valid)
    np.testing.assert_array_equal(kept, seen)
    np.testing.assert_array_equal(small[:, seen], expected[:, seen])


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("shape", [(1, 1), (512, 512), (513, 700), (1300, 1031)])
def test_pixels_mask_and_overviews_are_exact(
    tmp_path: Path, name: str, shape: tuple[int, int]
) -> None:
    profile = PROFILES[name]
    pixels, valid = content(name, shape)
    valid[-1, -1] = True
    path = write_cog(tmp_path / "x.tif", reader(pixels, valid), grid(*shape), profile, {})
    valid_file, errors, warnings = cog_validate(path, strict=True, quiet=True)
    assert valid_file, (errors, warnings)
    with rasterio.open(path) as cog:
        np.testing.assert_array_equal(cog.dataset_mask() > 0, valid)
        np.testing.assert_array_equal(cog.read()[:, valid], pixels[:, valid])
        assert cog.transform.almost_equals(grid(*shape).affine)
        assert cog.crs.to_epsg() == 32631
        levels = len(cog.overviews(1))
    assert levels == {1: 0, 512: 0, 513: 1, 1300: 2}[shape[0]]
    for level in range(levels):
        pixels, valid = overviews.HALVE[profile.overviews](pixels, valid)
        with rasterio.open(path, OVERVIEW_LEVEL=level) as overview:
            np.testing.assert_array_equal(overview.dataset_mask() > 0, valid)
            np.testing.assert_array_equal(overview.read()[:, valid], pixels[:, valid])


def test_a_large_window_grid_is_read_once_each_and_in_order(tmp_path: Path) -> None:
    shape, seen, told = (1100, 2100), np.zeros((1100, 2100), np.uint8), []

    def read(y0: int, y1: int, x0: int, x1: int) -> Any:
        seen[y0:y1, x0:x1] += 1
        assert [path.name for path in tmp_path.glob("[!.]*")] == []  # not there before it is whole
        if x0 == 1024:
            return None
        rows, cols = np.mgrid[y0:y1, x0:x1]
        return ((rows * 7 + cols * 3) % 251)[None].astype(np.uint8), np.ones(rows.shape, bool)

    path = write_cog(tmp_path / "x.tif", read, grid(*shape), GREY, {}, progress=told.append)
    assert (seen == 1).all()
    assert sum(told) == 1100 * 2100
    rows, cols = np.mgrid[:1100, :2100]
    with rasterio.open(path) as cog:
        inside = cog.dataset_mask() > 0
        np.testing.assert_array_equal(inside, (cols < 1024) | (cols >= 2048))
        np.testing.assert_array_equal(cog.read(1)[inside], ((rows * 7 + cols * 3) % 251)[inside])


def test_what_is_no_data_takes_no_space(tmp_path: Path) -> None:
    path = write_cog(tmp_path / "x.tif", lambda *window: None, grid(5000, 5000), OPTICAL, {})
    assert path.stat().st_size < 20_000
    with rasterio.open(path) as cog:
        assert not cog.dataset_mask(out_shape=(50, 50)).any()


def test_bands_colours_units_and_nodata_are_declared(tmp_path: Path) -> None:
    scene = finished_scene(tmp_path)
    with rasterio.open(scene.paths["optical"]) as cog:
        assert cog.descriptions == ("red (generated)", "green (generated)", "blue (generated)")
        assert cog.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert cog.nodata is None
        assert cog.mask_flag_enums[0] == [rasterio.enums.MaskFlags.per_dataset]
    with rasterio.open(scene.paths["trust"]) as cog:
        assert (cog.nodata, cog.units, cog.count) == (255, ("percent",), 1)
    with rasterio.open(scene.paths["tags"]) as cog:
        assert (cog.nodata, cog.colorinterp) == (255, (ColorInterp.palette,))
        colours = cog.colormap(1)
        assert all(colours[entry.code] == (*entry.colour, 255) for entry in CLASSES)
        assert colours[255][3] == 0


@pytest.mark.parametrize("name", ["optical", "trust", "tags"])
def test_every_raster_says_that_it_was_generated_and_how(tmp_path: Path, name: Any) -> None:
    scene = finished_scene(tmp_path, grid(100, 100), simulated=True)
    with rasterio.open(scene.paths[name]) as cog:
        tags = cog.tags()
    assert tags["GENERATED"].startswith("YES")
    assert "neural network" in tags["TIFFTAG_IMAGEDESCRIPTION"]
    model = "tagger-x" if name == "tags" else "translator-x"
    assert (tags["MODEL"], tags["SOURCE"]) == (model, "S.tif")
    assert tags["MODEL_SHA256"] == ("cd" if name == "tags" else "ab") * 32
    assert tags["ASSUMPTIONS"] == "Taken as amplitude. | Taken as terrain-corrected."
    assert tags["SIMULATED"].startswith("YES")
    assert "SIMULATED" not in facts().tags(name)


def test_gdal_reads_class_names_and_attribute_table_of_the_tags(tmp_path: Path) -> None:
    scene = finished_scene(tmp_path, grid(100, 100))
    copy(scene.paths["tags"], tmp_path / "x.vrt", driver="VRT")  # prints what GDAL knows
    text = (tmp_path / "x.vrt").read_text(encoding="utf-8")
    for entry in CLASSES:
        assert f"<Category>{entry.title}</Category>" in text
        assert f"<F>{entry.title}</F>" in text
    with rasterio.open(scene.paths["tags"]) as cog:  # for whoever loses the side-car
        assert cog.tags()["CLASSES"].startswith("0 water; 1 trees")


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = cog_module.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(cog_module.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    pixels, valid = content("optical", (900, 900))
    with pytest.raises(OutputError, match="the disk is full"):
        write_cog(tmp_path / "x.tif", reader(pixels, valid), grid(900, 900), OPTICAL, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lost", [1, 5_000])
def test_a_file_that_lost_its_end_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    def copy_and_lose(source: str, target: str, **options: Any) -> None:
        copy(source, target, **options)
        os.truncate(target, Path(target).stat().st_size - lost - 4)  # 4: GDAL's trailer of a tile

    monkeypatch.setattr(cog_module, "copy", copy_and_lose)
    pixels, valid = content("optical", (900, 900))
    with pytest.raises(OutputError, match="cannot be written"):
        write_cog(tmp_path / "x.tif", reader(pixels, valid), grid(900, 900), OPTICAL, {})
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    path.write_text("older")

    def read(*window: int) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cog(path, read, grid(100, 100), GREY, {})
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_cog(tmp_path / "no" / "x.tif", lambda *window: None, grid(10, 10), GREY, {})
    with pytest.raises(OutputError, match="cannot be written"):
        write_class_names(tmp_path / "no" / "x.tif")


def test_the_users_gdal_settings_do_not_break_the_pyramid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDAL_DISABLE_READDIR_ON_OPEN", "EMPTY_DIR")
    pixels, valid = content("optical", (1100, 300))
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_TIFF_INTERNAL_MASK=False):
        path = write_cog(tmp_path / "x.tif", reader(pixels, valid), grid(1100, 300), OPTICAL, {})
        with rasterio.open(path) as cog:
            assert cog.overviews(1) == [2, 4]
            np.testing.assert_array_equal(cog.dataset_mask() > 0, valid)


def test_a_real_image_survives_unchanged(tmp_path: Path) -> None:
    data = Path(os.environ.get("SAR2OPT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    source = data / "scenes" / "los_angeles_west_s2_rgb.tif"
    if not source.exists():
        pytest.skip(f"needs {source.name} of the shared data (SAR2OPT_DATA)")
    with rasterio.open(source) as image:
        window = rasterio.windows.Window(8700, 2600, 1400, 700)  # holds data and no data
        pixels, valid = image.read(window=window), image.dataset_mask(window=window) > 0
    assert 0.1 < valid.mean() < 0.99
    path = write_cog(tmp_path / "x.tif", reader(pixels, valid), grid(700, 1400), OPTICAL, {})
    assert cog_validate(path, strict=True, quiet=True)[0]
    with rasterio.open(path) as cog:
        np.testing.assert_array_equal(cog.dataset_mask() > 0, valid)
        np.testing.assert_array_equal(cog.read()[:, valid], pixels[:, valid])


def test_profiles_hold_together() -> None:
    for profile in PROFILES.values():
        assert len(profile.bands) == len(profile.colours)
    with pytest.raises(AttributeError):
        OPTICAL.nodata = 0  # type: ignore[misc]
    assert replace(OPTICAL, nodata=0).nodata == 0
