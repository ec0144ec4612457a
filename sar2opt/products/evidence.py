"""Small pictures of the strongest anomalies: the radar, and the generated image, which says so."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sar2opt.products.facts import GENERATED
from sar2opt.products.folder import EVIDENCE, output_errors
from sar2opt.products.report import marked

LEAST_SIDE = 320  # pixels; smaller crops are enlarged by whole numbers, pixel by pixel
_NAME = "{}_evidence_{}_{}.png"  # scene, id of the anomaly, sar or optical
Crop = Callable[[Any], Mapping[str, Image.Image]]


def evidence_files(folder: Path, scene: str) -> list[Path]:
    """Return the pictures of evidence of a scene that lie in a folder."""
    return sorted(folder.glob(EVIDENCE.format(glob.escape(scene))))


def write_evidence(
    folder: Path, scene: str, anomalies: gpd.GeoDataFrame, crop: Crop, most: int
) -> tuple[gpd.GeoDataFrame, list[Path]]:
    """Write two pictures (PNG) of each of the first ``most`` anomalies; return table and files.

    ``crop(geometry)`` gives the pictures ``sar`` and ``optical``. The generated one carries its
    mark in its pixels and in its metadata. The table names them in two more columns,
    ``evidence_sar`` and ``evidence_optical``, empty where there is none. Raises ``OutputError``.
    """
    names: dict[str, list[str]] = {"sar": [], "optical": []}
    for row in anomalies.head(most).itertuples():
        crops = crop(row.geometry)
        for kind, told in names.items():
            told.append(_NAME.format(scene, row.id, kind))
            _write(folder / told[-1], crops[kind], generated=kind == "optical")
    rest = [""] * (len(anomalies) - len(names["sar"]))
    columns = {f"evidence_{kind}": [*told, *rest] for kind, told in names.items()}
    table = anomalies.drop(columns="geometry").assign(**columns)
    shaped = gpd.GeoDataFrame(table, geometry=anomalies.geometry, crs=anomalies.crs)
    return shaped, [folder / name for told in names.values() for name in told]


def remove_stale(folder: Path, scene: str, keep: Iterable[Path]) -> None:
    """Delete the evidence of an earlier run that this one has not written again."""
    with output_errors(folder):
        for path in set(evidence_files(folder, scene)) - set(keep):
            path.unlink()


def _write(path: Path, picture: Image.Image, *, generated: bool) -> None:
    times = max(1, -(-LEAST_SIDE // max(picture.size)))
    size = picture.width * times, picture.height * times
    large = picture.convert("RGB").resize(size, Image.Resampling.NEAREST)
    text = PngInfo()
    if generated:
        large = marked(large)
        text.add_text("Description", f"GENERATED: {GENERATED['optical']}")
    with output_errors(path):
        large.save(path, format="PNG", pnginfo=text)
