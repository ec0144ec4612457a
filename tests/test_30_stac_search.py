"""Search of a STAC catalogue, on a server of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scene_files import speckled, write
from stac_api import stac_api

from sar2opt.errors import ConfigError, SceneError
from sar2opt.scenes import open_scene
from sar2opt.scenes.stac_search import Search, search, write_items

pytest.importorskip("pystac_client")

Cli = Callable[..., tuple[int, str, str]]
BOX = (12.0, 41.0, 13.0, 42.0)


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    tiff = write(tmp_path / "vv.tif", speckled())
    with stac_api("rtc", BOX, tiff.read_bytes()) as here:
        yield here


def test_what_is_found_opens(address: str, tmp_path: Path) -> None:
    items = search(address, Search(("rtc",), BOX, "2024-05-01/.."))
    assert [one.id for one in items] == ["S1A/2", "S1A/1"]  # the newest first
    files = write_items(items, tmp_path / "items")
    assert [path.name for path in files] == ["S1A_2.json", "S1A_1.json"]
    scene = open_scene(files[0])
    assert scene.attrs["acquired"] == "2024-05-12T05:00:00Z"
    assert scene.values.shape[0] == 1


def test_the_command_lists_and_writes(address: str, tmp_path: Path, cli: Cli) -> None:
    words = ["search", address, "--bbox", "12,41,13,42", "--collection", "rtc"]
    code, said, _ = cli(*words, "--out", tmp_path / "items")
    assert code == 0
    assert "S1A/2" in said
    assert "ascending 44" in said
    assert (tmp_path / "items" / "S1A_1.json").exists()
    assert cli("search", address, "--bbox", "0,0,1,1")[1].strip() == (
        "no scene of that place and time"
    )


@pytest.mark.parametrize("box", [(0, 0, 0, 1), (0, 2, 1, 1), (0, 0, 400, 1)])
def test_boxes_that_are_none_are_refused(box: Any) -> None:
    with pytest.raises(ConfigError, match="say west,south,east,north"):
        Search((), box, "")


@pytest.mark.parametrize("where", ["file:///etc/passwd", "http://127.0.0.1:9"])
def test_what_is_no_catalogue_is_refused(where: str) -> None:
    with pytest.raises(SceneError, match=r"no http\(s\) address|the search failed"):
        search(where, Search((), BOX, ""))


def test_a_page_that_is_no_catalogue_is_refused(address: str) -> None:
    with pytest.raises(SceneError, match=r"no STAC catalogue|search failed"):
        search(f"{address}/other", Search((), BOX, ""))
