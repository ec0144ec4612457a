"""Many scenes, one after another: what cannot be done does not stop the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sar2opt.config import RunConfig
from sar2opt.errors import Sar2optError, SceneError
from sar2opt.pipeline.run import Progress, run
from sar2opt.products.folder import product_paths
from sar2opt.scenes.files import entries_of, is_glob, name_of
from sar2opt.scenes.folder import is_layer
from sar2opt.scenes.front_door import is_scene


@dataclass(frozen=True)
class Outcome:
    """What became of a scene."""

    scene: Path
    state: str  # done, there (already) or failed
    objects: int = 0
    anomalies: int = 0
    seconds: float = 0.0
    reason: str = ""  # why it failed


def scenes_of(path: Path) -> list[Path]:
    """Return the scenes in a folder, or those that a pattern finds, by name.

    A file, a product folder or a zip is a scene each; what is none, or by its name a layer beside
    one, is passed over. Raises ``SceneError`` where there is no such folder, and nothing that the
    pattern finds.
    """
    if not (path.is_dir() or is_glob(path)):
        raise SceneError(f"{path}: give a folder of scenes, or a pattern such as 'in/*.tif'")
    entries = entries_of(path)
    if is_glob(path) and not entries:
        raise SceneError(f"{path}: the pattern finds nothing")
    named = [one for one in entries if not (one.name.startswith(".") or is_layer(one.stem))]
    return [entry for entry in named if is_scene(entry)]


def check_names(scenes: Sequence[Path]) -> None:
    """Raise ``SceneError`` if the products of two scenes would go to one folder."""
    names: dict[str, Path] = {}
    for scene in scenes:
        if (other := names.setdefault(name_of(scene), scene)) != scene:
            raise SceneError(f"{other} and {scene}: both are called {name_of(scene)}: rename one")


def run_one(
    scene: Path, config: RunConfig, *, progress: Progress | None = None, command: str = ""
) -> Outcome:
    """Make the products of a scene of a batch; whatever is wrong with it is in the outcome.

    A scene whose products are there already is passed over, unless ``config.output.overwrite``:
    so a batch that was stopped goes on.
    """
    name = name_of(scene)
    there = product_paths(config.output.folder / name, name)["stac"].exists()
    if there and not config.output.overwrite:
        return Outcome(scene, "there")
    own = config.model_copy(update={"scene": config.scene.model_copy(update={"path": scene})})
    try:
        made = run(own, progress=progress, command=command)
    except Sar2optError as error:
        return Outcome(scene, "failed", reason=" ".join(str(error).split()))
    found = len(made.objects), len(made.anomalies)
    return Outcome(scene, "done", *found, made.figures["seconds"])
