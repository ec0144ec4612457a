"""All that is made from one block, while it is in memory.

read -> despeckle if asked -> normalise -> translate, tag -> CFAR -> change, flood -> stage. A block
is read once, grown by the longest reach among the steps; each step takes the window it needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.ndimage import maximum_filter

from sar2opt.config import RunConfig
from sar2opt.nets.models import NO_DATA, Bytes, FloodModel, Model, TagModel, ToBytes
from sar2opt.overlay.bright import encode_ratio
from sar2opt.overlay.changes import CHANGE_BANDS, encode_changes
from sar2opt.overlay.disagreement import encode_probabilities
from sar2opt.overlay.surroundings import UNKNOWN
from sar2opt.pipeline.bright import Cfar
from sar2opt.pipeline.earlier import Changes, lay_earlier, names_of, open_earlier
from sar2opt.pipeline.floods import Floods
from sar2opt.pipeline.resources import Resources, resources
from sar2opt.raster import take_band
from sar2opt.sar.change_joint import JointTest
from sar2opt.sar.looks import multilook
from sar2opt.sar.normalise import Normalisation, to_grey
from sar2opt.sar.power_codes import encode_power
from sar2opt.sar.speckle import SpeckleFilter
from sar2opt.tiles.apply import fill_tile, predict_tile, read_padded, read_window
from sar2opt.tiles.plan import Window
from sar2opt.tiles.staging import Layer, Staging

Power = npt.NDArray[np.float32]
PACKING = 3  # of the staged layers; goes up when what a byte means changes


@dataclass(frozen=True)
class Wanted:
    """What is made of a scene beside its tags."""

    image: bool = True  # generated imagery, trust, and what objects and preview need
    flags: bool = True  # bright targets and changes
    file: Path | None = None  # the one file that is written; None: the folder of products


@dataclass(frozen=True)
class BlockJob:
    """The task of a run, for any of its blocks; pickles, and opens its resources where it runs."""

    config: RunConfig
    staging: Path
    translator_band: str
    tagger_band: str
    translator_norm: Normalisation
    tagger_norm: Normalisation
    cfar: Cfar | None  # None: bright targets are not looked for
    thin: int  # thinning factor of the backscatter that the preview shows
    threads: int  # threads of the nets for each block
    despeckle: SpeckleFilter | None = None
    doubts: tuple[str, ...] = ()  # each halves the trust
    changes: Changes | None = None
    floods: Floods | None = None
    wanted: Wanted = Wanted()
    fingerprint: str = ""  # of scene, settings and models: what is opened is kept by it

    def __call__(self, block: Window) -> None:
        """Make and stage all layers of ``block``; what is all no data costs nothing."""
        opened = resources(self.config, self.threads, self.fingerprint, self.open_earlier)
        store = Staging(self.staging)
        compared = self.changes.bands if self.changes else ()
        told = (self.floods.band,) if self.floods else ()
        bands = dict.fromkeys((*self._net_bands, *compared, *told))
        outer = self._outer(block, *opened.models)
        raw = {band: read_padded(take_band(opened.scene, band), outer)[0] for band in bands}
        if not any(np.isfinite(power[block.within(outer)]).any() for power in raw.values()):
            store.write(block, {})
            return
        own = raw[self.translator_band]
        mapped = self._mapped(opened, raw, block, outer)
        layers: dict[str, tuple[Bytes, int]] = {name: (layer, 1) for name, layer in mapped.items()}
        if self.cfar:
            layers["bright"] = (self._bright(self.cfar, own, block, outer), 1)
        power = own[block.within(outer)]
        if self.wanted.image or self.wanted.flags:
            layers["power"] = (encode_power(power, self.translator_norm.level_db)[None], 1)
        if self.wanted.image:
            layers["sar"] = (self._quicklook(power), self.thin)
        if self.changes:
            past = [_by_band(one, outer) for one in opened.earlier]
            layers["change"] = (self._change(self.changes, [*past, raw], block, outer), 1)
            if self.cfar:
                seen = [one[self.translator_band] for one in past]
                layers["shown"] = (self._shown(self.cfar, self.changes, seen, block, outer), 1)
            if self.floods and opened.flood:
                dates = [one[self.floods.band] for one in (past[-1], raw)]
                layers["flood"] = (_flood(opened.flood, self.floods, dates, block, outer), 1)
        store.write(block, layers)

    @property
    def trust_factor(self) -> float:
        """By how much the doubts lower the trust of all pixels."""
        return float(0.5 ** len(self.doubts))

    @property
    def translates(self) -> bool:
        """Whether the translator runs: for its imagery, or for the trust alone."""
        flagged = self.wanted.flags and self.config.anomalies.low_trust > 0
        return self.wanted.image or flagged

    @property
    def compares(self) -> bool:
        """Whether tags are held against what a reference layer allows."""
        return self.wanted.flags and self.config.anomalies.allow is not None

    @property
    def _net_bands(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.translator_band, self.tagger_band)))

    def picture(self, window: Window) -> Bytes:
        """Return the generated image ``(band, y, x)`` of a window, whatever else is wanted."""
        opened = resources(self.config, self.threads, self.fingerprint, self.open_earlier)
        outer = self._outer(window, opened.translator, opened.tagger)
        raw = {
            band: read_padded(take_band(opened.scene, band), outer)[0] for band in self._net_bands
        }
        return replace(self, wanted=Wanted())._mapped(opened, raw, window, outer)["optical"]

    def open_earlier(self, scene: xr.DataArray) -> tuple[xr.DataArray, ...]:
        """Open the earlier scenes on the grid of ``scene``, the earliest first."""
        if self.changes is None:
            return ()
        return self.lay_earlier(open_earlier(self.config, scene, self.translator_band), scene)

    def lay_earlier(
        self, opened: Sequence[xr.DataArray], scene: xr.DataArray
    ) -> tuple[xr.DataArray, ...]:
        """Lay opened earlier scenes on the grid of ``scene``, the earliest first."""
        order = self.changes.order if self.changes else ()
        return lay_earlier([opened[number] for number in order], scene)

    def _outer(self, block: Window, *models: Model) -> Window:
        despeckle = self.despeckle
        filter_margin = despeckle.margin if despeckle else 0
        windows = [read_window(model, block).grown(filter_margin) for model in models]
        windows.append(block.grown(self.config.anomalies.background + (1 if self.changes else 0)))
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
        smooth = self._despeckled({band: raw[band] for band in self._net_bands})
        translated = (self.translator_band, self.translator_norm)
        tagged = (self.tagger_band, self.tagger_norm)
        # mostly one and the same for both nets
        inputs = {wanted: wanted[1](smooth[wanted[0]]) for wanted in {translated, tagged}}
        translator, look = opened.translator, self.config.translate.look

        def own(model: Model, tile: Power) -> Power:
            return tile[None][(slice(None), *read_window(model, block).within(outer))]

        layers = self._tagged(opened.tagger, own(opened.tagger, inputs[tagged]), block)
        if self.translates:
            missing = [0] * len(translator.look(look)[1].affine) + [NO_DATA]
            paint = translator.to_bytes(look, self.trust_factor)
            tile = own(translator, inputs[translated])
            image = _predicted(translator, tile, block, paint, missing)
            layers["trust"] = image[-1:]
            if self.wanted.image:
                layers["optical"] = image[:-1]
        return layers

    def _tagged(self, tagger: TagModel, tile: Power, block: Window) -> dict[str, Bytes]:
        """Return tags and scores, and the probabilities of all tags if a layer is compared."""
        if not self.compares:
            tags = _predicted(tagger, tile, block, tagger.to_bytes(), [NO_DATA, NO_DATA])
            return {"tags": tags[:1], "score": tags[1:]}
        output = predict_tile(tagger, tile, block)
        tag, score = tagger.choose(output)
        return {"tags": tag, "score": score, "probabilities": encode_probabilities(output)}

    def _despeckled(self, power: dict[str, Power]) -> dict[str, Power]:
        if self.despeckle is None:
            return power
        return {band: self.despeckle(values) for band, values in power.items()}

    def _bright(self, cfar: Cfar, power: Power, block: Window, outer: Window) -> Bytes:
        reach = block.grown(self.config.anomalies.background)
        ratio = cfar.ratio(power[reach.within(outer)], self.config.anomalies)
        return encode_ratio(ratio[block.within(reach)])[None]

    def _shown(
        self, cfar: Cfar, changes: Changes, dates: list[Power], block: Window, outer: Window
    ) -> Bytes:
        """Return how many earlier dates have a bright pixel here or beside, where all can tell."""
        reach = block.grown(self.config.anomalies.background + 1)
        count = np.zeros(block.shape, np.uint8)
        for power, gain in zip(dates, changes.gains(self.translator_band), strict=True):
            ratio = cfar.ratio(gain * power[reach.within(outer)], self.config.anomalies)
            bright = maximum_filter(np.nan_to_num(ratio) > 1, size=3)[block.within(reach)]
            known = np.isfinite(ratio[block.within(reach)]) & (count != UNKNOWN)
            count = np.where(known, np.minimum(count + bright, UNKNOWN - 1), UNKNOWN)
        return count.astype(np.uint8)[None]

    def _change(
        self, changes: Changes, dates: list[dict[str, Power]], block: Window, outer: Window
    ) -> Bytes:
        test = changes.test
        reach = block.grown(test.margin)
        series = np.stack(
            [[date[band][reach.within(outer)] for date in dates] for band in changes.bands]
        )
        change = test(series if isinstance(test, JointTest) else series[0])
        found = encode_changes(change, test.level_db, self.config.anomalies.change_db)
        return found[(slice(None), *block.within(reach))]

    def _quicklook(self, power: Power) -> Bytes:
        """Return mean backscatter as grey levels 1 to 255, thinned, 0 where there is none."""
        rows, cols = (-(-size // self.thin) for size in power.shape)
        padded = np.full((rows * self.thin, cols * self.thin), np.nan, np.float32)
        padded[: power.shape[0], : power.shape[1]] = power
        return to_grey(multilook(padded, self.thin), self.translator_norm)[None]


def _predicted(
    model: Model, tile: Power, block: Window, to_bytes: ToBytes, missing: list[int]
) -> Bytes:
    """Return what a net makes of ``tile`` ``(band, y, x)``, which holds all that it looks at."""
    return fill_tile(
        model,
        lambda tiles: model.predict_bytes(tiles, to_bytes),
        tile,
        block,
        np.array(missing, np.uint8),
    )


def _by_band(scene: xr.DataArray, window: Window) -> dict[str, Power]:
    """Read a window of all bands of a scene."""
    return dict(zip(names_of(scene), read_padded(scene, window), strict=True))


def _flood(
    model: FloodModel, floods: Floods, dates: list[Power], block: Window, outer: Window
) -> Bytes:
    """Return the probability of flood in percent ``(1, y, x)``, 255 where a date has no data."""
    inner = read_window(model, block).within(outer)
    before, after = (power[inner] for power in dates)
    tile = np.stack([floods.before(before), floods.after(after)])
    return _predicted(model, tile, block, model.to_bytes(), [NO_DATA])


def staged_layers(job: BlockJob, optical_bands: int, classes: int) -> dict[str, Layer]:
    """Return the layers that ``BlockJob`` stages."""
    layers = {"tags": Layer(1, NO_DATA), "score": Layer(1, NO_DATA)}
    if job.wanted.image or job.wanted.flags:
        layers["power"] = Layer(1, 0)
    if job.compares:
        layers["probabilities"] = Layer(classes, NO_DATA)
    if job.wanted.image:
        layers |= {
            "optical": Layer(optical_bands, 0),
            "sar": Layer(1, 0, factor=job.thin),
        }
    if job.translates:
        layers["trust"] = Layer(1, NO_DATA)
    if job.cfar:
        layers["bright"] = Layer(1, 0)
    if job.changes:
        layers["change"] = Layer(CHANGE_BANDS, 0)
        layers["shown"] = Layer(1, UNKNOWN)
    if job.floods:
        layers["flood"] = Layer(1, NO_DATA)
    return layers


def thinning(shape: tuple[int, int], block: int) -> int:
    """Return the power of two that brings the longer side below 2,048 pixels, within a block."""
    wanted: int = 2 ** max(0, math.ceil(math.log2(max(shape) / 2048)))
    while block % wanted:
        wanted //= 2
    return wanted
