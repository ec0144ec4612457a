"""The one convention for rasters: a plain ``xarray.DataArray``, and what it must carry.

======================  ==========================================================================
dims                    ``(band, y, x)``
dtype                   float32, NaN is no data
``band`` coordinate     names: ``vv``, ``vh``, ``hh``, ``hv``; ``red``, ``green``, ``blue`` ...
``y``, ``x``            pixel centres in the units of the CRS; pixel is area
``spatial_ref``         the CRS, as odc-geo and rioxarray write it
attrs ``quantity``      ``sigma0``, ``gamma0``, ``beta0``, ``intensity`` (uncalibrated power),
                        ``optical`` (generated imagery, 0 to 1), ``trust``, ``tags``, ``terrain``
attrs ``scale``         ``linear`` (power, not amplitude), ``dB``, ``uint8``
attrs ``acquired``      ISO 8601 time, or an empty string
attrs ``source``        name of the source product
attrs ``assumptions``   list of sentences: what was not written in the source
======================  ==========================================================================

The grid is odc-geo's ``GeoBox``, read from the coordinates (``raster.odc.geobox``) and never
carried beside the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import odc.geo.xr  # noqa: F401  registers the .odc accessor
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from pyproj import Geod
from shapely.geometry import Polygon

from sar2opt.errors import ConventionError

SAR_BANDS = ("vv", "vh", "hh", "hv")
SAR_QUANTITIES = ("sigma0", "gamma0", "beta0", "intensity")
QUANTITIES = (*SAR_QUANTITIES, "optical", "trust", "tags", "terrain")
SCALES = ("linear", "dB", "uint8")
LAND_COVER = ("water", "trees", "low_vegetation", "cropland", "built_up", "bare")
OBJECTS = {"ship": "water", "large_structure": "built_up"}  # and the cover that they stand on
TAGS = (*LAND_COVER, *OBJECTS)  # by code
NO_TAG = 255  # of a pixel without data


def make_raster(
    data: Any,
    geobox: GeoBox,
    bands: Sequence[str],
    *,
    quantity: str,
    scale: str,
    acquired: str = "",
    source: str = "",
    assumptions: Sequence[str] = (),
    **attrs: Any,
) -> xr.DataArray:
    """Wrap an array ``(band, y, x)``, NumPy or Dask, in the convention.

    Raises ``ConventionError`` when shape, names or attributes do not fit.
    """
    coords = xr_coords(geobox, dims=("y", "x"), always_yx=True)
    raster = xr.DataArray(
        data,
        name=quantity,
        dims=("band", "y", "x"),
        coords={"band": list(bands), **coords},
        attrs={
            "quantity": quantity,
            "scale": scale,
            "acquired": acquired,
            "source": source,
            "assumptions": list(assumptions),
            **attrs,
        },
    )
    return check_raster(raster)


def check_raster(raster: xr.DataArray, *, quantity: Sequence[str] = QUANTITIES) -> xr.DataArray:
    """Return ``raster`` unchanged if it keeps the convention, else raise ``ConventionError``."""
    if raster.dims != ("band", "y", "x"):
        raise ConventionError(f"dims are {raster.dims}, not (band, y, x)")
    if raster.dtype != np.float32:
        raise ConventionError(f"dtype is {raster.dtype}, not float32")
    for name, allowed in (("quantity", quantity), ("scale", SCALES)):
        if raster.attrs.get(name) not in allowed:
            raise ConventionError(
                f"attribute {name!r} is {raster.attrs.get(name)!r}, not one of {', '.join(allowed)}"
            )
    if raster.odc.geobox is None or raster.odc.geobox.crs is None:
        raise ConventionError("the raster has no grid: y, x and spatial_ref must give a GeoBox")
    return raster


def pixel_area_m2(geobox: GeoBox) -> float:
    """Return the area of a pixel at the centre of the grid, in square metres.

    Projected grids use their unit; degrees use an equal-area sphere at the centre's latitude;
    Mercator's stretching (EPSG:3395, EPSG:3857) is taken back at the centre.
    """
    rows, cols = geobox.shape
    row, col = rows // 2, cols // 2
    corners = [(col, row), (col + 1, row), (col + 1, row + 1), (col, row + 1)]
    world = [geobox.affine * corner for corner in corners]
    assert geobox.crs is not None
    to_lonlat = geobox.crs.transformer_to_crs("EPSG:4326", always_xy=True)
    lon, lat = to_lonlat(np.array([p[0] for p in world]), np.array([p[1] for p in world]))
    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(Polygon(zip(lon, lat, strict=True)))
    return abs(float(area))


def describe(raster: xr.DataArray) -> dict[str, Any]:
    """Return what a person wants to know of a raster, as plain values in reading order."""
    geobox = raster.odc.geobox
    rows, cols = geobox.shape
    return {
        "source": raster.attrs.get("source", ""),
        "acquired": raster.attrs.get("acquired", ""),
        "bands": [str(name) for name in raster.band.values],
        "size": f"{cols} x {rows} pixels ({rows * cols / 1e6:.1f} megapixels)",
        "quantity": raster.attrs["quantity"],
        "scale": raster.attrs["scale"],
        "crs": f"EPSG:{geobox.crs.epsg}" if geobox.crs.epsg else str(geobox.crs),
        "pixel": (abs(geobox.affine.a), abs(geobox.affine.e)),
        "bounds": tuple(geobox.boundingbox),
        "assumptions": list(raster.attrs.get("assumptions", [])),
    }


@dataclass(frozen=True)
class _Band:
    """One band of a lazy raster, read by windows.

    Dask (2026.8) merges one slice with the read that it is made of, not two in a row: of a band,
    and then of a window of it, it would compute the whole band for each window.
    """

    data: Any  # Dask, (band, y, x)
    index: int

    ndim = 3

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, self.data.shape[1], self.data.shape[2]

    def __getitem__(self, at: tuple[Any, ...]) -> Any:
        window = self.data[self.index : self.index + 1, at[1], at[2]]
        return window.compute(scheduler="synchronous")[at[0]]  # in the thread of the task it is in


def take_band(raster: xr.DataArray, name: str) -> xr.DataArray:
    """Return one band of a raster, as ``(1, y, x)``; of a lazy one, windows are read alone."""
    index = [str(band) for band in raster.band.values].index(name)
    taken = raster[index : index + 1]
    if raster.chunks is None or len(raster) == 1:
        return taken
    lazy = da.from_array(
        _Band(raster.data, index),
        chunks=taken.chunks,
        name=f"band-{index}-{raster.data.name}",
        meta=np.empty((0, 0, 0), raster.dtype),
        inline_array=True,
    )
    return taken.copy(data=lazy)
