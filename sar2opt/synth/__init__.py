"""Scenes with known truth, for demo, tests and training: the same pixels for the same seed."""

from sar2opt.synth.safe import simulate_safe
from sar2opt.synth.scene import Scene, make_scene, sample_pair
from sar2opt.synth.spec import SceneSpec
from sar2opt.synth.surfaces import ALLOW, CLASSES, NODATA_TAG, SURFACES, Cover, Use
from sar2opt.synth.write import HARBOUR, VALLEY, write_samples

__all__ = [
    "ALLOW",
    "CLASSES",
    "HARBOUR",
    "NODATA_TAG",
    "SURFACES",
    "VALLEY",
    "Cover",
    "Scene",
    "SceneSpec",
    "Use",
    "make_scene",
    "sample_pair",
    "simulate_safe",
    "write_samples",
]
