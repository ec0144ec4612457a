"""sar2opt: from a SAR scene to a readable, tagged and flagged map that says it was generated.

The names below are all that most people need; they are loaded when first used, so that importing
sar2opt stays quick and does not import torch. ``overlay`` is a module: the steps from rasters to
objects and anomalies, each as a function.
"""

from importlib import import_module
from typing import Any

_FACE = {
    "ObjectsJob": "sar2opt.vectorise",
    "Products": "sar2opt.pipeline",
    "RunConfig": "sar2opt.config",
    "Sar2optError": "sar2opt.errors",
    "build_pairs": "sar2opt.training.pairs.build",
    "evaluate": "sar2opt.training.judging.evaluate",
    "flag_scene": "sar2opt.pipeline",
    "load_config": "sar2opt.config",
    "load_model": "sar2opt.nets.models",
    "make_scene": "sar2opt.synth",
    "open_scene": "sar2opt.scenes",
    "run": "sar2opt.pipeline",
    "scene_info": "sar2opt.scenes",
    "show": "sar2opt.products.show",
    "simulate_safe": "sar2opt.synth",
    "tag_scene": "sar2opt.pipeline",
    "tags_file_to_objects": "sar2opt.vectorise",
    "train": "sar2opt.training.recipe",
    "write_samples": "sar2opt.synth",
}

_ROOMS = ("overlay",)  # rasters and GeoDataFrames in, GeoDataFrames out

__all__ = [*_FACE, *_ROOMS]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"sar2opt.{name}")
    if name in _FACE:
        return getattr(import_module(_FACE[name]), name)
    raise AttributeError(f"module 'sar2opt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
