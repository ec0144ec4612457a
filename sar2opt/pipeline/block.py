"""All that is made from one block, while it is in memory.

read -> despeckle if asked -> normalise -> translate, tag -> CFAR -> change -> stage. A block is
read once, grown by the longest reach among the steps; each step takes the window that it needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from sar2opt.config import RunConfig
from sar2opt.nets.models import NO_DATA, Bytes, Model, ToBytes
from sar2opt.overlay.anomalies import encode_ratio
from sar2opt.overlay.changes import CHANGE_BANDS, encode_changes
from sar2opt.pipeline.bright import Cfar
from sar2opt.pipeline.earlier import Changes, open_earlier
from sar2opt.pipeline.resources import Resources, resources
from sar2opt.raster import take_band
from sar2opt.sar.clutter import ca_cfar
from sar2opt.sar.looks import multilook
from sar2opt.sar.normalise import Normalisation, to_grey
from sar2opt.sar.speckle import SpeckleFilter
from sar2opt.tiles.apply import fill_tile, read_padded, read_window
from sar2opt.tiles.plan import Window
from sar2opt.tiles.staging import Layer, Staging

Power = npt.NDArray[np.float32]


@dataclass(frozen=True)
class BlockJob:
    """The task of a run, for any of its blocks; pickles, and opens its resources where it runs."""

    config: RunConfig
    staging: Path
    translator_band: str
    tagger_band: str
    translator_norm: Normalisation
    tagger_norm: Normalisation
    cfar: Cfar
    thin: int  # thinning factor of the backscatter that the preview shows
    threads: int  # threads of the nets for each block
    despeckle: SpeckleFilter | None = None
    doubts: tuple[str, ...] = ()  # each halves the trust
    changes: Changes | None = None
    fingerprint: str = ""  # of scene, settings and models: what is opened is kept by it

    def __call__(self, block: Window) -> None:
        """Make and stage all layers of ``block``; what is all no data costs nothing."""
        opened = resources(self.config, self.threads, self.fingerprint, self.open_earlier)
        store = Staging(self.staging)
        bands = tuple(dict.fromkeys((self.translator_band, self.tagger_band)))
        outer = self._outer(block, opened.translator, opened.tagger)
        raw = {band: read_padded(take_band(opened.scene, band), outer)[0] for band in bands}
        if not any(np.isfinite(power[block.within(outer)]).any() for power in raw.values()):
            store.write(block, {})
            return
        own = raw[self.translator_band]
        layers: dict[str, tuple[Bytes, int]] = {
            **{name: (layer, 1) for name, layer in self._mapped(opened, raw, block, outer).items()},
            "bright": (self._bright(own, block, outer), 1),
            "radar": (to_grey(own[block.within(outer)], self.translator_norm)[None], 1),
            "sar": (self._quicklook(own[block.within(outer)]), self.thin),
        }
        if self.changes:
            layers["change"] = (self._change(opened, self.changes, own, block, outer), 1)
        store.write(block, layers)

    def open_earlier(self, scene: xr.DataArray) -> tuple[xr.DataArray, ...]:
        """Open the earlier scenes on the grid of ``scene``, the earliest first."""
        if self.changes is None:
            return ()
        opened = open_earlier(self.config, scene, self.translator_band)
        return tuple(opened[number] for number in self.changes.order)

    def _outer(self, block: Window, *models: Model) -> Window:
        despeckle = self.despeckle
        filter_margin = despeckle.margin if despeckle else 0
        windows = [read_window(model, block).grown(filter_margin) for model in models]
        windows.append(block.grown(self.config.anomalies.background))
        windows.append(block.grown(self.changes.test.margin if self.changes else 0))
        return Window(
            min(window.y0 for window in windows),
            max(window.y1 for window in windows),
            min(window.x0 for window in windows),
            max(window.x1 for window in windows),
        )

    def _mapped(
        self, opened: Resources, raw: dict[str, Power], block: Window, outer: Window
    ) -> dict[str, Bytes]:
        """Return what the nets make of the block."""
        smooth = self._despeckled(raw)
        translated = (self.translator_band, self.translator_norm)
        tagged = (self.tagger_band, self.tagger_norm)
        # mostly one and the same for both nets
        inputs = {wanted: wanted[1](smooth[wanted[0]]) for wanted in {translated, tagged}}
        translator, tagger, look = opened.translator, opened.tagger, self.config.translate.look
        missing = [0] * len(translator.look(look)[1].affine) + [NO_DATA]

        def predict(model: Model, tile: Power, to_bytes: ToBytes, missing: list[int]) -> Bytes:
            return fill_tile(
                model,
                lambda tiles: model.predict_bytes(tiles, to_bytes),
                tile[None][(slice(None), *read_window(model, block).within(outer))],
                block,
                np.array(missing, np.uint8),
            )

        image = predict(
            translator,
            inputs[translated],
            translator.to_bytes(look, 0.5 ** len(self.doubts)),
            missing,
        )
        tags = predict(tagger, inputs[tagged], tagger.to_bytes(), [NO_DATA, NO_DATA])
        return {"optical": image[:-1], "trust": image[-1:], "tags": tags[:1], "score": tags[1:]}

    def _despeckled(self, power: dict[str, Power]) -> dict[str, Power]:
        if self.despeckle is None:
            return power
        return {band: self.despeckle(values) for band, values in power.items()}

    def _bright(self, power: Power, block: Window, outer: Window) -> Bytes:
        settings = self.config.anomalies
        reach = block.grown(settings.background)
        ratio = ca_cfar(
            power[reach.within(outer)],
            guard=settings.guard,
            background=settings.background,
            factor=self.cfar.factor,
            background_max=self.cfar.background_max,
        )
        return encode_ratio(ratio[block.within(reach)])[None]

    def _change(
        self, opened: Resources, changes: Changes, power: Power, block: Window, outer: Window
    ) -> Bytes:
        test = changes.test
        reach = block.grown(test.margin)
        past = [read_padded(earlier, reach)[0] for earlier in opened.earlier]
        change = test(np.stack([*past, power[reach.within(outer)]]))
        found = encode_changes(change, test.level_db, self.config.anomalies.change_db)
        return found[(slice(None), *block.within(reach))]

    def _quicklook(self, power: Power) -> Bytes:
        """Return mean backscatter as grey levels 1 to 255, thinned, 0 where there is none."""
        rows, cols = (-(-size // self.thin) for size in power.shape)
        padded = np.full((rows * self.thin, cols * self.thin), np.nan, np.float32)
        padded[: power.shape[0], : power.shape[1]] = power
        return to_grey(multilook(padded, self.thin), self.translator_norm)[None]


def staged_layers(optical_bands: int, thin: int, *, changes: bool) -> dict[str, Layer]:
    """Return the layers that ``BlockJob`` stages."""
    return {
        **({"change": Layer(CHANGE_BANDS, 0)} if changes else {}),
        "optical": Layer(optical_bands, 0),
        "trust": Layer(1, 255),
        "tags": Layer(1, 255),
        "score": Layer(1, 255),
        "bright": Layer(1, 0),
        "radar": Layer(1, 0),
        "sar": Layer(1, 0, factor=thin),
    }


def thinning(shape: tuple[int, int], block: int) -> int:
    """Return the power of two that brings the longer side below 2,048 pixels, within a block."""
    wanted: int = 2 ** max(0, math.ceil(math.log2(max(shape) / 2048)))
    while block % wanted:
        wanted //= 2
    return wanted
