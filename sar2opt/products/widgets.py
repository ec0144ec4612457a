"""Widgets for notebooks, of the extra ``notebook``: a swipe, and a map. Both work offline."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anywidget
import geopandas as gpd
import ipyleaflet
import ipywidgets
import numpy as np
import traitlets

from sar2opt.errors import ConfigError
from sar2opt.products.preview import MARK, anomaly_colour
from sar2opt.products.report import data_uri
from sar2opt.products.views import View

_SEEN = 400  # pixels: height of a map in a notebook
_MOST = 200  # anomalies on a map; each is a widget


class Swipe(anywidget.AnyWidget):
    """Two pictures of one place, with a curtain between them."""

    _esm = Path(__file__).with_name("swipe.js").read_text(encoding="utf-8")
    left = traitlets.Unicode().tag(sync=True)  # data URI
    right = traitlets.Unicode().tag(sync=True)
    titles = traitlets.List(traitlets.Unicode()).tag(sync=True)
    generated = traitlets.List(traitlets.Bool()).tag(sync=True)
    width = traitlets.Int().tag(sync=True)  # pixels, at most


def swipe(views: Sequence[View]) -> Swipe:
    """Return the widget for the first two views. Raises ``ConfigError`` if places differ."""
    left, right = _first_two(views)
    return Swipe(
        left=data_uri(left.image, "PNG"),
        right=data_uri(right.image, "PNG"),
        titles=[left.title, right.title],
        generated=[left.generated, right.generated],
        width=max(left.pixels.shape[1], 720),
    )


def web_map(views: Sequence[View], anomalies: gpd.GeoDataFrame | None) -> Any:
    """Return a map with a layer for each view, of which the image is shown, and the anomalies."""
    layers, corners = [], []
    first = next((view for view in views if view.title == "Image"), views[0])
    for view in views:
        picture, bounds = view.on_web_map()
        corners.append(bounds)
        name = f"{view.title}, generated" if view.generated else view.title
        shown = view is first
        layers.append(
            ipyleaflet.ImageOverlay(
                url=data_uri(picture, "PNG"), bounds=bounds, name=name, opacity=float(shown)
            )
        )
    south, west = (min(corner[0][axis] for corner in corners) for axis in (0, 1))
    north, east = (max(corner[1][axis] for corner in corners) for axis in (0, 1))
    chart = ipyleaflet.Map(
        center=((south + north) / 2, (west + east) / 2),
        zoom=_zoom(east - west, north - south, (south + north) / 2),
        layers=(),
        scroll_wheel_zoom=True,
    )
    for layer in layers:
        chart.add(layer)
    if anomalies is not None and len(anomalies):
        chart.add(_markers(anomalies))
    chart.add(ipyleaflet.WidgetControl(widget=_opacities(layers), position="topright"))
    if any(view.generated for view in views):
        mark = ipywidgets.HTML(f'<b style="background:#ffc832;padding:2px 8px">{MARK}</b>')
        chart.add(ipyleaflet.WidgetControl(widget=mark, position="bottomleft"))
    chart.add(ipyleaflet.ScaleControl(position="bottomright"))
    return chart


def _zoom(width: float, height: float, lat: float) -> int:
    """Return the closest zoom that shows so many degrees; ``fit_bounds`` needs a running loop."""
    tall = height / max(0.05, math.cos(math.radians(lat)))  # web Mercator stretches
    return int(np.clip(math.log2(_SEEN * 360 / 256 / max(width, tall, 1e-6)), 1, 18))


def _opacities(layers: Sequence[Any]) -> Any:
    """Return a slider a layer, linked in the browser: it works without a kernel too."""
    sliders = []
    for layer in layers:
        slider = ipywidgets.FloatSlider(
            value=layer.opacity, min=0.0, max=1.0, step=0.05, readout=False,
            description=layer.name, style={"description_width": "190px"}, layout={"width": "330px"},
        )  # fmt: skip
        ipywidgets.jslink((slider, "value"), (layer, "opacity"))
        sliders.append(slider)
    return ipywidgets.VBox(sliders)


def _markers(anomalies: gpd.GeoDataFrame) -> Any:
    strongest = anomalies.nlargest(_MOST, "score")
    places = strongest.geometry.representative_point().to_crs("EPSG:4326")
    rows = zip(places, strongest["kind"], strongest["score"], strongest["reason"], strict=True)
    dots = [
        ipyleaflet.CircleMarker(
            location=(point.y, point.x),
            radius=6,
            weight=2,
            color="#{:02x}{:02x}{:02x}".format(*anomaly_colour(kind)),
            fill_opacity=0.2,
            popup=ipywidgets.HTML(f"{html.escape(str(reason))} (score {score:.2f})"),
        )
        for point, kind, score, reason in rows
    ]
    name = f"Anomalies, the {len(dots)} strongest of {len(anomalies)}"
    return ipyleaflet.LayerGroup(layers=tuple(dots), name=name)


def _first_two(views: Sequence[View]) -> tuple[View, View]:
    """Return the pictures to swipe between; raises ``ConfigError`` unless they lie on one place."""
    if len(views) < 2:
        raise ConfigError("show: a swipe wants two pictures, such as [scene, products.optical]")
    left, right = views[:2]
    here, there = left.geobox, right.geobox
    tolerance = 2 * max(abs(here.affine.a), abs(there.affine.a))
    apart = max(abs(a - b) for a, b in zip(here.boundingbox, there.boundingbox, strict=True))
    if here.crs != there.crs or apart > tolerance:
        raise ConfigError("show: the first two pictures do not lie on the same place")
    return replace(left, title=left.caption), replace(right, title=right.caption)
