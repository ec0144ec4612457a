"""``show``: look at rasters and products in a notebook, side by side, swiped, or on a map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import xarray as xr

from sar2opt.errors import ConfigError, OutputError
from sar2opt.products.classes import CLASSES
from sar2opt.products.preview import MOST, anomaly_colour
from sar2opt.products.reopen import open_product
from sar2opt.products.views import View, views_of

_ACROSS = 2  # panels a row, from the fourth on
_WARNING = "#ffc832"


@dataclass(frozen=True)
class Shown:
    """What is to be seen: pictures, and the anomalies of a scene, if any."""

    views: list[View]
    anomalies: gpd.GeoDataFrame | None = None


def show(what: Any, *, swipe: bool = False, map: bool = False) -> Any:
    """Show rasters or products: a figure, a swipe between two pictures, or an interactive map.

    ``what`` is a raster ``(band, y, x)``, what ``run`` returned, the folder of a scene's products,
    or a list of these. Returns a matplotlib ``Figure``, or with ``swipe`` a widget with a curtain
    between the first two pictures of one place, or with ``map`` an ipyleaflet ``Map`` on which
    each picture is a layer; both need ``pip install 'sar2opt[notebook]'``. The map asks no server
    for anything; add a basemap to it if you like. What a net made is marked as generated. Raises
    ``ConfigError``, ``ConventionError``, ``SceneError`` or ``OutputError``.
    """
    if swipe and map:
        raise ConfigError("show: choose swipe or map, not both")
    shown = _gathered(what)
    if not (swipe or map):
        return _figure(shown)
    try:
        from sar2opt.products import widgets
    except ImportError as error:
        raise OutputError(
            f"show needs {error.name} for this: pip install 'sar2opt[notebook]'"
        ) from error
    return widgets.swipe(shown.views) if swipe else widgets.web_map(shown.views, shown.anomalies)


def _gathered(what: Any) -> Shown:
    if isinstance(what, xr.DataArray):
        return Shown(views_of(what))
    if isinstance(what, (list, tuple)):
        parts = [_gathered(one) for one in what]
        if not parts:
            raise ConfigError("show: the list is empty")
        tables = [part.anomalies for part in parts if part.anomalies is not None]
        return Shown([view for part in parts for view in part.views], tables[0] if tables else None)
    if isinstance(what, (str, Path)):
        return _products(Path(what), None, None)
    if hasattr(what, "folder"):
        return _products(what.folder, what.anomalies, getattr(what, "backscatter", None))
    raise ConfigError(
        f"show cannot show a {type(what).__name__}: give a raster (band, y, x), what run returned, "
        "a folder of products, or a list of these"
    )


def _products(
    folder: Path, anomalies: gpd.GeoDataFrame | None, radar: xr.DataArray | None
) -> Shown:
    """Return the views of finished products, the backscatter first: as given, or as displayed."""
    if radar is None and any(folder.glob("*_sar.tif")):
        radar = open_product(folder, "sar")
    rasters = [open_product(folder, name) for name in ("optical", "tags", "trust")]
    views = [view for raster in rasters for view in views_of(raster)]
    if radar is not None:
        views = [*views_of(radar), *views]
    if anomalies is None:
        (path,) = folder.glob("*_optical.tif")  # open_product has seen that there is one
        vectors = path.with_name(f"{path.name.removesuffix('_optical.tif')}.gpkg")
        if vectors.exists():
            anomalies = gpd.read_file(vectors, layer="anomalies")
    return Shown(views, anomalies)


def _figure(shown: Shown) -> Any:
    """Draw the views side by side, with their coordinates."""
    import matplotlib.pyplot as plt  # only here: the command line has no need of it

    count = len(shown.views)
    across = count if count <= 3 else _ACROSS
    down = -(-count // across)
    rows, cols = shown.views[0].geobox.shape
    width = 15 / across
    size = (15, down * min(max(width * rows / cols, 2.0), 12.0) + 0.6 * down)
    figure, axes = plt.subplots(down, across, figsize=size, layout="constrained", squeeze=False)
    for ax, view in zip(axes.flat, shown.views, strict=False):
        _panel(ax, view)
        if view.title == "Land cover":
            _key(ax)
        if shown.anomalies is not None and view.title == "Image":
            _rings(ax, shown.anomalies, view)
    for ax in list(axes.flat)[count:]:
        ax.set_axis_off()
    plt.close(figure)  # else a notebook shows it twice
    return figure


def _panel(ax: Any, view: View) -> None:
    box = view.geobox.boundingbox
    ax.imshow(view.pixels, extent=(box.left, box.right, box.bottom, box.top), aspect="equal")
    ax.set_facecolor("#e9e7e1")
    ax.ticklabel_format(style="plain", useOffset=False)
    ax.tick_params(labelsize=8)
    ax.locator_params(nbins=5)
    mark = {"backgroundcolor": _WARNING} if view.generated else {}
    ax.set_title(view.caption, fontsize=11, **mark)


def _key(ax: Any) -> None:
    """Name the classes below the picture."""
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=entry.hex, label=entry.title) for entry in CLASSES]
    where = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.05), "ncols": 3, "frameon": False}
    ax.legend(handles=patches, fontsize=8, **where)


def _rings(ax: Any, anomalies: gpd.GeoDataFrame, view: View) -> None:
    """Ring and number the strongest anomalies."""
    strongest = anomalies.nlargest(MOST, "score").to_crs(view.geobox.crs.to_wkt())  # type: ignore[union-attr]
    points = strongest.geometry.representative_point()
    for number, (point, kind) in enumerate(zip(points, strongest["kind"], strict=True), start=1):
        colour = "#{:02x}{:02x}{:02x}".format(*anomaly_colour(kind))
        ax.plot(point.x, point.y, "o", mfc="none", mec="white", ms=13, mew=3)
        ax.plot(point.x, point.y, "o", mfc="none", mec=colour, ms=13, mew=1.8)
        ax.annotate(
            str(number), (point.x, point.y), xytext=(8, 6), textcoords="offset points",
            fontsize=8, color="white", bbox={"boxstyle": "circle,pad=0.2", "fc": colour, "lw": 0},
        )  # fmt: skip
