"""Ships and large structures, for which there are no labels: weak ones, and simulated hulls.

An object here is what a radar of 10 m sees of one: a compact strong echo. On water it is a ship,
on land a large structure; which of the two surrounds it is what the weak labels of land cover say.
That is a rule, so a tagger that learns from it knows no more of ships than the rule does, but it
sees more than the rule: speckle, shores, and echoes of which only a part stands out. As ships are
rare, simulated ones are laid on real water.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sar2opt.nets.tagger import CLASSES
from sar2opt.training.box_mean import box_mean
from sar2opt.training.pairs.pair import Pair
from sar2opt.training.tags.chips import IGNORE
from sar2opt.training.tags.weak_labels import WeakPair

Tags = npt.NDArray[np.uint8]
Decibel = npt.NDArray[np.floating]

WATER, SHIP, STRUCTURE = (CLASSES.index(name) for name in ("water", "ship", "large_structure"))
NEAR, AROUND = 3, 41  # pixels: sides of the windows whose means are compared
STANDS_OUT_DB, DOUBTFUL_DB = 7.0, 4.0  # above its surroundings; what lies between is not used
STRONG_DB = 5.0  # of a structure, against the level of the scene
FEWEST, MOST_SHIP, MOST_STRUCTURE = 4, 500, 600  # pixels of a ship and of a structure
RING = 4  # pixels around an object that say what it stands on

LONGEST, SHORTEST = 42.0, 3.0  # pixels of a hull
BEAMS = (4.5, 8.0)  # lengths over widths of hulls
LEAST_DB, MOST_DB = 8.0, 30.0  # of a hull above the water
VISIBLE_DB = 6.0  # a pixel of a hull is tagged from here on, about as a real one is
RESPONSES = (0.6, 1.3)  # pixels: standard deviations of the point response, blooming in it
SHORE = 6  # pixels from a simulated hull's middle to the shore, at the least
LEAST_WATER = 400  # pixels of a crop in which hulls are laid


def with_objects(weak: WeakPair) -> WeakPair:
    """Return the pair with the objects that its backscatter shows, on the ground its tags show."""
    pair = weak.pair
    contrast, strength = _contrast(pair)
    labels, count = ndimage.label(contrast > STANDS_OUT_DB, np.ones((3, 3)))
    tags = np.where(contrast > DOUBTFUL_DB, np.uint8(IGNORE), weak.tags)
    for number, box in enumerate(ndimage.find_objects(labels, count), start=1):
        rows, cols = (slice(max(part.start - RING, 0), part.stop + RING) for part in box)
        own = labels[rows, cols] == number
        ring = ndimage.binary_dilation(own, iterations=RING) & (labels[rows, cols] == 0)
        around = weak.tags[rows, cols][ring]
        tag = _what(own.sum(), around, float(strength[rows, cols][own].max()))
        tags[rows, cols][own] = tag
    return replace(weak, tags=tags)


def _contrast(pair: Pair) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return backscatter over 3 x 3 pixels, in dB above that around and above the scene's level."""
    decibel = pair.decibel.astype(np.float32)
    mean = box_mean(np.float32(10.0) ** (decibel / np.float32(10.0)), NEAR)
    near = np.float32(10.0) * np.log10(np.maximum(mean, np.float32(1e-9)))
    contrast = np.where(np.isfinite(decibel), near - box_mean(decibel, AROUND), np.float32(0.0))
    return contrast, near - np.float32(pair.levels[0])


def _what(pixels: int, around: Tags, strength_db: float) -> int:
    """Return the tag of an echo of so many pixels, or 255 where it may be anything."""
    known = around[around != IGNORE]
    if pixels < FEWEST or 2 * known.size < around.size:
        return IGNORE
    water = float((known == WATER).mean())
    if water > 0.9:
        return SHIP if pixels <= MOST_SHIP else IGNORE
    strong = strength_db >= STRONG_DB and pixels <= MOST_STRUCTURE
    return STRUCTURE if water < 0.1 and strong else IGNORE


def lay_hulls(
    decibel: npt.NDArray[np.float32], tags: Tags, rng: np.random.Generator, clip_db: float
) -> tuple[npt.NDArray[np.float32], Tags]:
    """Lay up to three simulated hulls on the water of a crop ``(y, x)``; nothing where it is small.

    A hull is a rectangle of 30 to 420 m whose echo varies from pixel to pixel, seen through the
    point response; ``clip_db`` is where the product saturates.
    """
    water = (tags == WATER) & np.isfinite(decibel)
    room = ndimage.distance_transform_edt(water)
    spots = np.argwhere(room >= SHORE)
    if len(spots) < LEAST_WATER:
        return decibel, tags
    level = np.float32(10.0 ** (float(decibel[water].mean()) / 10.0))
    echo = np.zeros(tags.shape, np.float32)
    for y, x in spots[rng.integers(len(spots), size=rng.integers(1, 4))]:
        echo += _hull(tags.shape, float(y), float(x), rng)
    echo = ndimage.gaussian_filter(echo, rng.uniform(*RESPONSES)) * water
    power = np.float32(10.0) ** (decibel / np.float32(10.0)) + level * echo
    laid = np.minimum(np.float32(10.0) * np.log10(power), np.float32(clip_db))
    seen = echo > 10.0 ** (VISIBLE_DB / 10.0)
    faint = (echo > 0.3) & ~seen
    marked = np.where(seen, np.uint8(SHIP), np.where(faint, np.uint8(IGNORE), tags))
    return np.where(echo > 0.0, np.maximum(laid, decibel), decibel), marked


def _hull(
    shape: tuple[int, int], y: float, x: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return the echo ``(y, x)`` of one hull, as a multiple of that of the water."""
    length = float(np.exp(rng.uniform(np.log(SHORTEST), np.log(LONGEST))))
    width = max(length / rng.uniform(*BEAMS), 1.0)
    turn = rng.uniform(0.0, np.pi)
    rows, cols = np.indices(shape, dtype=np.float32)
    along = (cols - x) * np.cos(turn) + (rows - y) * np.sin(turn)
    across = (rows - y) * np.cos(turn) - (cols - x) * np.sin(turn)
    cover = np.clip((length + 1) / 2 - np.abs(along), 0, 1)
    cover = cover * np.clip((width + 1) / 2 - np.abs(across), 0, 1)
    strength = 10.0 ** (rng.uniform(LEAST_DB, MOST_DB) / 10.0)
    varied = rng.gamma(0.8, 1.0 / 0.8, shape)
    echo: npt.NDArray[np.float32] = (cover * strength * varied).astype(np.float32)
    return echo
