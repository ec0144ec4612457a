"""A hook of mkdocs: the cards of the models that ship become pages, as they are."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

WEIGHTS = Path(__file__).parent.parent / "sar2opt" / "weights"


def on_files(files: Files, config: Any) -> Files:
    """Add the cards and their pictures."""
    for path in sorted([*WEIGHTS.glob("*.md"), *WEIGHTS.glob("*.jpg")]):
        files.append(File(path.name, str(WEIGHTS), config.site_dir, config.use_directory_urls))
    return files
