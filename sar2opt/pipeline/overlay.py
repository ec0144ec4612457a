"""From the staging store to tables: objects, anomalies, and the outline of what holds data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
from shapely.geometry.base import BaseGeometry

from sar2opt.overlay import (
    Ground,
    bright_targets,
    changes,
    concat,
    expected_targets,
    floods,
    is_flooded,
    keep_anomaly_ids,
    keep_ids,
    low_trust,
    middle_trust,
    missing_objects,
    rectangular,
    reference_disagreement,
    strongest,
    summarise_features,
    tags_to_objects,
    with_origin,
    with_sites,
)
from sar2opt.overlay.changes import Band
from sar2opt.overlay.footprint import footprint
from sar2opt.pipeline.earlier import Changes
from sar2opt.pipeline.floods import Floods
from sar2opt.pipeline.plan import RunPlan
from sar2opt.products.facts import UNKNOWN
from sar2opt.products.vectors import footprint_table
from sar2opt.raster import NO_TAG, OBJECTS, pixel_area_m2

Progress = Callable[[str, int, int], None]


def find_objects(plan: RunPlan, progress: Progress | None = None) -> gpd.GeoDataFrame:
    """Return the objects of a run whose blocks are all staged."""
    settings = plan.config.objects
    objects = tags_to_objects(
        _plane(plan, "tags"),
        plan.facts.geobox,
        plan.classes,
        score=_plane(plan, "score"),
        power=_plane(plan, "power"),
        level_db=plan.job.translator_norm.level_db,
        min_area_m2=settings.min_area_m2,
        min_areas_m2=dict.fromkeys(OBJECTS, settings.min_target_m2),
        max_hole_m2=settings.max_hole_m2,
        smooth=settings.smooth,
        fill=settings.fill,
        progress=_told(progress, "outlining objects"),
        **_engine(plan),
    )
    objects = rectangular(objects, settings.rectangles)
    if plan.earlier is not None:
        objects, _ = keep_ids(objects, plan.earlier)
    return _with_sites(plan, with_origin(objects, **plan.facts.origin))


def find_anomalies(plan: RunPlan, progress: Progress | None = None) -> gpd.GeoDataFrame:
    """Return the anomalies of a run whose blocks are all staged, the strongest first."""
    found = [_bright_targets(plan)]
    if plan.job.changes is not None:
        found.append(_changes(plan, plan.job.changes, progress))
        if plan.job.floods is not None:
            found.append(_floods(plan, plan.job.changes, plan.job.floods, progress))
    found += _against_reference(plan, progress)
    if _least_trust(plan) > 0:
        found.append(_low_trust(plan, progress))
    table = strongest(concat(found, plan.facts.geobox.crs), plan.config.anomalies.most)
    table, _ = keep_anomaly_ids(table, plan.known, plan.facts.acquired or UNKNOWN)
    return _with_sites(plan, table)


def trust_note(plan: RunPlan) -> list[str]:
    """Say so where the whole scene is to be doubted, as then no area of it is flagged for that."""
    least = _least_trust(plan)
    if least == 0:
        return []
    middle = middle_trust(_plane(plan, "trust"), plan.config.engine.block)
    if not middle < least:  # NaN where there is no data
        return []
    return [
        f"do not believe the picture anywhere in this scene: half of it has a trust of "
        f"{middle:.0f} % or less, and so no areas are named for that"
    ]


def layers_of(
    plan: RunPlan, anomalies: gpd.GeoDataFrame, objects: gpd.GeoDataFrame | None = None
) -> dict[str, gpd.GeoDataFrame]:
    """Return the layers of a GeoPackage: tables by name, the features of a reference among them."""
    tables = {} if objects is None else {"objects": objects}
    tables["anomalies"] = anomalies
    reference = plan.reference
    if reference is not None:
        tables["features"] = summarise_features(
            reference.table, anomalies, plan.facts.geobox, reference.columns
        )
    return tables | {"footprint": footprint_table(plan.facts, find_footprint(plan))}


def find_footprint(plan: RunPlan) -> BaseGeometry:
    """Return the outline of the pixels that hold data, in the CRS of the grid."""
    layer = _plane(plan, "trust" if plan.job.wanted.image else "tags")
    return footprint(layer, plan.facts.geobox, NO_TAG, **_engine(plan))


def _plane(plan: RunPlan, layer: str) -> Band:
    return Band(plan.staging.array(layer))


def _engine(plan: RunPlan) -> dict[str, Any]:
    return {"block": plan.config.engine.block, "workers": plan.config.engine.workers}


def _told(progress: Progress | None, step: str) -> Callable[[int, int], None] | None:
    return partial(progress, step) if progress else None


def _with_sites(plan: RunPlan, table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    reference = plan.reference
    if reference is None or reference.sites is None:
        return table
    return with_sites(table, reference.sites)


def _against_reference(plan: RunPlan, progress: Progress | None) -> list[gpd.GeoDataFrame]:
    """Return what is where it should not be, and what is not where it should be."""
    reference, settings, found = plan.reference, plan.config.anomalies, []
    if reference is None:
        return []
    tags, geobox, names, table = (
        _plane(plan, "tags"), plan.facts.geobox, plan.classes, reference.table
    )  # fmt: skip
    how: dict[str, Any] = {"column": settings.column, "border": reference.border}
    if reference.allow is not None:
        found.append(
            reference_disagreement(
                tags,
                geobox,
                names,
                table,
                allow=reference.allow,
                probabilities=plan.staging.array("probabilities"),
                wrong_share=settings.wrong_share,
                min_area_m2=settings.min_area_m2,
                progress=_told(progress, "comparing with the reference"),
                **how,
                **_engine(plan),
            )
        )
    if reference.expect is not None:
        told = _told(progress, "looking for what is missing")
        more: dict[str, Any] = {"expect": reference.expect, "progress": told}
        more["score"] = _plane(plan, "score")
        found.append(missing_objects(tags, geobox, names, table, **more, **how))
    return found


def _bright_targets(plan: RunPlan) -> gpd.GeoDataFrame:
    assert plan.job.cfar is not None
    settings, reference, before = plan.config.anomalies, plan.reference, plan.job.changes
    known = Ground(
        tags=_plane(plan, "tags"),
        names=plan.classes,
        power=None if plan.job.cfar.even else _plane(plan, "power"),  # the tags explain nothing
        shown=_plane(plan, "shown") if before else None,
        earlier=len(before.order) if before else 0,
    )
    table = bright_targets(
        _plane(plan, "bright"),
        plan.facts.geobox,
        factor=plan.job.cfar.factor,
        false_alarm=settings.false_alarm,
        tail=plan.job.cfar.tail,
        known=known,
        min_pixels=settings.min_pixels,
        **_engine(plan),
    )
    if reference is None or reference.allow is None:
        return table
    pixel = float(np.sqrt(abs(plan.facts.geobox.affine.determinant)))
    rules = reference.table, settings.column, reference.allow, reference.border * pixel
    return table[~expected_targets(table, *rules)].reset_index(drop=True)


def _low_trust(plan: RunPlan, progress: Progress | None) -> gpd.GeoDataFrame:
    return low_trust(
        _plane(plan, "trust"),
        plan.facts.geobox,
        below=_least_trust(plan),
        min_area_m2=plan.config.anomalies.low_trust_area_m2,
        tags=_plane(plan, "tags"),
        names=plan.classes,
        progress=_told(progress, "looking for low trust"),
        **_engine(plan),
    )


def _least_trust(plan: RunPlan) -> float:
    """Return the trust below which ground is flagged: less by what is doubted of the whole scene.

    Those doubts are among the assumptions already; flagged is what is worse than the rest. 0 is
    none.
    """
    if not plan.job.wanted.flags:
        return 0.0
    return plan.config.anomalies.low_trust * plan.job.trust_factor


def _changes(plan: RunPlan, found: Changes, progress: Progress | None) -> gpd.GeoDataFrame:
    return changes(
        plan.staging.array("change"),
        plan.facts.geobox,
        dates=found.dates,
        level_db=found.test.level_db,
        false_share=plan.config.anomalies.change_false_share,
        # what is smaller than a window may be a single pixel, seen by all windows that hold it
        min_pixels=max(plan.config.anomalies.min_pixels, found.test.window**2),
        tags=_plane(plan, "tags"),
        names=plan.classes,
        flooded=_Flooded(plan.staging.array("flood")) if plan.job.floods else None,
        doubt=found.doubt,
        progress=_told(progress, "outlining changes"),
        **_engine(plan),
    )


def _floods(
    plan: RunPlan, found: Changes, told: Floods, progress: Progress | None
) -> gpd.GeoDataFrame:
    geobox = plan.facts.geobox
    smallest = plan.config.objects.min_area_m2 / pixel_area_m2(geobox)  # that of a lake
    return floods(
        _plane(plan, "flood"),
        geobox,
        found=plan.staging.array("change"),
        level_db=found.test.level_db,
        dates=told.dates,
        model=told.model,
        min_pixels=max(plan.config.anomalies.min_pixels, round(smallest)),
        doubt=told.doubt,
        progress=_told(progress, "outlining floods"),
        **_engine(plan),
    )


class _Flooded(Band):
    """Where a staged probability calls pixels flooded, as 1, seen as ``(y, x)``."""

    def __getitem__(self, window: tuple[slice, slice]) -> npt.NDArray[np.uint8]:
        return is_flooded(super().__getitem__(window))
