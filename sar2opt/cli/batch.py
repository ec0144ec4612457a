"""``sar2opt batch``: many scenes, and a table of what became of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from sar2opt.cli import options
from sar2opt.cli.console import bars_of_progress, command_line, out, tell
from sar2opt.config import RunConfig, load_config
from sar2opt.errors import SceneError

if TYPE_CHECKING:
    from sar2opt.pipeline.batch import Outcome

_PAUSE_S = 5.0  # between looks at a folder; a file must not have grown in between


def batch(
    scenes: Annotated[
        Path, typer.Argument(help="folder of scenes, or a pattern", show_default=False)
    ],
    folder: options.Folder = None,
    config: options.Config = None,
    look: options.Look = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="go on with scenes that come later; Ctrl-C ends it")
    ] = False,
    overwrite: options.ReplaceProducts = False,
    as_json: options.AsJson = False,
) -> None:
    """Make all products of many scenes; one that fails does not stop the rest."""
    from sar2opt.pipeline.batch import check_names, run_one, scenes_of

    settings = load_config(
        config,
        RunConfig,
        {"output.folder": folder, "output.overwrite": overwrite or None, "translate.look": look},
    )
    command = command_line()
    outcomes: dict[Path, Outcome] = {}
    try:
        todo = scenes_of(scenes)
        while todo or watch:
            check_names([*outcomes, *todo])
            for number, scene in enumerate(todo, start=1):
                tell(f"{number} of {len(todo)}: {scene}")
                with bars_of_progress() as progress:
                    outcomes[scene] = run_one(scene, settings, progress=progress, command=command)
            todo = _arrived(scenes, outcomes, scenes_of) if watch else []
    except KeyboardInterrupt:
        tell("stopped")
    failed = [outcome for outcome in outcomes.values() if outcome.state == "failed"]
    if as_json:
        print(json.dumps([asdict(one) for one in outcomes.values()], indent=2, default=str))
    else:
        out.print(_table(outcomes.values()))
        out.print("\n".join(outcome.reason for outcome in failed), end="\n" if failed else "")
    if failed:
        raise SceneError(f"{len(failed)} of {len(outcomes)} scenes failed")


def _arrived(
    folder: Path, known: Container[Path], scenes_of: Callable[[Path], list[Path]]
) -> list[Path]:
    """Wait a little; return the scenes that are new and have stopped growing."""
    time.sleep(_PAUSE_S)
    fresh = {scene: _size(scene) for scene in scenes_of(folder) if scene not in known}
    if fresh:
        time.sleep(_PAUSE_S)
    return [scene for scene, size in fresh.items() if size and _size(scene) == size]


def _size(scene: Path) -> int:
    """Return bytes; 0 for what was taken away meanwhile."""
    files = scene.rglob("*") if scene.is_dir() else [scene]
    try:
        return sum(file.stat().st_size for file in files if file.is_file())
    except OSError:
        return 0


def _table(outcomes: Iterable[Outcome]) -> Table:
    table = Table("scene", "state", "objects", "anomalies", "seconds", box=None)
    for one in outcomes:
        counts = (str(one.objects), str(one.anomalies), f"{one.seconds:.0f}")
        told = counts if one.state == "done" else ("", "", "")
        table.add_row(one.scene.name, one.state, *told)
    return table
