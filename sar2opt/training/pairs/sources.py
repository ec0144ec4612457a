"""Sources of pairs as they lie on the disk: two whole scenes, or folders of chips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image as Picture
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from sar2opt.errors import SceneError
from sar2opt.nets.losses import LUMINANCE
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.sar.radiometry import to_db, to_power
from sar2opt.tiles.plan import Plan
from sar2opt.training.pairs.pair import Ground, Pair
from sar2opt.training.pairs.source_settings import SourceSettings
from sar2opt.training.pairs.tones import match_tones


def read_pairs(
    root: Path,
    sources: Sequence[SourceSettings],
    norm: NormalisationSettings,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Pair]:
    """Read all pairs of all sources below ``root``; raises ``SceneError`` where one is empty."""
    pairs: list[Pair] = []
    for number, source in enumerate(sources):
        if progress:
            progress("reading", number, len(sources))
        read = read_scene_pairs if source.kind == "scene" else read_chip_pairs
        found = list(read(root, source, norm))
        if not found:
            raise SceneError(f"source {source.name!r}: no pairs match {root / source.sar}")
        pairs += found
    tones = match_tones(pairs, sources)
    return [replace(pair, tone=tones[pair.source]) for pair in pairs]


def read_scene_pairs(
    root: Path, source: SourceSettings, norm: NormalisationSettings
) -> Iterator[Pair]:
    """Cut a pair of scenes into blocks of the SAR grid, each a place of its own.

    The optical image is warped to the grid of the SAR image, which is never resampled; its CRS may
    be any other. Raises ``SceneError`` where a file is missing or is not what it should be.
    """
    blocks, sample = [], []
    paths = [root / source.sar, root / source.optical]
    for path in paths:
        if not path.is_file():
            raise SceneError(f"source {source.name!r}: there is no file {path}")
    with rasterio.open(paths[0]) as sar, rasterio.open(paths[1]) as optical:
        ground = _ground(sar)
        with _on_grid_of(sar, optical, source) as warped:
            for block in Plan(sar.shape, source.block, 1).blocks():
                (y, _), (x, _) = rows, cols = (block.y0, block.y1), (block.x0, block.x1)
                window = Window.from_slices(rows, cols)
                decibel, picture = _read_block(sar, warped, window, source)
                valid = np.isfinite(decibel)
                sample.append(decibel[::4, ::4][valid[::4, ::4]])
                if valid.mean() > 0.5:
                    place = f"{y // source.block}-{x // source.block}"
                    blocks.append((place, decibel, picture, _moved(ground, y, x)))
    if blocks:
        level = level_of(np.concatenate(sample), norm)
        for place, decibel, picture, where in blocks:
            pair = _pair(source, place, place, decibel, picture, (level,))
            yield replace(pair, ground=where)


def read_chip_pairs(
    root: Path, source: SourceSettings, norm: NormalisationSettings
) -> Iterator[Pair]:
    """Read a folder of chips; the level is that of the whole source, or the chip's own.

    Raises ``SceneError`` where the partner of a chip is missing, has another size, or is no image.
    """
    chips = []
    for path in sorted(root.glob(source.sar)):
        values, rgb = _read_chip(path, source)
        decibel = to_db(to_power(values, source.scale)).astype(np.float16)
        chips.append((path.relative_to(root), decibel, rgb))
    if chips:
        stems = Counter(path.stem for path, _, _ in chips)
        common = level_of(np.concatenate([decibel.ravel() for _, decibel, _ in chips]), norm)
        for path, decibel, rgb in chips:
            place = source.place_of(path)
            label = source.label_of(path)
            own = level_of(decibel, norm)
            levels = (own,) if source.own_level else (common, own)
            folder = f"{path.parent.name}/" if stems[path.stem] > 1 else ""
            yield _pair(source, folder + path.stem, place, decibel, rgb, levels, label)


def _read_chip(
    path: Path, source: SourceSettings
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    other = path.with_name(path.name.replace("_sar", source.optical))
    if other == path or not other.is_file():
        raise SceneError(f"{path}: its optical partner {other.name} is missing")
    try:
        with Picture.open(path) as sar, Picture.open(other) as optical:
            if sar.size != optical.size:
                raise SceneError(
                    f"{path}: is {sar.width} x {sar.height} pixels, its optical partner "
                    f"{optical.width} x {optical.height}: a pair must have one size"
                )
            wanted = "L" if source.look == "grey" else "RGB"
            image = np.atleast_3d(np.asarray(optical.convert(wanted))).transpose(2, 0, 1)
            return np.asarray(sar.convert("L")), image
    except OSError as error:
        raise SceneError(f"{path}: the pair cannot be read: {error}") from error


@contextmanager
def _on_grid_of(sar: Any, optical: Any, source: SourceSettings) -> Iterator[Any]:
    """Give the optical image on the grid of the SAR image: itself, if it is on it already.

    Bilinear, which GDAL widens to the coarser pixel, so finer imagery is averaged.
    """
    if set(optical.dtypes) != {"uint8"} or optical.count not in (1, 3, 4):
        raise SceneError(
            f"source {source.name!r}: the optical image has {optical.count} bands of "
            f"{optical.dtypes[0]}: give grey or red, green, blue as 8-bit numbers"
        )
    same = sar.shape == optical.shape and sar.transform.almost_equals(optical.transform)
    if same and (sar.crs == optical.crs or not (sar.crs and optical.crs)):
        yield optical
        return
    if not (sar.crs and optical.crs):
        raise SceneError(
            f"source {source.name!r}: the two scenes are not on one grid, and without a CRS in "
            "both files the one cannot be warped to the other"
        )
    with WarpedVRT(
        optical, crs=sar.crs, transform=sar.transform, width=sar.width, height=sar.height,
        resampling=Resampling.bilinear,
        add_alpha=optical.count in (1, 3),
    ) as warped:  # fmt: skip
        yield warped


def _read_block(
    sar: Any, optical: Any, window: Window, source: SourceSettings
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.uint8]]:
    """Return decibels ``(y, x)``, NaN for no data, and the picture ``(band, y, x)``."""
    values = sar.read(1, window=window)
    valid = (sar.read_masks(1, window=window) > 0) & (optical.dataset_mask(window=window) > 0)
    decibel = np.where(valid, to_db(to_power(values, source.scale)), np.nan).astype(np.float16)
    picture = optical.read(indexes=[1] if optical.count < 3 else [1, 2, 3], window=window)
    if source.look == "grey" and len(picture) == 3:
        grey = np.tensordot(np.array(LUMINANCE, np.float32), picture.astype(np.float32), axes=1)
        picture = np.round(grey)[None].astype(np.uint8)
    elif source.look != "grey" and len(picture) == 1:
        raise SceneError(f"source {source.name!r}: the optical image is grey: say look = 'grey'")
    return decibel, picture


def _ground(sar: Any) -> Ground | None:
    if not sar.crs:
        return None
    number = sar.crs.to_epsg()
    return Ground(f"EPSG:{number}" if number else sar.crs.to_wkt(), tuple(sar.transform)[:6])


def _moved(ground: Ground | None, y: int, x: int) -> Ground | None:
    """Return the ground of the window that begins at row ``y`` and column ``x``."""
    if ground is None:
        return None
    a, b, c, d, e, f = ground.transform
    return Ground(ground.crs, (a, b, c + a * x + b * y, d, e, f + d * x + e * y))


def level_of(decibel: npt.NDArray[np.float16], norm: NormalisationSettings) -> float:
    """Return the normalisation level of backscatter in dB, of any shape, NaN is no data."""
    valid = decibel.ravel()[:: max(1, decibel.size // 2_000_000)]
    return float(np.quantile(valid[np.isfinite(valid)].astype(np.float64), norm.quantile))


def _pair(
    source: SourceSettings,
    name: str,
    place: str,
    decibel: npt.NDArray[np.float16],
    optical: npt.NDArray[np.uint8],
    levels: tuple[float, ...],
    label: str = "",
) -> Pair:
    return Pair(
        name=f"{source.name}/{name}",
        source=source.name,
        place=place,
        split=source.split(place),
        look=source.look,
        decibel=decibel,
        optical=optical,
        levels=levels,
        tone=((1.0, 0.0),) * len(optical),
        label=label,
    )
