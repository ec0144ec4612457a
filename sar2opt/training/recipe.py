"""From a configuration file to a finished bundle: read, train, judge, pack."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from sar2opt.config import load_config
from sar2opt.errors import ConfigError
from sar2opt.nets.bundle import round_as_stored, save_bundle
from sar2opt.nets.generator import Generator
from sar2opt.tiles.engine import keep_freed_memory
from sar2opt.training.cards import About
from sar2opt.training.crops import CropSampler
from sar2opt.training.floods import FloodTraining, flood_card, read_floods, train_floods
from sar2opt.training.judging.semantics import save_teacher
from sar2opt.training.loop.checkpoint import CHECKPOINT
from sar2opt.training.loop.parallel import is_first, join, leave, own_device, own_rank
from sar2opt.training.loop.run import train_loop
from sar2opt.training.pack import pack_translator
from sar2opt.training.pack_tagger import pack_tagger
from sar2opt.training.pairs.files import read_set
from sar2opt.training.pairs.pair import Pair
from sar2opt.training.pairs.sources import read_pairs
from sar2opt.training.tags.chips import read_label_chips
from sar2opt.training.tags.infrared import label_by_infrared
from sar2opt.training.tags.object_labels import with_objects
from sar2opt.training.tags.own_labels import read_own_labels
from sar2opt.training.tags.settings import TaggerTraining
from sar2opt.training.tags.student import train_student
from sar2opt.training.tags.teacher import train_teacher
from sar2opt.training.tags.weak_labels import (
    WeakPair,
    label_by_chip,
    label_weakly,
)
from sar2opt.training.translation.paired import TranslatorStep, TranslatorTraining
from sar2opt.training.translation.unpaired import UnpairedStep
from sar2opt.training.translation.watch import Watcher

TEACHER = "teacher.safetensors"  # what ``sar2opt evaluate --teacher`` reads


def train(
    config_file: Path, data: Path, out: Path, *, resume: bool = False, device: str = "auto"
) -> Path:
    """Make the bundle that a configuration describes; returns the ``.safetensors`` file.

    ``data`` is a set of pairs for a translator, and for a tagger the folder that the sources'
    paths are relative to. Raises ``ConfigError``, ``SceneError``, ``TrainingError`` or
    ``ModelError``.
    """
    try:
        kind = tomllib.loads(config_file.read_text(encoding="utf-8")).get("kind")
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{config_file}: cannot be read as TOML: {error}") from error
    recipes = {"translator": _translator, "tagger": _tagger, "flood": _flood}
    if kind not in recipes:
        raise ConfigError(f"{config_file}: kind must be one of {', '.join(recipes)}, not {kind!r}")
    keep_freed_memory()
    torch.set_flush_denormal(True)
    try:
        return recipes[kind](config_file, data, out, resume, device)
    finally:
        torch.set_flush_denormal(False)  # it holds for the whole process


def _translator(config_file: Path, data: Path, out: Path, resume: bool, device: str) -> Path:
    config = load_config(config_file, TranslatorTraining)
    found = read_set(data, sources=config.weights or None)
    join()
    try:
        train_translator(config, found.pairs, out, resume=resume, device=own_device(device))
    finally:
        leave()
    bundle = out / f"{config.name}.safetensors"
    if not is_first():
        return bundle
    recipe = f"{config_file.parent.name}/{config_file.name}".removeprefix("/")
    about = About(recipe, notices=found.notices)
    return pack_translator(out / CHECKPOINT, found.pairs, bundle, about)


def train_translator(
    config: TranslatorTraining,
    pairs: Sequence[Pair],
    out: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
) -> Generator:
    """Train on the training places of ``pairs``; return the averaged net.

    Leaves below ``out`` what a person and ``--resume`` need: ``checkpoint.pt``, ``best.pt``,
    ``log.csv``, ``checks.csv``, ``training.png``, ``samples/``.
    """
    torch.manual_seed(config.seed)
    weights = config.weights or dict.fromkeys((pair.source for pair in pairs), 1.0)
    sampler = CropSampler(
        pairs, weights, config.smooth, config.norm, config.augment, config.crop,
        np.random.default_rng((config.seed, own_rank())),
    )  # fmt: skip
    make = TranslatorStep if config.mode == "paired" else UnpairedStep
    step: TranslatorStep | UnpairedStep = make(config, sampler, device)
    check = Watcher(pairs, config.norm, device, out) if is_first() else None
    train_loop(
        step, sampler.rng, config.schedule, out,
        resume=resume, config=config.model_dump_json(), check=check,
    )  # fmt: skip
    average = copy.deepcopy(step.average.net).eval()
    assert isinstance(average, Generator)
    return average


def _tagger(config_file: Path, data: Path, out: Path, resume: bool, device: str) -> Path:
    config = load_config(config_file, TaggerTraining)
    pairs = read_pairs(data, config.sources, config.norm) if config.sources else []
    pairs += read_set(config.pairs).pairs if config.pairs else []
    weak = read_own_labels(data, config)
    if any(pair.look == "natural" for pair in pairs):
        weak += _taught(config, pairs, data, out, resume)
    weak += label_by_chip(pairs, config.chip_labels)
    if config.infrared:
        weak += label_by_infrared(pairs, config.infrared)
    if not any(item.pair.split == "train" for item in weak):
        raise ConfigError(f"{config_file}: nothing to learn from: give labels, pairs or sources")
    begun = (out / "student" / "checkpoint.pt").exists()
    net = train_student(config, weak, out, resume=resume and begun)
    return pack_tagger(net, config, config_file.name, pairs, weak, data, out)


def _taught(
    config: TaggerTraining, pairs: Sequence[Pair], data: Path, out: Path, resume: bool
) -> list[WeakPair]:
    """Return what a teacher, trained on the optical labels below ``data``, says of the pairs."""
    chips = read_label_chips(data)
    teacher = train_teacher(config, chips, out, resume=resume)
    save_teacher(teacher, out / TEACHER)
    weak = label_weakly(teacher, pairs, chips, config.confidence)
    return [with_objects(item) for item in weak] if config.objects else weak


def _flood(config_file: Path, data: Path, out: Path, resume: bool, device: str) -> Path:
    config = load_config(config_file, FloodTraining)
    pairs = read_floods(data / config.train, config.run)
    test = read_floods(data / config.test, config.run) if config.test else []
    net = train_floods(config, pairs, out, resume=resume)
    round_as_stored(net)
    path = out / f"{config.name}.safetensors"
    save_bundle(net, flood_card(config, config_file.name, net, pairs, test), path)
    return path
