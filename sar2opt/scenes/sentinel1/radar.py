"""A Sentinel-1 product in radar geometry, whatever its type: what is laid on the map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sar2opt.sar.geolocation import GeolocationGrid
from sar2opt.sar.orbit import RangeDoppler


@dataclass(frozen=True)
class Radar:
    """Pixels in radar geometry, where they lie, and what is known of them."""

    source: Any  # indexed (band, line, pixel): float32 linear power, NaN where no data
    names: tuple[str, ...]  # of the bands
    grid: GeolocationGrid
    model: RangeDoppler | None  # None where orbit or range conversion is missing
    spacing: float  # of its pixels on the ground, metres
    quantity: str  # gamma0, sigma0, beta0; intensity where not calibrated
    notes: list[str]  # what was assumed
    attrs: dict[str, Any]
