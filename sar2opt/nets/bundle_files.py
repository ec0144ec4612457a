"""Bundles as files: where they lie, and the cards in their headers. None of it loads PyTorch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from sar2opt.errors import ModelError
from sar2opt.nets.card import Card

WEIGHTS = Path(__file__).parent.parent / "weights"
MAX_BYTES = 2_000_000_000


def shipped_bundles() -> list[Path]:
    """Return the files of the bundles that ship."""
    return sorted(WEIGHTS.glob("*.safetensors"))


def find_bundle(name: str) -> Path:
    """Return the file of a shipped bundle's name or of a path; raises ``ModelError``."""
    shipped = WEIGHTS / f"{name}.safetensors"
    path = shipped if shipped.parent == WEIGHTS and shipped.is_file() else Path(name)
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in WEIGHTS.glob("*.safetensors")))
        raise ModelError(f"no model '{name}': give a .safetensors file or one of: {names}")
    return path


def read_card(path: Path) -> Card:
    """Return the card in a bundle's header; raises ``ModelError`` where the file is not one."""
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f"{path}: larger than any bundle of sar2opt")
    try:
        with safe_open(path, framework="numpy") as bundle:
            text = (bundle.metadata() or {}).get("card")
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{path}: not a safetensors file, or cut off; pickled weights (.pt, .pth) are never "
            "loaded: pack them as a bundle first"
        ) from error
    if text is None:
        raise ModelError(f"{path}: holds no model card, so nothing says what the weights are for")
    try:
        return Card.model_validate(json.loads(text))
    except (ValidationError, ValueError) as error:
        raise ModelError(f"{path}: its model card is not one that this version reads") from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
