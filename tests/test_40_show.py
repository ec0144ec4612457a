"""``show``: what is drawn, and that what a net made says so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from planted import Case
from product_scene import anomaly_rows, finished_scene, grid, object_rows

import sar2opt
from sar2opt.errors import ConfigError, OutputError
from sar2opt.products.preview import MARK
from sar2opt.products.reopen import open_product
from sar2opt.products.views import SIDE, views_of
from sar2opt.raster import TAGS, make_raster


def radar(rows: int = 40, cols: int = 60, crs: str = "EPSG:32631") -> Any:
    power = np.full((2, rows, cols), 0.1, np.float32)
    power[:, : rows // 2] = 1.0
    power[:, :, 0] = np.nan
    grid_of = grid(rows, cols, crs)
    return make_raster(power, grid_of, ["vv", "vh"], quantity="gamma0", scale="linear")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scene = finished_scene(tmp_path)
    rows = anomaly_rows(grid(), [(100, 400), (300, 500)], reason="<script>")
    rows.to_file(tmp_path / "S.gpkg", layer="anomalies")
    assert scene.paths["optical"].exists()
    return tmp_path


def titles(figure: Any) -> list[str]:
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


# ---- views ---------------------------------------------------------------------------------------


def test_backscatter_is_stretched_and_no_data_is_transparent() -> None:
    vv, vh = views_of(radar())
    assert (vv.title, vh.title) == ("Radar backscatter, VV, dB", "Radar backscatter, VH, dB")
    assert not vv.generated
    assert (vv.pixels[0, 1, 0], vv.pixels[-1, 1, 0]) == (255, 0)
    assert (vv.pixels[:, 0, 3] == 0).all()
    assert (vv.pixels[:, 1:, 3] == 255).all()


def test_a_large_raster_is_thinned_in_its_place() -> None:
    lon = np.broadcast_to(np.arange(3000, dtype=np.float32), (1, 30, 3000)).copy()
    wide = make_raster(lon, grid(30, 3000), ["trust"], quantity="trust", scale="linear")
    (view,) = views_of(wide)
    assert view.pixels.shape == (10, SIDE, 4)
    assert view.geobox.boundingbox == wide.odc.geobox.boundingbox


def test_likeliest_tag_and_imagery_with_trust() -> None:
    shares = np.zeros((len(TAGS), 2, 2), np.float32)
    shares[3] = 1.0
    shares[:, 0, 0] = np.nan
    (tags,) = views_of(make_raster(shares, grid(2, 2), TAGS, quantity="tags", scale="linear"))
    assert tuple(tags.pixels[1, 1]) == (240, 197, 66, 255)
    assert tags.pixels[0, 0, 3] == 0
    made = np.full((4, 2, 2), 0.5, np.float32)
    names = ["red", "green", "blue", "trust"]
    image, trust = views_of(
        make_raster(made, grid(2, 2), names, quantity="optical", scale="linear")
    )
    assert tuple(image.pixels[0, 0]) == (128, 128, 128, 255)
    assert image.generated
    assert trust.generated


def test_on_a_web_map_a_picture_lies_where_its_raster_does() -> None:
    _, ((south, west), (north, east)) = views_of(radar(100, 100))[0].on_web_map()
    corners = gpd.GeoSeries.from_xy([400_000, 401_000], [4_999_000, 5_000_000], crs="EPSG:32631")
    lonlat = corners.to_crs("EPSG:4326")
    assert [west, east] == pytest.approx(list(lonlat.x), abs=5e-4)
    assert [south, north] == pytest.approx(list(lonlat.y), abs=5e-4)


# ---- the figure ----------------------------------------------------------------------------------


def test_products_are_shown_with_their_marks_and_anomalies(folder: Path) -> None:
    figure = sar2opt.show(folder)
    assert titles(figure) == [
        MARK, "Land cover, generated from radar", "Trust in the image, generated from radar",
    ]  # fmt: skip
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "2"]
    assert figure.axes[1].get_legend().get_texts()[0].get_text() == "Water"


def test_the_radar_of_an_earlier_run_is_shown_too(utm: Case) -> None:
    figure = sar2opt.show(utm.products.folder)
    assert titles(figure)[:2] == ["Radar backscatter, VH", MARK]
    radar = open_product(utm.products.folder, "sar")
    assert (radar.attrs["scale"], list(radar.band.values)) == ("uint8", ["vh"])
    assert np.array_equal(np.isfinite(radar.values[0]), utm.valid)
    assert sar2opt.show(utm.products.folder, swipe=True).titles[0] == "Radar backscatter, VH"


def test_a_list_is_shown_side_by_side(folder: Path) -> None:
    figure = sar2opt.show([radar(), folder])
    assert len(titles(figure)) == 5
    assert MARK in titles(figure)


@pytest.mark.parametrize("what", [[], 7])
def test_what_cannot_be_shown_is_refused(what: Any) -> None:
    with pytest.raises(ConfigError, match="show"):
        sar2opt.show(what)


def test_one_way_at_a_time(folder: Path) -> None:
    with pytest.raises(ConfigError, match="not both"):
        sar2opt.show(folder, swipe=True, map=True)


# ---- widgets -------------------------------------------------------------------------------------


def test_a_swipe_of_radar_and_image(folder: Path) -> None:
    pytest.importorskip("anywidget", reason="the extra notebook is not installed")
    widget = sar2opt.show([radar(600, 800).sel(band=["vv"]), folder], swipe=True)
    assert list(widget.titles) == ["Radar backscatter, VV, dB", MARK]
    assert list(widget.generated) == [False, True]
    assert widget.left.startswith("data:image/png;base64,")
    assert "http" not in widget._esm


def test_a_swipe_wants_one_place(folder: Path) -> None:
    pytest.importorskip("anywidget", reason="the extra notebook is not installed")
    with pytest.raises(ConfigError, match="do not lie on the same place"):
        sar2opt.show([radar().sel(band=["vv"]), folder], swipe=True)
    with pytest.raises(ConfigError, match="wants two pictures"):
        sar2opt.show(radar().sel(band=["vv"]), swipe=True)


def test_a_map_asks_no_server_and_says_generated(folder: Path) -> None:
    ipyleaflet = pytest.importorskip("ipyleaflet", reason="the extra notebook is not installed")
    chart = sar2opt.show(folder, map=True)
    images = [layer for layer in chart.layers if isinstance(layer, ipyleaflet.ImageOverlay)]
    assert [layer.opacity for layer in images] == [1.0, 0.0, 0.0]
    assert all(layer.url.startswith("data:") for layer in images)
    assert not any(isinstance(layer, ipyleaflet.TileLayer) for layer in chart.layers)
    (group,) = (layer for layer in chart.layers if isinstance(layer, ipyleaflet.LayerGroup))
    assert group.layers[0].popup.value == "&lt;script&gt; (score 0.90)"
    said = [getattr(control.widget, "value", "") for control in chart.controls
            if isinstance(control, ipyleaflet.WidgetControl)]  # fmt: skip
    assert any(MARK in str(value) for value in said)


def test_a_map_of_radar_alone_shows_its_first_band_without_the_mark() -> None:
    ipyleaflet = pytest.importorskip("ipyleaflet", reason="the extra notebook is not installed")
    chart = sar2opt.show(radar(), map=True)
    assert [(layer.name, layer.opacity) for layer in chart.layers] == [
        ("Radar backscatter, VV, dB", 1.0), ("Radar backscatter, VH, dB", 0.0),
    ]  # fmt: skip
    controls = [one for one in chart.controls if isinstance(one, ipyleaflet.WidgetControl)]
    assert len(controls) == 1  # the sliders
    pixel = 360 / 256 / 2**chart.zoom  # degrees of longitude; the raster is 600 m wide
    assert 0.25 < 600 / (pixel * 111_320 * np.cos(np.radians(45))) / 400 <= 1


def test_without_the_extra_it_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipyleaflet", None)
    monkeypatch.delitem(sys.modules, "sar2opt.products.widgets", raising=False)
    monkeypatch.delattr("sar2opt.products.widgets", raising=False)
    with pytest.raises(OutputError, match=r"pip install 'sar2opt\[notebook\]'"):
        sar2opt.show(folder, map=True)


def test_products_show_themselves_in_a_notebook(folder: Path) -> None:
    (folder / "<b>.txt").touch()
    figures = {"megapixels": 0.48}
    found = sar2opt.Products(
        folder, object_rows(grid()), anomaly_rows(grid(), []), figures, ("a&b",)
    )
    page = found._repr_html_()
    assert MARK in page
    assert "megapixels <b>0.48</b>" in page
    assert "a&amp;b" in page
    assert "&lt;b&gt;.txt" in page
    assert "http" not in page
    assert "<script" not in page
