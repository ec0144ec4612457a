"""A port on a coast: quays with container yards, tanks, breakwaters, ships at berth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from shapely import affinity
from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from sar2opt.synth.fields import Mask, Shape, burn, rectangle
from sar2opt.synth.mosaic import Plane, look_up, split
from sar2opt.synth.spec import Landscape, SceneSpec
from sar2opt.synth.surfaces import Cover, Use

G = TypeVar("G", bound=BaseGeometry)


@dataclass(frozen=True)
class Port:
    """Where a port lies: the middle of its shore (pixels), its turn, its size in metres."""

    x: float
    y: float
    angle_deg: float
    size_m: float
    pixel_m: float

    def place(self, geometry: G) -> G:
        """Return ``geometry``, given in metres along the shore and out to sea, in pixels."""
        scale = 1.0 / self.pixel_m
        turned = affinity.rotate(geometry, self.angle_deg, origin=(0, 0))
        placed: G = affinity.affine_transform(turned, [scale, 0, 0, scale, self.x, self.y])
        return placed

    def plane(self, shape: Shape) -> Plane:
        """Return metres along the shore and out to sea of every pixel, from an outer corner."""
        rows, cols = np.indices(shape, dtype=np.float32)
        x, y = (cols + 0.5 - self.x) * self.pixel_m, (rows + 0.5 - self.y) * self.pixel_m
        turn = np.radians(self.angle_deg)
        along = np.cos(turn) * x + np.sin(turn) * y
        out = np.cos(turn) * y - np.sin(turn) * x
        return Plane(along - along.min(), out - out.min())


def build_port(land: Landscape, spec: SceneSpec, port: Port) -> None:
    """Build the port: piers into the sea, basins between them, yards, tanks, breakwater, ships."""
    rng = spec.rng("port")
    size = port.size_m
    piers, basins, berths = _piers(rng, size)
    ground = box(-0.62 * size, -0.26 * size, 0.62 * size, 0.03 * size)
    quays = unary_union([ground, *piers]).difference(unary_union(basins))
    quay = burn(spec.shape, port.place(quays))
    dug = burn(spec.shape, *[port.place(basin) for basin in basins])
    land.paint(dug, Cover.SEA, Use.WATER, np.zeros(spec.shape, np.float32))
    _yards(land, rng, spec, port, quay)
    apron = quay & ~burn(spec.shape, port.place(quays.buffer(-25.0)))
    land.paint(apron, Cover.YARD)
    _tanks(land, rng, spec, port, quay)
    _breakwater(land, spec, port)
    afloat = burn(spec.shape, *[port.place(berth) for berth in berths]) & land.covered(Cover.SEA)
    land.paint(afloat, Cover.SHIP)


def _piers(
    rng: np.random.Generator, size: float
) -> tuple[list[Polygon], list[Polygon], list[Polygon]]:
    """Return piers, basins cut into the land, and hulls at the quays (metres)."""
    piers, basins, berths = [], [], []
    left = -0.56 * size
    while left < 0.42 * size:
        wide, long = rng.uniform(0.07, 0.30) * size, rng.uniform(0.18, 0.60) * size
        lean = rng.normal(0.0, 12.0)
        foot = (left + wide / 2, 0.0)
        corners = [(0, -0.08 * size), (wide, -0.08 * size), (wide, 0.75 * long), (0.7 * wide, long)]
        upright = affinity.translate(Polygon([*corners, (0, long)]), left, 0.0)
        piers.append(affinity.rotate(upright, lean, origin=foot))
        gap = rng.uniform(0.06, 0.13) * size
        if rng.uniform() < 0.6:
            depth = rng.uniform(0.05, 0.15) * size
            basins.append(box(left + wide, -depth, left + wide + gap, 0.05 * size))
        for side, along in ((left + wide + 24, 0.35), (left + wide + 24, 0.62), (left - 24, 0.5)):
            if rng.uniform() < 0.5:
                hull = rectangle((side, along * long), rng.uniform(120, 280), 32, 90.0)
                berths.append(affinity.rotate(hull, lean, origin=foot))
        left += wide + gap
    return piers, basins, berths


def _yards(
    land: Landscape, rng: np.random.Generator, spec: SceneSpec, port: Port, quay: Mask
) -> None:
    """Divide the port into yards: container stacks in rows, sheds, paved and unpaved ground."""
    plane = port.plane(spec.shape)
    boxes, _ = split(rng, plane.bounds, 3.5e4)
    at = look_up(plane, boxes, spec.pixel_m)
    kind = rng.uniform(size=len(boxes))[at.ids]
    state = rng.standard_normal(len(boxes), np.float32)[at.ids]
    land.paint(quay, Cover.YARD, Use.INDUSTRY, state)
    inside = quay & (at.edge > 12.0)
    lengthwise = (rng.uniform(size=len(boxes)) < 0.75)[at.ids]
    rows = np.where(lengthwise, at.s % 58.0 < 38.0, at.t % 58.0 < 38.0)
    land.paint(inside & (kind < 0.5) & rows, Cover.STACK)
    land.paint(inside & (kind > 0.5) & (kind < 0.7) & (at.edge > 22.0), Cover.ROOF)
    land.paint(quay & (kind > 0.93), Cover.SOIL)


def _tanks(
    land: Landscape, rng: np.random.Generator, spec: SceneSpec, port: Port, quay: Mask
) -> None:
    """Put two groups of round tanks on cleared ground of the landward part."""
    for _ in range(2):
        corner = (rng.uniform(-0.55, 0.4) * port.size_m, rng.uniform(-0.24, -0.14) * port.size_m)
        offsets = [(78.0 * i, 78.0 * j) for i in range(rng.integers(2, 6)) for j in range(3)]
        group = unary_union(
            [Point(corner[0] + i, corner[1] + j).buffer(rng.uniform(18, 28)) for i, j in offsets]
        )
        clear = burn(spec.shape, port.place(group.convex_hull.buffer(30.0))) & quay
        land.paint(clear, Cover.YARD, tone=np.full(spec.shape, -1.5, np.float32))
        land.paint(
            burn(spec.shape, port.place(group)) & quay,
            Cover.ROOF,
            tone=np.full(spec.shape, 1.2, np.float32),
        )


def _breakwater(land: Landscape, spec: SceneSpec, port: Port) -> None:
    """Shelter the port with a bent mole from its side and a detached one before it."""
    t = np.linspace(0.0, 1.0, 60)[:, None]
    mole = _bow((-0.60, -0.05), (-0.80, 0.75), (-0.22, 0.80), t)
    island = _bow((-0.06, 0.82), (0.40, 0.90), (0.74, 0.66), t)
    lines = [LineString(points * port.size_m).buffer(14.0) for points in (mole, island)]
    stones = burn(spec.shape, *[port.place(line) for line in lines])
    land.paint(stones & land.covered(Cover.SEA), Cover.ROCK, Use.BARE)


def _bow(
    start: tuple[float, float],
    pull: tuple[float, float],
    end: tuple[float, float],
    t: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return points ``(n, 2)`` of the quadratic Bezier curve that ``pull`` bends."""
    a, b, c = (np.asarray(point, np.float64) for point in (start, pull, end))
    return np.asarray((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)
