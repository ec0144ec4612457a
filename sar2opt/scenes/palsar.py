"""Reader for a tile of the ALOS PALSAR mosaic as it is handed out: a tar file of layers.

The layers are read in place (GDAL's /vsitar); nothing is unpacked. They are GeoTIFFs or, in older
tiles, ENVI rasters. Gamma nought in dB is 20 log10(DN) - 83 (JAXA).
"""

from __future__ import annotations

import tarfile
import zlib
from lzma import LZMAError
from pathlib import Path, PurePosixPath

import xarray as xr

from sar2opt.config import SceneSettings
from sar2opt.errors import BandError, SceneError
from sar2opt.scenes import geotiff
from sar2opt.scenes.folder import is_layer
from sar2opt.scenes.mosaic import join
from sar2opt.scenes.opened import cut
from sar2opt.scenes.vendors import told_of_palsar

_ENDINGS = (".tar.gz", ".tgz", ".tar")
_MOST_BYTES = 2**30  # unpacked; a tile has 4500 x 4500 pixels of 8 bytes in all its layers
_MOST_MEMBERS = 1000


def accepts(path: Path) -> bool:
    """Return whether a file is a tar file by its name."""
    return path.name.lower().endswith(_ENDINGS) and path.is_file() and path.stat().st_size > 0


def read(path: Path, settings: SceneSettings, chunks: int) -> xr.DataArray:
    """Return the polarisations of a tile, lazily, as power; raises as ``open_scene`` says."""
    members = _members(path)
    bands = {name: told for name in members if (told := told_of_palsar(_stem(name))).tags}
    bands = {name: told for name, told in bands.items() if not name.lower().endswith(".hdr")}
    if not bands:
        raise SceneError(f"{path}: no layer of a PALSAR mosaic (..._sl_HH...) is in it: unpack it")
    asked = settings.polarisation
    chosen = {
        name: told
        for name, told in bands.items()
        if asked in ("auto", told.tags["POLARISATION"].lower())
    }
    if not chosen:
        raise BandError(f"{path}: it has no band {asked}: leave out --polarisation")
    whole = settings.model_copy(update={"aoi": None})
    scenes = []
    for name, told in sorted(chosen.items()):
        tags = {**told.tags, "SOURCE": path.name.partition(".")[0]}
        scenes.append(geotiff.open_tiff(f"/vsitar/{{{path}}}/{name}", whole, tags, told.gain))
        scenes[-1].attrs["assumptions"].append(told.note)
    scene = join(scenes, path.name)
    if layers := sorted({_stem(name) for name in members if is_layer(_stem(name))}):
        scene.attrs["assumptions"].append(
            f"layers left out, as no backscatter: {', '.join(layers)}"
        )
    return cut(scene, settings.aoi).raster(chunks)


def _members(path: Path) -> list[str]:
    """Return the names of the files in a tar file, without unpacking more than is allowed."""
    names: list[str] = []
    total = 0
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                total += member.size
                if total > _MOST_BYTES or len(names) >= _MOST_MEMBERS:
                    raise SceneError(f"{path}: it holds more than a PALSAR tile does: unpack it")
                if member.isfile() and ".." not in PurePosixPath(member.name).parts:
                    names.append(member.name)
    except (tarfile.TarError, zlib.error, LZMAError, OSError, EOFError, ValueError) as error:
        raise SceneError(f"{path}: the tar file is damaged or cut off: fetch it again") from error
    return names


def _stem(name: str) -> str:
    return PurePosixPath(name).name.partition(".")[0]
