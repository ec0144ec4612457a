"""The folder of products: all or nothing, and never by accident over something else."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from sar2opt.errors import OutputError
from sar2opt.products.folder import (
    EXTRA,
    FILES,
    check_output,
    output_errors,
    product_paths,
    staged_output,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_products_appear_when_the_last_is_finished(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "S"
    with staged_output(folder, "S", overwrite=False) as scratch:
        (scratch / "S_optical.tif").write_text("image")
        (scratch / "S.json").write_text("item")
        assert not (folder / "S_optical.tif").exists()
    assert names(folder) == ["S.json", "S_optical.tif"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail() -> None:
        with staged_output(tmp_path / "out" / "S", "S", overwrite=False) as scratch:
            (scratch / "S_optical.tif").write_text("image")
            raise RuntimeError("at the last product")

    with pytest.raises(RuntimeError, match="at the last product"):
        fail()
    assert names(tmp_path) == []


def test_a_failure_leaves_the_older_products(tmp_path: Path) -> None:
    (tmp_path / "S_optical.tif").write_text("older")

    def fail() -> None:
        with staged_output(tmp_path, "S", overwrite=True) as scratch:
            (scratch / "S_optical.tif").write_text("newer")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path) == ["S_optical.tif"]
    assert (tmp_path / "S_optical.tif").read_text() == "older"


def test_what_a_killed_run_left_is_swept_away(tmp_path: Path) -> None:
    left = tmp_path / ".unfinished" / "S_trust.tif"
    left.parent.mkdir()
    left.write_text("half")
    with staged_output(tmp_path, "S", overwrite=False) as scratch:
        assert names(scratch) == []
        (scratch / "S.json").write_text("item")
    assert names(tmp_path) == ["S.json"]


@pytest.mark.parametrize("name", [*FILES.values(), EXTRA["geojson"]])
def test_products_are_not_replaced_unasked(tmp_path: Path, name: str) -> None:
    there = tmp_path / name.format("S", "objects")
    there.write_text("older")
    for attempt in (
        lambda: check_output(tmp_path, "S", overwrite=False),
        lambda: staged_output(tmp_path, "S", overwrite=False).__enter__(),
    ):
        with pytest.raises(OutputError, match="--overwrite"):
            attempt()
    check_output(tmp_path, "S", overwrite=True)
    check_output(tmp_path, "other", overwrite=False)
    assert names(tmp_path) == [there.name]
    assert there.read_text() == "older"


def test_overwriting_removes_what_is_not_written_again_and_nothing_else(tmp_path: Path) -> None:
    for name in ("S_objects.geojson", "S_optical.tif", "S_optical.tif.aux.xml", "notes.txt",
                 "other_optical.tif"):  # fmt: skip
        (tmp_path / name).write_text("older")
    with staged_output(tmp_path, "S", overwrite=True) as scratch:
        (scratch / "S_optical.tif").write_text("newer")
    assert names(tmp_path) == ["S_optical.tif", "notes.txt", "other_optical.tif"]
    assert (tmp_path / "S_optical.tif").read_text() == "newer"


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    check_output(tmp_path / "a" / "b", "S", overwrite=False)
    assert names(tmp_path) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    for folder in (tmp_path / "out", tmp_path / "out" / "S"):
        with pytest.raises(OutputError, match="cannot be written"):
            check_output(folder, "S", overwrite=False)
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "no permission"),
        (PermissionError(errno.EACCES, "Permission denied"), "no permission"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(error: OSError, says: str) -> None:
    with pytest.raises(OutputError) as caught, output_errors(Path("out/x.tif")):
        raise error
    assert str(caught.value).startswith(f"out/x.tif: cannot be written: {says}")
    assert "--out" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match="a bug"), output_errors(Path("x")):
        raise ValueError("a bug")


def test_every_product_of_the_design_has_its_place(tmp_path: Path) -> None:
    assert {path.name for path in product_paths(tmp_path, "S").values()} == {
        "S_optical.tif", "S_trust.tif", "S_tags.tif", "S_tags.tif.aux.xml",
        "S_tags.qml", "S_sar.tif", "S_trust.qml", "S_tags.sld", "S_objects.sld", "S_anomalies.sld",
        "S.gpkg", "S.json", "S_preview.png", "S_report.html",
    }  # fmt: skip
