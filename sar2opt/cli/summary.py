"""What a run says when it is done: to people, and with ``--json`` to programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd

from sar2opt.cli.console import log, out
from sar2opt.products.folder import product_paths

if TYPE_CHECKING:
    from sar2opt.pipeline import Products

_WORTH = 3  # places that are named
_GROUPS = (
    ("look first", ("preview",)),
    ("to forward", ("report",)),
    ("for a GIS", ("optical", "tags", "trust", "sar", "vectors")),
    ("for a catalogue", ("stac",)),
)


def say(products: Products, *, as_json: bool) -> None:
    """Print what was made, and where to look."""
    log.info("done: %s", products.folder)
    if as_json:
        print(json.dumps(as_plain(products), indent=2))
        return
    out.print(
        f"{products.folder}: {len(products.objects)} objects, {len(products.anomalies)} anomalies, "
        f"in {products.figures['seconds']:.0f} s"
    )
    paths = _files(products)
    for label, keys in _GROUPS:
        out.print(f"  {label}: {', '.join(paths[key].name for key in keys if key in paths)}")
    for sentence in worth_looking_at(products.anomalies):
        out.print(f"  worth a look: {sentence}")


def as_plain(products: Products) -> dict[str, Any]:
    """Return what a program wants to know of a run, as plain values."""
    return {
        "folder": str(products.folder),
        "files": {key: str(path) for key, path in _files(products).items()},
        "objects": len(products.objects),
        "anomalies": len(products.anomalies),
        "worth_looking_at": worth_looking_at(products.anomalies),
        "figures": products.figures,
        "assumptions": list(products.assumptions),
        "generated": True,
    }


def worth_looking_at(anomalies: gpd.GeoDataFrame) -> list[str]:
    """Return up to three places in words: the strongest of each kind before the second of any."""
    if anomalies.empty:
        return []
    rank = anomalies.groupby("kind")["score"].rank(method="first", ascending=False)
    ranked = anomalies.assign(rank=rank).sort_values(["rank", "score"], ascending=[True, False])
    return [
        f"{abs(row.lat):.5f}° {'N' if row.lat >= 0 else 'S'}, "
        f"{abs(row.lon):.5f}° {'E' if row.lon >= 0 else 'W'}: {row.reason}"
        for row in ranked.head(_WORTH).itertuples()
    ]


def _files(products: Products) -> dict[str, Path]:
    paths = product_paths(products.folder, products.folder.name)
    return {key: path for key, path in paths.items() if path.exists()}
