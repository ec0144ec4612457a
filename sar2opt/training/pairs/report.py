"""The report of a set of pairs: what was kept, what was not, and why, in pictures and figures."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from sar2opt.errors import OutputError
from sar2opt.products.pages import read_template
from sar2opt.training.pairs.pair import SPLITS, Pair

SIDE = 128  # pixels of a picture
SHOWN = 8  # pairs of a source, and of a reason
FEWEST = 500  # pairs; below this a translator learns little that holds elsewhere
BINS = tuple(0.5 * step for step in range(18))


def advice(pairs: Sequence[Pair]) -> list[str]:
    """Return what should be said of the size of a set: it may be small, but not unknowingly."""
    sentences = []
    if len(pairs) < FEWEST:
        sentences.append(
            f"The set has {len(pairs)} pairs: a translator that holds elsewhere wants some "
            f"{FEWEST} at the least, from many places."
        )
    for split in SPLITS[1:]:
        places = {(pair.source, pair.place) for pair in pairs if pair.split == split}
        if 0 < len(places) < 3:
            sentences.append(
                f"The {split} split has {len(places)} place{'s' * (len(places) > 1)}: what is "
                "measured there says little about others."
            )
    return sentences


def write_report(
    folder: Path,
    pairs: Sequence[Pair],
    rejected: Sequence[tuple[Pair, str]],
    facts: dict[str, Any],
) -> None:
    """Write ``report.html`` (self-contained) and ``report.md`` (figures only) into ``folder``.

    Raises ``OutputError``.
    """
    values = _values(facts)
    page = read_template(Path(__file__).with_name("report.html.j2")).render(
        **values, kept=_kept(pairs), rejected=_rejected(rejected)
    )
    try:
        (folder / "report.html").write_text(page, encoding="utf-8")
        (folder / "report.md").write_text(_markdown(values), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error


def _values(facts: dict[str, Any]) -> dict[str, Any]:
    counts, found = facts["counts"], facts["displacements"].values()
    lengths = [np.hypot(*one["found"]) for one in found if one.get("significant")]
    moved = sum(source["displacement corrected"] for source in facts["sources"].values())
    return {
        "title": "A set of pairs",
        "lead": f"{counts['kept']} pairs were kept of {counts['read']}. How they were formed, "
        "with every setting, stands in pairs.json.",
        "advice": facts["advice"],
        "table": _table(facts["sources"]),
        "shared": f"{counts['near-duplicates']} near-duplicates and {counts['overlaps']} partial "
        f"overlaps were found, {counts['of these, across splits']} of them across splits. The "
        "pair that was less held out gave way: "
        f"{counts['pairs partly blanked for that']} pairs lost the shared part, and those of which "
        "too little was left were rejected.",
        "displaced": f"In {len(lengths)} of {len(facts['displacements'])} pairs it could be told "
        f"how far the optical image lies from the SAR image, to about half a pixel; {moved} pairs "
        "were corrected, blocks of scenes along a polynomial.",
        "bars": _bars(lengths),
        "notices": facts["notices"],
    }


def _table(sources: dict[str, Any]) -> dict[str, Any]:
    reasons = sorted({reason for source in sources.values() for reason in source["rejected"]})
    rows: list[list[Any]] = [
        [
            name,
            source["look"],
            source["read"],
            *(source["kept"][split] for split in SPLITS),
            source["displacement corrected"],
            *(source["rejected"].get(reason, 0) for reason in reasons),
        ]
        for name, source in sources.items()
    ]
    rows.append(["all", "", *(sum(column) for column in list(zip(*rows, strict=True))[2:])])
    head = ["source", "look", "read", *SPLITS, "moved", *(f"rejected: {why}" for why in reasons)]
    return {"head": head, "rows": rows}


def _bars(lengths: Sequence[float]) -> list[dict[str, Any]]:
    counts, _ = np.histogram(lengths, bins=[*BINS, np.inf])
    most = max(1, int(counts.max()))
    heights = [round(130 * int(count) / most, 1) for count in counts]
    return [
        {"x": 10 + 36 * n, "y": 155 - height, "height": height, "count": int(count), "low": low}
        for n, (low, count, height) in enumerate(zip(BINS, counts, heights, strict=True))
    ]


def _kept(pairs: Sequence[Pair]) -> list[tuple[str, list[dict[str, str]]]]:
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.source].append(pair)
    return [
        (name, [_tile(pair, f"{pair.split}, place {pair.place}") for pair in _some(group)])
        for name, group in groups.items()
    ]


def _rejected(
    rejected: Sequence[tuple[Pair, str]],
) -> list[tuple[str, list[dict[str, str]]]]:
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair, reason in rejected:
        groups[f"{reason}, {pair.source}"].append(pair)
    return [
        (f"{name}: {len(group)}", [_tile(pair, "") for pair in _some(group)])
        for name, group in sorted(groups.items())
    ]


def _some(pairs: Sequence[Pair]) -> list[Pair]:
    """Return a few, spread evenly, so that every place has a chance and each run shows the same."""
    step = max(1, len(pairs) // SHOWN)
    return list(pairs[::step][:SHOWN])


def _tile(pair: Pair, caption: str) -> dict[str, str]:
    decibel = pair.decibel.astype(np.float32) - np.float32(pair.levels[0])
    grey = np.nan_to_num(np.clip((decibel + 18.0) / 28.0, 0.0, 1.0) * 255.0).astype(np.uint8)
    optical = np.moveaxis(np.broadcast_to(pair.optical, (3, *grey.shape)), 0, -1)
    both = np.hstack([_small(np.repeat(grey[..., None], 3, axis=-1)), _small(optical)])
    held = io.BytesIO()
    Picture.fromarray(both).save(held, "JPEG", quality=82)
    image = "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode()
    text = pair.name.removeprefix(f"{pair.source}/")
    return {"image": image, "caption": f"{text}, {caption}" if caption else text}


def _small(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    picture = Picture.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize((SIDE, SIDE), Picture.Resampling.BOX))


def _markdown(values: dict[str, Any]) -> str:
    table = values["table"]
    rows = [table["head"], ["---"] * len(table["head"]), *table["rows"]]
    lines = [f"# {values['title']}", "", values["lead"], "", *values["advice"], ""]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    lines += ["", values["shared"], "", values["displaced"], ""]
    lines += ["| displacement from, pixels | pairs |", "|---|---|"]
    lines += [f"| {bar['low']} | {bar['count']} |" for bar in values["bars"]]
    lines += ["", *(f"- {notice}" for notice in values["notices"]), ""]
    return "\n".join(lines)
