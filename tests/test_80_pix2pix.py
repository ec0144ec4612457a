"""The pix2pix of the benchmark is the published one, trains, resumes and stands in the table."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from small_pairs import GROUND, make_pair
from torch import nn

from sar2opt.errors import PairsError
from sar2opt.training.pairs.files import write_set
from sar2opt.training.pairs.pair import BLOCK, GUARD

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "pix2pix.py"


@pytest.fixture(scope="module")
def pix2pix() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pix2pix_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pix2pix_benchmark"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    made = [make_pair(n, "train" if n < 3 else "test", side=256) for n in range(5)]
    write_set(folder, made, {})
    return folder


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_the_nets_are_as_large_as_the_published_ones(pix2pix: ModuleType) -> None:
    # 54,413,955 and 2,768,705 in the authors' own implementation, for three bands in, not one
    generator, discriminator = pix2pix.make_generator(3, 64), pix2pix.make_discriminator(3, 64)
    assert count(generator) == 54_413_955 - 2 * 16 * 64
    assert count(discriminator) == 2_768_705 - 2 * 16 * 64
    assert discriminator(torch.zeros(1, 4, 256, 256)).shape == (1, 1, 30, 30)
    assert sum(isinstance(m, nn.Dropout) for m in generator.modules()) == 3


def test_a_score_of_the_discriminator_sees_70_pixels(pix2pix: ModuleType) -> None:
    net = pix2pix.make_discriminator(1, 2).eval()
    image = torch.zeros(1, 2, 256, 256, requires_grad=True)
    net(image)[0, 0, 15, 15].backward()
    seen = image.grad.abs().sum(dim=(0, 1)) > 0
    assert seen.any(dim=1).sum() == seen.any(dim=0).sum() == 70


def test_it_learns_resumes_and_is_judged_beside_the_baselines(
    pix2pix: ModuleType, data: Path, tmp_path: Path
) -> None:
    recipe = pix2pix.Recipe(minutes=0.02, width=4, batch=2)
    pix2pix.benchmark(recipe, data, tmp_path)
    first = json.loads((tmp_path / "pix2pix_natural.json").read_text())
    assert first["steps"] > 0
    longer = replace(recipe, minutes=0.04)
    rows = pix2pix.benchmark(longer, data, tmp_path, resume=True)
    told = json.loads((tmp_path / "pix2pix_natural.json").read_text())
    assert told["steps"] > first["steps"]
    assert told["images_seen"] == 2 * told["steps"]
    methods = [row.method for row in rows[:4]]
    assert methods == ["pix2pix", "mean colour", "matched SAR", "SAR as grey"]
    assert rows[0].images == 2
    assert 0 < rows[0].figures["mae"] < 1
    assert "| all (2) | pix2pix |" in (tmp_path / "pix2pix_natural.md").read_text()
    with pytest.raises(PairsError, match="another recipe"):
        pix2pix.benchmark(replace(longer, width=8), data, tmp_path, resume=True)


def test_the_loss_falls(pix2pix: ModuleType) -> None:
    model = pix2pix.Pix2Pix(pix2pix.Recipe(width=4, batch=2))
    tiles = pix2pix.tiles_of([make_pair(0, "train", side=256)], "natural")
    distances = [model.step(*pix2pix.draw(model, tiles))["l1"] for _ in range(25)]
    assert np.mean(distances[-5:]) < 0.93 * np.mean(distances[:5])


def test_a_resumed_training_is_the_same_training(pix2pix: ModuleType, tmp_path: Path) -> None:
    recipe = pix2pix.Recipe(width=2)
    tiles = pix2pix.tiles_of([make_pair(0, "train", side=256)], "natural")
    whole = pix2pix.Pix2Pix(recipe)
    for _ in range(2):
        whole.step(*pix2pix.draw(whole, tiles))
    whole.save(tmp_path / "checkpoint.pt")
    expected = whole.step(*pix2pix.draw(whole, tiles))
    again = pix2pix.Pix2Pix(recipe)
    again.restore(tmp_path / "checkpoint.pt")  # the streams of random numbers too
    assert again.step(*pix2pix.draw(again, tiles)) == expected


def test_blocks_are_cut_into_tiles_and_held_out_ones_lose_their_rim(pix2pix: ModuleType) -> None:
    train = make_pair(1, "train", side=BLOCK)
    train.decibel[:256, :256] = np.nan
    test = replace(make_pair(2, "test", side=BLOCK), ground=GROUND)
    tiles = pix2pix.tiles_of([train, test, make_pair(3, "test", "vivid", side=256)], "natural")
    assert sum(tile.split == "train" for tile in tiles) == 15
    held_out = [tile for tile in tiles if tile.split == "test"]
    assert len(held_out) == 9
    assert held_out[0].judged == (slice(0, None), slice(0, None))
    inner = test.decibel[GUARD : GUARD + 256, GUARD : GUARD + 256]
    assert np.array_equal(held_out[0].decibel, inner)


def test_grey_is_learned_from_luminance_too(pix2pix: ModuleType) -> None:
    tiles = pix2pix.tiles_of([make_pair(1, "train", side=256)], "grey")
    model = pix2pix.Pix2Pix(pix2pix.Recipe(look="grey", width=2))
    sar, real = pix2pix.draw(model, tiles)
    assert sar.shape == real.shape == (1, 1, 256, 256)
    assert real.min() >= -1
    painted = model.method()(tiles[0].sar(pix2pix.NORM))
    assert painted.shape == (1, 256, 256)
    assert painted.min() >= 0
