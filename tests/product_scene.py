"""A small finished scene for the tests of the products: what a run knows, and what it made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import box

from sar2opt.overlay.anomalies import empty_anomalies
from sar2opt.products.cog import write_cog
from sar2opt.products.facts import Facts, ModelFacts
from sar2opt.products.profiles import OPTICAL, TAGS, TRUST, write_class_names

CARD: Mapping[str, Any] = {
    "summary": "A test net.",
    "trust_tolerance": 0.1,
    "limits": ["Anything that matters."],
    "licences": ["Simulated data."],
    "figures": {
        "translator": {"PSNR dB": 16.1, "SSIM": 0.31},
        "mean colour": {"PSNR dB": 14.7, "SSIM": 0.12},
    },
}


def grid(rows: int = 600, cols: int = 800, crs: str = "EPSG:32631") -> GeoBox:
    """Return a grid of 10 m."""
    return GeoBox((rows, cols), Affine(10, 0, 400_000, 0, -10, 5_000_000), crs)


def facts(geobox: GeoBox | None = None, **changes: Any) -> Facts:
    """Return the facts of a run."""
    known: dict[str, Any] = {
        "scene": "S",
        "source": "S.tif",
        "acquired": "2020-11-07T01:50:12Z",
        "geobox": geobox or grid(),
        "polarisation": "vh",
        "assumptions": ("Taken as amplitude.", "Taken as terrain-corrected."),
        "models": (
            ModelFacts("translator", "translator-x", "ab" * 32, CARD),
            ModelFacts("tagger", "tagger-x", "cd" * 32, CARD),
        ),
        "settings": '[scene]\nscale = "auto"\n',
        "software": "sar2opt 0.1.0",
        "created": "2026-01-02T03:04:05+00:00",
        "command": "sar2opt run S.tif --out out/",
    }
    return Facts(**(known | changes))


def anomaly_rows(geobox: GeoBox, places: list[tuple[int, int]], **columns: Any) -> gpd.GeoDataFrame:
    """Return one anomaly of 6 x 6 pixels a place (row, column)."""
    shapes = []
    for row, col in places:
        west, north = geobox.affine * (col - 3, row - 3)
        shapes.append(box(west, north - 60, west + 60, north))
    rows = {
        "id": [str(i) for i in range(len(places))],
        "kind": "bright_target",
        "score": np.linspace(0.9, 0.6, len(places)),
        "reason": "Echo 17 dB above its surroundings.",
        "area_m2": 3600.0,
        "pixels": 36,
        "tag": "water",
        "lon": 1.7,
        "lat": 45.1,
    }
    if not places:
        return empty_anomalies(geobox.crs.to_wkt())
    return gpd.GeoDataFrame(rows | columns, geometry=shapes, crs=geobox.crs.to_wkt())


def object_rows(geobox: GeoBox) -> gpd.GeoDataFrame:
    """Return two objects."""
    west, north = geobox.affine * (0, 0)
    return gpd.GeoDataFrame(
        {
            "id": ["a", "b"],
            "tag": ["water", "trees"],
            "score": [0.8, np.nan],
            "area_m2": [1e6, 2e6],
            "pixels": [10_000, 20_000],
            "lon": [1.7, 1.7],
            "lat": [45.1, 45.1],
        },
        geometry=[
            box(west, north - 1000, west + 1000, north),
            box(west + 1000, north - 1000, west + 3000, north),
        ],
        crs=geobox.crs.to_wkt(),
    )


def reader(pixels: Any, valid: Any) -> Callable[..., Any]:
    """Return a ``read`` over arrays ``(band, y, x)`` and ``(y, x)``."""
    return lambda y0, y1, x0, x1: (pixels[:, y0:y1, x0:x1], valid[y0:y1, x0:x1])


@dataclass(frozen=True)
class Scene:
    """Finished rasters and what they hold."""

    facts: Facts
    paths: dict[str, Path]
    optical: Any  # (3, y, x)
    trust: Any  # (y, x)
    tags: Any  # (y, x)
    valid: Any  # (y, x)
    sar: Any  # (y, x), quick-look of half the size


def finished_scene(folder: Path, geobox: GeoBox | None = None, **changes: Any) -> Scene:
    """Write the rasters of a scene whose left quarter is no data."""
    known = facts(geobox, **changes)
    shape = known.geobox.shape
    rng = np.random.default_rng(5)
    valid = np.ones(shape, bool)
    valid[:, : shape[1] // 4] = False
    optical = rng.integers(40, 90, (3, *shape), dtype=np.uint8)
    trust = np.where(valid, rng.integers(0, 101, shape), 255).astype(np.uint8)
    tags = np.where(valid, rng.integers(0, 6, shape), 255).astype(np.uint8)
    layers = (
        ("optical", optical, OPTICAL),
        ("trust", trust[None], TRUST),
        ("tags", tags[None], TAGS),
    )
    paths = {}
    for name, pixels, profile in layers:
        path = folder / f"{known.scene}_{name}.tif"
        read = reader(pixels, valid)
        paths[name] = write_cog(path, read, known.geobox, profile, known.tags(name))
    paths["tag_names"] = write_class_names(paths["tags"])
    sar = rng.integers(1, 255, ((shape[0] + 1) // 2, (shape[1] + 1) // 2), dtype=np.uint8)
    return Scene(known, paths, optical, trust, tags, valid, sar)
