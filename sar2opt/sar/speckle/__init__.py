"""Speckle filters that give the same bits on a tile as on the whole scene.

Each is a pure function of linear power ``(..., y, x)``, float32, as is what it returns. NaN stays
NaN and adds nothing to its neighbours; beyond the edges there is no data either. A tile with
``SpeckleFilter.margin`` pixels around it gives bit for bit what the whole gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sar2opt.errors import ConfigError
from sar2opt.sar.speckle.lee_sigma import lee_sigma
from sar2opt.sar.speckle.local_statistics import boxcar, frost, gamma_map, lee
from sar2opt.sar.speckle.refined_lee import refined_lee
from sar2opt.sar.speckle.windows import Power, check_looks, check_window

__all__ = [
    "FILTERS",
    "SpeckleFilter",
    "boxcar",
    "frost",
    "gamma_map",
    "lee",
    "lee_sigma",
    "refined_lee",
]


@dataclass(frozen=True)
class _Kind:
    """A filter by name: what it does, its own window, and how much further it looks than that."""

    apply: Callable[[Power, int, float], Power]
    title: str
    window: int
    beyond: int = 0
    fixed: bool = False


FILTERS: Mapping[str, _Kind] = {
    "boxcar": _Kind(lambda power, window, looks: boxcar(power, window), "boxcar", 5),
    "lee": _Kind(lee, "Lee (1980)", 5),
    "refined-lee": _Kind(
        lambda power, window, looks: refined_lee(power, looks), "refined Lee (1981)", 7, fixed=True
    ),
    "lee-sigma": _Kind(lee_sigma, "improved Lee sigma (2009)", 9, beyond=2),
    "frost": _Kind(lambda power, window, looks: frost(power, window), "Frost (1982)", 5),
    "gamma-map": _Kind(gamma_map, "gamma-MAP (1993)", 5),
}
"""The filters that settings and the command line know, by name."""


@dataclass(frozen=True)
class SpeckleFilter:
    """A filter with its settings: ``filter(power)``; ``window`` None is the filter's own.

    Raises ``ConfigError`` for a name, window or number of looks that cannot be.
    """

    name: str
    window: int | None = None
    looks: float = 4.4

    def __post_init__(self) -> None:
        """Refuse what cannot be, before any pixel is read."""
        if self.name not in FILTERS:
            known = ", ".join(FILTERS)
            raise ConfigError(f"no speckle filter is called '{self.name}': choose one of {known}")
        check_looks(self.looks)
        check_window(self.side)
        if self._kind.fixed and self.side != self._kind.window:
            raise ConfigError(
                f"the despeckling window is {self.side}: {self.name} has a window of "
                f"{self._kind.window} and no other: leave it out"
            )

    def __call__(self, power: Power) -> Power:
        """Return ``power`` ``(..., y, x)`` filtered."""
        return self._kind.apply(power, self.side, self.looks)

    @property
    def side(self) -> int:
        """Side of the window, in pixels."""
        return self._kind.window if self.window is None else self.window

    @property
    def margin(self) -> int:
        """How far, in pixels, a filtered pixel looks."""
        return self.side // 2 + self._kind.beyond

    def __str__(self) -> str:
        """Say what the filter is, as a person would write it down."""
        return f"{self._kind.title}, {self.side} x {self.side} pixels, {self.looks:g} looks"

    @property
    def _kind(self) -> _Kind:
        return FILTERS[self.name]
