"""Where the points of a block of the map are seen in a raster.

Solved for exactly at a mesh of target pixels, which is tied to the whole target grid, and linear
between: so a point is the same however blocks are cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from sar2opt.sar.geolocation import Floats
from sar2opt.sar.resampling import between
from sar2opt.scenes.geometry import Geometry, degrees

_TOLERANCE = 0.01  # source pixels, of the positions between those solved for
_STEPS, _FINEST = (64, 32, 16, 8, 4), 2  # target pixels between positions solved for
_CELLS = 24  # of the mesh, a side, on which the tolerance is checked


class Positions(Protocol):
    """Where the points of a block are seen, and how much their backscatter is changed."""

    def of(
        self, corner: tuple[int, int], shape: tuple[int, int], finer: int
    ) -> tuple[Floats, Floats, Floats | None]:
        """Return lines, pixels and factors of power, or None, at ``finer`` times ``shape``."""


@dataclass(frozen=True)
class FlatPositions:
    """Positions by a geometry that brings its own heights."""

    geometry: Geometry
    geobox: GeoBox  # the whole target grid
    step: int  # target pixels between positions that are solved for

    def of(
        self, corner: tuple[int, int], shape: tuple[int, int], finer: int
    ) -> tuple[Floats, Floats, None]:
        """Return lines, pixels and no factors."""
        rows, cols = points(corner, shape, finer)
        known = on_mesh(
            lambda *at: positions(self.geometry, self.geobox, *at), rows, cols, self.step
        )
        return known[0], known[1], None


def points(corner: tuple[int, int], shape: tuple[int, int], finer: int) -> tuple[Floats, Floats]:
    """Return rows and columns of the points of a block, counted from the edge of the grid."""
    rows, cols = (
        start + (np.arange(size * finer) + 0.5) / finer
        for start, size in zip(corner, shape, strict=True)
    )
    return rows, cols


def on_mesh(
    solve: Callable[[Floats, Floats], Any], rows: Floats, cols: Floats, step: int
) -> list[Floats]:
    """Return what ``solve`` gives at rows and columns, linear between a mesh of ``step``."""
    low = [int(axis[0] // step) for axis in (rows, cols)]
    down, across = (
        np.arange(start, int(axis[-1] // step) + 2).astype(np.float64) * step
        for start, axis in zip(low, (rows, cols), strict=True)
    )
    return [
        between(between(known, rows / step - low[0]).T, cols / step - low[1]).T
        for known in solve(down[:, None], across[None, :])
    ]


def positions(geometry: Geometry, geobox: GeoBox, row: Any, col: Any) -> tuple[Floats, Floats]:
    """Return lines and pixels of rows and columns of a target grid, counted from its edge."""
    row, col = np.broadcast_arrays(row, col)
    return geometry.locate(*degrees(geobox, row.astype(float), col.astype(float)))


def mesh_step(geometry: Geometry, geobox: GeoBox, extent: tuple[int, int]) -> int:
    """Return the coarsest mesh between whose nodes positions are linear within the tolerance."""
    for step in _STEPS:
        row, col = (
            np.unique(np.linspace(0, max(size / step - 1, 0), _CELLS).astype(int)) * step
            for size in geobox.shape
        )
        row, col = np.meshgrid(row, col, indexing="ij")
        corners = [
            positions(geometry, geobox, row + down, col + across)
            for down in (0, step) for across in (0, step)
        ]  # fmt: skip
        line, pixel = positions(geometry, geobox, row + step / 2, col + step / 2)
        off = np.hypot(*(np.mean(corners, axis=0) - (line, pixel)))
        if not np.any(off[inside(line, pixel, extent)] > _TOLERANCE):
            return step
    return _FINEST


def inside(line: Floats, pixel: Floats, extent: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return where positions have a share in a raster of ``extent`` lines and pixels."""
    return (line > -1) & (line < extent[0]) & (pixel > -1) & (pixel < extent[1])
