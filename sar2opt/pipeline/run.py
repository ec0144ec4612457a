"""``run``: plan, make the blocks, publish."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import geopandas as gpd
import xarray as xr

from sar2opt.config import RunConfig
from sar2opt.errors import Sar2optError
from sar2opt.pipeline.overlay import trust_note
from sar2opt.pipeline.plan import RunPlan, make_plan
from sar2opt.pipeline.publish import publish
from sar2opt.pipeline.resources import release
from sar2opt.products.in_notebook import in_notebook
from sar2opt.products.reopen import open_product
from sar2opt.raster import take_band
from sar2opt.tiles.engine import return_freed_memory, run_blocks

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Told ``(step, done, total)``, in pixels."""


@dataclass(frozen=True)
class Products:
    """The finished products of a run."""

    folder: Path
    objects: gpd.GeoDataFrame
    anomalies: gpd.GeoDataFrame
    figures: dict[str, float]
    assumptions: tuple[str, ...]
    backscatter: xr.DataArray | None = None  # the band that was translated, lazy, linear power

    def _repr_html_(self) -> str:
        """What a notebook shows: the preview and the figures, without anything from outside."""
        return in_notebook(self.folder, self.objects, self.figures, self.assumptions)

    @property
    def optical(self) -> xr.DataArray:
        """Generated imagery, lazy, ``(band, y, x)`` float32 in [0, 1]."""
        return open_product(self.folder, "optical")

    @property
    def trust(self) -> xr.DataArray:
        """Trust in the translation, lazy, ``(band, y, x)`` float32 in percent."""
        return open_product(self.folder, "trust")

    @property
    def tags(self) -> xr.DataArray:
        """Land-cover codes, lazy, ``(band, y, x)`` float32."""
        return open_product(self.folder, "tags")


def run(
    config: RunConfig,
    *,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
    command: str = "",
) -> Products:
    """Make all products of the scene that ``config.scene.path`` names.

    A run that was killed goes on where it stopped. ``tell`` is told each assumption in a sentence
    before the work begins. Raises a ``Sar2optError`` that says what to do; then nothing of this
    run is left behind.
    """
    started = time.perf_counter()
    plan = make_plan(config, command)
    plan, (objects, anomalies) = carry_out(plan, publish, progress, tell)
    figures = {**plan.facts.figures, "seconds": round(time.perf_counter() - started, 2)}
    radar = take_band(plan.scene, plan.job.translator_band)
    return Products(plan.folder, objects, anomalies, figures, plan.facts.assumptions, radar)


def carry_out(
    plan: RunPlan,
    finish: Callable[[RunPlan, Progress | None], T],
    progress: Progress | None,
    tell: Callable[[str], None] | None,
) -> tuple[RunPlan, T]:
    """Make the blocks of a plan and ``finish`` it; return it with its figures, and what that made.

    ``tell`` is told each assumption before that. After a ``Sar2optError`` nothing is left behind.
    """
    started = time.perf_counter()
    for sentence in plan.facts.assumptions if tell else ():
        tell(sentence)  # type: ignore[misc]
    try:
        resumed = _make_blocks(plan, progress)
        figures = {
            "megapixels": round(plan.scene.shape[1] * plan.scene.shape[2] / 1e6, 3),
            "resumed_blocks": resumed,
            "seconds_blocks": round(time.perf_counter() - started, 2),
        }
        notes = trust_note(plan)
        for sentence in notes if tell else ():
            tell(sentence)  # type: ignore[misc]
        said = (*plan.facts.assumptions, *notes)
        plan = replace(plan, facts=replace(plan.facts, figures=figures, assumptions=said))
        made = finish(plan, progress)
    except Sar2optError:
        plan.staging.remove()
        raise
    finally:
        release(plan.job.fingerprint)
    plan.staging.remove()
    return plan, made


def _make_blocks(plan: RunPlan, progress: Progress | None) -> int:
    """Make the blocks that are not staged yet; return how many were there already."""
    blocks = list(plan.blocks.blocks())
    todo = [block for block in blocks if not plan.staging.is_done(block)]
    total = plan.blocks.shape[0] * plan.blocks.shape[1]
    done = total - sum(block.shape[0] * block.shape[1] for block in todo)

    def count(pixels: int) -> None:
        nonlocal done
        done += pixels
        if progress:
            progress("making blocks", done, total)

    engine = plan.config.engine
    run_blocks(plan.job, todo, scheduler=engine.scheduler, workers=engine.workers, progress=count)
    return_freed_memory()  # else what publishing needs comes on top of it
    return len(blocks) - len(todo)
