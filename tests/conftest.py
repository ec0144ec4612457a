"""Runs that several test files look at; none of them changes what they made."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
import torch
from cli_process import start_server
from planted import Case, run_planted
from served import HOST, two_dates

from sar2opt.cli import main


def pytest_configure() -> None:
    """Give each process one thread, as two of them test side by side."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def utm(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The planted scene in UTM, made in blocks of 64 pixels."""
    return run_planted(tmp_path_factory.mktemp("utm"), "utm")


@pytest.fixture(scope="session")
def degrees(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The planted scene in longitude and latitude."""
    return run_planted(tmp_path_factory.mktemp("degrees"), "degrees")


@pytest.fixture(scope="session")
def area(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A slanting part of the planted scene in UTM, given in longitude and latitude."""
    return run_planted(tmp_path_factory.mktemp("area"), "area")


@pytest.fixture(params=["utm", "degrees", "area"])
def case(request: pytest.FixtureRequest) -> Case:
    """Each of the three."""
    found: Case = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def out(utm: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted products on two dates: a folder to serve."""
    return two_dates(utm, tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def client(out: Path) -> Iterator[Any]:
    """A client of what serves them, in this process."""
    pytest.importorskip("titiler.extensions", reason="an extra: pip install '.[serve]'")
    from starlette.testclient import TestClient

    from sar2opt.serve.app import make_app

    with TestClient(make_app(out), base_url=HOST) as one:
        yield one


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A Dask cluster of two processes, forked like those of ``cli_process``."""
    start_server()
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        from distributed import LocalCluster

        how = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
        with LocalCluster(processes=True, **how) as two:
            yield two


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Call ``sar2opt ARGUMENTS`` in this process; gives exit code, output and errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sar2opt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return call
