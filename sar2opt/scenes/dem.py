"""A terrain model: heights above the ellipsoid on any piece of a map."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import rasterio
from affine import Affine
from pyproj.datadir import get_data_dir
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.warp import Resampling, reproject

from sar2opt.errors import PlacementError
from sar2opt.sar.geolocation import Floats
from sar2opt.scenes.blocks import ONE_AT_A_TIME, file_stamp

_GEOIDS = {  # files of PROJ, old and new
    "EGM96": ("us_nga_egm96_15.tif", "egm96_15.gtx"),
    "EGM2008": ("us_nga_egm08_25.tif", "egm08_25.gtx"),
}
_PLACES = ("/usr/share/proj", "/usr/local/share/proj")  # beside PROJ's own
_TO_ELLIPSOID = (
    "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=vgridshift "
    "+grids={} +multiplier=1 +step +proj=unitconvert +xy_in=rad +xy_out=deg"
)


@dataclass(frozen=True)
class Dem:
    """A raster file of heights in metres; it holds no open file, so it pickles."""

    path: str
    stamp: tuple[int, int]  # time and size of the file
    geoid: str | None  # file of the geoid that the heights count from; None is the ellipsoid

    def heights(self, transform: Affine, crs: str, shape: tuple[int, int]) -> Floats:
        """Return heights ``(y, x)`` above the file's own zero, bilinear; NaN where it has none."""
        heights = np.full(shape, np.nan)
        with _open(self.path) as file, ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # of GDAL's own scratch file
            reproject(
                rasterio.band(file, 1), heights, dst_transform=transform, dst_crs=crs,
                dst_nodata=np.nan, resampling=Resampling.bilinear, tolerance=0,
            )  # fmt: skip
        return heights

    def zero(self, lon: Floats, lat: Floats) -> Floats:
        """Return metres of the file's zero above the ellipsoid, at places in degrees."""
        if self.geoid is None:
            return np.zeros(np.shape(lon))
        shift = pyproj.Transformer.from_pipeline(_TO_ELLIPSOID.format(self.geoid))
        return np.asarray(shift.transform(lon, lat, np.zeros(np.shape(lon)))[2])


def open_dem(path: Path) -> tuple[Dem, list[str]]:
    """Return a terrain model, and what had to be assumed of its heights.

    Raises ``PlacementError`` where the file is none.
    """
    if not path.is_file():
        raise PlacementError(f"{path}: no such file: give --dem a terrain model")
    with _open(str(path)) as file:
        if file.crs is None or file.transform.is_identity:
            raise PlacementError(f"{path}: the terrain model has no CRS or grid: write it in")
        crs = pyproj.CRS.from_wkt(file.crs.to_wkt())
    geoid, notes = _geoid(crs, path)
    return Dem(str(path.absolute()), file_stamp(str(path)), geoid), notes


def _geoid(crs: pyproj.CRS, path: Path) -> tuple[str | None, list[str]]:
    vertical = next((part.name for part in crs.sub_crs_list if part.is_vertical), "")
    if not vertical and len(crs.axis_info) == 3:
        return None, []  # ellipsoidal heights
    known = next((name for name in _GEOIDS if name in vertical.upper().replace(" ", "")), None)
    notes = []
    if known is None:
        known = "EGM96"
        said = f"count from {vertical}" if vertical else "name no vertical datum"
        notes.append(f"the terrain model's heights {said}: taken as above the geoid {known}")
    folders = [get_data_dir(), *_PLACES]
    folders += os.environ.get("PROJ_DATA", "").split(os.pathsep)
    files = (Path(folder) / name for folder in folders if folder for name in _GEOIDS[known])
    if found := next((str(file) for file in files if file.is_file()), None):
        return found, notes
    raise PlacementError(
        f"{path}: its heights count from the geoid {known}, which is not installed, and without it "
        f"pixels lie up to 100 m off: fetch it ('pyproj sync --file {_GEOIDS[known][0]}'), or give "
        "heights above the ellipsoid and say so in the CRS (EPSG:4979)"
    )


def _open(path: str) -> rasterio.DatasetReader:
    try:
        return rasterio.open(path, driver="GTiff")
    except RasterioIOError as error:
        raise PlacementError(f"{path}: the terrain model is no GeoTIFF: convert it") from error
