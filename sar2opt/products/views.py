"""Small pictures of rasters, for people who look: what ``show`` puts on a page or a map.

A raster is thinned to at most ``SIDE`` pixels before it is computed; backscatter, imagery and trust
by their mean, classes by every n-th pixel. Backscatter is shown in decibels.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio.warp
import xarray as xr
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio.enums import Resampling

from sar2opt.products.pictures import tag_palette, trust_palette
from sar2opt.products.preview import MARK
from sar2opt.raster import NO_TAG, SAR_QUANTITIES, TAGS, check_raster
from sar2opt.sar.radiometry import to_db

SIDE = 1000  # pixels of the longer side
COLOURS = ("red", "green", "blue")
_DARK, _BRIGHT = 1, 99  # percentiles that become black and white

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """A picture of a raster, and where it lies."""

    title: str
    pixels: Pixels  # (y, x, 4): red, green, blue, alpha; no data is transparent
    geobox: GeoBox
    generated: bool  # a net made it

    @property
    def caption(self) -> str:
        """The title, with what has to be said of the picture."""
        if not self.generated:
            return self.title
        return MARK if self.title == "Image" else f"{self.title}, generated from radar"

    @property
    def image(self) -> Image.Image:
        """The picture, as Pillow has it."""
        return Image.fromarray(self.pixels)

    def on_web_map(self) -> tuple[Image.Image, tuple[tuple[float, float], tuple[float, float]]]:
        """Return the picture in web Mercator, and its south-west and north-east corner (lat, lon).

        A web map draws a picture as a rectangle, which is right in its own projection only.
        """
        crs, affine = self.geobox.crs, self.geobox.affine
        assert crs is not None
        rows, cols = self.geobox.shape
        box = self.geobox.boundingbox
        to, width, height = rasterio.warp.calculate_default_transform(
            crs.to_wkt(), "EPSG:3857", cols, rows, *box.bbox
        )
        target = np.zeros((4, height, width), np.uint8)
        rasterio.warp.reproject(
            np.ascontiguousarray(np.moveaxis(self.pixels, 2, 0)),
            target,
            src_transform=affine,
            src_crs=crs.to_wkt(),
            dst_transform=to,
            dst_crs="EPSG:3857",
            resampling=Resampling.nearest,
        )
        (west, north), (east, south) = to * (0, 0), to * (width, height)
        lon, lat = rasterio.warp.transform("EPSG:3857", "EPSG:4326", [west, east], [south, north])
        picture = Image.fromarray(np.ascontiguousarray(np.moveaxis(target, 0, 2)))
        return picture, ((lat[0], lon[0]), (lat[1], lon[1]))


def views_of(raster: xr.DataArray) -> list[View]:
    """Return the pictures of a raster ``(band, y, x)`` in the convention of ``raster.py``.

    Backscatter gives one for each band; imagery with trust, as a translator returns it, gives two;
    probabilities of tags give one, of the likeliest. Raises ``ConventionError``.
    """
    check_raster(raster)
    bands, quantity = [str(name) for name in raster.band.values], raster.attrs["quantity"]
    tags = quantity == "tags"
    small, geobox = _thinned(raster, mean=not tags or len(bands) > 1)
    values = np.asarray(small.values)  # (band, y, x)
    if tags:
        codes = values[0] if bands != list(TAGS) else _likeliest(values)
        return [_view("Land cover", tag_palette()[_bytes(codes, NO_TAG)], codes, geobox)]
    if quantity == "trust":
        return [_trust(values[0], geobox)]
    if quantity == "optical":
        return _imagery(dict(zip(bands, values, strict=True)), geobox)
    if quantity in SAR_QUANTITIES and raster.attrs["scale"] == "linear":
        values = to_db(values)
    unit = ", dB" if quantity in SAR_QUANTITIES and raster.attrs["scale"] != "uint8" else ""
    title = "Radar backscatter" if quantity in SAR_QUANTITIES else "Terrain"
    return [
        _view(f"{title}, {name.upper()}{unit}", _stretched(band), band, geobox, generated=False)
        for name, band in zip(bands, values, strict=True)
    ]


def _thinned(raster: xr.DataArray, *, mean: bool) -> tuple[xr.DataArray, GeoBox]:
    step = max(1, ceil(max(raster.shape[1:]) / SIDE))
    step = min(step, *raster.shape[1:])
    rows, cols = (size // step for size in raster.shape[1:])
    grid = raster.odc.geobox[: rows * step, : cols * step].zoom_to((rows, cols))
    if step == 1:
        return raster.compute(), grid
    if mean:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the mean of no data is no data
            return raster.coarsen(y=step, x=step, boundary="trim").mean().compute(), grid
    middle = step // 2
    return raster[:, middle : rows * step : step, middle : cols * step : step].compute(), grid


def _imagery(bands: dict[str, Any], geobox: GeoBox) -> list[View]:
    names = COLOURS if set(COLOURS) <= set(bands) else (next(iter(bands)),) * 3
    colours = np.stack([bands[name] for name in names], axis=2)
    found = [_view("Image", _bytes(255 * colours, 0), colours[..., 0], geobox)]
    return [*found, _trust(bands["trust"], geobox)] if "trust" in bands else found


def _trust(percent: Any, geobox: GeoBox) -> View:
    return _view("Trust in the image", trust_palette()[_bytes(percent, 0)], percent, geobox)


def _likeliest(probabilities: Any) -> Any:
    missing = np.isnan(probabilities).any(axis=0)
    return np.where(missing, np.nan, np.nan_to_num(probabilities).argmax(axis=0))


def _stretched(band: Any) -> Pixels:
    valid = band[np.isfinite(band)]
    low, high = np.percentile(valid, (_DARK, _BRIGHT)) if valid.size else (0.0, 1.0)
    grey = _bytes(255 * (band - low) / max(float(high - low), 1e-9), 0)
    return np.repeat(grey[..., None], 3, axis=2)


def _bytes(values: Any, missing: int) -> Pixels:
    whole = np.clip(np.rint(np.nan_to_num(values, nan=missing)), 0, 255)
    return np.asarray(whole.astype(np.uint8))


def _view(title: str, colours: Any, where: Any, geobox: GeoBox, *, generated: bool = True) -> View:
    alpha = np.where(np.isfinite(where), 255, 0).astype(np.uint8)
    return View(title, np.dstack([colours.astype(np.uint8), alpha]), geobox, generated)
