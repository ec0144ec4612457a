"""What the radar saw of the terrain, as layers on the map of the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sar2opt.sar.radiometry import Power
from sar2opt.scenes.indexed import Indexed
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


def seen_terrain(warped: WarpedSource) -> TerrainLayers | None:
    """Return the layers of a scene, None where it was laid on the map without a terrain model."""
    positions = warped.positions
    return TerrainLayers(warped, positions) if isinstance(positions, TerrainPositions) else None
