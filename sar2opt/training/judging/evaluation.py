"""What an evaluation found, as JSON for programs and as Markdown for people."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from sar2opt.training.judging.conformal import Coverage
from sar2opt.training.judging.judge import Row
from sar2opt.training.judging.tables import COLUMNS, markdown, share_of, table_of
from sar2opt.training.pairs.pair import Look, Split

LOOKS: tuple[Look, ...] = ("natural", "vivid", "grey")
PROTOCOL = {
    "images": "figures are taken per image, in [0, 1], where there is backscatter, and averaged",
    "split": "places of one split are in no other; of a block of 1024 pixels only the part is "
    "judged that is 64 pixels from its rim",
    "normalisation": "one level for the whole source, as at run time, not one for each chip",
    "targets": "in the tone of their look; grey is judged on grey targets and, in rows of their "
    "own, on the luminance (ITU-R BT.601) of natural colour",
    "baselines": "fitted on the training places of the same set, its sources weighing the same",
    "trust": "share of pixels whose error lies within the 90 % interval that the bundle promises; "
    "a mean over places",
}
PACKAGES = ("sar2opt", "torch", "numpy", "scipy", "scikit-image")


@dataclass(frozen=True)
class Evaluation:
    """All that was measured, and on what."""

    name: str
    split: Split
    models: Mapping[str, Mapping[str, str]]  # name: file and sha256
    rows: Sequence[Row]
    trust: Mapping[Look, Mapping[str, Mapping[str, Coverage]]]  # by look and model
    skipped: Mapping[str, str]
    counts: Mapping[str, int]  # images by source
    facts: Mapping[str, Any]  # of the set

    @property
    def looks(self) -> list[Look]:
        """The looks there are rows of."""
        return [look for look in LOOKS if any(row.look == look for row in self.rows)]


def as_json(result: Evaluation) -> dict[str, Any]:
    """Return everything as plain values; what says nothing is null."""
    values = asdict(result) | {
        "protocol": PROTOCOL,
        "columns": {column.name: column.meaning for column in COLUMNS},
        "versions": versions(),
    }
    plain: dict[str, Any] = without_nan(values)
    return plain


def as_markdown(result: Evaluation) -> str:
    """Return the tables, and what is needed to read them."""
    lines = [f"# {result.name} on {result.split} places", ""]
    lines += [f"- {name}: sha256 {facts['sha256']}" for name, facts in result.models.items()]
    lines += [f"- images: {', '.join(f'{n} {count}' for n, count in result.counts.items())}"]
    used = set()
    for look in result.looks:
        lines += ["", f"## Look {look}", ""]
        for classes in (False, True):
            table = table_of(result.rows, look, classes=classes)
            used |= {column.name for column in table.columns}
            lines += [*(["By class:", ""] if classes else []), markdown(table)] * bool(table.groups)
        lines += _trust_lines(result.trust.get(look, {}))
    lines += ["", "## What the figures mean", ""]
    lines += [f"- **{c.title}**: {c.meaning}" for c in COLUMNS if c.name in used]
    lines += [f"- left out: {name}: {reason}" for name, reason in result.skipped.items()]
    lines += ["", "## Protocol", "", *(f"- {name}: {text}" for name, text in PROTOCOL.items())]
    return "\n".join(lines) + "\n"


def versions() -> dict[str, str]:
    """Return the versions of what the figures depend on."""
    return {name: version(name) for name in PACKAGES} | {"python": platform.python_version()}


def _trust_lines(trust: Mapping[str, Mapping[str, Coverage]]) -> list[str]:
    lines = [
        "",
        "Trust: share of errors within the interval that promises 90 %, a mean over places with "
        "its standard error.",
        "",
    ]
    lines += [f"| places | {' | '.join(trust)} |", "|---" * (1 + len(trust)) + "|"]
    for group, first in next(iter(trust.values()), {}).items():
        shares = [share_of(found[group]) for found in trust.values()]
        lines.append(f"| {group} ({first.places}) | {' | '.join(shares)} |")
    return lines


def without_nan(value: Any) -> Any:
    """Return nested plain values with None for what is no number: JSON knows no NaN."""
    if isinstance(value, Mapping):
        return {name: without_nan(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
