"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sar2opt.cli.batch import batch
from sar2opt.cli.console import err
from sar2opt.cli.model import evaluate, models_app, pairs_app, train
from sar2opt.cli.overlay import anomalies, objects, tag
from sar2opt.cli.scene import config, info, prepare, run, synth
from sar2opt.cli.search import search
from sar2opt.errors import Sar2optError

app = typer.Typer(
    help="From a SAR scene to a readable, tagged and flagged map that says it was generated.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option(help="show the traceback of an error")] = False,
) -> None:
    """Options of all commands; ``main`` reads ``--debug``."""


for command in (
    run, batch, info, search, prepare, tag, objects, anomalies, config, synth, train, evaluate,
):  # fmt: skip
    app.command()(command)
app.command("despeckle", help="Prepare a scene without speckle.")(prepare)
app.add_typer(models_app, name="models")
app.add_typer(pairs_app, name="pairs")


def main() -> None:
    """Run the command line; an error is one line on stderr and exit code 2."""
    try:
        app(prog_name="sar2opt")
    except Sar2optError as error:
        if "--debug" in sys.argv:
            raise
        err.print(f"sar2opt: {' '.join(str(error).split())}")
        sys.exit(2)
