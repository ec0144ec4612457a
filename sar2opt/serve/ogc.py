"""OGC API - Features, Part 1: Core (OGC 17-069r4), over the layers of the products.

A collection is a layer of a scene, ``SCENE.LAYER``. Its features have the time of the scene. QGIS,
ArcGIS and GDAL speak this; the addresses of ``/vectors`` filter more.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, get_args
from urllib.parse import quote, urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse

from sar2opt.errors import LayerError
from sar2opt.products.facts import GENERATED
from sar2opt.serve import stac
from sar2opt.serve.answers import GEOJSON, REVALIDATE, base_of, find_product, read_layer
from sar2opt.serve.catalogue import Catalogue, Product
from sar2opt.serve.features import MOST, LayerName, Wanted, parse_bounds, to_geojson

ROOT = "/ogc"
CONFORMS = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
)
_CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_TITLES = {"objects": "Land cover", "anomalies": "What stands out", "footprint": "Footprint"}
_JSON, _OPENAPI = "application/json", "application/vnd.oai.openapi+json;version=3.1"


def ogc_router(catalogue: Catalogue) -> APIRouter:
    """Return the routes of the landing page, the conformance and the collections."""
    router = APIRouter(prefix=ROOT, tags=["OGC API - Features"])

    @router.get("")
    def landing(request: Request) -> dict[str, Any]:
        """Return the landing page."""
        return landing_json(base_of(request))

    @router.get("/conformance")
    def conformance() -> dict[str, Any]:
        """Return which requirements are met."""
        return {"conformsTo": list(CONFORMS)}

    @router.get("/collections")
    def collections(request: Request) -> JSONResponse:
        """Return the layers of all scenes."""
        base = base_of(request)
        found = [
            collection_json(product, layer, base)
            for product in catalogue.products()
            for layer in _TITLES
        ]
        links = [_link(base, "/collections", "self", _JSON)]
        return JSONResponse({"links": links, "collections": found}, headers=REVALIDATE)

    @router.get("/collections/{collection}")
    def one_collection(collection: str, request: Request) -> dict[str, Any]:
        """Return what a layer is."""
        scene, layer = _parts(collection)
        return collection_json(find_product(catalogue, scene), layer, base_of(request))

    _add_items(router, catalogue)
    return router


def _add_items(router: APIRouter, catalogue: Catalogue) -> None:
    @router.get("/collections/{collection}/items")
    def items(
        collection: str,
        request: Request,
        bbox: str = "",
        when: Annotated[str, Query(alias="datetime", max_length=100)] = "",
        limit: str = "10",
        offset: str = "0",
    ) -> JSONResponse:
        """Return features of a layer, the most important first."""
        scene, layer = _parts(collection)
        _check_names(request, {"bbox", "datetime", "limit", "offset", "token", "f"})
        size, first = min(_whole("limit", limit, 1), MOST), _whole("offset", offset, 0)
        wanted = Wanted(_bounds(bbox) if bbox else None, limit=size, offset=first)
        product = find_product(catalogue, scene)
        table, matched = read_layer(catalogue, scene, layer, wanted)
        if not stac.search([product], None, when):  # all of it is of another time
            table, matched = table.iloc[:0], 0
        document = _with_ids(to_geojson(table, matched), product)
        base, path = base_of(request), f"/collections/{quote(collection, safe='~')}"
        document |= {
            "timeStamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "links": [
                *_pages(f"{base}{ROOT}{path}/items", request, document, size, first),
                _link(base, path, "collection", _JSON),
            ],
        }
        return JSONResponse(document, media_type=GEOJSON, headers=REVALIDATE)

    @router.get("/collections/{collection}/items/{identity}")
    def one_item(collection: str, identity: str, request: Request) -> JSONResponse:
        """Return one feature."""
        scene, layer = _parts(collection)
        wanted = Wanted(identity="" if layer == "footprint" else identity, limit=1)
        document = to_geojson(*read_layer(catalogue, scene, layer, wanted))
        for feature in _with_ids(document, find_product(catalogue, scene))["features"]:
            if feature["id"] == identity:
                break
        else:
            raise HTTPException(404, f"{collection} has no {identity}")
        base, path = base_of(request), f"/collections/{quote(collection, safe='~')}"
        feature["links"] = [
            _link(base, f"{path}/items/{quote(identity, safe='~')}", "self", GEOJSON),
            _link(base, path, "collection", _JSON),
        ]
        return JSONResponse(feature, media_type=GEOJSON)


def landing_json(base: str) -> dict[str, Any]:
    """Return the landing page; ``base`` is the address of the server without a slash."""
    return {
        "title": "Maps generated from radar",
        "description": GENERATED["vectors"],
        "links": [
            _link(base, "", "self", _JSON),
            {"rel": "service-desc", "href": f"{base}/openapi.json", "type": _OPENAPI},
            _link(base, "/conformance", "conformance", _JSON),
            _link(base, "/collections", "data", _JSON),
        ],
    }


def collection_json(product: Product, layer: str, base: str) -> dict[str, Any]:
    """Return what a layer of a scene is, and where its features are."""
    name = f"{product.key}.{layer}"
    path = f"/collections/{quote(name, safe='~')}"
    time = product.item["properties"]["datetime"]
    return {
        "id": name,
        "title": f"{_TITLES[layer]}: {product.scene}",
        "description": GENERATED["vectors"],
        "itemType": "feature",
        "crs": [_CRS84],
        "extent": {
            "spatial": {"bbox": [product.item["bbox"]], "crs": _CRS84},
            "temporal": {"interval": [[time, time]]},
        },
        "links": [
            _link(base, path, "self", _JSON),
            _link(base, f"{path}/items", "items", GEOJSON),
        ],
    }


def _link(base: str, path: str, rel: str, kind: str) -> dict[str, str]:
    return {"rel": rel, "href": f"{base}{ROOT}{path}", "type": kind}


def _pages(
    address: str, request: Request, document: dict[str, Any], size: int, first: int
) -> list[dict[str, str]]:
    """Return links to this page of the answer and to the next."""
    kept = {name: text for name, text in request.query_params.items() if name != "token"}
    more = first + document["numberReturned"] < document["numberMatched"]
    pages = {"self": first} | ({"next": first + size} if more else {})
    return [
        {"rel": rel, "type": GEOJSON,
         "href": f"{address}?{urlencode(kept | {'limit': size, 'offset': start})}"}
        for rel, start in pages.items()
    ]  # fmt: skip


def _parts(collection: str) -> tuple[str, LayerName]:
    scene, _, name = collection.rpartition(".")
    for layer in get_args(LayerName):
        if name == layer:
            return scene, layer
    raise HTTPException(404, f"there is no collection {collection}")


def _with_ids(document: dict[str, Any], product: Product) -> dict[str, Any]:
    """Return the document with an id for each feature: that of a footprint is the scene's name."""
    for feature in document["features"]:
        feature.setdefault("id", product.key)
    return document


def _check_names(request: Request, known: set[str]) -> None:
    if unknown := set(request.query_params) - known:
        raise LayerError(
            f"{', '.join(sorted(unknown))}: unknown; known: {', '.join(sorted(known))}"
        )


def _whole(name: str, text: str, least: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
        raise LayerError(f"{name}: say a whole number from {least} on")
    return int(text)


def _bounds(text: str) -> tuple[float, float, float, float]:
    """Return west, south, east, north; heights, which a box may have, are passed over."""
    parts = text.split(",")
    return parse_bounds(",".join([*parts[:2], *parts[3:5]]) if len(parts) == 6 else text)
