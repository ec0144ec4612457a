"""Small files under the names that README and docs use, so that their commands can be run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from affine import Affine
from PIL import Image
from planted import LAND, SHAPE, TAGS, planted_power, settings
from scene_files import write
from shown import ROOT
from simulated_radar import write_dem
from simulated_safe import zip_safe
from simulated_slc import CENTRE, write_slc

import sar2opt
from sar2opt.config import RunConfig, default_toml
from sar2opt.synth import SceneSpec, make_scene

MIDDLE = gpd.GeoSeries([shapely.Point(CENTRE)], crs="EPSG:4326").to_crs("EPSG:32632").iloc[0]
GRID = Affine(  # of the scenes, which lie where the product does
    10, 0, round(MIDDLE.x, -1) - 5 * SHAPE[1], 0, -10, round(MIDDLE.y, -1) + 5 * SHAPE[0]
)
SHORTER = {  # of the settings that ship, what would take hours
    "crop = 192": "crop = 64",
    "steps = 5000": "steps = 2",
    "steps = 2400": "steps = 2",
    "steps = 200": "steps = 2",
    "synthetic_scenes = 20": "synthetic_scenes = 1",
    "batch = 8": "batch = 2\nwarm_up = 1",
    'scale = "display-amplitude"': 'scale = "display-amplitude"\nblock = 128',
}
SMALL_NET = "\n[generator]\neighth = 8\nquarter = 8\nhalf = 8\nfull = 4\n"


def stand_in(folder: Path) -> None:
    """Write all that the text takes for granted into ``folder``."""
    shutil.copytree(ROOT / "data_samples", folder / "data_samples")
    _scenes(folder)
    _product(folder)
    _registers(folder)
    _settings(folder)
    _pairs(folder / "DATA")
    made = sar2opt.run(settings(folder / "scene.tif", folder / "out"))
    shutil.copy(made.folder / "scene.gpkg", folder / "may.gpkg")


def _scenes(folder: Path) -> None:
    """A scene, two earlier ones, which have one target more or less, and two folders of one."""
    for name, date, dark in (("may", "05", 108), ("june", "06", 127), ("scene", "07", 0)):
        power = planted_power()
        power[dark : dark + 3] = np.minimum(power[dark : dark + 3], LAND)
        tags = {**TAGS, "SCALE": "power", "ACQUIRED": f"2024-{date}-14T05:12:41Z"}
        how: dict[str, Any] = {"nodata": np.nan, "tags": tags, "transform": GRID}
        write(folder / f"{name}.tif", power, names=("VH",), **how)
    for name in ("scenes", "incoming"):
        (folder / name).mkdir()
        shutil.copy(folder / "scene.tif", folder / name / "monday.tif")


def _product(folder: Path) -> None:
    """A Sentinel-1 product, zipped, under both names that the text gives it, and its terrain.

    It is of stripmap SLC, whatever its name says: of those with an orbit it is the smallest.
    """
    safe = write_slc(folder, lambda line, sample: 0 * (line + sample) + 0.1, mode="S4",
                     calibrated=True)  # fmt: skip
    made = zip_safe(safe)
    shutil.copy(made, folder / "S1A_IW_GRDH_....SAFE.zip")
    made.rename(folder / "S1A_....SAFE.zip")
    shutil.rmtree(safe)
    write_dem(folder / "dem.tif", np.full((200, 200), 40.0), CENTRE)


def _registers(folder: Path) -> None:
    """Two parcels side by side, as each of the layers that the text names, rules and a table."""
    rows, cols = SHAPE
    halves = [shapely.box(0, 0, cols // 2, rows), shapely.box(cols // 2, 0, cols, rows)]
    matrix = [GRID.a, GRID.b, GRID.d, GRID.e, GRID.c, GRID.f]
    ground = [shapely.affinity.affine_transform(half, matrix) for half in halves]
    parcels = gpd.GeoDataFrame(
        {"class": ["forest", "harbour"], "kind": ["forest", "harbour"], "parcel_id": ["a", "b"]},
        geometry=ground, crs="EPSG:32632",
    )  # fmt: skip
    for name in ("landuse", "forests", "parcels", "zoning"):
        parcels.to_file(folder / f"{name}.gpkg")
    for name in ("allow", "rules", "expect"):
        (folder / f"{name}.toml").write_text('forest = ["trees"]\nharbour = ["water"]\n')
    pd.DataFrame({"parcel_id": ["a", "b"], "owner": ["town", "port"]}).to_csv(
        folder / "permits.csv", index=False
    )
    city = gpd.GeoSeries([shapely.box(90, 60, 190, 150)]).affine_transform(matrix)
    city.set_crs("EPSG:32632").to_crs("EPSG:4326").to_file(folder / "city.geojson")


def _settings(folder: Path) -> None:
    """The configurations that ship, shorter where they would take long."""
    (folder / "my.toml").write_text(default_toml(RunConfig), encoding="utf-8")
    shutil.copytree(ROOT / "configs", folder / "configs")
    for path in (folder / "configs").rglob("*.toml"):
        text = path.read_text(encoding="utf-8")
        for long, short in SHORTER.items():
            text = text.replace(f"\n{long}\n", f"\n{short}\n")
        net = SMALL_NET if path.stem.startswith("translator") else ""
        path.write_text(text + net, encoding="utf-8")


# ---- pairs, as configs/pairs/sentinel.toml looks for them ----------------------------------------

SCENES = ("los_angeles_west", "los_angeles_east", "san_antonio")
CHIPS = {
    "sen12_grey": [f"river/{100 * place}" for place in range(100, 112)],
    "sen12_colour": [
        f"ROI{name}_p{number}"
        for number in range(3)
        for name in ("1158_spring_90", "1970_fall_8", "1_spring_1", "2_fall_2", "3_summer_3")
    ],
    "vivid": [f"train_{25 * place:04}" for place in range(1, 13)],
}


def _pairs(folder: Path) -> None:
    """Simulated scenes and chips in the folder of data."""
    for seed, name in enumerate(SCENES, start=1):
        radar, optical = _images(seed, (256, 512))
        (folder / "scenes").mkdir(parents=True, exist_ok=True)
        write(folder / "scenes" / f"{name}_s1_vh.tif", radar)
        write(folder / "scenes" / f"{name}_s2_rgb.tif", *optical)
    for number, (source, names) in enumerate(CHIPS.items(), start=1):
        for seed, name in enumerate(names):
            radar, optical = _images(1000 * number + seed, (128, 128))
            path = folder / "pairs" / source / f"{name}_sar.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(radar).save(path, quality=95)
            colour = Image.fromarray(np.ascontiguousarray(np.moveaxis(optical, 0, -1)))
            grey = colour.convert("L") if source == "sen12_grey" else colour
            grey.save(path.with_name(f"{path.stem.removesuffix('_sar')}_opt.jpg"), quality=95)


def _images(seed: int, shape: tuple[int, int]) -> tuple[Any, Any]:
    """Return amplitude ``(y, x)`` and colour ``(3, y, x)`` of a simulated place, 8 bit."""
    kind = ("harbour", "valley", "plain")[seed % 3]
    scene = make_scene(SceneSpec(name="place", kind=kind, shape=shape, seed=seed))
    amplitude = np.sqrt(scene.sar.values[1])
    radar = np.clip(255 * amplitude / np.quantile(amplitude, 0.99), 1, 255).astype(np.uint8)
    return radar, np.round(255 * np.clip(scene.optical.values, 0, 1)).astype(np.uint8)
