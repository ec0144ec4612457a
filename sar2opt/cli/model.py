"""Commands on models: list, show and pack them, form sets of pairs, train, judge."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sar2opt.cli.console import bars_of_progress, err, out, plain
from sar2opt.cli.options import Device

models_app = typer.Typer(pretty_exceptions_enable=False)
pairs_app = typer.Typer(help="Sets of pairs to train on.", no_args_is_help=True)


class Split(StrEnum):
    """Which places of a set of pairs."""

    train = "train"
    val = "val"
    test = "test"


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List the model bundles that ship; print the card of one; pack a checkpoint."""
    from sar2opt.nets.bundle_files import read_card, sha256, shipped_bundles

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
    from sar2opt.nets.bundle_files import find_bundle, read_card

    print(read_card(find_bundle(name)).markdown(), end="")


@models_app.command("pack")
def pack_model(
    checkpoint: Annotated[Path, typer.Argument(help="checkpoint.pt or best.pt of a training")],
    data: Annotated[Path, typer.Option(help="the set of pairs that it was trained on")],
    bundle: Annotated[Path, typer.Option("--out", help="the .safetensors file to write")],
    recipe: Annotated[
        str, typer.Option("--config", help="for the card: the TOML that it was trained with")
    ] = "CONFIG",
    remarks: Annotated[str, typer.Option(help="for the card: what readers should know")] = "",
    blend: Annotated[
        Path | None, typer.Option(help="checkpoint of another training from the same start")
    ] = None,
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="of it in the weights")] = 0.3,
) -> None:
    """Calibrate and judge a checkpoint on held-out places, and pack it as a bundle with a card."""
    from sar2opt.training.cards import About
    from sar2opt.training.pack import pack_translator
    from sar2opt.training.pairs.files import read_set

    found = read_set(data)
    about = About(recipe, remarks, found.notices)
    pack_translator(checkpoint, found.pairs, bundle, about, blend=blend, share=share)
    out.print(f"bundle: {bundle}")


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
    from sar2opt.training.judging.evaluate import evaluate as judge

    with bars_of_progress() as progress:
        judge(
            model, data, folder,
            split=split.value, beside=beside or (), teacher=teacher, progress=progress,
        )  # fmt: skip
    out.print(f"{folder}: evaluation.md, evaluation.html and evaluation.json")


@pairs_app.command("build")
def build_pairs(
    config: Annotated[Path, typer.Argument(help="TOML such as configs/pairs/sentinel.toml")],
    data: Annotated[Path, typer.Option(help="folder that the sources' paths are relative to")],
    folder: Annotated[Path, typer.Option("--out", help="the set goes here")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace an earlier set")] = False,
) -> None:
    """Form a clean, split, paired set from scenes and chips, with a report."""
    from sar2opt.training.pairs.build import build_pairs as build

    with bars_of_progress() as progress:
        facts = build(config, data, folder, overwrite=overwrite, progress=progress)
    for sentence in facts["advice"]:
        err.print(sentence)
    out.print(f"{folder}: {plain(facts['counts'])}")
    out.print(f"report: {folder / 'report.html'}")
