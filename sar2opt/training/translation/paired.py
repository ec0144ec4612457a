"""Training the translator on pairs: all looks in one batch, each head where it has a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from sar2opt.config import Settings
from sar2opt.errors import ConfigError
from sar2opt.nets.bundle import load_net
from sar2opt.nets.bundle_files import find_bundle
from sar2opt.nets.discriminator import MultiScaleDiscriminator, scores_of
from sar2opt.nets.generator import LOOK_BANDS, Generator, GeneratorSettings
from sar2opt.nets.losses import (
    feature_matching,
    hinge_discriminator,
    laplace_nll,
    luminance,
    masked_mean,
    perceptual,
    texture,
)
from sar2opt.training.crops import AugmentSettings, Crop, CropSampler
from sar2opt.training.loop.average import Averager, set_norms
from sar2opt.training.loop.parallel import share_gradients
from sar2opt.training.loop.run import Schedule
from sar2opt.training.pairs.pair import Look
from sar2opt.training.pretrained import PerceptualFeatures, load_encoder
from sar2opt.training.settings import TrainingSettings

LOOKS: tuple[Look, ...] = ("natural", "vivid", "grey")  # in the order of the generator's bands


class LossSettings(Settings):
    """Weights of the loss terms; a weight of 0 leaves a term out."""

    l1: float = 1.0
    perceptual: float = 0.1
    texture: float = Field(0.02, description="local contrast in the perceptual features")
    texture_share: float = Field(0.7, description="of the target's; above it, grain is invented")
    adversarial: float = 0.01
    feature_matching: float = 0.1
    sharpen_from: float = Field(0.5, description="share of the steps before texture and GAN join")
    uncertainty: float = 0.05
    cycle: float = Field(5.0, description="unpaired: there and back again")


class TranslatorTraining(TrainingSettings):
    """Everything that makes a translator; ``sar2opt train`` reads it from TOML."""

    kind: str = "translator"
    name: str = "translator"
    mode: Literal["paired", "unpaired"] = "paired"
    weights: dict[str, float] = Field({}, description="share of the crops by source; all if empty")
    smooth: tuple[str, ...] = Field((), description="sources without speckle")
    crop: int = 192
    augment: AugmentSettings = AugmentSettings()
    schedule: Schedule = Schedule()
    freeze_norms_from: float = 0.3  # share of the steps after which batch norms are constants
    loss: LossSettings = LossSettings()
    generator: GeneratorSettings = GeneratorSettings()
    mixed_precision: bool = Field(False, description="bfloat16; worth it on GPUs")
    pretrained: bool = Field(True, description="start the encoder from ImageNet weights")
    start: str = Field("", description="bundle to go on from, all of it: a name or .safetensors")
    default_look: Look = "natural"


def first_generator(config: TranslatorTraining) -> Generator:
    """Return the net that a training begins with: of a bundle, or with an ImageNet encoder.

    Raises ``ModelError`` where there is no such bundle, ``ConfigError`` where it does not fit.
    """
    generator = Generator(config.generator)
    if config.start:
        net, card = load_net(find_bundle(config.start))
        if (
            not isinstance(net, Generator)
            or GeneratorSettings.model_validate(card.settings) != config.generator
            or card.normalisation != config.norm
        ):
            raise ConfigError(
                f"start = {config.start!r}: that bundle is of another kind of net, or normalises "
                "its input otherwise: take [generator] and the norm_ settings from its card"
            )
        generator.load_state_dict(net.state_dict())
    elif config.pretrained:
        load_encoder(generator.encoder)
    return generator


class Batch:
    """Crops as tensors: ``sar`` and ``mask`` ``(n, 1, y, x)``, ``target`` ``(n, 3, y, x)``."""

    def __init__(self, crops: Sequence[Crop], device: str = "cpu") -> None:
        self.names = [crop.name for crop in crops]
        sar = torch.from_numpy(np.stack([crop.sar for crop in crops])).to(device)
        target = torch.from_numpy(np.stack([crop.target for crop in crops])).to(device)
        self.mask = torch.isfinite(sar).float()
        self.sar = torch.nan_to_num(sar, nan=0.0).contiguous(memory_format=torch.channels_last)
        self.target = target.contiguous(memory_format=torch.channels_last)
        looks = torch.tensor([LOOKS.index(crop.look) for crop in crops], device=device)
        self.look = functional.one_hot(looks, len(LOOKS)).float()[..., None, None]  # (n, 3, 1, 1)

    def is_look(self, look: Look) -> Tensor:
        """Return ``(n, 1, 1, 1)``: 1 for the crops whose target is of that look."""
        number = LOOKS.index(look)
        return self.look[:, number : number + 1]


class Painted:
    """The generator's output for a batch, told apart."""

    def __init__(self, output: Tensor, batch: Batch) -> None:
        sizes = [*(len(bands) for bands in LOOK_BANDS.values()), *(1 for _ in LOOKS)]
        natural, vivid, grey, *scales = output.float().split(sizes, dim=1)
        self.natural, self.grey = natural, grey
        heads = (natural, vivid, grey.expand_as(natural))
        shares = [batch.is_look(look) for look in LOOKS]
        self.image = sum((h * s for h, s in zip(heads, shares, strict=True)), torch.zeros(()))
        self.log_scale = sum((h * s for h, s in zip(scales, shares, strict=True)), torch.zeros(()))
        self.grey_log_scale = scales[LOOKS.index("grey")]


class TranslatorStep:
    """One step of training: the nets, their optimisers and the loss."""

    def __init__(self, config: TranslatorTraining, sampler: CropSampler, device: str) -> None:
        self.config, self.sampler, self.device = config, sampler, device
        self.generator = first_generator(config)
        self.discriminator = MultiScaleDiscriminator(channels_in=1 + 3 + len(LOOKS))
        self.features = PerceptualFeatures()
        for net in (self.generator, self.discriminator, self.features):
            net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        rate = config.schedule.rate
        self.optimiser = torch.optim.AdamW(self.generator.parameters(), rate, weight_decay=1e-4)
        self.critic_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), 2e-4, betas=(0.5, 0.999)
        )
        self.average = Averager(self.generator)
        self.seen: list[str] = []

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
        batch = Batch([self.sampler.draw() for _ in range(self.config.schedule.batch)], self.device)
        self.seen = batch.names
        frozen = progress >= self.config.freeze_norms_from
        set_norms(self.generator, self.average.net, frozen=frozen)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.config.mixed_precision):
            terms = self._terms(batch, progress)
            total = sum((weight * term for weight, term in terms.values()), torch.zeros(()))
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        share_gradients(self.generator)
        nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.generator)
        return {name: float(term.detach()) for name, (_, term) in terms.items()}

    def _terms(self, batch: Batch, progress: float) -> dict[str, tuple[float, Tensor]]:
        """Return the weighted terms of the generator's loss; trains the critic on the way."""
        loss = self.config.loss
        painted = Painted(self.generator(batch.sar), batch)
        image, target, mask = painted.image, batch.target, batch.mask
        error = (image - target).abs().mean(dim=1, keepdim=True)
        features, wanted = (self.features(part * mask) for part in (image, target))
        terms = {
            "l1": (loss.l1, masked_mean(error, mask)),
            "luminance": (0.5 * loss.l1, self._luminance(painted, batch)),
            "perceptual": (loss.perceptual, perceptual(features, wanted, mask)),
            "uncertainty": (loss.uncertainty, self._uncertainty(painted, batch, error)),
        }
        if progress < loss.sharpen_from:  # before it knows where things are, grain is noise
            return terms
        terms["texture"] = (loss.texture, texture(features, wanted, mask, loss.texture_share))
        if loss.adversarial > 0:
            real, fake = (self._judged(batch, part) for part in (target, image.detach()))
            terms["critic"] = (0.0, self._train_critic(real, fake))
            with torch.no_grad():
                like_real = self.discriminator(real)
            found = self.discriminator(self._judged(batch, image))
            terms["adversarial"] = (loss.adversarial, -scores_of(found).mean())
            terms["matching"] = (loss.feature_matching, feature_matching(like_real, found))
        return terms

    def _luminance(self, painted: Painted, batch: Batch) -> Tensor:
        """A colour target teaches the grey head, a grey target the luminance of true colour."""
        of_natural = (painted.grey - luminance(batch.target)).abs()
        of_grey = (luminance(painted.natural) - batch.target[:, :1]).abs()
        natural, grey = (batch.is_look(look) for look in ("natural", "grey"))
        total: Tensor = natural * of_natural + grey * of_grey
        return masked_mean(total, batch.mask * (natural + grey))

    def _uncertainty(self, painted: Painted, batch: Batch, error: Tensor) -> Tensor:
        grey_error = (painted.grey - luminance(batch.target)).abs()
        natural = batch.is_look("natural")
        return laplace_nll(error, painted.log_scale, batch.mask) + laplace_nll(
            grey_error, painted.grey_log_scale, batch.mask * natural
        )

    def _judged(self, batch: Batch, image: Tensor) -> Tensor:
        look = batch.look.expand(-1, -1, *image.shape[2:])
        return torch.cat([batch.sar, image * batch.mask, look], dim=1)

    def _train_critic(self, real: Tensor, fake: Tensor) -> Tensor:
        score_real, score_fake = (scores_of(self.discriminator(part)) for part in (real, fake))
        loss = hinge_discriminator(score_real, score_fake)
        self.critic_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(self.discriminator)
        self.critic_optimiser.step()
        return loss.detach()
