"""The command line: parse, call, print."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from sar2opt.cli.batch import batch
from sar2opt.cli.console import err, log, set_up
from sar2opt.cli.help import EXIT_CODES, examples
from sar2opt.cli.model import evaluate, models_app, pairs_app, train
from sar2opt.cli.overlay import anomalies, objects, tag
from sar2opt.cli.scene import config, info, prepare, run, synth
from sar2opt.cli.search import search
from sar2opt.cli.serve import serve
from sar2opt.errors import Sar2optError

app = typer.Typer(
    help="From a SAR scene to a readable, tagged and flagged map that says it was generated.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
)


@app.callback()
def every_command(
    debug: Annotated[bool, typer.Option(help="show the traceback of an error")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="results and errors only")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="the log, on stderr")] = False,
    log_file: Annotated[Path | None, typer.Option(help="add what happens, with times")] = None,
) -> None:
    """Options of all commands, given before the command; ``main`` reads ``--debug``."""
    set_up(quiet=quiet, verbose=verbose, log_file=log_file)
    log.info("sar2opt %s", shlex.join(sys.argv[1:]))


for command in (
    run, batch, info, search, prepare, tag, objects, anomalies, serve,
    config, synth, train, evaluate,
):  # fmt: skip
    app.command(epilog=examples(command.__name__))(command)
app.command("despeckle", help="Prepare a scene without speckle.", epilog=examples("despeckle"))(
    prepare
)
app.add_typer(models_app, name="models", epilog=examples("models"))
app.add_typer(pairs_app, name="pairs", epilog=examples("pairs"))


def _silenced(unraisable: sys.UnraisableHookArgs) -> None:
    """Say nothing where rasterio cannot log what GDAL says of a damaged file, as it is no text."""
    if not isinstance(unraisable.exc_value, UnicodeDecodeError):
        sys.__unraisablehook__(unraisable)


def main() -> None:
    """Run the command line; an error is one line on stderr and exit code 2."""
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _silenced
    try:
        app(prog_name="sar2opt")
    except Sar2optError as error:
        if "--debug" in sys.argv:
            raise
        line = f"sar2opt: {' '.join(str(error).split())}"
        log.error(line)
        err.print(line)
        sys.exit(2)
