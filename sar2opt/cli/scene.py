"""Commands on scenes: run, info, prepare (despeckle), config, synth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from sar2opt.cli.console import AsJson, Device, bars_of_progress, command_line, out, plain, tell
from sar2opt.cli.summary import say
from sar2opt.config import DESPECKLE, RunConfig, default_toml, load_config

SceneFile = Annotated[
    Path,
    typer.Argument(
        help="SAR scene: GeoTIFF, Sentinel-1 (.SAFE or .zip), PALSAR .tar.gz, a folder or a "
        "pattern of GeoTIFFs of one pass, or a STAC item (file or address)",
        show_default=False,
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(
        help="auto, power, amplitude, dB, display-amplitude (8 bit) or display-dB (8 bit)"
    ),
]
Polarisation = Annotated[str | None, typer.Option(help="auto, vv, vh, hh or hv")]
Nodata = Annotated[float | None, typer.Option(help="value that means no data")]
_FILTERS = f"speckle filter: {', '.join(DESPECKLE)}"
Aoi = Annotated[Path | None, typer.Option(help="vector file: only this area is processed")]
Calibration = Annotated[
    str | None, typer.Option(help="Sentinel-1: auto (gamma0), sigma0, gamma0, beta0 or none")
]
Noise = Annotated[str | None, typer.Option(help="thermal noise of Sentinel-1: subtract or keep")]
Geocode = Annotated[
    str | None, typer.Option(help="radar geometry to map: auto, gcp, ellipsoid or terrain")
]
Crs = Annotated[str | None, typer.Option(help="CRS of the map, such as EPSG:32633")]
Resolution = Annotated[float | None, typer.Option(help="pixel of the map, in units of its CRS")]
Like = Annotated[Path | None, typer.Option(help="raster file whose grid the map takes over")]
Before = Annotated[
    list[Path] | None, typer.Option(help="earlier scene, for changes; may be repeated")
]
Reference = Annotated[Path | None, typer.Option(help="vector layer of what should be")]
Column = Annotated[str | None, typer.Option(help="its column with the class")]
Allow = Annotated[Path | None, typer.Option(help="TOML: class = [tags]")]
Expect = Annotated[
    Path | None, typer.Option(help="TOML: class = [tags], one of which must be seen")
]
Join = Annotated[
    Path | None, typer.Option(help="CSV, Parquet or Excel about the reference's features")
]
On = Annotated[str | None, typer.Option(help="column that both have: parcel_id")]
Tolerance = Annotated[
    float | None, typer.Option(help="metres beside the edge of a feature that are not judged")
]
Evidence = Annotated[
    int | None, typer.Option(min=0, help="of so many anomalies, two small pictures each")
]
Known = Annotated[
    Path | None,
    typer.Option("--before-anomalies", help="earlier .gpkg: its anomalies keep their ids"),
]
LowTrust = Annotated[
    float | None,
    typer.Option(help="areas of a mean trust below this are flagged, percent; 0: none"),
]
Most = Annotated[
    int | None, typer.Option(help="of each kind, so many are reported, the strongest; 0: all")
]
Dem = Annotated[Path | None, typer.Option(help="terrain model: corrects place and brightness")]


def run(
    scene: SceneFile,
    folder: Annotated[
        Path | None, typer.Option("--out", help="products land in OUT/SCENE/")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML; 'sar2opt config' prints one")] = None,
    look: Annotated[str | None, typer.Option(help="natural, clear, vivid or grey")] = None,
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
    model: Annotated[str | None, typer.Option(help="translator: name or .safetensors")] = None,
    tagger: Annotated[str | None, typer.Option(help="tagger: name or .safetensors")] = None,
    despeckle: Annotated[str | None, typer.Option(help=_FILTERS)] = None,
    before: Before = None,
    reference: Reference = None,
    column: Column = None,
    allow: Allow = None,
    expect: Expect = None,
    join: Join = None,
    before_objects: Annotated[
        Path | None, typer.Option(help="earlier .gpkg: its objects keep their ids")
    ] = None,
    known: Known = None,
    on: On = None,
    tolerance: Tolerance = None,
    low_trust: LowTrust = None,
    most: Most = None,
    evidence: Evidence = None,
    device: Annotated[Device | None, typer.Option(help="where the nets run")] = None,
    workers: Annotated[int | None, typer.Option(help="threads; 0 is one a core")] = None,
    scheduler: Annotated[str | None, typer.Option(help="threads or tcp://HOST:PORT")] = None,
    overwrite: Annotated[bool | None, typer.Option("--overwrite", help="replace products")] = None,
    as_json: AsJson = False,
) -> None:
    """Make all products of a scene."""
    from sar2opt.pipeline import run as run_pipeline

    settings = load_config(
        config,
        RunConfig,
        {
            **asked_of_scene(
                path=scene, scale=scale, polarisation=polarisation, nodata=nodata, aoi=aoi,
                calibration=calibration, noise=noise, geocode=geocode, crs=crs,
                resolution=resolution, like=like, dem=dem,
            ),
            "prepare.despeckle": despeckle,
            "translate.model": model,
            "translate.look": look,
            "tag.model": tagger,
            **asked_of_anomalies(
                before=before, reference=reference, column=column, allow=allow, expect=expect,
                join=join, on=on, tolerance_m=tolerance, low_trust=low_trust, most=most,
                known=known,
            ),
            "objects.before": before_objects,
            "output.evidence": evidence,
            "engine.device": device.value if device else None,
            "engine.workers": workers,
            "engine.scheduler": scheduler,
            "output.folder": folder,
            "output.overwrite": overwrite,
        },
    )  # fmt: skip
    with bars_of_progress() as progress:
        products = run_pipeline(
            settings, progress=progress, tell=tell_assumption, command=command_line()
        )
    say(products, as_json=as_json)


def info(
    scene: SceneFile,
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
    as_json: AsJson = False,
) -> None:
    """Say what a scene is and what would be assumed; nothing is processed."""
    from sar2opt.scenes import scene_info

    how = _given(
        scale=scale, polarisation=polarisation, nodata=nodata, aoi=aoi, calibration=calibration,
        noise=noise, geocode=geocode, crs=crs, resolution=resolution, like=like, dem=dem,
    )  # fmt: skip
    facts = scene_info(scene, **how)
    if as_json:
        print(json.dumps(facts, indent=2, default=str))
        return
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), plain(value))
    out.print(table)


def prepare(
    context: typer.Context,
    scene: SceneFile,
    out_file: Annotated[Path, typer.Option("--out", help="GeoTIFF to write", show_default=False)],
    name: Annotated[str | None, typer.Option("--filter", help=_FILTERS)] = None,
    window: Annotated[
        int | None, typer.Option(help="side of its window, odd, pixels; left out, its own")
    ] = None,
    looks: Annotated[
        str, typer.Option(help="equivalent number of looks; auto: the file's word, or estimated")
    ] = "auto",
    decibel: Annotated[bool, typer.Option("--db", help="write dB instead of linear power")] = False,
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
    workers: Annotated[int, typer.Option(min=0, help="threads; 0 is one a core")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the file")] = False,
) -> None:
    """Write a scene, calibrated and on the map, as a COG of linear power with all its bands."""
    from sar2opt.prepare import PrepareJob, prepare_scene

    job = PrepareJob(
        scene=scene,
        out=out_file,
        filter=name or ("refined-lee" if context.info_name == "despeckle" else "none"),
        window=window,
        looks=looks,
        scale="dB" if decibel else "power",
        overwrite=overwrite,
        workers=workers,
        how=_given(
            scale=scale, polarisation=polarisation, nodata=nodata, aoi=aoi,
            calibration=calibration, noise=noise,
            geocode=geocode, crs=crs, resolution=resolution, like=like, dem=dem,
        ),
    )  # fmt: skip
    with bars_of_progress() as progress:
        used = prepare_scene(job, progress=progress, tell=tell_assumption)
    out.print(f"{out_file}: {used}")


def config() -> None:
    """Print the commented default configuration."""
    print(default_toml(RunConfig), end="")


def synth(
    folder: Annotated[Path, typer.Argument(help="where the scenes go")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what is there")] = False,
) -> None:
    """Write the simulated scenes with known truth that the demo and the tests use."""
    from sar2opt.synth import write_samples

    for path in write_samples(folder, overwrite=overwrite):
        out.print(str(path))


def asked_of_scene(**how: Any) -> dict[str, Any]:
    """Return the settings that options about the scene stand for."""
    return {f"scene.{name}": value for name, value in how.items()}


def asked_of_anomalies(before: list[Path] | None, **others: Any) -> dict[str, Any]:
    """Return the settings that options about anomalies stand for."""
    return {f"anomalies.{name}": value for name, value in others.items()} | {
        "anomalies.before": before or None
    }


def _given(**how: Any) -> dict[str, Any]:
    """Return how a scene is to be opened, as far as that was said."""
    return {name: value for name, value in how.items() if value is not None}


def tell_assumption(sentence: str) -> None:
    """Print what was assumed, beside what is printed for programs."""
    tell(f"assumed: {sentence}")
