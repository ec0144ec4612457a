"""Raster tiles, TileJSON and WMTS, by titiler and rio-tiler, of the products and of nothing else.

Nothing that a request says is handed on to GDAL: the file, the resampling and the colours follow
from the name of the scene and of the layer. There is no ``url=``, no expression and no algorithm.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from attrs import define
from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from morecantile.defaults import tms as all_tile_matrix_sets
from PIL import Image
from rio_tiler.models import ImageData
from titiler.core.dependencies import DefaultDependency
from titiler.core.factory import TilerFactory
from titiler.core.resources.enums import ImageType
from titiler.core.utils import render_image
from titiler.extensions.wmts import wmtsExtension

from sar2opt.serve.catalogue import Catalogue
from sar2opt.serve.layers import FILE_OF, MARKED, palette
from sar2opt.serve.png import png
from sar2opt.serve.readers import KeptReader, SharedMatrices
from sar2opt.serve.watermark import watermark

PREFIX = "/products/{scene}/{layer}"
MOST_PIXELS = 1024  # side of a tile
DEEPEST = 24
_GDAL = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no side-car files, of whomever they may be
    "GDAL_CACHEMAX": 128_000_000,
    "GDAL_NUM_THREADS": "1",
}


def _empty_tile() -> bytes:
    buffer = io.BytesIO()
    Image.new("LA", (256, 256)).save(buffer, "PNG")
    return buffer.getvalue()


EMPTY_TILE = _empty_tile()
"""What lies outside a scene, as PNG."""

LayerName = Literal["optical", "sar", "tags", "trust", "veil"]
Layer = Annotated[LayerName, Path(description="which picture of the scene")]
Scene = Annotated[str, Path(description="a name of /products.json")]


@dataclass
class Sampling(DefaultDependency):
    """How pixels are found between pixels: classes are never mixed."""

    layer: Layer

    def as_dict(self, exclude_none: bool = True) -> dict[str, Any]:
        """Return what rio-tiler takes."""
        method = "nearest" if self.layer == "tags" else "bilinear"
        return {"resampling_method": method, "reproject_method": method}


def painted(layer: Layer) -> Callable[[ImageData], ImageData]:
    """Return what is done to each tile: it gets its colours, and what was generated its mark."""
    colours = palette(layer)

    def paint(image: ImageData) -> ImageData:
        image = image.apply_colormap(colours) if colours else image
        return watermark(image) if layer in MARKED else image

    return paint


def render(image: ImageData, output_format: ImageType | None, **_: Any) -> tuple[bytes, str]:
    """Return a picture and its media type; colours are there already."""
    if output_format != ImageType.png:
        return render_image(image, output_format=output_format)
    whole = bool(image.mask.all())
    bands = image.data if whole else np.concatenate([image.data, image.mask[None]])
    return png(bands), ImageType.png.mediatype


def check_size(
    request: Request, tilesize: Annotated[int | None, Query(gt=0, le=MOST_PIXELS)] = None
) -> None:
    """Refuse tiles that are larger, or of a deeper zoom, than anything a map needs."""
    zoom = str(request.path_params.get("z", ""))
    if zoom and not (zoom.isdecimal() and len(zoom) < 3 and int(zoom) <= DEEPEST):
        raise HTTPException(422, f"the zoom goes from 0 to {DEEPEST}")
    if "zooms" in request.query_params:
        raise HTTPException(422, "zooms are those of the scene")


@define(kw_only=True)
class ProductTiler(TilerFactory):
    """titiler's factory without statistics, crops and previews, which have no bounded cost."""

    def register_routes(self) -> None:
        """Register information, tile sets, tiles and TileJSON."""
        routes: tuple[Callable[[], None], ...] = (
            self.info, self.tilesets, self.tile, self.tilejson
        )  # fmt: skip
        for register in routes:
            register()


def tile_router(catalogue: Catalogue) -> APIRouter:
    """Return the routes of the raster layers of all products of ``catalogue``."""

    def path_of(scene: Scene, layer: Layer) -> str:
        product = catalogue.find(scene)
        if product is None:
            raise HTTPException(404, f"there is no scene {scene}")
        path = catalogue.file(product, product.path(FILE_OF[layer]).name)
        if path is None:
            raise HTTPException(404, f"{scene} has no layer {layer}")
        return str(path)

    factory = ProductTiler(
        reader=KeptReader,
        render_func=render,
        router_prefix=PREFIX,
        path_dependency=path_of,
        layer_dependency=DefaultDependency,
        dataset_dependency=Sampling,
        tile_dependency=DefaultDependency,
        colormap_dependency=lambda: None,
        process_dependency=painted,  # type: ignore[arg-type]  # any function of an image will do
        render_dependency=DefaultDependency,
        environment_dependency=lambda: _GDAL,
        supported_tms=SharedMatrices(
            {name: all_tile_matrix_sets.get(name) for name in ("WebMercatorQuad", "WorldCRS84Quad")}
        ),
        add_preview=False,
        add_part=False,
        add_viewer=False,
        extensions=[
            wmtsExtension(
                tile_dependencies=[], layer_identifier_provider=lambda path: _name(str(path))
            )
        ],
    )
    router = APIRouter(prefix=PREFIX, dependencies=[Depends(check_size)], tags=["rasters"])
    router.include_router(factory.router)
    return router


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1].removesuffix(".tif")
