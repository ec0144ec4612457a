"""The model card: what a bundle is, what it was made from, and what it must not be used for."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sar2opt.sar.normalise import NormalisationSettings


class Look(BaseModel):
    """One way to show what a translator makes, and how far it can be believed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bands: tuple[str, ...]  # of the net's output
    scale: str  # the band with the logarithm of the expected absolute error (a Laplace scale)
    affine: tuple[tuple[float, ...], ...]  # rows over the bands and 1: grey, or red green blue
    legend: str  # what the colours mean, for people
    averaged_only: bool = False  # right only on scenes without speckle
    scores: tuple[float, ...]  # 0 to 100 % quantiles of error over scale, on held-out places


class InputRange(BaseModel):
    """What backscatter the training saw, as quantiles in dB against the scene's level."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quantiles: tuple[float, ...] = ()  # which, from 0 to 1
    low_db: tuple[float, ...] = ()  # the least of each among the training sources
    high_db: tuple[float, ...] = ()  # the greatest


class Card(BaseModel):
    """A model card; ``.json`` for programs, ``markdown()`` for people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["translator", "tagger", "flood"]
    summary: str
    architecture: str
    settings: dict[str, Any]
    polarisations: tuple[str, ...]  # bands it was trained on, the preferred one first
    bands_out: tuple[str, ...]
    input_units: str
    frequency_band: str = "C"  # of the radar, by letter (IEEE 521); C is Sentinel-1's
    pixel_m: tuple[float, float]  # range of pixel spacings it was trained for, metres
    normalisation: NormalisationSettings
    margin: int
    stride: int
    looks: dict[str, Look] = {}
    default_look: str = ""
    input_range: InputRange = InputRange()
    trust_tolerance: float = 0.1  # trust is the probability that the error is below this
    temperature: float = 1.0  # of the class scores, fitted on the validation places
    training: dict[str, Any]
    figures: dict[str, Any]
    licences: tuple[str, ...]
    limits: tuple[str, ...]

    def markdown(self) -> str:
        """Return the card as Markdown."""
        lines = [f"# {self.name}", "", self.summary, "", "## What goes in and what comes out", ""]
        dates = "of two dates " if self.kind == "flood" else ""
        lines += [
            f"- in: one band of backscatter {dates}({', '.join(self.polarisations)}; the first "
            f"that the scene has), {self.input_units}",
            f"- pixel spacing: {self.pixel_m[0]:g} to {self.pixel_m[1]:g} m",
            f"- normalisation: {self._normalised()}",
            f"- out: {', '.join(self.bands_out)}",
            f"- architecture: {self.architecture} {self.settings}",
            f"- margin {self.margin} pixels, stride {self.stride}",
        ]
        for name, look in self.looks.items():
            default = " (the default)" if name == self.default_look else ""
            averaged = " Only for scenes without speckle." if look.averaged_only else ""
            lines.append(f"- look {name}{default}: {look.legend}{averaged}")
        lines += ["", "## Must not be used for", "", *(f"- {limit}" for limit in self.limits)]
        lines += ["", "## Held-out figures", "", *_outline(self.figures)]
        lines += ["", "## Training", "", *_outline(self.training)]
        lines += ["", "## Data and licences", "", *(f"- {item}" for item in self.licences)]
        return "\n".join(lines) + "\n"

    def doubts(self, spacing_m: float, band: str, frequency_band: str = "") -> list[str]:
        """Say in sentences how a scene is unlike those that the net was trained on.

        ``frequency_band`` is the radar's, if known.
        """
        sentences = []
        if band not in self.polarisations:
            sentences.append(f"{self.name} was not trained on {band}")
        if frequency_band not in ("", self.frequency_band):
            sentences.append(
                f"the radar works in {frequency_band} band, and {self.name} was trained on "
                f"{self.frequency_band} band"
            )
        if not self.pixel_m[0] <= spacing_m <= self.pixel_m[1]:
            sentences.append(
                f"pixels of {spacing_m:.1f} m lie outside the {self.pixel_m[0]:g} to "
                f"{self.pixel_m[1]:g} m that {self.name} was trained for"
            )
        return sentences

    def _normalised(self) -> str:
        """Say how the input is normalised."""
        if self.kind == "flood":
            return "each date's median at 0, half the distance of its 16 and 84 % quantiles a unit"
        norm = self.normalisation
        return (
            f"{norm.quantile:g} quantile of the scene's log-backscatter at 0, {norm.span_db:g} dB "
            f"a unit, clipped to [{norm.low:g}, {norm.high:g}]"
        )


def _outline(value: Any, depth: int = 0) -> list[str]:
    """Return nested plain values as a Markdown list; tables of numbers as tables."""
    indent = "  " * depth
    if isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values()):
        keys = list(next(iter(value.values())))
        if all(list(row) == keys and _flat(row) for row in value.values()):
            return _table(value, keys)
    lines: list[str] = []
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        label = f"{name}: " if isinstance(value, dict) else ""
        if isinstance(item, dict):
            lines += [f"{indent}- {name}:", "", *_outline(item, depth + 1), ""]
        elif isinstance(item, (list, tuple)):
            lines.append(f"{indent}- {label}{', '.join(str(part) for part in item)}")
        else:
            lines.append(f"{indent}- {label}{item}")
    return lines


def _flat(row: dict[str, Any]) -> bool:
    return not any(isinstance(value, (dict, list, tuple)) for value in row.values())


def _table(rows: dict[str, dict[str, Any]], keys: list[str]) -> list[str]:
    head = ["| | " + " | ".join(keys) + " |", "|---" * (len(keys) + 1) + "|"]
    return head + [
        f"| {name} | " + " | ".join(str(row[key]) for key in keys) + " |"
        for name, row in rows.items()
    ]
