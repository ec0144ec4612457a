"""Commands on scenes: run, info, prepare (despeckle), config, synth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from sar2opt.cli import options
from sar2opt.cli.console import bars_of_progress, command_line, out, plain, tell_assumption
from sar2opt.cli.summary import say
from sar2opt.config import RunConfig, default_toml, load_config


@options.of_scene
def run(
    scene: options.SceneFile,
    folder: options.Folder = None,
    config: options.Config = None,
    look: options.Look = None,
    model: Annotated[str | None, typer.Option(help="translator: name or .safetensors")] = None,
    tagger: options.Tagger = None,
    despeckle: Annotated[str | None, typer.Option(help=options.FILTERS)] = None,
    before: options.Before = None,
    reference: options.Reference = None,
    column: options.Column = None,
    allow: options.Allow = None,
    expect: options.Expect = None,
    join: options.Join = None,
    on: options.On = None,
    tolerance: options.Tolerance = None,
    before_objects: Annotated[
        Path | None, typer.Option(help="earlier .gpkg: its objects keep their ids")
    ] = None,
    known: options.Known = None,
    low_trust: options.LowTrust = None,
    most: options.Most = None,
    evidence: options.Evidence = None,
    device: options.NetsOn = None,
    workers: options.Workers = None,
    scheduler: Annotated[str | None, typer.Option(help="threads or tcp://HOST:PORT")] = None,
    overwrite: options.ReplaceProducts = False,
    as_json: options.AsJson = False,
    **how: Any,
) -> None:
    """Make all products of a scene."""
    settings = load_config(
        config,
        RunConfig,
        {
            **options.asked_of_scene(path=scene, **how),
            "prepare.despeckle": despeckle,
            "translate.model": model,
            "translate.look": look,
            "tag.model": tagger,
            **options.asked_of_anomalies(
                before=before, reference=reference, column=column, allow=allow, expect=expect,
                join=join, on=on, tolerance_m=tolerance, low_trust=low_trust, most=most,
                known=known,
            ),
            "objects.before": before_objects,
            "output.evidence": evidence,
            **options.asked_of_engine(device, workers, overwrite=overwrite),
            "engine.scheduler": scheduler,
            "output.folder": folder,
        },
    )  # fmt: skip
    from sar2opt.pipeline import run as run_pipeline  # loads the nets: not before options are read

    with bars_of_progress() as progress:
        products = run_pipeline(
            settings, progress=progress, tell=tell_assumption, command=command_line()
        )
    say(products, as_json=as_json)


@options.of_scene
def info(
    scene: options.SceneFile,
    as_json: options.AsJson = False,
    **how: Any,
) -> None:
    """Say what a scene is and what would be assumed; nothing is processed."""
    from sar2opt.scenes import scene_info

    facts = scene_info(scene, **options.given(**how))
    if as_json:
        print(json.dumps(facts, indent=2, default=str))
        return
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), plain(value))
    out.print(table)


@options.of_scene
def prepare(
    context: typer.Context,
    scene: options.SceneFile,
    out_file: options.Geotiff,
    name: Annotated[str | None, typer.Option("--filter", help=options.FILTERS)] = None,
    window: Annotated[
        int | None, typer.Option(help="side of its window, odd, pixels; left out, its own")
    ] = None,
    looks: Annotated[
        str, typer.Option(help="equivalent number of looks; auto: the file's word, or estimated")
    ] = "auto",
    decibel: Annotated[bool, typer.Option("--db", help="write dB instead of linear power")] = False,
    workers: options.Workers = None,
    overwrite: options.ReplaceFile = False,
    **how: Any,
) -> None:
    """Write a scene, calibrated and on the map, as a COG of linear power with all its bands."""
    from sar2opt.prepare import PrepareJob, prepare_scene

    job = PrepareJob(
        scene=scene,
        out=out_file,
        filter=name or ("refined-lee" if context.info_name == "despeckle" else "none"),
        window=window,
        looks=looks,
        scale="dB" if decibel else "power",
        overwrite=overwrite,
        workers=workers or 0,
        how=options.given(**how),
    )  # fmt: skip
    with bars_of_progress() as progress:
        used = prepare_scene(job, progress=progress, tell=tell_assumption)
    out.print(f"{out_file}: {used}")


def config() -> None:
    """Print the commented default configuration."""
    print(default_toml(RunConfig), end="")


def synth(
    folder: Annotated[Path, typer.Argument(help="where the scenes go")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Write the simulated scenes with known truth that the demo and the tests use."""
    from sar2opt.synth import write_samples

    for path in write_samples(folder, overwrite=overwrite):
        out.print(str(path))
