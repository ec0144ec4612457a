"""What relief does to a radar image that was geocoded with the height model.

Plane waves come in at the incidence angle towards the look azimuth. Along each look line a point
at ground range g and height h lies at slant range ``g sin(i) - h cos(i)``; slant range that does
not grow is layover, and a point whose ``g cos(i) + h sin(i)`` was exceeded nearer to the radar is
in shadow. Ulander (1996) and Small (2011) give the same terrain factor as used here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from sar2opt.synth.fields import Floats

LAYOVER, SHADOW = 1, 2
GREATEST_GAIN = 8.0


def terrain_effect(
    height: Floats, pixel_m: float, incidence_deg: float, look_azimuth_deg: float
) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """Return the factor on sigma nought ``(y, x)``, and a mask: 1 layover, 2 shadow, 0 neither.

    ``height`` is in metres on a north-up grid. The factor is 1 on level ground, above 1 on slopes
    that face the radar (at most 8), and 0 in shadow.
    """
    sin, cos = np.sin(np.radians(incidence_deg)), np.cos(np.radians(incidence_deg))
    to_line = _LookLines(height.shape, look_azimuth_deg)
    along = to_line.sample(height)  # (line, ground range)
    ground = np.arange(along.shape[1], dtype=np.float32) * pixel_m
    slope = np.gradient(along, pixel_m, axis=1)
    # facets turned to the radar are larger in its sight, and crowd together in slant range
    sight = np.maximum(cos + slope * sin, 0.0) / cos
    crowding = np.abs(sin - slope * cos) / sin
    factor = np.minimum(sight / np.maximum(crowding, 1e-3), GREATEST_GAIN)
    slant = ground * sin - along * cos
    front = ground * cos + along * sin
    ahead = np.minimum.accumulate(slant[:, ::-1], axis=1)[:, ::-1]
    layover = (slant < np.maximum.accumulate(slant, axis=1) - 1e-3) | (slant > ahead + 1e-3)
    shadow = front < np.maximum.accumulate(front, axis=1) - 1e-3
    mask = np.where(shadow, SHADOW, np.where(layover, LAYOVER, 0))
    return to_line.back(np.where(shadow, 0.0, factor), 1), to_line.back(mask, 0).astype(np.uint8)


class _LookLines:
    """The turned grid whose rows run from the radar away."""

    def __init__(self, shape: tuple[int, ...], look_azimuth_deg: float) -> None:
        look = np.radians(look_azimuth_deg)
        # unit steps in (row, column): along the look line, and across it
        across, away = (np.sin(look), np.cos(look)), (-np.cos(look), np.sin(look))
        self.turn = np.array([across, away]).T  # (row, col) = turn @ (line, range)
        self.shape = shape
        side = int(np.ceil(np.hypot(shape[0], shape[1]))) + 2
        self.side = (side, side)
        self.centre = (np.array(shape) - 1) / 2.0
        self.middle = (np.array(self.side) - 1) / 2.0

    def sample(self, image: Floats) -> Floats:
        """Return ``image`` on the look lines; beyond its borders the border goes on."""
        offset = self.centre - self.turn @ self.middle
        lines = ndimage.affine_transform(
            image, self.turn, offset, output_shape=self.side, order=1, mode="nearest"
        )
        return np.asarray(lines, np.float32)

    def back(self, lines: npt.NDArray[np.generic], order: int) -> Floats:
        """Return an image on look lines on the grid that they were taken from."""
        inverse = self.turn.T
        offset = self.middle - inverse @ self.centre
        image = ndimage.affine_transform(
            lines.astype(np.float32), inverse, offset, output_shape=self.shape, order=order
        )
        return np.asarray(image, np.float32)
