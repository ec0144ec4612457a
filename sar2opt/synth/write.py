"""The sample scenes as files: what ``sar2opt synth`` writes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyogrio
import rasterio
from rasterio.enums import ColorInterp

from sar2opt.errors import OutputError
from sar2opt.synth.readme import readme
from sar2opt.synth.scene import Scene, make_scene
from sar2opt.synth.spec import SceneSpec
from sar2opt.synth.surfaces import ALLOW, CLASSES, NODATA_TAG

HARBOUR = SceneSpec(name="harbour", kind="harbour", swath=True)
VALLEY = SceneSpec(
    name="valley",
    kind="valley",
    shape=(384, 384),
    origin=(330000.0, 4436000.0),
    seed=3,
    acquired="2024-05-14T05:12:41Z",
)
SAMPLES = (
    "README.md",
    "allow.toml",
    "aoi.geojson",
    "harbour.tif",
    "harbour_landuse.gpkg",
    "harbour_optical.tif",
    "harbour_tags.tif",
    "harbour_truth.gpkg",
    "valley.tif",
    "valley_optical.tif",
    "valley_tags.tif",
    "valley_terrain.tif",
    "valley_truth.gpkg",
)
AMPLITUDE_STEP = 0.003
DB_STEP = 1.0 / 64.0
TAG_COLOURS = (
    (38, 84, 140),
    (28, 98, 44),
    (146, 176, 92),
    (224, 196, 96),
    (190, 62, 58),
    (172, 150, 128),
    (136, 17, 255),
    (51, 0, 68),
)
TILED = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "zlevel": 9}


def write_samples(folder: Path | str, overwrite: bool = False) -> list[Path]:
    """Write the sample scenes and their truth into ``folder``, and return the files.

    The same bytes at every call. The files appear when all are complete. Raises ``OutputError``
    when ``folder`` cannot be written, or when a file is there already and ``overwrite`` is false.
    """
    files = [Path(folder) / name for name in SAMPLES]
    there = next((file for file in files if file.exists()), None)
    if there and not overwrite:
        raise OutputError(f"{there}: exists already; use --overwrite to replace it")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".synth-") as held:
            _write_all(Path(held))
            for file in files:
                (Path(held) / file.name).replace(file)
    except (OSError, RuntimeError) as error:  # the latter from GDAL's vector drivers
        said = str(getattr(error, "strerror", None) or error).splitlines()[0]
        raise OutputError(f"{folder}: cannot be written: {said}") from error
    return files


def _write_all(folder: Path) -> None:
    harbour, valley = make_scene(HARBOUR), make_scene(VALLEY)
    _write_amplitude(folder / "harbour.tif", harbour)
    _write_db(folder / "valley.tif", valley)
    for scene in (harbour, valley):
        name = scene.spec.name
        _write_optical(folder / f"{name}_optical.tif", scene)
        _write_tags(folder / f"{name}_tags.tif", scene)
        area = gpd.GeoDataFrame({"name": [name]}, geometry=[scene.aoi], crs=scene.spec.crs)
        layers = {"anomalies": scene.anomalies, "reference": scene.reference, "aoi": area}
        _write_layers(folder / f"{name}_truth.gpkg", layers)
    _write_terrain(folder / "valley_terrain.tif", valley)
    _write_layers(folder / "harbour_landuse.gpkg", {"landuse": harbour.reference})
    _write_aoi(folder / "aoi.geojson", harbour)
    lines = [f"{use.name.lower()} = {json.dumps(list(tags))}" for use, tags in ALLOW.items()]
    head = "# Which tags may occur in which class of harbour_landuse.gpkg\n"
    (folder / "allow.toml").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(
        readme(harbour, valley, step=AMPLITUDE_STEP), encoding="utf-8"
    )


def _write_amplitude(path: Path, scene: Scene) -> None:
    """Write amplitude as 16-bit numbers, 0 is no data, as ground-range products come."""
    amplitude = np.sqrt(scene.sar.values) / AMPLITUDE_STEP
    numbers = np.where(np.isnan(amplitude), 0.0, np.clip(np.round(amplitude), 1, 65535))
    said = {"CALIBRATION": f"sigma0 = ({AMPLITUDE_STEP} * number)^2"}
    with _create(
        path, scene, numbers.astype(np.uint16), nodata=0, predictor=2, interleave="band"
    ) as file:
        file.scales = (AMPLITUDE_STEP, AMPLITUDE_STEP)
        _describe_sar(file, scene, "amplitude", said)


def _write_db(path: Path, scene: Scene) -> None:
    """Write decibels as floats, in steps that compress well and are far below the speckle."""
    decibels = np.round(10.0 * np.log10(scene.sar.values) / DB_STEP) * DB_STEP
    with _create(
        path, scene, decibels.astype(np.float32), nodata=np.nan, predictor=3, interleave="band"
    ) as file:
        _describe_sar(file, scene, "dB", {})


def _describe_sar(file: Any, scene: Scene, scale: str, said: dict[str, str]) -> None:
    spec = scene.spec
    file.descriptions = ("VV", "VH")
    file.update_tags(
        QUANTITY="sigma0",
        SCALE=scale,
        ACQUIRED=spec.acquired,
        SIMULATED="YES",
        SOURCE=f"sar2opt synth, scene {spec.name}, seed {spec.seed}",
        LOOKS=f"{spec.looks:g}",
        INCIDENCE_DEG=f"{spec.incidence_deg:g}",
        LOOK_AZIMUTH_DEG=f"{spec.look_azimuth_deg:g}",
        **said,
    )


def _write_optical(path: Path, scene: Scene) -> None:
    picture = np.round(scene.optical.values * 255.0).astype(np.uint8)
    options = {"compress": "jpeg", "photometric": "ycbcr", "jpeg_quality": 88, "zlevel": None}
    with _create(path, scene, picture, interleave="pixel", **options) as file:
        file.descriptions = ("red", "green", "blue")
        file.update_tags(QUANTITY="optical", SIMULATED="YES", ACQUIRED=scene.spec.acquired)


def _write_tags(path: Path, scene: Scene) -> None:
    with _create(path, scene, scene.tags[None], nodata=NODATA_TAG) as file:
        file.colorinterp = (ColorInterp.palette,)
        file.write_colormap(1, {code: (*rgb, 255) for code, rgb in enumerate(TAG_COLOURS)})
        file.descriptions = ("tags",)
        named = {f"CLASS_{code}": name for code, name in enumerate(CLASSES)}
        file.update_tags(QUANTITY="tags", SIMULATED="YES", **named)


def _write_terrain(path: Path, scene: Scene) -> None:
    height = np.round(scene.height * 2.0) / 2.0
    bands = np.stack([height, scene.layover_shadow.astype(np.float32)])
    with _create(path, scene, bands.astype(np.float32), predictor=3) as file:
        file.descriptions = ("height_m", "layover_1_shadow_2")
        file.update_tags(SIMULATED="YES")


@contextmanager
def _create(path: Path, scene: Scene, bands: npt.NDArray[Any], **options: Any) -> Iterator[Any]:
    """Open a GeoTIFF for tags, write ``bands`` ``(band, y, x)`` into it, and close it."""
    wanted = {"driver": "GTiff", "dtype": bands.dtype.name, "count": len(bands), **TILED, **options}
    grid = scene.sar.odc.geobox
    with rasterio.open(
        path,
        "w",
        height=grid.shape[0],
        width=grid.shape[1],
        crs=scene.spec.crs,
        transform=grid.affine,
        **{key: value for key, value in wanted.items() if value is not None},
    ) as file:
        yield file
        file.write(bands)


def _write_layers(path: Path, layers: dict[str, gpd.GeoDataFrame]) -> None:
    """Write a GeoPackage whose time of change is the scene's, so that its bytes stay the same."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2024-05-14T05:12:33.000Z"})
    try:
        for name, frame in layers.items():
            pyogrio.write_dataframe(frame, path, layer=name, driver="GPKG", append=path.exists())
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _write_aoi(path: Path, scene: Scene) -> None:
    """Write the area of interest as GeoJSON, in degrees as RFC 7946 wants it."""
    series = gpd.GeoSeries([scene.aoi], crs=scene.spec.crs).to_crs("EPSG:4326")
    ring = [[round(lon, 6), round(lat, 6)] for lon, lat in series.iloc[0].exterior.coords]
    feature = {
        "type": "Feature",
        "properties": {"name": f"area of interest of {scene.spec.name}"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    collection = {"type": "FeatureCollection", "features": [feature]}
    path.write_text(json.dumps(collection, indent=1) + "\n", encoding="utf-8")
