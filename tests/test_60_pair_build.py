"""``sar2opt pairs build``: from scenes and chips to a whole set, or to one line of error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from pair_files import landscape, write_chips
from PIL import Image
from pyproj import Transformer

from sar2opt.config import load_config
from sar2opt.errors import SceneError
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.pairs.build import PairsSettings
from sar2opt.training.pairs.files import read_set
from sar2opt.training.pairs.registration import move
from sar2opt.training.pairs.source_settings import SourceSettings
from sar2opt.training.pairs.sources import read_scene_pairs

Cli = Callable[..., tuple[int, str, str]]
CHIPS = r"""
notices = ["simulated"]
[[sources]]
name = "land"
kind = "chips"
sar = "chips/*_sar.png"
optical = "_opt"
scale = "display-dB"
place = '(\d+)_\d+_sar'
val = ["3"]
test = ["4"]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of data: 25 chips that do not overlap, a row of them is a place."""
    write_chips(tmp_path / "data" / "chips")
    (tmp_path / "pairs.toml").write_text(CHIPS, encoding="utf-8")
    return tmp_path / "data"


def build(cli: Cli, data: Path, *more: str) -> tuple[int, str, str]:
    folder = data.parent
    return cli(
        "pairs", "build", folder / "pairs.toml", "--data", data, "--out", folder / "set", *more
    )


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    with Image.open(path) as image:
        pixels = np.asarray(image)
    Image.fromarray(np.ascontiguousarray(change(pixels))).save(path)


def moved(image: Any, dy: int, dx: int) -> Any:
    return np.moveaxis(move(np.moveaxis(image, -1, 0), dy, dx, 90), 0, -1)


def test_a_set_is_formed_and_says_how(cli: Cli, data: Path) -> None:
    chips = data / "chips"
    rewrite(chips / "0_1_opt.png", lambda image: np.clip(image // 8 + 215, 0, 245))
    (chips / "0_2_opt.png").write_bytes((chips / "4_2_opt.png").read_bytes())
    code, out, err = build(cli, data)
    assert code == 0, err
    assert "kept: 23" in out
    assert "500 at the least" in err
    found = read_set(data.parent / "set")
    source = found.facts["sources"]["land"]
    assert source["rejected"] == {"cloud or snow": 1, "duplicate": 1}
    assert source["kept"] == {"train": 13, "val": 5, "test": 5}
    assert found.facts["rejected"]["land/0_2_sar"] == "duplicate"  # not the one that is held out
    assert found.facts["configuration"]["sources"][0]["test"] == ["4"]
    assert {pair.place for pair in found.pairs if pair.split == "val"} == {"3"}
    for name in ("report.html", "report.md"):
        text = (data.parent / "set" / name).read_text(encoding="utf-8")
        assert "cloud or snow" in text
        assert "500 at the least" in text
    page = (data.parent / "set" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=\"(?!data:)", page)  # it needs no other file
    assert sorted(path.name for path in data.parent.iterdir()) == ["data", "pairs.toml", "set"]


def test_a_planted_displacement_is_corrected_or_the_pair_rejected(cli: Cli, data: Path) -> None:
    chips = data / "chips"
    for path in chips.iterdir():
        path.unlink()
    write_chips(chips, step=200, side=200)  # three rows of three
    with Image.open(chips / "1_1_opt.png") as image:
        true = np.moveaxis(np.asarray(image), -1, 0)
    rewrite(chips / "1_1_opt.png", lambda image: moved(image, -3, -2))
    rewrite(chips / "0_1_opt.png", lambda image: moved(image, 7, 0))
    config = CHIPS.replace('["3"]', '["0"]').replace('["4"]', '["2"]')
    (data.parent / "pairs.toml").write_text(config, encoding="utf-8")
    assert build(cli, data)[0] == 0
    found = read_set(data.parent / "set")
    assert found.facts["rejected"] == {"land/0_1_sar": "misregistered"}
    assert {pair.name: pair.moved for pair in found.pairs if any(pair.moved)} == {
        "land/1_1_sar": (3, 2)
    }
    pair = next(pair for pair in found.pairs if pair.name == "land/1_1_sar")
    inside = np.isfinite(pair.decibel)
    np.testing.assert_array_equal(pair.optical[:, inside], true[:, inside])
    assert inside.sum() == (200 - 3) * (200 - 2)


def test_chips_that_overlap_across_splits_are_parted(cli: Cli, data: Path) -> None:
    write_chips(data / "chips", step=64)  # nine rows and columns of them, half over half
    config = f"{CHIPS}[cleaning]\nleast_data = 0.3\n"
    (data.parent / "pairs.toml").write_text(config, encoding="utf-8")
    assert build(cli, data)[0] == 0
    found = read_set(data.parent / "set")
    counts = found.facts["counts"]
    assert counts["of these, across splits"] > 20
    assert counts["pairs partly blanked for that"] > 20
    valid = {pair.name: np.isfinite(pair.decibel) for pair in found.pairs}
    assert valid["land/4_4_sar"].all()  # test
    assert not valid["land/5_4_sar"][:64].any()  # the rows that it shares with place 4
    assert valid["land/5_4_sar"][80:].all()


def test_an_earlier_set_is_replaced_only_if_asked(cli: Cli, data: Path) -> None:
    out = data.parent / "set"
    assert build(cli, data)[0] == 0
    code, _, err = build(cli, data)
    assert (code, "give --overwrite" in err) == (2, True)
    (out / "stale.txt").touch()
    assert build(cli, data, "--overwrite")[0] == 0
    assert not (out / "stale.txt").exists()
    (out / "pairs.json").unlink()
    code, _, err = build(cli, data, "--overwrite")
    assert (code, "something else" in err) == (2, True)
    assert (out / "report.md").exists()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda d: (d / "chips" / "1_1_opt.png").unlink(), "1_1_opt.png is missing"),
        (lambda d: rewrite(d / "chips" / "1_1_opt.png", lambda i: i[:100]), "128 x 100"),
        (lambda d: (d / "chips" / "1_1_sar.png").write_text("no image"), "cannot be read"),
        (lambda d: [path.unlink() for path in (d / "chips").iterdir()], "no pairs match"),
        (lambda d: [path.unlink() for path in (d / "chips").glob("4_*")], "the test split"),
        (lambda d: set_config(d, 'optical = "_opt"', 'optical = "_sar"'), "is missing"),
        (lambda d: set_config(d, "[[sources]]", "[[source]]"), "nearest known is 'sources'"),
        (lambda d: set_config(d, 'place = ', 'places = '), "places"),
        (lambda d: set_config(d, "place = '(\\d+)_\\d+_sar'", "run = 5"), "run needs a number"),
        (lambda d: set_config(d, "place = '(\\d+)_\\d+_sar'", "place = '(('"), "place"),
        (lambda d: set_config(d, 'kind = "chips"', 'kind = "scene"'), "there is no file"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_leaves_nothing(
    cli: Cli, data: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(data)
    code, _, err = build(cli, data)
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1 or "%" in err  # a bar may stand above
    assert sorted(path.name for path in data.parent.iterdir()) == ["data", "pairs.toml"]


def set_config(data: Path, old: str, new: str) -> None:
    assert old in CHIPS
    (data.parent / "pairs.toml").write_text(CHIPS.replace(old, new), encoding="utf-8")


# ---- scenes -------------------------------------------------------------------------------------


def write_raster(path: Path, bands: Any, crs: Any, transform: Affine, **options: Any) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", dtype=bands.dtype, count=len(bands), height=bands.shape[1],
        width=bands.shape[2], crs=crs, transform=transform, **options,
    ) as file:  # fmt: skip
        file.write(bands)


def own_coordinates(crs: str, transform: Affine, rows: int, cols: int) -> Any:
    """Return where a pixel lies in Web Mercator, east and north, in steps of 22 m (17 m here)."""
    y, x = np.mgrid[0:rows, 0:cols] + 0.5
    east, north = transform.a * x + transform.c, transform.e * y + transform.f
    east, north = Transformer.from_crs(crs, "EPSG:3857", always_xy=True).transform(east, north)
    return (east - 1_670_300) / 22, (north - 4_824_300) / 22


UTM = Affine(10.0, 0.0, 500_500.0, 0.0, -10.0, 4_399_000.0)
SCENE = SourceSettings(name="s", kind="scene", sar="sar.tif", optical="opt.tif", scale="dB")


def write_scene(folder: Path, crs: str, transform: Affine, size: tuple[int, int]) -> None:
    decibel = landscape()[0][None, :300, :400]
    write_raster(folder / "sar.tif", decibel, "EPSG:32633", UTM)
    east, north = own_coordinates(crs, transform, *size)
    bands = np.stack([east, north, 0 * east + 7])
    write_raster(
        folder / "opt.tif", np.round(np.clip(bands, 0, 255)).astype(np.uint8), crs, transform
    )


@pytest.mark.parametrize(
    ("crs", "transform", "size"),
    [
        ("EPSG:3857", Affine(20.0, 0.0, 1_669_200.0, 0.0, -20.0, 4_830_000.0), (500, 700)),
        ("EPSG:4326", Affine(2e-4, 0.0, 15.0, 0.0, -2e-4, 39.77), (300, 400)),
        ("EPSG:32633", Affine(5.0, 0.0, 500_000.0, 0.0, -5.0, 4_400_000.0), (1000, 1300)),
    ],
)
def test_the_optical_image_is_warped_to_the_sar_grid(
    tmp_path: Path, crs: str, transform: Affine, size: tuple[int, int]
) -> None:
    write_scene(tmp_path, crs, transform, size)
    (pair,) = read_scene_pairs(tmp_path, SCENE, NormalisationSettings())
    east, north = own_coordinates("EPSG:32633", UTM, 300, 400)
    valid = np.isfinite(pair.decibel)
    assert valid.mean() > 0.6
    for band, true in zip(pair.optical, (east, north), strict=False):
        told = valid & (true > 2) & (true < 253)
        assert told.mean() > 0.6
        off = (band - true)[told]
        assert abs(off.mean()) < 0.2  # a third of a pixel; GDAL rounds halves up
        assert np.abs(off).max() < 1.2  # twice rounded
    sar = landscape()[0][:300, :400]  # is as it was
    np.testing.assert_allclose(pair.decibel[valid].astype(float), sar[valid], atol=0.02)
    assert pair.ground
    assert (pair.ground.crs, pair.ground.transform) == ("EPSG:32633", tuple(UTM)[:6])


def test_outside_the_optical_image_is_no_data(tmp_path: Path) -> None:
    write_scene(tmp_path, "EPSG:32633", Affine(10, 0, 501_500, 0, -10, 4_400_000), (500, 320))
    (pair,) = read_scene_pairs(tmp_path, SCENE, NormalisationSettings())
    valid = np.isfinite(pair.decibel)
    assert not valid[:, :99].any()
    assert valid[:, 101:].all()


@pytest.mark.parametrize(
    ("crs", "bands", "said"),
    [
        (None, np.zeros((3, 9, 9), np.uint8), "without a CRS"),
        ("EPSG:32633", np.zeros((3, 9, 9), np.uint16), "uint16"),
        ("EPSG:32633", np.zeros((2, 9, 9), np.uint8), "2 bands"),
        ("EPSG:32633", np.zeros((1, 9, 9), np.uint8), "say look = 'grey'"),
    ],
)
def test_optical_images_that_cannot_be_used(
    tmp_path: Path, crs: str | None, bands: Any, said: str
) -> None:
    write_scene(tmp_path, "EPSG:32633", UTM, (300, 400))
    write_raster(tmp_path / "opt.tif", bands, crs, UTM)
    with pytest.raises(SceneError, match=re.escape(said)):
        list(read_scene_pairs(tmp_path, SCENE, NormalisationSettings()))


def test_the_shipped_configuration_is_read() -> None:
    folder = Path(__file__).parents[1] / "configs" / "pairs"
    config = load_config(folder / "sentinel.toml", PairsSettings)
    vivid = next(source for source in config.sources if source.look == "vivid")
    assert vivid.place_of(Path("train_0049_sar.jpg")) == "1"
    assert vivid.place_of(Path("train_0050_sar.jpg")) == "2"
    assert any("Copernicus" in notice for notice in config.notices)
