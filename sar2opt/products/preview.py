"""The preview: what a person looks at first. Four views of the scene on one sheet, with words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sar2opt.products.classes import CLASSES
from sar2opt.products.drawing import (
    GREY,
    INK,
    MEASURED,
    PANEL,
    WARNING,
    Canvas,
    fitting_size,
    length_in_words,
    round_length,
    text_width,
    wrap,
)
from sar2opt.products.facts import Facts
from sar2opt.products.folder import output_errors
from sar2opt.products.pictures import Pictures, ground_width_m, trust_palette
from sar2opt.products.styles import ANOMALY_COLOURS, OTHER_ANOMALY

WIDTH = 1600
EDGE, GAP = 48, 32
COLUMN = (WIDTH - 2 * EDGE - GAP) // 2
MOST = 10  # anomalies that get a number
BAR = 36  # height of the bar above a view, which says what it is
MARK = "GENERATED FROM RADAR - NOT A PHOTOGRAPH"


@dataclass(frozen=True)
class _Panel:
    """Where a view lies on the sheet: its picture's left, top, width and height."""

    x: int
    y: int
    width: int
    height: int


def worth_showing(anomalies: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return ten anomalies: the strongest of each kind, and the strongest of the others."""
    first = ~anomalies["kind"].duplicated()  # of a table that has the strongest first
    return anomalies[first | ((~first).cumsum() <= MOST - first.sum())].head(MOST)


def write_preview(
    path: Path, facts: Facts, pictures: Pictures, anomalies: gpd.GeoDataFrame
) -> Path:
    """Write the preview (PNG, 1600 pixels wide). Raises ``OutputError``.

    ``anomalies`` are in the CRS of the pictures, the strongest first; those worth showing get a
    number on the picture and a line of text.
    """
    with output_errors(path):
        says = PngInfo()
        for key, value in facts.tags("optical").items():
            says.add_itxt(key, value)
        sheet = draw_preview(facts, pictures, anomalies)
        sheet.save(path, format="PNG", pnginfo=says, compress_level=2)
    return path


def draw_preview(facts: Facts, pictures: Pictures, anomalies: gpd.GeoDataFrame) -> Image.Image:
    """Return the preview as a picture."""
    panels, below = _layout(pictures)
    named = worth_showing(anomalies)
    canvas = Canvas(WIDTH, below + _height_of_list(len(named)) + 132)
    _title(canvas, facts)
    views = pictures.views()
    radar = f"Radar backscatter, {facts.polarisation.upper()}"
    origin = "simulated" if facts.simulated else "measured"
    _view(canvas, panels["sar"], views["sar"], radar, origin, MEASURED)
    _view(canvas, panels["optical"], views["optical"], MARK, f"look: {facts.look}", WARNING)
    _view(canvas, panels["tags"], views["tags"], "Land cover", "generated from radar", WARNING)
    _view(canvas, panels["trust"], views["trust"], "Trust in the image", "generated", WARNING)
    _scale_bar(canvas, panels["sar"], pictures)  # where no marker lies
    _tag_legend(canvas, below - 96, pictures)
    _trust_legend(canvas, below - 96, pictures)
    _markers(canvas, panels["optical"], pictures, named)
    end = _list(canvas, below, anomalies, named)
    _footer(canvas, end, facts)
    return canvas.image


def anomaly_colour(kind: str) -> tuple[int, int, int]:
    """Return the colour in which a kind of anomaly is drawn."""
    return ANOMALY_COLOURS.get(kind, OTHER_ANOMALY)[1]


def _layout(pictures: Pictures) -> tuple[Mapping[str, _Panel], int]:
    """Place the four views, two a row (four a row if they are tall); return the y below them."""
    rows, cols = pictures.tags.shape
    across = 4 if rows > 1.6 * cols else 2
    width = (WIDTH - 2 * EDGE - (across - 1) * GAP) // across
    height = max(120, min(round(width * rows / cols), 1100))
    places = {}
    for index, name in enumerate(("sar", "optical", "tags", "trust")):
        row, col = divmod(index, across)
        y = 132 + BAR + row * (height + BAR + GAP)
        places[name] = _Panel(EDGE + col * (width + GAP), y, width, height)
    return places, y + height + 108


def _title(canvas: Canvas, facts: Facts) -> None:
    canvas.text((EDGE, 34), wrap(facts.scene, 38, WIDTH - 2 * EDGE, 1)[0], 38)
    acquired = f"acquired {facts.acquired}" if facts.acquired else "acquisition time unknown"
    rows, cols = facts.geobox.shape
    size = ground_width_m(facts.geobox)
    parts = [facts.source, acquired, f"{cols} x {rows} pixels of {size:.3g} m on the ground"]
    if facts.simulated:
        parts.insert(0, "SIMULATED SCENE")
    line = wrap(" · ".join(parts), 17, WIDTH - 2 * EDGE, 1)[0]
    canvas.text((EDGE, 86), line, 17, GREY)


def _view(
    canvas: Canvas,
    panel: _Panel,
    view: Image.Image,
    title: str,
    note: str,
    colour: tuple[int, int, int],
) -> None:
    """Draw a view as large as its panel allows, under a bar that says what it is."""
    right, middle = panel.x + panel.width, panel.y - BAR / 2
    canvas.box((panel.x, panel.y - BAR, right - 1, panel.y - 1), colour)
    gap = "     " if note else ""
    size = fitting_size(f"{title}{gap}{note}", 18, panel.width - 28)
    canvas.text((panel.x + 14, middle), title, size, anchor="lm")
    canvas.text((right - 14, middle), note, size - 2, anchor="rm")
    canvas.box((panel.x, panel.y, right - 1, panel.y + panel.height - 1), PANEL)
    left, top, width, height = _fitted(panel, view.size)
    shrinks = width < view.size[0]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    small = view.resize((width, height), method)
    canvas.image.paste(small, (left, top), small)


def _fitted(panel: _Panel, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, width and height of a picture that keeps its shape in the panel."""
    scale = min(panel.width / size[0], panel.height / size[1])
    width, height = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    left = panel.x + (panel.width - width) // 2
    return left, panel.y + (panel.height - height) // 2, width, height


def _scale_bar(canvas: Canvas, panel: _Panel, pictures: Pictures) -> None:
    """Draw the ground distance, on its own ground so that it reads on any picture."""
    _, _, width, _ = _fitted(panel, pictures.tags.shape[::-1])
    metres = ground_width_m(pictures.geobox) * pictures.tags.shape[1] / width  # of a sheet pixel
    length = round_length(metres * panel.width / 4)
    bar = length / metres
    left, low = panel.x + 14, panel.y + panel.height - 14
    label = length_in_words(length)
    right = left + max(bar, text_width(label, 15)) + 20
    canvas.box((left, low - 40, right, low), (255, 255, 255), radius=4)
    canvas.text((left + 10, low - 36), label, 15)
    canvas.box((left + 10, low - 13, left + 10 + bar, low - 9), INK)


def _tag_legend(canvas: Canvas, y: float, pictures: Pictures) -> None:
    """Name the classes and their shares, in the left half of the sheet."""
    counts = np.bincount(pictures.tags.ravel(), minlength=256)[: len(CLASSES)]
    percent = 100 * counts / max(1, counts.sum())
    for index, (entry, share) in enumerate(zip(CLASSES, percent, strict=True)):
        x = EDGE + (index % 3) * COLUMN / 3
        top = y + (index // 3) * 24
        canvas.box((x, top, x + 22, top + 15), entry.colour, radius=3)
        width = canvas.text((x + 30, top - 1), entry.title, 15)
        label = f"{share:.0f} %" if share >= 0.5 or share == 0 else "<1 %"
        canvas.text((x + 36 + width, top - 1), label, 15, GREY)


def _trust_legend(canvas: Canvas, y: float, pictures: Pictures) -> None:
    """Draw the scale of trust and how much there is, in the right half of the sheet."""
    palette = trust_palette()
    left = EDGE + COLUMN + GAP + 34
    for percent in range(101):
        x = left + percent * 2
        canvas.draw.rectangle((x, y, x + 1, y + 15), tuple(int(c) for c in palette[percent]))
    canvas.text((left - 8, y - 1), "low", 15, GREY, anchor="ra")
    canvas.text((left + 210, y - 1), "high", 15, GREY)
    trust = pictures.trust[pictures.valid]
    if trust.size:
        low = 100 * (trust < 50).mean()
        note = f"mean {trust.mean():.0f} %; {low:.0f} % of the area is below 50 %"
        canvas.text((WIDTH - EDGE, y - 1), note, 15, GREY, anchor="ra")


def _markers(canvas: Canvas, panel: _Panel, pictures: Pictures, named: gpd.GeoDataFrame) -> None:
    """Ring the anomalies and number them, the strongest on top."""
    left, top, width, _ = _fitted(panel, pictures.tags.shape[::-1])
    scale = width / pictures.tags.shape[1]
    places = zip(pictures.pixel_of(named), named["kind"], strict=True)
    for number, ((col, row), kind) in reversed(list(enumerate(places, start=1))):
        x, y = left + col * scale, top + row * scale
        colour = anomaly_colour(kind)
        for radius, rim in ((9, (255, 255, 255)), (8, colour)):
            canvas.draw.ellipse((x - radius, y - radius, x + radius, y + radius), None, rim, 2)
        side = -18 if x > panel.x + panel.width - 30 else 18
        canvas.badge((x + side, y - 8), str(number), colour, radius=9)


def _height_of_list(count: int) -> int:
    return 52 + 52 * ((count + 1) // 2) if count else 64


def _list(canvas: Canvas, y: int, anomalies: gpd.GeoDataFrame, named: gpd.GeoDataFrame) -> int:
    """Write what was flagged, in two columns."""
    canvas.rule(EDGE, WIDTH - EDGE, y - 22)
    if named.empty:
        canvas.text((EDGE, y), "Nothing was flagged.", 18)
        return y + _height_of_list(0)
    width = canvas.text((EDGE, y), f"Flagged: {len(anomalies)}", 22)
    if len(anomalies) > MOST:
        said = f"{MOST} are shown: the strongest, of each kind one"
        canvas.text((EDGE + width + 14, y + 5), said, 16, GREY)
    x = float(WIDTH - EDGE)
    for kind in sorted(set(named["kind"]), reverse=True):
        label = ANOMALY_COLOURS.get(kind, OTHER_ANOMALY)[0]
        x -= canvas.text((x, y + 5), label, 16, GREY, anchor="ra") + 16
        canvas.draw.ellipse((x - 2, y + 8, x + 8, y + 18), anomaly_colour(kind))
        x -= 24
    half = (len(named) + 1) // 2
    for index, (kind, reason) in enumerate(zip(named["kind"], named["reason"], strict=True)):
        col, row = divmod(index, half)
        x, top = EDGE + col * (COLUMN + GAP), y + 48 + 52 * row
        canvas.badge((x + 12, top + 11), str(index + 1), anomaly_colour(kind), radius=10)
        canvas.lines((x + 36, top), wrap(reason, 15, COLUMN - 36, 2), 15)
    return y + _height_of_list(len(named))


def _footer(canvas: Canvas, y: int, facts: Facts) -> None:
    canvas.rule(EDGE, WIDTH - EDGE, y)
    models = ", ".join(f"{model.name} ({model.sha256[:8]})" for model in facts.models)
    assumed = "; ".join(sentence.rstrip(".") for sentence in facts.assumptions)
    lines = [
        "Image, land cover and trust are estimates of neural networks, not observations. "
        "Check on the ground or on real imagery before you decide on them.",
        *wrap(f"Assumed: {assumed or 'nothing'}.", 15, WIDTH - 2 * EDGE, 2),
        f"{models} · {facts.software} · {facts.created} · {_orientation(facts)}",
    ]
    canvas.lines((EDGE, y + 20), lines, 15, GREY)


def _orientation(facts: Facts) -> str:
    upright = facts.geobox.affine.is_rectilinear and facts.geobox.affine.e < 0
    return "grid north is up" if upright else "the grid is turned: north is not up"
