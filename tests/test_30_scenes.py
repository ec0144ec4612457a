"""The front door: values, no data, bands and place of scene files that are in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from scene_files import speckled, write

from sar2opt.raster import check_raster
from sar2opt.sar.radiometry import to_power
from sar2opt.scenes import open_scene

# odc-geo and rasterio multiply affine matrices with *, which affine 3.1 will deprecate

POWER = speckled()


def values(path: Path, **how: Any) -> np.ndarray:
    return open_scene(path, **how).values


def notes(path: Path, **how: Any) -> str:
    return "; ".join(open_scene(path, **how).attrs["assumptions"])


# ---- units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "stored", "tags"),
    [
        ("power", POWER, {"SCALE": "power"}),
        ("power", POWER.astype(np.float64), {"UNITS": "linear power"}),
        ("power", np.rint(POWER * 1e6).astype(np.uint32), {"SCALE": "power"}),
        ("amplitude", np.sqrt(POWER), {"SCALE": "amplitude"}),
        ("amplitude", (np.sqrt(POWER) * 900).astype(np.uint16), {"SCALE": "amplitude"}),
        ("dB", 10 * np.log10(POWER), {"SCALE": "dB"}),
        ("dB", np.rint(10 * np.log10(POWER)).astype(np.int16), {"UNIT": "decibel"}),
        (
            "display-amplitude",
            np.clip(np.sqrt(POWER) * 400, 1, 255).astype(np.uint8),
            {"SCALING": "linear amplitude / 99th percentile, x255, clipped; 0 = no data"},
        ),
        (
            "display-dB",
            np.clip(10 * np.log10(POWER) * 10 + 255, 1, 255).astype(np.uint8),
            {"SCALE": "dB"},
        ),
    ],
)
def test_stated_scales(tmp_path: Path, scale: str, stored: Any, tags: dict[str, str]) -> None:
    path = write(tmp_path / "s_vv.tif", stored, tags=tags)
    scene = open_scene(path)
    check_raster(scene)
    assert scene.attrs["input_scale"] == scale
    assert scene.attrs["scale"] == "linear"
    expected = to_power(stored, scale)
    fill = expected if scale == "dB" else np.nan  # 0 dB is a value
    np.testing.assert_array_equal(scene.values[0], np.where(stored == 0, fill, expected))
    assert "scale" not in "; ".join(scene.attrs["assumptions"])


@pytest.mark.parametrize(
    ("scale", "stored"),
    [
        ("power", POWER),
        ("amplitude", np.sqrt(POWER)),
        ("amplitude", (np.sqrt(POWER) * 900).astype(np.uint16)),
        ("dB", 10 * np.log10(POWER)),
        ("display-amplitude", np.clip(np.sqrt(POWER) * 400, 1, 255).astype(np.uint8)),
        ("display-dB", np.clip(10 * np.log10(POWER) * 10 + 255, 0, 255).astype(np.uint8)),
    ],
)
def test_inferred_scales_are_told(tmp_path: Path, scale: str, stored: Any) -> None:
    path = write(tmp_path / "s_vv.tif", stored)
    assert open_scene(path).attrs["input_scale"] == scale
    assert f"the values are taken as {scale}: " in notes(path)


def test_a_given_scale_overrules(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", POWER, tags={"SCALE": "power"})
    scene = open_scene(path, scale="amplitude")
    assert scene.attrs["input_scale"] == "amplitude"
    np.testing.assert_array_equal(scene.values[0], POWER**2)
    assert "the values are amplitude, as given" in scene.attrs["assumptions"]


def test_gain_and_offset_are_applied(tmp_path: Path) -> None:
    decibel = np.rint(1000 * np.log10(POWER)).astype(np.int16)
    path = write(tmp_path / "s_vv.tif", decibel, nodata=-32768)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.01,), (1.0,)
    scene = open_scene(path)
    assert scene.attrs["input_scale"] == "dB"
    np.testing.assert_allclose(scene.values[0], POWER * 10**0.1, rtol=2e-3)


def test_display_scales_are_not_calibrated(tmp_path: Path) -> None:
    stored = np.clip(np.sqrt(POWER) * 400, 1, 255).astype(np.uint8)
    path = write(tmp_path / "s_sigma0_vv.tif", stored, nodata=0)
    assert open_scene(path).attrs["quantity"] == "intensity"
    assert "level of the backscatter is unknown" in notes(path)


# ---- no data -------------------------------------------------------------------------------------

HOLE = np.zeros(POWER.shape, bool)
HOLE[:100, 50:200] = True


@pytest.mark.parametrize("value", [0.0, -9999.0, np.nan, -3.4028234663852886e38])
def test_no_data_by_value(tmp_path: Path, value: float) -> None:
    path = write(tmp_path / "s_vv.tif", np.where(HOLE, np.float32(value), POWER), nodata=value)
    np.testing.assert_array_equal(values(path)[0], np.where(HOLE, np.nan, POWER))
    assert "data" not in notes(path)


def test_no_data_beyond_float32(tmp_path: Path) -> None:
    lowest = float(np.finfo(np.float64).min)
    path = write(
        tmp_path / "s_vv.tif", np.where(HOLE, lowest, POWER.astype(np.float64)), nodata=lowest
    )
    np.testing.assert_array_equal(np.isnan(values(path)[0]), HOLE)


def test_no_data_that_the_type_cannot_hold_is_none(tmp_path: Path) -> None:
    amplitude = (np.sqrt(POWER) * 900).astype(np.uint16) + 1
    path = write(tmp_path / "s_vv.tif", amplitude)
    for value in (-9999, 0.5, np.inf, np.nan):
        assert np.isfinite(values(path, nodata=value)).all()


def test_no_data_by_mask(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", POWER, mask=~HOLE)
    np.testing.assert_array_equal(values(path)[0], np.where(HOLE, np.nan, POWER))


def test_no_data_by_alpha(tmp_path: Path) -> None:
    amplitude = (np.sqrt(POWER) * 900).astype(np.uint16)
    alpha = np.where(HOLE, 0, 65535).astype(np.uint16)
    path = write(
        tmp_path / "s_vv.tif", amplitude, alpha, colours=(ColorInterp.gray, ColorInterp.alpha)
    )
    scene = open_scene(path)
    assert scene.shape[0] == 1
    np.testing.assert_array_equal(np.isnan(scene.values[0]), HOLE)


def test_no_data_by_argument(tmp_path: Path) -> None:
    decibel = np.where(HOLE, np.float32(-99), 10 * np.log10(POWER))
    path = write(tmp_path / "s_vv.tif", decibel)
    np.testing.assert_array_equal(np.isnan(values(path, nodata=-99)[0]), HOLE)
    assert "no data is -99, as given" in notes(path, nodata=-99)


def test_infinite_values_are_no_data(tmp_path: Path) -> None:
    decibel = np.where(HOLE, np.float32(-np.inf), 10 * np.log10(POWER))
    assert np.array_equal(np.isnan(values(write(tmp_path / "s_vv.tif", decibel))[0]), HOLE)


def test_a_silent_file_has_zeros_as_no_data(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", np.where(HOLE, np.float32(0), POWER))
    np.testing.assert_array_equal(np.isnan(values(path)[0]), HOLE)
    assert "no nodata value is written: 0 is no data" in notes(path)


def test_zeros_of_8_bit_db_are_dark_pixels_unless_they_fill_a_window(tmp_path: Path) -> None:
    stored = np.clip(10 * np.log10(POWER) * 10 + 255, 0, 255).astype(np.uint8)
    stored[::17, ::17] = 0
    dark = write(tmp_path / "dark_vv.tif", stored)
    assert np.isfinite(values(dark)).all()
    assert "no nodata value is written: 0 is data" in notes(dark)
    stored[:64, :64] = 0
    edge = write(tmp_path / "edge_vv.tif", stored)
    assert np.isnan(values(edge)[0, :64, :64]).all()


def test_a_small_island_of_data_is_found(tmp_path: Path) -> None:
    power = np.full((2000, 2200), np.nan, np.float32)
    power[1300:1370, 700:770] = POWER[:70, :70]
    scene = open_scene(write(tmp_path / "s_vv.tif", power, tags={"SCALE": "power"}))
    assert np.isfinite(scene.values).sum() == 70 * 70


# ---- bands ---------------------------------------------------------------------------------------


def test_two_polarisations_by_description(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tif", POWER, POWER / 5, names=("Sigma0_VH_db", "Sigma0_VV"))
    scene = open_scene(path, scale="power")
    assert scene.band.values.tolist() == ["vh", "vv"]
    assert scene.attrs["quantity"] == "sigma0"
    np.testing.assert_array_equal(scene.values, np.stack([POWER, POWER / 5]))


def test_one_polarisation_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tif", POWER, POWER / 5, names=("VV", "VH"))
    scene = open_scene(path, scale="power", polarisation="vh")
    assert scene.band.values.tolist() == ["vh"]
    np.testing.assert_array_equal(scene.values[0], POWER / 5)


def test_a_band_beside_the_polarisations_is_left_out(tmp_path: Path) -> None:
    angle = np.full_like(POWER, 38.0)
    path = write(tmp_path / "s.tif", POWER, angle, names=("VV", "angle"))
    assert open_scene(path).band.values.tolist() == ["vv"]
    assert "bands left out, as no other polarisation: 2" in notes(path)


@pytest.mark.parametrize(
    ("name", "count", "bands"),
    [
        ("scene_vh.tif", 1, ["vh"]),
        ("S1A_IW_GRDH_1SDV_20190823T085050_20190823T085115_028694_033F78_1635.VV.tif", 1, ["vv"]),
        ("S1B_S4_GRDH_1SSH_20190823T085050_20190823T085115_028694_033F78_1635.tif", 1, ["hh"]),
        ("scene_HH_HV.tif", 2, ["hh", "hv"]),
        ("S1A_EW_GRDM_1SDH_20190823T085050_20190823T085115_0286_03F8_15.tif", 2, ["hv", "hh"]),
        ("scene.tif", 2, ["vh", "vv"]),
    ],
)  # fmt: skip
def test_bands_without_description(tmp_path: Path, name: str, count: int, bands: list[str]) -> None:
    path = write(tmp_path / name, *[POWER, POWER * 4][:count])  # the second is the stronger
    assert open_scene(path, scale="power").band.values.tolist() == bands
    assert "polarisation" in notes(path, scale="power")


def test_a_single_unnamed_band_takes_the_given_name(tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", POWER)
    assert open_scene(path, polarisation="hv").band.values.tolist() == ["hv"]


# ---- place ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crs", "origin", "pixel"),
    [
        ("EPSG:32632", (500_000, 4_000_000), 10.0),
        ("EPSG:4326", (9.0, 45.0), 1e-4),
        ("EPSG:3395", (-13_000_000, 4_000_000), 10.0),
    ],
)
def test_the_grid_is_the_files(
    tmp_path: Path, crs: str, origin: tuple[float, float], pixel: float
) -> None:
    transform = Affine(pixel, 0, origin[0], 0, -pixel, origin[1])
    scene = open_scene(write(tmp_path / "s_vv.tif", POWER, crs=crs, transform=transform))
    geobox = scene.odc.geobox
    assert geobox.crs.epsg == int(crs[5:])
    assert geobox.shape == POWER.shape
    assert tuple(geobox.affine) == pytest.approx(tuple(transform))


def test_heights_in_the_crs_are_dropped(tmp_path: Path) -> None:
    transform = Affine(1e-4, 0, 12.4, 0, -1e-4, 42)
    scene = open_scene(write(tmp_path / "s_vv.tif", POWER, crs="EPSG:9707", transform=transform))
    assert scene.odc.geobox.crs.epsg == 4326
