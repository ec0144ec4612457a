"""What a whole run costs over the bare nets, in time, pixels and memory.

    python benchmarks/pipeline.py scene.tif [--double] [--config run.toml] [--json figures.json]

Strategy. The run is the command that a user gives, in a fresh process, cold start included; its
process tree is watched from outside. The bare nets are timed right before and right after it, in
processes of their own, since machines change their pace. Pixels computed are counted by handing
the engine's own functions a model that computes nothing; pixels delivered are counted in the
finished product.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import rasterio
from rasterio.enums import MaskFlags
from rasterio.windows import Window
from rich.console import Console
from rich.table import Table

from sar2opt import RunConfig, load_config, load_model
from sar2opt.pipeline.resources import open_scene_of
from sar2opt.raster import take_band
from sar2opt.tiles.apply import predict_block, read_padded
from sar2opt.tiles.model import Tiles
from sar2opt.tiles.plan import Plan

KINDS = ("translator", "tagger")
SIDE = 1024  # of the windows in which files are read and written here
RSS_EVERY, PSS_EVERY = 0.1, 1.0  # seconds; the kernel walks all pages to tell the PSS
ROWS = (  # title, key, form, wanted
    ("size of the scene, Mpx", "scene_mpx", ".1f", ""),
    ("valid pixels delivered, Mpx", "delivered_mpx", ".1f", ""),
    ("whole run, s", "run_s", ".1f", ""),
    ("bare nets on the same pixels, s", "nets_s", ".1f", ""),
    ("whole run / bare nets", "run_over_nets", ".2f", "at most 1.35"),
    ("bare translator, Mpx/s", "translator_mpx_per_s", ".2f", "at least 1.5"),
    ("bare tagger, Mpx/s", "tagger_mpx_per_s", ".2f", ""),
    ("translator: computed / delivered", "translator_computed", ".3f", "at most 1.2"),
    ("tagger: computed / delivered", "tagger_computed", ".3f", "at most 1.2"),
    ("peak of the summed RSS, GB", "peak_rss_gb", ".2f", "below 3"),
    ("peak of the summed PSS, GB", "peak_pss_gb", ".2f", "below 3"),
)


@dataclass
class Counter:
    """Stands in for a model: counts the pixels that the engine hands it, and computes nothing."""

    bands_in: tuple[str, ...]
    bands_out: tuple[str, ...]
    margin: int
    stride: int
    pixels: int = 0

    def predict(self, tiles: Tiles) -> Tiles:
        """Return zeros ``(n, band_out, y, x)``."""
        self.pixels += tiles.shape[0] * tiles.shape[2] * tiles.shape[3]
        return np.zeros((len(tiles), len(self.bands_out), *tiles.shape[2:]), np.float32)


def bench(scene: Path, config_file: Path | None, folder: Path) -> dict[str, Any]:
    """Return all figures of one scene; ``folder`` holds what is written on the way."""
    before = bare_nets(config_file, folder)
    out = folder / "out"
    seconds, peaks = watch(sar2opt_run(scene, config_file, out), folder / "run.log")
    after = bare_nets(config_file, folder)
    config = load_config(config_file, RunConfig, {"scene.path": scene})
    shape, computed = count_computed(config)
    delivered = count_delivered(out / scene.stem / f"{scene.stem}_trust.tif")
    shutil.rmtree(out)
    speeds = {  # of the mean time, hence the harmonic mean
        kind: 2 / sum(1 / session["nets"][kind]["mpx_per_s"] for session in (before, after))
        for kind in KINDS
    }
    nets_seconds = sum(delivered / 1e6 / speed for speed in speeds.values())
    return {
        "scene": scene.name,
        "scene_mpx": shape[0] * shape[1] / 1e6,
        "delivered_mpx": delivered / 1e6,
        "run_s": seconds,
        "nets_s": nets_seconds,
        "run_over_nets": seconds / nets_seconds,
        **{f"{kind}_mpx_per_s": speed for kind, speed in speeds.items()},
        **{f"{kind}_computed": computed[kind] / delivered for kind in KINDS},
        **{f"peak_{name}_gb": peak / 1e9 for name, peak in peaks.items()},
        "nets_before": before,
        "nets_after": after,
    }


def sar2opt_run(scene: Path, config_file: Path | None, out: Path) -> list[str]:
    """Return the command that a user gives."""
    program = Path(sysconfig.get_path("scripts")) / "sar2opt"
    options = ["--config", str(config_file)] if config_file else []
    return [str(program), "run", str(scene), "--out", str(out), *options]


def watch(command: list[str], log: Path) -> tuple[float, dict[str, int]]:
    """Run ``command``; return its seconds, and the peaks of its process tree in bytes.

    Summed RSS counts pages that processes share once for each, summed PSS once. PSS is known on
    Linux only, and looked at more seldom, so a short peak may show in the RSS alone.
    """
    peaks: dict[str, int] = {}
    started, pss_due = time.perf_counter(), 0.0
    with log.open("w", encoding="utf-8") as stream:
        process = psutil.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        while True:
            with suppress(psutil.TimeoutExpired):
                code = process.wait(timeout=RSS_EVERY)
                break
            names = ["rss"]
            if sys.platform == "linux" and time.perf_counter() >= pss_due:
                names.append("pss")
                pss_due = time.perf_counter() + PSS_EVERY
            for name in names:
                peaks[name] = max(peaks.get(name, 0), tree_memory(process, name))
    seconds = time.perf_counter() - started
    if code:
        sys.exit(f"{' '.join(command)} ended with {code}:\n{log.read_text(encoding='utf-8')}")
    return seconds, peaks


def tree_memory(process: psutil.Process, name: str) -> int:
    """Return the summed ``rss`` or ``pss`` of a process and all below it, in bytes."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                memory = member.memory_info() if name == "rss" else member.memory_full_info()
                total += getattr(memory, name)
    return total


def bare_nets(config_file: Path | None, folder: Path) -> dict[str, Any]:
    """Return the figures of ``nets.py``, run in a process of its own."""
    file = folder / "nets.json"
    options = ["--config", str(config_file)] if config_file else []
    script = Path(__file__).with_name("nets.py")
    command = [sys.executable, str(script), "--json", str(file), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return figures


def count_computed(config: RunConfig) -> tuple[tuple[int, int], dict[str, int]]:
    """Return the scene's shape, and how many pixels a run hands each net, halos included."""
    scene = open_scene_of(config)
    rows, cols = scene.shape[1:]
    models = [load_model(name) for name in (config.translate.model, config.tag.model)]
    plan = Plan((rows, cols), config.engine.block, max(model.stride for model in models))
    computed = {}
    for model in models:
        band = take_band(scene, model.choose_band(scene, config.scene.polarisation))
        counter = Counter(model.bands_in, model.bands_out, model.margin, model.stride)
        for block in plan.blocks():
            predict_block(counter, lambda window, band=band: read_padded(band, window), block)
        computed[model.card.kind] = counter.pixels
    return (rows, cols), computed


def count_delivered(trust: Path) -> int:
    """Return how many pixels of a finished product are valid."""
    with rasterio.open(trust) as cog:
        return sum(
            int(np.count_nonzero(cog.read_masks(1, window=window)))
            for window in windows(*cog.shape)
        )


def double(path: Path, folder: Path) -> Path:
    """Write the scene, laid out 2 x 2, under its own name into ``folder``, window by window."""
    target = folder / path.name
    with rasterio.open(path) as source:
        rows, cols = source.shape
        profile = source.profile | {
            "driver": "GTiff", "height": 2 * rows, "width": 2 * cols, "tiled": True,
            "blockxsize": 512, "blockysize": 512, "bigtiff": "if_safer",
        }  # fmt: skip
        masked = source.mask_flag_enums[0] == [MaskFlags.per_dataset]
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(target, "w", **profile) as doubled,
        ):
            doubled.update_tags(**source.tags())
            doubled.descriptions, doubled.units = source.descriptions, source.units
            doubled.scales, doubled.offsets = source.scales, source.offsets
            for window in windows(rows, cols):
                values = source.read(window=window)
                mask = source.dataset_mask(window=window) if masked else None
                for down, right in ((0, 0), (0, cols), (rows, 0), (rows, cols)):
                    place = Window(window.col_off + right, window.row_off + down,
                                   window.width, window.height)  # fmt: skip
                    doubled.write(values, window=place)
                    if mask is not None:
                        doubled.write_mask(mask, window=place)
    return target


def windows(rows: int, cols: int) -> Iterator[Window]:
    """Yield windows that cover a raster once."""
    for row in range(0, rows, SIDE):
        for col in range(0, cols, SIDE):
            yield Window(col, row, min(SIDE, cols - col), min(SIDE, rows - row))


def show(results: list[dict[str, Any]], growth: float | None) -> None:
    """Print the figures as a table, a column for each scene."""
    table = Table(title=f"sar2opt run {results[0]['scene']}")
    table.add_column("figure", no_wrap=True)
    for name in ("the scene", "doubled 2 x 2")[: len(results)]:
        table.add_column(name, justify="right")
    table.add_column("wanted")
    for title, key, form, wanted in ROWS:
        if all(key in result for result in results):
            table.add_row(title, *(format(result[key], form) for result in results), wanted)
    if growth is not None:
        table.add_row("peak memory, doubled / single", "", f"{growth:.2f}", "at most 1.2")
    console = Console()
    console.print(table)
    machine = results[0]["nets_before"]["machine"]
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()), highlight=False)


def main() -> None:
    """Measure, print the table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scene", type=Path, help="SAR scene: GeoTIFF or COG")
    parser.add_argument("--double", action="store_true", help="also the scene, laid out 2 x 2")
    parser.add_argument("--config", type=Path, help="TOML, as for 'sar2opt run'")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    growth = None
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        results = [bench(arguments.scene, arguments.config, folder)]
        if arguments.double:
            results.append(bench(double(arguments.scene, folder), arguments.config, folder))
            growth = results[1]["peak_rss_gb"] / results[0]["peak_rss_gb"]
    show(results, growth)
    if arguments.json:
        figures = {"scenes": results, "memory_doubled_over_single": growth}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
