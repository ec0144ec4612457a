"""The geolocation grids of sub-swaths as one, on the lattice that they share (pure).

1. Every grid is brought to the lines of all. What an echo's place at height zero and its incidence
   angle are is smooth along the track: cubic splines. Its height is not: linear.
2. Each sub-swath keeps the columns of its own share, less those that would lie next to the last
   one of its neighbour: two grids know the same hill by heights of different places.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.interpolate import make_interp_spline

from sar2opt.sar.geolocation import Floats, GeolocationGrid, to_ellipsoid
from sar2opt.sar.orbit import earth_fixed, on_ellipsoid

_CLOSEST = 0.5  # of the usual distance of columns


def multilooked(grid: GeolocationGrid, down: int, across: int) -> GeolocationGrid:
    """Return a grid that counts the means of ``down`` lines and ``across`` samples."""
    line, pixel = (grid.line + 0.5) / down - 0.5, (grid.pixel + 0.5) / across - 0.5
    return replace(grid, line=line, pixel=pixel)


def joined_grid(grids: list[GeolocationGrid], seams: list[float]) -> GeolocationGrid:
    """Return the grids of sub-swaths, near range first, as one mesh of lines and pixels.

    All count on the same lattice; ``seams`` are the pixels at which one hands over to the next.
    Raises ``ValueError`` where a sub-swath has no column in its share.
    """
    if len(grids) == 1:
        return grids[0]
    line = np.unique(np.concatenate([grid.line for grid in grids]))
    parts: list[GeolocationGrid] = []
    for grid, low, high in zip(grids, [-np.inf, *seams], [*seams, np.inf], strict=True):
        own = (grid.pixel >= low) & (grid.pixel < high)
        if parts:
            own &= grid.pixel - parts[-1].pixel[-1] > _CLOSEST * np.median(np.diff(grid.pixel))
        if not own.any():
            raise ValueError("a sub-swath has no point of its geolocation grid in its share")
        parts.append(_on_lines(grid, line, own))
    pixel = np.concatenate([part.pixel for part in parts])
    longitude, latitude, height, incidence = (
        np.concatenate([getattr(part, name) for part in parts], axis=1)
        for name in ("longitude", "latitude", "height", "incidence")
    )
    level = GeolocationGrid(line, pixel, longitude, latitude, -height, incidence)
    return replace(to_ellipsoid(level), height=height)  # the way to height zero, backwards


def _on_lines(grid: GeolocationGrid, line: Floats, own: npt.NDArray[np.bool_]) -> GeolocationGrid:
    """Return some columns of a grid on other lines: places at height zero, and the heights."""
    level = to_ellipsoid(grid)
    assert grid.incidence is not None
    places = earth_fixed(level.longitude[:, own], level.latitude[:, own], 0.0)
    smooth = np.concatenate([places, grid.incidence[:, own, None]], axis=-1)
    known = make_interp_spline(grid.line, smooth, k=min(3, grid.line.size - 1), axis=0)(line)
    longitude, latitude = on_ellipsoid(known[..., :3])
    height = make_interp_spline(grid.line, grid.height[:, own], k=1, axis=0)(line)
    return GeolocationGrid(line, grid.pixel[own], longitude, latitude, height, known[..., 3])
