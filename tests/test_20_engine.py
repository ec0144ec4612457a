"""The engine and the staging store: every block once, errors that wait, nothing left behind."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr

from sar2opt.errors import ConfigError, OutputError
from sar2opt.tiles import engine
from sar2opt.tiles.engine import count_workers, run_blocks
from sar2opt.tiles.plan import Plan, Window
from sar2opt.tiles.staging import Layer, Staging, disk_error

PLAN = Plan((100, 130), block=32, stride=8)
LAYERS = {"image": Layer(3, 0), "thin": Layer(1, 255, factor=4)}
BLOCKS = list(PLAN.blocks())
THREADS = [{"workers": 1}, {"workers": 3}, {"workers": 0}]


# ---- running ------------------------------------------------------------------------------------


def note(folder: Path, block: Window) -> None:
    (folder / f"{block.y0}_{block.x0}").write_text(str(os.getpid()))


def stumble(folder: Path, block: Window) -> None:
    """Fail at the first call; at the others take a while, then leave a mark."""
    with suppress(FileExistsError):
        (folder / "failed").touch(exist_ok=False)
        time.sleep(0.1)
        raise OutputError("no luck")
    (folder / f"began {block.y0}_{block.x0}").touch()
    time.sleep(0.4)
    (folder / f"ended {block.y0}_{block.x0}").touch()


def where(cluster: Any) -> dict[str, Any]:
    return {"scheduler": cluster.scheduler_address}


@pytest.mark.parametrize("how", [*THREADS, "cluster"], ids=str)
def test_every_block_once(how: Any, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    how = where(request.getfixturevalue("cluster")) if how == "cluster" else how
    told: list[int] = []
    run_blocks(partial(note, tmp_path), BLOCKS, progress=told.append, **how)
    assert len(list(tmp_path.iterdir())) == len(BLOCKS) == len(told)
    assert sum(told) == 100 * 130
    elsewhere = {int(path.read_text()) for path in tmp_path.iterdir()} - {os.getpid()}
    assert bool(elsewhere) == ("scheduler" in how)


@pytest.mark.parametrize("how", [{"workers": 3}, "cluster"], ids=str)
def test_nothing_runs_any_more_after_an_error(
    how: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    how = where(request.getfixturevalue("cluster")) if how == "cluster" else how
    with pytest.raises(OutputError, match="no luck"):
        run_blocks(partial(stumble, tmp_path), BLOCKS, **how)
    names = [path.name for path in tmp_path.iterdir()]
    began = {name.removeprefix("began ") for name in names if name.startswith("began")}
    ended = {name.removeprefix("ended ") for name in names if name.startswith("ended")}
    assert 0 < len(began) < len(BLOCKS) - 1
    assert began == ended
    time.sleep(0.5)
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())


def test_nothing_to_do_is_soon_done() -> None:
    run_blocks(lambda block: None, [])


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tcp://", "nonsense"])
def test_no_scheduler_there(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CONNECT", 1)
    with pytest.raises(ConfigError, match=f"no Dask scheduler answers at {address}"):
        run_blocks(lambda block: None, BLOCKS, scheduler=address)
    assert int(da.ones(4, chunks=2).sum().compute()) == 4  # Dask computes as before


def test_workers() -> None:
    assert count_workers(3) == 3
    assert count_workers(0) >= 1


# ---- the staging store ---------------------------------------------------------------------------


def test_what_is_staged_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    store = Staging.prepare(tmp_path / "s", PLAN, LAYERS, "a")
    image = np.random.default_rng(0).integers(0, 255, (3, 100, 130), dtype=np.uint8)
    thin = image[:1, ::4, ::4]
    for block in BLOCKS[:-1]:
        rows, cols = block.slices
        small = (slice(None), slice(rows.start // 4, -(-rows.stop // 4)),
                 slice(cols.start // 4, -(-cols.stop // 4)))  # fmt: skip
        store.write(block, {"image": (image[:, rows, cols], 1), "thin": (thin[small], 4)})
    again = Staging.prepare(tmp_path / "s", PLAN, LAYERS, "a")
    assert [again.is_done(block) for block in BLOCKS] == [True] * (len(BLOCKS) - 1) + [False]
    rows, cols = BLOCKS[-1].slices
    image[:, rows, cols] = 0
    np.testing.assert_array_equal(np.asarray(again.array("image")[:]), image)
    assert (np.asarray(again.array("thin")[:])[:, 24:, 32:] == 255).all()


def test_a_store_of_another_run_is_dropped(tmp_path: Path) -> None:
    store = Staging.prepare(tmp_path / "s", PLAN, LAYERS, "a")
    store.write(BLOCKS[0], {})
    store.mark_published()
    assert store.is_published("a")
    assert not store.is_published("b")
    other = Staging.prepare(tmp_path / "s", PLAN, LAYERS, "b")
    assert not other.is_done(BLOCKS[0])
    assert not other.is_published("b")


def test_a_block_is_done_only_when_all_its_layers_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Staging.prepare(tmp_path / "s", PLAN, LAYERS, "a")
    pixels = np.ones((3, 32, 32), np.uint8)

    def refuse(self: Staging, name: str) -> Any:
        if name == "thin":
            raise OSError(errno.ENOSPC, "No space left on device")
        return zarr.open_array(self.folder / name, mode="r+")

    monkeypatch.setattr(Staging, "array", refuse)
    with pytest.raises(OutputError, match="the disk is full"):
        store.write(BLOCKS[0], {"image": (pixels, 1), "thin": (pixels[:1, ::4, ::4], 4)})
    assert not store.is_done(BLOCKS[0])


def test_a_store_goes_with_the_folders_that_were_made_for_it(tmp_path: Path) -> None:
    store = Staging.prepare(tmp_path / "out" / "a" / "s", PLAN, LAYERS, "a")
    store.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_store_leaves_what_others_put_beside_it(tmp_path: Path) -> None:
    store = Staging.prepare(tmp_path / "out" / "a" / "s", PLAN, LAYERS, "a")
    (tmp_path / "out" / "notes.txt").touch()
    store.remove()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "notes.txt"]


def test_a_store_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = zarr.create_array, 0

    def fill_up(*args: Any, **how: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(*args, **how)

    monkeypatch.setattr(zarr, "create_array", fill_up)
    with pytest.raises(OutputError, match="the disk is full"):
        Staging.prepare(tmp_path / "out" / "s", PLAN, LAYERS, "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out", "out/s"])
def test_a_file_in_the_way(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        Staging.prepare(tmp_path / "out" / "s", PLAN, LAYERS, "a")
    assert (tmp_path / name).read_text() == "a file"


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "disk is full"), (errno.EIO, "Input/output")],
)
def test_errors_of_the_disk_are_one_line(number: int, says: str) -> None:
    error = disk_error(OSError(number, os.strerror(number)), Path("out"))
    assert says in str(error)
    assert "\n" not in str(error)
