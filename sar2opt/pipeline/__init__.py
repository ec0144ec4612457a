"""From a scene file to finished products: the one place that knows the order of the steps."""

from sar2opt.pipeline.run import Products, run

__all__ = ["Products", "run"]
