"""Options that several commands share, and the settings that they stand for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from sar2opt.config import DESPECKLE, RunConfig, load_config

Command = TypeVar("Command", bound=Callable[..., None])


class Device(StrEnum):
    """Where the nets run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


READ, FLAGGED = "How the scene is read", "What is flagged"  # headings of the help
FILTERS = f"speckle filter: {', '.join(DESPECKLE)}"

SceneFile = Annotated[
    Path,
    typer.Argument(
        help="SAR scene: GeoTIFF, Sentinel-1 (.SAFE or .zip), PALSAR .tar.gz, a folder or a "
        "pattern of GeoTIFFs of one pass, or a STAC item (file or address)",
        show_default=False,
    ),
]

# what is flagged
Before = Annotated[
    list[Path] | None,
    typer.Option(help="earlier scene, for changes; may be repeated", rich_help_panel=FLAGGED),
]
Reference = Annotated[
    Path | None, typer.Option(help="vector layer of what should be", rich_help_panel=FLAGGED)
]
Column = Annotated[
    str | None, typer.Option(help="its column with the class", rich_help_panel=FLAGGED)
]
Allow = Annotated[Path | None, typer.Option(help="TOML: class = \\[tags]", rich_help_panel=FLAGGED)]
Expect = Annotated[
    Path | None,
    typer.Option(help="TOML: class = \\[tags], one of which must be seen", rich_help_panel=FLAGGED),
]
Join = Annotated[
    Path | None,
    typer.Option(
        help="CSV, Parquet or Excel about the reference's features", rich_help_panel=FLAGGED
    ),
]
On = Annotated[
    str | None, typer.Option(help="column that both have: parcel_id", rich_help_panel=FLAGGED)
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        help="metres beside the edge of a feature that are not judged", rich_help_panel=FLAGGED
    ),
]
Known = Annotated[
    Path | None,
    typer.Option(
        "--before-anomalies",
        help="earlier .gpkg: its anomalies keep their ids",
        rich_help_panel=FLAGGED,
    ),
]
LowTrust = Annotated[
    float | None,
    typer.Option(
        help="areas of a mean trust below this are flagged, percent; 0: none",
        rich_help_panel=FLAGGED,
    ),
]
Most = Annotated[
    int | None,
    typer.Option(
        help="of each kind, so many are reported, the strongest; 0: all", rich_help_panel=FLAGGED
    ),
]
Evidence = Annotated[
    int | None,
    typer.Option(
        min=0, help="of so many anomalies, two small pictures each", rich_help_panel=FLAGGED
    ),
]

# with what, where and how
Config = Annotated[Path | None, typer.Option(help="TOML; 'sar2opt config' prints one")]
Look = Annotated[str | None, typer.Option(help="natural, clear, vivid or grey")]
Tagger = Annotated[str | None, typer.Option(help="tagger: name or .safetensors")]
NetsOn = Annotated[Device | None, typer.Option(help="where the nets run")]
Workers = Annotated[int | None, typer.Option(min=0, help="threads; 0 is one a core")]

# what is written
Folder = Annotated[Path | None, typer.Option("--out", help="products land in OUT/SCENE/")]
Geotiff = Annotated[Path, typer.Option("--out", help="GeoTIFF to write", show_default=False)]
Geopackage = Annotated[
    Path, typer.Option("--out", help="GeoPackage to write (.gpkg)", show_default=False)
]
ReplaceProducts = Annotated[bool, typer.Option("--overwrite", help="replace products")]
ReplaceFile = Annotated[bool, typer.Option("--overwrite", help="replace the file")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]


def of_scene(command: Command) -> Command:
    """Give a command the options of how its scene is read; it takes them as ``**how``."""
    return _with_options(command, _of_scene)


def of_tagger(command: Command) -> Command:
    """Give a command the options of a net that tags, and how it works; it takes them so too."""
    return _with_options(command, _of_tagger)


def _with_options(command: Command, declared: Callable[..., None]) -> Command:
    own, shared = (inspect.signature(one, eval_str=True) for one in (command, declared))
    named = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
    command.__signature__ = own.replace(  # type: ignore[attr-defined]  # what typer reads
        parameters=[*named, *shared.parameters.values()]
    )
    return command


def _of_scene(
    *,
    scale: Annotated[
        str | None,
        typer.Option(
            help="auto, power, amplitude, dB, display-amplitude (8 bit) or display-dB (8 bit)",
            rich_help_panel=READ,
        ),
    ] = None,
    polarisation: Annotated[
        str | None, typer.Option(help="auto, vv, vh, hh or hv", rich_help_panel=READ)
    ] = None,
    nodata: Annotated[
        float | None, typer.Option(help="value that means no data", rich_help_panel=READ)
    ] = None,
    aoi: Annotated[
        Path | None,
        typer.Option(help="vector file: only this area is processed", rich_help_panel=READ),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            help="Sentinel-1: auto (gamma0), sigma0, gamma0, beta0 or none", rich_help_panel=READ
        ),
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(help="thermal noise of Sentinel-1: subtract or keep", rich_help_panel=READ),
    ] = None,
    geocode: Annotated[
        str | None,
        typer.Option(
            help="radar geometry to map: auto, gcp, ellipsoid or terrain", rich_help_panel=READ
        ),
    ] = None,
    crs: Annotated[
        str | None, typer.Option(help="CRS of the map, such as EPSG:32633", rich_help_panel=READ)
    ] = None,
    resolution: Annotated[
        float | None,
        typer.Option(help="pixel of the map, in units of its CRS", rich_help_panel=READ),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="raster file whose grid the map takes over", rich_help_panel=READ),
    ] = None,
    dem: Annotated[
        Path | None,
        typer.Option(help="terrain model: corrects place and brightness", rich_help_panel=READ),
    ] = None,
) -> None:
    """Declare the options of how a scene is read."""


def _of_tagger(
    *,
    config: Config = None,
    tagger: Tagger = None,
    device: NetsOn = None,
    workers: Workers = None,
    overwrite: ReplaceFile = False,
) -> None:
    """Declare the options of a step of a run that tags, and writes a file."""


def asked_of_tagger(
    scene: Path,
    more: Mapping[str, Any],
    *,
    config: Path | None,
    tagger: str | None,
    device: Device | None,
    workers: int | None,
    overwrite: bool,
    **how: Any,
) -> RunConfig:
    """Return the settings of a step of a run: of its scene, of the tagger, and ``more``."""
    asked = {
        **asked_of_scene(path=scene, **how),
        "tag.model": tagger,
        **asked_of_engine(device, workers, overwrite=overwrite),
        **more,
    }
    return load_config(config, RunConfig, asked)


def asked_of_scene(**how: Any) -> dict[str, Any]:
    """Return the settings that options about the scene stand for."""
    return {f"scene.{name}": value for name, value in how.items()}


def asked_of_anomalies(before: list[Path] | None, **others: Any) -> dict[str, Any]:
    """Return the settings that options about anomalies stand for."""
    return {f"anomalies.{name}": value for name, value in others.items()} | {
        "anomalies.before": before or None
    }


def asked_of_engine(
    device: Device | None, workers: int | None, *, overwrite: bool
) -> dict[str, Any]:
    """Return the settings that options about the work stand for."""
    return {
        "engine.device": device.value if device else None,
        "engine.workers": workers,
        "output.overwrite": overwrite or None,  # else what the configuration says
    }


def given(**how: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in how.items() if value is not None}
