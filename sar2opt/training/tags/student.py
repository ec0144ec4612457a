"""Training the tagger itself: SAR in, weak labels and synthetic truth out, classes in balance."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from sar2opt.errors import ConfigError
from sar2opt.nets.bundle import load_net
from sar2opt.nets.bundle_files import find_bundle
from sar2opt.nets.tagger import CLASSES, Tagger
from sar2opt.sar.radiometry import to_db
from sar2opt.synth import sample_pair
from sar2opt.synth.speckle import draw_speckle
from sar2opt.training.crops import turned
from sar2opt.training.loop.run import train_loop
from sar2opt.training.pairs.pair import Pair, normalise_db
from sar2opt.training.pretrained import load_encoder
from sar2opt.training.tags.chips import IGNORE
from sar2opt.training.tags.object_labels import WATER, lay_hulls
from sar2opt.training.tags.settings import TaggerTraining
from sar2opt.training.tags.step import TagStep, class_weights
from sar2opt.training.tags.weak_labels import WeakPair, choices
from sar2opt.training.water import roughened

SYNTHETIC = "synthetic"
SIDE = 320  # pixels of a synthetic scene
GRID = 16  # pixels between the places at which a class is looked for, and 1 for a rare one
SMALL = 200_000  # pixels of a class in all pairs
OTHER_LEVEL = 0.5  # share of the crops that may be normalised by another level than the source's
DRAWS = 400  # crops that tell how common each class is
LOOKS, GRAIN = (3.0, 12.0), 0.6  # of speckle that is laid on what is smooth
CLIPS_DB = (4.0, 12.0)  # above the scene's level: where display products saturate


def train_student(
    config: TaggerTraining, weak: Sequence[WeakPair], out: Path, *, resume: bool = False
) -> Tagger:
    """Train the tagger on the training places and on synthetic scenes."""
    train = [item for item in weak if item.pair.split == "train"]
    sampler = BalancedCrops(config, train, synthetic_pairs(config))
    torch.manual_seed(config.seed)
    net = _begun(config)
    step = TagStep(
        net, config.student, sampler.weights(), sampler.draw, config.seed, open_sets(config)
    )
    train_loop(step, step.rng, config.student, out / "student", resume=resume)
    average = copy.deepcopy(step.average.net).eval()
    assert isinstance(average, Tagger)
    return average


def _begun(config: TaggerTraining) -> Tagger:
    """Return a net with the pretrained encoder, or the one to go on from."""
    if not config.start:
        net = Tagger(config.net)
        load_encoder(net.net.encoder)
        return net
    path = find_bundle(config.start)
    begun, card = load_net(path)
    if card.kind != "tagger" or card.settings != config.net.model_dump(mode="json"):
        raise ConfigError(
            f"start: {config.start} is a {card.kind} of {card.settings}, and [net] describes "
            f"{config.net.model_dump(mode='json')}: say the same"
        )
    assert isinstance(begun, Tagger)
    return begun.requires_grad_(True)


def open_sets(config: TaggerTraining) -> torch.Tensor:
    """Return which classes the labels that are no tag leave open, ``(label, class)``."""
    sets = choices(config.chip_labels)
    return torch.tensor([[name in tags for name in CLASSES] for tags in sets])


def synthetic_pairs(config: TaggerTraining) -> list[WeakPair]:
    """Make synthetic scenes with true labels, VH and VV by turns."""
    items = []
    for number in range(config.synthetic_scenes):
        power, tags = sample_pair(1000 * config.seed + number, (SIDE, SIDE))
        decibel = to_db(power[1 - number % 2]).astype(np.float16)
        valid = decibel[np.isfinite(decibel)].astype(np.float64)
        level = float(np.quantile(valid, config.norm_quantile))
        pair = Pair(
            name=f"{SYNTHETIC}/{number}",
            source=SYNTHETIC,
            place=str(number),
            split="train",
            look="natural",
            decibel=decibel,
            optical=np.zeros((3, 1, 1), np.uint8),  # never looked at
            levels=(level,),
            tone=((1.0, 0.0),) * 3,
        )
        items.append(WeakPair(pair, tags))
    return items


class BalancedCrops:
    """Random crops around a pixel of a class, the classes drawn evenly, rare ones too."""

    def __init__(
        self, config: TaggerTraining, weak: Sequence[WeakPair], synthetic: Sequence[WeakPair]
    ) -> None:
        self.config = config
        self.pools = [_Pool(weak, config.weights), _Pool(synthetic, {})]
        self.synthetic_share = config.synthetic_share if synthetic else 0.0

    def draw(
        self, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """Return normalised SAR ``(1, y, x)`` and tags ``(y, x)``, 255 where unknown."""
        config = self.config
        pool = self.pools[int(rng.random() < self.synthetic_share)]
        item, y, x = pool.draw(rng)
        rows, cols = item.tags.shape
        y, x = (
            int(np.clip(centre - rng.integers(config.crop), 0, size - config.crop))
            for centre, size in ((y, rows), (x, cols))
        )
        window = (slice(y, y + config.crop), slice(x, x + config.crop))
        levels = item.pair.levels
        level = levels[rng.integers(len(levels)) if rng.random() < OTHER_LEVEL else 0]
        level += rng.normal(0.0, config.gain_jitter_db)
        decibel, tags = self._varied(item, window, rng)
        if rng.random() < config.edges:
            decibel, tags = cut_edges(decibel, tags, rng)
        sar = normalise_db(decibel, level, config.norm)
        turns, flip = int(rng.integers(4)), bool(rng.integers(2))
        return (
            turned(np.nan_to_num(sar, nan=0.0)[None], turns, flip),
            turned(tags[None], turns, flip)[0],
        )

    def weights(self) -> torch.Tensor:
        """Return one weight a class: what is small in its crops, as ships are, counts for more."""
        rng = np.random.default_rng(self.config.seed)
        return class_weights([self.draw(rng)[1] for _ in range(DRAWS)], len(CLASSES))

    def _varied(
        self, item: WeakPair, window: tuple[slice, slice], rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """Return decibels and tags of a crop, its water rough from wind and with ships on it."""
        config = self.config
        decibel, tags = item.pair.decibel[window].astype(np.float32), item.tags[window]
        if rng.random() < config.wind:
            decibel = roughened(decibel, tags == WATER, rng.uniform(0.0, config.wind_db))
        if item.pair.look == config.infrared and rng.random() < config.speckle:
            drawn = draw_speckle(rng, decibel.shape, rng.uniform(*LOOKS), GRAIN)
            decibel += to_db(np.maximum(drawn, np.float32(1e-3)))
        if rng.random() < config.hulls:
            clip_db = item.pair.levels[0] + rng.uniform(*CLIPS_DB)
            decibel, tags = lay_hulls(decibel, tags, rng, clip_db)
        return decibel, tags


def cut_edges(
    decibel: npt.NDArray[np.float32], tags: npt.NDArray[np.uint8], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return a crop ``(y, x)`` whose scene ends inside: beyond one or two edges is no data."""
    known = np.ones(tags.shape, bool)
    for axis in rng.permutation(2)[: rng.integers(1, 3)]:
        place = int(rng.integers(1, tags.shape[axis] // 2))
        beyond = slice(None, place) if rng.random() < 0.5 else slice(-place, None)
        known[(beyond, slice(None)) if axis == 0 else (slice(None), beyond)] = False
    return np.where(known, decibel, np.float32(np.nan)), np.where(known, tags, np.uint8(IGNORE))


class _Pool:
    """Where each class is found, by source and class: ``(n, 3)`` of item, row and column."""

    def __init__(self, items: Sequence[WeakPair], weights: Mapping[str, float]) -> None:
        self._items = items
        counts = np.sum([np.bincount(item.tags.ravel(), minlength=256) for item in items], axis=0)
        found: dict[str, dict[int, list[npt.NDArray[np.int64]]]] = {}
        for index, item in enumerate(items):
            for code in np.unique(item.tags[item.tags != IGNORE]):
                step = GRID if counts[code] > SMALL else 1
                rows, cols = np.nonzero(item.tags[step // 2 :: step, step // 2 :: step] == code)
                at = np.stack([np.full_like(rows, index), rows * step, cols * step], axis=1)
                if len(at):
                    found.setdefault(item.pair.source, {}).setdefault(int(code), []).append(at)
        self._places = {
            source: [np.concatenate(places) for places in classes.values()]
            for source, classes in found.items()
        }
        shares = np.array([weights.get(source, 1.0) for source in self._places])
        self._shares = shares / shares.sum()

    def draw(self, rng: np.random.Generator) -> tuple[WeakPair, int, int]:
        """Return an item and a pixel, the source drawn by weight and its classes evenly."""
        classes = list(self._places.values())[rng.choice(len(self._shares), p=self._shares)]
        places = classes[rng.integers(len(classes))]
        index, row, col = places[rng.integers(len(places))]
        return self._items[index], int(row), int(col)
