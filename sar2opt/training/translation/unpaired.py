"""Training the translator without pairs: there and back again must end where it began.

CycleGAN (Zhu et al. 2017) with the nets of the paired training. A second generator of the same
kind maps imagery back to backscatter; two discriminators judge the two kinds of picture. SAR and
optical crops come from different places, so no pixel is ever told what it should be.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from sar2opt.nets.discriminator import MultiScaleDiscriminator, scores_of
from sar2opt.nets.generator import Generator
from sar2opt.nets.losses import hinge_discriminator, laplace_nll, masked_mean
from sar2opt.training.crops import CropSampler
from sar2opt.training.loop.average import Averager, set_norms
from sar2opt.training.loop.parallel import share_gradients
from sar2opt.training.pretrained import load_encoder
from sar2opt.training.translation.paired import Batch, Painted, TranslatorTraining, first_generator

HIGH, LOW = 1.0, -3.0  # range of normalised backscatter


class UnpairedStep:
    """One step of unpaired training; the same face as ``TranslatorStep``."""

    def __init__(self, config: TranslatorTraining, sampler: CropSampler, device: str) -> None:
        self.config, self.sampler, self.device = config, sampler, device
        self.generator = first_generator(config)
        self.back = Generator(config.generator.model_copy(update={"channels_in": 3}))
        if config.pretrained:
            load_encoder(self.back.encoder)
        self.judge_optical = MultiScaleDiscriminator(channels_in=3)
        self.judge_sar = MultiScaleDiscriminator(channels_in=1)
        ways = (self.generator, self.back)
        judges = (self.judge_optical, self.judge_sar)
        for net in (*ways, *judges):
            net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        parameters = itertools.chain(*(net.parameters() for net in ways))
        self.optimiser = torch.optim.AdamW(parameters, config.schedule.rate, weight_decay=1e-4)
        self.critic_optimiser = torch.optim.Adam(
            itertools.chain(*(net.parameters() for net in judges)), 2e-4, betas=(0.5, 0.999)
        )
        self.average = Averager(self.generator)
        self.back_average = Averager(self.back)
        self.seen: list[str] = []

    def nets(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """Return what a checkpoint must hold to resume exactly."""
        return {
            "generator": self.generator,
            "average": self.average.net,
            "back": self.back,
            "back_average": self.back_average.net,
            "judge_optical": self.judge_optical,
            "judge_sar": self.judge_sar,
            "optimiser": self.optimiser,
            "critic_optimiser": self.critic_optimiser,
        }

    def __call__(self, progress: float) -> dict[str, float]:
        """Do one step at ``progress`` in [0, 1]; return the figures to log."""
        radar, optical = (self._draw() for _ in range(2))  # of different places
        self.seen = [*radar.names, *optical.names]
        frozen = progress >= self.config.freeze_norms_from
        set_norms(self.generator, self.average.net, frozen=frozen)
        set_norms(self.back, self.back_average.net, frozen=frozen)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.config.mixed_precision):
            terms = self._terms(radar, optical)
            total = sum((weight * term for weight, term in terms.values()), torch.zeros(()))
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        for net in (self.generator, self.back):
            share_gradients(net)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.generator)
        self.back_average.update(self.back)
        return {name: float(term.detach()) for name, (_, term) in terms.items()}

    def _draw(self) -> Batch:
        return Batch([self.sampler.draw() for _ in range(self.config.schedule.batch)], self.device)

    def _terms(self, radar: Batch, optical: Batch) -> dict[str, tuple[float, Tensor]]:
        loss = self.config.loss
        radar.look = optical.look  # the looks that the discriminator will compare
        painted = Painted(self.generator(radar.sar), radar)
        fake_sar = self._to_sar(optical.target)
        again_sar = self._to_sar(painted.image)
        again_optical = Painted(self.generator(fake_sar), optical).image
        sar_error = (again_sar - radar.sar).abs()
        optical_error = (again_optical - optical.target).abs().mean(dim=1, keepdim=True)
        critic = self._train_critics(radar, optical, painted.image.detach(), fake_sar.detach())
        deceive = scores_of(self.judge_optical(painted.image)).mean()
        deceive = deceive + scores_of(self.judge_sar(fake_sar)).mean()
        return {
            "cycle": (loss.cycle, masked_mean(sar_error, radar.mask) / (HIGH - LOW)),
            "cycle_optical": (loss.cycle, optical_error.mean()),
            "adversarial": (max(loss.adversarial, 0.1), -deceive),
            "critic": (0.0, critic),
            # how far a picture is from itself after a way there and back: a stand-in for the
            # error that nobody can see here
            "uncertainty": (
                loss.uncertainty,
                laplace_nll(optical_error, Painted(self.generator(fake_sar.detach()), optical)
                            .log_scale, optical.mask),
            ),
        }  # fmt: skip

    def _to_sar(self, image: Tensor) -> Tensor:
        grey = self.back(image)[:, [Generator.bands_out.index("grey")]].float()  # in [0, 1]
        sar: Tensor = LOW + (HIGH - LOW) * grey
        return sar

    def _train_critics(
        self, radar: Batch, optical: Batch, fake_optical: Tensor, fake_sar: Tensor
    ) -> Tensor:
        loss = hinge_discriminator(
            scores_of(self.judge_optical(optical.target)),
            scores_of(self.judge_optical(fake_optical)),
        ) + hinge_discriminator(
            scores_of(self.judge_sar(radar.sar)), scores_of(self.judge_sar(fake_sar))
        )
        self.critic_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for net in (self.judge_optical, self.judge_sar):
            share_gradients(net)
        self.critic_optimiser.step()
        return loss.detach()
