"""Scraps: components too small to be objects go to the neighbour with the longest common border.

1. Each block is labelled on its own. Kept are the size and the class of its components, the
   lengths of the borders of those that may be scraps, and the labels along the block's four sides.
2. The sides say which components are one across blocks, and how long borders across them are.
3. Scraps are given away in rounds, first those beside something large enough, then those beside
   what has grown. Of two neighbours with borders of one length the larger is taken, then the one
   that begins further up. Of scraps among themselves, the largest is what the others go to.
4. A block that is read later is labelled anew, and its scraps get the class of where they went.

None of this depends on how the raster is cut. Memory holds what components there are, not pixels.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sar2opt.overlay.components import Progress, Read, label, sides, union, windows
from sar2opt.overlay.corners import Array


@dataclass(frozen=True)
class _Block:
    """What is kept of a block: its components, their borders, and their labels on four sides."""

    code: Array  # (n,) class
    pixels: Array  # (n,)
    first: Array  # (n,) the number of its first pixel in the raster, row by row
    borders: Array  # (3, m) two components and the length of the border that they share, pixels
    sides: tuple[Array, Array, Array, Array]  # top, bottom, left, right


def sieve(
    classes: Read,
    shape: tuple[int, int],
    *,
    background: int,
    min_pixels: int | Array,
    block: int = 1024,
    workers: int = 0,
    progress: Progress | None = None,
) -> Read:
    """Return a function that reads ``classes`` without components of fewer than ``min_pixels``.

    That is one number for all classes, or one for each of the 256 codes. Their pixels have the
    class of the neighbour that they went to; pixels that touch by a corner only are no neighbours,
    and ``background`` is none. What touches nothing stays as it is. The function reads the windows
    of ``block`` pixels that ``find_components`` reads, uint8 ``(y, x)``. ``workers`` and
    ``progress`` as there.
    """
    least = np.broadcast_to(min_pixels, 256)
    parts = list(windows(shape, block))
    found = []
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        pieces = pool.map(
            lambda part: _look(classes(*part), part, shape[1], background, least), parts
        )
        for piece in pieces:
            found.append(piece)
            if progress is not None:
                progress(len(found), len(parts))
    codes = dict(
        zip(
            ((rows.start, columns.start) for rows, columns in parts),
            _new_codes(found, -(-shape[1] // block), background, least),
            strict=True,
        )
    )

    @lru_cache(maxsize=4 * (workers or os.cpu_count() or 1))  # classes and values ask for the same
    def sieved(top: int, bottom: int, left: int, right: int) -> Array:
        own = classes(slice(top, bottom), slice(left, right))
        _, run, _, part = label(own, background)
        return np.asarray(codes[top, left][part][run])

    return lambda rows, columns: sieved(rows.start, rows.stop, columns.start, columns.stop)


def _look(
    classes: Array, window: tuple[slice, slice], width: int, background: int, least: Array
) -> _Block:
    start, run, number, part = label(classes, background)
    code, pixels = np.zeros(number, np.uint8), np.zeros(number, np.int64)
    code[part] = classes.ravel()[start]
    np.add.at(pixels, part, np.diff(start, append=classes.size))
    y, x = np.divmod(start, classes.shape[1])
    first = np.full(number, np.iinfo(np.int64).max)
    np.minimum.at(first, part, (y + window[0].start) * width + x + window[1].start)
    labels = part[run]
    pairs = np.hstack([_facing(classes, labels), _facing(classes.T, labels.T)])
    borders = _borders(pairs, code, pixels, background, least)
    top, bottom, left, right = (side.copy() for side in sides(labels))
    return _Block(code, pixels, first, borders, (top, bottom, left, right))


def _facing(classes: Array, labels: Array) -> Array:
    """Return the labels ``(2, m)`` of pixels of two classes that stand one above the other."""
    differ = classes[:-1] != classes[1:]  # by class, as bytes compare faster than labels
    return np.stack([labels[:-1][differ], labels[1:][differ]])


def _borders(pairs: Array, code: Array, pixels: Array, background: int, least: Array) -> Array:
    """Count the pairs ``(2, m)`` of components of two classes, one of which may be a scrap."""
    small = (pixels[pairs] < least[code[pairs]]).any(axis=0)
    wanted = small & (code[pairs] != background).all(axis=0) & (code[pairs[0]] != code[pairs[1]])
    return _summed(np.vstack([pairs[:, wanted], np.ones(wanted.sum(), np.int64)]), len(code))


def _summed(borders: Array, number: int) -> Array:
    """Return borders ``(3, m)`` with each pair of so many components once."""
    one, other, length = borders
    low, high = np.minimum(one, other).astype(np.int64), np.maximum(one, other)
    key, place = np.unique(low * number + high, return_inverse=True)
    total = np.bincount(place, length, len(key)).astype(np.int64)
    return np.stack([*np.divmod(key, max(number, 1)), total])


def _new_codes(found: list[_Block], wide: int, background: int, least: Array) -> list[Array]:
    """Return for each block the class that each of its components has in the end."""
    offsets = np.cumsum([0, *(len(piece.code) for piece in found)])
    code, pixels, first = (
        np.concatenate([getattr(piece, name) for piece in found])
        for name in ("code", "pixels", "first")
    )
    seams = _seams(found, offsets, wide)
    same = code[seams[0]] == code[seams[1]]
    number, whole = union(seams[:, same & (code[seams[0]] != background)], len(code))
    borders = [_borders(seams[:, ~same], code, pixels, background, least)]
    for piece, offset in zip(found, offsets, strict=False):
        borders.append(piece.borders + np.array([[offset], [offset], [0]]))
    one, other, length = np.concatenate(borders, axis=1)
    size = np.bincount(whole, pixels, number).astype(np.int64)
    begin = np.full(number, np.iinfo(np.int64).max)
    np.minimum.at(begin, whole, first)
    final = np.zeros(number, np.uint8)
    final[whole] = code
    between = np.stack([whole[one], whole[other], length])
    owner = _given_away(size, begin, between, size < least[final])
    return np.split(final[owner][whole], offsets[1:-1])


def _seams(found: list[_Block], offsets: Array, wide: int) -> Array:
    """Return the pairs ``(2, m)`` of components that face each other across the sides of blocks."""
    pairs = [np.zeros((2, 0), np.int64)]
    for index, piece in enumerate(found):
        _, bottom, _, right = (side + offsets[index] for side in piece.sides)
        if (index + 1) % wide:
            pairs.append(np.stack([right, found[index + 1].sides[2] + offsets[index + 1]]))
        if index + wide < len(found):
            pairs.append(np.stack([bottom, found[index + wide].sides[0] + offsets[index + wide]]))
    return np.concatenate(pairs, axis=1)


def _given_away(size: Array, begin: Array, borders: Array, scrap: Array) -> Array:
    """Return for each component the one that it belongs to in the end: mostly itself."""
    number = len(size)
    owner, size, scrap = np.arange(number), size.copy(), scrap.copy()
    while True:
        borders[:2] = owner[borders[:2]]
        open_ = (borders[0] != borders[1]) & scrap[borders[:2]].any(axis=0)
        borders = _summed(borders[:, open_], number)
        if borders.shape[1] == 0:
            return owner
        giver, taker, length = np.concatenate([borders, borders[[1, 0, 2]]], axis=1)
        ready = scrap[giver] & ~scrap[taker]
        if not ready.any():  # scraps among themselves
            scrap[_largest(size, begin, borders)] = False
            continue
        giver, taker, length = giver[ready], taker[ready], length[ready]
        order = np.lexsort((-begin[taker], size[taker], length, giver))
        best = order[np.append(giver[order][1:] != giver[order][:-1], True)]
        owner[giver[best]] = taker[best]
        scrap[giver[best]] = False
        np.add.at(size, taker[best], size[giver[best]])


def _largest(size: Array, begin: Array, borders: Array) -> Array:
    """Return the largest component of each group that borders connect."""
    members, place = np.unique(borders[:2], return_inverse=True)
    _, group = union(place.reshape(2, -1), len(members))
    order = np.lexsort((-begin[members], size[members], group))
    return np.asarray(members[order[np.append(np.diff(group[order]) != 0, True)]])
