"""Reader for GeoTIFF and COG with SAR bands in any units."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning

from sar2opt.config import SceneSettings
from sar2opt.errors import BandError, PlacementError, SceneError, UnitsError
from sar2opt.raster import pixel_area_m2
from sar2opt.sar.geolocation import GeolocationGrid
from sar2opt.sar.radiometry import DISPLAY_SPAN_DB, Power, check_scale, infer_scale
from sar2opt.scenes import metadata
from sar2opt.scenes.aoi import pixel_window, read_aoi
from sar2opt.scenes.blocks import MOST_PIXELS, BlockSource, check_length, file_stamp, open_raster
from sar2opt.scenes.gcps import gcp_grid
from sar2opt.scenes.geometry import MapGeometry
from sar2opt.scenes.opened import Opened
from sar2opt.scenes.placement import in_radar_geometry, scene_geobox
from sar2opt.scenes.sampling import sample_windows
from sar2opt.scenes.target import Target
from sar2opt.scenes.warp import WarpedSource, geocoded, warp

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # classic and big TIFF
_COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def accepts(path: Path) -> bool:
    """Return whether a file begins as a TIFF does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


def open_tiff(
    name: str, settings: SceneSettings, told: Mapping[str, str] | None = None, gain: float = 1
) -> Opened:
    """Open a file that GDAL knows as ``name``.

    ``told`` are tags that metadata beside the file adds to its own, and overrules them by;
    stored values times ``gain`` are physical.

    1. Refuse what cannot be a placed SAR scene, from the header alone.
    2. Sample windows at full resolution; tell bands and scale from the header and the sample.
    3. Wrap the file as an array that Dask reads block by block, cut to the area of interest.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # refused below, in our words
        with open_raster(name) as file:
            try:
                header = _header(file, _base(name), told or {})
            except UnicodeDecodeError as error:
                raise SceneError(
                    f"{name}: its tags are no text: the file is damaged: fetch it again"
                ) from error
            _refuse_unsuitable(file, header)
            place = gcp_grid(file) if in_radar_geometry(file) else scene_geobox(file)
            if not name.startswith("/vsi"):
                check_length(file, Path(name).stat().st_size)
            source, names, attrs = _understand(file, header, settings, gain)
            if isinstance(place, GeoBox) and not (
                settings.crs or settings.resolution or settings.like
            ):
                return Opened(*_cut(file, source, place, settings), tuple(names), attrs)
            warped, geobox, notes = _lay(source, place, settings)
            attrs["assumptions"] += notes
            return Opened(warped, geobox, tuple(names), attrs)


def _cut(
    file: rasterio.DatasetReader, source: BlockSource, geobox: GeoBox, settings: SceneSettings
) -> tuple[BlockSource, GeoBox]:
    """Return the scene on its own grid, cut to the area of interest."""
    if settings.aoi is not None:
        aoi = read_aoi(settings.aoi, geobox)
        rows, cols = pixel_window(aoi, geobox)
        source, geobox = replace(source, rows=rows, cols=cols, aoi=aoi), geobox[rows, cols]
        sample_windows(file, source)  # raises if there is no data in it
    return source, geobox


def _lay(
    source: BlockSource,
    place: GeoBox | tuple[GeolocationGrid, list[str]],
    settings: SceneSettings,
) -> tuple[WarpedSource, GeoBox, list[str]]:
    """Return the scene on another grid than its own, and what was assumed."""
    try:
        if isinstance(place, GeoBox):
            spacing = float(np.sqrt(pixel_area_m2(place)))
            geometry = MapGeometry(place)
            whole = Target.of(settings).geobox(geometry, source.shape[1:], spacing)
            warped, geobox = warp(source, geometry, whole, spacing, settings)
            return warped, geobox, [f"brought from {place.crs} to {geobox.crs}, on linear power"]
        grid, notes = place
        spacing = float(f"{np.sqrt(np.prod(grid.spacing)):.3g}")
        warped, geobox, more = geocoded(source, grid, spacing, settings)
    except PlacementError as error:
        raise PlacementError(f"{source.path}: {error}") from error
    return warped, geobox, [*notes, *more]


def _base(name: str) -> str:
    """Return the last part of a file's name; of an address without its query, which may sign it."""
    return (name.partition("?")[0] if name.startswith("/vsicurl/") else name).rpartition("/")[2]


def _header(file: rasterio.DatasetReader, name: str, told: Mapping[str, str]) -> metadata.Header:
    texts = []
    for band in _data_bands(file):
        tags = {k: v for k, v in file.tags(band).items() if not k.startswith("STATISTICS_")}
        parts = (file.descriptions[band - 1], file.units[band - 1], *tags.values())
        texts.append(" ".join(part for part in parts if part))
    tags = {key.upper(): value for key, value in {**file.tags(), **told}.items()}
    return metadata.Header(name, tags, tuple(texts))


def _data_bands(file: rasterio.DatasetReader) -> list[int]:
    colours = zip(file.indexes, file.colorinterp, strict=True)
    return [band for band, colour in colours if colour != ColorInterp.alpha]


def _refuse_unsuitable(file: rasterio.DatasetReader, header: metadata.Header) -> None:
    if any(kind.startswith("complex") for kind in file.dtypes):
        raise SceneError(
            f"{file.name}: the pixels are complex (single-look): detect and multilook them first, "
            "then open the amplitude or power (of Sentinel-1, give the .SAFE folder or zip instead)"
        )
    if file.width * file.height > MOST_PIXELS:
        raise SceneError(
            f"{file.name}: its header claims {file.width} x {file.height} pixels, more than any "
            "scene has: if that is true, cut it first (gdal_translate -srcwin ...)"
        )
    optical = file.colorinterp[:3] == _COLOURS and not metadata.described_bands(header)
    if optical or ColorInterp.palette in file.colorinterp:
        raise SceneError(
            f"{file.name}: this is a picture in colour, not SAR: give a file with one band of "
            "backscatter for each polarisation"
        )


def _understand(
    file: rasterio.DatasetReader, header: metadata.Header, settings: SceneSettings, gain: float
) -> tuple[BlockSource, list[str], dict[str, Any]]:
    """Return the file as an array, the names of its bands, and the raster's attributes."""
    source, nodata_note = _all_bands(file, settings, gain)
    sample = sample_windows(file, source)  # (window, band, y, x)
    dtype = file.dtypes[0] if source.gains[0] == (1, 0) else "float32"  # of physical values
    try:
        names, band_notes = _choose_bands(header, sample, settings.polarisation)
        sample = sample[:, list(names.values())]
        scale, scale_notes = _choose_scale(header, sample, dtype, settings.scale)
    except (BandError, UnitsError) as error:
        raise type(error)(f"{file.name}: {error}") from error
    if source.zero_is_nodata:
        whole = np.issubdtype(np.dtype(dtype), np.integer)
        blank = bool(np.isnan(sample).all(axis=(1, 2, 3)).any())
        measured = whole and scale.endswith("dB") and not blank
        source = replace(source, zero_is_nodata=not measured)
        nodata_note = f"no nodata value is written: 0 is {'data' if measured else 'no data'}"
    chosen = list(names.values())
    source = replace(
        source,
        bands=tuple(source.bands[i] for i in chosen),
        nodata=tuple(source.nodata[i] for i in chosen),
        gains=tuple(source.gains[i] for i in chosen),
        scale=scale,
    )
    notes = [*scale_notes, *band_notes, nodata_note]
    return source, list(names), _attributes(header, scale, notes)


def _all_bands(
    file: rasterio.DatasetReader, settings: SceneSettings, gain: float
) -> tuple[BlockSource, str]:
    """Return every band but alpha, its scale not yet known, and a note on no data."""
    bands = _data_bands(file)
    nodata = tuple(file.nodatavals[band - 1] for band in bands)
    masked = MaskFlags.per_dataset in file.mask_flag_enums[bands[0] - 1]
    note = ""
    if settings.nodata is not None:
        nodata, note = (settings.nodata,) * len(bands), f"no data is {settings.nodata:g}, as given"
    source = BlockSource(
        path=file.name,
        bands=tuple(bands),
        rows=slice(0, file.height),
        cols=slice(0, file.width),
        scale="power",
        nodata=nodata,
        gains=tuple((gain * file.scales[b - 1], gain * file.offsets[b - 1]) for b in bands),
        masked=masked,
        zero_is_nodata=not masked and all(value is None for value in nodata),
        stamp=file_stamp(file.name),
    )
    return source, note


def _choose_bands(
    header: metadata.Header, sample: Power, asked: str
) -> tuple[dict[str, int], list[str]]:
    finite = [band[np.isfinite(band)] for band in np.moveaxis(sample, 1, 0)]
    medians = [float(np.median(band)) if band.size else -np.inf for band in finite]
    names, notes = metadata.name_bands(header, medians, asked)
    if asked == "auto":
        return names, notes
    if asked not in names:
        raise BandError(f"it has no band {asked}: say --polarisation {' or '.join(names)}")
    return {asked: names[asked]}, notes


def _choose_scale(
    header: metadata.Header, sample: Power, dtype: str, asked: str
) -> tuple[str, list[str]]:
    """Return the scale that was asked for, or is stated, or can be inferred, in this order."""
    scale, note = metadata.find_scale(header)
    if dtype == "uint8" and scale in ("amplitude", "dB"):
        scale = f"display-{scale}"
    if asked != "auto":
        scale, note = asked, f"the values are {asked}, as given"
    elif not scale:
        scale, reason = infer_scale(sample[:, 0], dtype)
        note = f"the values are taken as {scale}: {reason}; --scale overrules"
    check_scale(sample, scale)
    notes = [note]
    if scale.startswith("display"):
        notes.append("8-bit display values: the level of the backscatter is unknown")
    if scale == "display-dB":
        notes.append(f"0 to 255 is taken to span {DISPLAY_SPAN_DB:g} dB")
    return scale, notes


def _attributes(header: metadata.Header, scale: str, notes: list[str]) -> dict[str, Any]:
    acquired, time_note = metadata.find_acquired(header)
    quantity, quantity_note = metadata.find_quantity(header)
    if scale.startswith("display"):  # no calibration survives that
        quantity, quantity_note = "intensity", ""
    looks, radar = metadata.find_looks(header), metadata.find_frequency_band(header)
    return {
        "quantity": quantity,
        "acquired": acquired,
        "source": metadata.find_source(header),
        "assumptions": [note for note in (*notes, quantity_note, time_note) if note],
        "input_scale": scale,
        "simulated": header.tags.get("SIMULATED", "").upper() == "YES",
        **({"looks": looks} if looks else {}),
        **({"frequency_band": radar} if radar else {}),
    }
