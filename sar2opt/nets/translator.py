"""A bundle that makes imagery: looks, trust, and doubts about a scene."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch.nn import functional

from sar2opt.errors import ConfigError
from sar2opt.nets.card import Look
from sar2opt.nets.losses import LOG_SCALE
from sar2opt.nets.model import (
    NO_DATA,
    Bytes,
    Model,
    ToBytes,
    apply_to_bytes,
    round_to_byte,
)
from sar2opt.raster import make_raster
from sar2opt.tiles.model import Tiles

SLACK_DB = 3.0  # between scenes of one kind


class Translator(Model):
    """A model that makes imagery, in one of its looks."""

    def look(self, name: str = "auto") -> tuple[str, Look]:
        """Return a look and its name; ``auto`` is the default one. Raises ``ConfigError``."""
        name = self.card.default_look if name == "auto" else name
        if name not in self.card.looks:
            raise ConfigError(f"no look '{name}': {self.name} has {', '.join(self.card.looks)}")
        return name, self.card.looks[name]

    def to_bytes(self, look: str, trust_factor: float = 1.0) -> ToBytes:
        """Return what maps output ``(n, band_out, y, x)`` to imagery and, last, trust in percent.

        Trust is the share of held-out pixels that were, for the same predicted scale, within the
        card's tolerance of the truth: a table from split-conformal calibration. It is multiplied
        by ``trust_factor``, below 1 where the scene is unlike those of the training.
        """
        _, chosen = self.look(look)
        bands = [self.bands_out.index(band) for band in chosen.bands]
        scale_band = self.bands_out.index(chosen.scale)
        matrix = 255.0 * torch.tensor(chosen.affine)  # (1 or 3, band + 1)
        scores = torch.tensor(chosen.scores)
        percent = trust_factor * torch.arange(len(scores) + 1.0) * (100.0 / len(scores))

        def convert(output: torch.Tensor) -> torch.Tensor:
            weights = matrix.to(output)
            image = functional.conv2d(output[:, bands], weights[:, :-1, None, None], weights[:, -1])
            log_scale = output[:, scale_band : scale_band + 1].clamp(*LOG_SCALE)
            reached = self.card.trust_tolerance * torch.exp(-log_scale)
            trust = percent.to(output)[torch.bucketize(reached, scores.to(output))]
            return torch.cat([round_to_byte(image, 255), round_to_byte(trust, 100)], dim=1)

        return convert

    def render(self, output: Tiles, look: str) -> tuple[Bytes, Bytes]:
        """Return imagery ``(1 or 3, y, x)`` and trust ``(1, y, x)`` in percent, both uint8.

        No data is 0 in the imagery and 255 in the trust.
        """
        packed = apply_to_bytes(self.to_bytes(look), output)
        packed[:, np.isnan(output[0])] = 0
        packed[-1, np.isnan(output[0])] = NO_DATA
        return packed[:-1], packed[-1:]

    def paint(self, sar: Tiles, look: str = "auto") -> tuple[Tiles, Tiles]:
        """Paint normalised backscatter ``(y, x)`` of any size, NaN for no data.

        Returns imagery ``(1 or 3, y, x)`` in [0, 1] and the expected absolute error ``(y, x)``,
        uncalibrated (a Laplace scale).
        """
        _, chosen = self.look(look)
        pads = [(0, -size % self.stride) for size in sar.shape]
        padded = np.pad(np.nan_to_num(sar, nan=0.0), pads)
        output = self.predict(padded[None, None])[0, :, : sar.shape[0], : sar.shape[1]]
        matrix = np.array(chosen.affine, np.float32)
        bands = output[[self.bands_out.index(band) for band in chosen.bands]]
        image = np.einsum("oc,cyx->oyx", matrix[:, :-1], bands) + matrix[:, -1, None, None]
        log_scale = output[self.bands_out.index(chosen.scale)]
        return np.clip(image, 0.0, 1.0), np.exp(np.clip(log_scale, *LOG_SCALE))

    def __call__(self, scene: xr.DataArray, look: str = "auto", band: str = "auto") -> xr.DataArray:
        """Translate a scene: lazy ``(band, y, x)`` in [0, 1], and last ``trust`` in percent."""
        name, chosen = self.look(look)
        laid = self.lay(scene, band)
        names = ("grey",) if len(chosen.affine) == 1 else ("red", "green", "blue")

        def render(values: Tiles) -> Tiles:
            image, trust = self.render(values, name)
            stacked = np.concatenate([image / np.float32(255.0), trust.astype(np.float32)])
            stacked[:, np.isnan(values[0])] = np.nan
            return stacked

        data = laid.data.map_blocks(
            render, chunks=((len(names) + 1,), *laid.data.chunks[1:]), dtype=np.float32
        )
        attrs = {**laid.attrs, "look": name, "legend": chosen.legend}
        return make_raster(data, laid.odc.geobox, (*names, "trust"), **attrs)

    def doubts(
        self,
        quantiles_db: npt.NDArray[np.floating],
        spacing_m: float,
        band: str,
        look: str,
        frequency_band: str = "",
    ) -> list[str]:
        """Say in sentences how a scene is unlike those of the training; each halves the trust.

        ``quantiles_db`` are those that the card's ``input_range`` names, of the scene's
        backscatter in dB against its level; ``frequency_band`` is the radar's, if known.
        """
        card, (name, chosen) = self.card, self.look(look)
        sentences = card.doubts(spacing_m, band, frequency_band)
        seen = card.input_range
        far = [
            f"the {share:.0%} quantile is {value:+.1f} dB, and was {low:+.1f} to {high:+.1f} dB"
            for share, value, low, high in zip(
                seen.quantiles, quantiles_db, seen.low_db, seen.high_db, strict=True
            )
            if not low - SLACK_DB <= value <= high + SLACK_DB
        ]
        if far:
            sentences.append(
                f"backscatter, against the scene's level, is unlike the training's: {far[0]}"
            )
        if chosen.averaged_only:
            sentences.append(f"the look {name} was learnt from scenes without speckle")
        return sentences
