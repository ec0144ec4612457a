"""Running a task on every block: on threads of this machine, or on a Dask cluster."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

import dask
from dask.callbacks import Callback

from sar2opt.errors import ConfigError
from sar2opt.tiles.plan import Window

Task = Callable[[Window], None]
Progress = Callable[[int], None]
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -3, -4, -8  # malloc.h


def count_workers(workers: int) -> int:
    """Return the number of threads to use; 0 means one a core that this process may use."""
    if workers:
        return workers
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_blocks(
    task: Task,
    blocks: Iterable[Window],
    *,
    scheduler: str = "threads",
    workers: int = 0,
    progress: Progress | None = None,
) -> None:
    """Call ``task`` once for each block, in any order; the first error ends it and is raised.

    ``scheduler`` is ``threads`` or the address of a ``dask.distributed`` scheduler, in which case
    ``task`` must pickle. ``progress`` is told the pixels of each finished block.
    """
    todo = list(blocks)
    if scheduler == "threads":
        _on_threads(task, todo, count_workers(workers), progress)
    else:
        _on_cluster(task, todo, scheduler, progress)


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for the next tile instead of returning it to the kernel.

    A net frees and asks for the same hundreds of megabytes at every layer; faulting those pages
    in again takes longer than the arithmetic. Other platforms are left as they are.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            for option, value in (
                (_M_ARENA_MAX, 1),
                (_M_MMAP_MAX, 0),
                (_M_TRIM_THRESHOLD, 1 << 30),
            ):
                libc.mallopt(option, value)


class _Tell(Callback):
    """Tells ``progress`` of each finished block."""

    def __init__(self, sizes: dict[str, int], progress: Progress) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sizes, self._progress = sizes, progress

    def _posttask(self, key: str, *_: object) -> None:
        if key in self._sizes:
            self._progress(self._sizes[key])


def _on_threads(task: Task, blocks: list[Window], workers: int, progress: Progress | None) -> None:
    keys = [f"block-{block.y0}-{block.x0}" for block in blocks]
    graph = {key: (task, block) for key, block in zip(keys, blocks, strict=True)}
    sizes = {key: _pixels(block) for key, block in zip(keys, blocks, strict=True)}
    with _Tell(sizes, progress or (lambda pixels: None)):
        dask.threaded.get(graph, keys, num_workers=workers)


def _on_cluster(task: Task, blocks: list[Window], address: str, progress: Progress | None) -> None:
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ConfigError("a cluster needs: pip install 'sar2opt[cluster]'") from error
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        futures = client.map(task, blocks, pure=False)
        sizes = {future.key: _pixels(block) for future, block in zip(futures, blocks, strict=True)}
        for future in as_completed(futures):
            future.result()
            if progress:
                progress(sizes[future.key])


def _pixels(block: Window) -> int:
    rows, cols = block.shape
    return rows * cols
