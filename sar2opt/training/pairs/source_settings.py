"""What a file of settings says of one source of pairs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from sar2opt.config import Scale, Settings
from sar2opt.errors import ConfigError
from sar2opt.training.pairs.pair import BLOCK, Look, Split, split_of_place


class SourceSettings(Settings):
    """One source of pairs."""

    name: str
    kind: Literal["scene", "chips"]
    look: Look = Field("natural", description="what the optical side shows")
    sar: str = Field(description="scene: path below the data folder; chips: glob of SAR images")
    optical: str = Field(description="scene: path; chips: what replaces '_sar' in the file name")
    scale: Scale = "display-amplitude"
    block: int = Field(BLOCK, ge=64, description="scene: side in pixels of a block, its places")
    place: str = Field(r"(.+)", description="chips: the first group of this names the place")
    label: str = Field("", description="chips: the first group of this, in the path, is a class")
    run: int = Field(
        0, ge=0, description="chips: that many numbers in a row are one place; 0: each its own"
    )
    val: tuple[str, ...] = Field((), description="places that are held out to choose by")
    test: tuple[str, ...] = Field((), description="places that are held out to judge by")
    own_level: bool = Field(False, description="each chip was stretched on its own")
    match_tone: bool = Field(False, description="map the optical tones onto those of the scenes")

    @field_validator("place", "label")
    @classmethod
    def _has_a_group(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        if pattern and not groups:
            raise ValueError(f"{pattern!r} needs a group in brackets")
        return pattern

    def place_of(self, chip: Path) -> str:
        """Return the place that a chip belongs to."""
        place = _group(self.place, chip.name) or chip.stem
        if not self.run:
            return place
        if not place.isdecimal():
            raise ConfigError(f"source {self.name!r}: run needs a number as place, not {place!r}")
        return str(int(place) // self.run)

    def split(self, place: str) -> Split:
        """Return the split of a place: as listed, or else by hash."""
        if self.val or self.test:
            return "test" if place in self.test else "val" if place in self.val else "train"
        return split_of_place(self.name, place)

    def label_of(self, chip: Path) -> str:
        """Return the class that the path of a chip says it is of, or ""."""
        return _group(self.label, chip.as_posix()) if self.label else ""


def _group(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match.group(1) if match else ""
