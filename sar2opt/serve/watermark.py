"""The mark that generated imagery carries in its pixels, wherever its tiles are shown."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from rio_tiler.models import ImageData

from sar2opt.products.drawing import font

_OPACITY = 0.34
_WORD = "GENERATED"


def watermark(image: ImageData) -> ImageData:
    """Return a generated tile ``(band, y, x)`` with the word on it, faint, once a tile."""
    place, ink, halo = _stencils(image.height, image.width)
    array = image.array.copy()
    pixels = array.data[(slice(None), *place)].astype(np.float32)
    pixels += halo * (0.0 - pixels)
    pixels += ink * (255.0 - pixels)
    array.data[(slice(None), *place)] = pixels.round()
    return ImageData(
        array,
        assets=image.assets,
        crs=image.crs,
        bounds=image.bounds,
        band_names=image.band_names,
    )


@lru_cache(maxsize=16)
def _stencils(
    height: int, width: int
) -> tuple[tuple[slice, slice], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return where the word is, and how strongly white ink and its dark halo cover it, 0 to 1."""
    size = max(7, min(height, width) // 18)
    covers = []
    for stroke in (0, max(1, size // 10)):
        canvas = Image.new("L", (width, height))
        ImageDraw.Draw(canvas).text(
            (width / 2, height / 2), _WORD, fill=255, font=font(size), anchor="mm",
            stroke_width=stroke,
        )  # fmt: skip
        covers.append(np.asarray(canvas, np.float32) * np.float32(_OPACITY / 255))
    ink, halo = covers
    left, top, right, bottom = canvas.getbbox() or (0, 0, width, height)
    place = slice(top, bottom), slice(left, right)
    return place, ink[place], np.clip(halo - ink, 0, 1)[place]
