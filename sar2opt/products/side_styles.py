"""Styles beside the products: QML that QGIS takes by itself, SLD for GeoServer and MapServer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from sar2opt.products.classes import CLASSES
from sar2opt.products.folder import output_errors
from sar2opt.products.pictures import TRUST_STOPS
from sar2opt.products.styles import (
    DOCTYPE,
    SLD_ATTRIBUTES,
    STYLES,
    as_text,
    hex_of,
    to_class_qml,
    to_sld,
)


def write_styles(paths: Mapping[str, Path]) -> None:
    """Write the styles that ``paths`` names, by the keys of ``folder.FILES``.

    Raises ``OutputError``.
    """
    texts = {
        "tags_style": to_class_qml(),
        "trust_style": to_trust_qml(),
        "tags_sld": to_class_sld(),
        "objects_sld": to_sld(STYLES["objects"], "objects"),
        "anomalies_sld": to_sld(STYLES["anomalies"], "anomalies"),
    }
    for key in texts.keys() & paths.keys():
        with output_errors(paths[key]):
            paths[key].write_text(texts[key], encoding="utf-8")


def to_trust_qml() -> str:
    """Return the style of the trust raster as QML: the colours of the report, 0 to 100 percent."""
    root = ET.Element("qgis", version="3.16", styleCategories="Symbology")
    known = {"type": "singlebandpseudocolor", "band": "1", "opacity": "1", "alphaBand": "-1"}
    span = {"classificationMin": "0", "classificationMax": "100"}
    renderer = ET.SubElement(ET.SubElement(root, "pipe"), "rasterrenderer", {**known, **span})
    shader = ET.SubElement(renderer, "rastershader")
    ramp = ET.SubElement(
        shader, "colorrampshader", colorRampType="INTERPOLATED", classificationMode="1", clip="0"
    )
    for percent, stop in zip((0, 50, 100), TRUST_STOPS, strict=True):
        drawn = {"value": str(percent), "color": hex_of(stop), "alpha": "255"}
        ET.SubElement(ramp, "item", drawn, label=f"{percent} %")
    return DOCTYPE + as_text(root)


def to_class_sld() -> str:
    """Return the style of the class raster as a Styled Layer Descriptor (OGC 02-070)."""
    root = ET.Element("StyledLayerDescriptor", SLD_ATTRIBUTES)
    named = ET.SubElement(root, "NamedLayer")
    ET.SubElement(named, "Name").text = "tags"
    style = ET.SubElement(ET.SubElement(named, "UserStyle"), "FeatureTypeStyle")
    symbolizer = ET.SubElement(ET.SubElement(style, "Rule"), "RasterSymbolizer")
    colours = ET.SubElement(symbolizer, "ColorMap", type="values")
    for entry in CLASSES:
        drawn = {"color": entry.hex, "quantity": str(entry.code), "label": entry.title}
        ET.SubElement(colours, "ColorMapEntry", drawn)
    return as_text(root)
