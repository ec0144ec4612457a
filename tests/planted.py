"""A SAR scene that holds a few planted things, and the runs over it that many tests look at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from scene_files import UTM, write

import sar2opt
from sar2opt.config import RunConfig, parse_config
from sar2opt.pipeline import Products

SHAPE = (200, 260)
TARGETS = ((108, 150), (127, 191))  # first row and column of 3 x 3; the second lies across seams
LAND, WATER, TARGET = 0.2, 0.004, 5.0  # mean power
DEGREES = Affine(1e-4, 0, 11.0, 0, -1e-4, 45.0)
TAGS = {"LOOKS": "4.4", "ACQUIRED": "2024-05-14T05:12:41Z", "QUANTITY": "sigma0"}


def planted_power() -> Any:
    """Return land with a dark lake and two bright targets on it; NaN in holes and at a corner."""
    rows, cols = np.indices(SHAPE)
    mean = np.full(SHAPE, LAND)
    mean[62:172, 88:236] = WATER
    power = mean * np.random.default_rng(7).gamma(4.4, 1 / 4.4, SHAPE)
    for row, col in TARGETS:
        power[row : row + 3, col : col + 3] = TARGET
    power[20:50, 30:70] = np.nan  # a hole
    power[130, 20] = power[199, 259] = np.nan  # single pixels
    power[rows + cols < 40] = np.nan  # a ragged corner
    power[:64, 192:] = np.nan  # a block of 64 and the one beside it
    return power.astype(np.float32)


def write_planted(path: Path) -> Path:
    """Write the scene in UTM, as power, NaN where there is no data."""
    tags = {**TAGS, "SCALE": "power"}
    return write(path, planted_power(), names=("VH",), nodata=np.nan, tags=tags)


def write_planted_in_degrees(path: Path) -> Path:
    """Write the same pixels in EPSG:4326, as decibels, -9999 where there is no data."""
    decibels = np.nan_to_num(10 * np.log10(planted_power()), nan=-9999.0)
    how = {"nodata": -9999.0, "crs": "EPSG:4326", "transform": DEGREES}
    return write(path, decibels, names=("VH",), tags={**TAGS, "SCALE": "dB"}, **how)


def settings(scene: Path, out: Path, /, **sections: Any) -> RunConfig:
    """Return settings for a run of ``scene`` to ``out``, by sections of the configuration."""
    values = {"scene": {"path": scene}, "output": {"folder": out}, "engine": {"workers": 1}}
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return parse_config(values, RunConfig)


def pixels(folder: Path, product: str) -> Any:
    """Return the pixels ``(band, y, x)`` of a finished raster."""
    (path,) = folder.glob(f"*_{product}.tif")
    with rasterio.open(path) as file:
        return file.read()


def hidden(folder: Path) -> list[str]:
    """Return the names of all that is hidden in ``folder``."""
    return sorted(path.name for path in folder.rglob(".*"))


@dataclass(frozen=True)
class Case:
    """A finished run, and where its pixels have to lie."""

    products: Products
    crs: str
    transform: Affine
    valid: Any  # (y, x)
    targets: tuple[tuple[int, int], ...]  # in the pixels of the products
    files: tuple[str, ...] = ()  # in the folder when the run ended: GDAL adds some on reading

    def path(self, ending: str) -> Path:
        """Return the product whose name is the scene's with ``ending``."""
        return self.products.folder / f"{self.products.folder.name}{ending}"

    def box(self, row: int, col: int, size: int = 3) -> shapely.Polygon:
        """Return ``size`` x ``size`` pixels as a polygon on the map."""
        left, top = self.transform @ (col, row)
        right, bottom = self.transform @ (col + size, row + size)
        return shapely.box(left, bottom, right, top)


def run_planted(folder: Path, kind: str) -> Case:
    """Run the scene as it is in UTM, in degrees, or cut by an area of interest."""
    out, valid = folder / "out", np.isfinite(planted_power())
    if kind == "degrees":
        scene = write_planted_in_degrees(folder / "planted.tif")
        case = Case(sar2opt.run(settings(scene, out)), "EPSG:4326", DEGREES, valid, TARGETS)
    elif kind == "utm":
        scene = write_planted(folder / "planted.tif")
        products = sar2opt.run(settings(scene, out, engine={"block": 64}))
        case = Case(products, "EPSG:32632", UTM, valid, TARGETS)
    else:
        case = _run_area(folder, write_planted(folder / "planted.tif"), valid)
    return replace(case, files=tuple(sorted(path.name for path in out.rglob("*"))))


def _run_area(folder: Path, scene: Path, valid: Any) -> Case:
    area, aoi = area_of_interest(), folder / "area.geojson"
    gpd.GeoSeries([area], crs="EPSG:4326").to_file(aoi)
    products = sar2opt.run(settings(scene, folder / "out", scene={"aoi": aoi}))
    rows, cols = slice(60, 168), slice(94, 176)  # whole pixels around the corners below
    cut = (valid & centres_in(area))[rows, cols]
    target = (TARGETS[0][0] - rows.start, TARGETS[0][1] - cols.start)
    transform = UTM @ Affine.translation(cols.start, rows.start)
    return Case(products, "EPSG:32632", transform, cut, (target,))


def area_of_interest() -> shapely.Polygon:
    """Return a slanting field in longitude and latitude, around the first target only."""
    corners = [(110, 60.4), (175.6, 84), (160, 167.6), (94.4, 150)]  # columns and rows
    world = gpd.GeoSeries([shapely.Point(UTM @ corner) for corner in corners], crs="EPSG:32632")
    return shapely.Polygon([(point.x, point.y) for point in world.to_crs("EPSG:4326")])


def centres_in(area: shapely.Polygon) -> Any:
    """Return which pixels of the scene in UTM have their centre in ``area``, by its own CRS."""
    rows, cols = np.indices(SHAPE) + 0.5
    world = gpd.points_from_xy(*(UTM @ (cols.ravel(), rows.ravel())), crs="EPSG:32632")
    lonlat = world.to_crs("EPSG:4326")
    return shapely.contains_xy(area, lonlat.x, lonlat.y).reshape(SHAPE)
