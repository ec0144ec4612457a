"""Sentinel-1 SLC: bursts and sub-swaths joined without a seam, calibrated, multilooked, placed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simulated_radar as radar
import simulated_safe as s1
import simulated_slc as slc
from pyproj import Transformer

from sar2opt.config import SceneSettings
from sar2opt.errors import BandError, SceneError
from sar2opt.sar.deburst import Bursts, share_out
from sar2opt.sar.geolocation import GridGeometry
from sar2opt.scenes import open_scene, open_with_terrain, scene_info
from sar2opt.scenes.sentinel1 import slc_source
from sar2opt.scenes.sentinel1.container import open_container
from sar2opt.scenes.sentinel1.radar import Radar
from sar2opt.scenes.sentinel1.slc import read_radar

MODES = ["IW", "EW", "S4"]
ACROSS = 4  # samples of a pixel, in all modes
DOWN = {"IW": 1, "EW": 2, "S4": 3}  # lines
PIXEL = {"IW": 14, "EW": 40, "S4": 14}  # metres


def ramp(line: Any, sample: Any) -> Any:
    """Return a power that tells lines and samples apart, of whole amplitudes: none is rounded."""
    return 2.0 * (2000 + 20 * line + 10 * sample) ** 2


def read(safe: Path, **how: Any) -> Radar:
    """Return a product in radar geometry."""
    return read_radar(open_container(safe), SceneSettings(**how))


def seen(last_burst: int = 0, mode: str = "IW") -> Any:
    """Return True ``(line, sample)`` of the lattice wherever a burst is valid.

    Bursts get narrower; with ``last_burst`` all are as narrow as that one.
    """
    lattice = np.zeros(slc.extent(mode), bool)
    for index in range(slc.SWATHS[mode]):
        for burst, top in enumerate(slc.tops(index)):
            first, last = (
                sample + index * slc.REACH for sample in slc.valid(max(burst, last_burst))
            )
            lattice[top + 6 : top + slc.LINES - 9, first : last + 1] = True
    return lattice


def means(values: Any, down: int) -> Any:
    """Return the means of blocks of ``down`` lines by ``ACROSS`` samples."""
    rows, cols = values.shape[0] // down, values.shape[1] // ACROSS
    whole = values[: rows * down, : cols * ACROSS].astype(float)
    return whole.reshape(rows, down, cols, ACROSS).mean(axis=(1, 3))


@pytest.mark.parametrize("mode", slc.SWATHS)
def test_no_line_or_sample_is_missing_or_there_twice(mode: str, tmp_path: Path) -> None:
    safe = slc.write_slc(tmp_path, ramp, mode=mode, speckle=False)
    power = read(safe, calibration="none").source[:, :, :][0]
    rows, cols = power.shape
    may, must = (means(seen(burst, mode), DOWN[mode])[:rows, :cols] for burst in (0, 2))
    assert not np.isfinite(power[may < 0.5]).any()
    assert np.isfinite(power[must >= 0.5]).all()
    whole = np.isfinite(power) & (must == 1)
    assert whole.mean() > 0.65
    lines, samples = slc.extent(mode)
    expected = means(ramp(*np.mgrid[:lines, :samples]), DOWN[mode])[:rows, :cols]
    np.testing.assert_allclose(power[whole], expected[whole], rtol=1e-6)
    ragged = np.isfinite(power)  # along its edges a pixel is the mean of a part; no glare in it
    np.testing.assert_allclose(power[ragged], expected[ragged], rtol=0.01)


def test_stripmap_is_one_piece(tmp_path: Path) -> None:
    safe = slc.write_slc(tmp_path, ramp, mode="S4", speckle=False)
    radar = read(safe, calibration="none")
    expected = means(ramp(*np.mgrid[: slc.FAR[0], : slc.FAR[1]]), DOWN["S4"])
    np.testing.assert_allclose(radar.source[:, :, :][0], expected, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("quantity", ["gamma0", "sigma0", "beta0"])
def test_the_mean_is_kept(mode: str, quantity: str, tmp_path: Path) -> None:
    safe = slc.write_slc(tmp_path, lambda line, _: 0.1 + 0 * line, mode=mode, calibrated=True)
    scene = open_scene(safe, calibration=quantity)
    times = {"gamma0": 1, "sigma0": 1.1, "beta0": 1.2}[quantity]
    assert np.nanmean(scene) == pytest.approx(0.1 / times**2, rel=0.01)
    assert scene.attrs["quantity"] == quantity


@pytest.mark.parametrize("mode", MODES)
def test_the_looks_are_as_stated(mode: str, tmp_path: Path) -> None:
    safe = slc.write_slc(tmp_path, lambda line, _: 2e4 + 0 * line, mode=mode)
    radar_ = read(safe, calibration="none")
    power = radar_.source[:, :, :]
    looks = np.nanmean(power) ** 2 / np.nanvar(power)
    assert radar_.attrs["looks"] == DOWN[mode] * ACROSS
    assert looks == pytest.approx(DOWN[mode] * ACROSS, rel=0.05)


def test_noise_can_be_kept(tmp_path: Path) -> None:
    safe = slc.write_slc(tmp_path, lambda line, _: 0.1 + 0 * line, calibrated=True)
    left, kept = (np.nanmean(open_scene(safe, noise=how)) for how in ("subtract", "keep"))
    assert kept > 1.03 * left


def targets(mode: str) -> list[tuple[int, int]]:
    """Return lines and pixels of means: in each sub-swath, and at its seams."""
    if mode == "S4":
        return [(20, 13), (100, 106)]
    if mode == "EW":
        inner = [(30, 50), (70, 135), (110, 220), (150, 305), (210, 390)]
        return [*inner, (67, 50), (70, 92), (110, 178), (150, 263), (190, 348)]
    return [(60, 25), (133, 50), (219, 88), (138, 88), (220, 135), (300, 173), (258, 220)]


@pytest.mark.parametrize(
    ("mode", "relief"), [("IW", 0.0), ("IW", 400.0), ("EW", 400.0), ("S4", 0.0)]
)
def test_point_targets_lie_on_their_coordinates(mode: str, relief: float, tmp_path: Path) -> None:
    echoes = targets(mode)

    def power(line: Any, sample: Any) -> Any:
        bright = np.full(np.shape(line), 100.0)
        for row, col in echoes:
            bright[(line // DOWN[mode] == row) & (sample // ACROSS == col)] = 1e8
        return bright

    safe = slc.write_slc(tmp_path, power, mode=mode, speckle=False, relief=relief)
    scene = open_scene(safe, calibration="none")
    around = 3 * PIXEL[mode]
    to_map = Transformer.from_crs("EPSG:4326", str(scene.odc.geobox.crs), always_xy=True)
    for row, col in echoes:
        line, sample = (row + 0.5) * DOWN[mode] - 0.5, (col + 0.5) * ACROSS - 0.5
        up = slc.height(line, sample, relief)
        lon, lat = radar.place_on(slc.model(mode), slc.CENTRE, line, sample, up)
        x, y = to_map.transform(float(lon), float(lat))
        near = scene.sel(x=slice(x - around, x + around), y=slice(y + around, y - around))[0]
        weight = np.maximum(near.values - 1e4, 0)
        assert weight.max() > 1e7, (row, col)
        east = float((weight * near.x.values).sum() / weight.sum())
        north = float((weight * near.y.values[:, None]).sum() / weight.sum())
        assert max(abs(east - x), abs(north - y)) < PIXEL[mode] / 2, (row, col)


@pytest.mark.parametrize(("mode", "relief"), [("IW", 0.0), ("IW", 400.0), ("EW", 400.0)])
def test_its_grid_and_its_orbit_say_what_those_of_one_piece_say(
    mode: str, relief: float, tmp_path: Path
) -> None:
    radar_ = read(slc.write_slc(tmp_path, ramp, mode=mode, relief=relief))
    line, sample = np.argwhere(seen(mode=mode))[::500].T.astype(float)
    up = slc.height(line, sample, relief)
    lon, lat = radar.place_on(slc.model(mode), slc.CENTRE, line, sample, up)
    assert radar_.model is not None
    row, col = radar_.model.locate(lon, lat, up)
    np.testing.assert_allclose(row, (line + 0.5) / DOWN[mode] - 0.5, atol=2e-3)
    np.testing.assert_allclose(col, (sample + 0.5) / ACROSS - 0.5, atol=2e-3)
    row, col = GridGeometry(radar_.grid).locate(lon, lat)
    np.testing.assert_allclose(row, (line + 0.5) / DOWN[mode] - 0.5, atol=0.05)
    np.testing.assert_allclose(col, (sample + 0.5) / ACROSS - 0.5, atol=0.05)


def test_windows_strips_and_zip_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe = slc.write_slc(tmp_path, lambda line, _: 2e4 + 0 * line, bands=("vv", "vh"))
    source = read(safe).source
    whole = source[:, :, :]
    monkeypatch.setattr(slc_source, "_MOST_SAMPLES", 5_000)
    np.testing.assert_array_equal(source[:, :, :], whole)
    np.testing.assert_array_equal(source[1:2, 57:301, 60:150], whole[1:2, 57:301, 60:150])
    scene, zipped = open_scene(safe), open_scene(s1.zip_safe(safe))
    np.testing.assert_array_equal(zipped.values, scene.values)
    assert list(scene.band.values) == ["vv", "vh"]
    assert scene.attrs["input_scale"] == "complex"
    assert any("averaged over 1 x 4" in note for note in scene.attrs["assumptions"])
    assert scene_info(safe)["looks"] == "4, as the file says"


def test_no_more_is_read_at_once_than_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = read(slc.write_slc(tmp_path, ramp, speckle=False), calibration="none").source
    sizes = []

    def watched(*args: Any) -> Any:
        number = slc_source_read(*args)
        sizes.append(number.size)
        return number

    slc_source_read = slc_source.read_numbers
    monkeypatch.setattr(slc_source, "read_numbers", watched)
    monkeypatch.setattr(slc_source, "_MOST_SAMPLES", 20_000)
    assert np.isfinite(source[:, :, :]).any()
    assert 0 < max(sizes) <= 20_000


def test_samples_that_are_all_zero_are_no_data(tmp_path: Path) -> None:
    safe = slc.write_slc(tmp_path, lambda line, _: np.where(line < 100, 0, 1e6), mode="S4")
    power = read(safe, calibration="none").source[0, :, :]
    assert np.isnan(power[:33]).all()
    assert np.isfinite(power[33:]).all()


def test_on_the_terrain(tmp_path: Path) -> None:
    safe = slc.write_slc(tmp_path, lambda line, _: 0.1 + 0 * line, calibrated=True)
    dem = radar.write_dem(tmp_path / "dem.tif", np.full((400, 400), 120.0), slc.CENTRE)
    scene, layers = open_with_terrain(safe, dem=dem)
    assert float(np.nanmean(scene)) == pytest.approx(0.1, rel=0.01)
    assert layers is not None
    assert float(layers.sel(band="local_incidence_deg").mean()) == pytest.approx(38, abs=1)


def test_the_orbit_of_stripmap_counts_pixels_of_several_lines(tmp_path: Path) -> None:
    radar_ = read(slc.write_slc(tmp_path, ramp, mode="S4", speckle=False))
    line, sample = np.mgrid[0 : slc.FAR[0] : 30, 0 : slc.FAR[1] : 50].astype(float)
    at = radar.place_on(slc.model("S4"), slc.CENTRE, line, sample, 50.0)
    assert radar_.model is not None
    row, col = radar_.model.locate(*at, 50.0)
    np.testing.assert_allclose(row, (line + 0.5) / DOWN["S4"] - 0.5, atol=2e-3)
    np.testing.assert_allclose(col, (sample + 0.5) / ACROSS - 0.5, atol=2e-3)


def test_seams_lie_in_the_middle_of_what_both_have() -> None:
    near = Bursts(np.array([0, 6]), 0, np.full((2, 10), 1), np.full((2, 10), 19))
    far = Bursts(np.array([2]), 12, np.full((1, 10), 1), np.full((1, 10), 19))
    first, second = share_out([near, far])
    np.testing.assert_array_equal(first.line, [*range(8), *range(12, 20)])  # lines 6 to 9: both
    np.testing.assert_array_equal(first.stop, [20, 20, *[16] * 10, *[20] * 4])
    np.testing.assert_array_equal(second.start[2:12], np.full(10, 16))
    np.testing.assert_array_equal(second.line, [-1, -1, *range(10), *[-1] * 4])


def test_bursts_with_a_gap_or_without_an_echo() -> None:
    first = np.array([[0, 0, 0, 0], [-1, -1, -1, -1], [-1, 2, -1, 2]])
    bursts = Bursts(np.array([0, 3, 6]), 5, first, np.where(first < 0, -1, 9))
    share = share_out([bursts])[0]
    np.testing.assert_array_equal(share.line, [0, 1, 2, 3, -1, -1, -1, 9, -1, 11])
    assert (share.start[7], share.stop[7]) == (7, 15)


def one(safe: Path, pattern: str) -> Path:
    """Return the first file of a product that fits a pattern."""
    return sorted(safe.rglob(pattern))[0]


def rewritten(pattern: str, old: str, new: str) -> Callable[[Path], object]:
    """Return what replaces a text in a file of a product, once."""

    def damage(safe: Path) -> object:
        text = one(safe, pattern).read_text()
        assert old in text
        return one(safe, pattern).write_text(text.replace(old, new, 1))

    return damage


IW2 = "annotation/s1a-iw2*.xml"
LAST = f"<burst><azimuthTime>{slc._time(slc.tops(1)[2])}"  # its third burst
DAMAGES: dict[str, Callable[[Path], object]] = {
    "the sub-swath IW2 is missing in vv: fetch the whole": lambda safe: one(safe, IW2).unlink(),
    "the measurement file of vv is missing": lambda safe: one(safe, "s1a-iw2*.tiff").unlink(),
    "the calibration file of vv is missing": lambda safe: one(safe, "cal*-iw2-*.xml").unlink(),
    "the noise file of vv is missing": lambda safe: one(safe, "noise*-iw2-*.xml").unlink(),
    "cut off": lambda safe: os.truncate(one(safe, "s1a-iw2*.tiff"), 90_000),
    "has 300 lines of 400 pixels, its annotation 450": lambda safe: s1.write_numbers(
        one(safe, "s1a-iw2*.tiff"), np.ones((300, 400), np.complex64)
    ),
    "float32, not one of complex_int16": lambda safe: s1.write_numbers(
        one(safe, "s1a-iw2*.tiff"), np.ones((450, 400), np.float32)
    ),
    "its 2 bursts of 150 lines do not make its 450": lambda safe: one(safe, IW2).write_text(
        one(safe, IW2).read_text().split(LAST)[0]
        + "</burstList></swathTiming><geolocationGrid>"
        + one(safe, IW2).read_text().split("<geolocationGrid>")[1]
    ),
    "it has 0 bursts, which no product has": lambda safe: one(safe, IW2).write_text(
        re.sub("<burst>.*</burst>", "", one(safe, IW2).read_text())
    ),
    "its name says iw2, its content iw3": rewritten(IW2, "<swath>IW2", "<swath>IW3"),
    "of type GRD, another file of the product of type SLC": rewritten(IW2, ">SLC<", ">GRD<"),
    "IW2 and IW1 differ in datatake": rewritten(IW2, ">302867<", ">302868<"),
    "times or ranges of its bursts in IW2": rewritten(IW2, LAST, LAST.replace("2021", "2022")),
    "firstValidSample lies outside": rewritten(IW2, " 12 ", " 4000 "),
    "bandwidth or window": rewritten(IW2, "Coefficient>1.0<", "Coefficient>9.0<"),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_refused(message: str, tmp_path: Path) -> None:
    safe = slc.write_slc(tmp_path, ramp, speckle=False)
    DAMAGES[message](safe)
    with pytest.raises(SceneError, match=message) as refused:
        open_scene(safe)
    assert "\n" not in str(refused.value)


def test_slc_and_grd_of_one_pass_are_not_mixed(tmp_path: Path) -> None:
    slc.write_slc(tmp_path, ramp, speckle=False)
    s1.write_safe(tmp_path)
    with pytest.raises(SceneError, match="GRD and SLC of one pass show the same"):
        open_scene(tmp_path)


def test_modes_and_bands_that_are_not_there(tmp_path: Path) -> None:
    safe = slc.write_slc(tmp_path, ramp, mode="S4", speckle=False)
    with pytest.raises(BandError, match="no band hh: say --polarisation vv"):
        open_scene(safe, polarisation="hh")
    for file in sorted(safe.rglob("*s1a-s4-*")):
        file.rename(file.with_name(file.name.replace("-s4-", "-wv1-")))
    with pytest.raises(
        SceneError, match="20 km wide and 100 km apart, make no map: give IW, EW or"
    ):
        open_scene(safe)


def test_sub_swaths_of_two_modes_are_no_product(tmp_path: Path) -> None:
    safe = slc.write_slc(tmp_path, ramp, mode="EW", speckle=False)
    for file in sorted(safe.rglob("*s1a-ew2-*")):
        file.rename(file.with_name(file.name.replace("-ew2-", "-iw2-")))
    with pytest.raises(
        SceneError, match=r"an SLC product of EW1, EW3, EW4, EW5, IW2: IW .* are read"
    ):
        open_scene(safe)
    for file in sorted(safe.rglob("*s1a-iw2-*")):
        file.unlink()
    with pytest.raises(SceneError, match="the sub-swath EW2 is missing in vv: fetch the whole"):
        open_scene(safe)


def test_calibrated_as_xarray_sentinel_does(tmp_path: Path) -> None:
    reason = "xarray-sentinel is not installed (pip install 'sar2opt[test]')"
    theirs = pytest.importorskip("xarray_sentinel.sentinel1", reason=reason)
    xr = pytest.importorskip("xarray")
    safe = slc.write_slc(tmp_path, lambda line, _: 2e4 + 0 * line, mode="S4")
    lines, samples = slc.FAR
    number = slc_source.read_numbers(
        str(one(safe, "*.tiff")), (0, 0), slice(0, lines), slice(0, samples)
    )
    knots = [0, 150, lines], [0, 60, 120, samples - 1]
    table = s1.gain(*np.meshgrid(*knots, indexing="ij"))
    lut = xr.DataArray(table, coords=dict(zip(("line", "pixel"), knots, strict=True)))
    at = {"line": np.arange(lines), "pixel": np.arange(samples)}
    power = theirs.calibrate_intensity(xr.DataArray(number, coords=at), lut).values
    ours = read(safe, noise="keep").source[0, :, :]
    np.testing.assert_allclose(ours, means(power, DOWN["S4"]), rtol=1e-4)
