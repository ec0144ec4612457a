"""What a notebook shows of a finished run: its preview, its figures, its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
from PIL import Image

from sar2opt.products.classes import CLASSES
from sar2opt.products.pages import read_template
from sar2opt.products.preview import MARK
from sar2opt.products.report import data_uri

_WIDTH = 1000  # pixels of the preview; the file has more


def in_notebook(
    folder: Path,
    objects: gpd.GeoDataFrame,
    figures: Mapping[str, Any],
    assumptions: Sequence[str],
) -> str:
    """Return HTML about the products of ``folder`` that needs nothing else, without scripts."""
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    preview = next((path for path in paths if path.name.endswith("_preview.png")), None)
    areas = objects.groupby("tag")["area_m2"].agg(["count", "sum"])
    covers = [
        (entry.title, entry.hex, int(areas.loc[entry.name, "count"]),
         float(areas.loc[entry.name, "sum"]) / 1e6)
        for entry in CLASSES if entry.name in areas.index
    ]  # fmt: skip
    return read_template(Path(__file__).with_name("in_notebook.html.j2")).render(
        mark=MARK,
        folder=str(folder),
        preview=_small(preview) if preview else "",
        covers=sorted(covers, key=lambda cover: -cover[3]),
        figures={name.replace("_", " "): _written(value) for name, value in figures.items()},
        assumptions=assumptions,
        files=[path.name for path in paths],
    )


def _written(value: Any) -> str:
    """Return a figure with three digits that count."""
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"


def _small(path: Path) -> str:
    with Image.open(path) as preview:
        height = round(preview.height * _WIDTH / preview.width)
        small = preview.convert("RGB").resize((_WIDTH, height), Image.Resampling.BOX)
        return data_uri(small, "JPEG")
