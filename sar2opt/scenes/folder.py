"""Reader for a folder of GeoTIFFs, or a glob: polarisations, slices and tiles of one pass.

Only the folder itself is looked at, not the folders in it. Layers that products bring along
(incidence angle, DEM, masks ...) are known by their names, and left out with a word.
"""

from __future__ import annotations

import re
from pathlib import Path

import xarray as xr

from sar2opt.config import SceneSettings
from sar2opt.errors import BandError, SceneError
from sar2opt.scenes import geotiff, vendors
from sar2opt.scenes.files import files_of, is_glob, name_of
from sar2opt.scenes.mosaic import join
from sar2opt.scenes.opened import Opened, cut

_MOST_FILES = 500
_TIFF = (".tif", ".tiff")
_LAYER = re.compile(
    r"(?:^|[-_. ])(?:coh|coherence|phi|phase|dem)(?:$|[-_. ])|"
    r"[-_. ](?:ls_map|inc_map(?:_ell)?|(?:local_)?inc\w*_angle|incidence|angle|linci|"
    r"rgb|area|terrain|scatter|mask|date|shape|nlooks|number_of_looks|rtc_(?:anf|area)\w*|"
    r"browse|thumbnail|B\d\d?A?|QA60|SCL)(?:_[FU]\d\d\w*)?$",  # PALSAR names its beam last
    re.IGNORECASE,
)


def accepts(path: Path) -> bool:
    """Return whether ``path`` is a glob that finds backscatter, or a folder that holds some."""
    return (is_glob(path) or path.is_dir()) and any(map(geotiff.accepts, _backscatter(path)))


def files(path: Path) -> list[Path]:
    """Return the files on disk that the scene's pixels depend on."""
    return [file for tiff in _backscatter(path) for file in vendors.files(tiff)]


def read(path: Path, settings: SceneSettings, chunks: int) -> xr.DataArray:
    """Return the files as one scene; raises as ``open_scene`` says, for whichever is at fault."""
    files = _backscatter(path)
    if len(files) > _MOST_FILES:
        raise SceneError(f"{path}: {len(files)} TIFFs are more than one pass has: give fewer")
    whole = settings.model_copy(update={"aoi": None})
    opened = [scene for file in files if (scene := _open(file, whole)) is not None]
    if not opened:
        raise BandError(f"{path}: no file has a band {settings.polarisation}")
    scene = join(opened, name_of(path))
    if layers := [file.stem for file in _tiffs(path) if is_layer(file.stem)]:
        names = ", ".join(sorted(set(layers)))
        scene.attrs["assumptions"].append(f"layers left out, as no backscatter: {names}")
    return cut(scene, settings.aoi).raster(chunks)


def is_layer(stem: str) -> bool:
    """Return whether a file's name says that it is no backscatter, but a layer beside it."""
    return bool(_LAYER.search(stem))


def _open(file: Path, settings: SceneSettings) -> Opened | None:
    """Open one file, or None if it is of another polarisation than the one asked for."""
    try:
        return vendors.open_product(file, settings)
    except BandError:
        if settings.polarisation == "auto":
            raise
        vendors.open_product(file, settings.model_copy(update={"polarisation": "auto"}))
        return None


def _backscatter(path: Path) -> list[Path]:
    return [file for file in _tiffs(path) if not is_layer(file.stem)]


def _tiffs(path: Path) -> list[Path]:
    return [file for file in files_of(path) if file.suffix.lower() in _TIFF]
