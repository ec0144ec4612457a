"""One step of training a net that tags, its classes in balance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from sar2opt.nets.tagger import COVERS
from sar2opt.training.loop.average import Averager, set_norms
from sar2opt.training.loop.run import Schedule
from sar2opt.training.tags.chips import IGNORE
from sar2opt.training.tags.weak_labels import ONE_OF

Draw = Callable[[np.random.Generator], tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]]

FREEZE_NORMS_FROM = 0.625  # share of the steps after which batch norms are constants


class TagStep:
    """One step of training a net that tags: cross-entropy, classes weighed by their rarity.

    ``open_sets``, ``(set, class)``, says which classes a label from ``ONE_OF`` on leaves open.
    """

    def __init__(
        self,
        net: nn.Module,
        schedule: Schedule,
        weights: Tensor,
        draw: Draw,
        seed: int,
        open_sets: Tensor | None = None,
    ) -> None:
        self.net, self.schedule, self.weights, self.draw = net, schedule, weights, draw
        self.open_sets = open_sets
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
        known = tags < logits.shape[1]
        right = (logits.argmax(dim=1) == tags)[known].float().mean()
        return {"loss": float(loss.detach()), "right": float(right)}

    def loss(self, logits: Tensor, tags: Tensor) -> Tensor:
        """Return the loss of logits ``(n, class, y, x)`` against tags ``(n, y, x)``."""
        if self.open_sets is None:
            return functional.cross_entropy(logits, tags, self.weights, ignore_index=IGNORE)
        return partial_loss(logits, tags, self.weights, self.open_sets)


def partial_loss(logits: Tensor, tags: Tensor, weights: Tensor, open_sets: Tensor) -> Tensor:
    """Return the cross-entropy where some labels leave several classes open.

    Of those, the loss is the negative logarithm of the probability of all open classes together
    (Cour, Sapp and Taskar 2011, Learning from Partial Labels), each such pixel weighing 1.
    """
    logs = functional.log_softmax(logits, dim=1)
    sure = torch.where(tags < logits.shape[1], tags, IGNORE)
    loss = functional.nll_loss(logs, sure, weights, ignore_index=IGNORE, reduction="sum")
    weight = weights[sure[sure != IGNORE]].sum()
    partly = (tags >= ONE_OF) & (tags != IGNORE)
    picked = logs.permute(0, 2, 3, 1)[partly]
    closed = ~open_sets[tags[partly] - ONE_OF]
    loss = loss - picked.masked_fill(closed, -torch.inf).logsumexp(dim=1).sum()
    return loss / (weight + partly.sum()).clamp(min=1.0)


def class_weights(tags: Sequence[npt.NDArray[np.uint8]], classes: int = len(COVERS)) -> Tensor:
    """Return one weight a class: the inverse root of its share, at most four times the mean."""
    counts = sum(np.bincount(part.ravel(), minlength=256)[:classes] for part in tags)
    share = np.maximum(counts / np.sum(counts), 1e-4)
    weights = share**-0.5
    return torch.tensor(np.minimum(weights / np.average(weights, weights=share), 4.0)).float()
