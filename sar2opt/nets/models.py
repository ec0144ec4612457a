"""Bundles as tile models: what the engine runs and what a person calls on a scene."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from sar2opt.errors import ConventionError, ModelError
from sar2opt.nets.bundle import load_net
from sar2opt.nets.bundle_files import find_bundle, sha256
from sar2opt.nets.fused import fuse_activations
from sar2opt.nets.inner import decode_inner
from sar2opt.nets.layers import fold_batch_norm
from sar2opt.nets.model import (
    NO_DATA,
    Bytes,
    Model,
    ToBytes,
    apply_to_bytes,
    round_to_byte,
)
from sar2opt.nets.translator import Translator
from sar2opt.raster import SAR_QUANTITIES, check_raster, take_band
from sar2opt.sar.normalise import fit_spread
from sar2opt.tiles.apply import lay
from sar2opt.tiles.model import Tiles
from sar2opt.tiles.sample import sample

__all__ = ["NO_DATA", "Bytes", "FloodModel", "Model", "TagModel", "ToBytes", "Translator",
           "choose_device", "choose_precision", "limit_threads", "load_model"]  # fmt: skip


class Classifier(Model):
    """A model whose output is a score per class."""

    def activate(self, output: torch.Tensor) -> torch.Tensor:
        """Return calibrated probabilities."""
        return torch.softmax(output / self.card.temperature, dim=1)


class TagModel(Classifier):
    """A model that tells land cover."""

    def to_bytes(self) -> ToBytes:
        """Return what maps probabilities ``(n, class, y, x)`` to tags and scores in percent."""

        def convert(output: torch.Tensor) -> torch.Tensor:
            highest, tags = output.max(dim=1, keepdim=True)
            return torch.cat([tags.to(torch.uint8), round_to_byte(100.0 * highest, 100)], dim=1)

        return convert

    def choose(self, output: Tiles) -> tuple[Bytes, Bytes]:
        """Return tags and their scores in percent, both ``(1, y, x)`` uint8, 255 is no data."""
        packed = apply_to_bytes(self.to_bytes(), output)
        packed[:, np.isnan(output[0])] = NO_DATA
        return packed[:1], packed[1:]

    def __call__(self, scene: xr.DataArray, band: str = "auto") -> xr.DataArray:
        """Tag a scene: lazy probabilities ``(class, y, x)``; ``argmax("band")`` gives the tags."""
        return self.lay(scene, band)


class FloodModel(Classifier):
    """A model that tells from two dates where water came between them."""

    @property
    def bands_in(self) -> tuple[str, ...]:
        """Backscatter of the earlier date and of the later one."""
        return ("before", "after")

    def to_bytes(self) -> ToBytes:
        """Return what maps probabilities ``(n, class, y, x)`` to that of flood, in percent."""
        flood = self.bands_out.index("flood")
        return lambda output: round_to_byte(100.0 * output[:, flood : flood + 1], 100)

    def __call__(self, before: xr.DataArray, after: xr.DataArray, band: str) -> xr.DataArray:
        """Compare two scenes on one grid: lazy probabilities ``(dry and flood, y, x)``.

        Each is normalised by its own median and spread. Raises ``BandError`` where one lacks
        ``band``, ``ConventionError`` where the grids differ.
        """
        checked = [check_raster(one, quantity=SAR_QUANTITIES) for one in (before, after)]
        dates = [take_band(one, self.choose_band(one, band)) for one in checked]
        if dates[0].odc.geobox != dates[1].odc.geobox:
            raise ConventionError("the two scenes lie on different grids: bring them onto one")
        first, last = (fit_spread(sample(one)) for one in dates)
        both = xr.concat([one.drop_vars("band") for one in dates], dim="band")
        data = lay(self, both, lambda tile: np.stack([first(tile[0]), last(tile[1])]))
        return self.as_raster(data, after, " of two dates")


def load_model(
    name: str, *, device: str = "auto", precision: str = "auto"
) -> Translator | TagModel | FloodModel:
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
    if device == "cpu":
        fuse_activations(folded)
    inner = decode_inner(folded, card.margin)
    kinds: dict[str, type[Translator | TagModel | FloodModel]] = {
        "translator": Translator, "tagger": TagModel, "flood": FloodModel,
    }  # fmt: skip
    return kinds[card.kind](card, path, sha256(path), inner, device, precision)


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
