"""Ships off Long Beach, counted by eye in the radar and optical pictures, against the flags.

Rows and columns are those of ``los_angeles_west_s1_vh.tif``, noted in crops of three times their
size: the ships before the flags were looked at, the dots with the flags at hand. Doubtful dots at
the level of the speckle were left out.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import geopandas as gpd
import rasterio
import shapely

import sar2opt

SEA = (7480, 8192, 9560, 11264)  # first row, last row, first column, last column of the area
SEEN = {
    "ship": [(7947, 10045), (7947, 10255), (8150, 10314), (7980, 9640), (7702, 10140),
             (7727, 10218)],
    "dot of 2 to 3 pixels": [(7671, 10528), (8154, 11152), (8105, 10721), (8117, 10749),
                             (8108, 11046)],
}  # fmt: skip
FIXED = {
    "platform": (8070, 10696),
    "head of a pier": (7584, 10314),
    "breakwater": (8011, 9799),
    "breakwater, its end": (8011, 9886),
    "jetty": (7951, 10833),
    "jetty, its head": (7969, 10853),
}
OPEN = ((7600, 8192, 10000, 10480), (7830, 8192, 9560, 10820), (7990, 8192, 10820, 11080))
"""Rows and columns of open water, east of the harbour and clear of the coast."""
NEAR = 6  # pixels


def anchored(scene: Path) -> None:
    """Print what was seen by eye, and whether a bright target lies on it."""
    with rasterio.open(scene) as file:
        transform, crs = file.transform, file.crs
    top, bottom, left, right = SEA
    with tempfile.TemporaryDirectory() as held:
        aoi = Path(held) / "aoi.gpkg"
        corners = transform @ (left, bottom), transform @ (right, top)
        area = shapely.box(*corners[0], *corners[1])
        gpd.GeoDataFrame(geometry=[area], crs=crs).to_file(aoi)
        config = sar2opt.RunConfig(scene={"path": scene, "aoi": aoi})
        flags = sar2opt.flag_scene(config, Path(held) / "flags.gpkg")
    flags = flags[flags["kind"] == "bright_target"]
    pixels = flags.geometry.affine_transform((~transform).to_shapely()).to_numpy()
    used: set[int] = set()
    print("| what | row, column | longitude, latitude | flags on it |\n|---|---|---|---|")
    rows = [(what, place) for what, places in SEEN.items() for place in places]
    for what, (row, col) in [*rows, *FIXED.items()]:
        spot = shapely.Point(col + 0.5, row + 0.5).buffer(NEAR)
        on = [number for number, shape in enumerate(pixels) if shape.intersects(spot)]
        used |= set(on)
        place = gpd.GeoSeries([shapely.Point(transform @ (col, row))], crs=crs).to_crs("EPSG:4326")
        where = f"{place.x[0]:.4f}, {place.y[0]:.4f}"
        print(f"| {what} | {row}, {col} | {where} | {len(on) or 'missed'} |")
    sea = shapely.union_all([shapely.box(x0, y0, x1, y1) for y0, y1, x0, x1 in OPEN])
    rest = [shape for number, shape in enumerate(pixels) if number not in used]
    false = [shape for shape in rest if sea.contains(shape)]
    print(
        f"\n{len(pixels)} bright targets in all, {len(used)} of them above; of the others "
        f"{len(false)} on open water, {len(rest) - len(false)} along the coast and in harbours"
    )


PARTS = {"anchored": anchored}
