"""Land cover beside trivial baselines: true labels of pixels, and labels of whole chips.

FOLDER holds ``chips/terramind``; ``pairs/``, where the script is run, is the set that
``sar2opt pairs build configs/pairs/sentinel.toml --data FOLDER --out pairs/`` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import uniform_filter
from torch.nn import functional

from sar2opt.nets.bundle import load_net
from sar2opt.nets.tagger import CLASSES
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.training.judging.methods import net_method, padded_to
from sar2opt.training.pairs.files import read_set
from sar2opt.training.pairs.pair import Pair
from sar2opt.training.tags.evaluate import (
    CHIP_LABELS,
    confusion,
    merged,
    on_chip_labels,
    read_true_labels,
    summary,
)

Floats = npt.NDArray[np.float32]
TAGGER = Path(__file__).parents[1] / "sar2opt/weights/tagger-s1.safetensors"
FOUR = ("water", "trees", "low", "built_up")
GIVEN = tuple(CLASSES.index(name) for name in ("water", "trees", "low_vegetation", "built_up"))
NEAR, AROUND = 5, 9  # pixels: sides of the windows of mean and texture
STEPS = 16  # thresholds tried of each kind
CHIPS = "sen12_grey"
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # on the linear layer's weights: chosen on validation places


def tags(folder: Path) -> None:
    """Judge tags on true labels and on labels of whole chips, beside baselines."""
    net, card = load_net(TAGGER)
    scores = net_method(net, card.stride)
    chips = [chip for _, *chip in read_true_labels(folder, card.normalisation)]
    print("| method | accuracy | " + " | ".join(FOUR) + " | mean IoU |\n" + "|---" * 7 + "|")
    for name, method in (
        ("all of the commonest class", lambda sar: np.full(sar.shape, GIVEN[2], np.uint8)),
        ("thresholds, the best for these very chips", best_thresholds(chips)),
        ("sar2opt: the tagger that ships", lambda sar: scores(sar).argmax(axis=0)),
    ):
        print(row(name, chips, method))
    pairs = read_set(Path("pairs"), sources=[CHIPS]).pairs
    print(
        "\n| label | chips | the tags show it | and on chips of other labels |\n" + "|---" * 4 + "|"
    )
    for label, found in on_chip_labels(scores, pairs, card.normalisation).items():
        print(f"| {label} | {found['chips']} | {found['recognised']} | {found['others']} |")
    tell_chips(net, pairs, card.normalisation)


def row(name: str, chips: Sequence[Any], method: Callable[[Floats], Any]) -> str:
    """Return a row of the table: a method on all chips ``(sar, truth)``."""
    counts = sum(confusion(truth, method(sar).astype(np.uint8)) for sar, truth in chips)
    total, names = merged(counts)
    figures = summary(total, names)
    cells = [figures["accuracy"], *(figures[f"iou_{name}"] for name in FOUR), figures["mean_iou"]]
    return f"| {name} | " + " | ".join(str(cell) for cell in cells) + " |"


def mean_and_texture(sar: Floats) -> tuple[Floats, Floats]:
    """Return the mean of normalised backscatter nearby and its standard deviation around."""
    sar = np.nan_to_num(sar)
    around = uniform_filter(sar, AROUND)
    spread = np.sqrt(np.maximum(uniform_filter(sar**2, AROUND) - around**2, 0.0))
    return uniform_filter(sar, NEAR), spread


def by_thresholds(sar: Floats, dark: float, wood: float, town: float, rough: float) -> Any:
    """Call dark ground water, bright or rough ground town, what lies between wood or low."""
    mean, spread = mean_and_texture(sar)
    there = is_town(mean, spread, wood, town, rough)
    return np.select([mean < dark, there, mean > wood], [GIVEN[0], GIVEN[3], GIVEN[1]], GIVEN[2])


def is_town(mean: Any, spread: Any, wood: float, town: float, rough: float) -> Any:
    return (mean > town) | ((mean > wood) & (spread > rough))


def best_thresholds(chips: Sequence[Any]) -> Callable[[Floats], Any]:
    """Return the thresholds with the best mean IoU on these chips: more than any could know."""
    known = [truth < len(CLASSES) for _, truth in chips]
    values = [mean_and_texture(sar) for sar, _ in chips]
    mean = np.concatenate([v[0][k] for v, k in zip(values, known, strict=True)])
    spread = np.concatenate([v[1][k] for v, k in zip(values, known, strict=True)])
    truth = np.concatenate([t[k] for (_, t), k in zip(chips, known, strict=True)])
    mean_edges = np.quantile(mean, np.linspace(0.02, 0.999, STEPS))
    spread_edges = np.quantile(spread, np.linspace(0.5, 0.999, STEPS))
    table = np.zeros((len(CLASSES), STEPS + 1, STEPS + 1), np.int64)
    np.add.at(table, (truth, np.digitize(mean, mean_edges), np.digitize(spread, spread_edges)), 1)
    best, chosen = -1.0, (0, 0, 0, 0)
    bright, rough = np.indices(table.shape[1:])
    for dark, wood, town, texture in product(range(STEPS), repeat=4):
        if dark <= wood <= town:
            given = np.select(
                [bright <= dark, is_town(bright, rough, wood, town, texture), bright > wood],
                [GIVEN[0], GIVEN[3], GIVEN[1]],
                GIVEN[2],
            )
            counts = np.zeros((len(CLASSES),) * 2, np.int64)
            for code in GIVEN:
                counts[:, code] = table[:, given == code].sum(axis=1)
            figure = float(summary(*merged(counts))["mean_iou"])  # type: ignore[arg-type]
            if figure > best:
                best, chosen = figure, (dark, wood, town, texture)
    dark, wood, town = (float(mean_edges[number]) for number in chosen[:3])
    return lambda sar: by_thresholds(sar, dark, wood, town, float(spread_edges[chosen[3]]))


def tell_chips(net: Any, pairs: Sequence[Pair], norm: NormalisationSettings) -> None:
    """Tell the label of whole chips, of four, by a linear layer fitted on the training places."""
    labelled = [pair for pair in pairs if pair.label in CHIP_LABELS]
    truth = torch.tensor([list(CHIP_LABELS).index(pair.label) for pair in labelled])
    split = np.array([pair.split for pair in labelled])
    print("\n| a chip's label, of four, told from | accuracy | " + " | ".join(CHIP_LABELS) + " |")
    print("|---" * 6 + "|")
    test = split == "test"
    common = int(torch.bincount(truth[torch.from_numpy(split == "train")]).argmax())
    print(chip_row("the commonest label", torch.full_like(truth, common)[test], truth[test]))
    images = [pair.sar(norm) for pair in labelled]
    statistics = torch.tensor(np.array([[np.nanmean(x), np.nanstd(x)] for x in images])).float()
    with torch.inference_mode():
        pooled = torch.stack([pool(net.net.encoder, image, 16) for image in images])
    for name, features in (
        ("mean and spread of its backscatter", statistics),
        ("what the tagger's encoder makes of it", pooled),
    ):
        given = fit_linear(features, truth, split)
        print(chip_row(name, given[test], truth[test]))


def pool(encoder: Any, image: Floats, stride: int) -> torch.Tensor:
    """Return mean and standard deviation over a chip of each channel of each stage."""
    stages = encoder(torch.from_numpy(padded_to(image, stride)[None, None]))[1:]
    return torch.cat([torch.cat([s.mean((2, 3)), s.std((2, 3))], dim=1)[0] for s in stages])


def fit_linear(features: torch.Tensor, truth: torch.Tensor, split: Any) -> torch.Tensor:
    """Return the label of each chip: logistic regression, labels in balance, L2 penalty.

    Fitted on training places; of the penalties the one that is best on validation places.
    """
    train, val = (torch.from_numpy(split == name) for name in ("train", "val"))
    centre, width = features[train].mean(dim=0), features[train].std(dim=0) + 1e-6
    scaled = (features - centre) / width
    weight = 1.0 / torch.bincount(truth[train]).float()
    best = (-1.0, truth)
    for penalty in PENALTIES:
        layer = logistic_regression(scaled[train], truth[train], weight, penalty)
        given = layer(scaled).argmax(dim=1)
        right = float((given[val] == truth[val]).float().mean())
        if right > best[0]:
            best = (right, given)
    return best[1]


def logistic_regression(
    features: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor, penalty: float
) -> torch.nn.Linear:
    """Return the layer of least weighted cross-entropy and L2 penalty."""
    layer = torch.nn.Linear(features.shape[1], len(weight))
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    solver = torch.optim.LBFGS(layer.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        error = functional.cross_entropy(layer(features), truth, weight)
        total = error + penalty * (layer.weight**2).sum() / 2
        total.backward()
        return total

    solver.step(loss)
    return layer


def chip_row(name: str, given: torch.Tensor, truth: torch.Tensor) -> str:
    right = given == truth
    each = [f"{float(right[truth == k].float().mean()):.3f}" for k in range(len(CHIP_LABELS))]
    return f"| {name} | {float(right.float().mean()):.3f} | " + " | ".join(each) + " |"


PARTS = {"tags": tags}
