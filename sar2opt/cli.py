"""The command line: parse, call, print."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from sar2opt.config import RunConfig, default_toml, load_config
from sar2opt.errors import Sar2optError

app = typer.Typer(
    help="From a SAR scene to a readable, tagged and flagged map that says it was generated.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
models_app = typer.Typer(pretty_exceptions_enable=False)
app.add_typer(models_app, name="models")
pairs = typer.Typer(help="Sets of pairs to train on.", no_args_is_help=True)
app.add_typer(pairs, name="pairs")
# what is printed holds names of files, which are no markup, and which no line break may split
out = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
err = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


class Device(StrEnum):
    """Where the nets run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Split(StrEnum):
    """Which places of a set of pairs."""

    train = "train"
    val = "val"
    test = "test"


SceneFile = Annotated[Path, typer.Argument(help="SAR scene: GeoTIFF or COG", show_default=False)]
Scale = Annotated[
    str | None,
    typer.Option(
        help="auto, power, amplitude, dB, display-amplitude (8 bit) or display-dB (8 bit)"
    ),
]
Polarisation = Annotated[str | None, typer.Option(help="auto, vv, vh, hh or hv")]
Nodata = Annotated[float | None, typer.Option(help="value that means no data")]
Aoi = Annotated[Path | None, typer.Option(help="vector file: only this area is processed")]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="show the traceback of an error")] = False,
) -> None:
    """Options of all commands; ``main`` reads ``--debug``."""


@app.command()
def run(
    scene: SceneFile,
    folder: Annotated[
        Path | None, typer.Option("--out", help="products land in OUT/SCENE/")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML; 'sar2opt config' prints one")] = None,
    look: Annotated[str | None, typer.Option(help="natural, clear, vivid or grey")] = None,
    scale: Scale = None,
    polarisation: Polarisation = None,
    nodata: Nodata = None,
    aoi: Aoi = None,
    model: Annotated[str | None, typer.Option(help="translator: name or .safetensors")] = None,
    tagger: Annotated[str | None, typer.Option(help="tagger: name or .safetensors")] = None,
    despeckle: Annotated[str | None, typer.Option(help="none or lee")] = None,
    reference: Annotated[Path | None, typer.Option(help="vector layer of what should be")] = None,
    column: Annotated[str | None, typer.Option(help="its column with the class")] = None,
    allow: Annotated[Path | None, typer.Option(help="TOML: class = [tags]")] = None,
    device: Annotated[Device | None, typer.Option(help="where the nets run")] = None,
    workers: Annotated[int | None, typer.Option(help="threads; 0 is one a core")] = None,
    scheduler: Annotated[str | None, typer.Option(help="threads or tcp://HOST:PORT")] = None,
    overwrite: Annotated[bool | None, typer.Option("--overwrite", help="replace products")] = None,
) -> None:
    """Make all products of a scene."""
    from sar2opt.pipeline import run as run_pipeline

    settings = load_config(
        config,
        RunConfig,
        {
            "scene.path": scene,
            "scene.scale": scale,
            "scene.polarisation": polarisation,
            "scene.nodata": nodata,
            "scene.aoi": aoi,
            "prepare.despeckle": despeckle,
            "translate.model": model,
            "translate.look": look,
            "tag.model": tagger,
            "anomalies.reference": reference,
            "anomalies.column": column,
            "anomalies.allow": allow,
            "engine.device": device.value if device else None,
            "engine.workers": workers,
            "engine.scheduler": scheduler,
            "output.folder": folder,
            "output.overwrite": overwrite,
        },
    )
    command = shlex.join(["sar2opt", *sys.argv[1:]])
    with _progress() as progress:
        products = run_pipeline(settings, progress=progress, tell=_tell_assumption, command=command)
    out.print(
        f"{products.folder}: {len(products.objects)} objects, {len(products.anomalies)} anomalies, "
        f"in {products.figures['seconds']:.0f} s"
    )


@app.command()
def info(
    scene: SceneFile,
    scale: Scale = None,
    polarisation: Polarisation = None,
    nodata: Nodata = None,
    aoi: Aoi = None,
) -> None:
    """Say what a scene is and what would be assumed; nothing is processed."""
    from sar2opt.scenes import scene_info

    asked = {"scale": scale, "polarisation": polarisation, "nodata": nodata, "aoi": aoi}
    facts = scene_info(scene, **{name: value for name, value in asked.items() if value is not None})
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), _plain(value))
    out.print(table)


@app.command()
def config() -> None:
    """Print the commented default configuration."""
    print(default_toml(RunConfig), end="")


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List the model bundles that ship; print the card of one; pack a checkpoint."""
    from sar2opt.nets.bundle import read_card, sha256, shipped_bundles

    if context.invoked_subcommand is not None:
        return
    for path in shipped_bundles():
        card = read_card(path)
        out.print(f"{card.name} ({card.kind}), sha256 {sha256(path)[:16]}\n  {card.summary}")
        for name, look in card.looks.items():
            default = ", the default" if name == card.default_look else ""
            out.print(f"  look {name}{default}: {look.legend}")
        out.print(f"  must not be used for: {'; '.join(card.limits)}\n")


@models_app.command("show")
def show_model(
    name: Annotated[str, typer.Argument(help="name of a shipped bundle, or a .safetensors file")],
) -> None:
    """Print a model card."""
    from sar2opt.nets.bundle import find_bundle, read_card

    print(read_card(find_bundle(name)).markdown(), end="")


@models_app.command("pack")
def pack_model(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint.pt or best.pt of a training")],
    data: Annotated[Path, typer.Option(help="the set of pairs that it was trained on")],
    bundle: Annotated[Path, typer.Option("--out", help="the .safetensors file to write")],
) -> None:
    """Calibrate and judge a checkpoint on held-out places, and pack it as a bundle with a card."""
    from sar2opt.training.pack import pack_translator
    from sar2opt.training.pair_set import read_set

    out.print(f"bundle: {pack_translator(checkpoint, read_set(data).pairs, bundle)}")


@app.command()
def synth(
    folder: Annotated[Path, typer.Argument(help="where the scenes go")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Write the simulated scenes with known truth that the demo and the tests use."""
    from sar2opt.synth import write_samples

    for path in write_samples(folder, overwrite=overwrite):
        out.print(str(path))


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="TOML such as configs/translator.toml")],
    data: Annotated[Path, typer.Option(help="translator: a set of pairs; tagger: the data folder")],
    folder: Annotated[Path, typer.Option("--out", help="checkpoints, log and bundle go here")],
    resume: Annotated[bool, typer.Option("--resume", help="go on from the checkpoint")] = False,
    device: Annotated[Device, typer.Option(help="where the nets are trained")] = Device.auto,
) -> None:
    """Train a translator or a tagger, judge it on held-out places and pack it as a bundle."""
    from sar2opt.training.recipe import train as train_bundle

    out.print(f"bundle: {train_bundle(config, data, folder, resume=resume, device=device.value)}")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="translator: name or .safetensors")],
    data: Annotated[Path, typer.Option(help="set of pairs, from 'sar2opt pairs build'")],
    folder: Annotated[Path, typer.Option("--out", help="evaluation.md, .html and .json go here")],
    split: Annotated[Split, typer.Option(help="which places to judge on")] = Split.test,
    beside: Annotated[
        list[str] | None, typer.Option(help="another translator, in the same table; repeatable")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="land-cover teacher (.safetensors), for semantic agreement")
    ] = None,
) -> None:
    """Judge a translator on held-out places, beside baselines: a table, a page and a JSON file."""
    from sar2opt.training.evaluate import evaluate as judge

    with _progress() as progress:
        judge(
            model, data, folder,
            split=split.value, beside=beside or (), teacher=teacher, progress=progress,
        )  # fmt: skip
    out.print(f"{folder}: evaluation.md, evaluation.html and evaluation.json")


@pairs.command("build")
def build_pairs(
    config: Annotated[Path, typer.Argument(help="TOML such as configs/pairs/sentinel.toml")],
    data: Annotated[Path, typer.Option(help="folder that the sources' paths are relative to")],
    folder: Annotated[Path, typer.Option("--out", help="the set goes here")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace an earlier set")] = False,
) -> None:
    """Form a clean, split, paired set from scenes and chips, with a report."""
    from sar2opt.training.pair_build import build_pairs as build

    with _progress() as progress:
        facts = build(config, data, folder, overwrite=overwrite, progress=progress)
    for sentence in facts["advice"]:
        err.print(sentence)
    out.print(f"{folder}: {_plain(facts['counts'])}")
    out.print(f"report: {folder / 'report.html'}")


def main() -> None:
    """Run the command line; an error is one line on stderr and exit code 2."""
    try:
        app(prog_name="sar2opt")
    except Sar2optError as error:
        if "--debug" in sys.argv:
            raise
        err.print(f"sar2opt: {' '.join(str(error).split())}")
        sys.exit(2)


@contextmanager
def _progress() -> Iterator[Any]:
    """Yield a function that draws one bar for each step it is told of."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TimeRemainingColumn())  # fmt: skip
    bars = Progress(*columns, console=err)
    tasks: dict[str, TaskID] = {}

    def show(step: str, done: int, total: int) -> None:
        if step not in tasks:
            tasks[step] = bars.add_task(step, total=total)
            bars.start()  # not before, lest an error be preceded by an empty line
        bars.update(tasks[step], completed=done, total=total)

    try:
        yield show
    finally:
        if tasks:
            bars.stop()


def _tell_assumption(sentence: str) -> None:
    err.print(f"assumed: {sentence}")


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(str(item) for item in value) or "none"
    if isinstance(value, dict):
        return "\n".join(f"{name}: {item}" for name, item in value.items())
    if isinstance(value, tuple):
        return ", ".join(f"{item:.10g}" for item in value)
    return str(value)
