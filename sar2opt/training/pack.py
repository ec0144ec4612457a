"""From a checkpoint to a bundle: calibrate on the validation places, judge on the test places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from sar2opt.errors import TrainingError
from sar2opt.nets.bundle import save_bundle
from sar2opt.nets.card import Card, InputRange, Look
from sar2opt.nets.generator import LOOK_BANDS, SCALE_BANDS, Generator
from sar2opt.nets.layers import fold_batch_norm
from sar2opt.nets.models import Translator
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.cards import LEGENDS, About, translator_card
from sar2opt.training.judging.baselines import serves
from sar2opt.training.judging.calibrate import place_scores
from sar2opt.training.judging.conformal import (
    PERCENT,
    PlaceScores,
    coverage_table,
    fit_quantiles,
    half_width,
)
from sar2opt.training.judging.failures import draw_failures
from sar2opt.training.judging.judge import Row, judge
from sar2opt.training.judging.methods import translator_method, translator_paint
from sar2opt.training.loop.checkpoint import read_state
from sar2opt.training.pairs.pair import Look as LookName
from sar2opt.training.pairs.pair import Pair, Split, split_of
from sar2opt.training.translation.paired import LOOKS, TranslatorTraining

RANGE_QUANTILES = (0.05, 0.25, 0.5, 0.95)
SHOWN = ("psnr", "ssim", "mae", "psnr_8", "ssim_8", "layout", "layout_green_red", "sharpness",
         "copy_ratio")  # fmt: skip


def pack_translator(
    checkpoint: Path,
    pairs: Sequence[Pair],
    out: Path,
    about: About | None = None,
    *,
    blend: Path | None = None,
    share: float = 0.3,
) -> Path:
    """Write the averaged net of a checkpoint as a bundle ``out``, with its card; returns ``out``.

    ``blend`` is a checkpoint of another training from the same start, of which the weights make
    up ``share``: between a net that a discriminator made sharp and one without, sharpness is paid
    for in error step by step (network interpolation: Wang et al. 2018, ESRGAN).

    Looks without pairs in the training and the validation places are left out: nothing would say
    how far to trust them. ``about`` goes into the card. Raises ``TrainingError`` where no look is
    left.
    """
    state = read_state(checkpoint)
    config = TranslatorTraining.model_validate_json(state["config"])
    about, weights = about or About(), _weights(state)
    if blend is not None:
        other = read_state(blend)
        weights = _blended(weights, _weights(other), share, blend)
        about = replace(about, blend=f"{share:.0%} of the weights: {other['config']}")
    net = Generator(config.generator)
    net.load_state_dict(weights)
    net.eval().requires_grad_(False)
    known = [look for look in LOOKS if _has(pairs, look, "train") and _has(pairs, look, "val")]
    if not known:
        raise TrainingError("no look has both training and validation pairs: hold out some places")
    seen = input_range(pairs, config.norm)
    card = translator_card(config, net, pairs, seen, state["step"], about)
    smooth = {name for name in known if _only(pairs, name, config.smooth)}
    bare = {name: _look(name, (1.0,) * len(PERCENT)) for name in known}
    translator = _in_memory(card.model_copy(update={"looks": bare}), net)
    methods = {name: translator_method(translator, name) for name in known}
    looks: dict[str, Look] = {}
    figures: dict[str, Any] = {}
    for name, method in methods.items():
        paint = translator_paint(translator, name)
        fitted = place_scores(paint, pairs, config.norm, name, "val")
        scores = fit_quantiles([place.scores for place in fitted])
        table = tuple(float(f"{value:.4g}") for value in scores)
        looks[name] = _look(name, table, averaged_only=name in smooth)
        if _has(pairs, name, "test"):
            held = place_scores(paint, pairs, config.norm, name, "test")
            figures[f"trust, look {name}, 90 % interval"] = _coverage(held, scores)
            figures |= _tables(name, judge({config.name: method}, pairs, config.norm, name))
    if "natural" in looks:
        looks["clear"] = _clear(pairs, looks["natural"])
    sheet = out.with_name(f"{out.stem}_failures.jpg")
    if draw_failures(methods, pairs, config.norm, sheet):
        figures["worst test places"] = f"![backscatter, generated and real]({sheet.name})"
    default = config.default_look if config.default_look in looks else known[0]
    save_bundle(
        net, card.model_copy(update={"looks": looks, "default_look": default, "figures": figures}),
        out,
    )  # fmt: skip
    return out


def _weights(state: dict[str, Any]) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = state["nets"]["average"] if "nets" in state else state["net"]
    return weights


def _blended(
    first: dict[str, Tensor], second: dict[str, Tensor], share: float, blend: Path
) -> dict[str, Tensor]:
    """Return the weights between two nets; raises ``TrainingError`` if they do not fit."""
    if {n: v.shape for n, v in first.items()} != {n: v.shape for n, v in second.items()}:
        raise TrainingError(f"{blend}: its net is not of the same kind, and cannot be blended in")
    return {
        name: value.lerp(second[name], share) if value.dtype.is_floating_point else value
        for name, value in first.items()
    }


def input_range(pairs: Sequence[Pair], norm: NormalisationSettings) -> InputRange:
    """Return between what bounds the training sources' backscatter lies, in dB to their levels."""
    train = split_of(pairs, "train")
    rows = []
    for source in sorted({pair.source for pair in train}):
        own = [pair for pair in train if pair.source == source]
        values = np.concatenate(
            [(p.decibel[::8, ::8].astype(np.float32) - p.levels[0]).ravel() for p in own]
        )
        rows.append(np.quantile(values[np.isfinite(values)], RANGE_QUANTILES))
    table = np.array(rows).round(2)
    return InputRange(
        quantiles=RANGE_QUANTILES,
        low_db=tuple(table.min(axis=0).tolist()),
        high_db=tuple(table.max(axis=0).tolist()),
    )


def _has(pairs: Sequence[Pair], look: LookName, split: Split) -> bool:
    return any(serves(pair, look) for pair in split_of(pairs, split))


def _only(pairs: Sequence[Pair], look: LookName, sources: Sequence[str]) -> bool:
    """Return whether a look was taught by none but these sources."""
    return all(pair.source in sources for pair in split_of(pairs, "train") if serves(pair, look))


def _look(name: LookName, scores: tuple[float, ...], *, averaged_only: bool = False) -> Look:
    bands = LOOK_BANDS[name]
    return Look(
        bands=bands,
        scale=SCALE_BANDS[name],
        affine=tuple(tuple(row) for row in np.eye(len(bands), len(bands) + 1).tolist()),
        legend=LEGENDS[name],
        averaged_only=averaged_only,
        scores=scores,
    )


def _clear(pairs: Sequence[Pair], natural: Look) -> Look:
    """Return natural colour with the haze of the top of the atmosphere taken away.

    Each band is stretched between the 1st and 98th percentile of the training targets.
    """
    train = [pair for pair in split_of(pairs, "train") if pair.look == "natural"]
    pixels = np.concatenate([pair.image()[:, ::16, ::16].reshape(3, -1) for pair in train], axis=1)
    low, high = np.percentile(pixels, (1, 98), axis=1)
    gain, offset = 0.95 / (high - low), 0.02 - 0.95 * low / (high - low)
    rows = np.concatenate([np.diag(gain), offset[:, None]], axis=1).round(4)
    affine = tuple(tuple(row) for row in rows.tolist())
    return natural.model_copy(update={"affine": affine, "legend": LEGENDS["clear"]})


def _in_memory(card: Card, net: Generator) -> Translator:
    return Translator(card, Path(card.name), "", fold_batch_norm(net), "cpu", "float32")


def _coverage(held: Sequence[PlaceScores], scores: Sequence[float]) -> dict[str, Any]:
    width = float(half_width(np.ones(()), scores))
    return {
        group: {"realised": round(found.share, 3), "places": found.places}
        for group, found in coverage_table(held, width).items()
    }


def _tables(look: LookName, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the rows as tables by source, methods below one another."""
    tables: dict[str, Any] = {}
    for row in rows:
        if row.label == "all":
            place = f"look {look}, test places of {row.source} ({row.images} images)"
            shown = [name for name in SHOWN if name in row.figures]
            tables.setdefault(place, {})[row.method] = {
                name: round(row.figures[name], 3) if np.isfinite(row.figures[name]) else "-"
                for name in shown
            }
    return tables
