"""Finished products to serve, and the server as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from planted import Case

HOST = "http://127.0.0.1"
EARLIER = "2023-01-02T03:04:05Z"


def two_dates(case: Case, folder: Path) -> Path:
    """Copy the planted products to ``folder``, and once more as if of an earlier date."""
    shutil.copytree(case.products.folder, folder / "planted")
    (folder / "earlier").mkdir()
    for path in (folder / "planted").iterdir():
        shutil.copy(path, folder / "earlier" / path.name.replace("planted", "earlier"))
    path = folder / "earlier" / "earlier.json"
    item: dict[str, Any] = json.loads(path.read_text().replace("planted", "earlier"))
    item["properties"]["datetime"] = EARLIER
    path.write_text(json.dumps(item))
    return folder


@contextmanager
def server(folder: Path, *options: str) -> Iterator[str]:
    """Run ``sar2opt serve`` on a free port; give its address."""
    command = [sys.executable, "-m", "sar2opt", "serve", str(folder), "--port", "0", *options]
    environ = os.environ | {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline().strip()
            assert line.startswith("http://"), line + process.stderr.read()
            yield line.split("?")[0].rstrip("/")
        finally:
            process.terminate()
            process.wait(20)
