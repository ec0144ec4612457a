"""Labels of one's own for scenes of one's own: a raster of classes, or polygons with a class.

They come to the grid of the scene, which is never resampled; what has no tag in the class map, and
ground that has no label, is unknown. Blocks of the scene are its places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterWindow

from sar2opt.errors import ConfigError
from sar2opt.nets.tagger import CLASSES
from sar2opt.overlay.reference import kind_reader, read_reference
from sar2opt.raster import take_band
from sar2opt.sar.radiometry import to_db
from sar2opt.scenes import open_scene
from sar2opt.tiles.apply import read_padded
from sar2opt.tiles.plan import Plan, Window
from sar2opt.training.pairs.pair import GUARD, Ground, Pair
from sar2opt.training.pairs.sources import level_of
from sar2opt.training.tags.chips import IGNORE
from sar2opt.training.tags.settings import LabelSettings, TaggerTraining
from sar2opt.training.tags.weak_labels import WeakPair

Tags = npt.NDArray[np.uint8]
ReadTags = Callable[[Window], Tags]

_LEAST_DATA = 0.1  # share of a block with data, else it is left out
_THIN = 4  # one pixel in so many, each way, tells the level of a scene


def read_own_labels(root: Path, config: TaggerTraining) -> list[WeakPair]:
    """Read scenes and their labels below ``root``; raises ``ConfigError`` or what readers raise."""
    return [item for source in config.labels for item in _read_source(root, source, config)]


def _read_source(root: Path, source: LabelSettings, config: TaggerTraining) -> Iterator[WeakPair]:
    """Cut a scene and its labels into blocks, each a place of its own."""
    scene = _open_band(root / source.sar, source)
    geobox: GeoBox = scene.odc.geobox
    read_tags = _labels_on(geobox, root / source.labels, source)
    blocks, sample, told = [], [], 0
    for block in Plan(geobox.shape.yx, source.block, 1).blocks():
        decibel = to_db(read_padded(scene, block)[0]).astype(np.float16)
        valid = np.isfinite(decibel)
        sample.append(decibel[::_THIN, ::_THIN][valid[::_THIN, ::_THIN]])
        if valid.mean() >= _LEAST_DATA:
            tags = np.where(valid, read_tags(block), np.uint8(IGNORE))
            told += int((tags != IGNORE).sum())
            blocks.append((block, decibel, tags))
    if not told:
        raise ConfigError(
            f"labels {source.name!r}: {source.sar} has no ground of the classes "
            f"{', '.join(sorted(source.classes))}: are these their names, and the places the same?"
        )
    level = level_of(np.concatenate(sample), config.norm)
    for block, decibel, tags in blocks:
        rim = [(0, max(config.crop - side, 0)) for side in tags.shape]  # crops are not cut short
        decibel = np.pad(decibel, rim, constant_values=np.nan)
        tags = np.pad(_without_rim(tags, source, block), rim, constant_values=IGNORE)
        yield WeakPair(_pair(source, geobox, block, decibel, level), tags)


def _open_band(path: Path, source: LabelSettings) -> xr.DataArray:
    scene = open_scene(path, scale=source.scale)
    bands = [str(name) for name in scene.band.values]
    wanted = [source.band] if source.band else ["vh", "vv", *bands]
    found = next((name for name in wanted if name in bands), None)
    if found is None:
        raise ConfigError(
            f"labels {source.name!r}: {path} has no band {source.band!r}: say {' or '.join(bands)}"
        )
    return take_band(scene, found)


def _labels_on(geobox: GeoBox, path: Path, source: LabelSettings) -> ReadTags:
    """Return what gives the tags of a window of the scene."""
    if not path.exists():
        raise ConfigError(f"labels {source.name!r}: there is no file {path}")
    return (_polygons if source.column else _raster)(geobox, path, source)


def _polygons(geobox: GeoBox, path: Path, source: LabelSettings) -> ReadTags:
    table = read_reference(path, source.column)
    kinds = sorted(set(table[source.column]))
    codes = np.full(len(kinds) + 1, IGNORE, np.uint8)
    for number, kind in enumerate(kinds, start=1):
        if kind in source.classes:
            codes[number] = CLASSES.index(source.classes[kind])
    read = kind_reader(table, kinds, source.column, geobox, border=0.0)
    return lambda block: codes[read(slice(block.y0, block.y1), slice(block.x0, block.x1))]


def _raster(geobox: GeoBox, path: Path, source: LabelSettings) -> ReadTags:
    """Labels are warped to the scene by nearest neighbours: codes must not be mixed."""
    codes = np.full(256, IGNORE, np.uint8)
    for code, tag in source.classes.items():
        if not code.isdecimal() or int(code) > 255:
            raise ConfigError(
                f"labels {source.name!r}: a raster has codes from 0 to 255, not {code!r}; polygons "
                "need 'column', that of their class"
            )
        codes[int(code)] = CLASSES.index(tag)

    def read(block: Window) -> Tags:
        rows, cols = geobox.shape.yx
        try:
            with rasterio.open(path) as file:
                if file.crs is None:
                    raise ConfigError(f"labels {source.name!r}: {path} has no CRS: assign it first")
                how = {"crs": str(geobox.crs), "transform": geobox.affine, "height": rows,
                       "width": cols, "resampling": Resampling.nearest}  # fmt: skip
                with WarpedVRT(file, **how, add_alpha=file.nodata is None) as warped:
                    window = RasterWindow.from_slices((block.y0, block.y1), (block.x0, block.x1))
                    values, there = (
                        warped.read(1, window=window),
                        warped.dataset_mask(window=window),
                    )
        except RasterioError as error:
            raise ConfigError(f"{path}: is no raster of classes ({error})") from error
        known = (there > 0) & (values >= 0) & (values <= 255)
        return np.where(known, codes[np.where(known, values, 0).astype(np.uint8)], np.uint8(IGNORE))

    return read


def _pair(
    source: LabelSettings,
    geobox: GeoBox,
    block: Window,
    decibel: npt.NDArray[np.float16],
    level: float,
) -> Pair:
    place = f"{block.y0 // source.block}-{block.x0 // source.block}"
    own = geobox[block.y0 : block.y1, block.x0 : block.x1]
    return Pair(
        name=f"{source.name}/{place}",
        source=source.name,
        place=place,
        split=source.split(place),
        look="natural",
        decibel=decibel,
        optical=np.zeros((3, 1, 1), np.uint8),  # there is none
        levels=(level,),
        tone=((1.0, 0.0),) * 3,
        ground=Ground(str(own.crs), tuple(own.affine)[:6]),
    )


def _without_rim(tags: Tags, source: LabelSettings, block: Window) -> Tags:
    """Leave out what a net that learns from the neighbours of a held-out block has seen."""
    if source.split(f"{block.y0 // source.block}-{block.x0 // source.block}") == "train":
        return tags
    rim = min(GUARD, min(tags.shape) // 8)
    inner = np.full(tags.shape, IGNORE, np.uint8)
    inner[rim:-rim, rim:-rim] = tags[rim:-rim, rim:-rim]
    return inner
