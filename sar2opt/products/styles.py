"""How the vector layers are drawn: one description, as QGIS style (QML) and as OGC SLD 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from sar2opt.products.classes import CLASSES

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Symbol:
    """How one kind of polygon is drawn."""

    value: str  # of the style's column; empty: all others
    label: str
    fill: Colour
    outline: Colour
    opacity: float  # of the fill, 0 to 1
    width: float = 0.26  # of the outline, mm
    marker: bool = False  # a dot in the middle, so that small polygons show on small scales


@dataclass(frozen=True)
class LayerStyle:
    """How a layer is drawn: one symbol for each value of a column, or one for all."""

    column: str | None
    symbols: tuple[Symbol, ...]
    tip: str = ""  # what is shown under the pointer; a QGIS expression in [% %]


ANOMALY_COLOURS: Mapping[str, tuple[str, Colour]] = {
    "bright_target": ("Bright target", (230, 97, 1)),
    "change": ("Change since earlier scenes", (206, 18, 86)),
    "flood": ("Water where there was none", (33, 102, 172)),
    "reference_disagreement": ("Disagrees with the reference", (118, 42, 131)),
    "missing": ("Missing", (0, 109, 91)),
    "low_trust": ("Picture not to be believed", (115, 115, 115)),
}
SLD_ATTRIBUTES = {
    "version": "1.0.0",
    "xmlns": "http://www.opengis.net/sld",
    "xmlns:ogc": "http://www.opengis.net/ogc",
}
DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
OTHER_ANOMALY = ("Other anomaly", (60, 60, 60))


def _darker(colour: Colour) -> Colour:
    red, green, blue = colour
    return red * 3 // 5, green * 3 // 5, blue * 3 // 5


def _anomaly(value: str, label: str, colour: Colour) -> Symbol:
    return Symbol(value, label, colour, colour, opacity=0.15, width=0.6, marker=True)


STYLES: Mapping[str, LayerStyle] = {
    "objects": LayerStyle(
        "tag",
        tuple(Symbol(c.name, c.title, c.colour, _darker(c.colour), 0.6) for c in CLASSES),
        tip='[% "tag" %], [% round("area_m2" / 10000, 1) %] ha (generated from radar)',
    ),
    "anomalies": LayerStyle(
        "kind",
        (
            *(_anomaly(kind, *drawn) for kind, drawn in ANOMALY_COLOURS.items()),
            _anomaly("", *OTHER_ANOMALY),
        ),
        tip='[% "reason" %]',
    ),
    "features": LayerStyle(
        None,
        (Symbol("", "Feature of the reference", (118, 42, 131), (118, 42, 131), 0.0, width=0.3),),
        tip='[% "kinds" %], [% round(100 * "flagged_share") %] % flagged',
    ),
    "footprint": LayerStyle(
        None, (Symbol("", "Footprint of the scene", (0, 0, 0), (30, 30, 30), 0.0, width=0.4),)
    ),
}
"""The style of each layer of the GeoPackage."""


def to_qml(style: LayerStyle) -> str:
    """Return the style as QML, which QGIS 3 reads."""
    root = ET.Element("qgis", version="3.16", styleCategories="Symbology|MapTips")
    kind = "categorizedSymbol" if style.column else "singleSymbol"
    renderer = ET.SubElement(root, "renderer-v2", type=kind, attr=style.column or "")
    categories = ET.SubElement(renderer, "categories") if style.column else None
    symbols = ET.SubElement(renderer, "symbols")
    for index, symbol in enumerate(style.symbols):
        _qml_symbol(symbols, index, symbol)
        if categories is not None:
            known = {"value": symbol.value, "label": symbol.label}
            ET.SubElement(categories, "category", known, symbol=str(index), render="true")
    if style.tip:
        ET.SubElement(root, "mapTip").text = style.tip
    return DOCTYPE + as_text(root)


def to_class_qml() -> str:
    """Return the style of the class raster as QML.

    Of its colour table alone QGIS makes a legend of all 256 values that a byte can have.
    """
    root = ET.Element("qgis", version="3.16", styleCategories="Symbology")
    known = {"type": "paletted", "band": "1", "opacity": "1", "alphaBand": "-1"}
    renderer = ET.SubElement(ET.SubElement(root, "pipe"), "rasterrenderer", known)
    palette = ET.SubElement(renderer, "colorPalette")
    for entry in CLASSES:
        drawn = {"value": str(entry.code), "color": entry.hex, "alpha": "255"}
        ET.SubElement(palette, "paletteEntry", drawn, label=entry.title)
    return DOCTYPE + as_text(root)


def to_sld(style: LayerStyle, layer: str) -> str:
    """Return the style of ``layer`` as a Styled Layer Descriptor (OGC 02-070)."""
    root = ET.Element("StyledLayerDescriptor", SLD_ATTRIBUTES)
    named = ET.SubElement(root, "NamedLayer")
    ET.SubElement(named, "Name").text = layer
    feature_style = ET.SubElement(ET.SubElement(named, "UserStyle"), "FeatureTypeStyle")
    for symbol in style.symbols:
        rule = ET.SubElement(feature_style, "Rule")
        ET.SubElement(rule, "Name").text = symbol.label
        if style.column and not symbol.value:
            ET.SubElement(rule, "ElseFilter")
        elif style.column:
            equal = ET.SubElement(ET.SubElement(rule, "ogc:Filter"), "ogc:PropertyIsEqualTo")
            ET.SubElement(equal, "ogc:PropertyName").text = style.column
            ET.SubElement(equal, "ogc:Literal").text = symbol.value
        polygon = ET.SubElement(rule, "PolygonSymbolizer")
        opacity = {"fill-opacity": str(symbol.opacity)}
        _sld_parameters(polygon, "Fill", {"fill": hex_of(symbol.fill), **opacity})
        pixels = f"{symbol.width / 0.28:.1f}"  # SLD's pixel is 0.28 mm
        _sld_parameters(
            polygon, "Stroke", {"stroke": hex_of(symbol.outline), "stroke-width": pixels}
        )
        if symbol.marker:
            graphic = ET.SubElement(ET.SubElement(rule, "PointSymbolizer"), "Graphic")
            mark = ET.SubElement(graphic, "Mark")
            ET.SubElement(mark, "WellKnownName").text = "circle"
            _sld_parameters(mark, "Fill", {"fill": hex_of(symbol.fill)})
            ET.SubElement(graphic, "Size").text = "8"
    return as_text(root)


def _qml_symbol(parent: ET.Element, index: int, symbol: Symbol) -> None:
    drawn = ET.SubElement(parent, "symbol", type="fill", name=str(index), alpha="1")
    _qml_layer(
        drawn,
        "SimpleFill",
        color=_rgba(symbol.fill, symbol.opacity),
        outline_color=_rgba(symbol.outline, 1),
        outline_width=str(symbol.width),
        outline_width_unit="MM",
    )
    if symbol.marker:
        centroid = _qml_layer(drawn, "CentroidFill", point_on_surface="1")
        dot = ET.SubElement(centroid, "symbol", type="marker", name=f"@{index}@1", alpha="1")
        _qml_layer(
            dot,
            "SimpleMarker",
            name="circle",
            color=_rgba(symbol.fill, 1),
            outline_color="255,255,255,255",
            size="2.4",
            size_unit="MM",
        )


def _qml_layer(parent: ET.Element, kind: str, **properties: str) -> ET.Element:
    layer = ET.SubElement(parent, "layer", {"class": kind, "enabled": "1", "pass": "0"})
    for key, value in properties.items():
        ET.SubElement(layer, "prop", k=key, v=value)
    return layer


def _sld_parameters(parent: ET.Element, name: str, parameters: Mapping[str, str]) -> None:
    element = ET.SubElement(parent, name)
    for key, value in parameters.items():
        ET.SubElement(element, "CssParameter", name=key).text = value


def _rgba(colour: Colour, opacity: float) -> str:
    return ",".join(str(part) for part in (*colour, round(255 * opacity)))


def hex_of(colour: Colour) -> str:
    """Return a colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def as_text(root: ET.Element) -> str:
    """Return a document as indented text."""
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")
