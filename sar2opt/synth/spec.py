"""What a synthetic scene is asked to be, and the land that is made for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from sar2opt.errors import ConfigError
from sar2opt.synth.fields import Floats, Mask
from sar2opt.synth.surfaces import TAG_OF, Cover, Use

Bytes = npt.NDArray[np.uint8]
LEAST_SIDE = 128


@dataclass(frozen=True)
class SceneSpec:
    """A synthetic scene: everything that its pixels depend on.

    ``kind``: ``harbour`` (coast, port, city, fields, hills), ``valley`` (steep relief with layover
    and shadow) or ``plain`` (fields, woods, villages). ``shape`` is (rows, columns) and
    ``origin`` the upper left corner in ``crs``, which must be in metres. ``looks`` is the
    equivalent number of looks, ``grain`` the reach of the speckle's correlation in pixels
    (0: none; 0.85: as in Sentinel-1 GRD scenes of 10 m). ``look_azimuth_deg`` is where the radar
    looks to, clockwise from north. ``swath`` leaves no data beyond two slanted edges.
    """

    name: str = "harbour"
    kind: Literal["harbour", "valley", "plain"] = "harbour"
    shape: tuple[int, int] = (1024, 1024)
    pixel_m: float = 10.0
    crs: str = "EPSG:32633"
    origin: tuple[float, float] = (286000.0, 4436000.0)
    seed: int = 1
    looks: float = 4.4
    grain: float = 0.85
    incidence_deg: float = 38.0
    look_azimuth_deg: float = 281.0
    swath: bool = False
    acquired: str = "2024-05-14T05:12:33Z"

    def __post_init__(self) -> None:
        """Raise ``ConfigError`` for a scene that cannot be made."""
        if self.kind not in ("harbour", "valley", "plain"):
            raise ConfigError(f"kind {self.kind!r} is unknown; use harbour, valley or plain")
        if min(self.shape) < LEAST_SIDE:
            raise ConfigError(
                f"a scene of {self.shape} pixels has no room; use {LEAST_SIDE} or more a side"
            )
        if not (self.looks > 0 and self.grain >= 0 and 15 <= self.incidence_deg <= 60):
            raise ConfigError("looks must be > 0, grain >= 0, incidence_deg from 15 to 60")

    @property
    def geobox(self) -> GeoBox:
        """The scene's grid, north up."""
        (left, top), step = self.origin, self.pixel_m
        return GeoBox(self.shape, Affine(step, 0.0, left, 0.0, -step, top), self.crs)

    def rng(self, part: str) -> np.random.Generator:
        """Return the random stream of one part, so that no part disturbs another."""
        return np.random.default_rng([self.seed, crc32(part.encode())])


@dataclass
class Landscape:
    """The ground, pixel by pixel; all arrays ``(y, x)``, painted over by one maker after another.

    ``height`` is in metres, ``cover`` holds ``Cover`` codes, ``use`` what the register says
    (``Use`` codes), and ``tone`` the state of the cover as a standard normal number.
    """

    height: Floats
    cover: Bytes
    use: Bytes
    tone: Floats

    @classmethod
    def blank(cls, height: Floats, tone: Floats) -> Landscape:
        """Return land that is all grass."""
        cover = np.full(height.shape, Cover.GRASS, np.uint8)
        use = np.full(height.shape, Use.AGRICULTURE, np.uint8)
        return cls(height, cover, use, tone.copy())

    def paint(
        self, where: Mask, cover: Cover, use: Use | None = None, tone: Floats | None = None
    ) -> None:
        """Cover the pixels ``where``; the register and the tone stay unless they are given."""
        self.cover[where] = cover
        if use is not None:
            self.use[where] = use
        if tone is not None:
            self.tone[where] = tone[where]

    def covered(self, *covers: Cover) -> Mask:
        """Return the pixels that one of ``covers`` covers."""
        return np.isin(self.cover, covers)

    @property
    def tags(self) -> Bytes:
        """The class map: codes in the order of ``CLASSES``."""
        return TAG_OF[self.cover]
