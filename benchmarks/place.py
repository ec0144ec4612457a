"""Where the map of a real Sentinel-1 scene puts the coast, and where the coast is.

    python benchmarks/place.py PRODUCTS/grd_with_gcps/2018/7/16/IW/DV/S1A_..._FD5B

The product is real (S1A IW GRD, 2018-07-16, Kerala, decimated to about 202 m, no XML), and only its
ground control points say where its pixels lie. Two proofs, see ``place.md``:

1. *The warp.* Places on the map, as lines and pixels, beside those of GDAL's thin-plate spline
   through the same points, and the map beside the one that GDAL warps.
2. *The ground.* The coast, in bands of rows of the map, beside the coast of OpenStreetMap. The
   points lie 255 to 755 m high, by ESA's mean of the terrain; sea level is 93 m below the
   ellipsoid there. So the coast must be off by ``(height + 93 m) / tan(incidence)``, away from the
   radar; what is left after that is the error of place.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.transform import GCPTransformer
from rasterio.warp import Resampling, reproject

from sar2opt import open_scene
from sar2opt.sar.geolocation import GridGeometry
from sar2opt.scenes.gcps import gcp_grid
from sar2opt.scenes.geometry import degrees

Floats = npt.NDArray[np.float64]

# Longitudes of the coast of the open sea from 9.56 degrees north on, every 0.02 degrees
# ((c) OpenStreetMap contributors, ODbL; from the outlines in the package roaring-landmask 0.11.0)
SOUTH, STEP = 9.56, 0.02
COAST = (
    76.3051, 76.3015, 76.2985, 76.2949, 76.2945, 76.2921, 76.2905, 76.2888, 76.2868, 76.2848,
    76.2821, 76.2785, 76.2728, 76.2716, 76.2681, 76.2640, 76.2605, 76.2557, 76.2507, 76.2431,
    76.2374, 76.2228, 76.2178, 76.2135, 76.2072, 76.2000, 76.1950, 76.1890, 76.1845, 76.1788,
    76.1718, 76.1620, 76.1566, 76.1502, 76.1437, 76.1374, 76.1320, 76.1265, 76.1202, 76.1130,
    76.1057, 76.0978, 76.0899, 76.0821, 76.0735, 76.0649, 76.0543, 76.0437, 76.0314, 76.0222,
    76.0139, 76.0036, 75.9940, 75.9848, 75.9763, 75.9677, 75.9592, 75.9507, 75.9414, 75.9323,
    75.9243, 75.9156, 75.9079, 75.9035, 75.8992,
)  # fmt: skip
SEA_LEVEL = -93.0  # metres above the ellipsoid: the geoid off Kerala
NEAR, FAR, SWATH = 30.4, 46.1, 256.1e3  # degrees; metres on the ground: Sentinel-1 IW GRD
BAND = 32  # rows of the map


@dataclass(frozen=True)
class Scene:
    """The product on the map, and what its points say."""

    amplitude: Floats  # (y, x), NaN where no data
    geobox: GeoBox
    geometry: GridGeometry
    file: Path

    @classmethod
    def of(cls, product: Path) -> Scene:
        """Open VH, in which the sea is dark whatever the wind."""
        file = product / "measurement" / "iw-vh.tiff"
        scene = open_scene(file)
        with rasterio.open(file) as source:
            grid, _ = gcp_grid(source)
        power = np.asarray(scene[0].values, np.float64)
        return cls(np.sqrt(power), scene.odc.geobox, GridGeometry(grid), file)

    @property
    def metres(self) -> float:
        """Size of a pixel of the map."""
        return float(self.geobox.resolution.x)

    @property
    def on_map(self) -> Any:
        """Return what turns degrees into metres of the map."""
        return Transformer.from_crs("EPSG:4326", str(self.geobox.crs), always_xy=True).transform

    @property
    def off_map(self) -> Any:
        """Return what turns metres of the map into degrees."""
        return Transformer.from_crs(str(self.geobox.crs), "EPSG:4326", always_xy=True).transform


def beside_gdal(scene: Scene, step: int = 8) -> Floats:
    """Return the distances, in source pixels, of our places from those of GDAL's spline."""
    row, col = (np.arange(0, size, step) + 0.5 for size in scene.geobox.shape)
    lon, lat = degrees(scene.geobox, *np.meshgrid(row, col, indexing="ij"))
    line, pixel = scene.geometry.locate(lon, lat)
    with rasterio.open(scene.file) as source:
        points, extent = source.gcps[0], source.shape
    inner = (line > 0) & (line < extent[0] - 1) & (pixel > 0) & (pixel < extent[1] - 1)
    with GCPTransformer(points, tps=True) as theirs:
        rows, cols = theirs.rowcol(lon[inner], lat[inner], op=lambda at: at)
    apart = np.asarray(rows) - 0.5 - line[inner], np.asarray(cols) - 0.5 - pixel[inner]
    return np.asarray(np.hypot(*apart))


def maps_agree(scene: Scene) -> float:
    """Return Pearson's r of our map and GDAL's, amplitude, both bilinear."""
    theirs = np.zeros(scene.amplitude.shape, np.float32)
    with rasterio.open(scene.file) as source:
        points, crs = source.gcps
        where = {"dst_transform": scene.geobox.affine, "dst_crs": str(scene.geobox.crs)}
        how: dict[str, Any] = {"SRC_METHOD": "GCP_TPS", "resampling": Resampling.bilinear}
        values = source.read(1).astype(np.float32)
        reproject(values, theirs, gcps=points, src_crs=crs, **where, **how)
    seen = np.isfinite(scene.amplitude) & (theirs > 0)
    return float(np.corrcoef(scene.amplitude[seen], theirs[seen])[0, 1])


@dataclass(frozen=True)
class Band:
    """The coast in a band of rows: how far east of its place the map shows it, metres."""

    latitude: float
    height: float  # of the ground control points
    slant: float  # metres east for a metre north, of the coast
    shown: float  # median over the rows
    expected: float  # by the heights

    @property
    def left(self) -> float:
        """The error of place, metres east."""
        return self.shown - self.expected


def coast(scene: Scene) -> list[Band]:
    """Measure the coast, band by band."""
    lat = SOUTH + STEP * np.arange(len(COAST))
    east, north = (np.asarray(axis) for axis in scene.on_map(np.array(COAST), lat))
    rows = np.arange(scene.amplitude.shape[0])
    middle = scene.geobox.affine.f + (rows + 0.5) * scene.geobox.affine.e
    true = np.interp(middle, north, east, left=np.nan, right=np.nan)
    shown = np.array([_edge(scene, row, at) for row, at in zip(rows, true, strict=True)])
    found = np.flatnonzero(np.isfinite(shown))
    bands = []
    for part in np.array_split(found, max(found.size // BAND, 1)):
        slant = float(np.polyfit(middle[part], true[part], 1)[0])
        here = float(np.median(shown[part])), float(np.median(middle[part]))
        bands.append(_band(scene, here, slant, float(np.median((shown - true)[part]))))
    return bands


def _edge(scene: Scene, row: int, true: float) -> float:
    """Return the easting, metres, at which a row rises from sea to land; NaN if it does not."""
    left, metres = scene.geobox.affine.c, scene.metres
    if not np.isfinite(true):
        return np.nan
    first = round((true - left) / metres) - 25
    values = scene.amplitude[row, max(first, 0) : first + 40]
    if first < 0 or values.size < 40 or not np.isfinite(values).all():
        return np.nan
    sea = np.median(values[:15])
    ashore = int(np.argmax(values > 1.5 * sea))
    middle = (sea + np.median(values[ashore + 1 : ashore + 6])) / 2
    at = int(np.argmax(values > middle))
    if at == 0:
        return np.nan
    part = (middle - values[at - 1]) / (values[at] - values[at - 1])
    return float(left + (first + at - 1 + part + 0.5) * metres)


def _band(scene: Scene, here: tuple[float, float], slant: float, shown: float) -> Band:
    geometry = scene.geometry
    lon, lat = scene.off_map(*here)
    line, pixel = geometry.locate(np.array(lon), np.array(lat))
    away = np.subtract(scene.on_map(*geometry.place(line, pixel + 1)), here)
    grid = geometry.grid
    height = float(np.interp(line, grid.line, grid.height.mean(axis=1)))
    share = float(pixel) / grid.pixel[-1]
    shift = (height - SEA_LEVEL) / np.tan(incidence(share * SWATH)) * away / np.hypot(*away)
    return Band(float(lat), height, slant, shown, float(shift[0] - slant * shift[1]))


def incidence(ground: float) -> float:
    """Return the incidence angle, radians, ``ground`` metres from the near edge of an IW swath.

    Linear between the edges: within half a degree of the annotation of real products.
    """
    return float(np.radians(np.interp(ground, (0, SWATH), (NEAR, FAR))))


def shift_of(bands: list[Band]) -> tuple[float, float]:
    """Return the one shift, metres east and north, that explains best what is left."""
    slants = np.array([[1.0, -band.slant] for band in bands])
    east, north = np.linalg.lstsq(slants, np.array([band.left for band in bands]))[0]
    return float(east), float(north)


def main() -> None:
    """Print the tables."""
    if len(sys.argv) != 2 or not Path(sys.argv[1], "measurement", "iw-vh.tiff").is_file():
        sys.exit("say where the product is: python benchmarks/place.py PRODUCT")
    scene = Scene.of(Path(sys.argv[1]))
    apart, alike = beside_gdal(scene), maps_agree(scene)
    print(
        f"{apart.size} places beside GDAL's thin-plate spline: {np.median(apart):.4f} pixels apart "
        f"(median), {apart.max():.3f} at most; r of the two maps {alike:.4f}\n"
    )
    bands = coast(scene)
    print(
        "| latitude | heights of the points, m | shown east, m | expected, m | left, m | pixels |"
    )
    print("|---|---|---|---|---|---|")
    for band in bands:
        moved = f"{band.shown:.0f} | {band.expected:.0f} | {band.left:.0f}"
        pixels = band.left / scene.metres
        print(f"| {band.latitude:.3f} | {band.height:.0f} | {moved} | {pixels:.2f} |")
    left = np.array([band.left for band in bands])
    print(
        f"\nleft: median {np.median(left):.0f} m, of its absolute {np.median(abs(left)):.0f} m, "
        f"at most {abs(left).max():.0f} m; a pixel is {scene.metres:.0f} m"
    )
    east, north = shift_of(bands)
    print(f"one shift of all: {east:.0f} m east, {north:.0f} m north")


if __name__ == "__main__":
    main()
