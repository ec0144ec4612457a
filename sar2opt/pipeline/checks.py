"""What a run is refused for before anything is opened that costs time."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from sar2opt.config import AnomalySettings, PrepareSettings, RunConfig
from sar2opt.errors import ConfigError, LayerError
from sar2opt.overlay.anomalies import ANOMALY_COLUMNS
from sar2opt.overlay.joined_table import Sites, match_rows, read_rows
from sar2opt.overlay.missing import LEAST_PIXELS, visible
from sar2opt.overlay.reference import read_reference
from sar2opt.overlay.rules import check_rules, read_allow, read_tolerance
from sar2opt.products.vectors import check_formats
from sar2opt.raster import pixel_area_m2
from sar2opt.sar.speckle import SpeckleFilter


@dataclass(frozen=True)
class Reference:
    """What should be there, and which tags each of its classes allows."""

    table: gpd.GeoDataFrame
    allow: dict[str, list[str]] | None  # None: nothing is compared
    expect: dict[str, list[str]] | None = None  # None: nothing is looked for
    notes: tuple[str, ...] = ()
    sites: Sites | None = None  # its polygons with the columns of a table
    border: float = 1.0  # pixels beside the edges of its polygons that are not judged
    columns: tuple[str, ...] = ()  # of the table that tell its features apart

    @property
    def site_columns(self) -> list[str]:
        """What the columns of the table are called among the anomalies."""
        return [] if self.sites is None else list(self.sites.names(ANOMALY_COLUMNS).values())


def check_settings(config: RunConfig) -> None:
    """Raise for settings that are fine one by one, but not together or on this machine."""
    check_formats(config.output.vectors)
    speckle_filter(config.prepare, config.prepare.looks)
    settings = config.anomalies
    if settings.guard >= settings.background:
        raise ConfigError(
            f"anomalies.guard is {settings.guard}: it must be smaller than anomalies.background, "
            f"which is {settings.background}, for CA-CFAR needs a ring between the two"
        )
    if settings.change_window % 2 == 0:
        raise ConfigError(
            f"anomalies.change_window is {settings.change_window}: it must be odd, so that a pixel "
            "lies in the middle"
        )
    if settings.allow is not None and settings.reference is None:
        raise ConfigError("--allow needs --reference: the layer whose classes it is about")
    if settings.expect is not None and settings.reference is None:
        raise ConfigError("--expect needs --reference: the layer whose classes it is about")
    if settings.join is not None and (settings.reference is None or settings.on is None):
        raise ConfigError("--join needs --reference, the layer with the places, and --on, the key")
    if settings.on is not None and settings.join is None:
        raise ConfigError("--on needs --join: the table whose key it is")
    scheduler = config.engine.scheduler
    if scheduler != "threads" and "://" not in scheduler:
        raise ConfigError(f"no scheduler is called '{scheduler}': say threads or tcp://HOST:PORT")


def speckle_filter(prepare: PrepareSettings, looks: float) -> SpeckleFilter | None:
    """Return the speckle filter that the settings ask for; raises ``ConfigError``."""
    if prepare.despeckle == "none":
        return None
    return SpeckleFilter(prepare.despeckle, prepare.despeckle_window, looks)


def load_reference(config: RunConfig, tags: tuple[str, ...], geobox: GeoBox) -> Reference | None:
    """Read the reference layer and its rules, or return None where none is named.

    Raises ``ConfigError`` or ``LayerError`` when rules and classes do not fit, or when the layer
    lies outside the scene.
    """
    settings = config.anomalies
    if settings.reference is None:
        return None
    allow, expect = (
        None if path is None else read_allow(path, tags)
        for path in (settings.allow, settings.expect)
    )
    if allow or expect:
        table = read_reference(settings.reference, settings.column, settings.on)
        for rule in filter(None, (allow, expect)):
            check_rules(table[settings.column], rule)
    elif settings.join is not None and settings.on is not None:
        table = read_reference(settings.reference, settings.on)
    else:
        raise ConfigError(
            "--reference needs --allow: which tags may occur in which of its classes, or "
            "--expect: which must, or --join: a table about its features"
        )
    bounds = table.to_crs(str(geobox.crs)).total_bounds
    # without a place in the scene's CRS is outside too; a rough look, by boxes, is enough
    if not np.isfinite(bounds).all() or not _overlap(bounds, geobox):
        raise LayerError(
            f"{settings.reference}: lies outside the scene: check that both show the same place"
        )
    sites = None
    if settings.join is not None and settings.on is not None:
        rows = read_rows(settings.join, settings.on)
        sites = match_rows(table, rows, settings.on, settings.join.name)
    border, said = _border(settings, geobox)
    notes = (*table.attrs["notes"], *said)
    if expect is not None:
        notes += _too_small(table, geobox, settings.column, expect, border)
    columns = tuple(str(name) for name in table.columns if name != table.geometry.name)
    return Reference(table, allow, expect, notes, sites, border, columns)


def _border(settings: AnomalySettings, geobox: GeoBox) -> tuple[float, tuple[str, ...]]:
    """Return how many pixels beside an edge are not judged, and a sentence if that was set."""
    paths = [path for path in (settings.allow, settings.expect) if path is not None]
    said = [metres for path in paths if (metres := read_tolerance(path)) is not None]
    metres = max(said, default=None) if settings.tolerance_m is None else settings.tolerance_m
    if metres is None:
        return 1.0, ()
    sentence = f"ground within {metres:g} m of the edge of a feature of the reference is not judged"
    return metres / float(np.sqrt(pixel_area_m2(geobox))), (sentence,)


def _too_small(
    table: gpd.GeoDataFrame,
    geobox: GeoBox,
    column: str,
    expect: dict[str, list[str]],
    border: float,
) -> tuple[str, ...]:
    """Say how many of the features that are expected cannot be seen."""
    asked = int(table[column].isin(list(expect)).sum())
    hidden = asked - len(visible(table, geobox, column, expect, border))
    return (
        f"of {asked} features that must show something, {hidden} are too small for that "
        f"({LEAST_PIXELS} pixels without the rim) or lie outside, and are never called missing",
    )


def _overlap(bounds: np.ndarray, geobox: GeoBox) -> bool:
    scene = shapely.box(*geobox.boundingbox)
    return bool(shapely.box(*bounds).intersects(scene))
