"""The application: which address answers with what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from rio_tiler.errors import TileOutsideBounds
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles
from titiler.core.errors import DEFAULT_STATUS_CODES, add_exception_handlers

from sar2opt.errors import LayerError
from sar2opt.serve import features, stac
from sar2opt.serve.answers import FOR_GOOD, GEOJSON, REVALIDATE, base_of, find_product, read_layer
from sar2opt.serve.catalogue import Catalogue, Product
from sar2opt.serve.evidence import evidence
from sar2opt.serve.features import MOST, LayerName, Wanted
from sar2opt.serve.guard import REPORT_POLICY, Guard, TileCache, page_policy
from sar2opt.serve.layers import FILE_OF, legend
from sar2opt.serve.ogc import ogc_router
from sar2opt.serve.places import places_in
from sar2opt.serve.tiles import EMPTY_TILE, tile_router

STATIC = Path(__file__).with_name("static")
LOCAL = ("127.0.0.1", "localhost", "::1", "[::1]")


@dataclass(frozen=True)
class Access:
    """Who may ask what."""

    token: str = ""  # empty: anybody who reaches the port
    origins: tuple[str, ...] = ()  # of other web pages that may read and embed; "*": all
    hosts: tuple[str, ...] = LOCAL  # names by which the server may be called; "*": all


def make_app(folder: Path, access: Access | None = None) -> FastAPI:
    """Return the ASGI application over the products under ``folder``. Raises ``ConfigError``."""
    access = access or Access()
    catalogue = Catalogue(folder)
    app = FastAPI(title="sar2opt", docs_url=None, redoc_url=None)
    app.include_router(tile_router(catalogue))
    add_exception_handlers(app, DEFAULT_STATUS_CODES)
    app.add_exception_handler(LayerError, _refused)
    app.add_exception_handler(TileOutsideBounds, _nothing)
    _add_products(app, catalogue)
    _add_vectors(app, catalogue)
    _add_stac(app, catalogue)
    app.include_router(ogc_router(catalogue))
    app.mount("/", Page(directory=STATIC, html=True))

    def stamp(path: str) -> int | None:
        parts = path.split("/")  # "", products, scene, layer, tiles ...
        product = catalogue.find(parts[2]) if parts[1:2] == ["products"] and parts[4:] else None
        return product.stamp if product and parts[3] in FILE_OF else None

    app.add_middleware(TileCache, stamp=stamp)
    app.add_middleware(Guard, token=access.token, policy=page_policy(access.origins))
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(access.hosts))
    if access.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(access.origins),
            allow_methods=["GET", "HEAD"],
            allow_headers=["Authorization", "Range"],
            expose_headers=["Content-Range", "Content-Length"],
        )
    return app


class Page(StaticFiles):
    """The page and its scripts, asked for anew each time; the library has a version instead."""

    def file_response(self, *given: Any, **how: Any) -> Response:
        """Return a file, and how long a browser may keep it."""
        answer = super().file_response(*given, **how)
        vendor = Path(given[0]).parent.name == "vendor"
        answer.headers.update(FOR_GOOD if vendor else REVALIDATE)
        return answer


def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, 400)


def _nothing(_: Request, error: Exception) -> Response:
    return Response(EMPTY_TILE, media_type="image/png")  # maps ask around the edges too


def _add_products(app: FastAPI, catalogue: Catalogue) -> None:
    @app.get("/health")
    def health() -> dict[str, str]:
        """Say that the server is up."""
        return {"status": "ok"}

    @app.get("/legend.json")
    def colours() -> dict[str, Any]:
        """Return classes, kinds of anomalies and their colours."""
        return legend()

    @app.get("/products.json")
    def products() -> JSONResponse:
        """Return all finished products, the earliest first."""
        listed = [_summary(one) for one in catalogue.products()]
        return JSONResponse({"products": listed}, headers=REVALIDATE)

    @app.get("/places.json")
    def places(bbox: str, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
        """Return the largest towns of an area, for names on the map."""
        found = places_in(features.parse_bounds(bbox), limit)
        return {"source": "GeoNames, CC BY 4.0", "places": found}

    @app.get("/files/{scene}/{name}")
    def file(scene: str, name: str) -> FileResponse:
        """Return a file of a product, whole or by ranges of bytes."""
        path = catalogue.file(find_product(catalogue, scene), name)
        if path is None:
            raise HTTPException(404, f"{scene} has no file {name}")
        page = path.suffix == ".html"
        return FileResponse(
            path, headers={"Content-Security-Policy": REPORT_POLICY} if page else {}
        )


def _summary(product: Product) -> dict[str, Any]:
    facts = product.item["properties"]
    name = quote(product.key, safe="~")
    return {
        "key": product.key,
        "scene": product.scene,
        "bbox": product.item["bbox"],
        "datetime": facts["datetime"],
        "dated": "sar2opt:acquired" not in facts,
        "simulated": bool(facts.get("sar2opt:simulated")),
        "look": facts.get("sar2opt:look", ""),
        "source": facts.get("sar2opt:source", ""),
        "assumptions": facts.get("sar2opt:assumptions", []),
        "stamp": product.stamp % 10**9,  # to tell a scene that was made anew
        "layers": [layer for layer, kind in FILE_OF.items() if product.path(kind).is_file()],
        "address": f"products/{name}",
        "report": f"files/{name}/{quote(product.path('report').name)}",
        "stac": f"stac/items/{name}.json",
        "files": [f"files/{name}/{quote(one)}" for one in product.files],
    }


def _wanted(
    bbox: str = "",
    kind: Annotated[str, Query(description="tags or kinds, by commas; empty: all")] = "",
    min_score: Annotated[float, Query(ge=0, le=1)] = 0.0,
    min_area: Annotated[float, Query(ge=0, le=1e15, description="square metres")] = 0.0,
    id: Annotated[str, Query(max_length=40)] = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 1000,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    tolerance: Annotated[float, Query(ge=0, le=1000, description="metres")] = 0.0,
) -> Wanted:
    bounds = features.parse_bounds(bbox) if bbox else None
    kinds = tuple(kind.split(",")) if kind else ()
    return Wanted(bounds, kinds, min_score, min_area, id, limit, offset, tolerance)


def _add_vectors(app: FastAPI, catalogue: Catalogue) -> None:
    @app.get("/vectors/{scene}/{layer}.geojson")
    def geojson(
        scene: str, layer: LayerName, wanted: Annotated[Wanted, Depends(_wanted)]
    ) -> JSONResponse:
        """Return features as GeoJSON, the most important first."""
        document = features.to_geojson(*read_layer(catalogue, scene, layer, wanted))
        return JSONResponse(document, media_type=GEOJSON, headers=REVALIDATE)

    @app.get("/vectors/{scene}/{layer}.fgb")
    def flatgeobuf(
        scene: str, layer: LayerName, wanted: Annotated[Wanted, Depends(_wanted)]
    ) -> Response:
        """Return features as FlatGeobuf."""
        table, _ = read_layer(catalogue, scene, layer, wanted)
        return Response(features.to_flatgeobuf(table, layer), media_type="application/flatgeobuf")

    @app.get("/evidence/{scene}/{layer}/{identity}/{which}.png")
    def picture(scene: str, layer: LayerName, identity: str, which: str) -> Response:
        """Return the picture of the radar (sar) or the generated one (optical) around a feature."""
        table, _ = read_layer(catalogue, scene, layer, Wanted(identity=identity, limit=1))
        product = find_product(catalogue, scene)
        if which not in ("sar", "optical") or table.empty:
            raise HTTPException(404, "there is no such picture")
        content = evidence(catalogue, product, table, which)
        if content is None:
            raise HTTPException(404, f"{scene} has no {which}")
        return Response(content, media_type="image/png")


def _add_stac(app: FastAPI, catalogue: Catalogue) -> None:
    @app.get("/stac/catalog.json")
    @app.get("/stac", include_in_schema=False)
    def root(request: Request) -> dict[str, Any]:
        """Return the STAC catalogue."""
        return stac.catalogue_json(catalogue.products(), base_of(request))

    @app.get("/stac/conformance")
    def conformance() -> dict[str, Any]:
        """Return which parts of the STAC API there are."""
        return {"conformsTo": list(stac.CONFORMS)}

    @app.get("/stac/items/{scene}.json")
    def item(scene: str, request: Request) -> JSONResponse:
        """Return the STAC item of a product."""
        found = stac.item_json(find_product(catalogue, scene), base_of(request))
        return JSONResponse(found, media_type=GEOJSON)

    @app.get("/stac/search")
    def search(
        request: Request,
        bbox: str = "",
        when: Annotated[str, Query(alias="datetime", max_length=100)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> JSONResponse:
        """Return the items of a place and a time."""
        bounds = features.parse_bounds(bbox) if bbox else None
        found = stac.search(catalogue.products(), bounds, when)
        document = {
            "type": "FeatureCollection",
            "features": [stac.item_json(one, base_of(request)) for one in found[:limit]],
            "links": [],
            "numberMatched": len(found),
            "numberReturned": min(len(found), limit),
        }
        return JSONResponse(document, media_type=GEOJSON)
