"""Pictures of a place at full resolution: what the radar saw, and what was made of it."""

from __future__ import annotations

import io

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox

from sar2opt.products.pictures import crop_pictures
from sar2opt.products.report import marked
from sar2opt.serve.catalogue import Catalogue, Product

_LEAST_SIDE = 240  # pixels of the picture, so that its mark can be read


def evidence(
    catalogue: Catalogue, product: Product, place: gpd.GeoDataFrame, which: str
) -> bytes | None:
    """Return the picture ``sar`` or ``optical`` around the first row of ``place``, as PNG.

    Generated pictures carry their mark. None where the product has no such raster.
    """
    paths = {kind: product.path(kind) for kind in ("optical", "sar")}
    if any(catalogue.file(product, path.name) is None for path in (paths[which], paths["optical"])):
        return None
    with rasterio.open(paths["optical"]) as cog:
        crs = cog.crs.to_wkt()
        geobox = GeoBox(cog.shape, cog.transform, crs)

    def read_sar(y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.uint8]:
        with rasterio.open(paths["sar"]) as cog:
            pixels: npt.NDArray[np.uint8] = cog.read(1, window=((y0, y1), (x0, x1)))
        return pixels

    outline = place.to_crs(crs).geometry.iloc[0]
    crops = crop_pictures(paths, read_sar if which == "sar" else None, geobox, outline)
    crop = crops[which].convert("RGB")
    factor = -(-_LEAST_SIDE // max(1, min(crop.size)))
    crop = crop.resize((crop.width * factor, crop.height * factor), 0)  # whole pixels
    buffer = io.BytesIO()
    (marked(crop) if which == "optical" else crop).save(buffer, "PNG")
    return buffer.getvalue()
