"""The plan of a run: everything is opened, checked and decided before a pixel is made."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from math import lcm
from pathlib import Path

import geopandas as gpd
import xarray as xr

from sar2opt.config import RunConfig
from sar2opt.errors import ConfigError
from sar2opt.nets.bundle_files import shipped_bundles
from sar2opt.nets.models import Translator
from sar2opt.overlay import check_tags, read_earlier, read_known
from sar2opt.pipeline.block import PACKING, BlockJob, Wanted, staged_layers, thinning
from sar2opt.pipeline.bright import plan_cfar
from sar2opt.pipeline.checks import Reference, check_settings, load_reference, speckle_filter
from sar2opt.pipeline.doubts import find_doubts
from sar2opt.pipeline.earlier import lay_earlier, looks_of, open_earlier, plan_changes
from sar2opt.pipeline.floods import plan_floods
from sar2opt.pipeline.record import run_facts
from sar2opt.pipeline.resources import (
    NO_MODEL,
    Models,
    Resources,
    keep,
    load_models,
    open_scene_of,
)
from sar2opt.products.facts import Facts
from sar2opt.products.folder import check_output, check_target
from sar2opt.sar.normalise import fit_normalisation
from sar2opt.scenes import scene_files
from sar2opt.scenes.files import anchored, name_of
from sar2opt.tiles.engine import count_workers
from sar2opt.tiles.plan import Plan
from sar2opt.tiles.sample import Sampled
from sar2opt.tiles.staging import Staging


@dataclass(frozen=True)
class RunPlan:
    """A run, decided."""

    config: RunConfig
    name: str  # of the scene: the S of OUT/S/S_optical.tif
    folder: Path  # OUT/S
    overwrite: bool  # products that are there already may be replaced
    scene: xr.DataArray
    blocks: Plan
    job: BlockJob
    staging: Staging
    facts: Facts
    classes: tuple[str, ...]
    optical_bands: int
    reference: Reference | None
    earlier: gpd.GeoDataFrame | None  # objects whose ids are kept
    known: gpd.GeoDataFrame | None  # anomalies whose ids are kept


EVERYTHING = Wanted()


def make_plan(config: RunConfig, command: str = "", wanted: Wanted = EVERYTHING) -> RunPlan:
    """Open, check and decide everything; raises the error of whatever does not fit."""
    source = config.scene.path
    if source is None:
        raise ConfigError("no scene: set scene.path, or name the file on the command line")
    check_settings(config)
    name = name_of(source)
    folder = wanted.file or config.output.folder / name
    scene = open_scene_of(config)
    translator, tagger, flood = models = load_models(config)
    config, optical_bands = _settle_look(config, translator)
    about = tagger.bands_out, scene.odc.geobox
    reference = load_reference(config, *about) if wanted.flags else None
    check_tags(config.objects.rectangles if wanted.image else (), tagger.bands_out)
    earlier, known = _read_earlier(config, wanted)
    rows, cols = scene.shape[1:]
    stride = lcm(*(model.stride for model in models if model))
    blocks = Plan((rows, cols), config.engine.block, stride)
    thin = thinning(blocks.shape, blocks.block)
    job, before = _make_job(_anchored(config), scene, models, folder.absolute(), thin, wanted)
    overwrite = config.output.overwrite or Staging(job.staging).is_published(job.fingerprint)
    _check_target(wanted, folder, source, overwrite=overwrite)
    layers = staged_layers(job, optical_bands, len(tagger.bands_out))
    facts = run_facts(config, name, scene, job, models, command)
    if reference is not None:
        sites = reference.sites.notes if reference.sites else ()
        facts = replace(facts, assumptions=(*facts.assumptions, *reference.notes, *sites))
    if config.engine.scheduler == "threads":  # else others open them, where they are
        opened = Resources(scene, translator, tagger, job.lay_earlier(before, scene), flood)
        keep(opened, job.threads, job.fingerprint)
    return RunPlan(
        config=config,
        name=name,
        folder=folder,
        overwrite=overwrite,
        scene=scene,
        blocks=blocks,
        job=job,
        staging=Staging.prepare(job.staging, blocks, layers, job.fingerprint),
        classes=tagger.bands_out,
        facts=facts,
        optical_bands=optical_bands,
        reference=reference,
        earlier=earlier,
        known=known,
    )


def _read_earlier(
    config: RunConfig, wanted: Wanted
) -> tuple[gpd.GeoDataFrame | None, gpd.GeoDataFrame | None]:
    """Return the earlier objects and anomalies whose ids are kept, None if not asked for."""
    objects = config.objects.before if wanted.image else None
    anomalies = config.anomalies.known if wanted.flags else None
    return objects and read_earlier(objects), anomalies and read_known(anomalies)


def _check_target(wanted: Wanted, folder: Path, source: Path, *, overwrite: bool) -> None:
    """Raise ``OutputError`` if the folder of products, or the one file, cannot be written."""
    if wanted.file is None:
        check_output(folder, name_of(source), overwrite=overwrite)
    else:
        check_target(wanted.file, source, overwrite=overwrite)


def _settle_look(config: RunConfig, translator: Translator) -> tuple[RunConfig, int]:
    """Return the settings with the look named, and how many bands it has."""
    name, look = translator.look(config.translate.look)
    translate = config.translate.model_copy(update={"look": name})
    return config.model_copy(update={"translate": translate}), len(look.affine)


def _anchored(config: RunConfig) -> RunConfig:
    """Make paths absolute: a worker of a cluster has a working directory of its own."""
    shipped = {path.stem for path in shipped_bundles()}

    def absolute(path: Path | None) -> Path | None:
        return path and anchored(path)

    def bundle(name: str) -> str:
        return name if name in shipped else str(Path(name).absolute())

    scene, translate, tag = config.scene, config.translate, config.tag
    paths = {name: absolute(getattr(scene, name)) for name in ("path", "aoi", "like", "dem")}
    before = tuple(anchored(path) for path in config.anomalies.before)
    flood = config.anomalies.flood_model
    flood = flood if flood == NO_MODEL else bundle(flood)
    return config.model_copy(
        update={
            "scene": scene.model_copy(update=paths),
            "translate": translate.model_copy(update={"model": bundle(translate.model)}),
            "tag": tag.model_copy(update={"model": bundle(tag.model)}),
            "anomalies": config.anomalies.model_copy(
                update={"before": before, "flood_model": flood}
            ),
        }
    )


def _without_aoi(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"scene": config.scene.model_copy(update={"aoi": None})})


def _make_job(
    config: RunConfig,
    scene: xr.DataArray,
    models: Models,
    folder: Path,
    thin: int,
    wanted: Wanted,
) -> tuple[BlockJob, tuple[xr.DataArray, ...]]:
    """Return the task of the blocks, and the earlier scenes, opened."""
    translator, tagger, flood = models
    bands = [model.choose_band(scene, config.scene.polarisation) for model in (translator, tagger)]
    # of the whole scene: a bay must not turn into land because only the bay was asked for
    whole = Sampled(open_scene_of(_without_aoi(config)) if config.scene.aoi else scene)
    samples = {band: whole.pixels(band) for band in dict.fromkeys(bands)}
    norms = [
        fit_normalisation(samples[band], model.card.normalisation)
        for model, band in zip((translator, tagger), bands, strict=True)
    ]
    about = config, whole, bands[0], norms[0], translator.card.normalisation.quantile
    cfar = plan_cfar(*about) if wanted.flags else None
    workers = count_workers(config.engine.workers)
    opened = open_earlier(config, whole.scene, bands[0]) if wanted.flags else ()
    earlier = [Sampled(one) for one in lay_earlier(opened, whole.scene)]
    changes = plan_changes(config, whole, earlier, bands[0])
    job = BlockJob(
        config=config,
        staging=folder.parent / f".{folder.name}.staging",
        translator_band=bands[0],
        tagger_band=bands[1],
        translator_norm=norms[0],
        tagger_norm=norms[1],
        cfar=cfar,
        thin=thin,
        threads=max(1, count_workers(0) // workers),
        despeckle=speckle_filter(config.prepare, looks_of(scene, config)),
        doubts=find_doubts(config, whole, translator, bands[0], norms[0]),
        changes=changes,
        floods=plan_floods(flood, whole, earlier, changes),
        wanted=wanted,
    )
    return replace(job, fingerprint=_fingerprint(job, models)), opened


def _fingerprint(job: BlockJob, models: Models) -> str:
    """Tie the staging store to what its pixels depend on, and to nothing else."""
    config = job.config
    scene = config.scene
    assert scene.path is not None
    others = [path for path in (scene.aoi, scene.like, scene.dem) if path is not None]
    before = [file for path in config.anomalies.before for file in scene_files(path)]
    files = [*scene_files(scene.path), *others, *before]
    state = {
        "packing": PACKING,
        "files": [(str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns)
                  for path in files],
        "scene": config.scene.model_dump_json(),
        "prepare": config.prepare.model_dump_json(),
        "despeckle": repr(job.despeckle),
        "models": [(model.sha256, model.precision, model.device) for model in models if model],
        "look": config.translate.look,
        "bands": [job.translator_band, job.tagger_band],
        "norms": [repr(job.translator_norm), repr(job.tagger_norm)],
        "cfar": [repr(job.cfar), config.anomalies.guard, config.anomalies.background],
        "change": [repr(job.changes), repr(job.floods), config.anomalies.change_db,
                   [str(path) for path in config.anomalies.before]],
        "block": [config.engine.block, job.thin],
        "wanted": [job.wanted.image, job.wanted.flags, job.translates, job.compares],
        "software": version("sar2opt"),
    }  # fmt: skip
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
