"""Watching a training: held-out places judged now and then, drawn for people without TensorBoard.

``samples/STEP.png`` shows fixed held-out crops: backscatter, generated, real. ``training.png``
shows the curves of ``log.csv`` and ``checks.csv``. TensorBoard gets the same where it is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sar2opt.nets.losses import perceptual
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.crops import Crop
from sar2opt.training.judging.sheet import Column, draw_sheet, middle
from sar2opt.training.loop.checkpoint import read_log
from sar2opt.training.pairs.pair import Pair, normalise_db, split_of
from sar2opt.training.pretrained import PerceptualFeatures
from sar2opt.training.translation.paired import Batch, Painted

MOST = 6  # crops a source
SHOWN = 2  # of them drawn


class Watcher:
    """Judges the averaged net on fixed crops of the validation places; a ``Check`` of the loop.

    ``score`` is the perceptual distance (in the features of the pretrained encoder), averaged over
    the sources: it rises both when a picture is wrong and when it is blurred.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        norm: NormalisationSettings,
        device: str,
        out: Path,
    ) -> None:
        self._out, self._device = out, device
        self._features = PerceptualFeatures().to(device)
        val = split_of(pairs, "val")
        self._crops = {
            source: [_central(pair, norm) for pair in _spread(val, source)]
            for source in sorted({pair.source for pair in val})
        }
        self._board = _open_board(out)

    def __call__(self, net: nn.Module, step: int) -> dict[str, float]:
        """Return the figures of ``net`` and draw it; ``score``: less is better."""
        rows: dict[str, dict[str, float]] = {}
        drawn = []
        for source, crops in self._crops.items():
            batch = Batch(crops, self._device)
            with torch.inference_mode():
                image = Painted(net(batch.sar), batch).image
                rows[source] = self._figures(image, batch)
            drawn += [_column(batch, image, number) for number in range(min(SHOWN, len(crops)))]
        figures = {
            name: float(np.mean([row[name] for row in rows.values()]))
            for name in ("score", "l1", "sharpness")
        } if rows else {}  # fmt: skip
        self._tell(step, figures, rows)
        if drawn:
            draw_sheet(drawn, self._out / f"samples/{step:06d}.png")
        draw_curves(self._out)
        return figures

    def _figures(self, image: torch.Tensor, batch: Batch) -> dict[str, float]:
        target, mask = batch.target, batch.mask
        features, wanted = (self._features(part * mask) for part in (image, target))
        strength = [(part[..., 1:, :] - part[..., :-1, :]).abs().mean() for part in (image, target)]
        return {
            "score": float(perceptual(features, wanted, mask)),
            "l1": float(((image - target).abs() * mask).sum() / (3 * mask.sum())),
            "sharpness": float(strength[0] / strength[1]),
        }

    def _tell(
        self, step: int, figures: dict[str, float], rows: dict[str, dict[str, float]]
    ) -> None:
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(f"held out/{name}", value, step)
            for source, row in rows.items():
                for name, value in row.items():
                    self._board.add_scalar(f"{source}/{name}", value, step)
            for name, (steps, values) in read_log(self._out / "log.csv").items():
                if steps[-1] == step:
                    self._board.add_scalar(f"training/{name}", values[-1], step)
            self._board.flush()


def draw_curves(out: Path) -> None:
    """Draw ``training.png`` below ``out`` from the logs, where matplotlib is installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return
    curves = {
        **{f"training: {n}": c for n, c in read_log(out / "log.csv").items()},
        **{f"held out: {n}": c for n, c in read_log(out / "checks.csv").items()},
    }
    if not curves:
        return
    rows = -(-len(curves) // 3)
    figure = Figure(figsize=(12, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, (steps, values)) in zip(
        figure.subplots(rows, 3, squeeze=False).flat, curves.items(), strict=False
    ):
        axes.plot(steps, values, linewidth=1, color="#c2410c" if "held" in name else "#1d4ed8")
        axes.set_title(name, fontsize=9)
        axes.grid(alpha=0.3)
    figure.savefig(out / "training.png", dpi=100)


def _spread(val: Sequence[Pair], source: str) -> list[Pair]:
    own = [pair for pair in val if pair.source == source]
    return own[:: max(1, len(own) // MOST)][:MOST]


def _central(pair: Pair, norm: NormalisationSettings) -> Crop:
    """Return the middle of a pair as a crop, its sides multiples of 8."""
    window = middle(pair.decibel.shape, multiple=8)
    sar = normalise_db(pair.decibel[window], pair.levels[0], norm)[None]
    target = pair.image(window)
    return Crop(pair.name, sar, np.repeat(target, 4 - len(target), 0)[:3], pair.look)


def _column(batch: Batch, image: torch.Tensor, number: int) -> Column:
    parts = (part[number].cpu().numpy() for part in (batch.sar, image, batch.target))
    return Column(batch.names[number], *parts)


def _open_board(out: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(out / "tensorboard"))
