"""A real geocoded Sentinel-1 picture of relief beside what the terrain code makes of that relief.

    python benchmarks/place_terrain.py PRODUCTS/morocco

The amplitude (Morocco, 2023-09-04, eo_tools, EPSG:4326, about 15 m) comes without its orbit. So a
circular one is put where it was: descending, looking west, 36 degrees at the place, where two
subswaths meet. ``scenes.terrain`` then says how bright each slope is; ``place.md`` says what the
displacement between the two pictures proves, and what it does not.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling, reproject
from scipy.ndimage import gaussian_filter

from sar2opt import open_scene
from sar2opt.sar.orbit import Orbit, RangeDoppler, earth_fixed
from sar2opt.scenes.dem import open_dem
from sar2opt.scenes.terrain import TerrainPositions

Floats = npt.NDArray[np.float64]

PLACE = (-8.777, 31.797)  # longitude, latitude
INCIDENCE, DESCENDING, ASCENDING = 36.0, 192.0, 348.0  # degrees; headings of the satellite
RADIUS, SPEED, SPACING = 7_070_000.0, 7_500.0, 20.0  # metres, metres a second, metres
SMOOTH, FLAT = 1.0, 25.0  # pixels: what speckle is averaged over, and what counts as level
REACH = 6  # pixels that are searched for the displacement


def radar(heading: float, incidence: float = INCIDENCE) -> RangeDoppler:
    """Return a right-looking radar over the place, on a circular orbit; angles in degrees."""
    there = np.array(PLACE[0]), np.array(PLACE[1])
    target = earth_fixed(*there, 0.0)
    up = earth_fixed(*there, 1.0) - target
    north = np.cross(up, np.cross([0.0, 0.0, 1.0], up))
    north /= np.linalg.norm(north)
    course, angle = np.radians(heading), np.radians(incidence)
    forward = np.cos(course) * north + np.sin(course) * np.cross(north, up)
    sight = np.cos(angle) * up - np.sin(angle) * np.cross(forward, up)
    along = target @ sight
    start = target + (np.sqrt(along**2 + RADIUS**2 - target @ target) - along) * sight
    outward = start / np.linalg.norm(start)
    forward -= (forward @ outward) * outward
    forward /= np.linalg.norm(forward)
    time = np.arange(-40.0, 41.0, 10.0)
    phase = (time * SPEED / RADIUS)[:, None]
    at = RADIUS * (np.cos(phase) * outward + np.sin(phase) * forward)
    orbit = Orbit(time, at, SPEED * (np.cos(phase) * forward - np.sin(phase) * outward))
    middle = float(orbit.zero_doppler(target))
    reach = float(np.linalg.norm(target - orbit.at(np.array(middle))[0]))
    return RangeDoppler(orbit, middle, SPACING / SPEED, reach, SPACING * np.sin(angle))


def pictures(power: Any, geobox: GeoBox, dem: Path, heading: float) -> tuple[Floats, Floats]:
    """Return what was seen and what is expected ``(y, x)``, dB off their surroundings; 0 if none.

    ``power`` is linear, NaN where there is no data. What is expected is the inverse of the factor
    that flattens: the area of a slope that falls into a radar pixel.
    """
    positions = TerrainPositions(radar(heading), open_dem(dem)[0], geobox)
    gain = positions.surface((0, 0), (geobox.shape[0], geobox.shape[1]), 1).gain
    seen = np.isfinite(power) & (power > 0) & np.isfinite(gain)
    real = gaussian_filter(10 * np.log10(np.where(seen, power, 1.0)), SMOOTH)
    expected = -10 * np.log10(np.where(seen, gain, 1.0))
    return _level(real, seen), _level(expected, seen)


def _level(picture: Floats, seen: npt.NDArray[np.bool_]) -> Floats:
    share = np.maximum(gaussian_filter(seen.astype(float), FLAT), 1e-6)
    return np.where(seen, picture - gaussian_filter(np.where(seen, picture, 0.0), FLAT) / share, 0)


def displacement(real: Floats, expected: Floats) -> tuple[float, float, float]:
    """Return how far south and east, in pixels, what was seen lies of what is expected, and r.

    Pearson's r at whole shifts; a parabola through the best and its neighbours gives the rest.
    """
    shifts = range(-REACH, REACH + 1)
    rows, cols = real.shape
    fixed = expected[REACH : rows - REACH, REACH : cols - REACH]
    table = np.zeros((2 * REACH + 1, 2 * REACH + 1))
    for down, across in ((down, across) for down in shifts for across in shifts):
        top, left = REACH + down, REACH + across
        moved = real[top : top + fixed.shape[0], left : left + fixed.shape[1]]
        both = (moved != 0) & (fixed != 0)
        table[top, left] = np.corrcoef(moved[both], fixed[both])[0, 1]
    best = tuple(int(at) for at in np.unravel_index(table.argmax(), table.shape))
    return (
        best[0] - REACH + _peak(table[:, best[1]], best[0]),
        best[1] - REACH + _peak(table[best[0]], best[1]),
        float(table.max()),
    )


def _peak(values: Floats, at: int) -> float:
    if not 0 < at < values.size - 1:
        return 0.0
    before, here, after = values[at - 1 : at + 2]
    return float((before - after) / (2 * (before - 2 * here + after)))


def beside_gdal(folder: Path) -> float:
    """Return Pearson's r of our map in UTM and GDAL's, linear power, both bilinear."""
    scene, ours = (open_scene(folder / "amp_prm_vv.tif", crs=crs) for crs in (None, "EPSG:32629"))
    theirs = np.zeros(ours.shape[1:], np.float32)
    grid, target = scene.odc.geobox, ours.odc.geobox
    reproject(
        scene.values[0], theirs, src_transform=grid.affine, src_crs="EPSG:4326",
        dst_transform=target.affine, dst_crs="EPSG:32629",
        src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling.bilinear,
    )  # fmt: skip
    both = np.isfinite(theirs) & np.isfinite(ours.values[0])
    return float(np.corrcoef(theirs[both], ours.values[0][both])[0, 1])


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2 or not Path(sys.argv[1], "amp_prm_vv.tif").is_file():
        sys.exit("say where the pictures are: python benchmarks/place_terrain.py FOLDER")
    folder = Path(sys.argv[1])
    dems = sorted(folder.glob("dem-*.tiff"))
    print("| grid | terrain model | heading | south, pixels | east, pixels | r |")
    print("|---|---|---|---|---|---|")
    for crs in (None, "EPSG:32629"):
        scene = open_scene(folder / "amp_prm_vv.tif", crs=crs)
        for number, dem in enumerate(dems, 1):
            for heading in (DESCENDING, ASCENDING):
                pair = pictures(scene.values[0], scene.odc.geobox, dem, heading)
                south, east, alike = displacement(*pair)
                print(f"| {crs or 'as it came'} | {number} | {heading:.0f} | ", end="")
                print(f"{south:.2f} | {east:.2f} | {alike:.2f} |")
    print(f"\nour map in UTM beside GDAL's: r {beside_gdal(folder):.4f}")


if __name__ == "__main__":
    main()
