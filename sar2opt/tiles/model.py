"""What a model is to the rest of sar2opt: a function from tiles to tiles."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Tiles = npt.NDArray[np.float32]


@runtime_checkable
class TileModel(Protocol):
    """A function from tiles to tiles, with a known reach.

    ``margin`` is how far, in pixels, an output pixel looks; ``stride`` is what tile sides and
    tile origins must be multiples of. ``predict`` must be callable from several threads.
    """

    @property
    def bands_in(self) -> tuple[str, ...]:
        """Names of the input bands."""
        ...

    @property
    def bands_out(self) -> tuple[str, ...]:
        """Names of the output bands."""
        ...

    @property
    def margin(self) -> int:
        """How far an output pixel looks, in pixels."""
        ...

    @property
    def stride(self) -> int:
        """What tile sides and origins must be multiples of."""
        ...

    def predict(self, tiles: Tiles) -> Tiles:
        """Map tiles ``(n, band_in, y, x)`` to tiles ``(n, band_out, y, x)``, both float32.

        There is no NaN in ``tiles``: the engine fills no data before, and restores it after.
        """
        ...
