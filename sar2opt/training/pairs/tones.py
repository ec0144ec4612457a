"""One tone for the targets of several sources, that one net may learn from all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sar2opt.nets.losses import LUMINANCE
from sar2opt.training.pairs.pair import Pair, Tone, split_of
from sar2opt.training.pairs.source_settings import SourceSettings


def match_tones(pairs: Sequence[Pair], sources: Sequence[SourceSettings]) -> dict[str, Tone]:
    """Return for each source the gain and offset that give a target its tone, per band.

    Sources with ``match_tone`` get the mean and spread of the natural colours that are not
    matched (of their luminance, where only grey exists); the others keep theirs. Tones are
    measured on training places only.
    """
    train = split_of(pairs, "train")
    matched = {source.name for source in sources if source.match_tone}
    model = [pair for pair in train if pair.look == "natural" and pair.source not in matched]
    tones: dict[str, Tone] = {}
    for source in sources:
        own = [pair for pair in train if pair.source == source.name]
        if source.match_tone and own and model:
            goal = _tone(model) if source.look == "natural" else _grey(_tone(model))
            tones[source.name] = tuple(
                (g_std / std, g_mean - g_std / std * mean)
                for (mean, std), (g_mean, g_std) in zip(_tone(own), goal, strict=True)
            )
        else:
            tones[source.name] = ((1.0, 0.0),) * (1 if source.look == "grey" else 3)
    return tones


def _tone(pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    sample = np.concatenate(
        [p.optical[:, ::8, ::8][:, np.isfinite(p.decibel[::8, ::8])] for p in pairs], axis=1
    )
    return [(float(band.mean()) / 255.0, float(band.std()) / 255.0) for band in sample]


def _grey(tone: list[tuple[float, float]]) -> list[tuple[float, float]]:
    mean, std = (sum(w * t[i] for w, t in zip(LUMINANCE, tone, strict=True)) for i in (0, 1))
    return [(mean, std)]
