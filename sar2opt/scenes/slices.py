"""Reader for consecutive slices of one Sentinel-1 pass: a folder, or a pattern, of products."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from sar2opt.config import SceneSettings
from sar2opt.errors import SceneError
from sar2opt.sar.radiometry import Power
from sar2opt.scenes import sentinel1
from sar2opt.scenes.files import entries_of, is_glob, name_of
from sar2opt.scenes.mosaic import join
from sar2opt.scenes.opened import Opened, cut
from sar2opt.scenes.terrain_layers import joined_terrain

_MOST_SLICES = 30  # a data take of 25 minutes has no more than 60, of which a map holds few


def accepts(path: Path) -> bool:
    """Return whether ``path`` is a pattern that finds products, or a folder that holds some."""
    return (is_glob(path) or path.is_dir()) and bool(_products(path))


def files(path: Path) -> list[Path]:
    """Return the files on disk that the scene's pixels depend on."""
    return [file for product in _products(path) for file in sentinel1.files(product)]


def read(path: Path, settings: SceneSettings, chunks: int) -> xr.DataArray:
    """Return the slices as one scene on one grid; raises as ``open_scene`` says."""
    return cut(join(_open(path, settings), name_of(path)), settings.aoi).raster(chunks)


def read_with_terrain(
    path: Path, settings: SceneSettings, chunks: int
) -> tuple[xr.DataArray, xr.DataArray | None]:
    """Return the scene, and what the radar saw of the terrain, as ``open_with_terrain`` says."""
    slices = _open(path, settings)
    whole = join(slices, name_of(path))
    layers = joined_terrain(slices, whole)
    scene = cut(whole, settings.aoi).raster(chunks)
    return scene, None if layers is None else cut(layers, settings.aoi).raster(chunks)


def _open(path: Path, settings: SceneSettings) -> list[Opened]:
    """Return the slices of a pass, on one lattice where they can be."""
    products = _products(path)
    if len(products) > _MOST_SLICES:
        raise SceneError(f"{path}: {len(products)} products are too many for one map: give fewer")
    whole = settings.model_copy(update={"aoi": None})
    scenes: list[Opened] = []
    for product in products:
        scenes.append(sentinel1.open_product(product, whole))
        if not whole.like:  # on one lattice, so that none is resampled again
            whole = whole.model_copy(update={"crs": str(scenes[0].geobox.crs)})
    _check_pass(path, scenes)
    return scenes


def quick_sample(path: Path, settings: SceneSettings) -> tuple[Power, str]:
    """Return power ``(band, n)`` of the first product, and which, as ``sentinel1`` does."""
    product = _products(path)[0]
    sample, where = sentinel1.quick_sample(product, settings)
    return sample, f"{product.name}, {where}"


def _products(path: Path) -> list[Path]:
    return [entry for entry in entries_of(path) if sentinel1.accepts(entry)]


def _check_pass(path: Path, scenes: list[Opened]) -> None:
    if len({scene.attrs["input_scale"] for scene in scenes}) > 1:
        raise SceneError(f"{path}: GRD and SLC of one pass show the same: give those of one type")
    orbits = sorted({(s.attrs["platform"], s.attrs["absolute_orbit"]) for s in scenes})
    if len(orbits) > 1:
        named = ", ".join(f"{platform} orbit {orbit}" for platform, orbit in orbits)
        raise SceneError(f"{path}: mixed passes ({named}): give the products of one pass")
