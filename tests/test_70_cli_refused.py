"""Bad input: one clear line, exit code 2, nothing left behind."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import zarr
from affine import Affine
from cli_process import run_cli
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from scene_files import speckled, write

from sar2opt.nets.bundle_files import find_bundle
from sar2opt.nets.models import choose_device

Cli = Callable[..., tuple[int, str, str]]
Arguments = list[object]

POWER = speckled((96, 96))
COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
POINTS = [GroundControlPoint(r, c, 11 + c * 1e-4, 45 - r * 1e-4) for r in (0, 95) for c in (0, 95)]
ON_ONE_PLACE = [GroundControlPoint(point.row, point.col, 11, 45) for point in POINTS]
NEAR = shapely.box(500_100, 3_999_300, 500_700, 3_999_900)
BOWTIE = shapely.Polygon([(500_100, 3_999_900), (500_700, 3_999_300), (500_700, 3_999_900),
                          (500_100, 3_999_300)])  # fmt: skip


def check_refused(
    result: tuple[int, str, str], message: str, *outs: Path, work_began: bool = False
) -> None:
    """Check for exit code 2, one line that holds ``message``, and folders that are not there."""
    code, said, told = result
    lines = told.splitlines()
    assert code == 2, told
    assert said == ""
    assert lines[-1].startswith("sar2opt: ")
    assert message in lines[-1]
    assert sum(line.startswith("sar2opt: ") for line in lines) == 1
    assert "Traceback" not in told
    if not work_began:
        assert len(lines) == 1, told
    for out in outs:
        assert not out.exists()


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A small scene that nothing is wrong with."""
    return write(tmp_path / "s_vh.tif", POWER)


# ---- scenes --------------------------------------------------------------------------------------


def no_such_file(folder: Path) -> Arguments:
    return [folder / "nowhere.tif"]


def a_folder(folder: Path) -> Arguments:
    return [folder]


def zero_size(folder: Path) -> Arguments:
    (folder / "s.tif").touch()
    return [folder / "s.tif"]


def no_raster(folder: Path) -> Arguments:
    (folder / "s.tif").write_text("dear sir or madam")
    return [folder / "s.tif"]


def cut_off(folder: Path) -> Arguments:
    path = write(folder / "s_vv.tif", POWER)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return [path]


def header_cut_off(folder: Path) -> Arguments:
    path = write(folder / "s_vv.tif", POWER)
    path.write_bytes(path.read_bytes()[:40])
    return [path]


def pixels_damaged(folder: Path) -> Arguments:
    path = write(folder / "s_vv.tif", POWER)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)
    return [path]


def no_crs(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER, crs=None)]


def points_only(folder: Path) -> Arguments:
    return [
        write(
            folder / "s_vv.tif",
            POWER,
            crs="EPSG:4326",
            transform=None,
            gcps=[GroundControlPoint(p.row, p.col, 76, 10) for p in POINTS],
        )
    ]


def identity_transform(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER, transform=Affine.identity())]


def all_no_data(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", np.full_like(POWER, np.nan), nodata=np.nan)]


def a_picture(folder: Path) -> Arguments:
    picture = np.random.default_rng(0).integers(1, 255, (3, 64, 64)).astype(np.uint8)
    return [write(folder / "s.tif", *picture, colours=COLOURS)]


def complex_pixels(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER.astype(np.complex64))]


def nameless_band(folder: Path) -> Arguments:
    return [write(folder / "s.tif", POWER)]


def missing_band(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--polarisation", "hh"]


def unknown_band(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--polarisation", "red"]


def wrong_scale(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", 10 * np.log10(POWER)), "--scale", "amplitude"]


def power_as_display(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--scale", "display-dB"]


def one_pixel(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER[:1, :1].copy())]


def unknown_scale(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--scale", "decibel"]


# ---- layers --------------------------------------------------------------------------------------


def layer(path: Path, shape: Any, crs: str = "EPSG:32632", **columns: Any) -> Path:
    gpd.GeoDataFrame({name: [value] for name, value in columns.items()} or {"a": [1]},
                     geometry=[shape], crs=crs).to_file(path)  # fmt: skip
    return path


def area_outside(folder: Path) -> Arguments:
    outside = layer(folder / "a.geojson", shapely.box(2, 48, 3, 49), "EPSG:4326")
    return [write(folder / "s_vv.tif", POWER), "--aoi", outside]


def area_not_valid(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--aoi", layer(folder / "a.gpkg", BOWTIE)]


def no_area(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--aoi", folder / "nowhere.geojson"]


def area_is_no_layer(folder: Path) -> Arguments:
    (folder / "a.geojson").write_text('{"type": "FeatureCollection", "fea')
    return [write(folder / "s_vv.tif", POWER), "--aoi", folder / "a.geojson"]


def with_reference(folder: Path, rules: str | None, *more: object) -> Arguments:
    reference = layer(folder / "r.gpkg", NEAR, use="forest")
    words: Arguments = [write(folder / "s_vv.tif", POWER), "--reference", reference, *more]
    if rules is not None:
        (folder / "allow.toml").write_text(rules)
        words += ["--allow", folder / "allow.toml"]
    return words


def reference_without_the_column(folder: Path) -> Arguments:
    return with_reference(folder, 'forest = ["trees"]', "--column", "landuse")


def reference_without_rules(folder: Path) -> Arguments:
    return with_reference(folder, None, "--column", "use")


def rules_with_an_unknown_tag(folder: Path) -> Arguments:
    return with_reference(folder, 'forest = ["tree"]', "--column", "use")


def reference_outside(folder: Path) -> Arguments:
    reference = layer(folder / "far.gpkg", shapely.box(2, 48, 3, 49), "EPSG:4326", use="forest")
    words = with_reference(folder, 'forest = ["trees"]', "--column", "use")
    return [*words, "--reference", reference]


def rules_without_reference(folder: Path) -> Arguments:
    (folder / "allow.toml").write_text('forest = ["trees"]')
    return [write(folder / "s_vv.tif", POWER), "--allow", folder / "allow.toml"]


def rules_for_no_class(folder: Path) -> Arguments:
    return with_reference(folder, 'sea = ["water"]', "--column", "use")


# ---- settings ------------------------------------------------------------------------------------


def with_config(folder: Path, text: str) -> Arguments:
    (folder / "my.toml").write_text(text)
    return [write(folder / "s_vv.tif", POWER), "--config", folder / "my.toml"]


def unknown_key(folder: Path) -> Arguments:
    return with_config(folder, "[engine]\nblok = 512\n")


def unknown_section(folder: Path) -> Arguments:
    return with_config(folder, "[engin]\nblock = 512\n")


def value_out_of_range(folder: Path) -> Arguments:
    return with_config(folder, "[engine]\nblock = 8\n")


def odd_block(folder: Path) -> Arguments:
    return with_config(folder, "[engine]\nblock = 100\n")


def guard_beyond_background(folder: Path) -> Arguments:
    return with_config(folder, "[anomalies]\nguard = 30\n")


def even_filter_window(folder: Path) -> Arguments:
    return with_config(folder, '[prepare]\ndespeckle = "lee"\ndespeckle_window = 4\n')


def no_toml(folder: Path) -> Arguments:
    return with_config(folder, "engine: {block: 512}\n")


def no_config(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--config", folder / "nowhere.toml"]


def unknown_look(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--look", "pretty"]


def no_scheduler(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--scheduler", "nonsense"]


# ---- models --------------------------------------------------------------------------------------


def a_pickle(folder: Path) -> Arguments:
    (folder / "net.pt").write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    return [write(folder / "s_vv.tif", POWER), "--model", folder / "net.pt"]


def a_pickle_in_disguise(folder: Path) -> Arguments:
    (folder / "net.safetensors").write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    return [write(folder / "s_vv.tif", POWER), "--tagger", folder / "net.safetensors"]


def a_model_cut_off(folder: Path) -> Arguments:
    content = find_bundle("translator-s1").read_bytes()
    (folder / "net.safetensors").write_bytes(content[: len(content) // 2])
    return [write(folder / "s_vv.tif", POWER), "--model", folder / "net.safetensors"]


def no_model(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--model", "translator-x"]


def a_tagger_as_translator(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--model", "tagger-s1"]


def a_translator_as_tagger(folder: Path) -> Arguments:
    return [write(folder / "s_vv.tif", POWER), "--tagger", "translator-s1"]


REFUSED = [
    (no_such_file, "no such file"),
    (a_folder, "this is a folder"),
    (zero_size, "the file is empty (0 bytes)"),
    (no_raster, "not a GeoTIFF"),
    (cut_off, "cut off"),
    (header_cut_off, "damaged or cut off"),
    (pixels_damaged, "the file is damaged"),
    (no_crs, "no CRS"),
    (points_only, "no mesh of places"),
    (identity_transform, "no geotransform"),
    (all_no_data, "every pixel of the scene is no data"),
    (a_picture, "in colour, not SAR"),
    (complex_pixels, "complex"),
    (nameless_band, "--polarisation"),
    (missing_band, "no band hh"),
    (unknown_band, "unknown polarisation 'red'"),
    (wrong_scale, "cannot be amplitude"),
    (power_as_display, "too little for display-dB"),
    (one_pixel, "too small"),
    (unknown_scale, "scale"),
    (area_outside, "lies outside the scene"),
    (area_not_valid, "is not valid"),
    (no_area, "no such file"),
    (area_is_no_layer, "not a vector file"),
    (reference_without_the_column, "no column 'landuse'; there are: use"),
    (reference_without_rules, "--allow"),
    (reference_outside, "lies outside the scene"),
    (rules_without_reference, "--allow needs --reference"),
    (rules_with_an_unknown_tag, "unknown tag 'tree'; the nearest is 'trees'"),
    (rules_for_no_class, "no rule of allow fits a class of the reference layer; its classes are: "),
    (unknown_key, "unknown setting 'engine.blok'; the nearest known is 'engine.block'"),
    (unknown_section, "unknown setting 'engin'; the nearest known is 'engine'"),
    (value_out_of_range, "engine.block"),
    (odd_block, "must be a multiple of"),
    (guard_beyond_background, "must be smaller than anomalies.background"),
    (even_filter_window, "must be odd"),
    (no_toml, "cannot be read as TOML"),
    (no_config, "cannot be read as TOML"),
    (unknown_look, "no look 'pretty'"),
    (no_scheduler, "no scheduler is called 'nonsense': say threads or tcp://HOST:PORT"),
    (a_pickle, "never loaded"),
    (a_pickle_in_disguise, "never loaded"),
    (a_model_cut_off, "cut off"),
    (no_model, "no model 'translator-x'"),
    (a_tagger_as_translator, "is no translator"),
    (a_translator_as_tagger, "is no tagger"),
]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # while writing it
@pytest.mark.parametrize(
    ("make", "message"), REFUSED, ids=lambda value: getattr(value, "__name__", "")
)
def test_one_line_and_nothing_left_behind(
    make: Callable[[Path], Arguments], message: str, tmp_path: Path, cli: Cli
) -> None:
    out = tmp_path / "out"
    words = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    check_refused(cli("run", *words, "--out", out / "deep"), message, out)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_scheduler_that_does_not_answer_is_found_later(
    scene: Path, tmp_path: Path, cli: Cli
) -> None:
    words = ["--scheduler", "tcp://127.0.0.1", "--out", tmp_path / "out" / "deep"]
    message = "no Dask scheduler answers at tcp://127.0.0.1"
    check_refused(cli("run", scene, *words), message, tmp_path / "out", work_began=True)


@pytest.mark.parametrize("make", [cut_off, header_cut_off, pixels_damaged, a_picture, no_such_file,
                                  area_is_no_layer, a_model_cut_off])  # fmt: skip
def test_libraries_add_no_lines_of_their_own(
    make: Callable[[Path], Arguments], tmp_path: Path
) -> None:
    words = [str(word) for word in make(tmp_path)]
    result = run_cli(tmp_path / "process", "run", *words, "--out", str(tmp_path / "out"))
    check_refused(result, "", tmp_path / "out")


def test_no_cuda(scene: Path, tmp_path: Path, cli: Cli) -> None:
    if choose_device("auto") == "cuda":
        pytest.skip("there is a CUDA device")
    result = cli("run", scene, "--device", "cuda", "--out", tmp_path / "out")
    check_refused(result, "use --device cpu", tmp_path / "out")


@pytest.mark.parametrize("command", ["run", "info"])
def test_debug_shows_the_traceback(command: str, tmp_path: Path) -> None:
    words = ["--debug", command, str(tmp_path / "nowhere.tif")]
    code, _, told = run_cli(tmp_path / "process", *words)
    assert code == 1
    assert told.count("Traceback") >= 1
    assert "SceneError" in told.splitlines()[-1]


@pytest.mark.parametrize("words", [("info",), ("models", "show")])
def test_other_commands_refuse_alike(words: tuple[str, ...], tmp_path: Path, cli: Cli) -> None:
    check_refused(cli(*words, tmp_path / "nowhere"), "nowhere")


@pytest.mark.parametrize(
    "words",
    [("run",), ("run", "--nonsense", "s.tif"), ("run", "s.tif", "--device", "abacus"),
     ("run", "s.tif", "--nodata", "none"), ("nonsense",), ("info",), ("run", "a.tif", "b.tif")],
)  # fmt: skip
def test_wrong_usage_ends_with_code_2(words: tuple[str, ...], cli: Cli) -> None:
    code, said, told = cli(*words)
    assert (code, said) == (2, "")
    assert "Usage: sar2opt" in told
    assert "Traceback" not in told


# ---- what is written -----------------------------------------------------------------------------


def test_products_that_exist_are_kept(scene: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    (out / "s_vh").mkdir(parents=True)
    (out / "s_vh" / "s_vh.gpkg").write_text("mine")
    check_refused(cli("run", scene, "--out", out), "give --overwrite to replace it")
    assert [path.name for path in out.rglob("*")] == ["s_vh", "s_vh.gpkg"]
    assert (out / "s_vh" / "s_vh.gpkg").read_text() == "mine"


@pytest.mark.parametrize("name", ["out", "out/s_vh"])
def test_a_file_in_the_way(scene: Path, tmp_path: Path, name: str, cli: Cli) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("a file")
    before = sorted(tmp_path.rglob("*"))
    check_refused(cli("run", scene, "--out", tmp_path / "out"), "cannot be written")
    assert sorted(tmp_path.rglob("*")) == before


FULL = OSError(errno.ENOSPC, "No space left on device")


def fill_up_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, number: int) -> None:
    """Let the disk be full at one call of a function."""
    original, calls = getattr(owner, name), 0

    def counted(*args: Any, **how: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            raise FULL
        return original(*args, **how)

    monkeypatch.setattr(owner, name, counted)


@pytest.mark.parametrize(
    ("owner", "name", "number"),
    [
        (zarr, "create_array", 3),  # the staging store is made
        (zarr.Array, "__setitem__", 1),  # blocks are staged
        (zarr.Array, "__setitem__", 9),
        (Path, "touch", 2),
        (rasterio.io.DatasetWriter, "write", 2),  # products are written
        (Image.Image, "save", 1),
        (Path, "touch", 5),  # they are about to be moved
    ],
)
def test_a_full_disk(
    owner: Any,
    name: str,
    number: int,
    scene: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cli: Cli,
) -> None:
    (tmp_path / "my.toml").write_text("[engine]\nblock = 64\nworkers = 2\n")  # four blocks
    fill_up_at(monkeypatch, owner, name, number)
    words = ["run", scene, "--config", tmp_path / "my.toml", "--out", tmp_path / "out" / "deep"]
    check_refused(cli(*words), "the disk is full", tmp_path / "out", work_began=True)


@pytest.mark.parametrize("largest", [3_000, 150_000])  # blocks, rasters
def test_writes_that_the_system_refuses(largest: int, scene: Path, tmp_path: Path) -> None:
    words = ["run", str(scene), "--out", str(tmp_path / "out" / "deep")]
    result = run_cli(tmp_path / "process", *words, largest_file=largest)
    check_refused(result, "cannot be written", tmp_path / "out", work_began=True)


def test_an_older_product_survives_a_full_disk(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    out = tmp_path / "out"
    (out / "s_vh").mkdir(parents=True)
    (out / "s_vh" / "s_vh.gpkg").write_text("older")
    fill_up_at(monkeypatch, rasterio.io.DatasetWriter, "write", 1)
    result = cli("run", scene, "--out", out, "--overwrite")
    check_refused(result, "the disk is full", work_began=True)
    assert sorted(path.name for path in out.rglob("*")) == ["s_vh", "s_vh.gpkg"]
    assert (out / "s_vh" / "s_vh.gpkg").read_text() == "older"
