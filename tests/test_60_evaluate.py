"""``sar2opt evaluate``: from a set of pairs on the disk to a table, a page and a JSON file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_bundles import save_tagger, save_translator
from small_pairs import make_pair

from sar2opt.nets.bundle_files import sha256
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.judging.page import choose, middle
from sar2opt.training.judging.tables import COLUMNS, cell
from sar2opt.training.pairs.files import write_set
from sar2opt.training.pairs.pair import Pair

Cli = Callable[..., tuple[int, str, str]]
NAME = "small-translator"


def pairs() -> list[Pair]:
    natural = [make_pair(n, "train" if n < 3 else "test", source="fields") for n in range(6)]
    grey = [
        make_pair(n, "train" if n < 3 else "test", "grey", "hills", label=f"class{n % 2}")
        for n in range(10, 16)
    ]
    grey = [replace(pair, split="train" if n < 3 else "test") for n, pair in enumerate(grey)]
    return [*natural, *grey]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    write_set(folder, pairs(), {"about": "made up"})
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two translators of one name, one that normalises otherwise, and a tagger."""
    folder = tmp_path_factory.mktemp("models")
    made = {
        "ours": save_translator(folder / "ours.safetensors"),
        "other": save_translator(folder / "other.safetensors"),
        "strange": save_translator(
            folder / "strange.safetensors", NormalisationSettings(span_db=5.0)
        ),
        "tagger": save_tagger(folder / "tagger.safetensors"),
    }
    return {name: str(path) for name, path in made.items()}


class Tags(HTMLParser):
    """Collects what a page asks of other places, and its pictures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.pictures: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                (self.pictures if (value or "").startswith("data:") else self.asked).append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_one_table_one_page_and_one_json(
    data: Path, models: dict[str, str], tmp_path: Path, cli: Cli
) -> None:
    out = tmp_path / "report"
    code, said, complained = cli(
        "evaluate", models["ours"], "--data", data, "--out", out, "--beside", models["other"]
    )
    assert code == 0
    assert "sar2opt:" not in complained
    assert "evaluation.html" in said
    assert {path.name for path in out.iterdir()} == {
        "evaluation.md", "evaluation.html", "evaluation.json"
    }  # fmt: skip
    told = json.loads((out / "evaluation.json").read_text(), parse_constant=pytest.fail)
    check_json(told, sha256(Path(models["ours"])))
    check_markdown((out / "evaluation.md").read_text(), told)
    check_page((out / "evaluation.html").read_text())


def check_json(told: dict[str, Any], digest: str) -> None:
    other = f"{NAME} {digest[:8]}"
    assert told["models"][NAME]["sha256"] == digest
    assert set(told["models"]) == {NAME, other}
    assert told["facts"] == {"about": "made up"}
    assert told["counts"] == {"fields": 3, "hills": 3}
    assert {"images", "split", "targets", "baselines", "trust"} <= set(told["protocol"])
    assert {"sar2opt", "torch", "numpy", "python"} <= set(told["versions"])
    assert "--teacher" in told["skipped"]["land cover"]
    assert {row["look"] for row in told["rows"]} == {"natural", "grey"}
    by_place = {(r["look"], r["source"], r["label"], r["method"]): r for r in told["rows"]}
    ours = by_place["natural", "fields", "all", NAME]
    assert ours["figures"] == by_place["natural", "fields", "all", other]["figures"]
    assert ours["images"] == 3
    for method in ("mean colour", "matched SAR", "SAR as grey"):
        assert by_place["natural", "all", "all", method]["figures"]["mae"] > 0
    assert by_place["grey", "hills", "class1", NAME]["images"] > 0
    assert by_place["grey", "fields, luminance", "all", NAME]["images"] == 3
    assert by_place["natural", "all", "all", "mean colour"]["figures"]["copy_ratio"] is None
    assert 0 <= told["trust"]["natural"][NAME]["source fields"]["share"] <= 1


def check_markdown(text: str, told: dict[str, Any]) -> None:
    (row,) = [
        r for r in told["rows"]
        if (r["look"], r["source"], r["method"]) == ("natural", "all", NAME)
    ]  # fmt: skip
    line = next(line for line in text.splitlines() if line.startswith(f"| all (3) | {NAME} "))
    assert f"| {row['figures']['psnr']:.2f} |" in line
    head = text[: text.index(line)].splitlines()[-2]
    assert "angle" in head
    assert head.count("|") == line.count("|")
    assert "agreement" not in head
    assert "## Look grey" in text
    assert "left out: LPIPS" in text or "**LPIPS**" in text
    assert "By class:" in text


def check_page(page: str) -> None:
    tags = Tags(page)
    assert not tags.open
    assert not tags.asked  # self-contained
    # natural: 3 places of radar, two models, a baseline and the real one; grey: 6 places
    assert len(tags.pictures) == 9 * 5
    assert "generated from radar" in page
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", page))


def test_the_same_pictures_every_time() -> None:
    few = choose(pairs(), "natural")
    assert [pair.name for pair in few] == ["fields/1", "fields/3", "fields/5"]
    assert [pair.name for pair in choose(pairs()[::-1], "natural")] == [p.name for p in few]
    assert len(choose(pairs()[:2], "natural")) == 2
    assert middle((1024, 200)) == (slice(352, 672), slice(0, 320))


def test_a_figure_that_says_nothing_is_a_dash() -> None:
    assert cell(np.nan, 2) == "-"
    assert cell(3.14159, 2) == "3.14"
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("tagger", {}, "is a tagger"),
        ("nonsense", {}, "no model 'nonsense'"),
        ("ours", {"--data": "empty"}, "holds no pairs.json"),
        ("ours", {"--split": "val"}, "'val' holds no pairs; the set has train 6, val 0, test"),
        ("ours", {"--beside": "tagger"}, "is a tagger"),
        ("ours", {"--beside": "strange"}, "normalises otherwise"),
        ("ours", {"--teacher": "ours"}, "not the weights of the land-cover teacher"),
        ("ours", {"--out": "file"}, "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    model: str, options: dict[str, str], message: str,
    data: Path, models: dict[str, str], tmp_path: Path, cli: Cli,
) -> None:  # fmt: skip
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    asked = {"--data": str(data), "--out": "report", **options}
    asked |= {name: str(tmp_path / asked[name]) for name in ("--data", "--out")}
    given = [models.get(part, part) for item in asked.items() for part in item]
    code, said, complained = cli("evaluate", models.get(model, model), *given)
    assert code == 2
    assert said == ""
    assert message in complained.splitlines()[-1]
    assert complained.count("sar2opt:") == 1
    assert not (tmp_path / "report").exists()
