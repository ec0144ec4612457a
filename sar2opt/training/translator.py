"""Training the translator: L1, perceptual and adversarial loss, uncertainty beside them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from sar2opt.config import Settings
from sar2opt.nets.discriminator import PatchDiscriminator
from sar2opt.nets.generator import Generator, GeneratorSettings
from sar2opt.nets.losses import (
    hinge_discriminator,
    laplace_nll,
    luminance,
    masked_mean,
    perceptual,
)
from sar2opt.training.data import CropSampler, Pair, TrainingSettings, match_tones
from sar2opt.training.loop import Averager, Schedule, set_norms, train_loop
from sar2opt.training.pretrained import PerceptualFeatures, load_encoder


class LossSettings(Settings):
    """Weights of the loss terms."""

    l1: float = 1.0
    perceptual: float = 0.1
    adversarial: float = 0.01
    adversarial_from: float = Field(0.4, description="share of the steps before the GAN joins")
    uncertainty: float = 0.05


class TranslatorTraining(TrainingSettings):
    """Everything that makes a translator; ``sar2opt train`` reads it from TOML."""

    kind: str = "translator"
    name: str = "translator"
    crop: int = 192
    schedule: Schedule = Schedule()
    freeze_norms_from: float = 0.625  # share of the steps after which batch norms are constants
    loss: LossSettings = LossSettings()
    generator: GeneratorSettings = GeneratorSettings()


class TranslatorStep:
    """One step of training: the nets, their optimisers and the loss."""

    def __init__(self, config: TranslatorTraining, sampler: CropSampler) -> None:
        self.config = config
        self.sampler = sampler
        self.generator = Generator(config.generator)
        load_encoder(self.generator.encoder)
        self.discriminator = PatchDiscriminator()
        self.features = PerceptualFeatures()
        for net in (self.generator, self.discriminator, self.features):
            net.to(memory_format=torch.channels_last)
        rate = config.schedule.rate
        self.optimiser = torch.optim.AdamW(self.generator.parameters(), rate, weight_decay=1e-4)
        self.critic_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), 2e-4, betas=(0.5, 0.999)
        )
        self.average = Averager(self.generator)

    def nets(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return what a checkpoint must hold to resume exactly."""
        return {
            "generator": self.generator,
            "average": self.average.net,
            "discriminator": self.discriminator,
            "optimiser": self.optimiser,
            "critic_optimiser": self.critic_optimiser,
        }

    def __call__(self, progress: float) -> dict[str, float]:
        """Do one step at ``progress`` in [0, 1]; return the figures to log."""
        sar, target, mask, grey = self._batch()
        frozen = progress >= self.config.freeze_norms_from
        set_norms(self.generator, self.average.net, frozen=frozen)
        output = self.generator(sar)
        image, log_scale = output[:, :3], output[:, 3:]
        seen = torch.where(grey, luminance(image).expand_as(image), image)
        error = (seen - target).abs().mean(dim=1, keepdim=True)
        loss = self.config.loss
        terms = {
            "l1": (loss.l1, masked_mean(error, mask)),
            "uncertainty": (loss.uncertainty, laplace_nll(error, log_scale, mask)),
            "perceptual": (
                loss.perceptual,
                perceptual(self.features(seen * mask), self.features(target * mask), mask),
            ),
        }
        if loss.adversarial > 0 and progress >= loss.adversarial_from:
            terms["critic"] = (0.0, self._train_critic(sar, target, seen.detach()))
            terms["adversarial"] = (loss.adversarial, -self.discriminator(sar, seen).mean())
        total = sum((weight * term for weight, term in terms.values()), torch.zeros(()))
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.generator)
        return {name: float(term.detach()) for name, (_, term) in terms.items()}

    def _train_critic(self, sar: Tensor, target: Tensor, fake: Tensor) -> Tensor:
        scores = hinge_discriminator(self.discriminator(sar, target), self.discriminator(sar, fake))
        self.critic_optimiser.zero_grad(set_to_none=True)
        scores.backward()
        self.critic_optimiser.step()
        return scores.detach()

    def _batch(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        draws = [self.sampler.draw() for _ in range(self.config.schedule.batch)]
        sar = torch.from_numpy(np.stack([draw[0] for draw in draws]))  # (n, 1, y, x)
        target = torch.from_numpy(np.stack([draw[1] for draw in draws]))  # (n, 3, y, x)
        grey = torch.tensor([draw[2] for draw in draws])[:, None, None, None]
        mask = torch.isfinite(sar).float()
        sar = torch.nan_to_num(sar, nan=0.0).contiguous(memory_format=torch.channels_last)
        return sar, target.contiguous(memory_format=torch.channels_last), mask, grey


def train_translator(
    config: TranslatorTraining, pairs: list[Pair], out: Path, *, resume: bool = False
) -> tuple[Generator, dict[str, tuple[tuple[float, float], ...]]]:
    """Train on the training places of ``pairs``; return the averaged net and the tone maps.

    Writes checkpoints and ``log.csv`` below ``out``; with ``resume`` goes on from the last one.
    """
    torch.manual_seed(config.seed)
    torch.set_flush_denormal(True)
    tones = match_tones(pairs, config.sources)
    sampler = CropSampler(
        pairs,
        config.sources,
        tones,
        config.norm,
        config.crop,
        config.gain_jitter_db,
        np.random.default_rng(config.seed),
    )
    step = TranslatorStep(config, sampler)
    train_loop(step, sampler.rng, config.schedule, out, resume=resume)
    average = copy.deepcopy(step.average.net).eval()
    assert isinstance(average, Generator)
    return average, tones
