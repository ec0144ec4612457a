"""The block plan: which pixels are made together, and which must be read to make them.

Strategy. The scene is cut into square blocks whose origins are multiples of the models' stride.
To make a block, a model reads the block grown by its margin, rounded outwards to the stride. What
lies outside the scene counts as no data, so that a block at the rim is like any other, and the
whole scene is itself just one large block. Hence stitched equals whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sar2opt.errors import ConfigError


@dataclass(frozen=True, order=True)
class Window:
    """Rows ``y0`` to ``y1`` and columns ``x0`` to ``x1``, ends excluded; may leave the scene."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Slices into the scene; only for windows that lie inside it."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grown(self, margin: int) -> Window:
        """Return the window with ``margin`` more pixels on each side."""
        return Window(self.y0 - margin, self.y1 + margin, self.x0 - margin, self.x1 + margin)

    def aligned(self, stride: int) -> Window:
        """Return the smallest window around this one whose edges are multiples of ``stride``."""
        return Window(
            self.y0 // stride * stride,
            -(-self.y1 // stride) * stride,
            self.x0 // stride * stride,
            -(-self.x1 // stride) * stride,
        )

    def clipped(self, shape: tuple[int, int]) -> Window:
        """Return the part that lies inside a scene of ``shape`` (y, x)."""
        rows, cols = shape
        return Window(max(self.y0, 0), min(self.y1, rows), max(self.x0, 0), min(self.x1, cols))

    def within(self, outer: Window) -> tuple[slice, slice]:
        """Return slices that cut this window out of an array that holds ``outer``."""
        return (
            slice(self.y0 - outer.y0, self.y1 - outer.y0),
            slice(self.x0 - outer.x0, self.x1 - outer.x0),
        )


@dataclass(frozen=True)
class Plan:
    """The blocks of a scene of ``shape`` (y, x), in reading order."""

    shape: tuple[int, int]
    block: int
    stride: int

    def __post_init__(self) -> None:
        if self.block % self.stride:
            raise ConfigError(
                f"engine.block is {self.block}: it must be a multiple of {self.stride}, "
                "the stride of the models"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """How many rows and columns of blocks there are."""
        rows, cols = self.shape
        return -(-rows // self.block), -(-cols // self.block)

    def blocks(self) -> Iterator[Window]:
        """Yield every block once; together they cover every pixel once."""
        for row in range(self.grid[0]):
            for col in range(self.grid[1]):
                y, x = row * self.block, col * self.block
                yield Window(y, y + self.block, x, x + self.block).clipped(self.shape)
