"""What the radar saw of the terrain, as layers on the map of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from shapely.geometry.base import BaseGeometry

from sar2opt.sar.radiometry import Power
from sar2opt.scenes.indexed import Indexed
from sar2opt.scenes.joined import outline_on
from sar2opt.scenes.opened import Opened, Source
from sar2opt.scenes.positions import inside
from sar2opt.scenes.terrain import TerrainPositions
from sar2opt.scenes.warp import WarpedSource

LAYERS = ("local_incidence_deg", "layover_1_shadow_2")


@dataclass(frozen=True)
class TerrainLayers(Indexed):
    """The layers ``LAYERS`` of a scene on the map, indexed like an array ``(band, y, x)``.

    The local incidence angle in degrees, and 0 for ground that was seen, 1 for layover, 2 for
    shadow; NaN where the radar did not look, or the terrain is not known.
    """

    warped: WarpedSource
    positions: TerrainPositions

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return ``(band, y, x)``."""
        return len(LAYERS), *self.warped.shape[1:]

    def on(self, grid: GeoBox) -> TerrainLayers:
        """Return the same on another map."""
        rows, cols = (slice(0, size) for size in grid.shape)
        warped = replace(self.warped, geobox=grid, rows=rows, cols=cols)
        return TerrainLayers(warped, replace(self.positions, geobox=grid))

    def _read(self, bands: slice, rows: slice, cols: slice) -> Power:
        warped = self.warped
        corner = rows.start + warped.rows.start, cols.start + warped.cols.start
        shape = rows.stop - rows.start, cols.stop - cols.start
        seen = self.positions.surface(corner, shape, 1)
        angle = np.degrees(np.arccos(np.clip(seen.cosine, -1, 1)))
        layers: Power = np.stack([angle, seen.mask]).astype(np.float32)
        _, lines, pixels = warped.source.shape
        layers[:, ~inside(seen.line, seen.pixel, (lines, pixels))] = np.nan
        outside = warped.outside(corner, shape)
        if outside is not None:
            layers[:, outside] = np.nan
        return layers[bands]


@dataclass(frozen=True)
class JoinedLayers(Indexed):
    """The layers of scenes of one pass on one map; a pixel is told by the first that knows it."""

    parts: tuple[tuple[BaseGeometry, TerrainLayers], ...]  # outlines in columns and rows
    shape: tuple[int, int, int]

    def _read(self, bands: slice, rows: slice, cols: slice) -> Power:
        window = shapely.box(cols.start, rows.start, cols.stop, rows.stop)
        shape = (part.stop - part.start for part in (bands, rows, cols))
        layers: Power = np.full(tuple(shape), np.nan, np.float32)
        for outline, part in self.parts:
            if outline.intersects(window):
                layers = np.where(np.isnan(layers), part[bands, rows, cols], layers)
        return layers


def terrain_of(scene: Opened) -> Opened | None:
    """Return the layers of a scene, None where it has none."""
    seen = seen_terrain(scene.source)
    return None if seen is None else _told(scene, seen)


def joined_terrain(scenes: Sequence[Opened], whole: Opened) -> Opened | None:
    """Return the layers of ``whole``, which ``scenes`` were joined to; None if any has none."""
    parts = []
    for scene in scenes:
        seen = seen_terrain(scene.source)
        if seen is None:
            return None
        parts.append((outline_on(scene.geobox, whole.geobox), seen.on(whole.geobox)))
    return _told(whole, JoinedLayers(tuple(parts), (len(LAYERS), *whole.geobox.shape)))


def seen_terrain(source: Source) -> TerrainLayers | None:
    """Return the layers of a source, None where it was laid on the map without a terrain model."""
    if isinstance(source, WarpedSource) and isinstance(source.positions, TerrainPositions):
        return TerrainLayers(source, source.positions)
    return None


def _told(scene: Opened, layers: TerrainLayers | JoinedLayers) -> Opened:
    attrs = {**scene.attrs, "quantity": "terrain"}
    return replace(scene, source=layers, names=LAYERS, attrs=attrs)
