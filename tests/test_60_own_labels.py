"""A tagger learns from labels of one's own: rasters and polygons, whatever their CRS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.warp import Resampling, calculate_default_transform, reproject

import sar2opt
from sar2opt.errors import ConfigError, LayerError
from sar2opt.nets.bundle import load_net
from sar2opt.nets.tagger import CLASSES
from sar2opt.training.recipe import train
from sar2opt.training.tags.chips import IGNORE
from sar2opt.training.tags.own_labels import read_own_labels
from sar2opt.training.tags.settings import LabelSettings, TaggerTraining

SAMPLES = Path(__file__).parents[1] / "data_samples"
CODES = {str(code): name for code, name in enumerate(CLASSES[:6])}
VALLEY: dict[str, Any] = {"name": "valley", "sar": "valley.tif", "labels": "valley_tags.tif",
                          "classes": CODES, "block": 192, "test": ("0-1",)}  # fmt: skip


def read(root: Path = SAMPLES, **changed: Any) -> list[Any]:
    source = LabelSettings(**{**VALLEY, **changed})
    return read_own_labels(root, TaggerTraining(labels=(source,), crop=64))


def whole(items: list[Any], side: int = 192) -> np.ndarray:
    """Put the blocks of a scene of two by two together again."""
    tags = [item.tags[:side, :side] for item in items]
    return np.vstack([np.hstack(tags[:2]), np.hstack(tags[2:])])


def true_tags() -> np.ndarray:
    with rasterio.open(SAMPLES / "valley_tags.tif") as file:
        return np.asarray(file.read(1))


def test_a_raster_gives_its_tags_where_the_scene_has_data() -> None:
    items = read(test=())
    assert [item.pair.place for item in items] == ["0-0", "0-1", "1-0", "1-1"]
    tags, truth = whole(read(test=("9-9",))), true_tags()
    with rasterio.open(SAMPLES / "valley.tif") as file:
        valid = np.isfinite(file.read(2)) & (truth < 6)
    assert valid.mean() > 0.5
    assert np.array_equal(tags[valid], truth[valid])
    assert (tags[~valid] == IGNORE).all()
    # VH is learnt from, in dB
    power = sar2opt.open_scene(SAMPLES / "valley.tif").values[1, :192, :192]
    bright = np.isfinite(power) & (power > 0)
    expected = 10 * np.log10(power[bright])
    assert np.allclose(items[0].pair.decibel[bright], expected, atol=0.02)


def test_a_raster_in_another_crs_comes_to_the_grid_of_the_scene(tmp_path: Path) -> None:
    with rasterio.open(SAMPLES / "valley_tags.tif") as file:
        transform, width, height = calculate_default_transform(
            file.crs, "EPSG:4326", file.width, file.height, *file.bounds
        )
        warped = np.full((height, width), 255, np.uint8)
        reproject(file.read(1), warped, src_transform=file.transform, src_crs=file.crs,
                  dst_transform=transform, dst_crs="EPSG:4326", src_nodata=255,
                  resampling=Resampling.nearest)  # fmt: skip
    with rasterio.open(tmp_path / "labels.tif", "w", driver="GTiff", dtype="uint8", count=1,
                       width=width, height=height, crs="EPSG:4326", transform=transform,
                       nodata=255) as file:  # fmt: skip
        file.write(warped, 1)
    found = whole(read(labels=str(tmp_path / "labels.tif"), test=("9-9",)))
    truth = whole(read(test=("9-9",)))
    known = (found != IGNORE) & (truth != IGNORE)
    assert known.mean() > 0.5
    assert (found[known] == truth[known]).mean() > 0.93  # twice nearest neighbour


def test_polygons_give_the_tags_of_their_classes(tmp_path: Path) -> None:
    with rasterio.open(SAMPLES / "valley.tif") as file:
        crs, (west, south, east, north) = file.crs, file.bounds
    middle = (west + east) / 2
    table = gpd.GeoDataFrame(
        {"use": ["lake", "wood", "moor"]},
        geometry=[shapely.box(west, south, middle, north), shapely.box(middle, south, east, north),
                  shapely.box(west, north - 200, east, north)],
        crs=crs,
    ).to_crs("EPSG:4326")  # fmt: skip
    table.to_file(tmp_path / "use.gpkg")
    classes = {"lake": "water", "wood": "trees"}
    items = read(labels=str(tmp_path / "use.gpkg"), column="use", classes=classes, test=("9-9",))
    tags = whole(items)
    assert set(np.unique(tags)) == {0, 1, IGNORE}
    assert (tags[:18] == IGNORE).all()  # the moor lies on top, and has no tag
    assert set(np.unique(tags[25:, :185])) <= {0, IGNORE}
    assert set(np.unique(tags[25:, 200:])) <= {1, IGNORE}


def test_the_rim_of_a_held_out_block_is_not_judged() -> None:
    held_out = next(item for item in read() if item.pair.split == "test")
    assert held_out.pair.place == "0-1"
    assert (held_out.tags[:24] == IGNORE).all()
    assert (held_out.tags[:, -24:] == IGNORE).all()
    assert (held_out.tags != IGNORE).any()


def test_what_cannot_be_learnt_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file"):
        read(labels="nowhere.tif")
    with pytest.raises(ConfigError, match="no band 'hh': say vv or vh"):
        read(band="hh")
    with pytest.raises(ConfigError, match="codes from 0 to 255, not 'lake'"):
        read(classes={"lake": "water"})
    with pytest.raises(ConfigError, match="no ground of the classes 77"):
        read(classes={"77": "water"})
    with pytest.raises(ConfigError, match="is no raster of classes"):
        read(labels="aoi.geojson")
    with pytest.raises(LayerError, match="no column 'colour'"):
        read(labels="harbour_landuse.gpkg", column="colour", classes={"park": "trees"})
    with rasterio.open(tmp_path / "bare.tif", "w", driver="GTiff", dtype="uint8", count=1,
                       width=8, height=8) as file:  # fmt: skip
        file.write(np.zeros((1, 8, 8), np.uint8))
    with pytest.raises(ConfigError, match="has no CRS"):
        read(labels=str(tmp_path / "bare.tif"))
    with pytest.raises(ValueError, match="no tag is called 'lake'"):
        LabelSettings(**{**VALLEY, "classes": {"1": "lake"}})


def test_a_tagger_is_trained_from_nothing_but_them(tmp_path: Path) -> None:
    recipe = tmp_path / "own.toml"
    text = (Path(__file__).parents[1] / "configs/tagger_own.toml").read_text(encoding="utf-8")
    for old, new in (("steps = 200", "steps = 2"), ("batch = 8", "batch = 2"),
                     ("synthetic_scenes = 20", "synthetic_scenes = 0")):  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    recipe.write_text(text)
    net, card = load_net(train(recipe, SAMPLES, tmp_path / "run"))
    assert net.bands_out == CLASSES
    assert "labels of harbour, valley" in card.summary
    assert card.figures["own labels, test places"]["accuracy"] > 0.6  # it goes on from tagger-s1
    assert "simulated scenes of this project" in card.licences
    recipe.write_text(text.replace('decoder = "unet"', 'decoder = "linknet"'))
    with pytest.raises(ConfigError, match="start: tagger-s1 is a tagger of"):
        train(recipe, SAMPLES, tmp_path / "other")
