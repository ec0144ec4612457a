"""Bundles as tile models: what the engine runs and what a person calls on a scene."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import nn
from torch.nn import functional

from sar2opt.errors import BandError, ConfigError, ModelError
from sar2opt.nets.bundle import find_bundle, load_net, sha256
from sar2opt.nets.card import Card
from sar2opt.nets.layers import fold_batch_norm
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
        data = lay(self, chosen, self.fit(chosen))
        attrs = {name: scene.attrs[name] for name in ("acquired", "source", "assumptions")}
        return make_raster(
            data,
            scene.odc.geobox,
            self.bands_out,
            quantity="optical" if self.card.kind == "translator" else "tags",
            scale="linear",
            generated=f"yes: by the neural network {self.name} from radar backscatter",
            model_sha256=self.sha256,
            **attrs,
        )


class Translator(Model):
    """A model that makes imagery."""

    def check_look(self, look: str) -> None:
        """Raise ``ConfigError`` if the bundle has no such look."""
        if look not in self.card.looks:
            raise ConfigError(f"no look '{look}': {self.name} has {', '.join(self.card.looks)}")

    def to_bytes(self, look: str) -> ToBytes:
        """Return what maps output ``(n, 4, y, x)`` to imagery and, last, trust in percent.

        Trust is the predicted probability that the error of a pixel, averaged over the colours,
        is below the card's tolerance, under a Laplace distribution of the predicted scale.
        """
        matrix = 255.0 * torch.tensor(self.card.looks[look])  # (1 or 3, 4)
        tolerance = self.card.trust_tolerance / self.card.trust_gain

        def convert(output: torch.Tensor) -> torch.Tensor:
            weights = matrix.to(output)
            image = functional.conv2d(output[:, :3], weights[:, :3, None, None], weights[:, 3])
            scale = torch.exp(output[:, 3:].clamp(-6.0, 1.0))
            trust = -100.0 * torch.expm1(-tolerance / scale)
            return torch.cat([_round(image, 255), _round(trust, 100)], dim=1)

        return convert

    def render(self, output: Tiles, look: str) -> tuple[Bytes, Bytes]:
        """Return imagery ``(1 or 3, y, x)`` and trust ``(1, y, x)`` in percent, both uint8.

        No data is 0 in the imagery and 255 in the trust.
        """
        packed = _apply(self.to_bytes(look), output)
        packed[:, np.isnan(output[0])] = 0
        packed[-1, np.isnan(output[0])] = NO_DATA
        return packed[:-1], packed[-1:]

    def __call__(
        self, scene: xr.DataArray, look: str = "natural", band: str = "auto"
    ) -> xr.DataArray:
        """Translate a scene: lazy ``(band, y, x)`` in [0, 1], and last ``trust`` in percent."""
        self.check_look(look)
        laid = self.lay(scene, band)
        names = ("grey",) if len(self.card.looks[look]) == 1 else ("red", "green", "blue")

        def render(values: Tiles) -> Tiles:
            image, trust = self.render(values, look)
            stacked = np.concatenate([image / np.float32(255.0), trust.astype(np.float32)])
            stacked[:, np.isnan(values[0])] = np.nan
            return stacked

        data = laid.data.map_blocks(
            render, chunks=((len(names) + 1,), *laid.data.chunks[1:]), dtype=np.float32
        )
        return make_raster(data, laid.odc.geobox, (*names, "trust"), **laid.attrs)


class TagModel(Model):
    """A model that tells land cover."""

    def activate(self, output: torch.Tensor) -> torch.Tensor:
        """Return calibrated probabilities."""
        return torch.softmax(output / self.card.temperature, dim=1)

    def to_bytes(self) -> ToBytes:
        """Return what maps probabilities ``(n, class, y, x)`` to tags and scores in percent."""

        def convert(output: torch.Tensor) -> torch.Tensor:
            highest, tags = output.max(dim=1, keepdim=True)
            return torch.cat([tags.to(torch.uint8), _round(100.0 * highest, 100)], dim=1)

        return convert

    def choose(self, output: Tiles) -> tuple[Bytes, Bytes]:
        """Return tags and their scores in percent, both ``(1, y, x)`` uint8, 255 is no data."""
        packed = _apply(self.to_bytes(), output)
        packed[:, np.isnan(output[0])] = NO_DATA
        return packed[:1], packed[1:]

    def __call__(self, scene: xr.DataArray, band: str = "auto") -> xr.DataArray:
        """Tag a scene: lazy probabilities ``(class, y, x)``; ``argmax("band")`` gives the tags."""
        return self.lay(scene, band)


def load_model(
    name: str, *, device: str = "auto", precision: str = "auto"
) -> Translator | TagModel:
    """Load a shipped bundle by name, or any ``.safetensors`` bundle by path.

    ``device`` is auto, cpu or cuda; ``precision`` is auto, float32 or bfloat16. Raises
    ``ModelError`` for a file that is missing, damaged or not a bundle.
    """
    path = find_bundle(name)
    net, card = load_net(path)
    device = choose_device(device)
    precision = choose_precision(precision, device)
    folded = fold_batch_norm(net).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if precision == "bfloat16":
        folded = folded.to(torch.bfloat16)
    kind = Translator if card.kind == "translator" else TagModel
    return kind(card, path, sha256(path), folded, device, precision)


def limit_threads(threads: int) -> None:
    """Let each call of a net use this many threads; blocks themselves run side by side."""
    torch.set_num_threads(threads)


def choose_device(device: str) -> str:
    """Resolve ``auto``; raises ``ModelError`` if CUDA is asked for and not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError("no CUDA device is available: use --device cpu")
    return device


def choose_precision(precision: str, device: str) -> str:
    """Resolve ``auto``: bfloat16 only where the hardware multiplies in it."""
    if precision != "auto":
        return precision
    fast = torch.cuda.is_bf16_supported() if device == "cuda" else _cpu_has_bfloat16()
    return "bfloat16" if fast else "float32"


def _cpu_has_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _apply(to_bytes: ToBytes, output: Tiles) -> Bytes:
    packed: Bytes = to_bytes(torch.from_numpy(np.nan_to_num(output)[None]))[0].numpy()
    return packed


def _round(values: torch.Tensor, high: int) -> torch.Tensor:
    return values.round_().clamp_(0, high).to(torch.uint8)
