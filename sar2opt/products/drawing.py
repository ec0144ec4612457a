"""Drawing with Pillow: text, badges, legends; what the preview is composed of."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

PAPER: Colour = (250, 249, 246)
PANEL: Colour = (233, 231, 225)
INK: Colour = (28, 32, 36)
GREY: Colour = (104, 110, 116)
HAIRLINE: Colour = (212, 209, 202)
WARNING: Colour = (255, 200, 50)  # what is generated
MEASURED: Colour = (216, 219, 222)  # what is measured


@cache
def font(size: int) -> Any:
    """Return Pillow's own font, which is there on every machine."""
    return ImageFont.load_default(size=size)


def plain(text: str) -> str:
    """Write ``text`` with the characters that Pillow's own font has: ASCII and a few signs."""
    for sign, substitute in (("–", "-"), ("—", "-"), ("×", "x"), ("≥", ">="), ("≤", "<=")):
        text = text.replace(sign, substitute)
    decomposed = unicodedata.normalize("NFKD", text)
    kept = (c for c in decomposed if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" or c in "·°" else "?" for c in kept)


class Canvas:
    """A sheet to draw on, in pixels from the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def text(
        self,
        at: tuple[float, float],
        text: str,
        size: int,
        colour: Colour = INK,
        *,
        anchor: str = "la",
    ) -> float:
        """Write a line and return its width."""
        self.draw.text(at, plain(text), colour, font(size), anchor=anchor)
        return text_width(text, size)

    def lines(
        self, at: tuple[float, float], lines: Sequence[str], size: int, colour: Colour = INK
    ) -> float:
        """Write lines below one another and return the y below the last."""
        x, y = at
        for line in lines:
            self.text((x, y), line, size, colour)
            y += size * 1.4
        return y

    def box(self, box: tuple[float, float, float, float], fill: Colour, radius: int = 0) -> None:
        """Fill a rectangle: left, top, right, bottom."""
        self.draw.rounded_rectangle(box, radius, fill)

    def rule(self, x0: float, x1: float, y: float) -> None:
        """Draw a hairline."""
        self.draw.line((x0, y, x1, y), HAIRLINE, 1)

    def badge(self, at: tuple[float, float], text: str, colour: Colour, radius: float = 11) -> None:
        """Draw a numbered disc with a white rim."""
        x, y = at
        rim = radius + 2
        self.draw.ellipse((x - rim, y - rim, x + rim, y + rim), (255, 255, 255))
        self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
        self.text((x, y), text, round(radius * 1.2), (255, 255, 255), anchor="mm")


def text_width(text: str, size: int) -> float:
    """Return the width of a line, in pixels."""
    return float(font(size).getlength(plain(text)))


def wrap(text: str, size: int, width: float, most: int) -> list[str]:
    """Break ``text`` into at most ``most`` lines of ``width`` pixels; the rest becomes '...'."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1]} ..."]
    return [_shortened(line, size, width) for line in lines]


def _shortened(line: str, size: int, width: float) -> str:
    while text_width(line, size) > width and len(line) > 4:
        line = line.removesuffix("...").rstrip()[:-1] + "..."
    return line


def fitting_size(text: str, largest: int, width: float) -> int:
    """Return the largest size, at least 8, at which ``text`` fits in ``width`` pixels."""
    sizes = range(largest, 8, -1)
    return next((size for size in sizes if text_width(text, size) <= width), 8)


def round_length(longest: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is at most ``longest``."""
    power = 1.0
    while power * 10 <= longest:
        power *= 10
    while power > longest:
        power /= 10
    return max(step * power for step in (1, 2, 5) if step * power <= longest)


def length_in_words(metres: float) -> str:
    """Return a length as a person writes it."""
    return f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
