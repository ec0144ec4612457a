"""Sentinel-1 GRD: the product as it comes, a folder or a zip; calibrated, and laid on the map."""

from sar2opt.scenes.sentinel1.grd import (
    accepts,
    files,
    open_product,
    quick_sample,
    read,
    read_with_terrain,
)

__all__ = [
    "accepts",
    "files",
    "open_product",
    "quick_sample",
    "read",
    "read_with_terrain",
]
