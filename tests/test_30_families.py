"""Folders, mosaics, vendors' amplitudes, PALSAR tiles and STAC items; all pixels simulated."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from scene_files import UTM, speckled, write

from sar2opt.errors import SceneError, UnitsError
from sar2opt.scenes import folder, open_scene, scene_files
from sar2opt.scenes.files import files_of, name_of

PRODUCTS = Path(__file__).parents[2] / "shared/data/products"
RTC = {"SCALE": "power", "QUANTITY": "gamma0"}
DAY = "2024-07-09T04:03:29Z"


def tile(path: Path, values: Any, band: str, time: str = DAY, **how: Any) -> Path:
    tags = {**RTC, "POLARISATION": band, "ACQUIRED": time, **how.pop("tags", {})}
    return write(path, values, tags=tags, **how)


def test_files_of_one_band_each_open_as_one_scene(tmp_path: Path) -> None:
    vv, vh = speckled(seed=1), speckled(level_db=-19, seed=2)
    tile(tmp_path / "a_VV.tif", vv, "vv")
    tile(tmp_path / "a_VH.tif", vh, "vh")
    write(tmp_path / "a_inc_map.tif", vv)
    for path in (tmp_path, tmp_path / "a_V?.tif"):
        scene = open_scene(path)
        assert list(scene.band.values) == ["vv", "vh"]
        np.testing.assert_allclose(scene.values, [vv, vh], rtol=1e-6)
    assert any("inc_map" in note for note in open_scene(tmp_path).attrs["assumptions"])
    assert list(open_scene(tmp_path, polarisation="vh").band.values) == ["vh"]


def test_bands_in_two_zones_are_resampled_on_linear_power(tmp_path: Path) -> None:
    flat = np.full((200, 200), 0.1, np.float32) * np.linspace(0.9, 1.1, 200, dtype=np.float32)
    east = Affine(10, 0, 500_000, 0, -10, 4_000_000)
    tile(tmp_path / "VV.tif", speckled((200, 200)), "vv", transform=east)
    other = tile(tmp_path / "VH_32632.tif", flat, "vh", transform=east)
    moved = open_scene(other, crs="EPSG:32633", resolution=10.0, scale="power")
    place = moved.odc.geobox.affine
    tile(tmp_path / "VH.tif", moved.values[0], "vh", crs="EPSG:32633", transform=place)
    other.unlink()
    scene = open_scene(tmp_path)
    assert scene.odc.geobox.crs.epsg == 32632
    assert any("linear power" in note for note in scene.attrs["assumptions"])
    at = scene.sel(band="vh").interp(x=501_000, y=3_999_000).values
    assert at == pytest.approx(flat[100, 100], rel=0.01)


@pytest.mark.parametrize("chunks", [37, 1024])
def test_seams_are_feathered_and_no_chunk_shows(tmp_path: Path, chunks: int) -> None:
    left, right = np.full((128, 160), 1.0, np.float32), np.full((128, 160), 2.0, np.float32)
    left[:, 155:] = np.nan  # the seam follows valid data, not the edge of the file
    tile(tmp_path / "1_VV.tif", left, "vv")
    tile(tmp_path / "2_VV.tif", right, "vv", transform=UTM * Affine.translation(100, 0))
    power = open_scene(tmp_path, chunks=chunks).values[0]
    assert power.shape == (128, 260)
    middle = power[64]
    assert (middle[:100] == 1).all()
    assert (middle[155:] == 2).all()
    assert (np.diff(middle[100:155]) >= 0).all()
    assert 1.4 < middle[127] < 1.6
    np.testing.assert_allclose(power, open_scene(tmp_path, chunks=4096).values[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("second", "error", "words"),
    [
        ({"time": "2024-07-21T04:03:29Z"}, SceneError, "mixed passes"),
        ({"band": "hh"}, SceneError, "mixed polarisations"),
        ({"tags": {"QUANTITY": "sigma0"}}, UnitsError, "mixed quantities"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    tmp_path: Path, second: dict[str, Any], error: type[Exception], words: str
) -> None:
    how = {"band": "vv", "transform": UTM * Affine.translation(256, 0), **second}
    tile(tmp_path / "1.tif", speckled(), "vv")
    tile(tmp_path / "2.tif", speckled(seed=1), **how)
    with pytest.raises(error, match=words):
        open_scene(tmp_path)


@pytest.mark.parametrize("time", ["", DAY])
def test_two_dates_are_not_averaged_but_slices_in_one_frame_are_joined(
    tmp_path: Path, time: str
) -> None:
    first, second = speckled(seed=1), speckled(seed=2)
    tile(tmp_path / "amp_prm_vv.tif", first, "vv", time)
    tile(tmp_path / "amp_sec_vv.tif", second, "vv", time)
    with pytest.raises(SceneError, match="cover the same ground"):
        open_scene(tmp_path / "amp_*.tif")
    first[128:], second[:120] = np.nan, np.nan
    tile(tmp_path / "amp_prm_vv.tif", first, "vv", time)
    tile(tmp_path / "amp_sec_vv.tif", second, "vv", time)
    power = open_scene(tmp_path / "amp_*.tif").values[0]
    np.testing.assert_array_equal(power[:120], first[:120])
    np.testing.assert_array_equal(power[128:], second[128:])
    assert np.isfinite(power).all()


@pytest.mark.parametrize(
    "stem", ["coh_vv", "phi_vv", "a_coh_vv", "a_inc_map", "a_mask", "dem-b1", "a_local_inc_angle"]
)
def test_layers_that_are_no_backscatter_make_no_scene(tmp_path: Path, stem: str) -> None:
    write(tmp_path / f"{stem}.tif", speckled())
    for path, what in ((tmp_path, "this is a folder"), (tmp_path / "*.tif", "this is a pattern")):
        with pytest.raises(SceneError, match=what):
            open_scene(path)
    vv = tile(tmp_path / "phidias_vv.tif", speckled(), "vv")
    scene = open_scene(tmp_path)
    assert list(scene.band.values) == ["vv"]
    assert any(stem in note for note in scene.attrs["assumptions"])
    assert scene_files(tmp_path) == [vv]


def test_a_folder_of_a_sentinel1_product_is_no_folder_of_tiffs(tmp_path: Path) -> None:
    safe = tmp_path / "S1A_IW_GRDH.SAFE"
    (safe / "measurement").mkdir(parents=True)
    tile(safe / "measurement" / "s1a-iw-grd-vv.tiff", speckled(), "vv")
    for path in (safe, tmp_path):
        assert not folder.accepts(path)
        with pytest.raises(SceneError, match="this is a folder"):
            open_scene(path)


def test_the_source_of_a_glob_is_what_its_files_share(tmp_path: Path) -> None:
    for band in ("vv", "vh"):
        tile(tmp_path / f"June_{band}.tif", speckled(), band)
    assert open_scene(tmp_path / "June_*").attrs["source"] == "June"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.b.cloudoptimised", "a.b"), ("tile.tar.gz", "tile"), ("S1A.SAFE.zip", "S1A"),
        ("plain", "plain"), (".tif", ".tif"), ("https://a.bc/d/e.tif?sig=f.g/h", "e"),
        ("http://a.bc/items/S1A_X", "S1A_X"),
    ],
)  # fmt: skip
def test_names(path: str, name: str) -> None:
    assert name_of(Path(path)) == name


def test_names_and_files(tmp_path: Path) -> None:
    (tmp_path / "a.b").mkdir()
    tiffs = [tmp_path / "a.b" / f"S_{band}.tif" for band in ("VH", "VV")]
    for path in tiffs:
        path.write_bytes(b"-")
    assert files_of(tmp_path / "a.b") == files_of(tmp_path / "a.b" / "S_*.tif") == tiffs
    assert name_of(tmp_path / "a.b") == "a.b"
    assert name_of(tmp_path / "a.b" / "S_*.tif") == "S"
    assert name_of(tmp_path / "N00E010_17_MOS.tar.gz") == "N00E010_17_MOS"


def capella(folder: Path, told: Any) -> Path:
    path = folder / "CAPELLA_C14_SP_GEO_HH_20240709040329_20240709040358.tif"
    numbers = np.clip(np.sqrt(speckled()) / 9.657046131856903e-05, 1, 65535).astype(np.uint16)
    (folder / f"{path.stem}_extended.json").write_text(json.dumps(told))
    return write(path, numbers)


def real_capella() -> Any:
    folder = PRODUCTS / "capella"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: the real extended metadata of Capella is needed")
    return json.loads(next(folder.glob("*.json")).read_text())


def test_capella_takes_the_scale_factor_from_its_json(tmp_path: Path) -> None:
    path = capella(tmp_path, real_capella())
    scene = open_scene(path)
    np.testing.assert_allclose(scene.values[0], speckled(), rtol=0.03, atol=1e-4 * 1e-3)
    attrs = scene.attrs
    assert list(scene.band.values) == ["hh"]
    assert (attrs["quantity"], attrs["frequency_band"], attrs["looks"]) == ("sigma0", "X", 9.0)
    assert attrs["acquired"].startswith("2024-07-09T04:03:29")
    assert scene_files(path) == [path, path.with_name(f"{path.stem}_extended.json")]


def test_iceye_takes_the_calibration_factor_from_its_tags(tmp_path: Path) -> None:
    numbers = np.clip(np.sqrt(speckled() / 1e-7), 1, 65535).astype(np.uint16)
    tags = {"CALIBRATION_FACTOR": "1e-7", "POLARIZATION": "VV"}
    path = write(tmp_path / "ICEYE_X6_GRD_SM_1_20211026T060946.tif", numbers, tags=tags)
    scene = open_scene(path)
    np.testing.assert_allclose(scene.values[0], speckled(), rtol=0.05, atol=1e-6)
    assert (scene.attrs["quantity"], scene.attrs["frequency_band"]) == ("sigma0", "X")
    assert scene.attrs["acquired"] == "2021-10-26T06:09:46Z"
    for tag, words in (
        ("CALIBRATION_FACTOR", "metadata cannot"),
        ("ICEYE:AMPLITUDE_MAPPING", "mapped"),
    ):
        write(path, numbers, tags={**tags, tag: "{}"})
        with pytest.raises(SceneError, match=words):
            open_scene(path)


def test_umbra_is_amplitude_in_x_band(tmp_path: Path) -> None:
    path = write(tmp_path / "2024-01-01-02-10-11_UMBRA-04_GEC.tif", (speckled() * 1e3).astype("u2"))
    beside = tmp_path / "2024-01-01-02-10-11_UMBRA-04_METADATA.json"
    beside.write_text(json.dumps({"collects": [{"polarizations": ["VV"]}]}))
    scene = open_scene(path)
    assert list(scene.band.values) == ["vv"]
    assert (scene.attrs["input_scale"], scene.attrs["frequency_band"]) == ("amplitude", "X")
    beside.write_text("{}")
    with pytest.raises(SceneError, match="metadata cannot be used"):
        open_scene(path)


@pytest.mark.parametrize("told", [[], {}, {"collect": 1}, {"collect": {"image": {}, "radar": {}}}])
def test_wrong_vendor_json_is_one_line(tmp_path: Path, told: Any) -> None:
    path = capella(tmp_path, told)
    with pytest.raises(SceneError, match="metadata cannot be used") as caught:
        open_scene(path)
    assert "\n" not in str(caught.value)
    (tmp_path / f"{path.stem}_extended.json").unlink()
    with pytest.raises(SceneError, match="is missing"):
        open_scene(path)


@pytest.mark.parametrize("driver", ["GTiff", "ENVI"])
def test_palsar_tile_is_read_in_its_archive(tmp_path: Path, driver: str) -> None:
    import rasterio

    power = {"HH": speckled(level_db=-8), "HV": speckled(level_db=-14, seed=3)}
    where = {"crs": "EPSG:4326", "transform": Affine(1 / 4500, 0, 10, 0, -1 / 4500, 0)}
    inner = tmp_path / "inner"
    inner.mkdir()
    ending = ".tif" if driver == "GTiff" else ""
    for band, values in power.items():
        numbers = np.rint(np.sqrt(values) * 10**4.15).clip(1, 65535).astype(np.uint16)
        with rasterio.open(
            inner / f"N00E010_17_sl_{band}_F02DAR{ending}", "w", driver=driver, count=1,
            width=256, height=256, dtype="uint16", **where,
        ) as file:  # fmt: skip
            file.write(numbers, 1)
    (inner / "N00E010_17_linci_F02DAR").write_bytes(b"-")
    path = tmp_path / "N00E010_17_MOS_F02DAR.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file in sorted(inner.iterdir()):
            archive.add(file, file.name)
    scene = open_scene(path)
    assert list(scene.band.values) == ["hh", "hv"]
    assert (scene.attrs["quantity"], scene.attrs["frequency_band"]) == ("gamma0", "L")
    np.testing.assert_allclose(scene.values[0], power["HH"], rtol=2e-2)
    assert any("linci" in note for note in scene.attrs["assumptions"])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["inner", path.name])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SceneError, match="damaged or cut off"):
        open_scene(path)
