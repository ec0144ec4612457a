"""The shape of the house: imports run downwards, modules and functions stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sar2opt

ROOT = Path(sar2opt.__file__).parent
FLOORS = {
    "errors": 1,
    "raster": 2, "config": 2,
    "sar": 3, "tiles": 3,
    "scenes": 4, "overlay": 4, "products": 4, "synth": 4,
    "nets": 5, "prepare": 5, "vectorise": 5,
    "pipeline": 6, "training": 6,
    "serve": 7,
    "cli": 8,
    "__main__": 9,
}  # fmt: skip
STOREYS = {  # of training
    "pairs": 1, "loop": 1, "box_mean": 1, "pretrained": 1, "settings": 1,
    "water": 2,
    "crops": 3,
    "tags": 4,
    "judging": 5,
    "translation": 6,
    "cards": 7,
    "floods": 8, "pack": 8, "pack_tagger": 8,
    "recipe": 9,
}  # fmt: skip
MODULES = sorted(ROOT.rglob("*.py"))
TORCH_ROOMS = {"nets", "training"}


def parts(module: Path) -> tuple[str, ...]:
    return module.relative_to(ROOT).with_suffix("").parts


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{module}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(module: Path) -> None:
    if module == ROOT / "__init__.py":
        return
    own = parts(module)[0]
    for name in imported(module):
        if name.startswith("sar2opt."):
            other = name.split(".")[1]
            if other in FLOORS and other != own:
                assert FLOORS[other] < FLOORS[own], f"{own} imports {other}"
        if name.split(".")[0] in ("torch", "timm", "segmentation_models_pytorch"):
            assert own in TORCH_ROOMS, f"{module} imports {name}"


@pytest.mark.parametrize(
    "module",
    [module for module in MODULES if parts(module)[0] == "training"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_imports_run_downwards_within_training(module: Path) -> None:
    own = parts(module)[1]
    if own == "__init__":
        return
    for name in imported(module):
        if name.startswith("sar2opt.training."):
            other = name.split(".")[2]
            assert other == own or STOREYS[other] < STOREYS[own], f"{own} imports {other}"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_small(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 310
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = node.end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 45, f"{node.name} has {lines} lines"


def test_the_face_is_what_it_says_and_does_not_import_torch() -> None:
    code = (
        "import sys, sar2opt; sar2opt.open_scene; sar2opt.RunConfig; "
        "assert 'torch' not in sys.modules; assert dir(sar2opt)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    for name in sar2opt.__all__:
        assert getattr(sar2opt, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        sar2opt.nonsense  # noqa: B018


LIGHT = ("sar2opt.cli", "sar2opt.prepare", "sar2opt.vectorise", "sar2opt.serve.app",
         "sar2opt.nets.bundle_files")  # fmt: skip


def test_what_runs_without_nets_does_not_wait_for_torch() -> None:
    pytest.importorskip("titiler.extensions", reason="serve is an extra: pip install '.[serve]'")
    code = f"import sys, {', '.join(LIGHT)}; assert not {{'torch', 'timm'}} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
