"""Small pictures of a finished run, for the preview and the report: one grid, four views of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from PIL import Image
from pyproj import Geod
from rasterio.enums import Resampling

from sar2opt.products.classes import CLASSES

Pixels = npt.NDArray[np.uint8]
ReadSar = Callable[[int, int, int, int], Pixels]
"""``read(y0, y1, x0, x1)``: backscatter for display ``(y, x)``, 0 to 255, at full resolution."""

TRUST_STOPS = ((247, 241, 227), (134, 187, 178), (11, 79, 92))  # 0, 50, 100 percent
NO_DATA = 255


@dataclass(frozen=True)
class Pictures:
    """A scene and its products on one small grid; uint8, cut to where there is data."""

    geobox: GeoBox
    sar: Pixels  # (y, x), for display
    optical: Pixels  # (band, y, x), one band (grey) or three
    tags: Pixels  # (y, x), 255 is no data
    trust: Pixels  # (y, x), percent, 255 is no data

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Where there is data, ``(y, x)``."""
        return np.asarray(self.trust != NO_DATA)

    def views(self) -> dict[str, Image.Image]:
        """Return the pictures ``sar``, ``optical``, ``tags``, ``trust``; no data is transparent."""
        optical = np.broadcast_to(self.optical, (3, *self.tags.shape))
        return {
            "sar": self._rgba(np.repeat(self.sar[..., None], 3, axis=2)),
            "optical": self._rgba(np.moveaxis(optical, 0, 2)),
            "tags": self._rgba(tag_palette()[self.tags]),
            "trust": self._rgba(trust_palette()[self.trust]),
        }

    def _rgba(self, colours: Pixels) -> Image.Image:
        alpha = self.valid.astype(np.uint8) * 255
        return Image.fromarray(np.dstack([colours, alpha]), mode="RGBA")

    def pixel_of(self, table: gpd.GeoDataFrame) -> list[tuple[float, float]]:
        """Return a point on each geometry as fractional column and row of the pictures."""
        points = table.geometry.representative_point()
        to_pixel = ~self.geobox.affine
        return [to_pixel * (point.x, point.y) for point in points]


def tag_palette() -> Pixels:
    """Return the colour of each code, ``(256, 3)``."""
    palette = np.zeros((256, 3), np.uint8)
    for entry in CLASSES:
        palette[entry.code] = entry.colour
    return palette


def trust_palette() -> Pixels:
    """Return the colour of each percentage of trust, ``(256, 3)``."""
    stops = np.array(TRUST_STOPS, float)
    position = np.minimum(np.arange(256), 100)
    channels = [np.interp(position, (0, 50, 100), stops[:, band]) for band in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def read_pictures(
    paths: Mapping[str, Path], sar: Pixels, geobox: GeoBox, *, side: int = 1200
) -> Pictures:
    """Read the finished COGs ``optical``, ``trust``, ``tags`` small, through their overviews.

    ``sar`` is a quick-look ``(y, x)`` of the whole grid ``geobox`` at any scale. The longer side
    of what holds data becomes at most ``side`` pixels.
    """
    rows, cols = geobox.shape
    small, _ = _read(paths["trust"], min(1.0, side / max(rows, cols)), Resampling.nearest, None)
    box = _data_box(small[0] != NO_DATA, (rows, cols))
    factor = min(1.0, side / max(box[1] - box[0], box[3] - box[2]))
    trust, shape = _read(paths["trust"], factor, Resampling.average, box)
    tags, _ = _read(paths["tags"], factor, Resampling.nearest, box)
    optical, _ = _read(paths["optical"], factor, Resampling.average, box)
    top, bottom, left, right = (
        round(edge * scale)
        for edge, scale in zip(
            box,
            (sar.shape[0] / rows, sar.shape[0] / rows, sar.shape[1] / cols, sar.shape[1] / cols),
            strict=True,
        )
    )
    cut = Image.fromarray(sar[top : max(bottom, top + 1), left : max(right, left + 1)])
    backscatter = np.asarray(cut.resize(shape[::-1], Image.Resampling.BOX))
    grid = geobox[box[0] : box[1], box[2] : box[3]].zoom_to(shape)
    return Pictures(grid, backscatter, optical, tags[0], trust[0])


def crop_pictures(
    paths: Mapping[str, Path], read_sar: ReadSar | None, geobox: GeoBox, geometry: Any
) -> dict[str, Image.Image]:
    """Return square crops at full resolution around a geometry: ``optical``, and ``sar`` if given.

    The crop leaves as much again on all sides, and is 48 to 512 pixels wide.
    """
    y0, y1, x0, x1 = crop_window(geobox, geometry)
    with rasterio.open(paths["optical"]) as cog:
        pixels = cog.read(window=((y0, y1), (x0, x1)))
    crops = {"optical": picture_of(pixels)}
    if read_sar is not None:
        crops["sar"] = picture_of(read_sar(y0, y1, x0, x1)[None])
    return crops


def crop_window(geobox: GeoBox, geometry: Any) -> tuple[int, int, int, int]:
    """Return first row, end row, first column and end column of the crop around a geometry."""
    west, south, east, north = geometry.bounds
    to_pixel = ~geobox.affine
    corners = [to_pixel * (x, y) for x in (west, east) for y in (south, north)]
    cols, rows = zip(*corners, strict=True)
    half = int(np.clip(max(np.ptp(cols), np.ptp(rows)), 24, 256))
    col, row = round((min(cols) + max(cols)) / 2), round((min(rows) + max(rows)) / 2)
    y0, x0 = max(row - half, 0), max(col - half, 0)
    y1, x1 = min(row + half, geobox.shape[0]), min(col + half, geobox.shape[1])
    return y0, y1, x0, x1


def picture_of(pixels: Pixels) -> Image.Image:
    """Return pixels ``(band, y, x)``, one band or three, as a picture."""
    if len(pixels) == 1:
        return Image.fromarray(np.ascontiguousarray(pixels[0]))
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(pixels, 0, 2)))


def ground_width_m(geobox: GeoBox) -> float:
    """Return the width of a pixel on the ground at the centre of the grid, in metres."""
    rows, cols = geobox.shape
    ends = [geobox.affine * (cols / 2 + step, rows / 2) for step in (0, 1)]
    assert geobox.crs is not None
    to_lonlat = geobox.crs.transformer_to_crs("EPSG:4326", always_xy=True)
    lon, lat = to_lonlat(np.array([x for x, _ in ends]), np.array([y for _, y in ends]))
    _, _, distance = Geod(ellps="WGS84").inv(lon[0], lat[0], lon[1], lat[1])
    return float(distance)


def _read(
    path: Path,
    factor: float,
    resampling: Resampling,
    box: tuple[int, int, int, int] | None,
) -> tuple[Pixels, tuple[int, int]]:
    """Read a window (top, bottom, left, right) thinned by ``factor``."""
    with rasterio.open(path) as cog:
        top, bottom, left, right = box or (0, cog.height, 0, cog.width)
        shape = (max(1, round((bottom - top) * factor)), max(1, round((right - left) * factor)))
        pixels = cog.read(
            window=((top, bottom), (left, right)),
            out_shape=(cog.count, *shape),
            resampling=resampling,
        )
    return pixels, shape


def _data_box(valid: npt.NDArray[np.bool_], shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right of the data in the full grid ``shape``, with a margin."""
    edges: list[int] = []
    for axis, size in enumerate(shape):
        (seen,) = np.nonzero(valid.any(axis=1 - axis))
        scale = size / valid.shape[axis]
        first, last = (seen[0], seen[-1]) if len(seen) else (0, valid.shape[axis] - 1)
        margin = 0.01 * size
        edges += [
            max(0, int(first * scale - margin)),
            min(size, int(np.ceil((last + 1) * scale + margin))),
        ]
    return edges[0], edges[1], edges[2], edges[3]
