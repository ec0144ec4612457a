"""Training a net that tells floods: two dates of backscatter in, where water came out.

Strategy. Pictures of before and after come in stretches of their own, so each is normalised by its
own median and spread (``sar.normalise.fit_spread``), and so is a scene when the net runs. Water
under trees is bright, water that lay there before is no flood, and maps of floods hold much that no
radar shows: the net learns what of all that can be told. Pictures are split by runs of their
numbers, because neighbours show one flood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as Picture
from torch import Tensor

from sar2opt.errors import SceneError
from sar2opt.nets.card import Card
from sar2opt.nets.layers import find_margin
from sar2opt.nets.tagger import Tagger, TaggerSettings
from sar2opt.sar.normalise import fit_spread
from sar2opt.sar.radiometry import to_power
from sar2opt.training.cards import ENCODER, FLOOD_LIMITS, FLOOD_SOURCES
from sar2opt.training.crops import turned
from sar2opt.training.loop.run import Schedule, train_loop
from sar2opt.training.pretrained import load_encoder
from sar2opt.training.settings import TrainingSettings
from sar2opt.training.tags.step import TagStep

CLASSES = ("dry", "flood")
VALIDATION = 5  # every so many runs, one is held out
_MOST_PIXELS = 2**24


class FloodTraining(TrainingSettings):
    """Everything that makes a flood net; ``sar2opt train`` reads it from TOML."""

    kind: str = "flood"
    name: str = "flood"
    crop: int = 192
    train: str = "floods/train"  # folder of NAME_before, NAME_after and NAME_mask pictures
    test: str = "floods/test"
    run: int = 16  # pictures in a row that may show one flood
    hold_out: bool = True  # one run in five; False once all choices are made, to learn from all
    schedule: Schedule = Schedule(steps=800, batch=8)
    stages: int = 3  # of the encoder: each doubles how far around the net looks
    gain: float = 0.25  # spread of the offset of each date, in spreads: unknown stretches
    contrast: float = 0.25  # largest change of its contrast
    speckle: float = 0.3  # share of the crops that get more noise
    remarks: str = ""


class FloodStep(TagStep):
    """One step of training: cross-entropy, and the overlap of what is told with what is true.

    The overlap (soft Dice: Milletari et al. 2016, V-Net) is what a map of floods is judged by;
    cross-entropy alone leaves the doubtful half of a flood dry.
    """

    def loss(self, logits: Tensor, tags: Tensor) -> Tensor:
        """Return the loss of logits ``(n, 2, y, x)`` against masks ``(n, y, x)``."""
        told, true = torch.softmax(logits, dim=1)[:, 1], tags.float()
        overlap = (2 * (told * true).sum() + 1) / (told.sum() + true.sum() + 1)
        return super().loss(logits, tags) + 1 - overlap


@dataclass(frozen=True)
class FloodPair:
    """Two dates ``(2, y, x)``, normalised, and what came under water ``(y, x)``, 0 or 1."""

    name: str
    dates: npt.NDArray[np.float32]
    flood: npt.NDArray[np.uint8]
    run: int


def read_floods(folder: Path, run: int = 16) -> list[FloodPair]:
    """Read the pictures in ``folder``; raises ``SceneError`` for none, or one that is odd."""
    masks = sorted(folder.glob("*_mask.png"))
    if not masks:
        raise SceneError(f"{folder}: no NAME_mask.png there, beside NAME_before and NAME_after.jpg")
    return [_read(mask, number // run) for number, mask in enumerate(masks)]


def _read(mask: Path, run: int) -> FloodPair:
    name = mask.name.removesuffix("_mask.png")
    pictures = [_grey(mask.with_name(f"{name}_{when}.jpg")) for when in ("before", "after")]
    flood = _grey(mask) > 127
    if any(picture.shape != flood.shape for picture in pictures):
        raise SceneError(f"{mask}: mask, before and after differ in size")
    powers = [to_power(picture.astype(np.float32), "display-dB") for picture in pictures]
    dates = np.nan_to_num(np.stack([fit_spread(power)(power) for power in powers]), nan=0.0)
    return FloodPair(name, dates, flood.astype(np.uint8), run)


def _grey(path: Path) -> npt.NDArray[np.uint8]:
    try:
        with Picture.open(path) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise SceneError(f"{path}: larger than a picture for training may be")
            return np.asarray(picture.convert("L"))
    except OSError as error:
        raise SceneError(f"{path}: cannot be read as a picture") from error


def held_out(pair: FloodPair) -> bool:
    """Whether a pair is kept from training: one in five of the runs."""
    return pair.run % VALIDATION == 2


def train_floods(
    config: FloodTraining, pairs: Sequence[FloodPair], out: Path, *, resume: bool = False
) -> Tagger:
    """Train on the pairs that are not held out; return the averaged net."""
    seen = [pair for pair in pairs if not (config.hold_out and held_out(pair))]

    def draw(
        rng: np.random.Generator,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        return _crop(config, seen[rng.integers(len(seen))], rng)

    torch.manual_seed(config.seed)
    net = Tagger(net_settings(config))
    load_encoder(net.net.encoder)
    step = FloodStep(net, config.schedule, torch.ones(2), draw, config.seed)
    train_loop(step, step.rng, config.schedule, out, resume=resume, config=config.model_dump_json())
    average = step.average.net.eval()
    assert isinstance(average, Tagger)
    return average


def net_settings(config: FloodTraining) -> TaggerSettings:
    """Return what makes the net that ``config`` describes."""
    return TaggerSettings(classes=CLASSES, channels_in=2, decoder="unet", stages=config.stages)


def _crop(
    config: FloodTraining, pair: FloodPair, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return a crop of both dates in another stretch, and its mask."""
    y, x = (int(rng.integers(max(size - config.crop, 0) + 1)) for size in pair.flood.shape)
    window = (slice(y, y + config.crop), slice(x, x + config.crop))
    dates = pair.dates[(slice(None), *window)].astype(np.float64)
    slope = rng.uniform(1 - config.contrast, 1 + config.contrast, (2, 1, 1))
    dates = dates * slope + rng.normal(0, config.gain, (2, 1, 1))
    if rng.random() < config.speckle:
        dates = dates + rng.normal(0, rng.uniform(0, 0.4), dates.shape)
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    return (
        turned(dates.astype(np.float32), turns, flip),
        turned(pair.flood[window][None], turns, flip)[0],
    )


def judge_floods(net: Tagger, pairs: Sequence[FloodPair]) -> dict[str, float]:
    """Return IoU, F1, precision and recall of the flood, the pixels of all pairs pooled."""
    counts = np.zeros(3)
    for pair in pairs:
        with torch.inference_mode():
            scores = net(torch.from_numpy(pair.dates[None]))[0].numpy()
        found, truth = scores[1] > scores[0], pair.flood == 1
        counts += (found & truth).sum(), found.sum(), truth.sum()
    both, found_all, true_all = counts
    figures = {
        "IoU": both / (found_all + true_all - both),
        "F1": 2 * both / (found_all + true_all),
        "precision": both / max(found_all, 1),
        "recall": both / max(true_all, 1),
    }
    return {name: round(float(value), 3) for name, value in figures.items()}


def flood_card(config: FloodTraining, file: str, net: Tagger, pairs: Sequence[FloodPair],
               test: Sequence[FloodPair]) -> Card:  # fmt: skip
    """Return the card of a flood net made from the configuration ``file``."""
    held = [pair for pair in pairs if config.hold_out and held_out(pair)]
    stride = 2**config.stages
    return Card(
        name=config.name,
        kind="flood",
        summary="Tells from two dates of C-band backscatter where water came between them.",
        architecture="Tagger",
        settings=net_settings(config).model_dump(mode="json"),
        polarisations=("vv", "vh"),
        bands_out=CLASSES,
        input_units="linear power of any gain",
        pixel_m=(8.0, 15.0),
        normalisation=config.norm,
        margin=find_margin(net, 2, stride),
        stride=stride,
        training={
            "command": f"sar2opt train configs/{file} --data DATA --out OUT",
            "protocol": f"{len(pairs) - len(held)} pairs of pictures to train on; {len(held)} in "
            f"runs of {config.run} numbers held out; {len(test)} test pairs, of other numbers, "
            "judged once, after all choices were made; the same floods may be in all of them",
            "remarks": config.remarks or "none",
            "configuration": str(config.model_dump()),
        },
        figures={
            "pixels pooled": {
                name: judge_floods(net, part)
                for name, part in (("validation", held), ("test", test)) if part
            },
        },
        licences=(*FLOOD_SOURCES, ENCODER),
        limits=FLOOD_LIMITS,
    )  # fmt: skip
