"""README and docs keep their word: commands parse, Python runs, .ci/run does what they say.

That the commands run is seen in ``test_80_commands``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from shown import EVERY, PAGES, ROOT, Shown, blocks_of, commands_of

from sar2opt.cli import app
from sar2opt.config import RunConfig, load_config

BLOCKS = blocks_of(PAGES[0])
CI = ROOT / ".ci"


def test_the_readme_begins_with_the_two_commands() -> None:
    first = BLOCKS[0][1].splitlines()
    assert first == [
        "pip install . && sar2opt run data_samples/harbour.tif --out out/",
        "pip install -c .ci/constraints.txt -e '.[test]' && python -m pytest",
    ]


@pytest.mark.parametrize("shown", EVERY, ids=str)
def test_a_command_that_is_shown_parses(shown: Shown) -> None:
    words = list(shown.words)
    command = typer.main.get_command(app)
    whole = command.make_context("sar2opt", words)  # options of all commands come first
    words = [*whole._protected_args, *whole.args]
    while len(words) > 1 and words[0] in getattr(command, "commands", {}):  # groups in groups
        command, words = command.commands[words[0]], words[1:]
    if words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not getattr(command, "commands", {}) or command.invoke_without_command
    command.make_context("sar2opt", words)


def test_the_readme_shows_every_command() -> None:
    shown = {one.words[0] for one in commands_of(PAGES[0])}
    assert shown == set(typer.main.get_command(app).commands)


WITH_PYTHON = [page for page in PAGES if any(name == "python" for name, _ in blocks_of(page))]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    """In one fresh process, block after block, as a reader would type it."""
    blocks = [block for language, block in blocks_of(page) if language == "python"]
    assert page != WITH_PYTHON[0] or page.name == "README.md"
    shutil.copytree(ROOT / "data_samples", tmp_path / "data_samples")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-"],
        input="\n".join(blocks),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_example_configuration_is_valid_and_its_files_are_there() -> None:
    config = load_config(ROOT / "configs" / "run.toml", RunConfig)
    assert config != RunConfig()
    for path in (config.anomalies.reference, config.anomalies.allow):
        assert path is not None
        assert (ROOT / path).is_file()


def test_the_constraints_fit_what_is_needed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (CI / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    extras = project["optional-dependencies"].values()
    for text in [*project["dependencies"], *(line for extra in extras for line in extra)]:
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            assert pins[requirement.name] in requirement.specifier


def test_ci_runs_the_second_command_of_the_readme() -> None:
    lines = [line.strip() for line in (CI / "run").read_text(encoding="utf-8").splitlines()]
    assert BLOCKS[0][1].splitlines()[1] in lines
    assert os.access(CI / "run", os.X_OK)


STEPS = (
    "python3 -m venv ENVIRONMENT",
    "pip install -c .ci/constraints.txt -e .[test]",
    "python -m pytest",
    "ruff check .",
    "ruff format --check .",
    "mypy",
)


@pytest.mark.skipif(os.name != "posix", reason=".ci/run is a shell script")
@pytest.mark.parametrize("broken", [None, *STEPS])
def test_ci_ends_at_the_first_step_that_fails_and_cleans_up(
    broken: str | None, tmp_path: Path
) -> None:
    """Stand-ins for the tools note how they are called, and fail if told to."""
    tools, temporary, log = tmp_path / "tools", tmp_path / "temporary", tmp_path / "log"
    tools.mkdir()
    temporary.mkdir()
    stand_in = tools / "stand-in"
    stand_in.write_text(
        "#!/usr/bin/env bash\n"
        'call="${0##*/}${*:+ $*}"\n'
        'if [[ $call == *" venv "* ]]; then mkdir -p "$3/bin"; touch "$3/bin/activate"; fi\n'
        'call="${call/ $TMPDIR*/ ENVIRONMENT}"\n'
        'echo "$call" >> "$LOG"\n'
        '[[ $call != "$BROKEN" ]]\n',
        encoding="utf-8",
    )
    stand_in.chmod(0o755)
    for name in {step.split()[0] for step in STEPS}:
        (tools / name).symlink_to(stand_in)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    environ = {"PATH": path, "TMPDIR": str(temporary), "LOG": str(log), "BROKEN": broken or ""}
    done = subprocess.run([CI / "run"], cwd=tmp_path, env=environ, capture_output=True, check=False)
    last = len(STEPS) if broken is None else STEPS.index(broken) + 1
    assert log.read_text(encoding="utf-8").splitlines() == list(STEPS[:last])
    assert (done.returncode == 0) is (broken is None)
    assert not any(temporary.iterdir())
