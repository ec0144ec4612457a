"""Training: what a step learns from, what a run leaves, how it resumes, how it stops."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from simulated_pairs import simulated_pairs
from small_bundles import SMALL, save_translator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sar2opt.errors import ConfigError, ModelError, OutputError, TrainingError
from sar2opt.nets.bundle import load_net
from sar2opt.nets.generator import GeneratorSettings
from sar2opt.nets.losses import texture
from sar2opt.nets.models import load_model
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.cards import About
from sar2opt.training.crops import CropSampler
from sar2opt.training.loop import checkpoint, run
from sar2opt.training.loop.checkpoint import read_log, read_state
from sar2opt.training.pack import pack_translator
from sar2opt.training.pairs.pair import Pair
from sar2opt.training.recipe import train_translator
from sar2opt.training.translation.paired import (
    Batch,
    LossSettings,
    Painted,
    TranslatorStep,
    TranslatorTraining,
)
from sar2opt.training.translation.unpaired import UnpairedStep


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return simulated_pairs()


def config(**changes: object) -> TranslatorTraining:
    settings = {
        "name": "tiny", "crop": 64, "pretrained": False, "generator": SMALL,
        "schedule": {"steps": 4, "batch": 2, "checkpoint": 2, "warm_up": 1},
        "loss": LossSettings(sharpen_from=0.5),
        **changes,
    }  # fmt: skip
    return TranslatorTraining.model_validate(settings)


def sampler(pairs: list[Pair], settings: TranslatorTraining, seed: int = 0) -> CropSampler:
    weights = dict.fromkeys((pair.source for pair in pairs), 1.0)
    return CropSampler(
        pairs, weights, settings.smooth, settings.norm, settings.augment, settings.crop,
        np.random.default_rng(seed),
    )  # fmt: skip


def test_a_target_teaches_its_own_head_and_colour_the_grey_one(pairs: list[Pair]) -> None:
    settings = config()
    drawn = sampler([pair for pair in pairs if pair.look == "natural"], settings)
    step = TranslatorStep(settings, drawn, "cpu")
    batch = Batch([drawn.draw(), drawn.draw()])
    terms = step._terms(batch, 0.0)
    sum(weight * term for weight, term in terms.values()).backward()
    rows = step.generator.head.weight.grad.abs().sum(dim=(1, 2, 3))
    taught = dict(zip(step.generator.bands_out, (rows > 0).tolist(), strict=True))
    assert taught == {
        "red": True, "green": True, "blue": True, "grey": True,
        "vivid_red": False, "vivid_green": False, "vivid_blue": False,
        "natural_scale": True, "vivid_scale": False, "grey_scale": True,
    }  # fmt: skip
    assert "texture" not in terms
    assert {"texture", "adversarial", "matching"} <= step._terms(batch, 0.9).keys()


def test_texture_wants_the_contrast_of_each_channel_around_each_place() -> None:
    rng = torch.Generator().manual_seed(0)
    target, mask = torch.rand((1, 3, 64, 64), generator=rng), torch.ones(1, 1, 64, 64)
    assert float(texture([target], [target], mask)) == 0.0
    assert float(texture([target.roll(7, 2)], [target], mask)) < 0.15  # elsewhere, but as strong
    assert float(texture([0.0 * target], [target], mask)) > 0.99
    assert float(texture([0.7 * target], [target], mask, share=0.7)) < 1e-3
    assert float(texture([target], [0.0 * target], mask)) > 1.0  # a lake is smooth


def test_a_mesh_is_no_texture_of_grain_where_channels_tell_lines_apart() -> None:
    rng = torch.Generator().manual_seed(0)
    grain, mask = torch.rand((1, 1, 64, 64), generator=rng), torch.ones(1, 1, 64, 64)
    mesh = (torch.arange(64) % 4 < 2).float().expand(1, 1, 64, 64)

    def along_and_across(image: torch.Tensor) -> list[torch.Tensor]:
        steps = [image - image.roll(1, axis) for axis in (2, 3)]
        return [torch.cat(steps, dim=1)]

    assert float(texture(along_and_across(mesh), along_and_across(grain), mask)) > 0.8


def test_painting_takes_the_head_of_each_crop(pairs: list[Pair]) -> None:
    settings = config()
    drawn = sampler(pairs, settings)
    crops = {crop.look: crop for crop in (drawn.draw() for _ in range(40))}
    batch = Batch([crops["vivid"], crops["grey"], crops["natural"]])
    output = torch.arange(10.0)[None, :, None, None].expand(3, 10, 64, 64)
    painted = Painted(output, batch)
    assert painted.image[:, :, 0, 0].tolist() == [[3, 4, 5], [6, 6, 6], [0, 1, 2]]
    assert painted.log_scale[:, 0, 0, 0].tolist() == [8, 9, 7]


@pytest.mark.parametrize("mode", ["paired", "unpaired"])
def test_a_training_goes_on_from_a_bundle(mode: str, pairs: list[Pair], tmp_path: Path) -> None:
    start = save_translator(tmp_path / "first.safetensors")
    settings = config(mode=mode, start=str(start))
    make = TranslatorStep if mode == "paired" else UnpairedStep
    step = make(settings, sampler(pairs, settings), "cpu")
    net, _ = load_net(start)
    for own in (step.generator, step.average.net):
        state = own.state_dict()
        assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())


def test_a_bundle_that_does_not_fit_is_no_start(pairs: list[Pair], tmp_path: Path) -> None:
    start = str(save_translator(tmp_path / "first.safetensors"))
    for other in ({"norm_span_db": 12.0}, {"generator": GeneratorSettings()}):
        settings = config(start=start, **other)
        with pytest.raises(ConfigError, match="of another kind of net, or normalises"):
            TranslatorStep(settings, sampler(pairs, settings), "cpu")
    with pytest.raises(ModelError, match="no model 'nowhere'"):
        train_translator(config(start="nowhere"), pairs, tmp_path)


@pytest.mark.parametrize("mode", ["paired", "unpaired"])
def test_a_run_leaves_what_a_person_needs(mode: str, pairs: list[Pair], tmp_path: Path) -> None:
    chosen = pairs if mode == "paired" else [p for p in pairs if p.look == "natural"]
    net = train_translator(config(mode=mode), chosen, tmp_path)
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.p*")}
    assert {"checkpoint.pt", "best.pt", "training.png", "samples/000002.png"} <= made
    assert read_log(tmp_path / "checks.csv")["score"][0] == [2, 4]
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("held out/score")] == [2, 4]
    assert all(torch.isfinite(value).all() for value in net.state_dict().values())


@pytest.mark.parametrize("mode", ["paired", "unpaired"])
def test_a_resumed_run_ends_with_the_same_weights(
    mode: str, pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(mode=mode)
    chosen = pairs if mode == "paired" else [p for p in pairs if p.look == "natural"]
    whole = train_translator(settings, chosen, tmp_path / "whole")

    def killed(*arguments: object) -> None:
        original(*arguments)
        raise KeyboardInterrupt

    original = run.save
    with monkeypatch.context() as patch:
        patch.setattr(run, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train_translator(settings, chosen, tmp_path / "cut")
    assert read_state(tmp_path / "cut/checkpoint.pt")["step"] == 2
    resumed = train_translator(settings, chosen, tmp_path / "cut", resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    for log in ("log.csv", "checks.csv"):
        assert (tmp_path / "cut" / log).read_text() == (tmp_path / "whole" / log).read_text()


def test_resuming_with_another_configuration_is_refused(pairs: list[Pair], tmp_path: Path) -> None:
    train_translator(config(), pairs, tmp_path)
    with pytest.raises(TrainingError, match="made with another configuration"):
        train_translator(config(seed=5), pairs, tmp_path, resume=True)
    with pytest.raises(TrainingError, match="no such checkpoint"):
        train_translator(config(), pairs, tmp_path / "elsewhere", resume=True)


def test_a_checkpoint_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(TrainingError, match="not a checkpoint of sar2opt, or damaged"):
        read_state(tmp_path / "checkpoint.pt")


def test_a_loss_that_is_not_finite_ends_it_and_names_the_pairs(
    pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_translator(config(), pairs, tmp_path)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    monkeypatch.setattr(TranslatorStep, "_uncertainty", lambda *_: torch.tensor(torch.nan))
    with pytest.raises(TrainingError, match=r"step 1: the loss uncertainty .* batch of sim_"):
        train_translator(config(), pairs, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.write_state({"step": 1}, path)

    def full(state: object, file: Path) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="the disk is full"):
        checkpoint.write_state({"step": 2}, path)
    assert read_state(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_training_ends_early_when_held_out_places_get_no_better(
    tmp_path: Path, pairs: list[Pair]
) -> None:
    settings = config(schedule={"steps": 40, "batch": 1, "checkpoint": 1, "patience": 2})
    drawn = sampler(pairs, settings)
    step = TranslatorStep(settings, drawn, "cpu")
    scores = iter([3.0, 2.0, 2.5, 2.1, 0.0])
    run.train_loop(
        step, drawn.rng, settings.schedule, tmp_path,
        check=lambda net, number: {"score": next(scores)},
    )  # fmt: skip
    assert read_state(tmp_path / "checkpoint.pt")["step"] == 4
    assert read_state(tmp_path / "best.pt")["step"] == 2


SHARED = """
import sys, torch
from torch import nn
from sar2opt.training.loop.parallel import join, leave, own_rank, share_gradients
join()
net = nn.Linear(3, 2)
for parameter in net.parameters():
    parameter.grad = torch.full_like(parameter, float(1 + 2 * own_rank()))
share_gradients(net)
assert all((parameter.grad == 2.0).all() for parameter in net.parameters())
leave()
"""


def test_processes_started_by_torchrun_average_their_gradients(tmp_path: Path) -> None:
    script = tmp_path / "shared.py"
    script.write_text(SHARED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", "2", str(script)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("file", ["checkpoint.pt", "best.pt"])
def test_a_checkpoint_becomes_a_bundle_with_the_looks_that_can_be_trusted(
    file: str, pairs: list[Pair], tmp_path: Path
) -> None:
    without_grey = [pair for pair in pairs if pair.look != "grey"]
    train_translator(config(), without_grey, tmp_path)
    chosen = [p for p in without_grey if (p.look, p.split) != ("vivid", "val")]
    path = pack_translator(
        tmp_path / file,
        chosen,
        tmp_path / "own.safetensors",
        About(remarks="A toy.", notices=("Simulated.",)),
    )
    translator = load_model(str(path), device="cpu")
    assert list(translator.card.looks) == ["natural", "grey", "clear"]  # vivid has no val places
    assert translator.card.default_look == "natural"
    assert translator.card.training["remarks"] == "A toy."
    assert translator.card.licences == ("Simulated.",)
    scores = np.array(translator.card.looks["natural"].scores)
    assert len(scores) == 101
    assert (np.diff(scores) >= 0).all()
    assert "mean colour" in next(
        v for k, v in translator.card.figures.items() if "test places" in k
    )
    image, scale = translator.paint(pairs[4].sar(NormalisationSettings()), "clear")
    assert image.shape == (3, 128, 128)
    assert scale.shape == (128, 128)
    sheet = tmp_path / "own_failures.jpg"
    assert f"]({sheet.name})" in path.with_suffix(".md").read_text()
    with Picture.open(sheet) as picture:  # a place of each look that has test places, and more
        assert picture.width >= 2 * 256
        assert picture.height > 3 * 256


def test_weights_between_two_trainings_are_packed(pairs: list[Pair], tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, seed in zip(folders, (1, 2), strict=True):
        train_translator(config(seed=seed), pairs, folder)
    files = [folder / "checkpoint.pt" for folder in folders]
    path = pack_translator(
        files[0], pairs, tmp_path / "mix.safetensors", blend=files[1], share=0.25
    )
    net, card = load_net(path)
    one, two = (read_state(file)["nets"]["average"]["head.weight"] for file in files)
    torch.testing.assert_close(net.state_dict()["head.weight"], 0.75 * one + 0.25 * two)
    assert card.training["blended in"].startswith("25% of the weights")
    other = tmp_path / "three"
    wider = SMALL.model_copy(update={"half": 16})
    train_translator(config(generator=wider), pairs, other)
    with pytest.raises(TrainingError, match="not of the same kind"):
        pack_translator(files[0], pairs, path, blend=other / "checkpoint.pt")
