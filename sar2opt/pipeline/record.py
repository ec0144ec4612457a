"""What a run says of itself in all its products: models, settings, what was decided for it."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

import xarray as xr

from sar2opt.config import RunConfig, to_toml
from sar2opt.nets.models import Translator
from sar2opt.pipeline.block import BlockJob
from sar2opt.pipeline.resources import Models
from sar2opt.products.facts import Facts, ModelFacts


def run_facts(
    config: RunConfig,
    name: str,
    scene: xr.DataArray,
    job: BlockJob,
    models: Models,
    command: str,
) -> Facts:
    """Return what all products of a run say of it."""
    translator, tagger, flood = models
    return Facts(
        scene=name,
        source=scene.attrs["source"],
        acquired=scene.attrs["acquired"],
        geobox=scene.odc.geobox,
        polarisation=job.translator_band if job.wanted.flags else job.tagger_band,
        assumptions=(*scene.attrs["assumptions"], *_decisions(scene, job, translator)),
        models=tuple(
            ModelFacts(model.card.kind, model.name, model.sha256,
                       model.card.model_dump(mode="json"))
            for model in (translator if job.translates else None, tagger, flood) if model
        ),
        settings=to_toml(config),
        software=f"sar2opt {version('sar2opt')}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        look=config.translate.look,
        legend=translator.look(config.translate.look)[1].legend,
        simulated=bool(scene.attrs.get("simulated", False)),
        command=command,
    )  # fmt: skip


def _decisions(scene: xr.DataArray, job: BlockJob, translator: Translator) -> list[str]:
    """Say in sentences what the run decided for itself."""
    card, wanted = translator.card, job.wanted
    sentences = []
    if len(scene.band) > 1:
        does = {
            "translated": (job.translator_band, wanted.image),
            "searched for anomalies": (job.translator_band, wanted.flags and not wanted.image),
            "tagged": (job.tagger_band, True),
        }
        said = [(band, what) for what, (band, done) in does.items() if done]
        uses = " and ".join(
            f"{band} {'is ' if number == 0 else ''}{what}"
            for number, (band, what) in enumerate(said)
        )
        sentences.append(f"of {', '.join(scene.band.values)}, {uses} (--polarisation chooses)")
    sentences.append(
        f"the scene's level, the {card.normalisation.quantile:.0%} quantile of its backscatter, "
        f"is {job.translator_norm.level_db:.1f} dB"
    )
    if job.despeckle:
        sentences.append(f"before that, speckle is filtered: {job.despeckle}")
    if job.translates:
        sentences += [f"{doubt}: trust is halved" for doubt in job.doubts]
    changes = job.changes.sentences if job.changes else ()
    changes += job.floods.sentences if job.floods else ()
    return [*sentences, *(job.cfar.sentences if job.cfar else ()), *changes]
