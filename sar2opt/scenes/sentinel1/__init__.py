"""Sentinel-1 as it comes, a folder or a zip: GRD and SLC, calibrated, and laid on the map."""

from sar2opt.scenes.sentinel1.product import (
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
