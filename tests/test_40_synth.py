"""Synthetic scenes: their statistics, their geometry, their truth, and the files they make."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from scipy import ndimage, stats

from sar2opt.errors import ConfigError, OutputError
from sar2opt.raster import check_raster
from sar2opt.synth import (
    ALLOW,
    CLASSES,
    HARBOUR,
    NODATA_TAG,
    SURFACES,
    VALLEY,
    Cover,
    Scene,
    SceneSpec,
    Use,
    make_scene,
    sample_pair,
    write,
    write_samples,
)
from sar2opt.synth.backscatter import double_bounce, expected_power
from sar2opt.synth.fields import fractal
from sar2opt.synth.mosaic import Plane, look_up, split
from sar2opt.synth.relief import LAYOVER, SHADOW, terrain_effect
from sar2opt.synth.spec import Landscape
from sar2opt.synth.speckle import draw_speckle

# odc-geo and rasterio multiply affine matrices with *, which affine 3 announces to drop

SAMPLES = Path(__file__).parent.parent / "data_samples"
SMALL = {
    "harbour": SceneSpec(kind="harbour", shape=(256, 280), swath=True, seed=4),
    "valley": SceneSpec(name="v", kind="valley", shape=(256, 200), seed=5),
    "plain": SceneSpec(name="p", kind="plain", shape=(220, 256), seed=6, crs="EPSG:32755"),
}


@pytest.fixture(scope="module", params=list(SMALL))
def scene(request: pytest.FixtureRequest) -> Scene:
    return make_scene(SMALL[request.param])


def level(cover: Cover, shape: tuple[int, int] = (96, 96)) -> Landscape:
    """Return level land of one cover in its mean state."""
    land = Landscape.blank(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    land.paint(np.ones(shape, bool), cover)
    return land


# --- speckle and backscatter


@pytest.mark.parametrize("looks", [1.0, 4.4, 20.0])
@pytest.mark.parametrize("grain", [0.0, 0.85])
def test_speckle_is_unit_mean_gamma_with_the_stated_looks(looks: float, grain: float) -> None:
    speckle = draw_speckle(np.random.default_rng(7), (600, 600), looks, grain).astype(float)
    assert speckle.mean() == pytest.approx(1.0, abs=0.01)
    assert speckle.mean() ** 2 / speckle.var() == pytest.approx(looks, rel=0.03)
    apart = speckle[::8, ::8].ravel()  # pixels that are not correlated
    assert stats.kstest(apart, stats.gamma(looks, scale=1.0 / looks).cdf).pvalue > 0.01


@pytest.mark.parametrize(("grain", "neighbours"), [(0.0, 0.0), (0.85, 0.70)])
def test_speckle_is_correlated_only_as_far_as_asked(grain: float, neighbours: float) -> None:
    speckle = draw_speckle(np.random.default_rng(8), (500, 500), 4.4, grain) - 1.0
    for one, other in ((speckle[1:], speckle[:-1]), (speckle[:, 1:], speckle[:, :-1])):
        assert (one * other).mean() / speckle.var() == pytest.approx(neighbours, abs=0.03)
    assert (speckle[8:] * speckle[:-8]).mean() / speckle.var() == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("cover", [c for c in Cover if SURFACES[c].texture < 0.3])
def test_a_homogeneous_area_has_the_backscatter_and_looks_of_its_cover(cover: Cover) -> None:
    spec = SceneSpec(shape=(256, 256), incidence_deg=41.0, seed=int(cover))
    power, mask = expected_power(level(cover, spec.shape), spec)
    power[1] *= draw_speckle(spec.rng("vh"), spec.shape, spec.looks)
    surface = SURFACES[cover]
    wanted = surface.vh_db + 3.0 * surface.fall_db
    assert 10.0 * np.log10(power[1].mean()) == pytest.approx(wanted, abs=0.1)
    if surface.texture == 0.0:
        assert power[1].mean() ** 2 / power[1].var() == pytest.approx(spec.looks, rel=0.05)
    assert not mask.any()


def test_every_cover_has_a_surface_and_every_use_a_rule() -> None:
    assert set(SURFACES) == set(Cover)
    assert {surface.tag for surface in SURFACES.values()} == set(CLASSES)
    assert set(ALLOW) == set(Use)
    assert all(set(tags) <= set(CLASSES) for tags in ALLOW.values())


@pytest.mark.parametrize(("azimuth", "near_side"), [(90, "w"), (270, "e"), (180, "n"), (0, "s")])
def test_a_wall_shines_only_where_it_faces_the_radar(azimuth: float, near_side: str) -> None:
    spec = SceneSpec(shape=(128, 128), look_azimuth_deg=azimuth)
    land = level(Cover.STREET, spec.shape)
    house = np.zeros(spec.shape, bool)
    house[40:60, 50:70] = True
    land.paint(house, Cover.ROOF)
    bounce = double_bounce(land, spec)
    sides = {"n": bounce[39:41, 60], "s": bounce[59:61, 60]}
    sides |= {"w": bounce[50, 49:51], "e": bounce[50, 69:71]}
    bright = {side for side, values in sides.items() if values.max() > 0.3}
    assert bright == {near_side}
    assert bounce[45:55, 55:65].max() == 0.0


# --- relief


@pytest.mark.parametrize("azimuth", [90.0, 77.0, 281.0])
def test_level_ground_is_left_as_it_is(azimuth: float) -> None:
    factor, mask = terrain_effect(np.full((90, 130), 512.0, np.float32), 10.0, 38.0, azimuth)
    assert np.allclose(factor, 1.0, atol=1e-4)
    assert not mask.any()


@pytest.mark.parametrize("slope", [-0.5, -0.2, 0.2, 0.5])
def test_a_plane_slope_has_the_factor_of_ulander(slope: float) -> None:
    height = np.tile(np.arange(120, dtype=np.float32) * 10.0 * slope, (80, 1))  # rises eastward
    factor, mask = terrain_effect(height, 10.0, 38.0, 90.0)  # the radar looks east
    turn = np.radians(38.0)
    wanted = (1 + slope * np.tan(turn)) / (1 - slope / np.tan(turn))
    assert np.allclose(factor[20:60, 20:100], wanted, rtol=1e-3)
    assert not mask[20:60, 20:100].any()


@pytest.mark.parametrize("azimuth", [90.0, 270.0])
def test_a_steep_ridge_lays_over_to_the_radar_and_throws_shadow_behind(azimuth: float) -> None:
    aside = np.abs(np.arange(201) - 100.0) * 10.0
    height = np.tile(np.maximum(300.0 - 1.5 * aside, 0.0).astype(np.float32), (201, 1))
    factor, mask = terrain_effect(height, 10.0, 45.0, azimuth)
    away = slice(None, None, 1 if azimuth == 90.0 else -1)
    line, gain = mask[100, away], factor[100, away]
    # layover begins height / tan(incidence) before the crest, shadow ends height * tan(incidence)
    # behind it: both 300 m here
    for kind, first, last in ((LAYOVER, 70, 100), (SHADOW, 101, 130)):
        found = np.flatnonzero(line == kind)
        assert (found[0], found[-1]) == pytest.approx((first, last), abs=1)
        assert len(found) == found[-1] - found[0] + 1
    assert gain[83:98] == pytest.approx((1 + 1.5) / (1.5 - 1), rel=0.01)
    assert not gain[104:128].any()
    assert gain[:60] == pytest.approx(1.0, abs=1e-3)
    assert gain[140:] == pytest.approx(1.0, abs=1e-3)


# --- tools


def test_fractal_fields_are_standard_and_their_opposite_sides_differ() -> None:
    rng = np.random.default_rng(3)
    fields = [fractal(rng, (100, 140), 40.0, 2.0) for _ in range(60)]
    assert all(abs(float(f.mean())) < 1e-4 and abs(float(f.std()) - 1) < 1e-4 for f in fields)
    near = np.mean([(f[:, 0] * f[:, 1]).mean() for f in fields])
    wrapped = np.mean([(f[:, 0] * f[:, -1]).mean() for f in fields])
    assert near > 0.8
    assert abs(wrapped) < 0.3


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    wide=st.floats(300, 3000),
    high=st.floats(300, 3000),
    area=st.floats(2e4, 1e6),
)
def test_division_paints_every_pixel_once(seed: int, wide: float, high: float, area: float) -> None:
    rows, cols = np.mgrid[0 : high - 1 : 10.0, 0 : wide - 1 : 10.0].astype(np.float32)
    plane = Plane(cols, rows)
    boxes, parents = split(np.random.default_rng(seed), plane.bounds, area)
    sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert sizes.sum() == pytest.approx(np.prod(plane.bounds[0, 2:]))
    assert sizes.max() < 2.4 * area
    assert not parents.any()
    at = look_up(plane, boxes, 10.0)
    assert at.edge.min() >= -10.0  # a pixel is in its box, or beside it by less than its size
    inside = at.edge > 10.0
    middle = boxes[at.ids[inside]]
    assert np.all((cols[inside] > middle[:, 0]) & (cols[inside] < middle[:, 2]))


# --- whole scenes


def test_a_scene_keeps_the_convention(scene: Scene) -> None:
    check_raster(scene.sar, quantity=["sigma0"])
    check_raster(scene.optical, quantity=["optical"])
    assert list(scene.sar.band.values) == ["vv", "vh"]
    assert scene.sar.odc.geobox == scene.spec.geobox == scene.optical.odc.geobox
    assert scene.sar.attrs["acquired"] == scene.spec.acquired
    assert scene.tags.shape == scene.height.shape == scene.layover_shadow.shape == scene.spec.shape
    assert scene.tags.dtype == np.uint8
    missing = np.isnan(scene.sar.values)
    assert np.array_equal(missing[0], missing[1])
    assert np.array_equal(missing[0], scene.tags == NODATA_TAG)
    assert missing.any() == scene.spec.swath
    assert set(np.unique(scene.tags)) <= {*range(len(CLASSES)), NODATA_TAG}
    assert np.nanmin(scene.sar.values) > 0.0
    assert 0.0 <= scene.optical.values.min() < scene.optical.values.max() <= 1.0
    assert scene.anomalies.crs == scene.reference.crs == scene.spec.crs


def test_the_same_spec_makes_the_same_scene_and_another_seed_another(scene: Scene) -> None:
    again = make_scene(scene.spec)
    assert np.array_equal(again.sar.values, scene.sar.values, equal_nan=True)
    assert np.array_equal(again.optical.values, scene.optical.values)
    assert np.array_equal(again.tags, scene.tags)
    assert again.anomalies.equals(scene.anomalies)
    assert again.reference.equals(scene.reference)
    other = make_scene(replace(scene.spec, seed=scene.spec.seed + 1))
    assert np.mean(other.tags != scene.tags) > 0.1


def test_the_register_is_wrong_exactly_where_a_disagreement_is_planted(scene: Scene) -> None:
    numbers = {use.name.lower(): use for use in Use}
    classes = [numbers[name] for name in scene.reference["class"]]
    grid = {"out_shape": scene.spec.shape, "transform": scene.spec.geobox.affine}
    use = rasterize(
        zip(scene.reference.geometry, classes, strict=True), fill=99, dtype="uint8", **grid
    )
    assert use.max() < 99  # it covers the scene
    allowed = np.zeros((len(Use), 256), bool)
    for one, tags in ALLOW.items():
        allowed[one, [CLASSES.index(tag) for tag in tags]] = True
    planted = scene.anomalies[scene.anomalies["kind"] == "reference_disagreement"]
    assert len(planted) >= 1
    truth = rasterize(planted.geometry, dtype="uint8", **grid).astype(bool)
    wrong = ~allowed[use, scene.tags] & (scene.tags != NODATA_TAG)
    assert np.array_equal(wrong, truth)


def test_bright_targets_stand_out_from_dark_ground(scene: Scene) -> None:
    targets = scene.anomalies[scene.anomalies["kind"] == "bright_target"]
    if scene.spec.kind == "harbour":
        assert set(targets["what"]) >= {"ship"}
    vv = scene.sar.values[0]
    for geometry in targets.geometry:
        target = rasterize(
            [geometry], out_shape=vv.shape, transform=scene.spec.geobox.affine, dtype="uint8"
        ).astype(bool)
        assert target.any()
        ring = ndimage.binary_dilation(target, iterations=9)
        ring &= ~ndimage.binary_dilation(target, iterations=4)
        contrast = 10 * np.log10(np.mean(vv[target]) / np.nanmean(vv[ring]))
        assert contrast > 10.0


def test_water_is_dark_towns_are_bright_and_the_picture_fits() -> None:
    scene = make_scene(SMALL["harbour"])
    usual = {
        name: 10 * np.log10(np.median(scene.sar.values[:, scene.tags == code], axis=1))
        for code, name in enumerate(CLASSES)
    }
    assert usual["built_up"][1] > usual["water"][1] + 5.0
    assert usual["trees"][1] > usual["cropland"][1] + 2.0
    red, green, blue = (scene.optical.values[:, scene.tags == 0]).mean(axis=1)
    assert blue > green > red  # the sea
    red, green, blue = (scene.optical.values[:, scene.tags == 1]).mean(axis=1)
    assert green > max(red, blue)  # the woods


def test_the_valley_has_layover_and_shadow_in_its_own_tones() -> None:
    scene = make_scene(SMALL["valley"])
    vv, mask = scene.sar.values[0], scene.layover_shadow
    assert 0.01 < np.mean(mask == LAYOVER) < 0.5
    assert 0.001 < np.mean(mask == SHADOW) < 0.2
    open_ground = vv[mask == 0].mean()
    assert vv[ndimage.binary_erosion(mask == SHADOW)].mean() < 0.1 * open_ground
    assert vv[mask == LAYOVER].mean() > open_ground


def test_sample_pairs_are_ready_for_training() -> None:
    power, tags = sample_pair(11, (128, 160))
    again, _ = sample_pair(11, (128, 160))
    assert power.shape == (2, 128, 160)
    assert power.dtype == np.float32
    assert tags.shape == (128, 160)
    assert np.array_equal(power, again)
    assert np.all(power > 0)


@pytest.mark.parametrize(
    "wrong", [{"kind": "desert"}, {"shape": (64, 400)}, {"looks": 0.0}, {"incidence_deg": 5.0}]
)
def test_an_impossible_scene_is_refused_in_one_line(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        SceneSpec(**wrong)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


# --- files


@pytest.fixture(scope="module")
def small_samples() -> Iterator[None]:
    """Make the sample scenes small, so that writing them is quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "HARBOUR", replace(HARBOUR, shape=(256, 256)))
        patch.setattr(write, "VALLEY", replace(VALLEY, shape=(160, 160)))
        yield


@pytest.fixture(scope="module")
def written(small_samples: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder)
    return folder


def test_two_calls_write_the_same_bytes(written: Path, tmp_path: Path) -> None:
    files = write_samples(tmp_path / "new" / "folder")
    assert files == sorted((tmp_path / "new" / "folder").iterdir())  # and nothing else
    assert [file.name for file in files] == sorted(file.name for file in written.iterdir())
    for file in files:
        assert file.read_bytes() == (written / file.name).read_bytes(), file.name


def test_files_are_not_replaced_unless_asked(written: Path) -> None:
    before = (written / "harbour.tif").read_bytes()
    (written / "harbour.tif").write_bytes(b"mine")
    with pytest.raises(OutputError, match="--overwrite"):
        write_samples(written)
    assert (written / "harbour.tif").read_bytes() == b"mine"
    write_samples(written, overwrite=True)
    assert (written / "harbour.tif").read_bytes() == before


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "_write_all", fill)
    with pytest.raises(OutputError, match="No space left"):
        write_samples(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(OutputError, match="taken"):
        write_samples(tmp_path / "taken")


@pytest.mark.parametrize(
    ("name", "scale", "dtype"), [("harbour", "amplitude", "uint16"), ("valley", "dB", "float32")]
)
def test_sar_files_say_what_they_are(written: Path, name: str, scale: str, dtype: str) -> None:
    spec = write.HARBOUR if name == "harbour" else write.VALLEY
    wanted = make_scene(spec).sar.values
    with rasterio.open(written / f"{name}.tif") as file:
        tags = file.tags()
        bands = file.read(masked=True)
        assert file.descriptions == ("VV", "VH")
        assert file.dtypes == (dtype, dtype)
        assert tags["SCALE"] == scale
        assert (tags["QUANTITY"], tags["SIMULATED"]) == ("sigma0", "YES")
        assert tags["ACQUIRED"] == spec.acquired
        assert float(tags["LOOKS"]) == spec.looks
        values = bands.astype(float).filled(np.nan) * file.scales[0] + file.offsets[0]
    power = values**2 if scale == "amplitude" else 10 ** (values / 10)
    assert np.array_equal(np.isnan(power), np.isnan(wanted))
    assert np.nanmean(power) == pytest.approx(np.nanmean(wanted), rel=0.002)
    assert np.nanmax(np.abs(10 * np.log10(power / wanted))) < 2.0  # of the very darkest pixels
    assert np.nanmean(np.abs(10 * np.log10(power / wanted))) < 0.1


def test_truth_files_hold_the_truth(written: Path) -> None:
    scene = make_scene(write.HARBOUR)
    with rasterio.open(written / "harbour_tags.tif") as file:
        assert np.array_equal(file.read(1), scene.tags)
        assert file.nodata == NODATA_TAG
        assert [file.tags()[f"CLASS_{code}"] for code in range(len(CLASSES))] == list(CLASSES)
    with rasterio.open(written / "harbour_optical.tif") as file:
        picture = file.read() / 255.0
        assert file.count == 3
        assert np.abs(picture - scene.optical.values).mean() < 0.03
    layers = {
        name: gpd.read_file(written / "harbour_truth.gpkg", layer=name)
        for name in ("anomalies", "reference", "aoi")
    }
    assert layers["anomalies"].crs == scene.spec.crs
    assert list(layers["anomalies"]["reason"]) == list(scene.anomalies["reason"])
    assert layers["anomalies"].geometry.geom_equals(scene.anomalies.geometry).all()
    register = gpd.read_file(written / "harbour_landuse.gpkg")
    assert list(register["class"]) == list(layers["reference"]["class"])
    area = gpd.read_file(written / "aoi.geojson").to_crs(scene.spec.crs)
    assert area.geometry[0].symmetric_difference(scene.aoi).area < 1e-3 * scene.aoi.area
    rules = tomllib.loads((written / "allow.toml").read_text())
    assert set(rules) >= set(register["class"])


def test_the_readme_names_every_file_and_every_anomaly(written: Path) -> None:
    text = (written / "README.md").read_text()
    assert "simulated" in text
    for file in written.iterdir():
        kind = file.name.split("_", 1)[-1]
        assert file.name in text or f"*_{kind}" in text or file.name == "README.md", file.name
    planted = sum(len(make_scene(s).anomalies) for s in (write.HARBOUR, write.VALLEY))
    rows = [line for line in text.splitlines() if line.startswith(("| bright", "| reference_"))]
    assert len(rows) == planted


def test_the_samples_in_the_repository_are_those_that_the_command_writes() -> None:
    files = {file.name: file for file in SAMPLES.iterdir()}
    assert sum(file.stat().st_size for file in files.values()) < 5_000_000
    scene = make_scene(VALLEY)
    with rasterio.open(files["valley_tags.tif"]) as file:  # sums may round differently elsewhere
        assert np.mean(file.read(1) != scene.tags) < 1e-3
    with rasterio.open(files["valley.tif"]) as file:
        difference = np.abs(file.read() - 10 * np.log10(scene.sar.values))
        assert np.median(difference) < 0.02
    planted = gpd.read_file(files["harbour_truth.gpkg"], layer="anomalies")
    assert {"ship", "metal structure", "unregistered buildings", "standing water"} <= set(
        planted["what"]
    )
