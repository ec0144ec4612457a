"""How and where bright targets are looked for in a scene: decided once, and said in sentences."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from sar2opt.config import AnomalySettings, RunConfig
from sar2opt.overlay.anomalies import count_in_words
from sar2opt.pipeline.earlier import looks_of
from sar2opt.sar.clutter import ca_cfar, ca_cfar_factor, ca_cfar_tail, ring_cells
from sar2opt.sar.clutter_fit import FEWEST, ClutterFit, clutter_ratios, fit_clutter
from sar2opt.sar.clutter_laws import LAWS, Law
from sar2opt.sar.ground import Ground, find_ground
from sar2opt.sar.normalise import Normalisation
from sar2opt.sar.ordered_statistic import RANK, os_cfar, os_cfar_factor, os_cfar_tail
from sar2opt.tiles.sample import Sampled, sample_patches

_NAMES = {"gamma": "gamma", "k": "K", "lognormal": "lognormal", "weibull": "Weibull"}


@dataclass(frozen=True)
class Cfar:
    """What the detector needs to know of the scene as a whole, and why it is so."""

    factor: float  # threshold on pixel over ring mean
    background_max: float  # linear power
    looks: float  # of the gamma clutter that is assumed where no law is fitted
    cells: int  # of the ring
    ordered: bool = False  # held against the ring's ordered statistic, not its mean
    even: bool = False  # the scene is, and its tags say nothing
    law: Law | None = field(default=None, repr=False)  # pixels do not depend on it
    sentences: tuple[str, ...] = field(default=(), repr=False)  # nor on them

    def tail(self, ratio: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the probability that clutter exceeds a ratio of pixel to its ring."""
        if self.law is not None:
            return self.law.tail(ratio)
        tail = os_cfar_tail if self.ordered else ca_cfar_tail
        return tail(ratio, self.looks, self.cells)

    def ratio(
        self, power: npt.NDArray[np.float32], settings: AnomalySettings
    ) -> npt.NDArray[np.float32]:
        """Return how far each pixel ``(y, x)`` stands above its threshold, NaN where not tested."""
        detect = os_cfar if self.ordered else ca_cfar
        return detect(
            power,
            guard=settings.guard,
            background=settings.background,
            factor=self.factor,
            background_max=self.background_max,
        )


def plan_cfar(
    config: RunConfig, whole: Sampled, band: str, norm: Normalisation, quantile: float
) -> Cfar:
    """Decide on ground, clutter and threshold.

    ``band`` of the whole scene is looked at; ``norm`` was fitted to it at ``quantile``. Where the
    scene holds too little dark ground to tell its law from, clutter is taken for gamma of the
    stated looks.
    """
    settings, looks = config.anomalies, looks_of(whole.scene, config)
    ground = find_ground(norm, quantile, looks, dark_db=settings.dark_db, even_db=settings.even_db)
    background_max = float(10 ** (ground.highest_db / 10))
    cells = ring_cells(settings.guard, settings.background)
    ordered = settings.detector == "ordered-statistic"
    factor = (os_cfar_factor if ordered else ca_cfar_factor)(settings.false_alarm, looks, cells)
    ratios = clutter_ratios(
        sample_patches(whole.band(band), whole.windows(band), background_max),
        guard=settings.guard,
        background=settings.background,
        factor=factor,
        background_max=background_max,
        detect=partial(os_cfar, exact=True) if ordered else ca_cfar,
    )
    names = LAWS if settings.clutter == "auto" else (settings.clutter,)
    fit, independent = fit_clutter(ratios, settings.background, names)
    if fit is None:
        source = (
            "as the file says" if "looks" in whole.scene.attrs else "assumed; prepare.looks sets it"
        )
        clutter = (
            f"gamma of {looks:g} looks ({source}), for its dark ground amounts to {independent:,} "
            f"independent pixels, and to tell a law takes {FEWEST:,}"
        )
    else:
        # the last digits depend on the processor, and a run must find its own staging again
        factor = round(fit.law.factor(settings.false_alarm), 3)
        clutter = _taken(fit, settings)
    sentences = tuple(_sentences(settings, ground, clutter, factor))
    law = fit.law if fit else None
    return Cfar(factor, background_max, looks, cells, ordered, ground.even, law, sentences)


def _taken(fit: ClutterFit, settings: AnomalySettings) -> str:
    others = ", ".join(f"{_NAMES[name]} {distance:.1%}" for name, distance in fit.others)
    why = (
        "whose brighter half fits best"
        if settings.clutter == "auto"
        else "as anomalies.clutter says"
    )
    return (
        f"{fit.law}, {why}: all in all it differs from {fit.independent:,} independent pixels of "
        f"dark ground by up to {fit.distance:.1%} (Kolmogorov-Smirnov; {others})"
    )


def _sentences(settings: AnomalySettings, ground: Ground, clutter: str, factor: float) -> list[str]:
    where = f"where the background lies {settings.dark_db:g} dB or more below that level"
    if ground.even:
        where = (
            f"wherever the background lies no more than {settings.even_db:g} dB above that level, "
            f"for up to it the scene is one even surface, as open sea is: it spreads over "
            f"{ground.spread_db:.1f} dB, and speckle alone over {ground.speckle_db:.1f} dB"
        )
    held = f" (what {RANK:.0%} of it lie below)" if settings.detector == "ordered-statistic" else ""
    bright = (
        f"bright targets: {factor:.3g} times their background{held} or more, which chance alone "
        f"makes of 1 in {count_in_words(1 / settings.false_alarm)} pixels, looked for {where}"
    )
    sentences = [bright, f"the clutter around bright targets is taken for {clutter}"]
    if ground.even:
        sentences.append(
            "the models know backscatter only against the scene's own level, and in an even scene "
            "cannot tell sea from land: do not rely on its colours and tags"
        )
    return sentences
