"""Held-out figures of the tagger: on weak labels, and on the true ones there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from sar2opt.nets.tagger import CLASSES
from sar2opt.raster import LAND_COVER, OBJECTS
from sar2opt.sar.normalise import NormalisationSettings, fit_normalisation
from sar2opt.sar.radiometry import to_power
from sar2opt.training.pairs.pair import Image, Pair, normalise_db
from sar2opt.training.tags.chips import IGNORE
from sar2opt.training.tags.weak_labels import WeakPair

Tags = npt.NDArray[np.uint8]
Scores = Callable[[Image], Image]  # normalised SAR (y, x) -> logits (class, y, x)

# Esri / Impact Observatory land cover, renumbered as in TerraMesh; by inspection of the chips
TERRAMIND = {1: "water", 2: "trees", 4: "cropland", 5: "built_up", 6: "bare", 9: "low_vegetation"}
# Labels of the chips of SEN1-2's sample by class, and the tags that they stand for
CHIP_LABELS = {"agriculture": ("cropland", "low_vegetation"), "forest": ("trees",),
               "resident": ("built_up",), "river": ("water",)}  # fmt: skip
MERGED = {"water": "water", "trees": "trees", "low_vegetation": "low", "cropland": "low",
          "built_up": "built_up", **OBJECTS}  # fmt: skip


def confusion(truth: Tags, tags: Tags) -> npt.NDArray[np.int64]:
    """Return pixel counts ``(true class, given class)`` where the truth is known."""
    known = truth < len(CLASSES)
    codes = truth[known].astype(int) * len(CLASSES) + tags[known]
    counts: npt.NDArray[np.int64] = np.bincount(codes, minlength=len(CLASSES) ** 2)
    return counts.reshape(len(CLASSES), len(CLASSES))


def summary(counts: npt.NDArray[np.int64], names: Sequence[str] = CLASSES) -> dict[str, object]:
    """Return accuracy, IoU per class that occurs, their mean, and the confusion matrix."""
    hits = np.diag(counts)
    union = counts.sum(axis=0) + counts.sum(axis=1) - hits
    occurs = counts.sum(axis=1) > 0
    iou = {
        name: round(float(hit / whole), 3)
        for name, hit, whole, there in zip(names, hits, union, occurs, strict=True)
        if there
    }
    return {
        "accuracy": round(float(hits.sum() / max(counts.sum(), 1)), 3),
        "majority_accuracy": round(float(counts.sum(axis=1).max() / max(counts.sum(), 1)), 3),
        "mean_iou": round(float(np.mean(list(iou.values()))), 3),
        **{f"iou_{name}": value for name, value in iou.items()},
    }


def merged(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Merge low vegetation and cropland, and leave bare ground out of the truth."""
    names = list(dict.fromkeys(MERGED.values()))
    out = np.zeros((len(names) + 1, len(names) + 1), np.int64)  # the last: given as bare
    for i, true in enumerate(CLASSES):
        for j, given in enumerate(CLASSES):
            if true in MERGED:
                column = names.index(MERGED[given]) if given in MERGED else len(names)
                out[names.index(MERGED[true]), column] += counts[i, j]
    return out, [*names, "bare"]


def on_weak_labels(
    scores: Scores, weak: Sequence[WeakPair], norm: NormalisationSettings
) -> npt.NDArray[np.int64]:
    """Return the confusion with the teacher's labels on ``weak``."""
    counts = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    for item in weak:
        sar = normalise_db(item.pair.decibel, item.pair.levels[0], norm)
        counts += confusion(item.tags, scores(sar).argmax(axis=0).astype(np.uint8))
    return counts


def water_iou(
    scores: Scores, weak: Sequence[WeakPair], norm: NormalisationSettings
) -> dict[str, float]:
    """Return how well water is found among all pixels of ``weak`` whose label is known."""
    both = found = true = 0
    water = CLASSES.index("water")
    for item in weak:
        known = item.tags != IGNORE
        given = scores(item.pair.sar(norm)).argmax(axis=0)[known] == water
        told = item.tags[known] == water
        both += int((given & told).sum())
        found, true = found + int(given.sum()), true + int(told.sum())
    return {
        "iou_water": round(both / max(found + true - both, 1), 3),
        "precision": round(both / max(found, 1), 3),
        "recall": round(both / max(true, 1), 3),
    }


def on_chip_labels(
    scores: Scores, pairs: Sequence[Pair], norm: NormalisationSettings
) -> dict[str, dict[str, float]]:
    """Return, for each label of whole chips, how many test chips there are and how many show it.

    A chip shows farms, woods or homes where that is its commonest tag, and a river where water
    covers a hundredth of it; ``others`` is the share of chips of other labels that show it too.
    """
    shown: dict[str, list[list[bool]]] = {}
    for pair in pairs:
        if pair.split == "test" and pair.label in CHIP_LABELS:
            tags = scores(normalise_db(pair.decibel, pair.levels[0], norm)).argmax(axis=0)
            counts = np.bincount(tags[np.isfinite(pair.decibel)], minlength=len(CLASSES))
            shown.setdefault(pair.label, []).append(
                [_shows(counts, wanted) for wanted in CHIP_LABELS.values()]
            )
    table = {}
    for number, label in enumerate(CHIP_LABELS):
        if label in shown:
            rest = [chip[number] for other in shown if other != label for chip in shown[other]]
            own = [chip[number] for chip in shown[label]]
            table[label] = {
                "chips": len(own),
                "recognised": round(float(np.mean(own)), 3),
                "others": round(float(np.mean(rest)), 3) if rest else float("nan"),
            }
    return table


def _shows(counts: npt.NDArray[np.int64], wanted: tuple[str, ...]) -> bool:
    land = dict.fromkeys(LAND_COVER, 0)
    for name, count in zip(CLASSES, counts, strict=False):
        land[OBJECTS.get(name, name)] += int(count)
    if wanted == ("water",):
        return bool(land["water"] >= 0.01 * counts.sum())
    return max(land, key=lambda name: land[name]) in wanted


def on_true_labels(
    scores: Scores, root: Path, norm: NormalisationSettings
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the confusion on each of the ``chips/terramind`` below ``root``, from their VH."""
    return {
        name: confusion(truth, scores(sar).argmax(axis=0).astype(np.uint8))
        for name, sar, truth in read_true_labels(root, norm)
    }


def read_true_labels(
    root: Path, norm: NormalisationSettings
) -> Iterator[tuple[str, npt.NDArray[np.float32], Tags]]:
    """Yield name, normalised VH ``(y, x)`` and tags of each of the ``chips/terramind``."""
    codes = np.full(256, IGNORE, np.uint8)
    for code, tag in TERRAMIND.items():
        codes[code] = CLASSES.index(tag)
    for path in sorted((root / "chips/terramind").glob("*_S1RTC.tif")):
        with rasterio.open(path) as chip:
            power = to_power(chip.read(2), "dB")
        with rasterio.open(path.with_name(path.name.replace("S1RTC", "LULC"))) as labels:
            truth = codes[np.minimum(labels.read(1), 255)]
        yield path.name.removesuffix("_S1RTC.tif"), fit_normalisation(power, norm)(power), truth
