"""How a scene is unlike those that the nets were trained on: each doubt halves the trust."""

from __future__ import annotations

import numpy as np

from sar2opt.config import RunConfig
from sar2opt.errors import SceneError
from sar2opt.nets.models import Translator
from sar2opt.raster import pixel_area_m2
from sar2opt.sar.looks import estimate_looks
from sar2opt.sar.normalise import Normalisation
from sar2opt.sar.radiometry import to_db
from sar2opt.tiles.sample import Sampled

FEWEST_LOOKS = 3.0  # the scenes that were learnt from have 4 to 7, as estimated


def find_doubts(
    config: RunConfig, whole: Sampled, translator: Translator, band: str, norm: Normalisation
) -> tuple[str, ...]:
    """Return in sentences how the band of a scene is unlike what the translator learnt from."""
    power = whole.pixels(band)
    shares = translator.card.input_range.quantiles
    quantiles = to_db(np.quantile(power[np.isfinite(power)], shares)) - norm.level_db
    spacing = float(np.sqrt(pixel_area_m2(whole.scene.odc.geobox)))
    radar = whole.scene.attrs.get("frequency_band", "")
    doubts = translator.doubts(quantiles, spacing, band, config.translate.look, radar)
    return (*doubts, *_of_speckle(config, whole, band))


def _of_speckle(config: RunConfig, whole: Sampled, band: str) -> list[str]:
    if config.prepare.despeckle != "none":
        return []
    try:
        looks = estimate_looks(whole.windows(band))
    except SceneError:  # too little of it to tell
        return []
    if looks >= FEWEST_LOOKS:
        return []
    return [
        f"the speckle, of {looks:.1f} looks, is stronger than in any scene that the models learnt "
        "from, which have 4 or more, and image and tags may be quite wrong "
        "(--despeckle refined-lee weakens it)"
    ]
