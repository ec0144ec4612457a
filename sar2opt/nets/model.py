"""A bundle as a tile model: what translators and taggers have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dask.array as da
import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import nn

from sar2opt.errors import BandError
from sar2opt.nets.card import Card
from sar2opt.raster import NO_TAG, SAR_QUANTITIES, check_raster, make_raster, take_band
from sar2opt.sar.normalise import Normalisation, fit_normalisation
from sar2opt.tiles.apply import lay
from sar2opt.tiles.model import Tiles
from sar2opt.tiles.sample import sample

NO_DATA = NO_TAG  # also of trust
STRIP = 128  # rows
Bytes = npt.NDArray[np.uint8]
ToBytes = Callable[[torch.Tensor], torch.Tensor]
"""Maps a model's float output ``(n, band_out, y, x)`` to bytes ``(n, layer, y, x)``."""


@dataclass(frozen=True)
class Model:
    """A bundle on a device; a ``TileModel``. Batch norms are folded into the convolutions."""

    card: Card
    path: Path
    sha256: str
    net: nn.Module
    device: str
    precision: str

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.card.name

    @property
    def bands_in(self) -> tuple[str, ...]:
        """One band: the first of the card's polarisations that a scene has."""
        return ("backscatter",)

    @property
    def bands_out(self) -> tuple[str, ...]:
        """Names of the output bands."""
        return self.card.bands_out

    @property
    def margin(self) -> int:
        """Reach in pixels, as found by gradient when the bundle was packed."""
        return self.card.margin

    @property
    def stride(self) -> int:
        """What tile sides and origins must be multiples of."""
        return self.card.stride

    def predict(self, tiles: Tiles) -> Tiles:
        """Map normalised backscatter ``(n, 1, y, x)`` to the net's output, float32."""
        with torch.inference_mode():
            output = self.activate(self._run(tiles).float())
            return output.cpu().contiguous().numpy()

    def predict_bytes(self, tiles: Tiles, to_bytes: ToBytes) -> Bytes:
        """Map tiles as ``predict`` does, and its output to bytes, without the detour over floats.

        The net's output is many times the size of what is kept of it, so it goes through
        ``to_bytes`` in strips that stay in the processor's cache.
        """
        with torch.inference_mode():
            strips = self._run(tiles).split(STRIP, dim=2)
            # plane by plane: the last steps take the channels one at a time
            parts = [to_bytes(self.activate(strip.float().contiguous())) for strip in strips]
            return torch.cat(parts, dim=2).cpu().numpy()

    def _run(self, tiles: Tiles) -> torch.Tensor:
        kind = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        batch = torch.from_numpy(tiles).to(self.device, kind)
        output: torch.Tensor = self.net(batch.contiguous(memory_format=torch.channels_last))
        return output

    def activate(self, output: torch.Tensor) -> torch.Tensor:
        """Map the net's output to ``bands_out``."""
        return output

    def choose_band(self, scene: xr.DataArray, wanted: str = "auto") -> str:
        """Return the band that this model reads; raises ``BandError`` if the scene lacks it."""
        names = [str(name) for name in scene.band.values]
        order = self.card.polarisations if wanted == "auto" else (wanted,)
        for name in order:
            if name in names:
                return name
        if wanted == "auto" and names:
            return names[0]
        raise BandError(f"the scene has no band '{wanted}': it has {', '.join(names)}")

    def fit(self, scene: xr.DataArray) -> Normalisation:
        """Return the scene's own normalisation, from a fixed subsample of the given band."""
        return fit_normalisation(sample(scene), self.card.normalisation)

    def lay(self, scene: xr.DataArray, band: str = "auto") -> xr.DataArray:
        """Lay the model over a scene, lazily: ``(band_out, y, x)`` float32, NaN is no data."""
        check_raster(scene, quantity=SAR_QUANTITIES)
        chosen = take_band(scene, self.choose_band(scene, band))
        return self.as_raster(lay(self, chosen, self.fit(chosen)), scene)

    def as_raster(self, data: da.Array, scene: xr.DataArray, seen: str = "") -> xr.DataArray:
        """Return lazy output ``(band_out, y, x)`` on the grid of a scene, saying what made it.

        ``seen`` is added to what it was made from.
        """
        attrs = {name: scene.attrs[name] for name in ("acquired", "source", "assumptions")}
        return make_raster(
            data,
            scene.odc.geobox,
            self.bands_out,
            quantity="optical" if self.card.kind == "translator" else "tags",
            scale="linear",
            generated=f"yes: by the neural network {self.name} from radar backscatter{seen}",
            model_sha256=self.sha256,
            **attrs,
        )


def apply_to_bytes(to_bytes: ToBytes, output: Tiles) -> Bytes:
    """Return what ``to_bytes`` makes of output ``(band_out, y, x)``, NaN taken as 0."""
    packed: Bytes = to_bytes(torch.from_numpy(np.nan_to_num(output)[None]))[0].numpy()
    return packed


def round_to_byte(values: torch.Tensor, high: int) -> torch.Tensor:
    """Round in place, clip to 0 to ``high``, and pack."""
    return values.round_().clamp_(0, high).to(torch.uint8)
