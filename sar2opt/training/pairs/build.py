"""From scenes and chips to a clean, split, paired set: read, clean, register, part, check, write.

1. Read all pairs of all sources; places and splits are those of the sources' settings.
2. Reject what teaches nothing (``cleaning``), and pairs equal to an earlier one.
3. Find how far each optical image lies from its SAR image; correct it, or reject the pair
   (``registration``).
4. Find pairs that show the same ground (``likeness``, ``ground``); where they lie in different
   splits, blank the shared part in the less held-out of them, and drop what little is left.
5. Check all that again (``leakage``); then write the set, whole or not at all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import Field

from sar2opt.config import Settings, load_config
from sar2opt.errors import PairsError
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.pairs.cleaning import CleaningSettings, luminance, why_unfit
from sar2opt.training.pairs.files import Progress, write_set
from sar2opt.training.pairs.folder import staged_folder
from sar2opt.training.pairs.leakage import blank_shared, blanked, check_leakage
from sar2opt.training.pairs.likeness import equal_pairs, find_overlaps
from sar2opt.training.pairs.pair import SPLITS, Pair
from sar2opt.training.pairs.registration import (
    WINDOW,
    estimate_field,
    estimate_shift,
    move,
    warp,
)
from sar2opt.training.pairs.report import advice, write_report
from sar2opt.training.pairs.source_settings import SourceSettings
from sar2opt.training.pairs.sources import read_pairs
from sar2opt.training.pairs.tones import match_tones

WORKERS = 2
T = TypeVar("T")


class PairsSettings(Settings):
    """What ``sar2opt pairs build`` reads from TOML."""

    sources: tuple[SourceSettings, ...] = Field(min_length=1)
    cleaning: CleaningSettings = CleaningSettings()
    splits: tuple[str, ...] = Field(SPLITS, description="splits that must not be empty")
    norm_quantile: float = Field(0.75, description="quantile of backscatter that is a level")
    notices: tuple[str, ...] = Field((), description="what must be said of the data")


@dataclass
class Formed:
    """Pairs on their way into a set, and what happened to the others."""

    pairs: list[Pair]
    rejected: list[tuple[Pair, str]] = field(default_factory=list)
    shifts: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def sieve(self, reasons: Sequence[str]) -> None:
        """Keep the pairs whose reason is empty."""
        judged = list(zip(self.pairs, reasons, strict=True))
        self.rejected += [(pair, reason) for pair, reason in judged if reason]
        self.pairs = [pair for pair, reason in judged if not reason]


def build_pairs(
    config_file: Path,
    data: Path,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Form the set that a configuration describes in the folder ``out``; returns its facts.

    ``data`` is the folder that the sources' paths are relative to. The folder appears when it is
    complete. Raises ``ConfigError``, ``SceneError``, ``PairsError`` or ``OutputError``, and leaves
    nothing behind.
    """
    config = load_config(config_file, PairsSettings)
    show = progress or (lambda step, done, total: None)
    with staged_folder(out, overwrite=overwrite) as folder:
        formed = form_pairs(config, data, show)
        facts = _facts(config, formed)
        write_report(folder, formed.pairs, formed.rejected, facts)
        write_set(folder, formed.pairs, facts, show)
    return facts


def form_pairs(config: PairsSettings, data: Path, show: Progress) -> Formed:
    """Read and clean the pairs that a configuration describes; see the head of this module."""
    names = [source.name for source in config.sources]
    if len(set(names)) < len(names):
        raise PairsError("two sources have one name: a name is also a folder of the set")
    norm = NormalisationSettings(quantile=config.norm_quantile)
    formed = Formed(read_pairs(data, config.sources, norm, show))
    show("reading", len(names), len(names))
    formed.counts["read"] = len(formed.pairs)
    order = {pair.name: number for number, pair in enumerate(formed.pairs)}
    if len(order) < len(formed.pairs):
        raise PairsError("two pairs have one name: give each folder of chips a source of its own")
    unfit = _each(lambda pair: why_unfit(pair, config.cleaning), formed.pairs, "cleaning", show)
    formed.sieve(list(unfit))
    _drop_equal(formed)
    originals = {pair.name: pair for pair in formed.pairs}
    if config.cleaning.registration:
        _register(formed, config.cleaning, show)
    _part(formed, originals, config.cleaning, show)
    for split in config.splits:
        if not any(pair.split == split for pair in formed.pairs):
            raise PairsError(_too_small(split, formed))
    tones = match_tones(formed.pairs, config.sources)
    formed.pairs = [
        replace(pair, tone=tones[pair.source])
        for pair in sorted(formed.pairs, key=lambda pair: order[pair.name])
    ]
    show("leakage check", 0, 1)
    check_leakage(formed.pairs)
    show("leakage check", 1, 1)
    return formed


def _drop_equal(formed: Formed) -> None:
    """Drop copies; of two equal pairs the one that is held out more stays."""
    formed.pairs.sort(key=lambda pair: -SPLITS.index(pair.split))  # stable
    copies = {later for _, later in equal_pairs(formed.pairs)}
    formed.sieve(["duplicate" if n in copies else "" for n in range(len(formed.pairs))])


def _register(formed: Formed, limits: CleaningSettings, show: Progress) -> None:
    pairs, reasons = [], []
    found = _each(lambda pair: _registered(pair, limits), formed.pairs, "registration", show)
    for pair, shift, reason in found:
        pairs.append(pair)
        reasons.append(reason)
        formed.shifts[pair.name] = shift
    formed.pairs = pairs
    formed.sieve(reasons)


def _registered(pair: Pair, limits: CleaningSettings) -> tuple[Pair, dict[str, Any], str]:
    """Return the pair with its displacement taken out, that displacement, and why it is unfit."""
    grey, decibel = luminance(pair.optical), pair.decibel.astype(np.float32)
    shift = estimate_shift(decibel, grey)
    if shift is None:
        return pair, {"found": None}, ""
    said: dict[str, Any] = {
        "found": [round(shift.dy, 2), round(shift.dx, 2)],
        "height": round(shift.height, 1),
        "significant": shift.significant,
    }
    large = min(decibel.shape) >= 2 * WINDOW
    if large and (bent := estimate_field(decibel, grey)):
        optical, inside = warp(pair.optical, bent)
        middle = bent.at(np.zeros(1), np.zeros(1)).ravel()
        said |= {"degree": bent.degree, "windows": bent.windows, "spread": round(bent.spread, 2)}
        moved = replace(pair, optical=optical, moved=(round(middle[0]), round(middle[1])))
        return blanked(moved, ~inside), said, ""
    dy, dx = shift.whole
    most = limits.most_shift_of_block if large else limits.most_shift
    if (dy or dx) and shift.length > most:
        return pair, said, "misregistered"
    if not (dy or dx):
        return pair, said, ""
    inside = move(np.ones(decibel.shape, bool), dy, dx, False)
    moved = replace(pair, optical=move(pair.optical, dy, dx, 0), moved=(dy, dx))
    return blanked(moved, ~inside), said, ""


def _part(
    formed: Formed, originals: dict[str, Pair], limits: CleaningSettings, show: Progress
) -> None:
    """Take ground that two splits share out of the less held-out pairs."""
    show("overlaps", 0, 1)
    before = [originals[pair.name] for pair in formed.pairs]
    overlaps = find_overlaps(before)  # as read: moved images are harder to compare
    across = [o for o in overlaps if before[o.first].split != before[o.second].split]
    parted = blank_shared(formed.pairs, across)
    touched = [new is not old for new, old in zip(parted, formed.pairs, strict=True)]
    formed.pairs = parted
    little = [np.isfinite(pair.decibel).mean() < limits.least_data for pair in parted]
    formed.sieve(
        [
            ("shows held-out ground" if was else "too little data") if few else ""
            for few, was in zip(little, touched, strict=True)
        ]
    )
    formed.counts |= {
        "near-duplicates": sum(overlap.whole for overlap in overlaps),
        "overlaps": sum(not overlap.whole for overlap in overlaps),
        "of these, across splits": len(across),
        "pairs partly blanked for that": sum(
            was and not few for was, few in zip(touched, little, strict=True)
        ),
    }
    show("overlaps", 1, 1)


def _each(work: Callable[[Pair], T], pairs: list[Pair], step: str, show: Progress) -> Iterator[T]:
    """Yield ``work`` of each pair in order, on a few threads: SciPy lets go of the lock."""
    with ThreadPoolExecutor(WORKERS) as pool:
        for number, result in enumerate(pool.map(work, pairs), 1):
            show(step, number, len(pairs))
            yield result


def _too_small(split: str, formed: Formed) -> str:
    places = len({(pair.source, pair.place) for pair in formed.pairs})
    return (
        f"the {split} split is empty: {len(formed.pairs)} pairs of {places} places were left of "
        f"{formed.counts['read']}: add pairs, name its places with {split} = [...] in a source, "
        "or leave it out of splits"
    )


def _facts(config: PairsSettings, formed: Formed) -> dict[str, Any]:
    sources: dict[str, Any] = defaultdict(dict)
    for source in config.sources:
        kept = Counter(pair.split for pair in formed.pairs if pair.source == source.name)
        why = Counter(reason for pair, reason in formed.rejected if pair.source == source.name)
        moved = sum(pair.moved != (0, 0) for pair in formed.pairs if pair.source == source.name)
        sources[source.name] = {
            "look": source.look,
            "read": sum(kept.values()) + sum(why.values()),
            "kept": {split: kept[split] for split in SPLITS},
            "displacement corrected": moved,
            "rejected": dict(sorted(why.items())),
        }
    return {
        "configuration": config.model_dump(mode="json"),
        "notices": list(config.notices),
        "counts": {**formed.counts, "kept": len(formed.pairs)},
        "advice": advice(formed.pairs),
        "sources": sources,
        "rejected": {pair.name: reason for pair, reason in formed.rejected},
        "displacements": formed.shifts,
    }
