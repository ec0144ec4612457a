"""The documentation builds without a warning, and its tables say what is really written."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pyogrio
import pytest
import rasterio
from planted import Case

from sar2opt.overlay import SUMMARY_COLUMNS
from sar2opt.products.classes import CLASSES
from sar2opt.products.folder import FILES, LAYERS

ROOT = Path(__file__).parent.parent
FORMATS = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    """Return the rows of the table below a heading: the name in code, and the other cells."""
    section = FORMATS.split(f"\n## {heading}\n")[1].partition("\n## ")[0]
    found = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = [cell.strip("`") for cell in cells if re.fullmatch(r"`[^`]+`", cell)]
        if line.startswith("|") and names:
            found[names[0]] = cells
    return found


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("mkdocs", "material", "mkdocstrings")),
    reason="mkdocs-material and mkdocstrings are not installed: pip install 'sar2opt[docs]'",
)
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    reference = (site / "reference" / "index.html").read_text(encoding="utf-8")
    assert "Show rasters or products" in reference
    assert (site / "translator-s1" / "index.html").is_file()
    for page in site.rglob("*.html"):
        assert "fonts.googleapis" not in page.read_text(encoding="utf-8")


def test_every_file_is_documented() -> None:
    assert set(rows("Files")) == {name.format("S") for name in FILES.values()}


@pytest.mark.parametrize("layer", [name for name in LAYERS if name != "features"])
def test_every_attribute_is_documented(utm: Case, layer: str) -> None:
    path = utm.products.folder / "planted.gpkg"
    info = pyogrio.read_info(path, layer=layer)
    kinds = {"object": "text", "str": "text", "float64": "real", "int64": "integer"}
    written = {
        str(name): kinds[str(kind)]
        for name, kind in zip(info["fields"], info["dtypes"], strict=True)
    }
    assert {name: cells[1] for name, cells in rows(f"Layer {layer}").items()} == written


def test_what_features_sum_up_is_documented() -> None:
    assert tuple(rows("Layer features")) == SUMMARY_COLUMNS


def test_all_metadata_and_codes_are_documented(utm: Case) -> None:
    written = set()
    for name in ("optical", "trust", "tags"):
        with rasterio.open(utm.products.folder / f"planted_{name}.tif") as file:
            written |= set(file.tags())
    assert set(rows("Metadata of the rasters")) == written | {"SIMULATED"}
    told = {name: (int(cells[0]), cells[2].strip("`")) for name, cells in rows("Tags").items()}
    assert told == {entry.name: (entry.code, entry.hex) for entry in CLASSES}
