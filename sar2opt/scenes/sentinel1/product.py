"""Sentinel-1, from the product to the map.

1. Find the product's files; read annotation, calibration and noise of each polarisation.
2. Refuse what cannot be right: files that are missing, or contradict one another.
3. Wrap the measurements as an array in radar geometry: ``grd``, ``slc``.
4. Lay it on the map, lazily.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xarray as xr

from sar2opt.config import SceneSettings
from sar2opt.errors import ConfigError, PlacementError, SceneError
from sar2opt.sar.radiometry import Power
from sar2opt.scenes.opened import Opened
from sar2opt.scenes.sentinel1 import grd, slc
from sar2opt.scenes.sentinel1.container import Container, is_product, open_container
from sar2opt.scenes.sentinel1.radar import Radar
from sar2opt.scenes.sentinel1.xml import Tree
from sar2opt.scenes.terrain_layers import terrain_of
from sar2opt.scenes.warp import geocoded

_READERS = {"GRD": grd.read_radar, "SLC": slc.read_radar}
_BANDS, _BAND_LINES, _BAND_STEP = 8, 32, 16  # of the quick sample: bands, lines, pixels between
_DEFLATED = 0.06  # the share of a deflated raster that can be looked at quickly


def accepts(path: Path) -> bool:
    """Return whether a folder or zip is a Sentinel-1 product."""
    return is_product(path)


def files(path: Path) -> list[Path]:
    """Return the files on disk that a product's pixels depend on."""
    container = open_container(path)
    if container.zipped:
        return [path]
    return sorted(path / name for names in container.files.values() for name in names)


def read(path: Path, settings: SceneSettings, chunks: int) -> xr.DataArray:
    """Return the scene, lazily, as linear power; ``open_scene`` documents what is raised."""
    return open_product(path, settings).raster(chunks)


def open_product(path: Path, settings: SceneSettings) -> Opened:
    """Return the scene, open but not read, so that slices can be joined."""
    container, radar = _radar(path, settings)
    if settings.dem is not None and radar.quantity != "gamma0":
        raise ConfigError(
            "terrain correction makes gamma nought of gamma nought, not of "
            f"{radar.quantity}: leave out --calibration, or --dem"
        )
    try:
        warped, geobox, more = geocoded(
            radar.source, radar.grid, radar.spacing, settings, model=radar.model
        )
    except PlacementError as error:
        raise PlacementError(f"{path}: {error}") from error
    attrs = {
        **radar.attrs,
        "quantity": radar.quantity,
        "source": container.name,
        "assumptions": [*radar.notes, *more],
    }
    return Opened(warped, geobox, radar.names, attrs)


def read_with_terrain(
    path: Path, settings: SceneSettings, chunks: int
) -> tuple[xr.DataArray, xr.DataArray | None]:
    """Return the scene, and what the radar saw of the terrain, as ``open_with_terrain`` says."""
    scene = open_product(path, settings)
    layers = terrain_of(scene)
    return scene.raster(chunks), None if layers is None else layers.raster(chunks)


def quick_sample(path: Path, settings: SceneSettings) -> tuple[Power, str]:
    """Return power ``(band, n)`` of some lines, and which: what can be read in a second."""
    container, radar = _radar(path, settings)
    source = radar.source
    lines = int(source.lines * (_DEFLATED if container.zipped else 1))
    tops = np.linspace(0, max(lines - _BAND_LINES, 0), _BANDS).astype(int)

    def sampled(band: int) -> Power:
        parts = [source[band, top : top + _BAND_LINES, ::_BAND_STEP].ravel() for top in tops]
        return np.concatenate(parts)

    with ThreadPoolExecutor() as pool:  # a raster each: in a zip it is inflated from its beginning
        power = np.stack(list(pool.map(sampled, range(len(radar.names)))))
    where = f"the first {_DEFLATED:.0%} of the lines" if container.zipped else "all lines"
    return power, where


def _radar(path: Path, settings: SceneSettings) -> tuple[Container, Radar]:
    """Return the files of a product, and the product in radar geometry."""
    container = open_container(path)
    if not container.polarisations:
        raise SceneError(f"{path}: none of its annotations is of a known polarisation")
    name = container.polarisations[0]
    where = f"{path}: {container.where('annotation', name)}"
    kind = Tree.parse(container.text("annotation", name), where).text("adsHeader/productType")
    if kind not in _READERS:
        raise SceneError(f"{path}: a product of type {kind}: give the GRD or SLC of the same pass")
    return container, _READERS[kind](container, settings)
