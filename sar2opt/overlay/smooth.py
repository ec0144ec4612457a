"""Outlines without stairs: smoothed alike on both sides, so that neighbours still share a border.

1. A vertex where three or four borders meet is a node, and stays where it is.
2. Between nodes, corners are cut: half a pixel before and behind them, or, beside a side of a
   single pixel, up to one and a half. So stairs of up to three pixels become a straight line.
3. What then lies within ``TOLERANCE`` pixels of a straight line is left out (D. Douglas and T.
   Peucker, Algorithms for the reduction of the number of points, Cartographica 10(2), 1973), from
   one node to the next, always in the same direction, whichever side it is seen from.

After the second step no two borders come nearer than half a pixel, except where they leave a node,
at right angles, and none comes nearer than 0.158 pixels to the centre of one. They are moved by
less than that in the third. So they never meet, objects burnt in again give the same raster, and
no border depends on what lies further off: there are no seams.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import shapely

from sar2opt.overlay.corners import Array, unpack

TOLERANCE = 0.15  # pixels
_REACH = 3  # halves of a pixel


@dataclass(frozen=True)
class Nodes:
    """The vertices of a raster where three or four borders meet, twice, each time sorted."""

    shape: tuple[int, int]
    by_row: Array  # y, x packed
    by_column: Array  # x, y packed

    @classmethod
    def of(cls, portions: Iterable[Array], shape: tuple[int, int]) -> Nodes:
        """Find the nodes of outlines, given by their packed corners in portions of whole ones."""
        portions = list(portions)
        high, wide = (side.bit_length() for side in shape)
        found = []
        for portion in portions:
            _, y, x, _ = unpack(portion, shape)
            found.append(np.unique(y << wide | x))
        vertices = np.unique(np.concatenate(found))
        y, x = vertices >> wide, vertices & ((1 << wide) - 1)
        turned = np.argsort(x << high | y)
        columns = (x << high | y)[turned]
        along_rows, along_columns = np.zeros((2, len(vertices) + 1), np.int32)
        for portion in portions:
            label, y, x, _ = unpack(portion, shape)
            _count_sides(along_rows, vertices, y << wide | x)
            order = np.lexsort((y, x, label))
            _count_sides(along_columns, columns, (x << high | y)[order])
        borders = np.zeros(len(vertices), np.int8)
        borders += _borders(along_rows)
        borders[turned] += _borders(along_columns)
        node = borders > 2
        return cls(shape, vertices[node], columns[(borders > 2)[turned]])

    def within(self, start: Array, end: Array, *, row: bool) -> tuple[Array, Array]:
        """Return of sides ``(2, n)`` as y, x the first node strictly inside, and their number."""
        known = self.by_row if row else self.by_column
        low, high = np.minimum(start, end), np.maximum(start, end)
        first = np.searchsorted(known, self._key(low, row=row) + 1)
        return first, np.maximum(np.searchsorted(known, self._key(high, row=row)) - first, 0)

    def holds(self, vertices: Array) -> Array:
        """Return which vertices ``(2, n)`` are nodes."""
        if len(self.by_row) == 0:
            return np.zeros(vertices.shape[1], bool)
        key = self._key(vertices, row=True)
        at = np.minimum(np.searchsorted(self.by_row, key), len(self.by_row) - 1)
        return np.asarray(self.by_row[at] == key)

    def at(self, number: Array, *, row: bool) -> Array:
        """Return nodes by their number along rows or columns, ``(2, n)`` as y, x."""
        bits = self.shape[row].bit_length()
        known = (self.by_row if row else self.by_column)[number]
        pair = known >> bits, known & ((1 << bits) - 1)
        return np.stack(pair if row else pair[::-1])

    def _key(self, vertices: Array, *, row: bool) -> Array:
        y, x = vertices.astype(np.int64)
        high, wide = (side.bit_length() for side in self.shape)
        return np.asarray(y << wide | x if row else x << high | y)


def _count_sides(counts: Array, vertices: Array, ends: Array) -> None:
    """Count the sides that lead on from each vertex: corners, sorted, are their ends in turn."""
    at = np.searchsorted(vertices, ends)
    np.add.at(counts, at[0::2], 1)
    np.add.at(counts, at[1::2], -1)


def _borders(counts: Array) -> Array:
    """Return how many borders meet at each vertex along one direction: 0, 1 or 2."""
    onward = np.cumsum(counts)[:-1] > 0
    return np.asarray(onward.astype(np.int8) + np.append(False, onward[:-1]))


def smooth_rings(vertices: Array, length: Array, nodes: Nodes) -> tuple[Array, Array]:
    """Return smoothed rings as float vertices ``(2, n)``, y and x in pixels, and their lengths.

    Rings come as ``outlines`` walks them: from an even vertex along a row, from an odd one along
    a column.
    """
    points, node, length = _with_nodes(vertices, length, nodes)
    points, node, length = _through_middles(points, node, length)
    return _straightened(points, node, length)


def _next_in_ring(length: Array) -> Array:
    """Return for each vertex of rings the number of the one after it."""
    after = np.arange(1, length.sum() + 1)
    ends = np.cumsum(length)
    after[ends - 1] = ends - length
    return after


def _ranges(first: Array, count: Array, step: Array | int = 1) -> Array:
    """Return ``first``, ``first + step`` ... of each, ``count`` long, one after another."""
    begin = np.cumsum(count) - count
    along = np.arange(count.sum()) - np.repeat(begin, count)
    steps = np.repeat(np.broadcast_to(step, count.shape), count)
    return np.asarray(np.repeat(first, count) + along * steps)


def _with_nodes(vertices: Array, length: Array, nodes: Nodes) -> tuple[Array, Array, Array]:
    """Insert the nodes that lie within the sides of rings."""
    end = vertices[:, _next_in_ring(length)]
    first, inside = np.zeros((2, vertices.shape[1]), np.int64)
    for row in (True, False):  # all rings have an even number of vertices
        part = slice(0, None, 2) if row else slice(1, None, 2)
        first[part], inside[part] = nodes.within(vertices[:, part], end[:, part], row=row)
    place = np.cumsum(inside + 1) - (inside + 1)
    total = int((inside + 1).sum())
    points, node = np.zeros((2, total), np.int64), np.ones(total, bool)
    points[:, place], node[place] = vertices, nodes.holds(vertices)
    backwards = np.asarray(np.any(end < vertices, axis=0))
    for row in (True, False):
        side = np.flatnonzero(inside > 0)
        side = side[(side % 2 == 0) == row]
        count = inside[side]
        begin = np.where(backwards[side], first[side] + count - 1, first[side])
        number = _ranges(begin, count, np.where(backwards[side], -1, 1))
        points[:, _ranges(place[side] + 1, count)] = nodes.at(number, row=row)
    ring = np.repeat(np.arange(len(length)), length)
    return points, node, np.bincount(ring, inside + 1, len(length)).astype(np.int64)


def _through_middles(points: Array, node: Array, length: Array) -> tuple[Array, Array, Array]:
    """Cut the corners of rings; in halves of a pixel from here."""
    after = _next_in_ring(length)
    end = points[:, after]
    side = np.abs(end - points).sum(axis=0)
    before = np.empty_like(side)
    before[after] = side  # the side that ends where this one begins
    reach = [
        np.where((beside == 1) & ~fixed, np.minimum(side, _REACH), 1)
        for beside, fixed in ((before, node), (side[after], node[after]))
    ]
    step = np.sign(end - points)
    three = np.stack([2 * points, 2 * points + step * reach[0], 2 * end - step * reach[1]], axis=2)
    keep = np.stack([node, np.ones_like(node), reach[0] + reach[1] < 2 * side], axis=1)
    ring = np.repeat(np.arange(len(length)), length)
    number = np.bincount(ring, keep.sum(axis=1), len(length)).astype(np.int64)
    kept = keep.ravel()
    is_node = np.stack([node, *np.zeros((2, len(node)), bool)], axis=1).ravel()[kept]
    return three.reshape(2, -1)[:, kept], is_node, number


def _straightened(points: Array, node: Array, length: Array) -> tuple[Array, Array]:
    """Leave out what lies near a straight line, from node to node."""
    starts = np.cumsum(length) - length
    ring = np.repeat(np.arange(len(length)), length)
    # a ring without nodes begins, and ends, at its topmost, leftmost point
    place = points[0] * (points[1].max(initial=0) + 1) + points[1]
    least = np.minimum.reduceat(place, starts) if len(starts) else place
    bare = np.bincount(ring, node, len(length)) == 0
    cut = np.flatnonzero(node | (bare[ring] & (place == least[ring])))
    owner = ring[cut]
    last = np.append(np.diff(owner) != 0, True)
    first_of_ring = np.searchsorted(owner, np.arange(len(length)))
    to = np.where(last, cut[first_of_ring[owner]] + length[owner], np.append(cut[1:], 0))
    count = to - cut + 1
    index = _ranges(cut, count)
    index = starts[np.repeat(owner, count)] + (index - starts[np.repeat(owner, count)]) % np.repeat(
        length[owner], count
    )
    line, ends = place[index], np.cumsum(count)
    begins = ends - count
    # from the smaller end to the larger; where they are one, by the points beside it
    same = line[begins] == line[ends - 1]
    turn = np.where(same, line[begins + 1] > line[ends - 2], line[begins] > line[ends - 1])
    index = index[_turned(count, turn)]
    arcs = shapely.linestrings(
        points[::-1, index].T.astype(float), indices=np.repeat(np.arange(len(count)), count)
    )
    arcs = shapely.simplify(arcs, 2 * TOLERANCE, preserve_topology=False)
    found, arc = shapely.get_coordinates(arcs, return_index=True)
    count = np.bincount(arc, minlength=len(count))
    found = found[_turned(count, turn)]
    inner = np.ones(len(found), bool)
    inner[np.cumsum(count) - 1] = False  # the next arc begins with it
    number = np.bincount(owner, count - 1, len(length)).astype(np.int64)
    return found[inner, ::-1].T / 2, number


def _turned(count: Array, turn: Array) -> Array:
    """Return the order of the points of arcs, backwards in those that are turned."""
    begin = np.cumsum(count) - count
    return _ranges(np.where(turn, begin + count - 1, begin), count, np.where(turn, -1, 1))
