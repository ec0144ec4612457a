"""Commands on what a scene shows: tag, objects, anomalies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sar2opt.cli import options
from sar2opt.cli.console import bars_of_progress, command_line, out, tell_assumption
from sar2opt.config import ObjectSettings, parse_config


@options.of_scene
@options.of_tagger
def tag(scene: options.SceneFile, file: options.Geotiff, **how: Any) -> None:
    """Write the land cover of a scene, and beside it the probability of each pixel's tag."""
    settings = options.asked_of_tagger(scene, {}, **how)
    from sar2opt.pipeline import tag_scene  # loads the nets: not before the options are read
    from sar2opt.products.classes import CLASSES

    with bars_of_progress() as progress:
        counts = tag_scene(
            settings, file, progress=progress, tell=tell_assumption, command=command_line()
        )
    known = max(1, int(counts[: len(CLASSES)].sum()))
    shares = [f"{one.name} {100 * counts[one.code] / known:.0f} %" for one in CLASSES]
    out.print(f"{file}: {', '.join(shares)}")


def objects(
    tags: Annotated[Path, typer.Argument(help="raster of tags", show_default=False)],
    file: options.Geopackage,
    scene: Annotated[
        Path | None, typer.Option(help="scene whose mean backscatter each object tells")
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(
            "--before", "--before-objects", help="earlier .gpkg: its objects keep their ids"
        ),
    ] = None,
    min_area: Annotated[
        float | None, typer.Option(min=0, help="smaller ones are no objects, m2")
    ] = None,
    max_hole: Annotated[
        float | None, typer.Option(min=0, help="smaller holes are filled, m2")
    ] = None,
    smooth: Annotated[
        bool | None, typer.Option("--smooth/--stairs", help="outlines along pixels, or without")
    ] = None,
    fill: Annotated[
        bool | None,
        typer.Option("--fill/--gaps", help="what is smaller goes to a neighbour, or leaves a gap"),
    ] = None,
    rectangles: Annotated[
        list[str] | None,
        typer.Option(help="tag whose objects become rectangles where one fits; may be repeated"),
    ] = None,
    workers: options.Workers = None,
    overwrite: options.ReplaceFile = False,
) -> None:
    """Outline the areas of one tag of a raster, as polygons with their attributes."""
    from sar2opt.vectorise import ObjectsJob, tags_file_to_objects

    wanted = options.given(
        before=before, min_area_m2=min_area, max_hole_m2=max_hole, smooth=smooth, fill=fill,
        rectangles=tuple(rectangles) if rectangles else None,
    )  # fmt: skip
    settings = parse_config(wanted, ObjectSettings, "options")
    job = ObjectsJob(tags, file, scene, settings, overwrite, workers or 0, command_line())
    with bars_of_progress() as progress:
        found = tags_file_to_objects(job, progress=progress, tell=tell_assumption)
    kinds = ", ".join(f"{tag} {count}" for tag, count in found["tag"].value_counts().items())
    out.print(f"{file}: {len(found)} objects{': ' if kinds else ''}{kinds}")
    if found.empty:
        out.print("no object is as large as that: the layer is empty")


@options.of_scene
@options.of_tagger
def anomalies(
    scene: options.SceneFile,
    file: options.Geopackage,
    before: options.Before = None,
    reference: options.Reference = None,
    column: options.Column = None,
    allow: options.Allow = None,
    expect: options.Expect = None,
    join: options.Join = None,
    on: options.On = None,
    tolerance: options.Tolerance = None,
    known: options.Known = None,
    low_trust: options.LowTrust = None,
    most: options.Most = None,
    evidence: options.Evidence = None,
    **how: Any,
) -> None:
    """Flag what does not belong: bright targets, changes, what a register does not allow.

    Told too is where the picture of a run must not be believed; --low-trust 0 spares that.
    """
    asked = options.asked_of_anomalies(
        before=before, reference=reference, column=column, allow=allow, expect=expect, join=join,
        on=on, tolerance_m=tolerance, low_trust=low_trust, most=most, known=known,
    )  # fmt: skip
    settings = options.asked_of_tagger(scene, asked | {"output.evidence": evidence}, **how)
    from sar2opt.pipeline import flag_scene  # loads the nets: not before the options are read

    with bars_of_progress() as progress:
        found = flag_scene(
            settings, file, progress=progress, tell=tell_assumption, command=command_line()
        )
    kinds = ", ".join(f"{kind} {count}" for kind, count in found["kind"].value_counts().items())
    out.print(f"{file}: {len(found)} anomalies{': ' if kinds else ''}{kinds}")
    if found.empty:
        out.print("nothing was flagged; that is no proof that there is nothing")
