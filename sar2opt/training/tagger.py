"""Training the tagger: an optical teacher, its weak labels, and a student that sees only SAR."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import segmentation_models_pytorch as smp
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from sar2opt.errors import ConfigError
from sar2opt.nets.tagger import CLASSES, COVERS, TaggerSettings
from sar2opt.training.average import Averager, set_norms
from sar2opt.training.box_mean import box_mean
from sar2opt.training.crops import turned
from sar2opt.training.labels import IGNORE, LabelChip, restretch, tone_of
from sar2opt.training.loop import Schedule, train_loop
from sar2opt.training.pairs import Pair
from sar2opt.training.pretrained import load_encoder
from sar2opt.training.settings import TrainingSettings
from sar2opt.training.source_settings import SourceSettings

Draw = Callable[[np.random.Generator], tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]]


TOWN_DB = -2.0  # weak built-up labels darker than this, against the scene's level, are dropped
WATER_DB = -4.0  # and weak water labels brighter than this
FREEZE_NORMS_FROM = 0.625  # share of the steps after which batch norms are constants


class TaggerTraining(TrainingSettings):
    """Everything that makes a tagger; ``sar2opt train`` reads it from TOML."""

    kind: str = "tagger"
    name: str = "tagger"
    confidence: float = 0.7  # weak labels below this teacher's probability are ignored
    teacher: Schedule = Schedule(steps=600, batch=8)
    student: Schedule = Schedule(steps=1200, batch=8)
    synthetic_scenes: int = 40  # with true labels, for what is rare in the weak ones
    synthetic_share: float = 0.3  # of the student's crops
    sources: tuple[SourceSettings, ...] = ()
    pairs: Path | None = Field(None, description="a set that 'pairs build' made, beside sources")
    chip_labels: dict[str, str] = Field(
        {}, description="label of whole chips: the tag it stands for"
    )
    gain_jitter_db: float = 1.0  # stands for calibration
    net: TaggerSettings = TaggerSettings()
    weights: dict[str, float] = Field({}, description="how often each source is drawn; else 1")
    objects: bool = False  # tag ships and large structures, from weak labels of their own
    hulls: float = 0.0  # share of the crops with water on which simulated ships are laid
    wind: float = 0.0  # share of the crops whose water is roughened
    wind_db: float = 6.0  # by up to so much
    edges: float = 0.0  # share of the crops in which the scene ends
    remarks: str = ""  # for the card: what a reader of the figures should know


@dataclass(frozen=True)
class WeakPair:
    """A pair with the teacher's labels ``(y, x)`` on its optical side, 255 where it is unsure."""

    pair: Pair
    tags: npt.NDArray[np.uint8]


class TagStep:
    """One step of training a net that tags: cross-entropy, classes weighed by their rarity."""

    def __init__(
        self, net: nn.Module, schedule: Schedule, weights: Tensor, draw: Draw, seed: int
    ) -> None:
        self.net, self.schedule, self.weights, self.draw = net, schedule, weights, draw
        self.rng = np.random.default_rng(seed)
        self.net.to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), schedule.rate, weight_decay=1e-4)
        self.average = Averager(self.net)
        self.seen: list[str] = []

    def nets(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return what a checkpoint must hold to resume exactly."""
        return {"net": self.net, "average": self.average.net, "optimiser": self.optimiser}

    def __call__(self, progress: float) -> dict[str, float]:
        """Do one step; return the figures to log."""
        draws = [self.draw(self.rng) for _ in range(self.schedule.batch)]
        images = torch.from_numpy(np.stack([image for image, _ in draws]))
        tags = torch.from_numpy(np.stack([tags for _, tags in draws])).long()
        set_norms(self.net, self.average.net, frozen=progress >= FREEZE_NORMS_FROM)
        logits = self.net(images.contiguous(memory_format=torch.channels_last))
        loss = self.loss(logits, tags)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.net)
        known = tags != IGNORE
        right = (logits.argmax(dim=1) == tags)[known].float().mean()
        return {"loss": float(loss.detach()), "right": float(right)}

    def loss(self, logits: Tensor, tags: Tensor) -> Tensor:
        """Return the loss of logits ``(n, class, y, x)`` against tags ``(n, y, x)``."""
        return functional.cross_entropy(logits, tags, self.weights, ignore_index=IGNORE)


def make_teacher() -> nn.Module:
    """Return the teacher: a U-Net on all five stages, as it need be neither small nor fast."""
    net: nn.Module = smp.Unet(
        "tu-tf_efficientnet_lite0",
        encoder_weights=None,
        encoder_depth=5,
        decoder_channels=(96, 64, 48, 32, 16),
        classes=len(COVERS),
    )
    load_encoder(net.encoder)  # type: ignore[arg-type]
    return net


def train_teacher(
    config: TaggerTraining, chips: Sequence[LabelChip], out: Path, *, resume: bool = False
) -> nn.Module:
    """Train the optical teacher on the chips that are not held out; sees images in [0, 1]."""
    seen = [chip for chip in chips if not chip.held_out]
    kinds = [[c for c in seen if c.source == kind] for kind in sorted({c.source for c in seen})]

    def draw(
        rng: np.random.Generator,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        pool = kinds[rng.integers(len(kinds))]
        chip = pool[rng.integers(len(pool))]
        turns, flip = int(rng.integers(4)), bool(rng.integers(2))
        image = turned(restretch(chip.image, rng), turns, flip)
        return image, turned(chip.tags[None], turns, flip)[0]

    torch.manual_seed(config.seed)
    weights = class_weights([chip.tags for chip in seen])
    step = TagStep(make_teacher(), config.teacher, weights, draw, config.seed)
    train_loop(step, step.rng, config.teacher, out / "teacher", resume=resume)
    return copy.deepcopy(step.average.net).eval()


def label_weakly(
    teacher: nn.Module, pairs: Sequence[Pair], chips: Sequence[LabelChip], confidence: float
) -> list[WeakPair]:
    """Tag true colour with the teacher, each source in the tone of the chips it learnt from."""
    goal = tone_of([chip.image for chip in chips])
    colour = [pair for pair in pairs if pair.look == "natural"]
    weak = []
    for source in sorted({pair.source for pair in colour}):
        own = [pair for pair in colour if pair.source == source]
        tone = tone_of([pair.optical.astype(np.float32) / 255.0 for pair in own])
        for pair in own:
            image = (pair.optical / 255.0 - tone[0][:, None, None]) / tone[1][:, None, None]
            image = np.clip(image * goal[1][:, None, None] + goal[0][:, None, None], 0, 1)
            with torch.inference_mode():
                scores = teacher(torch.from_numpy(image[None].astype(np.float32)))
            best, tags = torch.softmax(scores, dim=1)[0].max(dim=0)
            known = (best >= confidence).numpy() & believable(tags.numpy(), pair)
            weak.append(WeakPair(pair, np.where(known, tags.numpy(), IGNORE).astype(np.uint8)))
    return weak


def label_by_chip(pairs: Sequence[Pair], chip_labels: Mapping[str, str]) -> list[WeakPair]:
    """Give every pixel of a chip the tag that the chip's label stands for, where it may be so.

    Raises ``ConfigError`` where there is no such tag.
    """
    if unknown := sorted(set(chip_labels.values()) - set(CLASSES)):
        raise ConfigError(f"chip_labels: no tag is called {unknown[0]}: say {', '.join(CLASSES)}")
    weak = []
    for pair in pairs:
        if pair.label in chip_labels:
            tag = CLASSES.index(chip_labels[pair.label])
            tags = np.full(pair.decibel.shape, tag, np.uint8)
            known = believable(tags, pair)
            if chip_labels[pair.label] != "water":
                known &= _relative(pair) > WATER_DB  # a wood may have a lake in it
            weak.append(WeakPair(pair, np.where(known, tags, np.uint8(IGNORE))))
    return weak


def believable(tags: npt.NDArray[np.integer], pair: Pair) -> npt.NDArray[np.bool_]:
    """Return where backscatter does not contradict a tag ``(y, x)``.

    Walls and corners make towns bright and smooth water is dark, whatever an optical net makes of
    brown hills and dark roofs. Judged on power averaged over 9 x 9 pixels.
    """
    relative = _relative(pair)
    built_up, water = tags == CLASSES.index("built_up"), tags == CLASSES.index("water")
    dark_town, bright_water = built_up & (relative < TOWN_DB), water & (relative > WATER_DB)
    agreed: npt.NDArray[np.bool_] = np.isfinite(pair.decibel) & ~dark_town & ~bright_water
    return agreed


def _relative(pair: Pair) -> npt.NDArray[np.float32]:
    """Return backscatter averaged over 9 x 9 pixels, in dB against the scene's level."""
    mean = box_mean(10.0 ** (pair.decibel.astype(np.float32) / 10.0), 9)
    decibel: npt.NDArray[np.float32] = np.float32(10.0) * np.log10(np.maximum(mean, 1e-9))
    return decibel - np.float32(pair.levels[0])


def class_weights(tags: Sequence[npt.NDArray[np.uint8]], classes: int = len(COVERS)) -> Tensor:
    """Return one weight a class: the inverse root of its share, at most four times the mean."""
    counts = sum(np.bincount(part.ravel(), minlength=256)[:classes] for part in tags)
    share = np.maximum(counts / np.sum(counts), 1e-4)
    weights = share**-0.5
    return torch.tensor(np.minimum(weights / np.average(weights, weights=share), 4.0)).float()
