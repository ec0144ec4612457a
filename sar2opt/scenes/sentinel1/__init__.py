"""Reader for Sentinel-1 products as ESA delivers them: GRD in a ``.SAFE`` folder, a zip, or flat."""

from sar2opt.scenes.sentinel1.grd import accepts, files, quick_sample, read

__all__ = ["accepts", "files", "quick_sample", "read"]
