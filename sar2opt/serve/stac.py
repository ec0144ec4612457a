"""The products as a STAC catalogue with a search, links turned to addresses of this server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from sar2opt.errors import LayerError
from sar2opt.serve.catalogue import Product
from sar2opt.serve.features import Bounds

CONFORMS = (
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/item-search",
)
ROOT = "/stac/catalog.json"


def catalogue_json(products: list[Product], base: str) -> dict[str, Any]:
    """Return the root of the catalogue; ``base`` is the address of the server without a slash."""
    links = [
        {"rel": "root", "href": base + ROOT, "type": "application/json"},
        {"rel": "self", "href": base + ROOT, "type": "application/json"},
        {"rel": "search", "href": f"{base}/stac/search", "type": "application/geo+json"},
        {"rel": "conformance", "href": f"{base}/stac/conformance", "type": "application/json"},
    ]
    links += [
        {"rel": "item", "href": _item_address(one, base), "type": "application/geo+json"}
        for one in products
    ]
    return {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "id": "sar2opt",
        "title": "Maps generated from radar",
        "description": "Imagery and land cover that neural networks generated from radar scenes. "
        "None of it is a photograph or a survey.",
        "conformsTo": list(CONFORMS),
        "links": links,
    }


def item_json(product: Product, base: str) -> dict[str, Any]:
    """Return the item of a product, its assets and links as addresses of the server."""
    item = dict(product.item)
    files = f"{base}/files/{quote(product.key, safe='~')}/"
    item["id"] = product.key
    item["assets"] = {
        name: asset | {"href": files + quote(str(asset.get("href", "")).removeprefix("./"))}
        for name, asset in product.item["assets"].items()
    }
    item["links"] = [
        {"rel": "self", "href": _item_address(product, base), "type": "application/geo+json"},
        {"rel": "root", "href": base + ROOT, "type": "application/json"},
        {"rel": "parent", "href": base + ROOT, "type": "application/json"},
    ]
    return item


def search(products: list[Product], bounds: Bounds | None, when: str) -> list[Product]:
    """Return the products that touch ``bounds`` and lie in ``when``. Raises ``LayerError``.

    ``when`` is a time or two with a slash between; ``..`` or nothing leaves an end open.
    """
    start, end = _interval(when)
    return [
        one
        for one in products
        if (bounds is None or _touch(one.item["bbox"], bounds))
        and start <= _time(one.item["properties"]["datetime"]) <= end
    ]


def _item_address(product: Product, base: str) -> str:
    return f"{base}/stac/items/{quote(product.key, safe='~')}.json"


def _touch(one: list[float], other: Bounds) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def _interval(when: str) -> tuple[datetime, datetime]:
    first, slash, second = when.partition("/")
    ends = (first, second if slash else first)
    always = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    try:
        start, end = (
            default if text in ("", "..") else _time(text)
            for text, default in zip(ends, always, strict=True)
        )
    except ValueError:
        raise LayerError("datetime: say 2024-05-01T00:00:00Z/2024-05-31T00:00:00Z") from None
    if len(ends[1]) == 10:  # a day lasts until its end
        end = end.replace(hour=23, minute=59, second=59)
    return start, end


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(str(text))
    return time if time.tzinfo else time.replace(tzinfo=UTC)
