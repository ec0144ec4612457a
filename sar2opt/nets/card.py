"""The model card: what a bundle is, what it was made from, and what it must not be used for."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from sar2opt.sar.normalise import NormalisationSettings


class Card(BaseModel):
    """A model card; ``.json`` for programs, ``markdown()`` for people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Literal["translator", "tagger"]
    summary: str
    architecture: str
    settings: dict[str, Any]
    polarisations: tuple[str, ...]  # bands it was trained on, the preferred one first
    bands_out: tuple[str, ...]
    input_units: str
    pixel_m: tuple[float, float]  # range of pixel spacings it was trained for, metres
    normalisation: NormalisationSettings
    margin: int
    stride: int
    looks: dict[str, tuple[tuple[float, ...], ...]] = {}  # name: rows of (red, green, blue, 1)
    trust_tolerance: float = 0.1  # trust is the probability that the error is below this
    trust_gain: float = 1.0  # fitted on the validation places
    temperature: float = 1.0  # of the class scores, fitted on the validation places
    training: dict[str, Any]
    figures: dict[str, Any]
    licences: tuple[str, ...]
    limits: tuple[str, ...]

    def markdown(self) -> str:
        """Return the card as Markdown."""
        lines = [f"# {self.name}", "", self.summary, "", "## What goes in and what comes out", ""]
        lines += [
            f"- in: one band of backscatter ({', '.join(self.polarisations)}; the first that the "
            f"scene has), {self.input_units}",
            f"- pixel spacing: {self.pixel_m[0]:g} to {self.pixel_m[1]:g} m",
            f"- normalisation: {self.normalisation.quantile:g} quantile of the scene's "
            f"log-backscatter at 0, {self.normalisation.span_db:g} dB a unit, clipped to "
            f"[{self.normalisation.low:g}, {self.normalisation.high:g}]",
            f"- out: {', '.join(self.bands_out)}",
            f"- architecture: {self.architecture} {self.settings}",
            f"- margin {self.margin} pixels, stride {self.stride}",
        ]
        if self.looks:
            lines.append(f"- looks: {', '.join(self.looks)}")
        lines += ["", "## Must not be used for", "", *(f"- {limit}" for limit in self.limits)]
        lines += ["", "## Held-out figures", "", *_outline(self.figures)]
        lines += ["", "## Training", "", *_outline(self.training)]
        lines += ["", "## Data and licences", "", *(f"- {item}" for item in self.licences)]
        return "\n".join(lines) + "\n"


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
