"""Fields, street blocks and building lots: a bent plane cut up by straight lines.

Strategy: bend and turn the pixel grid into plane coordinates (u, v); cut the plane into boxes by
lines, as land is divided in fact; paint the boxes into an upright atlas (slices, so it is quick);
and let every pixel look up its box there. Nothing is drawn with a staircase, since a pixel knows
its true distance to the sides of its box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sar2opt.synth.fields import Floats, Shape, fractal

Boxes = npt.NDArray[np.float64]  # (n, 4): u0, v0, u1, v1 in metres
Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Plane:
    """Bent coordinates of every pixel, in metres; all at least 0."""

    u: Floats
    v: Floats

    @property
    def bounds(self) -> Boxes:
        """The one box that holds the whole plane, ``(1, 4)``."""
        return np.array([[0.0, 0.0, float(self.u.max()) + 1.0, float(self.v.max()) + 1.0]])


@dataclass(frozen=True)
class Lots:
    """Every pixel's box: its number, and where in it the pixel lies (metres)."""

    ids: Ids
    edge: Floats  # to the nearest side
    s: Floats  # from the left side
    t: Floats  # from the upper side


def bend(
    rng: np.random.Generator, shape: Shape, pixel_m: float, angle_deg: float, bend_m: float = 70.0
) -> Plane:
    """Return the pixel grid turned by ``angle_deg`` and bent by about ``bend_m`` metres."""
    rows, cols = np.indices(shape, dtype=np.float32) * np.float32(pixel_m)
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    wavelength = 2500.0 / pixel_m
    u = cos * cols + sin * rows + bend_m * fractal(rng, shape, wavelength, 4.0)
    v = cos * rows - sin * cols + bend_m * fractal(rng, shape, wavelength, 4.0)
    return Plane((u - u.min()).astype(np.float32), (v - v.min()).astype(np.float32))


def split(
    rng: np.random.Generator, boxes: Boxes, area_m2: npt.ArrayLike, ragged: float = 0.15
) -> tuple[Boxes, Ids]:
    """Cut each box by lines until its parts are about ``area_m2``, one value or one a box.

    Cuts cross the longer side within ``ragged`` of its middle. Returns the parts ``(m, 4)`` and
    the number of the box that each came from ``(m,)``.
    """
    wanted = np.broadcast_to(np.asarray(area_m2, float), len(boxes))
    parts: list[tuple[float, float, float, float]] = []
    parents: list[int] = []
    todo = [(tuple(map(float, box)), parent) for parent, box in enumerate(boxes)][::-1]
    while todo:
        (u0, v0, u1, v1), parent = todo.pop()
        wide, high = u1 - u0, v1 - v0
        if wide * high < wanted[parent] * rng.uniform(0.8, 2.4):
            parts.append((u0, v0, u1, v1))
            parents.append(parent)
            continue
        cut = rng.uniform(0.5 - ragged, 0.5 + ragged)
        if wide * rng.uniform(0.8, 1.25) > high:
            middle = u0 + cut * wide
            todo += [((u0, v0, middle, v1), parent), ((middle, v0, u1, v1), parent)]
        else:
            middle = v0 + cut * high
            todo += [((u0, v0, u1, middle), parent), ((u0, middle, u1, v1), parent)]
    return np.array(parts), np.array(parents, np.int32)


def look_up(plane: Plane, boxes: Boxes, pixel_m: float) -> Lots:
    """Return for every pixel of ``plane`` the box of a complete division that it lies in."""
    cells = np.round(boxes / pixel_m).astype(int)
    right, lower = cells[:, 2].max(), cells[:, 3].max()
    atlas = np.zeros((lower, right), np.int32)
    for number, (u0, v0, u1, v1) in enumerate(cells):
        atlas[v0:v1, u0:u1] = number
    column = np.minimum((plane.u / pixel_m).astype(int), right - 1)
    row = np.minimum((plane.v / pixel_m).astype(int), lower - 1)
    ids = atlas[row, column]
    sides = boxes.astype(np.float32)[ids]  # (y, x, 4)
    s, t = plane.u - sides[..., 0], plane.v - sides[..., 1]
    edge = np.minimum(
        np.minimum(s, sides[..., 2] - plane.u), np.minimum(t, sides[..., 3] - plane.v)
    )
    return Lots(ids, edge, s, t)
