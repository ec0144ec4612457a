"""How floods are told: by a net that compares the latest earlier scene with this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sar2opt.errors import SceneError
from sar2opt.nets.models import FloodModel
from sar2opt.pipeline.earlier import Changes, names_of
from sar2opt.raster import pixel_area_m2
from sar2opt.sar.normalise import Normalisation, fit_spread
from sar2opt.tiles.sample import Sampled


@dataclass(frozen=True)
class Floods:
    """What a block needs to know to tell floods, and a reader to judge them."""

    band: str
    before: Normalisation  # of the latest earlier scene
    after: Normalisation
    dates: tuple[str, str]
    model: str
    doubt: str  # why scores are halved; "" if they are not
    sentences: tuple[str, ...] = field(default=(), repr=False)  # pixels do not depend on them


def plan_floods(
    model: FloodModel | None,
    whole: Sampled,
    earlier: Sequence[Sampled],
    changes: Changes | None,
) -> Floods | None:
    """Fit the stretch of both dates to the scenes as a whole; None where nothing is compared.

    The first of the model's polarisations that is compared is taken. Raises ``SceneError`` where
    the two have no pixel in common.
    """
    if model is None or changes is None:
        return None
    latest, scene = earlier[changes.order[-1]], whole.scene
    known = [name for name in model.card.polarisations if name in names_of(latest.scene)]
    band = next((name for name in known if name in names_of(scene)), changes.bands[0])
    samples = [one.windows(band) for one in (latest, whole)]
    common = np.logical_and.reduce([np.isfinite(power) & (power > 0) for power in samples])
    if not common.any():
        raise SceneError("--before: the latest earlier scene and this one share no valid pixel")
    before, after = (fit_spread(power[common]) for power in samples)
    spacing = float(np.sqrt(pixel_area_m2(scene.odc.geobox)))
    doubts = [changes.doubt] if changes.doubt else []
    doubts += model.card.doubts(spacing, band, scene.attrs.get("frequency_band", ""))
    dates = (changes.dates[-2], changes.dates[-1])
    sentences = (
        f"floods: told by the net {model.name} from {band} of {dates[0]} and {dates[1]}, where it "
        f"gives flood half or more; it was trained on 8-bit pictures, so compare with the changes",
        *(f"{doubt}: scores of floods are halved" for doubt in doubts),
    )
    return Floods(band, before, after, dates, model.name, "; ".join(doubts), sentences)
