"""Sentinel-1 GRD products: calibrated, in their place, from folder, zip and flat layout."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import simulated_safe as s1
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from sar2opt.errors import BandError, ConfigError, SceneError
from sar2opt.scenes import open_scene, open_with_terrain, scene_info
from sar2opt.scenes.files import name_of
from sar2opt.scenes.sentinel1 import product
from sar2opt.scenes.sentinel1.annotation import parse_annotation
from sar2opt.scenes.sentinel1.luts import parse_calibration, parse_noise
from sar2opt.scenes.sentinel1.source import Channel, GrdSource
from sar2opt.scenes.sentinel1.xml import Tree

DATA = Path(os.environ.get("SAR2OPT_DATA", Path(__file__).parents[2] / "shared" / "data"))
PRODUCTS = DATA / "products"


def window(quantity: str, *, old: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return calibration and noise over a window that crosses all knots, and its indices."""
    lines, pixels = slice(50, 180), slice(20, 230)
    gain = parse_calibration(s1.calibration().encode(), "x", quantity).over(lines, pixels)
    noise = parse_noise(s1.noise_xml(old=old).encode(), "x").over(lines, pixels)
    return gain, noise, np.mgrid[lines, pixels]


@pytest.mark.parametrize(("quantity", "times"), [("gamma0", 1), ("sigma0", 1.1), ("beta0", 1.2)])
def test_calibration_is_bilinear_between_vectors(quantity: str, times: float) -> None:
    gain, _, at = window(quantity)
    np.testing.assert_allclose(gain, times * s1.gain(*at), rtol=1e-6)


@pytest.mark.parametrize("old", [False, True])
def test_noise_of_both_forms(old: bool) -> None:
    _, noise, at = window("gamma0", old=old)
    np.testing.assert_allclose(noise, s1.noise(*at), rtol=1e-4 if old else 1e-6)


def test_power_is_calibrated_and_without_noise(tmp_path: Path) -> None:
    stored = s1.numbers()
    s1.write_numbers(tmp_path / "m.tiff", stored)
    lut = parse_calibration(s1.calibration().encode(), "x", "gamma0")
    noise = parse_noise(s1.noise_xml().encode(), "x")
    channel = Channel(str(tmp_path / "m.tiff"), lut, noise)
    source = GrdSource((channel,), s1.LINES, s1.SAMPLES, False, (0, 0))
    at = np.mgrid[: s1.LINES, : s1.SAMPLES]
    expected = np.maximum(stored.astype(float) ** 2 - s1.noise(*at), 0) / s1.gain(*at) ** 2
    expected[stored == 0] = np.nan
    np.testing.assert_allclose(source[:, :, :][0], expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(source[0:1, 40:60, 10:99], source[:, :, :][:, 40:60, 10:99])


def test_a_point_target_lies_on_its_coordinate(tmp_path: Path) -> None:
    stored = s1.numbers()
    stored[120, 77] = 60_000
    scene = open_scene(s1.write_safe(tmp_path, stored))
    row, col = np.unravel_index(np.nanargmax(scene.values[0]), scene.shape[1:])
    to_map = Transformer.from_crs("EPSG:4326", str(scene.odc.geobox.crs), always_xy=True)
    x, y = to_map.transform(*s1.place(120, 77))
    assert abs(float(scene.x[col]) - x) <= 10
    assert abs(float(scene.y[row]) - y) <= 10


def test_folder_zip_and_flat_layout_are_the_same_scene(tmp_path: Path) -> None:
    safe = s1.write_safe(tmp_path)
    scene = open_scene(safe)
    zipped = open_scene(s1.zip_safe(safe))
    np.testing.assert_array_equal(zipped.values, scene.values)
    assert scene.attrs["quantity"] == "gamma0"
    assert scene.attrs["source"] == zipped.attrs["source"] == s1.NAME
    assert scene.attrs["simulated"]
    assert scene.attrs["orbit_direction"] == "ascending"
    assert scene.attrs["relative_orbit"] == 59
    assert list(scene.band.values) == ["vv", "vh"]
    assert name_of(safe) == name_of(tmp_path / f"{s1.NAME}.SAFE.zip") == s1.NAME
    values = scene.values
    np.testing.assert_array_equal(open_scene(s1.flatten(safe)).values, values)


def test_info_and_what_was_asked_for(tmp_path: Path) -> None:
    safe = s1.write_safe(tmp_path)
    assert scene_info(safe)["bands"] == ["vv", "vh"]
    kept, left = (open_scene(safe, noise=how).values for how in ("keep", "subtract"))
    assert np.nanmean(kept) > np.nanmean(left)
    raw = open_scene(safe, calibration="none", polarisation="vh")
    assert raw.attrs["quantity"] == "intensity"
    assert list(raw.band.values) == ["vh"]
    with pytest.raises(BandError, match="no band hh"):
        open_scene(safe, polarisation="hh")


Damage = Callable[[Path], object]


def one(safe: Path, pattern: str) -> Path:
    """Return the first file of a product that fits a pattern."""
    return sorted(safe.rglob(pattern))[0]


DAMAGES: dict[str, Damage] = {
    "calibration file of vh is missing": lambda safe: one(safe, "calibration-*").unlink(),
    "noise file of vh is missing": lambda safe: one(safe, "noise-*").unlink(),
    "measurement file of vh is missing": lambda safe: one(safe, "*.tiff").unlink(),
    "is empty": lambda safe: one(safe, "*.tiff").write_bytes(b""),
    "cut off": lambda safe: os.truncate(one(safe, "*.tiff"), 50_000),
    "has 100 lines": lambda safe: s1.write_numbers(one(safe, "*.tiff"), s1.numbers()[:100]),
    "differ in lines": lambda safe: one(safe, "s1a*.xml").write_text(s1.annotation("vh", 199)),
    "its content vv": lambda safe: one(safe, "s1a*.xml").write_text(s1.annotation("vv")),
    "it is of type SLC": lambda safe: one(safe, "s1a*.xml").write_text(
        s1.annotation("vh").replace("GRD", "SLC")
    ),
    "entities": lambda safe: one(safe, "s1a*.xml").write_text(
        '<!DOCTYPE p [<!ENTITY a "b">]>' + s1.annotation("vh")
    ),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_refused(message: str, tmp_path: Path) -> None:
    safe = s1.write_safe(tmp_path)
    DAMAGES[message](safe)
    with pytest.raises(SceneError, match=message) as refused:
        open_scene(safe)
    assert "\n" not in str(refused.value)


def test_a_missing_calibration_file_can_be_done_without(tmp_path: Path) -> None:
    safe = s1.write_safe(tmp_path)
    one(safe, "calibration-*").unlink()
    assert open_scene(safe, calibration="none").attrs["quantity"] == "intensity"


def test_a_zip_that_leads_out_or_is_cut_off(tmp_path: Path) -> None:
    path = s1.zip_safe(s1.write_safe(tmp_path), extra="../evil.xml")
    with pytest.raises(SceneError, match="leads out of it"):
        open_scene(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SceneError, match="damaged or cut off"):
        open_scene(path)


PARSERS: tuple[tuple[str, Callable[[bytes], object]], ...] = (
    (s1.annotation("vv"), lambda text: parse_annotation(text, "x")),
    (s1.calibration(), lambda text: parse_calibration(text, "x", "gamma0")),
    (s1.noise_xml(), lambda text: parse_noise(text, "x")),
)


@given(st.sampled_from(PARSERS), st.data())
@settings(max_examples=150, deadline=None)
def test_mutated_and_truncated_xml_is_read_or_refused(
    case: tuple[str, Callable[[bytes], object]], data: st.DataObject
) -> None:
    text, parse = bytearray(case[0].encode()), case[1]
    end = data.draw(st.one_of(st.just(len(text)), st.integers(0, len(text))))
    at = data.draw(st.lists(st.integers(0, len(text) - 1), max_size=3))
    for place in at:
        text[place : place + 1] = data.draw(st.sampled_from([b"", b"9", b"-", b"e9", b"nan", b"<"]))
    with suppress(SceneError):
        parse(bytes(text[:end]))


@pytest.mark.parametrize("side", ["near", "far"])
def test_the_dark_rim_is_the_same_however_windows_are_cut(side: str, tmp_path: Path) -> None:
    samples = 3000
    rng = np.random.default_rng(5)
    number = (200 * np.sqrt(rng.gamma(4.4, 1 / 4.4, (8, samples)))).astype(np.uint16) + 1
    rim = slice(0, 300) if side == "near" else slice(samples - 300, samples)
    number[:, rim] = rng.integers(1, 20, (8, 300))
    path = tmp_path / "old.tiff"
    s1.write_numbers(path, number)
    source = GrdSource((Channel(str(path), None, None),), 8, samples, str(path), (0, 0))
    whole = source[:, :, :]
    inside = np.isnan(whole[0, :, rim]).mean()
    assert 0.9 < inside <= 1.0
    assert np.isnan(whole).mean() < 0.11
    parts = [source[:, :, slice(left, left + 170)] for left in range(0, samples, 170)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), whole)


def test_calm_sea_in_cross_polarisation_is_no_dark_rim(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    echo, dark = rng.integers(150, 250, (8, 600)), rng.integers(1, 20, (8, 600))
    co, cross = (np.concatenate(part, 1) for part in ((dark, echo, echo), (dark, dark, echo)))
    for name, number in (("vv", co), ("vh", cross)):
        s1.write_numbers(tmp_path / name, number.astype(np.uint16))
    channels = tuple(Channel(str(tmp_path / name), None, None) for name in ("vv", "vh"))
    source = GrdSource(channels, 8, 1800, str(tmp_path / "vv"), (0, 0))
    known = np.isfinite(source[:, :, :])
    np.testing.assert_array_equal(known[0], known[1])
    assert known[:, :, 620:].all()
    assert not known[:, :, :560].any()


def test_two_products_in_one_folder_are_refused(tmp_path: Path) -> None:
    safe = s1.write_safe(tmp_path)
    one = next((safe / "annotation").glob("*-vv-*.xml"))
    one.with_name(one.name.replace("039156", "039157")).write_bytes(one.read_bytes())
    with pytest.raises(SceneError, match=r"2 annotation files of vv .*give a folder for each"):
        open_scene(safe)


def test_a_measurement_that_unpacks_to_more_than_its_pixels_is_refused(tmp_path: Path) -> None:
    safe = s1.write_safe(tmp_path)
    with next((safe / "measurement").glob("*-vv-*")).open("ab") as file:
        file.truncate(2**25)
    with pytest.raises(SceneError, match="more than its pixels can take: do not trust it"):
        open_scene(safe)


@pytest.mark.parametrize(("start", "said"), [("2017-01-01", True), ("2021-08-09", False)])
def test_only_old_products_have_a_dark_rim(start: str, said: bool, tmp_path: Path) -> None:
    safe = s1.write_safe(tmp_path)
    for file in (safe / "annotation").glob("*.xml"):
        file.write_text(file.read_text().replace("<startTime>2021-08-09", f"<startTime>{start}"))
    for keep in ("keep", "subtract"):  # noise of the new form: processed anew, without a rim
        notes = open_scene(safe, noise=keep).attrs["assumptions"]
        assert any("dark rim" in note for note in notes) == (said and keep == "keep")


def test_scene_and_terrain_come_of_one_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    safe = next(iter((PRODUCTS / "safe").glob("S1B_*.SAFE")), None)
    if safe is None:
        pytest.skip("needs products/safe of the shared data (SAR2OPT_DATA)")
    opened = []
    real = product.open_container
    monkeypatch.setattr(product, "open_container", lambda path: opened.append(path) or real(path))
    scene, layers = open_with_terrain(safe, dem=PRODUCTS / "dem/Rome-30m-DEM.tif")
    assert opened == [safe]
    assert layers is not None
    assert list(layers.band.values) == ["local_incidence_deg", "layover_1_shadow_2"]
    assert layers.odc.geobox == scene.odc.geobox
    assert open_with_terrain(safe)[1] is None


def test_terrain_flattening_wants_gamma_nought(tmp_path: Path) -> None:
    safe = s1.write_safe(tmp_path)
    with pytest.raises(ConfigError, match="not of sigma0: leave out --calibration, or --dem"):
        open_scene(safe, calibration="sigma0", dem=tmp_path / "dem.tif")


@pytest.mark.parametrize(
    "text", ["2021-08-09T17:39:53.1Z", "2021-08-09T19:39:53.1+02:00", "2021-08-09T17:39:53.1"]
)
def test_times_are_utc(text: str) -> None:
    time = Tree.parse(f"<a><b>{text}</b></a>".encode(), "x").time("b")
    assert time == np.datetime64("2021-08-09T17:39:53.1", "ns")


@pytest.mark.parametrize("text", ["9999-01-01", "-5000-01-01", "0001-01-01T00:00+14:00", "now"])
def test_times_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(SceneError, match="b is no time"):
        Tree.parse(f"<a><b>{text}</b></a>".encode(), "x").time("b")
