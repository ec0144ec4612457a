"""The front door: any scene file in; linear power, in its place on the Earth, out.

A family of products is one small module with ``accepts(path)`` and ``read(path, settings,
chunks)``, listed in ``READERS``; the first that accepts a path reads it.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import xarray as xr

from sar2opt.config import SceneSettings, parse_config
from sar2opt.errors import BandError, ConfigError, SceneError
from sar2opt.raster import SAR_BANDS, describe
from sar2opt.sar.looks import estimate_looks
from sar2opt.sar.radiometry import Power, to_db
from sar2opt.scenes import folder, nisar, palsar, sentinel1, slices, stac, vendors
from sar2opt.scenes.files import address_of, anchored, entries_of, files_of, is_glob

READERS: tuple[ModuleType, ...] = (sentinel1, slices, folder, palsar, nisar, stac, vendors)

_INFO_CHUNK = 128  # pixels; small, so that a sparse sample of chunks reads little
_INFO_GRID = 12  # chunks a side
_QUANTILES = (0.01, 0.5, 0.99)


def open_scene(
    path: str | Path,
    *,
    scale: str = "auto",
    nodata: float | None = None,
    polarisation: str = "auto",
    aoi: str | Path | None = None,
    calibration: str = "auto",
    noise: str = "subtract",
    geocode: str = "auto",
    crs: str | None = None,
    resolution: float | None = None,
    like: str | Path | None = None,
    dem: str | Path | None = None,
    chunks: int = 1024,
) -> xr.DataArray:
    """Open a SAR scene as linear power ``(band, y, x)`` in the convention of ``raster.py``.

    The array is lazy: Dask chunks of all bands by ``chunks`` x ``chunks`` pixels, read when
    computed. Bands are named ``vv``, ``vh``, ``hh``, ``hv``. ``scale`` says what the file's
    numbers mean; "auto" takes the file's word, or else their statistics. ``nodata`` replaces the
    file's own nodata value. ``polarisation`` keeps one band, and names a single band that the
    file does not name. ``aoi`` is a vector file in any CRS: the scene is cut to its bounding box,
    and pixels whose centre lies outside its polygons are NaN.

    A folder of GeoTIFFs, or a pattern such as ``"in/*_V?.tif"``, is one scene: polarisations,
    slices and tiles of one pass, joined on one grid. A STAC item is given as its JSON file
    or http(s) address.

    A Sentinel-1 product, folder or zip, or a folder or pattern of several, consecutive slices of
    one pass, is calibrated: ``calibration`` is auto (gamma0), sigma0, gamma0, beta0 or none, and
    ``noise`` subtract or keep. It is GRD, or SLC, which is deburst, detected and multilooked.

    Radar geometry is laid on the map: ``geocode`` says how (gcp, ellipsoid, terrain with the
    heights in ``dem``), ``crs`` and ``resolution``, or ``like``, a raster file, on which grid;
    by default it is UTM at the product's pixel spacing. A scene that lies on a map already keeps
    its grid unless one of the last three is given.

    Beyond the convention, attributes give ``input_scale`` (the scale of the file), ``simulated``
    and, where the file states it, ``looks``. All that the file did not say is in ``assumptions``.

    Raises ``SceneError`` (no such file, no raster, damaged, complex, optical, all no data),
    ``PlacementError`` (no CRS, no grid), ``UnitsError`` (units unknown or contradicted),
    ``BandError`` (polarisation unknown or missing), ``LayerError`` (area of interest) or
    ``ConfigError`` (an argument out of range), each in one line.
    """
    asked = {
        "scale": scale, "nodata": nodata, "polarisation": polarisation, "aoi": aoi,
        "calibration": calibration, "noise": noise,
        "geocode": geocode, "crs": crs, "resolution": resolution, "like": like, "dem": dem,
    }  # fmt: skip
    settings = _settings(asked, chunks)
    scene: xr.DataArray = _find_reader(Path(path)).read(anchored(Path(path)), settings, chunks)
    return scene


def scene_info(path: str | Path, **how: Any) -> dict[str, Any]:
    """Return what ``open_scene(path, **how)`` would give, as plain values in reading order.

    Adds to ``raster.describe``: the scale of the file, whether it is simulated, and, estimated
    from a fixed sample of small chunks, the equivalent number of looks unless the file states it,
    the share of valid pixels and the backscatter in dB at the 1st, 50th and 99th percentile of
    each band (None for a band without valid pixels).
    """
    scene = open_scene(path, **{**how, "chunks": _INFO_CHUNK})
    quick = getattr(_find_reader(Path(path)), "quick_sample", None)
    if quick and not how.get("aoi"):
        asked = {name: value for name, value in how.items() if name != "chunks"}
        sample, where = quick(Path(path), parse_config(asked, SceneSettings, "scene_info"))
    else:
        _, rows, cols = scene.data.numblocks
        steps = (-(-rows // _INFO_GRID), -(-cols // _INFO_GRID))
        sample, where = scene.data.blocks[:, :: steps[0], :: steps[1]].compute(), "everywhere"
    backscatter = {
        str(name): _quantiles_db(band) for name, band in zip(scene.band.values, sample, strict=True)
    }
    return {
        **describe(scene),
        "input_scale": scene.attrs["input_scale"],
        "simulated": scene.attrs["simulated"],
        "looks": _looks(scene, sample),
        "valid_share": round(float(np.isfinite(sample).mean()), 3),
        "backscatter_db": backscatter,
        "sampled": where,
    }


def _looks(scene: xr.DataArray, sample: Power) -> str:
    if "looks" in scene.attrs:
        return f"{scene.attrs['looks']:g}, as the file says"
    try:
        return f"{estimate_looks(sample):.1f}, estimated from the scene"
    except SceneError:
        return "too few valid pixels to tell"


def _quantiles_db(power: Power) -> list[float] | None:
    valid = to_db(power[np.isfinite(power)])
    if valid.size == 0:
        return None
    return [round(float(value), 1) for value in np.quantile(valid, _QUANTILES)]


def open_with_terrain(
    path: str | Path, *, chunks: int = 1024, **how: Any
) -> tuple[xr.DataArray, xr.DataArray | None]:
    """Return ``open_scene(path, **how)``, and what the radar saw of the terrain on its grid.

    The latter has the bands ``local_incidence_deg`` and ``layover_1_shadow_2`` (0 is seen ground),
    NaN where the radar did not look; lazy. None where the scene is not corrected by a terrain
    model. Raises what ``open_scene`` does.
    """
    settings = _settings(how, chunks)
    both = getattr(_find_reader(Path(path)), "read_with_terrain", None)
    if both is None or settings.dem is None:
        return open_scene(path, chunks=chunks, **how), None
    found: tuple[xr.DataArray, xr.DataArray | None] = both(anchored(Path(path)), settings, chunks)
    return found


def scene_files(path: Path) -> list[Path]:
    """Return the files that a scene's pixels depend on."""
    files = getattr(_find_reader(path), "files", None)
    return list(files(path)) if files else files_of(path)


def is_scene(path: Path) -> bool:
    """Return whether a reader takes ``path``; it may be refused all the same once it is opened."""
    try:
        return _find_reader(path) is not None
    except SceneError:
        return False


def _settings(asked: dict[str, Any], chunks: int) -> SceneSettings:
    settings = parse_config(asked, SceneSettings, "open_scene")
    if settings.polarisation not in ("auto", *SAR_BANDS):
        raise BandError(
            f"unknown polarisation '{settings.polarisation}': say {', '.join(SAR_BANDS)}"
        )
    if chunks < 1:
        raise ConfigError(f"chunks is {chunks}: it must be a positive number of pixels")
    return settings


def _find_reader(path: Path) -> ModuleType:
    here, pattern = path.exists(), is_glob(path)
    if not (here or address_of(path) or (pattern and entries_of(path))):
        raise SceneError(f"{path}: no such file: check the name")
    if path.is_file() and path.stat().st_size == 0:
        raise SceneError(f"{path}: the file is empty (0 bytes): fetch it again")
    special = here and not (path.is_dir() or path.is_file())  # a pipe would wait for ever
    try:
        reader = next((one for one in READERS if not special and one.accepts(path)), None)
    except OSError as error:
        raise SceneError(f"{path}: {error.strerror}: check who may read it") from error
    if reader is None and (path.is_dir() or pattern):
        what = (
            "this is a pattern, but none of its files is" if pattern else "this is a folder without"
        )
        raise SceneError(
            f"{path}: {what} a scene: give GeoTIFFs of backscatter, or a Sentinel-1 product"
        )
    if reader is None:
        raise SceneError(
            f"{path}: not a GeoTIFF: if it is a raster, convert it (gdal_translate in out.tif)"
        )
    return reader
