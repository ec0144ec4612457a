"""Connected components of a raster of any size, read block by block, each pixel once.

1. Each block is labelled on its own, in threads: runs along its rows are the nodes of a graph,
   runs that touch are its edges. A component inside the block is final, and dropped there if it
   is small; one that touches the block's edge waits.
2. The rows and columns along the seams between blocks are kept, with their labels. They say
   which components are one, and only then which of those that waited are small.
3. A corner of an outline depends on the four pixels around it: corners inside blocks come from
   step 1, corners on seams from the kept rows and columns. So outlines know nothing of blocks.

Beside the result, memory holds two rows and two columns of labels per seam.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sar2opt.overlay.corners import Array, corners, pack

Read = Callable[[slice, slice], Array]
Progress = Callable[[int, int], None]
Connectivity = Literal[4, 8]


@dataclass(frozen=True)
class Components:
    """Connected components of one class each: tables by component, and corners of outlines."""

    shape: tuple[int, int]  # of the raster they lie in, pixels
    connectivity: int  # 4: pixels touch by sides; 8: by corners, too
    code: Array  # (n,) class
    pixels: Array  # (n,) number of pixels
    total: Array  # (n,) sum of the values under the component
    peak: Array  # (n,) largest of the values under the component
    weight: Array  # (n,) sum of the weights under the component
    corners: Array  # (m,) of the outlines, packed by ``pack``, sorted by component, y, x


@dataclass(frozen=True)
class _Piece:
    """What is kept of a block: its components, and their labels along its four sides."""

    table: Array  # (5, n) code, pixels, total, peak, weight
    corners: Array  # (4, m) as ``corners`` gives them, in the block's own frame and numbering
    sides: tuple[Array, Array, Array, Array]  # top, bottom, left, right


def find_components(
    classes: Read,
    shape: tuple[int, int],
    *,
    background: int,
    values: Read | None = None,
    weights: Read | None = None,
    block: int = 1024,
    min_pixels: int = 1,
    connectivity: Connectivity = 4,
    workers: int = 0,
    progress: Progress | None = None,
) -> Components:
    """Find the components of at least ``min_pixels`` pixels of equal class.

    ``classes`` and ``values`` read a window ``(y, x)`` of integers, from several threads;
    ``background`` belongs to no component. ``values`` feeds ``total`` and ``peak`` (zero without
    it), ``weights`` feeds ``weight``. ``workers`` is the number of threads, 0 for one a core;
    ``progress`` is told the blocks done and the blocks there are. The result does not depend on
    ``block`` or ``workers``, except for the order of the components.
    """
    parts = list(windows(shape, block))

    def work(window: tuple[slice, slice]) -> _Piece:
        found = classes(*window)
        if (found == background).all():
            return _piece(np.zeros((5, 0), np.int64), np.full(found.shape, -1, np.int32))
        under = [read and read(*window) for read in (values, weights)]
        return _cut(found, under, background, min_pixels, connectivity)

    pieces = []
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for piece in pool.map(work, parts):
            pieces.append(piece)
            if progress is not None:
                progress(len(pieces), len(parts))
    return _join(pieces, parts, shape, block, min_pixels, connectivity)


def windows(shape: tuple[int, int], block: int) -> Iterator[tuple[slice, slice]]:
    """Yield the blocks of a raster, row by row."""
    for y in range(0, shape[0], block):
        for x in range(0, shape[1], block):
            yield slice(y, min(y + block, shape[0])), slice(x, min(x + block, shape[1]))


def _cut(
    classes: Array,
    under: Sequence[Array | None],
    background: int,
    min_pixels: int,
    connectivity: Connectivity,
) -> _Piece:
    """Label a block, drop what is certainly too small, and keep what joining needs."""
    first, run, number, part = label(classes, background, connectivity)
    code = np.zeros(number, np.int64)
    code[part] = classes.ravel()[first]
    length = np.diff(first, append=classes.size)
    pixels = np.bincount(part, length, number).astype(np.int64)
    keep = pixels >= min_pixels
    for side in sides(run):
        keep[part[side]] = True
    keep &= code != background
    new = np.where(keep, np.cumsum(keep) - 1, -1).astype(np.int32)
    labels = new[part][run]
    total, peak, weight = np.zeros((3, number), np.int64)
    values, weights = (None if one is None else one.ravel() for one in under)
    if values is not None:
        np.add.at(total, part, np.add.reduceat(values, first, dtype=np.int64))
        np.maximum.at(peak, part, np.maximum.reduceat(values, first).astype(np.int64))
    if weights is not None:
        np.add.at(weight, part, np.add.reduceat(weights, first, dtype=np.int64))
    return _piece(np.stack([code, pixels, total, peak, weight])[:, keep], labels)


def label(
    classes: Array, background: int, connectivity: Connectivity = 4
) -> tuple[Array, Array, int, Array]:
    """Label a block: first pixel of each run, run of each pixel, components, component of each run.

    Pixels are numbered row by row; components are numbered alike each time.
    """
    start = np.ones(classes.shape, bool)
    np.not_equal(classes[:, 1:], classes[:, :-1], out=start[:, 1:])
    run = (np.cumsum(start, dtype=np.int32) - 1).reshape(classes.shape)
    return np.flatnonzero(start), run, *_touching(classes, start, run, background, connectivity)


def _piece(table: Array, labels: Array) -> _Piece:
    top, bottom, left, right = (side.copy() for side in sides(labels))
    return _Piece(table, corners(labels), (top, bottom, left, right))


def sides(labels: Array) -> tuple[Array, Array, Array, Array]:
    """Return the first and the last row of a block, and its first and last column."""
    return labels[0], labels[-1], labels[:, 0], labels[:, -1]


def _touching(
    classes: Array, start: Array, run: Array, background: int, connectivity: int
) -> tuple[int, Array]:
    """Return the number of components, and the component of each run."""
    same = classes[1:] == classes[:-1]
    same &= classes[1:] != background
    # Two runs that touch do so at the place where the later of them begins: one edge is enough.
    same &= start[1:] | start[:-1]
    edges = [np.stack([run[:-1][same], run[1:][same]])]
    if connectivity == 8:
        edges += _diagonals(classes, run, background)
    return union(np.concatenate(edges, axis=1), int(run[-1, -1]) + 1)


def _diagonals(classes: Array, run: Array, background: int) -> list[Array]:
    """Return pairs of runs that touch by a corner of a pixel only."""
    pairs = []
    for here, across in (((0, 0), (1, 1)), ((0, 1), (1, 0))):
        a, beside, below, b = (
            classes[y : y + run.shape[0] - 1, x : x + run.shape[1] - 1]
            for y, x in (here, (0, across[1]), (1, here[1]), across)
        )
        pinch = (a == b) & (a != background) & (a != beside) & (a != below)
        y, x = np.nonzero(pinch)
        pairs.append(np.stack([run[y, x + here[1]], run[y + 1, x + across[1]]]))
    return pairs


def union(edges: Array, nodes: int) -> tuple[int, Array]:
    """Return the number of connected components of a graph, and the component of each node."""
    ones = np.ones(edges.shape[1], np.int8)
    graph = coo_array((ones, (edges[0], edges[1])), shape=(nodes, nodes))
    number, part = connected_components(graph, directed=False)
    return int(number), part


def _join(
    pieces: list[_Piece],
    windows: list[tuple[slice, slice]],
    shape: tuple[int, int],
    block: int,
    min_pixels: int,
    connectivity: int,
) -> Components:
    """Join the components of all blocks, and drop those that are too small."""
    offsets = np.cumsum([0, *(piece.table.shape[1] for piece in pieces)])
    across, down = _seams(pieces, windows, offsets[:-1], shape, block)
    code, part_pixels, part_total, part_peak, part_weight = np.concatenate(
        [p.table for p in pieces], axis=1
    )
    pairs = _pairs(across, code, connectivity) + _pairs(down, code, connectivity)
    number, whole = union(np.concatenate(pairs, axis=1), len(code))
    pixels = np.bincount(whole, part_pixels, number).astype(np.int64)
    keep = pixels >= min_pixels
    new = np.where(keep, np.cumsum(keep) - 1, -1)
    final = np.append(new[whole], -1)  # label -1, nothing, stays -1
    total, peak, weight = np.zeros((3, number), np.int64)
    np.add.at(total, whole, part_total)
    np.add.at(weight, whole, part_weight)
    np.maximum.at(peak, whole, part_peak)
    whole_code = np.zeros(number, np.int64)
    whole_code[whole] = code
    outlines = [
        _placed(piece.corners, window, final[offset:], shape)
        for piece, window, offset in zip(pieces, windows, offsets[:-1], strict=True)
    ]
    outlines.append(pack(_seam_corners(final[across], final[down], block), shape))
    everything = np.concatenate(outlines)
    everything.sort()
    return Components(
        shape,
        connectivity,
        code=whole_code[keep],
        pixels=pixels[keep],
        total=total[keep],
        peak=peak[keep],
        weight=weight[keep],
        corners=everything,
    )


def _placed(
    found: Array, window: tuple[slice, slice], final: Array, shape: tuple[int, int]
) -> Array:
    """Return a block's corners, packed, in the frame and the numbering of the whole."""
    label, y, x, pixel = found
    label = final[label]
    placed = np.stack([label, y + window[0].start, x + window[1].start, pixel])
    return pack(placed[:, label >= 0], shape)


def _seams(
    pieces: list[_Piece],
    windows: list[tuple[slice, slice]],
    offsets: Array,
    shape: tuple[int, int],
    block: int,
) -> tuple[Array, Array]:
    """Return labels on both sides of each seam: ``(seam, 2, x)`` and ``(seam, 2, y)``, or -1.

    The rim of the raster counts as a seam with nothing on its other side.
    """
    across, down = (
        np.full((-(-shape[axis] // block) + 1, 2, shape[1 - axis]), -1, np.int64) for axis in (0, 1)
    )
    for piece, (rows, columns), offset in zip(pieces, windows, offsets, strict=True):
        top, bottom, left, right = (np.where(s < 0, -1, s + offset) for s in piece.sides)
        j, i = rows.start // block, columns.start // block
        across[j, 1, columns], across[j + 1, 0, columns] = top, bottom
        down[i, 1, rows], down[i + 1, 0, rows] = left, right
    return across, down


def _pairs(seams: Array, code: Array, connectivity: int) -> list[Array]:
    """Return pairs of components of one class that touch across seams ``(seam, 2, length)``."""
    a, b = seams[:, 0], seams[:, 1]
    facing = [(a, b)]
    if connectivity == 8:
        facing += [(a[:, 1:], b[:, :-1]), (a[:, :-1], b[:, 1:])]
    pairs = []
    for one, other in facing:
        met = (one >= 0) & (other >= 0)
        pair = np.stack([one[met], other[met]])
        pairs.append(pair[:, code[pair[0]] == code[pair[1]]])
    return pairs


def _seam_corners(across: Array, down: Array, block: int) -> Array:
    """Return the corners of outlines on seams, the rim of the raster included."""
    rows, columns = down.shape[2], across.shape[2]
    found = []
    for y, strip in zip((*range(0, rows, block), rows), across, strict=True):
        here = corners(np.pad(strip, ((0, 0), (1, 1)), constant_values=-1))
        here[1:3] += np.array([[y - 1], [-1]], np.int32)
        found.append(here)
    for x, strip in zip((*range(0, columns, block), columns), down, strict=True):
        here = corners(strip.T)
        here[2] += x - 1
        found.append(here[:, here[1] % block != 0])  # where seams cross, the first loop has been
    return np.concatenate(found, axis=1)
