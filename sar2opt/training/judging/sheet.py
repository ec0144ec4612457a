"""A sheet of pictures: backscatter above, what was generated from it, and the real image below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw

from sar2opt.sar.normalise import DARKEST, NormalisationSettings
from sar2opt.training.pairs.pair import Image

SIDE = 256  # pixels of a picture
GAP, LINE = 4, 16


@dataclass(frozen=True)
class Column:
    """One place: normalised backscatter ``(1, y, x)``, imagery ``(1 or 3, y, x)`` in [0, 1]."""

    name: str
    sar: Image
    generated: Image
    real: Image


def middle(shape: Sequence[int], multiple: int = 1) -> tuple[slice, slice]:
    """Return the window in the middle of an image that fits a sheet, its sides multiples."""
    sides = [min(SIDE, size // multiple * multiple) for size in shape]
    starts = [(size - side) // 2 for size, side in zip(shape, sides, strict=True)]
    return slice(starts[0], starts[0] + sides[0]), slice(starts[1], starts[1] + sides[1])


def draw_sheet(columns: Sequence[Column], path: Path) -> None:
    """Draw places beside one another, and say below that the middle row is generated."""
    step = SIDE + GAP
    sheet = Picture.new("RGB", (len(columns) * step, 3 * step + LINE), "white")
    draw = ImageDraw.Draw(sheet)
    for x, column in zip(range(0, sheet.width, step), columns, strict=True):
        draw.text((x + 2, 2), column.name[:40], fill="black")
        radar = (column.sar - DARKEST) / (NormalisationSettings().high - DARKEST)
        for row, image in enumerate((radar, column.generated, column.real)):
            sheet.paste(_picture(image), (x, LINE + row * step))
    draw.text((2, sheet.height - LINE + 2), "backscatter, GENERATED, real", fill="red")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    sheet.save(part, format="JPEG" if path.suffix == ".jpg" else "PNG")
    part.replace(path)


def _picture(image: Image) -> Picture.Image:
    values = np.nan_to_num(np.broadcast_to(image, (3, *image.shape[1:])), nan=0.0)
    pixels = np.rint(255 * np.clip(values, 0.0, 1.0)).astype(np.uint8)
    return Picture.fromarray(np.moveaxis(pixels, 0, 2).copy())
