"""What the routes share: the product that an address names, its features, this server's address."""

from __future__ import annotations

import geopandas as gpd
from fastapi import HTTPException, Request

from sar2opt.serve import features
from sar2opt.serve.catalogue import Catalogue, Product
from sar2opt.serve.features import LayerName, Wanted

GEOJSON = "application/geo+json"
REVALIDATE = {"Cache-Control": "no-cache"}
FOR_GOOD = {"Cache-Control": "max-age=31536000, immutable"}


def base_of(request: Request) -> str:
    """Return the address of this server, without a slash."""
    return str(request.base_url).rstrip("/")


def find_product(catalogue: Catalogue, scene: str) -> Product:
    """Return the product of this key. Raises ``HTTPException`` (404)."""
    product = catalogue.find(scene)
    if product is None:
        raise HTTPException(404, f"there is no scene {scene}")
    return product


def read_layer(
    catalogue: Catalogue, scene: str, layer: LayerName, wanted: Wanted
) -> tuple[gpd.GeoDataFrame, int]:
    """Return the features asked for, and how many there are in all. Raises ``HTTPException``."""
    product = find_product(catalogue, scene)
    path = catalogue.file(product, product.path("vectors").name)
    if path is None:
        raise HTTPException(404, f"{scene} has no vectors")
    return features.read_features(path, layer, wanted)
