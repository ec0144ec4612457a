"""The front door: what is turned away, each with one line that says what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from scene_files import UTM, speckled, write

from sar2opt.errors import (
    BandError,
    ConfigError,
    LayerError,
    PlacementError,
    Sar2optError,
    SceneError,
    UnitsError,
)
from sar2opt.scenes import open_scene

DATA = Path(os.environ.get("SAR2OPT_DATA", Path(__file__).parents[2] / "shared" / "data"))
# odc-geo and rasterio multiply affine matrices with *, which affine 3.1 will deprecate

POWER = speckled()
COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def refuse(kind: type[Sar2optError], message: str, path: Path, **how: Any) -> None:
    """Check that opening raises one line of exactly this kind."""
    with pytest.raises(kind, match=message) as caught:
        open_scene(path, **how)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert how or str(path.name) in str(caught.value)


# ---- files ---------------------------------------------------------------------------------------


def test_no_such_file(tmp_path: Path) -> None:
    refuse(SceneError, "no such file", tmp_path / "s.tif")


def test_a_folder(tmp_path: Path) -> None:
    refuse(SceneError, "this is a folder", tmp_path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "s_vv.tif", POWER)

    def forbid(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbid)
    refuse(SceneError, "Permission denied: check who may read it", path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    os.mkfifo(path)
    refuse(SceneError, "not a GeoTIFF", path)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    path.touch()
    refuse(SceneError, r"empty \(0 bytes\)", path)


def test_not_a_raster(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    path.write_text("II, said the cat")
    refuse(SceneError, "not a GeoTIFF.*gdal_translate", path)


def test_rubbish_that_begins_like_a_tiff(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    path.write_bytes(b"II*\0" + bytes(range(256)))
    refuse(SceneError, "damaged or cut off", path)


@pytest.mark.parametrize("share", [0.99, 0.9, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("layout", [{}, {"interleave": "band"}, {"stripe": 9}])
def test_a_truncated_file(tmp_path: Path, share: float, layout: dict[str, Any]) -> None:
    path = write(tmp_path / "s.tif", POWER, POWER / 5, names=("VV", "VH"), **layout)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refuse(SceneError, "cut off.*fetch it again", path)


def test_damaged_pixels(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", POWER)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)
    refuse(SceneError, "cannot be read: the file is damaged", path)


def test_a_header_that_claims_too_much(tmp_path: Path) -> None:
    path = tmp_path / "s_vv.tif"
    profile = {"width": 300_000, "height": 300_000, "count": 1, "dtype": "uint8", "tiled": True}
    sizes = {"blockxsize": 8192, "blockysize": 8192, "sparse_ok": True, "bigtiff": "YES"}
    with rasterio.open(path, "w", "GTiff", crs="EPSG:32632", transform=UTM, **profile, **sizes):
        pass
    refuse(SceneError, "claims 300000 x 300000 pixels", path)


# ---- contents ------------------------------------------------------------------------------------


@pytest.mark.parametrize("nodata", [0.0, -9999.0, np.nan])
def test_all_no_data(tmp_path: Path, nodata: float) -> None:
    path = write(tmp_path / "s_vv.tif", np.full((300, 300), np.float32(nodata)), nodata=nodata)
    refuse(SceneError, "every pixel of the scene is no data", path)


def test_a_colour_picture(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (3, 64, 64)).astype(np.uint8)
    refuse(SceneError, "in colour, not SAR", write(tmp_path / "s.tif", *picture, colours=COLOURS))


def test_a_class_map(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", np.ones((64, 64), np.uint8), colours=(ColorInterp.palette,))
    refuse(SceneError, "in colour, not SAR", path)


def test_three_named_polarisations_are_sar_whatever_the_colours(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tif", POWER, POWER, POWER, names=("HH", "HV", "VV"), colours=COLOURS)
    assert open_scene(path).band.values.tolist() == ["hh", "hv", "vv"]


@pytest.mark.parametrize("dtype", ["complex64", "complex_int16"])
def test_complex_pixels(tmp_path: Path, dtype: str) -> None:
    path = write(tmp_path / "s_vv.tif", POWER.astype(np.complex64), dtype=dtype)
    refuse(SceneError, "complex.*detect and multilook", path)


def test_bands_that_nothing_names(tmp_path: Path) -> None:
    one = write(tmp_path / "one.tif", POWER)
    refuse(BandError, "which polarisation this is: say --polarisation", one)
    many = write(tmp_path / "many.tif", POWER, POWER, POWER, POWER, photometric="minisblack")
    refuse(BandError, "none of its 4 bands is named", many)


def test_a_band_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tif", POWER, POWER / 5, names=("VV", "VH"))
    refuse(BandError, "no band hh: say --polarisation vv or vh", path, polarisation="hh")
    refuse(BandError, "unknown polarisation 'red'", path, polarisation="red")


# ---- units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "how", "message"),
    [
        (10 * np.log10(POWER), {"scale": "amplitude"}, "negative, so they cannot be amplitude"),
        (POWER, {"scale": "dB"}, "too little for dB"),
        (np.where(POWER > 0.1, -9999, 10 * np.log10(POWER)), {"scale": "dB"}, "--nodata -9999"),
        (np.add.outer(np.arange(256), np.arange(256)).astype(np.int16), {}, "does not look like"),
    ],
)
def test_units_that_cannot_be(
    tmp_path: Path, stored: Any, how: dict[str, Any], message: str
) -> None:
    refuse(UnitsError, message, write(tmp_path / "s_vv.tif", stored), **how)


def test_a_file_that_contradicts_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", 10 * np.log10(POWER), tags={"SCALE": "power"})
    refuse(UnitsError, r"cannot be power: they look like dB \(--scale dB\)", path)


def test_arguments_out_of_range(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", POWER)
    refuse(ConfigError, "scale", path, scale="decibel")
    refuse(ConfigError, "nodata", path, nodata="none")
    refuse(ConfigError, "chunks is 0", path, chunks=0)


# ---- place ---------------------------------------------------------------------------------------

POINTS = [
    GroundControlPoint(row, col, 76 + col * 1e-4, 10 - row * 1e-4)
    for row in (0, 255)
    for col in (0, 255)
]
ON_ONE_PLACE = [GroundControlPoint(point.row, point.col, 76, 10) for point in POINTS]


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"crs": None}, "no CRS.*gdal_edit.py -a_srs"),
        ({"crs": None, "transform": Affine.identity()}, "no CRS"),
        ({"transform": Affine.identity()}, "no geotransform"),
        ({"transform": None, "crs": "EPSG:4326", "gcps": ON_ONE_PLACE}, "no mesh of places"),
        ({"transform": UTM @ Affine.rotation(20)}, "rotated.*gdalwarp"),
        ({"transform": UTM @ Affine.scale(1, -1)}, "south-up.*gdalwarp"),
        ({"transform": UTM @ Affine.scale(-1, 1)}, "mirrored.*gdalwarp"),
        ({"crs": "EPSG:4326"}, "in degrees, but the grid reaches from 500000"),
        ({"crs": 'LOCAL_CS["site",UNIT["metre",1]]'}, "not tied to the Earth"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_pixels_without_a_place(tmp_path: Path, profile: dict[str, Any], message: str) -> None:
    refuse(PlacementError, message, write(tmp_path / "s_vv.tif", POWER, **profile))


def test_rational_polynomials_only(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", POWER, crs=None, transform=None, rpcs=RPCS)
    refuse(PlacementError, "gdalwarp -rpc", path)


RPCS = rasterio.rpc.RPC(
    height_off=0, height_scale=1, lat_off=45, lat_scale=1, line_off=1, line_scale=1,
    line_num_coeff=[1.0] * 20, line_den_coeff=[1.0] * 20, long_off=9, long_scale=1,
    samp_off=1, samp_scale=1, samp_num_coeff=[1.0] * 20, samp_den_coeff=[1.0] * 20,
)  # fmt: skip


# ---- area of interest ----------------------------------------------------------------------------

INSIDE = shapely.box(500_500, 3_998_000, 501_500, 3_999_000)
BOWTIE = shapely.Polygon([(500_500, 3_999_000), (501_500, 3_998_000), (501_500, 3_999_000),
                          (500_500, 3_998_000)])  # fmt: skip


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([shapely.box(600_000, 3_998_000, 601_000, 3_999_000)], "lies outside the scene"),
        ([shapely.box(499_000, 3_998_000, 500_000, 3_999_000)], "lies outside the scene"),
        ([INSIDE, BOWTIE], r"polygon 2 is not valid \(Self-intersection.*-makevalid"),
        ([shapely.Point(501_000, 3_998_500)], "holds no polygon"),
        ([shapely.Polygon()], "holds no polygon"),
        ([], "holds no polygon"),
    ],
)
def test_areas_of_no_use(tmp_path: Path, shapes: list[Any], message: str) -> None:
    path = write(tmp_path / "s_vv.tif", POWER)
    area = tmp_path / "area.gpkg"
    gpd.GeoSeries(shapes, crs="EPSG:32632").to_file(area)
    refuse(LayerError, message, path, aoi=area)


def test_an_area_without_data(tmp_path: Path) -> None:
    power = POWER.copy()
    power[:, 128:] = np.nan
    path = write(tmp_path / "s_vv.tif", power)
    area = tmp_path / "area.gpkg"
    gpd.GeoSeries([INSIDE], crs="EPSG:32632").translate(1000, 0).to_file(area)
    refuse(SceneError, "within the area of interest is no data", path, aoi=area)


def test_an_area_on_the_other_side_of_the_earth(tmp_path: Path) -> None:
    path = write(tmp_path / "s_vv.tif", POWER, crs="EPSG:3395")
    area = tmp_path / "area.geojson"
    gpd.GeoSeries([shapely.box(10, 89.5, 20, 90)], crs="EPSG:4326").to_file(area)
    refuse(LayerError, "lies outside the scene", path, aoi=area)


@pytest.mark.parametrize("content", [None, b"", b"hello", b'{"type": "FeatureCollection", "fe'])
def test_files_that_are_no_layer(tmp_path: Path, content: bytes | None) -> None:
    area = tmp_path / "area.geojson"
    if content is not None:
        area.write_bytes(content)
    message = "no such file" if content is None else "not a vector file"
    refuse(LayerError, message, write(tmp_path / "s_vv.tif", POWER), aoi=area)


def test_a_shapefile_without_its_prj(tmp_path: Path) -> None:
    area = tmp_path / "area.shp"
    gpd.GeoSeries([INSIDE], crs="EPSG:32632").to_file(area)
    area.with_suffix(".prj").unlink()
    refuse(LayerError, "it has no CRS.*-a_srs", write(tmp_path / "s_vv.tif", POWER), aoi=area)


def test_the_first_layer_with_polygons_counts(tmp_path: Path) -> None:
    area = tmp_path / "area.gpkg"
    gpd.GeoSeries([shapely.Point(0, 0)], crs="EPSG:4326").to_file(area, layer="points")
    gpd.GeoSeries([INSIDE], crs="EPSG:32632").to_file(area, layer="town")
    scene = open_scene(write(tmp_path / "s_vv.tif", POWER), aoi=area)
    assert scene.shape == (1, 100, 100)
    assert np.isfinite(scene.values).all()
