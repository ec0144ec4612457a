"""The report: one self-contained HTML page, for the screen and for paper."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from odc.geo import CRS
from PIL import Image

from sar2opt.products.classes import CLASSES
from sar2opt.products.drawing import INK, PANEL, WARNING, Canvas
from sar2opt.products.facts import GENERATED, Facts, ModelFacts
from sar2opt.products.folder import output_errors
from sar2opt.products.pages import read_template
from sar2opt.products.pictures import TRUST_STOPS, Pictures
from sar2opt.products.preview import MARK, MOST, anomaly_colour, worth_showing
from sar2opt.products.styles import ANOMALY_COLOURS, OTHER_ANOMALY, hex_of
from sar2opt.raster import pixel_area_m2

Counts = npt.NDArray[np.int64]
Crop = Callable[[Any], Mapping[str, Image.Image]]
"""``crop(geometry)``: pictures around a geometry, ``optical`` and, if there is one, ``sar``."""

TRUST_STEP = 20  # percent, width of the bins
CHARACTER = 1.0  # width at most of one below the chart, which is 100 wide


def write_report(
    path: Path,
    facts: Facts,
    pictures: Pictures,
    anomalies: gpd.GeoDataFrame,
    *,
    tag_counts: Counts,
    trust_counts: Counts,
    crop: Crop,
    files: Sequence[Path] = (),
    site: Sequence[str] = (),
    features: gpd.GeoDataFrame | None = None,
) -> Path:
    """Write the report. Raises ``OutputError``.

    ``tag_counts`` and ``trust_counts`` are the numbers of pixels of each value, ``(256,)``;
    ``anomalies`` have the strongest first; ``files`` are the products beside the report, and
    ``site`` the columns of the anomalies that say whose place it is; ``features`` are those of a
    reference layer, as ``summarise_features`` counts them.
    """
    area = pixel_area_m2(facts.geobox) / 1e6
    covers = _covers(tag_counts, area)
    shown = worth_showing(anomalies)
    page = read_template(Path(__file__).with_name("report.html.j2")).render(
        facts=facts,
        mark=MARK,
        generated=GENERATED["optical"],
        pictures=_embedded(pictures, shown),
        tall=pictures.tags.shape[0] > 1.6 * pictures.tags.shape[1],
        flagged=[_flagged(row, crop, site) for _, row in shown.iterrows()],
        flagged_in_all=len(anomalies),
        kinds=_kinds(anomalies),
        features=[] if features is None else _features(features),
        covers=covers,
        chart=_chart(covers),
        trust=_trust(trust_counts),
        doubtful=_doubtful(trust_counts),
        trust_meaning=_trust_meaning(facts.model("translator")),
        trust_stops=[f"rgb{stop}" for stop in TRUST_STOPS],
        valid_km2=float(trust_counts[:101].sum()) * area,
        held_out={model.role: _outline(model.card.get("figures", {})) for model in facts.models},
        crs=_crs_name(facts.crs),
        files=[path.name for path in files],
    )
    with output_errors(path):
        path.write_text(page, encoding="utf-8")
    return path


def _embedded(pictures: Pictures, numbered: gpd.GeoDataFrame) -> dict[str, str]:
    """Return the views as data URIs; the generated image carries its mark in its pixels."""
    views = pictures.views()
    optical = _numbered(_on_panel(views["optical"]), pictures.pixel_of(numbered), numbered["kind"])
    return {
        "sar": data_uri(_on_panel(views["sar"]), "JPEG"),
        "optical": data_uri(marked(optical), "JPEG"),
        "tags": data_uri(_on_panel(views["tags"]).quantize(16), "PNG"),
        "trust": data_uri(_on_panel(views["trust"]), "JPEG"),
    }


def _numbered(
    picture: Image.Image, places: Sequence[tuple[float, float]], kinds: Iterable[str]
) -> Image.Image:
    """Return the picture with the numbers of the flags beside their places, the first on top."""
    canvas = Canvas(*picture.size)
    canvas.image.paste(picture)
    radius = max(6, picture.width // 55)
    named = list(enumerate(zip(places, kinds, strict=True), start=1))
    for number, ((col, row), kind) in reversed(named):
        side = -2 * radius if col > picture.width - 3 * radius else 2 * radius
        canvas.badge((col + side, row), str(number), anomaly_colour(kind), radius)
    return canvas.image


def _on_panel(view: Image.Image) -> Image.Image:
    ground = Image.new("RGB", view.size, PANEL)
    ground.paste(view, (0, 0), view)
    return ground


def marked(picture: Image.Image) -> Image.Image:
    """Return the picture with a bar above that says that it is generated."""
    size = max(8, min(20, picture.width // 32))
    bar = 2 * size
    canvas = Canvas(picture.width, picture.height + bar)
    canvas.box((0, 0, picture.width, bar), WARNING)
    canvas.text((picture.width / 2, bar / 2), MARK, size, INK, anchor="mm")
    canvas.image.paste(picture, (0, bar))
    return canvas.image


def data_uri(picture: Image.Image, kind: str) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **({"quality": 85} if kind == "JPEG" else {}))
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{text}"


def _flagged(row: Any, crop: Crop, site: Sequence[str]) -> dict[str, Any]:
    """Return what the page says of an anomaly."""
    label = ANOMALY_COLOURS.get(row.kind, OTHER_ANOMALY)[0]
    crops = crop(row.geometry)
    return {
        "label": label,
        "colour": hex_of(anomaly_colour(row.kind)),
        "score": row.score,
        "reason": row.reason,
        "area_m2": row.area_m2,
        "site": {name: row[name] for name in site if str(row[name]) not in ("nan", "None")},
        "lon": row.lon,
        "lat": row.lat,
        "evidence": [
            (title, row[column])
            for title, column in (("radar", "evidence_sar"), ("generated", "evidence_optical"))
            if row.get(column)
        ],
        "crops": {
            name: data_uri(crops[name].convert("RGB"), "JPEG")
            for name in ("sar", "optical")
            if name in crops
        },
    }


def _features(features: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """Return what the page says of the features in which most was flagged."""
    some = features[features["anomalies"] > 0].head(MOST)
    names = list(features.columns)[: features.columns.get_loc("area_m2")]  # numbers come after
    return [
        {
            "name": ", ".join(str(row[name]) for name in names),
            "kinds": _labelled(row.kinds),
            "share": 100 * row.flagged_share,
            "area_m2": row.area_m2,
        }
        for _, row in some.iterrows()
    ]


def _labelled(kinds: str) -> str:
    """Return counted kinds by the names that people read."""
    for kind, (label, *_) in ANOMALY_COLOURS.items():
        kinds = kinds.replace(kind, label.lower())
    return kinds


def _kinds(anomalies: gpd.GeoDataFrame) -> list[tuple[str, int]]:
    counts = anomalies["kind"].value_counts()
    return [(ANOMALY_COLOURS.get(kind, OTHER_ANOMALY)[0], int(n)) for kind, n in counts.items()]


def _covers(counts: Counts, area: float) -> list[dict[str, Any]]:
    """Return area and share of each class, the largest first; ``area`` of a pixel in km2."""
    total = max(1, int(counts[: len(CLASSES)].sum()))
    covers = [
        {
            "title": entry.title,
            "description": entry.description,
            "colour": entry.hex,
            "km2": float(counts[entry.code]) * area,
            "share": 100 * float(counts[entry.code]) / total,
        }
        for entry in CLASSES
    ]
    return sorted(covers, key=lambda cover: -float(cover["km2"]))


def _chart(covers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts of a bar of 100 units, one for each class that occurs."""
    parts: list[dict[str, Any]] = []
    at = 0.0
    for cover in covers:
        if cover["share"] > 0:
            written = CHARACTER * len(f"{cover['title']} {cover['share']:.0f} %")
            parts.append({**cover, "x": at, "label": cover["share"] > written})
            at += cover["share"]
    return parts


def _doubtful(counts: Counts) -> float:
    """Return the share of the area whose trust is below half, in percent."""
    return 100 * float(counts[:50].sum()) / max(1, int(counts[:101].sum()))


def _trust(counts: Counts) -> list[tuple[str, float]]:
    """Return the share of the area in each bin of trust, in percent."""
    total = max(1, int(counts[:101].sum()))
    bins = []
    for low in range(0, 100, TRUST_STEP):
        high = low + TRUST_STEP
        last = high == 100
        share = 100 * float(counts[low : 101 if last else high].sum()) / total
        bins.append((f"{low} to {high if last else high - 1} %", share))
    return bins


def _trust_meaning(translator: ModelFacts | None) -> str:
    tolerance = translator.card.get("trust_tolerance") if translator else None
    if tolerance is None:
        return "Trust is the model's own estimate, from 0 (none) to 100 (full)."
    return (
        "Trust is the model's own estimate of the probability, in percent, that the brightness "
        f"of a pixel is off by less than {100 * float(tolerance):.0f} % of the full range."
    )


def _outline(value: Any) -> dict[str, Any]:
    """Return nested figures as a tree of tables (``columns``, ``rows``), ``parts`` and ``text``."""
    node: dict[str, Any] = {"columns": [], "rows": [], "parts": [], "text": ""}
    if isinstance(value, Mapping):
        rows = list(value.values())
        columns = list(rows[0]) if rows and isinstance(rows[0], Mapping) else []
        if columns and all(_is_row(row, columns) for row in rows):
            cells = [(name, list(row.values())) for name, row in value.items()]
            return node | {"columns": columns, "rows": cells}
        return node | {"parts": [(name, _outline(part)) for name, part in value.items()]}
    if isinstance(value, (list, tuple)):
        return node | {"text": ", ".join(str(part) for part in value)}
    return node | {"text": str(value)}


def _is_row(value: Any, columns: Sequence[str]) -> bool:
    """Return whether ``value`` maps exactly these columns to plain values."""
    return (
        isinstance(value, Mapping)
        and list(value) == list(columns)
        and not any(isinstance(cell, (Mapping, list, tuple)) for cell in value.values())
    )


def _crs_name(crs: CRS) -> str:
    epsg = crs.to_epsg()
    return f"EPSG:{epsg}" if epsg else str(crs.proj.name)
