"""The same pixels: whatever the blocks, the workers or the cluster, and after being killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_process import MOMENTS, kill_cli
from planted import Case, hidden, pixels, planted_power, settings, write_planted
from safetensors import safe_open
from safetensors.numpy import save_file
from scene_files import write

import sar2opt
from sar2opt.config import RunConfig, load_config
from sar2opt.errors import OutputError
from sar2opt.nets.bundle_files import find_bundle
from sar2opt.nets.models import Translator
from sar2opt.pipeline import Products
from sar2opt.pipeline.plan import RunPlan, make_plan
from sar2opt.sar.clutter import ca_cfar_factor, ring_cells
from sar2opt.tiles.plan import Window

BLOCKS = 6  # of 64 pixels in the part of the planted scene that is made over and over
PLACE = ["kind", "score", "area_m2", "pixels", "lon", "lat", "geometry"]


def write_part(path: Path) -> Path:
    """Write a part of the planted scene, with both targets, in six blocks of 64 pixels."""
    part = planted_power()[36:164, 68:260]
    return write(path, part, names=("VH",), nodata=np.nan, tags={"SCALE": "power"})


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Products:
    """What a run makes of the part that nothing interrupts."""
    folder = tmp_path_factory.mktemp("part")
    scene = write_part(folder / "part.tif")
    return sar2opt.run(settings(scene, folder / "out", engine={"block": 64}))


def check_same(products: Products, expected: Products) -> None:
    """Check that rasters and tables are the same, to the last bit."""
    for name in ("optical", "trust", "tags"):
        np.testing.assert_array_equal(pixels(products.folder, name), pixels(expected.folder, name))
    for name in ("objects", "anomalies"):
        assert getattr(products, name).equals(getattr(expected, name))
    files = [sorted(path.name for path in one.folder.iterdir()) for one in (products, expected)]
    assert files[0] == files[1]
    assert len(expected.anomalies) >= 2


# ---- blocks and workers --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large_blocks(tmp_path_factory: pytest.TempPathFactory) -> Products:
    folder = tmp_path_factory.mktemp("large")
    scene = write_planted(folder / "planted.tif")
    return sar2opt.run(settings(scene, folder, engine={"block": 256, "workers": 2}))


@pytest.mark.parametrize("product", ["optical", "trust"])
def test_images_do_not_depend_on_blocks_and_workers(
    utm: Case, large_blocks: Products, product: str
) -> None:
    small, large = pixels(utm.products.folder, product), pixels(large_blocks.folder, product)
    assert small.shape == large.shape
    assert np.abs(small.astype(int) - large.astype(int)).max() <= 1
    if product == "trust":
        np.testing.assert_array_equal(small == 255, large == 255)


def test_tags_do_not_depend_on_blocks_and_workers(utm: Case, large_blocks: Products) -> None:
    small, large = pixels(utm.products.folder, "tags"), pixels(large_blocks.folder, "tags")
    np.testing.assert_array_equal(small == 255, large == 255)
    assert (small != large).mean() < 0.002


def test_detections_do_not_depend_on_blocks_and_workers(utm: Case, large_blocks: Products) -> None:
    assert len(large_blocks.anomalies) == 2
    # the id names the surroundings' tag, which may differ by what the tags may
    assert large_blocks.anomalies[PLACE].equals(utm.products.anomalies[PLACE])


def test_blocks_without_data_cost_nothing(
    utm: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = write_planted(tmp_path / "planted.tif")
    plan = make_plan(settings(scene, tmp_path / "out", engine={"block": 64}))

    def forbid(*_: Any) -> None:
        raise AssertionError("the net is asked")

    monkeypatch.setattr(Translator, "predict_bytes", forbid)
    empty, full = Window(0, 64, 192, 256), Window(64, 128, 0, 64)
    assert not utm.valid[empty.slices].any()
    plan.job(empty)
    assert plan.staging.is_done(empty)
    with pytest.raises(AssertionError, match="the net is asked"):
        plan.job(full)


def test_a_cluster_of_two_processes_makes_the_same(
    part: Products, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_part(tmp_path / "part.tif")
    monkeypatch.chdir(tmp_path)  # where the workers are not
    told = []
    products = sar2opt.run(
        settings(
            Path("part.tif"),
            Path("out"),
            engine={"block": 64, "scheduler": cluster.scheduler_address},
        ),
        progress=lambda step, done, total: told.append((step, done, total)),
    )
    check_same(products, part)
    done = [done for step, done, _ in told if step == "making blocks"]
    assert len(done) == BLOCKS
    assert done == sorted(done)
    assert done[-1] == 128 * 192
    assert hidden(tmp_path) == []


# ---- killed and started again --------------------------------------------------------------------

STAGED = {
    "after the first block": 1,
    "within a block": 3,
    "while publishing": BLOCKS,
    "while moving": BLOCKS,
    "before cleaning": BLOCKS,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_and_ends_with_the_same_pixels(
    part: Products, tmp_path: Path, moment: str
) -> None:
    scene, out, toml = tmp_path / "part.tif", tmp_path / "out", tmp_path / "my.toml"
    write_part(scene)
    toml.write_text("[engine]\nblock = 64\nworkers = 1\n")
    how = ["run", str(scene), "--out", str(out), "--config", str(toml)]
    kill_cli(tmp_path / "process", moment, *how)
    assert hidden(out)

    config = load_config(toml, RunConfig, {"scene.path": scene, "output.folder": out})
    products = sar2opt.run(config)
    assert products.figures["resumed_blocks"] == STAGED[moment]
    check_same(products, part)
    assert hidden(out) == []


def test_what_a_killed_run_moved_is_not_taken_for_products_of_another_run(tmp_path: Path) -> None:
    scene, out = write_part(tmp_path / "part.tif"), tmp_path / "out"
    kill_cli(tmp_path / "process", "while moving", "run", str(scene), "--out", str(out))
    with pytest.raises(OutputError, match="--overwrite"):
        make_plan(settings(scene, out, translate={"look": "grey"}))
    plan = make_plan(settings(scene, out, engine={"workers": 0}))
    assert plan.overwrite


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    """A planned run."""
    folder = tmp_path_factory.mktemp("staged")
    scene = write_planted(folder / "planted.tif")
    return make_plan(settings(scene, folder, engine={"block": 64, "precision": "float32"}))


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"engine": {"workers": 2, "scheduler": "tcp://127.0.0.1:1"}}, True),
        ({"output": {"vectors": ("geojson",)}, "objects": {"min_area_m2": 1.0}}, True),
        ({"engine": {"block": 128}}, False),
        ({"engine": {"precision": "bfloat16"}}, False),
        ({"translate": {"look": "grey"}}, False),
        ({"prepare": {"despeckle": "lee"}}, False),
        ({"scene": {"nodata": 0.0}}, False),
        ({"anomalies": {"false_alarm": 1e-6}}, False),
        ({"anomalies": {"clutter": "gamma"}}, True),  # too little dark ground: gamma anyway
    ],
    ids=str,
)
def test_staged_blocks_belong_to_a_run_of_the_same_pixels(
    staged: RunPlan, tmp_path: Path, change: Any, same: bool
) -> None:
    assert staged.config.scene.path is not None
    engine = {"block": 64, "precision": "float32"} | change.get("engine", {})
    config = settings(staged.config.scene.path, tmp_path, **{**change, "engine": engine})
    assert (make_plan(config).job.fingerprint == staged.job.fingerprint) == same


def test_too_little_dark_ground_is_taken_for_gamma_of_the_stated_looks(staged: RunPlan) -> None:
    (said,) = [text for text in staged.facts.assumptions if text.startswith("the clutter")]
    assert "gamma of 4.4 looks (as the file says), for its dark ground amounts to" in said
    assert staged.job.cfar.factor == ca_cfar_factor(1e-7, 4.4, ring_cells(9, 20))


def test_staged_blocks_belong_to_the_scene_as_it_was(tmp_path: Path) -> None:
    before = make_plan(settings(write_planted(tmp_path / "planted.tif"), tmp_path))
    after = make_plan(settings(write_planted(tmp_path / "planted.tif"), tmp_path))
    assert after.job.fingerprint != before.job.fingerprint


def test_a_model_that_is_trained_anew_under_its_name_is_loaded_anew(tmp_path: Path) -> None:
    scene = write(tmp_path / "s_vh.tif", planted_power()[60:156, 94:190], nodata=np.nan)
    model = tmp_path / "mine.safetensors"
    how = {"translate": {"model": str(model)}, "output": {"folder": tmp_path, "overwrite": True}}
    pictures = []
    for gain in (1.0, 0.5):
        with safe_open(find_bundle("translator-s1"), framework="np") as bundle:
            tensors = {name: bundle.get_tensor(name) for name in bundle.keys()}  # noqa: SIM118
            card = bundle.metadata()
        scaled = {
            name: value * value.dtype.type(gain) if value.dtype.kind == "f" else value
            for name, value in tensors.items()
        }
        save_file(scaled, model, metadata=card)
        pictures.append(pixels(sar2opt.run(settings(scene, tmp_path, **how)).folder, "optical"))
    assert (pictures[0] != pictures[1]).any()
