"""Commands on what a scene shows: tag, objects, anomalies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sar2opt.cli.console import Device, bars_of_progress, command_line, out
from sar2opt.cli.scene import (
    Allow,
    Aoi,
    Before,
    Calibration,
    Column,
    Crs,
    Dem,
    Evidence,
    Expect,
    Geocode,
    Join,
    Known,
    Like,
    LowTrust,
    Most,
    Nodata,
    Noise,
    On,
    Polarisation,
    Reference,
    Resolution,
    Scale,
    SceneFile,
    Tolerance,
    asked_of_anomalies,
    asked_of_scene,
    tell_assumption,
)
from sar2opt.config import ObjectSettings, RunConfig, load_config, parse_config

Config = Annotated[Path | None, typer.Option(help="TOML; 'sar2opt config' prints one")]
Tagger = Annotated[str | None, typer.Option(help="tagger: name or .safetensors")]
Geopackage = Annotated[
    Path, typer.Option("--out", help="GeoPackage to write (.gpkg)", show_default=False)
]
Workers = Annotated[int | None, typer.Option(min=0, help="threads; 0 is one a core")]
Overwrite = Annotated[bool | None, typer.Option("--overwrite", help="replace the file")]


def tag(
    scene: SceneFile,
    file: Annotated[Path, typer.Option("--out", help="GeoTIFF to write", show_default=False)],
    config: Config = None,
    tagger: Tagger = None,
    scale: Scale = None,
    polarisation: Polarisation = None,
    nodata: Nodata = None,
    aoi: Aoi = None,
    calibration: Calibration = None,
    noise: Noise = None,
    geocode: Geocode = None,
    crs: Crs = None,
    resolution: Resolution = None,
    like: Like = None,
    dem: Dem = None,
    device: Annotated[Device | None, typer.Option(help="where the net runs")] = None,
    workers: Workers = None,
    overwrite: Overwrite = None,
) -> None:
    """Write the land cover of a scene, and beside it the probability of each pixel's tag."""
    from sar2opt.pipeline import tag_scene
    from sar2opt.products.classes import CLASSES

    opened = asked_of_scene(
        path=scene, scale=scale, polarisation=polarisation, nodata=nodata, aoi=aoi,
        calibration=calibration, noise=noise, geocode=geocode, crs=crs, resolution=resolution,
        like=like, dem=dem,
    )  # fmt: skip
    settings = _settings(config, opened, tagger, device, workers, overwrite)
    with bars_of_progress() as progress:
        counts = tag_scene(
            settings, file, progress=progress, tell=tell_assumption, command=command_line()
        )
    known = max(1, int(counts[: len(CLASSES)].sum()))
    shares = [f"{one.name} {100 * counts[one.code] / known:.0f} %" for one in CLASSES]
    out.print(f"{file}: {', '.join(shares)}")


def objects(
    tags: Annotated[Path, typer.Argument(help="raster of tags", show_default=False)],
    file: Geopackage,
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
    workers: Annotated[int, typer.Option(min=0, help="threads; 0 is one a core")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the file")] = False,
) -> None:
    """Outline the areas of one tag of a raster, as polygons with their attributes."""
    from sar2opt.vectorise import ObjectsJob, tags_file_to_objects

    given = {
        "before": before, "min_area_m2": min_area, "max_hole_m2": max_hole, "smooth": smooth,
        "fill": fill, "rectangles": tuple(rectangles) if rectangles else None,
    }  # fmt: skip
    wanted = {name: value for name, value in given.items() if value is not None}
    settings = parse_config(wanted, ObjectSettings, "options")
    job = ObjectsJob(tags, file, scene, settings, overwrite, workers, command_line())
    with bars_of_progress() as progress:
        found = tags_file_to_objects(job, progress=progress, tell=tell_assumption)
    kinds = ", ".join(f"{tag} {count}" for tag, count in found["tag"].value_counts().items())
    out.print(f"{file}: {len(found)} objects{': ' if kinds else ''}{kinds}")
    if found.empty:
        out.print("no object is as large as that: the layer is empty")


def anomalies(
    scene: SceneFile,
    file: Geopackage,
    config: Config = None,
    before: Before = None,
    reference: Reference = None,
    column: Column = None,
    allow: Allow = None,
    expect: Expect = None,
    join: Join = None,
    on: On = None,
    tolerance: Tolerance = None,
    known: Known = None,
    low_trust: LowTrust = None,
    most: Most = None,
    evidence: Evidence = None,
    tagger: Tagger = None,
    scale: Scale = None,
    polarisation: Polarisation = None,
    nodata: Nodata = None,
    aoi: Aoi = None,
    calibration: Calibration = None,
    noise: Noise = None,
    geocode: Geocode = None,
    crs: Crs = None,
    resolution: Resolution = None,
    like: Like = None,
    dem: Dem = None,
    device: Annotated[Device | None, typer.Option(help="where the net runs")] = None,
    workers: Workers = None,
    overwrite: Overwrite = None,
) -> None:
    """Flag what does not belong: bright targets, changes, what a register does not allow.

    Told too is where the picture of a run must not be believed; --low-trust 0 spares that.
    """
    from sar2opt.pipeline import flag_scene

    opened = asked_of_scene(
        path=scene, scale=scale, polarisation=polarisation, nodata=nodata, aoi=aoi,
        calibration=calibration, noise=noise, geocode=geocode, crs=crs, resolution=resolution,
        like=like, dem=dem,
    )  # fmt: skip
    asked = asked_of_anomalies(
        before=before, reference=reference, column=column, allow=allow, expect=expect, join=join,
        on=on, tolerance_m=tolerance, low_trust=low_trust, most=most, known=known,
    )  # fmt: skip
    given = opened | asked | {"output.evidence": evidence}
    settings = _settings(config, given, tagger, device, workers, overwrite)
    with bars_of_progress() as progress:
        found = flag_scene(
            settings, file, progress=progress, tell=tell_assumption, command=command_line()
        )
    kinds = ", ".join(f"{kind} {count}" for kind, count in found["kind"].value_counts().items())
    out.print(f"{file}: {len(found)} anomalies{': ' if kinds else ''}{kinds}")
    if found.empty:
        out.print("nothing was flagged; that is no proof that there is nothing")


def _settings(
    config: Path | None,
    given: dict[str, Any],
    tagger: str | None,
    device: Device | None,
    workers: int | None,
    overwrite: bool | None,
) -> RunConfig:
    more = {
        "tag.model": tagger,
        "engine.device": device.value if device else None,
        "engine.workers": workers,
        "output.overwrite": overwrite,
    }
    return load_config(config, RunConfig, given | more)
