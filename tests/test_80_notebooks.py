"""The notebooks run from top to bottom, as a newcomer runs them, on the samples that ship."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

import sar2opt

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MADE_BY_NETS = ("products.optical", "products.trust", "products.tags")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@each_notebook
def test_a_notebook_is_short_and_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert len(notebook.cells) < 15
    for cell in code_cells(notebook):
        assert not cell.outputs
        assert cell.execution_count is None


@each_notebook
def test_a_notebook_uses_the_public_face_alone(path: Path) -> None:
    used = set()
    for cell in code_cells(nbformat.read(path, as_version=4)):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("sar2opt.") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] != "sar2opt"
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used |= {node.attr} if node.value.id == "sar2opt" else set()
    assert used
    assert used <= set(sar2opt.__all__)


@each_notebook
def test_what_a_net_made_is_shown_as_generated(path: Path) -> None:
    drawn = [cell.source for cell in code_cells(nbformat.read(path, as_version=4))
             if any(name in cell.source for name in MADE_BY_NETS)]  # fmt: skip
    assert drawn
    for source in drawn:
        assert "generated from radar" in source


@each_notebook
def test_a_notebook_runs_on_the_samples_and_leaves_nothing_behind(
    path: Path, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "data_samples", tmp_path / "data_samples")
    home = tmp_path / "notebooks"
    home.mkdir()
    before = sorted(tmp_path.rglob("*"))
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(home)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    shown = [kind for output in outputs for kind in output.get("data", {})]
    assert shown.count("image/png") >= 4  # radar, comparison, trust and tags, anomalies
    assert shown.count("text/html") >= 2  # the scene, the table of anomalies
    assert sorted(tmp_path.rglob("*")) == before
