"""What a run opens once a process: the scene, the earlier ones, and the nets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

import xarray as xr

from sar2opt.config import RunConfig
from sar2opt.errors import ModelError
from sar2opt.nets.models import (
    FloodModel,
    Model,
    TagModel,
    Translator,
    limit_threads,
    load_model,
)
from sar2opt.scenes import open_scene
from sar2opt.tiles.engine import keep_freed_memory

OpenEarlier = Callable[[xr.DataArray], tuple[xr.DataArray, ...]]
NO_MODEL = "none"  # instead of the name of one
_KEPT = 2  # runs whose resources a worker of a cluster keeps
_WHOLE = 2**24  # pixels; more than a side of any scene


Models = tuple[Translator, TagModel, FloodModel | None]


@dataclass(frozen=True)
class Resources:
    """The scene, lazily, and the models on their device."""

    scene: xr.DataArray
    translator: Translator
    tagger: TagModel
    earlier: tuple[xr.DataArray, ...] = ()  # on the grid of the scene, the earliest first
    flood: FloodModel | None = None

    @property
    def models(self) -> tuple[Model, ...]:
        """The nets of the run."""
        return (self.translator, self.tagger, *((self.flood,) if self.flood else ()))


_OPEN: dict[str, Resources] = {}  # by the fingerprint of the run
_ONE_AT_A_TIME = Lock()


def resources(config: RunConfig, threads: int, fingerprint: str, earlier: OpenEarlier) -> Resources:
    """Return what the run with this fingerprint needs; it is opened once a process.

    ``earlier`` opens the earlier scenes on the grid of the scene.
    """
    with _ONE_AT_A_TIME:
        if fingerprint not in _OPEN:
            scene = open_scene_of(config)
            translator, tagger, flood = load_models(config)
            opened = Resources(scene, translator, tagger, earlier(scene), flood)
            _keep(opened, threads, fingerprint)
        return _OPEN[fingerprint]


def keep(opened: Resources, threads: int, fingerprint: str) -> None:
    """Hand over what is open already, so that the run need not open it again."""
    with _ONE_AT_A_TIME:
        _keep(opened, threads, fingerprint)


def release(fingerprint: str) -> None:
    """Let go of what was opened in this process for the run with this fingerprint."""
    with _ONE_AT_A_TIME:
        _OPEN.pop(fingerprint, None)


def _keep(opened: Resources, threads: int, fingerprint: str) -> None:
    keep_freed_memory()
    limit_threads(threads)
    while len(_OPEN) >= _KEPT:
        del _OPEN[next(iter(_OPEN))]
    _OPEN[fingerprint] = opened


def load_models(config: RunConfig) -> Models:
    """Load the nets of a run, that of floods only if it is wanted.

    Raises ``ModelError`` where one cannot do its part.
    """
    how = {"device": config.engine.device, "precision": config.engine.precision}
    translator = load_model(config.translate.model, **how)
    tagger = load_model(config.tag.model, **how)
    if not isinstance(translator, Translator):
        raise ModelError(f"{config.translate.model} is no translator: --model takes one")
    if not isinstance(tagger, TagModel):
        raise ModelError(f"{config.tag.model} is no tagger: --tagger takes one")
    return translator, tagger, _load_flood_model(config, how)


def _load_flood_model(config: RunConfig, how: Mapping[str, str]) -> FloodModel | None:
    """Load the net that tells floods; None where there are no earlier scenes, or none is wanted."""
    name = config.anomalies.flood_model
    if not config.anomalies.before or name == NO_MODEL:
        return None
    model = load_model(name, **how)
    if not isinstance(model, FloodModel):
        raise ModelError(f"{name} tells no floods: anomalies.flood_model takes a bundle that does")
    return model


def open_scene_of(config: RunConfig) -> xr.DataArray:
    """Open the scene that a configuration names, as a single lazy chunk.

    A block reads its own window, halo included; in chunks of the size of a block it would read
    nine pieces, and decode what lies around their edges over and over.
    """
    scene = config.scene
    assert scene.path is not None
    asked = {name: getattr(scene, name) for name in type(scene).model_fields if name != "path"}
    return open_scene(scene.path, **asked, chunks=_WHOLE)
