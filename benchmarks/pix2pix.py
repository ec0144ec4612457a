"""pix2pix as published, trained on a set of pairs and judged beside a bundle in one table.

    python benchmarks/pix2pix.py --data pairs/ --look natural --minutes 60 --out runs/pix2pix \
        [--resume] [--beside MODEL ...] [--batch 1] [--device auto]

Isola et al. 2017: a U-Net generator of 256 pixels with dropout in its decoder, a discriminator of
70 x 70 patches that sees input and output, binary cross-entropy and 100 times the L1 distance,
Adam at 2e-4 with betas 0.5 and 0.999, batches of one, weights drawn from N(0, 0.02), batch norm
with the statistics of the image in training and in use. Images are jittered as there: resampled
from 256 to 286 pixels, cut to 256 at random and mirrored. That resamples backscatter as if it were
a photograph; it is the published recipe. Input is normalised backscatter, mapped to [-1, 1].

Training time counts, not steps; what a checkpoint has had is not had again. Judged on test pairs
cut into tiles of 256 pixels; a bundle beside it is judged on the same tiles, without a margin.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sar2opt.errors import PairsError, Sar2optError
from sar2opt.nets.models import choose_device, choose_precision
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.tiles.engine import count_workers
from sar2opt.training.judging.baselines import serves, target_of
from sar2opt.training.judging.evaluate import load_translators
from sar2opt.training.judging.evaluation import without_nan
from sar2opt.training.judging.features import load_perception
from sar2opt.training.judging.judge import Row, judge
from sar2opt.training.judging.methods import Method, translator_method
from sar2opt.training.judging.tables import markdown, table_of
from sar2opt.training.pairs.files import read_set
from sar2opt.training.pairs.pair import Image, Look, Pair, split_of

TILE, JITTERED = 256, 286
L1_WEIGHT, RATE, BETAS = 100.0, 2e-4, (0.5, 0.999)
CHECKPOINT_SECONDS, TELL_SECONDS = 120.0, 30.0
NORM = NormalisationSettings()


@dataclass(frozen=True)
class Recipe:
    """What differs between runs; all else is as published."""

    look: Look = "natural"
    minutes: float = 60.0
    batch: int = 1
    width: int = 64  # ngf and ndf
    seed: int = 0
    device: str = "cpu"


class Level(nn.Module):
    """One level of the U-Net: down, what lies within, up, beside the untouched input."""

    def __init__(
        self, outer: int, inner: int, within: nn.Module | None, *, drop: bool = False
    ) -> None:
        super().__init__()
        down: list[nn.Module] = [
            nn.LeakyReLU(0.2), nn.Conv2d(outer, inner, 4, 2, 1, bias=False)
        ]  # fmt: skip
        up: list[nn.Module] = [
            nn.ReLU(),
            nn.ConvTranspose2d(2 * inner if within else inner, outer, 4, 2, 1, bias=False),
            nn.BatchNorm2d(outer),
        ]
        if within:
            down.append(nn.BatchNorm2d(inner))
        if drop:
            up.append(nn.Dropout(0.5))
        self.layers = nn.Sequential(*down, *([within] if within else []), *up)

    def forward(self, x: Tensor) -> Tensor:
        # (n, outer, y, x) -> (n, 2 outer, y, x)
        return torch.cat([x, self.layers(x)], dim=1)


def make_generator(bands: int, width: int) -> nn.Module:
    """Return U-Net-256: eight halvings to one pixel, and back; ``(n, 1, y, x)`` in [-1, 1]."""
    net = Level(8 * width, 8 * width, None)
    for _ in range(3):
        net = Level(8 * width, 8 * width, net, drop=True)
    for outer in (4, 2, 1):
        net = Level(outer * width, 2 * outer * width, net)
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1, bias=False), net, nn.ReLU(),
        nn.ConvTranspose2d(2 * width, bands, 4, 2, 1), nn.Tanh(),
    ).apply(_draw_weights)  # fmt: skip


def make_discriminator(bands: int, width: int) -> nn.Module:
    """Return PatchGAN: scores of patches of 70 pixels, from input and output side by side."""
    layers: list[nn.Module] = [nn.Conv2d(1 + bands, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for before, after, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
        layers += [
            nn.Conv2d(before * width, after * width, 4, stride, 1, bias=False),
            nn.BatchNorm2d(after * width),
            nn.LeakyReLU(0.2),
        ]
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1)).apply(_draw_weights)


def _draw_weights(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Pix2Pix:
    """The nets, their optimisers and the random stream: what a checkpoint holds."""

    def __init__(self, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        bands = 1 if recipe.look == "grey" else 3
        self.recipe = recipe
        self.generator = make_generator(bands, recipe.width)
        self.discriminator = make_discriminator(bands, recipe.width)
        for net in (self.generator, self.discriminator):
            net.to(recipe.device, memory_format=torch.channels_last)
        self.optimisers = [
            torch.optim.Adam(net.parameters(), RATE, betas=BETAS)
            for net in (self.generator, self.discriminator)
        ]
        self.rng = np.random.default_rng(recipe.seed)
        self.steps, self.seconds = 0, 0.0

    def step(self, sar: Tensor, real: Tensor) -> dict[str, float]:
        """Train on a batch, discriminator first; images are in [-1, 1]."""
        with self._precision():
            fake = self.generator(sar)
            scores = [
                self.discriminator(torch.cat([sar, image], dim=1))
                for image in (fake.detach(), real)
            ]
        critic = (_cross_entropy(scores[0], 0.0) + _cross_entropy(scores[1], 1.0)) / 2
        _descend(self.optimisers[1], critic)
        self.discriminator.requires_grad_(False)
        with self._precision():
            score = self.discriminator(torch.cat([sar, fake], dim=1))
        l1 = functional.l1_loss(fake.float(), real)
        _descend(self.optimisers[0], _cross_entropy(score, 1.0) + L1_WEIGHT * l1)
        self.discriminator.requires_grad_(True)
        self.steps += 1
        return {"critic": float(critic.detach()), "l1": float(l1.detach())}

    def method(self) -> Method:
        """Return the generator as it is used: in train mode, so dropout and batch norm stay."""

        def paint(sar: Image) -> Image:
            tile = to_input(sar)[None]
            with torch.no_grad(), self._precision():
                output = self.generator(tile.to(self.recipe.device))[0]
            return (0.5 * output.float() + 0.5).cpu().numpy()

        return paint

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {
            "recipe": asdict(replace(self.recipe, minutes=0.0)),
            "nets": [net.state_dict() for net in (self.generator, self.discriminator)],
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "numpy_rng": self.rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
            "steps": self.steps,
            "seconds": self.seconds,
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint of the same recipe, however long that one had."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["recipe"] != asdict(replace(self.recipe, minutes=0.0)):
            raise PairsError(f"{path}: belongs to another recipe: {state['recipe']}")
        for net, own in zip((self.generator, self.discriminator), state["nets"], strict=True):
            net.load_state_dict(own)
        for optimiser, own in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(own)
        self.rng.bit_generator.state = state["numpy_rng"]
        torch.set_rng_state(state["torch_rng"])
        self.steps, self.seconds = state["steps"], state["seconds"]

    def _precision(self) -> torch.autocast:
        device = self.recipe.device
        fast = choose_precision("auto", device) == "bfloat16"
        return torch.autocast(device, torch.bfloat16, enabled=fast)


def _cross_entropy(scores: Tensor, truth: float) -> Tensor:
    scores = scores.float()
    return functional.binary_cross_entropy_with_logits(scores, torch.full_like(scores, truth))


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def to_input(sar: Image) -> Tensor:
    """Return normalised backscatter ``(y, x)`` as ``(1, y, x)`` in [-1, 1]."""
    known = torch.from_numpy(np.nan_to_num(sar, nan=0.0))[None]
    return 2.0 * (known - NORM.low) / (NORM.high - NORM.low) - 1.0


def tiles_of(pairs: Sequence[Pair], look: Look) -> list[Pair]:
    """Cut pairs into tiles of 256 pixels with data nearly all over; held-out ones without rim."""
    tiles = []
    for pair in pairs:
        inner = pair.judged if pair.split != "train" else (slice(None), slice(None))
        decibel, optical = pair.decibel[inner], pair.optical[(slice(None), *inner)]
        for y in range(0, decibel.shape[0] - TILE + 1, TILE):
            for x in range(0, decibel.shape[1] - TILE + 1, TILE):
                window = (slice(y, y + TILE), slice(x, x + TILE))
                if serves(pair, look) and np.isfinite(decibel[window]).mean() > 0.95:
                    tiles.append(
                        replace(
                            pair,
                            name=f"{pair.name}/{y}-{x}",
                            decibel=decibel[window],
                            optical=optical[(slice(None), *window)],
                            ground=None,  # no part of a scene any more: all of it is judged
                        )
                    )
    return tiles


def draw(model: Pix2Pix, tiles: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Draw a jittered batch: input ``(n, 1, y, x)`` and target ``(n, band, y, x)`` in [-1, 1]."""
    recipe, batch = model.recipe, []
    for number in model.rng.integers(len(tiles), size=recipe.batch):
        tile = tiles[number]
        target = 2.0 * torch.from_numpy(target_of(tile, recipe.look)) - 1.0
        both = torch.cat([to_input(tile.sar(NORM)), target])[None]
        both = functional.interpolate(both, (JITTERED, JITTERED), mode="bicubic").clamp(-1.0, 1.0)
        y, x = model.rng.integers(JITTERED - TILE + 1, size=2)
        both = both[..., y : y + TILE, x : x + TILE]
        batch.append(both.flip(-1) if model.rng.random() < 0.5 else both)
    whole = torch.cat(batch).to(recipe.device, memory_format=torch.channels_last)
    return whole[:, :1], whole[:, 1:]


def train(model: Pix2Pix, tiles: Sequence[Pair], out: Path) -> None:
    """Train until the recipe's minutes are over, keeping a checkpoint; tells how it goes."""
    before, began = model.seconds, time.monotonic()
    kept = told = began
    sums: dict[str, float] = {}
    since = model.steps
    while model.seconds < 60.0 * model.recipe.minutes:
        for name, value in model.step(*draw(model, tiles)).items():
            sums[name] = sums.get(name, 0.0) + value
        now = time.monotonic()
        model.seconds = before + now - began
        if now - told > TELL_SECONDS:
            means = {name: round(s / (model.steps - since), 4) for name, s in sums.items()}
            print(f"{model.seconds / 60:7.1f} min {model.steps:7d} steps {means}", flush=True)
            sums, since, told = {}, model.steps, now
        if now - kept > CHECKPOINT_SECONDS:
            model.save(out)
            kept = now
    model.save(out)


def benchmark(
    recipe: Recipe, data: Path, out: Path, *, beside: Sequence[str] = (), resume: bool = False
) -> list[Row]:
    """Train, judge and write ``pix2pix_LOOK.json`` and ``.md`` below ``out``; returns the rows."""
    pairs = read_set(data).pairs
    tiles = tiles_of(pairs, recipe.look)
    if not split_of(tiles, "train") or not split_of(tiles, "test"):
        raise PairsError(
            f"{data}: no tiles of {TILE} pixels to train and to judge {recipe.look} on"
        )
    translators = load_translators(beside)
    for name, translator in translators.items():
        if translator.card.normalisation != NORM:
            raise PairsError(f"{name}: normalises otherwise than this benchmark: judge it apart")
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / f"pix2pix_{recipe.look}.pt"
    model = Pix2Pix(recipe)
    if resume:
        model.restore(checkpoint)
    train(model, split_of(tiles, "train"), checkpoint)
    torch.manual_seed(recipe.seed)  # of the dropout
    methods = {"pix2pix": model.method()}
    for name, translator in translators.items():
        methods[name] = translator_method(translator, recipe.look)
    rows = judge(methods, tiles, NORM, recipe.look, perception=load_perception())
    facts = {
        "recipe": asdict(recipe),
        "steps": model.steps,
        "minutes": round(model.seconds / 60, 1),
        "images_seen": model.steps * recipe.batch,
        "training_tiles": len(split_of(tiles, "train")),
        "beside": {name: translator.sha256 for name, translator in translators.items()},
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    write(rows, facts, recipe.look, out)
    return rows


def write(rows: Sequence[Row], facts: dict[str, Any], look: Look, out: Path) -> None:
    """Write the rows as JSON and as a table."""
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    heading = f"# pix2pix as published, look {look}, on test tiles of {TILE} pixels\n\n{told}\n\n"
    table = heading + markdown(table_of(rows, look))
    (out / f"pix2pix_{look}.md").write_text(table, encoding="utf-8")
    plain = without_nan({**facts, "rows": [asdict(row) for row in rows]})
    text = json.dumps(plain, indent=1) + "\n"
    (out / f"pix2pix_{look}.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Train pix2pix on a set of pairs and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="set of pairs")
    parser.add_argument("--out", type=Path, required=True, help="checkpoint and figures go here")
    parser.add_argument("--look", choices=("natural", "vivid", "grey"), default="natural")
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="of training, all runs together"
    )
    parser.add_argument("--batch", type=int, default=1, help="1 as published")
    parser.add_argument("--width", type=int, default=64, help="ngf and ndf; 64 as published")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--beside", action="append", default=[], help="a bundle; repeatable")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    given = vars(parser.parse_args())
    data, out, beside, resume = (given.pop(name) for name in ("data", "out", "beside", "resume"))
    torch.set_num_threads(count_workers(0))
    torch.set_flush_denormal(True)
    try:
        recipe = Recipe(**{**given, "device": choose_device(given["device"])})
        benchmark(recipe, data, out, beside=beside, resume=resume)
    except Sar2optError as error:
        parser.exit(2, f"pix2pix: {error}\n")
    print((out / f"pix2pix_{recipe.look}.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
