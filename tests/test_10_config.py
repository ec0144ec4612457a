"""Settings: defaults that print and read back, and errors that name the cure."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from sar2opt.config import RunConfig, default_toml, load_config, parse_config, to_toml
from sar2opt.errors import ConfigError, ConventionError
from sar2opt.raster import check_raster, describe, make_raster, pixel_area_m2


def test_the_printed_default_is_the_default(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text(default_toml(RunConfig))
    assert load_config(file, RunConfig) == RunConfig()


def test_settings_survive_toml(tmp_path: Path) -> None:
    config = load_config(None, RunConfig, {"scene.path": "a b.tif", "output.vectors": ["geojson"]})
    file = tmp_path / "my.toml"
    file.write_text(to_toml(config))
    assert load_config(file, RunConfig) == config


def test_every_setting_is_explained() -> None:
    text = default_toml(RunConfig)
    for name, section in RunConfig.model_fields.items():
        assert f"[{name}]" in text
        for key, field in section.annotation.model_fields.items():
            assert field.description, f"{name}.{key}"
            assert field.description in text
    tomllib.loads(text)


def test_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('[translate]\nlok = "grey"\n')
    with pytest.raises(ConfigError, match=r"'translate\.lok'.*'translate\.look'"):
        load_config(file, RunConfig)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[engine]\nblock = 3\n", "engine.block"),
        ("[engine\n", "cannot be read as TOML"),
        ("scene = 3\n", "scene"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "my.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(file, RunConfig)
    assert "\n" not in str(caught.value)


def test_overrides_win_and_none_is_skipped() -> None:
    config = load_config(None, RunConfig, {"translate.look": "grey", "scene.scale": None})
    assert config.translate.look == "grey"
    assert config.scene.scale == "auto"
    assert parse_config({"tag": {"model": "x"}}, RunConfig).tag.model == "x"


def box(crs: str = "EPSG:32633", at: tuple[float, float] = (500000.0, 4000000.0)) -> GeoBox:
    x, y = at
    step = 10.0 if crs != "EPSG:4326" else 0.0001
    return GeoBox.from_bbox((x, y, x + 20 * step, y + 10 * step), crs, resolution=step)


def test_a_raster_carries_its_grid_and_words() -> None:
    raster = make_raster(np.zeros((1, 10, 20), "f4"), box(), ["vv"], quantity="sigma0",
                         scale="linear", source="S", assumptions=["a"])  # fmt: skip
    assert raster.odc.geobox == box()
    facts = describe(raster)
    assert facts["bands"] == ["vv"]
    assert facts["crs"] == "EPSG:32633"
    assert facts["assumptions"] == ["a"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.astype("f8"), "float64"),
        (lambda r: r.transpose("y", "x", "band"), "dims"),
        (lambda r: r.assign_attrs(quantity="colour"), "quantity"),
        (lambda r: r.drop_vars(["x", "y", "spatial_ref"]), "no grid"),
    ],
)
def test_what_breaks_the_convention_is_refused(change, words: str) -> None:
    raster = make_raster(np.zeros((1, 10, 20), "f4"), box(), ["vv"], quantity="sigma0",
                         scale="linear")  # fmt: skip
    with pytest.raises(ConventionError, match=words):
        check_raster(change(raster))


@pytest.mark.parametrize(
    ("grid", "area"),
    [
        (box(), 100.0 / 0.9996**2),  # UTM shrinks by 0.9996 at its central meridian
        (box("EPSG:3395", (0.0, 0.0)), 100.0),  # Mercator is true at the equator
        (box("EPSG:4326", (10.0, 60.0)), 11.132 * 11.132 * np.cos(np.radians(60))),
    ],
)
def test_pixel_area_is_that_on_the_ground(grid: GeoBox, area: float) -> None:
    assert pixel_area_m2(grid) == pytest.approx(area, rel=0.01)
