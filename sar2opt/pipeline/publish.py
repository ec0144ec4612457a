"""From the staging store to finished products, which appear all at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pystac
from shapely.geometry.base import BaseGeometry

from sar2opt.overlay import (
    bright_targets,
    changes,
    concat,
    missing_objects,
    reference_disagreement,
    tags_to_objects,
    with_sites,
)
from sar2opt.overlay.footprint import footprint
from sar2opt.pipeline.earlier import Changes
from sar2opt.pipeline.plan import RunPlan
from sar2opt.products.cog import (
    GREY,
    OPTICAL,
    TAGS,
    TRUST,
    CogProfile,
    write_class_names,
    write_cog,
)
from sar2opt.products.facts import Product
from sar2opt.products.folder import product_paths, staged_output
from sar2opt.products.pictures import crop_pictures, read_pictures
from sar2opt.products.preview import write_preview
from sar2opt.products.report import write_report
from sar2opt.products.side_styles import write_styles
from sar2opt.products.stac import stac_item, write_stac
from sar2opt.products.vectors import footprint_table, write_extra, write_geopackage
from sar2opt.raster import NO_TAG, take_band
from sar2opt.sar.normalise import to_grey
from sar2opt.tiles.apply import read_padded
from sar2opt.tiles.plan import Window

Progress = Callable[[str, int, int], None]
NO_DATA = NO_TAG  # also of trust


def publish(
    plan: RunPlan, progress: Progress | None = None
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Write all products of a run whose blocks are all staged; return objects and anomalies."""
    with staged_output(plan.folder, plan.name, overwrite=plan.overwrite) as folder:
        paths = product_paths(folder, plan.name)
        counts = _write_rasters(plan, paths, progress)
        objects, anomalies, outline = _overlay(plan, progress)
        tables = {
            "objects": objects,
            "anomalies": anomalies,
            "footprint": footprint_table(plan.facts, outline),
        }
        write_geopackage(paths["vectors"], tables, plan.facts)
        extra = write_extra(folder, tables, plan.facts, plan.config.output.vectors)
        sar = np.asarray(plan.staging.array("sar")[0])
        pictures = read_pictures(paths, sar, plan.facts.geobox)
        write_preview(paths["preview"], plan.facts, pictures, anomalies)
        there = [path for path in paths.values() if path.exists()]
        write_report(
            paths["report"],
            plan.facts,
            pictures,
            anomalies,
            tag_counts=counts["tags"],
            trust_counts=counts["trust"],
            crop=partial(crop_pictures, paths, partial(_read_grey, plan), plan.facts.geobox),
            files=[*there, *extra],
            site=plan.reference.site_columns if plan.reference else (),
        )
        write_stac(paths["stac"], _item(plan, paths, tables["footprint"]))
        plan.staging.mark_published()
    return objects, anomalies


def _write_rasters(
    plan: RunPlan, paths: dict[str, Path], progress: Progress | None
) -> dict[str, npt.NDArray[np.int64]]:
    """Write the three COGs side by side; return how often each value occurs in each."""
    profiles: dict[Product, CogProfile] = {
        "optical": GREY if plan.optical_bands == 1 else OPTICAL,
        "trust": TRUST,
        "tags": TAGS,
    }
    rows, cols = plan.blocks.shape
    total, done = len(profiles) * rows * cols, 0

    def count(pixels: int) -> None:
        nonlocal done
        done += pixels
        if progress:
            progress("writing rasters", done, total)

    def write(name: Product) -> npt.NDArray[np.int64]:
        source = _Source(plan.staging.array(name), plan.staging.array("trust"))
        tags, geobox = plan.facts.tags(name), plan.facts.geobox
        write_cog(paths[name], source.read, geobox, profiles[name], tags, progress=count)
        return source.counts

    # GDAL's last step, the assembly, leaves a core idle; two files at a time fill it
    with ThreadPoolExecutor(2) as pool:
        counts = dict(zip(profiles, pool.map(write, profiles), strict=True))
    write_class_names(paths["tags"])
    write_styles(paths)
    return {str(name): values for name, values in counts.items()}


class _Source:
    """A staged array as ``write_cog`` reads it, counting the values of its first band."""

    def __init__(self, array: Any, trust: Any) -> None:
        self._array, self._trust = array, trust
        self.counts = np.zeros(256, np.int64)

    def read(
        self, y0: int, y1: int, x0: int, x1: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]] | None:
        valid = np.asarray(self._trust[0, y0:y1, x0:x1]) != NO_DATA
        if not valid.any():
            return None
        pixels = np.asarray(self._array[:, y0:y1, x0:x1])
        self.counts += np.bincount(pixels[0][valid], minlength=256)
        return pixels, valid


def _overlay(
    plan: RunPlan, progress: Progress | None
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame, BaseGeometry]:
    """Return objects, anomalies and the outline of the valid pixels."""
    settings, geobox = plan.config, plan.facts.geobox
    layers = {name: _Plane(plan.staging.array(name)) for name in ("tags", "score", "trust")}
    engine: dict[str, Any] = {"block": settings.engine.block, "workers": settings.engine.workers}
    objects = tags_to_objects(
        layers["tags"],
        geobox,
        plan.classes,
        score=layers["score"],
        min_area_m2=settings.objects.min_area_m2,
        max_hole_m2=settings.objects.max_hole_m2,
        progress=partial(progress, "outlining objects") if progress else None,
        **engine,
    )
    found = [_bright_targets(plan, layers["tags"], engine)]
    if plan.job.changes is not None:
        how = engine | {"progress": partial(progress, "outlining changes") if progress else None}
        found.append(_changes(plan, plan.job.changes, layers["tags"], how))
    found += _against_reference(plan, layers, engine, progress)
    anomalies = concat(found, objects.crs)
    if plan.reference is not None and plan.reference.sites is not None:
        sites = plan.reference.sites
        objects, anomalies = (with_sites(table, sites) for table in (objects, anomalies))
    return objects, anomalies, footprint(layers["trust"], geobox, NO_DATA, **engine)


def _against_reference(
    plan: RunPlan, layers: dict[str, _Plane], engine: dict[str, Any], progress: Progress | None
) -> list[gpd.GeoDataFrame]:
    """Return what is where it should not be, and what is not where it should be."""
    reference, settings, found = plan.reference, plan.config.anomalies, []
    if reference is None:
        return []
    tags, geobox, names, table = (
        layers["tags"], plan.facts.geobox, plan.classes, reference.table
    )  # fmt: skip
    how: dict[str, Any] = {"column": settings.column, "score": layers["score"]}
    if reference.allow is not None:
        told = partial(progress, "comparing with the reference") if progress else None
        more: dict[str, Any] = {"min_area_m2": settings.min_area_m2, "progress": told, **engine}
        allow = reference.allow
        found.append(reference_disagreement(tags, geobox, names, table, allow=allow, **how, **more))
    if reference.expect is not None:
        told = partial(progress, "looking for what is missing") if progress else None
        found.append(
            missing_objects(
                tags, geobox, names, table, expect=reference.expect, progress=told, **how
            )
        )
    return found


def _bright_targets(plan: RunPlan, tags: _Plane, engine: dict[str, Any]) -> gpd.GeoDataFrame:
    return bright_targets(
        _Plane(plan.staging.array("bright")),
        plan.facts.geobox,
        factor=plan.job.cfar.factor,
        false_alarm=plan.config.anomalies.false_alarm,
        tags=tags,
        names=plan.classes,
        min_pixels=plan.config.anomalies.min_pixels,
        **engine,
    )


def _changes(
    plan: RunPlan, found: Changes, tags: _Plane, engine: dict[str, Any]
) -> gpd.GeoDataFrame:
    return changes(
        plan.staging.array("change"),
        plan.facts.geobox,
        dates=found.dates,
        level_db=found.test.level_db,
        false_share=plan.config.anomalies.change_false_share,
        # what is smaller than a window may be a single pixel, seen by all windows that hold it
        min_pixels=max(plan.config.anomalies.min_pixels, found.test.window**2),
        tags=tags,
        names=plan.classes,
        doubt=found.doubt,
        **engine,
    )


class _Plane:
    """The only band of a staged array, seen as ``(y, x)``."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape = array.shape[1:]

    def __getitem__(self, window: tuple[slice, slice]) -> npt.NDArray[np.uint8]:
        return np.asarray(self._array[(0, *window)])


def _read_grey(plan: RunPlan, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.uint8]:
    band = take_band(plan.scene, plan.job.translator_band)
    return to_grey(read_padded(band, Window(y0, y1, x0, x1))[0], plan.job.translator_norm)


def _item(plan: RunPlan, paths: dict[str, Path], footprint: gpd.GeoDataFrame) -> pystac.Item:
    files = {name: path for name, path in paths.items() if path.exists()}
    return stac_item(plan.facts, files, footprint.to_crs("EPSG:4326").geometry.iloc[0])
