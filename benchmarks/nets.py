"""How quick the bare nets are: tiles without halo; nothing is read, stitched or written.

    python benchmarks/nets.py [--config run.toml] [--json nets.json]

The threads are laid out as the engine lays them out: one a core, side by side, each with its share
of the cores. Speed is the sum over the threads of what each of them gets through, so that nobody's
waiting for the last thread flatters whoever is compared with it.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np

from sar2opt import RunConfig, load_config, load_model
from sar2opt.nets.models import Model, limit_threads
from sar2opt.tiles.engine import count_workers, keep_freed_memory

ROUNDS, TILES = 3, 4  # the median of three rounds; in each, every thread predicts four tiles


def measure(config: RunConfig) -> dict[str, Any]:
    """Return the speed of the two nets of a run in megapixels a second, and on what it was had."""
    keep_freed_memory()
    workers = count_workers(config.engine.workers)
    threads = max(1, count_workers(0) // workers)
    limit_threads(threads)
    how = {"device": config.engine.device, "precision": config.engine.precision}
    models = [load_model(name, **how) for name in (config.translate.model, config.tag.model)]
    return {
        "machine": {
            "processor": _processor(),
            "cores": count_workers(0),
            "workers": workers,
            "threads_per_worker": threads,
            "device": models[0].device,
            "precision": models[0].precision,
            "torch": version("torch"),
            "sar2opt": version("sar2opt"),
        },
        "nets": {
            model.card.kind: {
                "name": model.name,
                "sha256": model.sha256,
                "mpx_per_s": round(speed(model, workers, config.engine.block), 3),
            }
            for model in models
        },
    }


def speed(model: Model, workers: int, side: int) -> float:
    """Return the megapixels a second that ``workers`` threads get through together."""
    rng = np.random.default_rng(0)
    tile = np.clip(rng.normal(size=(1, 1, side, side)), -3, 1).astype(np.float32)

    def rate(start: Barrier) -> float:
        model.predict(tile)  # warm: the kernels are chosen and the memory is there
        start.wait()
        started = time.perf_counter()
        for _ in range(TILES):
            model.predict(tile)
        return TILES * tile.size / 1e6 / (time.perf_counter() - started)

    with ThreadPoolExecutor(workers) as pool:
        rounds = [sum(pool.map(rate, [Barrier(workers)] * workers)) for _ in range(ROUNDS)]
    return statistics.median(rounds)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Print the speed of each net, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, help="TOML, as for 'sar2opt run'")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    figures = measure(load_config(arguments.config, RunConfig))
    for kind, net in figures["nets"].items():
        print(f"{kind:10} {net['name']:20} {net['mpx_per_s']:8.2f} Mpx/s")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
