"""From a scene as it comes to one file of backscatter on the map: open, filter if asked, write.

It stands beside ``pipeline``, not in it, because that loads the nets, and they take more memory
and time to load than a filter needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from sar2opt.errors import ConfigError
from sar2opt.products.backscatter import Write, backscatter_cog
from sar2opt.products.folder import check_target
from sar2opt.sar.looks import estimate_looks
from sar2opt.sar.radiometry import to_db
from sar2opt.sar.speckle import SpeckleFilter
from sar2opt.scenes import open_with_terrain
from sar2opt.tiles.apply import read_padded
from sar2opt.tiles.engine import run_blocks
from sar2opt.tiles.plan import Plan, Window
from sar2opt.tiles.sample import sample_windows

BLOCK = 1024  # pixels; a multiple of the tiles of the file
_TERRAIN_UNITS = ("degree", "")
UNITS = {"power": "linear power", "dB": "dB"}
_WHOLE = 2**24  # pixels: a block reads its own window, halo included, of one lazy chunk


@dataclass(frozen=True)
class PrepareJob:
    """What to prepare, how, and where to."""

    scene: Path
    out: Path
    filter: str = "none"  # or a speckle filter
    window: int | None = None  # None is the filter's own
    looks: str = "auto"  # or a number
    scale: Literal["power", "dB"] = "power"  # of what is written
    overwrite: bool = False
    workers: int = 0  # threads; 0 is one a core
    how: Mapping[str, Any] = field(default_factory=dict)  # the arguments of ``open_scene``


def prepare_scene(
    job: PrepareJob,
    *,
    progress: Callable[[str, int, int], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> str:
    """Write all bands of a scene as a COG of float32; say what was done to it.

    With a filter, the number of looks, if "auto", is what the file states, or else estimated from
    the scene; it is not written as ``LOOKS`` then, since the output has more. ``tell`` gets each
    assumption. The tags say quantity, units, source, and filter, window and looks.
    With a terrain model, ``terrain_file`` holds local incidence angles, layover and shadow.
    Memory does not grow with the scene. Raises what ``open_scene`` does, ``ConfigError`` or
    ``OutputError``; the file appears whole or not at all.
    """
    check_target(job.out, job.scene, overwrite=job.overwrite)
    asked = _asked_looks(job.looks)
    despeckle = None
    if job.filter != "none":
        despeckle = SpeckleFilter(job.filter, job.window, 1.0 if asked is None else asked)
    scene, layers = open_with_terrain(job.scene, **{**job.how, "chunks": _WHOLE})
    if layers is not None:
        check_target(terrain_file(job.out), job.scene, overwrite=job.overwrite)
    notes = list(scene.attrs["assumptions"])
    if despeckle is not None:
        looks, source = _looks(scene) if asked is None else (asked, "as given")
        despeckle = replace(despeckle, looks=looks)
        notes.append(f"{looks:g} looks, {source}")
    if tell:
        for note in notes:
            tell(note)
    tags = _tags(scene, despeckle, job.scale, notes)
    if layers is not None:
        kept = ("SOURCE", "ACQUIRED", "SOFTWARE", "SIMULATED", "ASSUMPTIONS")
        about = {name: text for name, text in tags.items() if name in kept}
        _write(job, layers, terrain_file(job.out), _TERRAIN_UNITS, about, progress, "NEAREST")
    units = [UNITS[job.scale]] * len(scene)
    _write(job, scene, job.out, units, tags, progress, "AVERAGE", despeckle)
    return str(despeckle or "no speckle filter")


def terrain_file(out: Path) -> Path:
    """Return the name of the file that stands beside ``out`` if a terrain model was given."""
    return out.with_name(f"{out.stem}_terrain.tif")


def _write(
    job: PrepareJob,
    bands: xr.DataArray,
    path: Path,
    units: Sequence[str],
    tags: Mapping[str, str],
    progress: Callable[[str, int, int], None] | None,
    overviews: str,
    despeckle: SpeckleFilter | None = None,
) -> None:
    rows, cols = bands.shape[1:]
    done = 0

    def count(pixels: int) -> None:
        nonlocal done
        done += pixels
        if progress:
            progress("preparing", done, rows * cols)

    names = [str(name) for name in bands.band.values]
    scale = job.scale if path == job.out else "power"
    with backscatter_cog(path, bands.odc.geobox, names, tags, units, overviews) as write:
        task = _PrepareBlock(bands, despeckle, scale, write)
        blocks = Plan((rows, cols), BLOCK, 1).blocks()
        run_blocks(task, blocks, workers=job.workers, progress=count)
        if progress:
            progress("writing", 0, 1)
    if progress:
        progress("writing", 1, 1)


@dataclass(frozen=True)
class _PrepareBlock:
    """The task of one block."""

    scene: xr.DataArray
    despeckle: SpeckleFilter | None
    scale: str
    write: Write

    def __call__(self, block: Window) -> None:
        outer = block.grown(self.despeckle.margin if self.despeckle else 0)
        power = read_padded(self.scene, outer)
        if self.despeckle:
            power = self.despeckle(power)[(slice(None), *block.within(outer))]
        self.write(to_db(power) if self.scale == "dB" else power, block.y0, block.x0)


def _asked_looks(looks: str) -> float | None:
    if looks == "auto":
        return None
    try:
        return float(looks)
    except ValueError:
        raise ConfigError(f"looks is '{looks}': say auto, or a positive number") from None


def _looks(scene: xr.DataArray) -> tuple[float, str]:
    if "looks" in scene.attrs:
        return float(scene.attrs["looks"]), "as the file says"
    looks = estimate_looks(sample_windows(scene))
    return float(f"{looks:.3g}"), "estimated from the scene itself"  # no more than it is worth


def _tags(
    scene: xr.DataArray, despeckle: SpeckleFilter | None, scale: str, notes: list[str]
) -> dict[str, str]:
    attrs = scene.attrs
    speckle = {"SPECKLE_FILTER": "none", "LOOKS": f"{attrs['looks']:g}" if "looks" in attrs else ""}
    if despeckle:
        speckle = {
            "SPECKLE_FILTER": str(despeckle),
            "SPECKLE_FILTER_NAME": despeckle.name,
            "SPECKLE_FILTER_WINDOW": str(despeckle.side),
            "SPECKLE_FILTER_LOOKS": f"{despeckle.looks:g}",
        }
    tags = {
        **speckle,
        "SOURCE": attrs["source"],
        "SCALE": scale,
        "UNITS": UNITS[scale],
        "QUANTITY": attrs["quantity"],
        "POLARISATION": " ".join(str(name).upper() for name in scene.band.values),
        "ACQUIRED": attrs["acquired"],
        "ASSUMPTIONS": " | ".join(notes),
        "SOFTWARE": f"sar2opt {version('sar2opt')}",
        "CREATED": datetime.now(UTC).isoformat(timespec="seconds"),
        "SIMULATED": "YES" if attrs["simulated"] else "",
    }
    return {name: value for name, value in tags.items() if value}
