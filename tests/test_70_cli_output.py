"""What the command line says to programs, in a quiet run, in a log, and in its help."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from planted import planted_power
from scene_files import write
from shapely.geometry import Point

from sar2opt.cli.help import EXAMPLES
from sar2opt.cli.summary import worth_looking_at

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("said") / "scene.tif"
    write(path, planted_power(), names=("VH",), nodata=np.nan, tags={"SCALE": "power"})
    return path


def test_a_quiet_run_as_json_with_a_log(scene: Path, cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    words = ["--quiet", "--log-file", log, "run", scene, "--out", tmp_path / "out", "--json"]
    code, said, told = cli(*words)
    assert (code, told) == (0, "")
    found = json.loads(said)
    assert found["folder"] == str(tmp_path / "out" / "scene")
    assert all(Path(path).is_file() for path in found["files"].values())
    assert len(found["files"]) == 14
    assert found["anomalies"] == len(found["worth_looking_at"]) == 2
    assert found["generated"] is True
    lines = log.read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO ", line) for line in lines)
    for words_of in ("sar2opt --quiet", "assumed: ", "making blocks", "done: "):
        assert any(words_of in line for line in lines)
    for sentence in found["assumptions"]:
        assert any(sentence in line for line in lines)


def test_info_and_batch_as_json(scene: Path, cli: Cli, tmp_path: Path) -> None:
    code, said, _ = cli("info", scene, "--json")
    facts = json.loads(said)
    assert (code, facts["bands"], facts["crs"]) == (0, ["vh"], "EPSG:32632")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.tif").write_bytes(scene.read_bytes()[:2000])
    code, said, told = cli("batch", tmp_path / "in", "--out", tmp_path / "out", "--json")
    (one,) = json.loads(said)
    assert (code, one["state"]) == (2, "failed")
    assert one["reason"]
    assert told.splitlines()[-1] == "sar2opt: 1 of 1 scenes failed"


def test_an_error_is_said_and_logged(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    code, said, told = cli("--quiet", "--log-file", log, "info", tmp_path / "none.tif")
    assert (code, said) == (2, "")
    (line,) = told.splitlines()
    assert f"ERROR {line}" in log.read_text(encoding="utf-8")


def test_verbose_puts_the_log_on_stderr(scene: Path, cli: Cli) -> None:
    code, said, told = cli("--verbose", "info", scene)
    assert code == 0
    assert "INFO sar2opt --verbose info" in told
    assert "INFO" not in said


def test_a_log_that_cannot_be_written_is_refused(scene: Path, cli: Cli, tmp_path: Path) -> None:
    code, said, told = cli("--log-file", tmp_path / "none" / "run.log", "info", scene)
    assert (code, said) == (2, "")
    assert "no log can be written" in told


@pytest.mark.parametrize("command", EXAMPLES)
def test_help_shows_an_example_and_no_colours(command: str, cli: Cli) -> None:
    code, said, _ = cli(command, "--help")
    assert code == 0
    first = EXAMPLES[command][0].split()
    assert " ".join(first[:3]) in " ".join(said.split())
    assert "\x1b[" not in said


def test_the_many_options_have_headings_and_say_all_their_words(cli: Cli) -> None:
    for command in ("run", "anomalies"):
        said = " ".join(cli(command, "--help")[1].split())
        places = [said.index(head) for head in ("What is flagged", "How the scene is read")]
        assert places[0] < said.index("--allow") < places[1] < said.index("--polarisation")
        assert said.index("--config") < places[0]
        assert "TOML: class = [tags]" in said  # brackets are no markup


def test_the_exit_codes_are_in_the_help(cli: Cli) -> None:
    said = " ".join(cli("--help")[1].split())
    assert "Exit codes: 0 done; 2 it cannot be done" in said
    assert "--install-completion" in said


def test_each_kind_comes_once_before_any_comes_twice() -> None:
    table = gpd.GeoDataFrame(
        {
            "kind": ["a", "a", "a", "b"],
            "score": [0.9, 0.8, 0.7, 0.1],
            "reason": ["first", "second", "third", "other"],
            "lon": -1.0,
            "lat": 2.0,
        },
        geometry=[Point(0, 0)] * 4,
    )
    found = worth_looking_at(table)
    assert [text.rpartition(" ")[2] for text in found] == ["first", "other", "second"]
    assert found[0].startswith("2.00000° N, 1.00000° W: ")
    assert worth_looking_at(table.iloc[:0]) == []
