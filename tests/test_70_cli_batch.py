"""``sar2opt batch``: many scenes, of which one that is bad does not stop the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from planted import planted_power
from scene_files import write

from sar2opt.errors import SceneError
from sar2opt.pipeline.batch import check_names, scenes_of

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scene, one that is cut off, and what is none."""
    made = tmp_path_factory.mktemp("scenes")
    good = write(made / "good.tif", planted_power(), names=("VH",), nodata=np.nan,
                 tags={"SCALE": "power"})  # fmt: skip
    (made / "bad.tif").write_bytes(good.read_bytes()[:2000])
    (made / "notes.txt").write_text("nothing")
    (made / "good_terrain.tif").write_bytes(good.read_bytes())
    return made


def test_a_bad_scene_does_not_stop_the_others(folder: Path, cli: Cli) -> None:
    out = folder.parent / "out"
    code, said, told = cli("batch", folder, "--out", out)
    assert code == 2
    bad, good = (line.split() for line in said.splitlines()[1:3])
    assert bad[:2] == ["bad.tif", "failed"]
    assert "bad.tif: the " in said.splitlines()[3]
    assert good[:2] == ["good.tif", "done"]
    assert int(good[3]) == 2
    assert told.splitlines()[-1] == "sar2opt: 1 of 2 scenes failed"
    assert (out / "good" / "good_optical.tif").exists()
    assert not (out / "bad").exists()


def test_what_is_done_is_passed_over(folder: Path, cli: Cli) -> None:
    out = folder.parent / "out"  # of the first test
    words = ("batch", folder / "goo*.tif", "--out", out)
    cli(*words)
    code, said, _ = cli(*words)
    assert code == 0
    assert said.splitlines()[1].split() == ["good.tif", "there"]


def test_scenes_of_one_name_and_folders_that_are_none_are_refused(folder: Path) -> None:
    with pytest.raises(SceneError, match="both are called good: rename one"):
        check_names([folder / "good.tif", folder / "other" / "good.tif"])
    with pytest.raises(SceneError, match="give a folder of scenes, or a pattern"):
        scenes_of(folder / "good.tif")
    with pytest.raises(SceneError, match="the pattern finds nothing"):
        scenes_of(folder / "x*.tif")
