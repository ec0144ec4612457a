"""A set of pairs on the disk: what is written is read again, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pair_files import chip

from sar2opt.errors import OutputError, PairsError
from sar2opt.training.pairs.files import MANIFEST, read_set, write_set
from sar2opt.training.pairs.pair import Ground, Pair

GROUND = Ground("EPSG:32633", (10.0, 0.0, 500000.0, 0.0, -10.0, 4400000.0))
FACTS = {"notices": ["Contains modified Copernicus Sentinel data"], "counts": {"kept": 3}}


def some_pairs() -> list[Pair]:
    colour = chip(0, 0, "a", label="field", moved=(1, -2))
    holes = colour.decibel.copy()
    holes[:20, 30:50] = np.nan
    grey = chip(0, 128, "b", "val")
    return [
        replace(colour, decibel=holes),
        replace(grey, look="grey", optical=grey.optical[:1], tone=((0.8, 0.1),), source="other"),
        chip(128, 0, "c", "test", ground=GROUND),
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_set(tmp_path / "set", some_pairs(), FACTS)
    return tmp_path / "set"


def test_a_set_comes_back_as_it_was(folder: Path) -> None:
    found = read_set(folder)
    assert found.facts == FACTS
    for pair, back in zip(some_pairs(), found.pairs, strict=True):
        assert replace(back, decibel=pair.decibel, optical=pair.optical) == pair
        assert back.decibel.dtype == np.float16
        np.testing.assert_array_equal(np.isnan(back.decibel), np.isnan(pair.decibel))
        np.testing.assert_allclose(back.decibel, pair.decibel, atol=0.02)  # float16 of centi-dB
        np.testing.assert_array_equal(back.optical, pair.optical)
    assert [pair.source for pair in read_set(folder, sources=["other"]).pairs] == ["other"]


def test_any_program_sees_decibels_in_their_place(folder: Path) -> None:
    with rasterio.open(folder / "land" / "c_sar.tif") as file:
        assert (file.crs.to_epsg(), tuple(file.transform)[:6]) == (32633, GROUND.transform)
        decibel = file.read(1) * file.scales[0]
    np.testing.assert_allclose(decibel, chip(128, 0).decibel.astype(float), atol=0.006)
    assert not list(folder.rglob("*.aux.xml"))


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    edit(values)
    (folder / MANIFEST).write_text(json.dumps(values), encoding="utf-8")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda v: v["pairs"][0].update(sar="../outside.tif"), "leads out of the folder"),
        (lambda v: v["pairs"][0].update(optical="/etc/passwd"), "leads out of the folder"),
        (lambda v: v["pairs"][0].update(sar="land/link.tif"), "leads out of the folder"),
        (lambda v: v["pairs"][0].update(sar="land/none.tif"), "land/none.tif is missing"),
        (lambda v: v["pairs"][0].update(sar="pairs.json"), "cannot be read"),
        (lambda v: v["pairs"][0].update(sar="land/a_opt.tif"), "the manifest says"),
        (lambda v: v["pairs"][0].update(shape=[64, 128]), "the manifest says"),
        (lambda v: v["pairs"][0].update(shape=[10**9, 10**9]), "no pair has"),
        (lambda v: v["pairs"][0].update(shape=[-1, 128]), "no pair has"),
        (lambda v: v["pairs"][0].update(look="grey"), "do not agree"),
        (lambda v: v["pairs"][0].update(tone=[[1.0, 0.0]]), "do not agree"),
        (lambda v: v["pairs"][0].update(levels=[]), "levels"),
        (lambda v: v["pairs"][0].update(split="exam"), "split"),
        (lambda v: v["pairs"][0].update(run="rm"), "run"),
        (lambda v: v["pairs"][0].pop("place"), "place"),
        (lambda v: v.update(extra=1), "extra"),
        (lambda v: v.update(version=2), "version"),
        (lambda v: v.update(pairs=None), "pairs"),
    ],
)
def test_a_hostile_manifest_is_refused(folder: Path, edit: Any, said: str) -> None:
    (folder.parent / "outside.tif").write_bytes((folder / "land" / "a_sar.tif").read_bytes())
    (folder / "land" / "link.tif").symlink_to(folder.parent / "outside.tif")
    change(folder, edit)
    with pytest.raises(PairsError, match=said) as raised:
        read_set(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\0"])
def test_what_is_no_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(PairsError):
        read_set(folder)


def test_damaged_and_missing_sets_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PairsError, match="pairs build"):
        read_set(tmp_path)
    with pytest.raises(PairsError, match="no source 'x'; it has land, other"):
        read_set(folder, sources=["x"])
    damaged = folder / "land" / "a_opt.tif"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    with pytest.raises(PairsError, match=r"a_opt\.tif"):
        read_set(folder)


def test_names_become_harmless_file_names(tmp_path: Path) -> None:
    pairs = [chip(0, 0, "../../up"), chip(0, 128, "a/b: c")]
    write_set(tmp_path / "set", pairs, {})
    assert sorted(path.name for path in (tmp_path / "set").rglob("*.tif")) == [
        "_.._up_opt.tif", "_.._up_sar.tif", "a_b__c_opt.tif", "a_b__c_sar.tif",
    ]  # fmt: skip
    assert [pair.name for pair in read_set(tmp_path / "set").pairs] == [p.name for p in pairs]


def test_no_set_is_written_over_itself_or_where_it_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(PairsError, match="two pairs have this name"):
        write_set(tmp_path, [chip(0, 0, "a"), chip(0, 128, "A")], {})
    assert not (tmp_path / MANIFEST).exists()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_set(tmp_path / "file", [chip(0, 0)], {})
