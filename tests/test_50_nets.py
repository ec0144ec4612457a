"""One battery of tests that every net passes, and the bundles that carry them."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sar2opt.errors import ModelError
from sar2opt.nets.bundle import load_net, save_bundle
from sar2opt.nets.bundle_files import find_bundle, read_card, shipped_bundles
from sar2opt.nets.card import Card, Look
from sar2opt.nets.discriminator import MultiScaleDiscriminator, scores_of
from sar2opt.nets.fused import ConvAct, fuse_activations
from sar2opt.nets.generator import Generator, GeneratorSettings
from sar2opt.nets.inner import decode_inner
from sar2opt.nets.layers import STRIDE, find_margin, fold_batch_norm
from sar2opt.nets.models import NO_DATA, FloodModel, TagModel, Translator, load_model
from sar2opt.nets.tagger import CLASSES, Tagger, TaggerSettings
from sar2opt.sar.normalise import NormalisationSettings
from sar2opt.synth import SceneSpec, make_scene
from sar2opt.tiles.apply import predict_block, read_padded
from sar2opt.tiles.plan import Plan, Window

BUNDLES = shipped_bundles()


def fresh(kind: str) -> nn.Module:
    """Return a net with random weights and lived-in batch norms."""
    torch.manual_seed(3)
    net = Generator(GeneratorSettings()) if kind == "generator" else Tagger(TaggerSettings())
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net.eval().requires_grad_(False)


def look(bands: tuple[str, ...], scale: str) -> Look:
    affine = tuple(map(tuple, np.eye(len(bands), len(bands) + 1).tolist()))
    scores = tuple(np.linspace(0.0, 4.0, 101).tolist())
    return Look(bands=bands, scale=scale, affine=affine, legend="A test.", scores=scores)


def card_of(kind: str, net: nn.Module) -> Card:
    return Card(
        name="test", kind="translator" if kind == "generator" else "tagger", summary="A test.",
        architecture=type(net).__name__,
        settings=GeneratorSettings().model_dump() if kind == "generator" else {},
        polarisations=("vh",), bands_out=net.bands_out, input_units="power", pixel_m=(8, 15),
        normalisation=NormalisationSettings(), margin=48, stride=STRIDE,
        looks={} if kind == "tagger" else {
            "natural": look(("red", "green", "blue"), "natural_scale"),
            "grey": look(("grey",), "grey_scale"),
        },
        default_look="natural",
        training={"command": "none"}, figures={}, licences=("none",), limits=("everything",),
    )  # fmt: skip


@pytest.fixture(params=["generator", "tagger"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_margin_is_finite_and_pays_for_small_blocks(kind: str) -> None:
    margin = find_margin(fresh(kind))
    assert 16 < margin <= 48
    net = fresh(kind)
    tile = torch.rand(1, 1, 160, 160)
    other = tile.clone()
    other[..., : 80 - margin, :] = torch.rand(80 - margin, 160)
    other[..., :, : 80 - margin] = torch.rand(160, 80 - margin)
    assert torch.equal(net(tile)[..., 80, 80], net(other)[..., 80, 80])


def test_a_net_that_sees_the_whole_tile_has_no_margin() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.InstanceNorm2d(2))
    with pytest.raises(ValueError, match="not finite"):
        find_margin(net)


def test_no_layer_takes_statistics_over_its_tile(kind: str) -> None:
    banned = (nn.InstanceNorm2d, nn.GroupNorm, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
    assert not [module for module in fresh(kind).modules() if isinstance(module, banned)]


def test_batch_size_does_not_matter(kind: str) -> None:
    net = fold_batch_norm(fresh(kind))
    tiles = torch.rand(3, 1, 96, 96)
    single = torch.cat([net(tile[None]) for tile in tiles])
    torch.testing.assert_close(net(tiles), single, rtol=0, atol=1e-5)


def test_folding_keeps_the_function(kind: str) -> None:
    net = fresh(kind)
    folded = fold_batch_norm(net)
    assert not [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    tile = torch.rand(1, 1, 96, 96)
    torch.testing.assert_close(folded(tile), net(tile), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_fusing_keeps_the_function(kind: str, precision: torch.dtype) -> None:
    if precision == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("oneDNN does not convolve in bfloat16 on this processor")
    folded = fold_batch_norm(fresh(kind)).to(precision, memory_format=torch.channels_last)
    fused = fuse_activations(copy.deepcopy(folded))
    assert sum(isinstance(module, ConvAct) for module in fused.modules()) >= 10
    tile = torch.randn(2, 1, 96, 96).to(precision, memory_format=torch.channels_last)
    # equal to the bit where both choose one kernel, which depends on the processor
    torch.testing.assert_close(fused(tile), folded(tile))


def test_saved_and_loaded_is_bit_equal(kind: str, tmp_path: Path) -> None:
    net = fresh(kind)
    path = tmp_path / "test.safetensors"
    save_bundle(net, card_of(kind, net), path)
    loaded, card = load_net(path)
    tile = torch.rand(1, 1, 64, 64)
    assert torch.equal(loaded(tile), net(tile))
    assert Card.model_validate_json(path.with_suffix(".json").read_text()) == card
    assert "Must not be used for" in path.with_suffix(".md").read_text()


def test_the_discriminator_judges_patches() -> None:
    found = MultiScaleDiscriminator(channels_in=4)(torch.rand(2, 4, 64, 64))
    assert [scale[-1].shape for scale in found] == [(2, 1, 8, 8), (2, 1, 4, 4)]
    assert scores_of(found).shape == (2 * (8 * 8 + 4 * 4),)


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    with pytest.raises(ModelError, match="never loaded"):
        load_model(str(path))


def test_what_is_cut_off_or_does_not_fit_is_refused(kind: str, tmp_path: Path) -> None:
    net = fresh(kind)
    path = tmp_path / "test.safetensors"
    save_bundle(net, card_of(kind, net), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cut off"):
        load_model(str(path))
    tensors = net.state_dict()
    tensors.pop(next(iter(tensors)))
    save_file(tensors, path, metadata={"card": card_of(kind, net).model_dump_json()})
    with pytest.raises(ModelError, match="do not fit"):
        load_model(str(path))
    save_file(net.state_dict(), path)
    with pytest.raises(ModelError, match="no model card"):
        load_model(str(path))
    with pytest.raises(ModelError, match="no model 'nothing'"):
        find_bundle("nothing")


def test_bundles_ship_and_are_small() -> None:
    assert {read_card(path).kind for path in BUNDLES} == {"translator", "tagger", "flood"}
    assert all(path.stat().st_size < 16e6 for path in BUNDLES)
    assert sum(path.stat().st_size for path in BUNDLES) < 40e6


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.stem)
def test_a_shipped_card_is_true_and_complete(path: Path) -> None:
    net, card = load_net(path)
    bands = card.settings["channels_in"]
    most = {"translator": 48, "tagger": 216, "flood": 520}[card.kind]
    assert card.margin == find_margin(net, bands, card.stride) <= most
    assert card.figures
    assert card.limits
    assert card.licences
    assert card.training["command"].startswith("sar2opt train configs/")
    assert Card.model_validate_json(path.with_suffix(".json").read_text()) == card
    assert path.with_suffix(".md").read_text() == card.markdown()


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.stem)
def test_shipped_nets_keep_the_law_of_tiling(path: Path) -> None:
    model = load_model(path.stem)
    rng, bands = np.random.default_rng(5), len(model.bands_in)
    scene = np.cumsum(rng.normal(0, 0.1, (bands, 250, 301)), axis=2).clip(-3, 1).astype("f4")
    scene[:, 60:90, 100:140] = np.nan

    def bytes_of(window: Window) -> tuple[np.ndarray, np.ndarray]:
        output = predict_block(model, lambda w: read_padded(scene, w), window)
        if isinstance(model, Translator):
            return model.render(output, "natural")
        if isinstance(model, FloodModel):
            percent = np.nan_to_num(np.rint(100 * output[1:]), nan=NO_DATA)
            return percent, percent
        return model.choose(output)

    whole = bytes_of(Window(0, 250, 0, 301))
    assert (whole[1][0, 60:90, 100:140] == NO_DATA).all()
    assert (whole[1][0] == NO_DATA).sum() == 30 * 40
    for window in Plan((250, 301), 64, STRIDE).blocks():
        for part, complete in zip(bytes_of(window), whole, strict=True):
            cut = complete[(slice(None), *window.slices)].astype(int)
            if isinstance(model, TagModel) and part is not None:
                assert (part != cut).mean() < 0.002  # two classes may tie within rounding
            else:
                assert np.abs(part.astype(int) - cut).max() <= 1


def test_a_scene_is_translated_and_tagged_lazily() -> None:
    spec = SceneSpec("small", kind="plain", shape=(136, 150), seed=4, swath=True)
    scene = make_scene(spec).sar
    translator, tagger = load_model("translator-s1"), load_model("tagger-s1")
    image = translator(scene, look="grey")
    assert list(image.band.values) == ["grey", "trust"]
    assert image.odc.geobox == scene.odc.geobox
    assert image.chunks is not None
    values = image.compute()
    missing = np.isnan(scene.sel(band="vh")).values
    np.testing.assert_array_equal(np.isnan(values[0]), missing)
    assert float(values[0].min()) >= 0
    assert float(values[0].max()) <= 1
    tags = tagger(scene)
    assert tuple(tags.band.values) == CLASSES
    np.testing.assert_allclose(tags.sum("band").values[~missing], 1.0, rtol=1e-4)


@pytest.mark.parametrize("stages", [3, 4])
def test_a_unet_that_decodes_the_inner_part_gives_the_same_there(stages: int) -> None:
    torch.manual_seed(1)
    net = Tagger(TaggerSettings(decoder="unet", stages=stages)).eval()
    margin = {3: 55, 4: 126}[stages]
    side = 2 * margin // 16 * 16 + 96
    tile = torch.randn(1, 1, side, side + 32)
    inside = (..., slice(margin, -margin), slice(margin, -margin))
    with torch.inference_mode():
        whole, inner = net(tile), decode_inner(net, margin)(tile)
    assert whole.shape == inner.shape
    assert torch.equal(whole[inside], inner[inside])
    assert (inner[..., :4, :] == 0).all()  # it did less
    small = tile[..., :128, :96]
    with torch.inference_mode():
        assert torch.equal(net(small), decode_inner(net, margin)(small))
    linknet = Tagger(TaggerSettings())
    assert decode_inner(linknet, margin) is linknet
