"""From a bundle and a set of pairs to its held-out figures: what ``sar2opt evaluate`` does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from sar2opt.errors import ConfigError, ModelError, PairsError
from sar2opt.nets.models import Translator, load_model
from sar2opt.products.folder import output_errors
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.judging.baselines import serves
from sar2opt.training.judging.calibrate import place_scores
from sar2opt.training.judging.conformal import Coverage, coverage_table
from sar2opt.training.judging.evaluation import LOOKS, Evaluation, as_json, as_markdown
from sar2opt.training.judging.features import Perception, load_perception
from sar2opt.training.judging.judge import Progress, Row, judge
from sar2opt.training.judging.methods import promised_width, translator_method, translator_paint
from sar2opt.training.judging.page import page_of
from sar2opt.training.judging.semantics import (
    AGREEMENT,
    NATURAL_ONLY,
    NO_TEACHER,
    agreement_of,
    load_teacher,
)
from sar2opt.training.pairs.files import read_set
from sar2opt.training.pairs.pair import SPLITS, Look, Pair, Split, split_of


def evaluate(
    model: str,
    data: Path,
    out: Path,
    *,
    split: Split = "test",
    beside: Sequence[str] = (),
    teacher: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Judge a bundle, beside others and the baselines, on a split of the set of pairs ``data``.

    Writes ``evaluation.md``, ``evaluation.html`` and ``evaluation.json`` into ``out``; returns
    the folder. Raises ``ModelError``, ``PairsError``, ``ConfigError`` or ``OutputError``.
    """
    translators = load_translators([model, *beside])
    judge_of_cover = load_teacher(teacher) if teacher else None
    found = read_set(data)
    chosen = split_of(found.pairs, split)
    if not chosen:
        counts = ", ".join(f"{name} {len(split_of(found.pairs, name))}" for name in SPLITS)
        raise PairsError(f"{data}: the split {split!r} holds no pairs; the set has {counts}")
    with output_errors(out):  # before minutes of work
        out.mkdir(parents=True, exist_ok=True)
    result = measure(
        translators, found.pairs, split, teacher=judge_of_cover, facts=found.facts,
        progress=progress,
    )  # fmt: skip
    write(result, page_of(result, translators, found.pairs), out)
    return out


def load_translators(names: Sequence[str]) -> dict[str, Translator]:
    """Load translators by name or path; raises ``ModelError`` for a tagger.

    Two of one name are told apart by their hash. Raises ``ConfigError`` where one wants its input
    normalised otherwise than the first: one pass over the pairs serves all.
    """
    translators: dict[str, Translator] = {}
    for name in names:
        loaded = load_model(name)
        if not isinstance(loaded, Translator):
            raise ModelError(f"{loaded.path}: is a tagger; 'sar2opt evaluate' judges translators")
        first = next(iter(translators.values()), loaded)
        if loaded.card.normalisation != first.card.normalisation:
            raise ConfigError(f"{loaded.path}: normalises otherwise than {first.path}: judge apart")
        taken = loaded.name in translators
        translators[f"{loaded.name} {loaded.sha256[:8]}" if taken else loaded.name] = loaded
    return translators


def measure(
    translators: Mapping[str, Translator],
    pairs: Sequence[Pair],
    split: Split,
    *,
    teacher: nn.Module | None = None,
    facts: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge every look that the first translator has and the split holds pairs of."""
    name, first = next(iter(translators.items()))
    norm = first.card.normalisation
    chosen = split_of(pairs, split)
    looks = [
        look for look in LOOKS
        if look in first.card.looks and any(serves(pair, look) for pair in chosen)
    ]  # fmt: skip
    if not looks:
        have = ", ".join(sorted({pair.look for pair in chosen}))
        raise PairsError(f"{name} has none of the looks of the split {split!r}: {have}")
    eye = load_perception()
    rows: list[Row] = []
    trust: dict[Look, dict[str, Mapping[str, Coverage]]] = {}
    for look in looks:
        own = {n: each for n, each in translators.items() if look in each.card.looks}
        methods = {n: translator_method(each, look) for n, each in own.items()}
        rows += judge(
            methods, pairs, norm, look, split=split,
            perception=with_teacher(eye, teacher, look),
            progress=_named(progress, f"judging {look}"),
        )  # fmt: skip
        trust[look] = {n: _trust(each, pairs, norm, look, split) for n, each in own.items()}
    cover = {} if teacher and looks == ["natural"] else {
        "land cover": NATURAL_ONLY if teacher else NO_TEACHER
    }  # fmt: skip
    counts = {s: sum(p.source == s for p in chosen) for s in sorted({p.source for p in chosen})}
    models = {n: {"file": str(t.path), "sha256": t.sha256} for n, t in translators.items()}
    return Evaluation(
        name, split, models, rows, trust, {**eye.skipped, **cover}, counts, facts or {}
    )


def with_teacher(eye: Perception, teacher: nn.Module | None, look: Look) -> Perception:
    """Return the figures of a look: land cover only where the teacher knows its colours."""
    if teacher is None or look != "natural":
        return eye
    return Perception({**eye.compare, AGREEMENT: agreement_of(teacher)}, eye.embed, eye.skipped)


def write(result: Evaluation, page: str, out: Path) -> None:
    """Write the three files, each whole or not at all; raises ``OutputError``."""
    contents = {
        "evaluation.json": json.dumps(as_json(result), indent=1, ensure_ascii=False) + "\n",
        "evaluation.md": as_markdown(result),
        "evaluation.html": page,
    }
    with output_errors(out):
        for name, content in contents.items():
            part = out / f".{name}.part"
            part.write_text(content, encoding="utf-8")
            part.replace(out / name)


def _trust(
    translator: Translator,
    pairs: Sequence[Pair],
    norm: NormalisationSettings,
    look: Look,
    split: Split,
) -> Mapping[str, Coverage]:
    scores = place_scores(translator_paint(translator, look), pairs, norm, look, split)
    return coverage_table(scores, promised_width(translator, look))


def _named(progress: Progress | None, step: str) -> Progress | None:
    return (lambda _, done, total: progress(step, done, total)) if progress else None
