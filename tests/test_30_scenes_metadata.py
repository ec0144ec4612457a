"""The front door: what a scene file says about itself, and what is told of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from scene_files import speckled, write

from sar2opt.scenes import open_scene, scene_info
from sar2opt.scenes.metadata import Header, find_acquired, find_quantity, find_scale, find_source

DATA = Path(os.environ.get("SAR2OPT_DATA", Path(__file__).parents[2] / "shared" / "data"))
# odc-geo and rasterio multiply affine matrices with *, which affine 3.1 will deprecate

POWER = speckled()


# ---- what the file says about itself -------------------------------------------------------------

S1 = "S1A_IW_GRDH_1SDV_20201107T135241_20201107T135306_035143_041A16_322B"


@pytest.mark.parametrize(
    ("name", "tags", "acquired"),
    [
        ("s.tif", {"ACQUIRED": "07.11.2020"}, "2020-11-07"),
        ("s.tif", {"ACQUIRED": "07.11.2020", "SOURCE": f"{S1}.SAFE"}, "2020-11-07T13:52:41Z"),
        ("s.tif", {"ACQUIRED": "2020-11-08", "SOURCE": f"{S1}.SAFE"}, "2020-11-08"),
        ("s.tif", {"ACQUISITION_DATETIME": "2020-11-07T15:52:41+02:00"}, "2020-11-07T13:52:41Z"),
        ("s.tif", {"DATETIME": "2021-07-21T08:40:10.000000000"}, "2021-07-21T08:40:10Z"),
        ("s.tif", {"ACQUIRED": "soon"}, ""),
        (f"{S1}_vv.tif", {"TIFFTAG_DATETIME": "2021:01:01 00:00:00"}, "2020-11-07T13:52:41Z"),
        ("s.tif", {"TIFFTAG_DATETIME": "2021:01:01 06:00:00"}, "2021-01-01T06:00:00Z"),
        ("OPERA_L2_RTC-S1_T1_20231028T015914Z_20231029T050142Z.tif", {}, "2023-10-28T01:59:14Z"),
        ("mosaic_20200131.tif", {}, "2020-01-31"),
        ("tile_20209931.tif", {}, ""),
    ],
)
def test_time_of_acquisition(name: str, tags: dict[str, str], acquired: str) -> None:
    assert find_acquired(Header(name, tags, ("",)))[0] == acquired


@pytest.mark.parametrize(
    ("name", "tags", "band", "quantity", "scale"),
    [
        ("s.tif", {"QUANTITY": "gamma0", "SCALE": "dB"}, "", "gamma0", "dB"),
        ("s.tif", {}, "Sigma0_VV_db", "sigma0", "dB"),
        ("s.tif", {}, "Intensity_VV", "intensity", "power"),
        ("s.tif", {"SCALE": "10"}, "Beta Nought VV", "beta0", ""),
        ("a_gamma0_vv_amp.tif", {}, "", "gamma0", "amplitude"),
        ("S1A_IW_20180128T161201_DVP_RTC30_G_gpuned_FD6A_VV.tif", {}, "", "gamma0", "power"),
        ("S1A_IW_20180128T161201_DVP_RTC30_G_sduned_FD6A_VV.tif", {}, "", "sigma0", "dB"),
        ("OPERA_L2_RTC-S1_T137-292321-IW1_v1.0_VH.tif", {}, "", "gamma0", "power"),
        (f"{S1[:-11]}035DB4_ADEC.tif", {}, "", "intensity", ""),
    ],
)
def test_quantity_and_scale_by_words(
    name: str, tags: dict[str, str], band: str, quantity: str, scale: str
) -> None:
    header = Header(name, tags, (band,))
    assert (find_quantity(header)[0], find_scale(header)[0]) == (quantity, scale)


def test_source_is_the_product() -> None:
    assert find_source(Header("x.tif", {"SOURCE": f"{S1}.SAFE"}, ())) == S1
    assert find_source(Header(f"sen1_Aug_{S1}.VV.tif", {}, ())) == S1
    assert find_source(Header("harbour.v2.tif", {}, ())) == "harbour.v2"


def test_attributes_of_a_synthetic_scene(tmp_path: Path) -> None:
    tags = {"QUANTITY": "sigma0", "SCALE": "power", "ACQUIRED": "2024-05-01T10:00:00Z",
            "SOURCE": "harbour", "SIMULATED": "YES", "LOOKS": "4.4"}  # fmt: skip
    path = write(tmp_path / "s.tif", POWER, POWER / 5, names=("VV", "VH"), tags=tags, nodata=np.nan)
    attrs = open_scene(path).attrs
    assert attrs["assumptions"] == []
    assert (attrs["quantity"], attrs["input_scale"]) == ("sigma0", "power")
    assert (attrs["acquired"], attrs["source"]) == ("2024-05-01T10:00:00Z", "harbour")
    assert attrs["simulated"] is True
    assert attrs["looks"] == 4.4


def test_info(tmp_path: Path) -> None:
    power = POWER.copy()
    power[:, :64] = np.nan
    path = write(tmp_path / "s.tif", power, power * np.nan, names=("VV", "VH"))
    info = scene_info(path, scale="power")
    assert info["bands"] == ["vv", "vh"]
    assert info["input_scale"] == "power"
    assert info["valid_share"] == pytest.approx(0.375)
    quantiles = 10 * np.log10(np.nanquantile(power, [0.01, 0.5, 0.99]))
    assert info["backscatter_db"]["vv"] == pytest.approx(quantiles, abs=0.1)
    assert info["backscatter_db"]["vh"] is None


# ---- real files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "bands", "scale", "acquired", "median_db"),
    [
        ("scenes/los_angeles_west_s1_vh.tif", ["vh"], "display-amplitude",
         "2020-11-07T13:52:41Z", -8.0),
        ("scenes/san_antonio_s1_vh.tif", ["vh"], "display-amplitude",
         "2020-12-04T00:35:07Z", -5.6),
        ("chips/terramind/282D*_S1RTC.tif", ["vv", "vh"], "dB", "2021-07-21T08:40:10Z", -13.9),
        ("chips/gee_brazil/sen1_Aug*.VV.tif", ["vv"], "dB", "2019-08-23T08:50:50Z", -10.5),
        ("products/gamma0_db/*_db.tif", ["vv"], "dB", "2015-03-09T17:30:17Z", -11.0),
        ("products/morocco/amp_prm_vv.tif", ["vv"], "amplitude", "", -12.1),
        ("change/opera_rtc_series/T137-292321-IW1/*_20231028T015914Z_*_VH.tif", ["vh"], "power",
         "2023-10-28T01:59:14Z", -25.5),
    ],
)  # fmt: skip
def test_real_files(
    pattern: str, bands: list[str], scale: str, acquired: str, median_db: float
) -> None:
    path = next(DATA.glob(pattern), None)
    if path is None:
        pytest.skip(f"{pattern} is not in {DATA}")
    info = scene_info(path)
    assert (info["bands"], info["input_scale"], info["acquired"]) == (bands, scale, acquired)
    assert info["backscatter_db"][bands[0]][1] == pytest.approx(median_db, abs=0.3)


def test_a_large_scene_opens_at_once() -> None:
    path = DATA / "scenes" / "los_angeles_west_s1_vh.tif"
    if not path.exists():
        pytest.skip(f"{path.name} is not in {DATA}")
    start = time.process_time()
    open_scene(path)
    assert time.process_time() - start < 1
