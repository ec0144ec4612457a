"""From a scene file to finished products: the one place that knows the order of the steps."""

from sar2opt.pipeline.run import Products, run
from sar2opt.pipeline.steps import flag_scene, tag_scene

__all__ = ["Products", "flag_scene", "run", "tag_scene"]
