"""Running a task on every block: on threads of this machine, or on a Dask cluster."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Any

import dask
from dask.callbacks import Callback

from sar2opt.errors import ConfigError
from sar2opt.tiles.plan import Window

Task = Callable[[Window], None]
Progress = Callable[[int], None]
CONNECT = 10  # seconds in which a scheduler has to answer
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

    No task is running any more when this returns or raises, so that what they write to may go.
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


def return_freed_memory() -> None:
    """Give memory that was kept for the next tile back to the kernel, once there is none."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


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
    tell = _Tell(sizes, progress or (lambda pixels: None))
    with ThreadPoolExecutor(workers) as pool, tell:  # leaving it waits for what still runs
        dask.threaded.get(graph, keys, pool=pool)


def _on_cluster(task: Task, blocks: list[Window], address: str, progress: Progress | None) -> None:
    client, as_completed, wait = _connect(address)
    with client, client.as_current():
        todo, running = iter(blocks), as_completed()
        sizes: dict[str, int] = {}

        def send() -> None:
            """Keep two blocks a thread on their way: no thread is idle, and an error ends soon."""
            wanted = 2 * sum(client.nthreads().values()) - running.count()
            for block in islice(todo, max(1, wanted)):
                future = client.submit(task, block, pure=False)
                sizes[future.key] = _pixels(block)
                running.add(future)

        send()
        try:
            for future in running:
                future.result()
                if progress:
                    progress(sizes.pop(future.key))
                send()
        except Exception:
            wait(list(running.futures))
            raise


def _connect(address: str) -> tuple[Any, Any, Any]:
    """Return a client of the scheduler, and distributed's ``as_completed`` and ``wait``."""
    try:
        from distributed import Client, as_completed, wait
    except ImportError as error:
        raise ConfigError("a cluster needs: pip install 'sar2opt[cluster]'") from error
    try:
        # not the default: that would outlive a client that finds no scheduler
        client = Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(f"no Dask scheduler answers at {address}: {error}") from error
    return client, as_completed, wait


def _pixels(block: Window) -> int:
    rows, cols = block.shape
    return rows * cols
