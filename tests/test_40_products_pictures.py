"""Preview and report: what people look at is right, marked as generated, and self-contained."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image
from product_scene import CARD, Scene, anomaly_rows, facts, finished_scene, grid

from sar2opt.errors import OutputError
from sar2opt.products.classes import CLASSES
from sar2opt.products.drawing import (
    PANEL,
    WARNING,
    fitting_size,
    length_in_words,
    plain,
    round_length,
    text_width,
    wrap,
)
from sar2opt.products.facts import ModelFacts
from sar2opt.products.pictures import (
    Pictures,
    crop_pictures,
    ground_width_m,
    read_pictures,
    trust_palette,
)
from sar2opt.products.preview import MARK, draw_preview, worth_showing, write_preview
from sar2opt.products.report import write_report
from sar2opt.products.styles import ANOMALY_COLOURS

ORANGE = ANOMALY_COLOURS["bright_target"][1]


def pictures_of(scene: Scene) -> Pictures:
    return read_pictures(scene.paths, scene.sar, scene.facts.geobox)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return finished_scene(tmp_path_factory.mktemp("scene"))


# pictures


def test_pictures_are_cut_to_the_data_and_keep_their_place(scene: Scene) -> None:
    pictures = pictures_of(scene)
    rows, cols = pictures.tags.shape
    assert (rows, cols) == (600, 608)  # the left 200 of 800 columns are empty; a margin stays
    assert pictures.geobox.boundingbox == scene.facts.geobox[:, 192:800].boundingbox
    np.testing.assert_array_equal(pictures.valid, scene.valid[:, 192:])
    np.testing.assert_array_equal(pictures.tags, scene.tags[:, 192:])
    np.testing.assert_array_equal(
        pictures.optical[:, pictures.valid], scene.optical[:, scene.valid]
    )
    assert pictures.sar.shape == (rows, cols)
    assert pictures.sar[100, 300] == scene.sar[50, (300 + 192) // 2]


def test_large_scenes_make_small_pictures(scene: Scene) -> None:
    pictures = read_pictures(scene.paths, scene.sar, scene.facts.geobox, side=150)
    assert max(pictures.tags.shape) == 150
    assert pictures.geobox.shape == pictures.tags.shape
    inside = pictures.optical[:, pictures.valid]
    assert abs(inside.mean() - scene.optical[:, scene.valid].mean()) < 1
    assert set(np.unique(pictures.tags)) <= {*range(6), 255}


def test_views_are_transparent_where_there_is_no_data(scene: Scene) -> None:
    pictures = pictures_of(scene)
    for view in pictures.views().values():
        np.testing.assert_array_equal(np.asarray(view)[..., 3] > 0, pictures.valid)
    tags = np.asarray(pictures.views()["tags"])[..., :3]
    for entry in CLASSES:
        assert (tags[pictures.tags == entry.code] == entry.colour).all()


def test_trust_gets_darker_as_it_rises() -> None:
    lightness = trust_palette()[:101].astype(int).sum(axis=1)
    assert (np.diff(lightness) <= 0).all()
    assert lightness[0] > lightness[50] > lightness[100]


def test_an_anomaly_is_found_at_its_pixel(scene: Scene) -> None:
    rows = anomaly_rows(scene.facts.geobox, [(100, 300), (500, 700)])
    assert pictures_of(scene).pixel_of(rows) == [
        pytest.approx((300 - 192, 100)),
        pytest.approx((700 - 192, 500)),
    ]


def test_crops_are_centred_and_stop_at_the_edge(scene: Scene) -> None:
    rows = anomaly_rows(scene.facts.geobox, [(100, 300), (2, 797)])

    def read_sar(y0: int, y1: int, x0: int, x1: int) -> Any:
        return scene.optical[0, y0:y1, x0:x1]

    inner, corner = (
        crop_pictures(scene.paths, read_sar, scene.facts.geobox, shape) for shape in rows.geometry
    )
    assert inner["optical"].size == (48, 48)
    expected = np.moveaxis(scene.optical[:, 76:124, 276:324], 0, 2)
    np.testing.assert_array_equal(np.asarray(inner["optical"]), expected)
    np.testing.assert_array_equal(np.asarray(inner["sar"]), expected[..., 0])
    assert corner["optical"].size == (27, 26)
    alone = crop_pictures(scene.paths, None, scene.facts.geobox, rows.geometry[0])
    assert list(alone) == ["optical"]


@pytest.mark.parametrize(
    ("crs", "affine", "expected"),
    [
        ("EPSG:32631", Affine(10, 0, 500_000, 0, -10, 5_000_000), 10 / 0.9996),
        ("EPSG:3395", Affine(10, 0, 0, 0, -10, 8_362_698), 5.01),  # 60 degrees north
        ("EPSG:4326", Affine(0.001, 0, 3, 0, -0.001, 60.05), 55.80),
    ],
)
def test_the_scale_bar_is_true_on_the_ground(crs: str, affine: Affine, expected: float) -> None:
    assert ground_width_m(GeoBox((100, 100), affine, crs)) == pytest.approx(expected, rel=3e-3)


# words


@pytest.mark.parametrize(
    ("longest", "length"), [(999, 500), (1000, 1000), (7.3, 5), (0.3, 0.2), (45_000, 20_000)]
)
def test_scale_bars_have_round_lengths(longest: float, length: float) -> None:
    assert round_length(longest) == pytest.approx(length)


def test_words() -> None:
    assert (length_in_words(20_000), length_in_words(500)) == ("20 km", "500 m")
    assert plain("Köln – 3 km² · 45°") == "Koln - 3 km2 · 45°"
    assert plain("東") == "?"
    lines = wrap("one two three four five six " + "x" * 300, 15, 120, 2)
    assert len(lines) == 2
    assert lines[-1].endswith("...")
    assert all(text_width(line, 15) <= 120 for line in lines)
    assert wrap("short", 15, 120, 2) == ["short"]
    assert text_width(MARK, fitting_size(MARK, 18, 250)) <= 250


# preview


def find(image: Image.Image, colour: tuple[int, int, int]) -> Any:
    """Return rows and columns of the pixels of a colour."""
    return np.argwhere((np.asarray(image) == colour).all(axis=2))


def test_the_preview_marks_what_is_generated_and_where_nothing_is_known(scene: Scene) -> None:
    image = draw_preview(scene.facts, pictures_of(scene), anomaly_rows(scene.facts.geobox, []))
    assert image.width == 1600
    bars = find(image, WARNING)
    assert len(bars) > 3 * 30 * 500  # the bars of image, land cover and trust
    first = bars[bars[:, 0] < 160]
    assert first[:, 1].min() > 800  # the radar, top left, has none
    assert len(find(image, PANEL)) > 1000


def test_anomalies_are_marked_where_they_are(scene: Scene) -> None:
    pictures = pictures_of(scene)
    rows = anomaly_rows(scene.facts.geobox, [(450, 400)])
    image = draw_preview(scene.facts, pictures, rows)
    left, top, width = 816, 168, 736  # of the generated image on the sheet
    scale = width / pictures.tags.shape[1]
    at = np.array([top + 450 * scale, left + (400 - 192) * scale])
    ring = find(image, ORANGE)
    ring = ring[np.abs(ring - at).max(axis=1) <= 8]
    assert len(ring) > 20
    assert np.hypot(*(ring - at).T).min() > 5  # it rings the place and does not hide it


@pytest.mark.parametrize("shape", [(900, 200), (200, 900), (30, 40), (1, 1)])
@pytest.mark.parametrize("bands", [1, 3])
def test_scenes_of_any_shape_get_a_preview(shape: tuple[int, int], bands: int) -> None:
    rng = np.random.default_rng(0)
    geobox = grid(*shape)
    layer = rng.integers(0, 6, shape, dtype=np.uint8)
    pictures = Pictures(geobox, layer, np.repeat(layer[None], bands, axis=0), layer, layer)
    known = facts(
        geobox,
        scene="a" * 300,
        acquired="",
        assumptions=("x " * 500,),
        simulated=True,
        models=(),
    )
    count = 25 if shape != (1, 1) else 1
    places = [
        (int(rng.integers(0, shape[0])), int(rng.integers(0, shape[1]))) for _ in range(count)
    ]
    image = draw_preview(known, pictures, anomaly_rows(geobox, places, kind="of another kind"))
    assert image.width == 1600
    assert image.height < 3000


def test_the_preview_file_says_that_it_is_generated(scene: Scene, tmp_path: Path) -> None:
    rows = anomaly_rows(scene.facts.geobox, [(100, 300)])
    path = write_preview(tmp_path / "S_preview.png", scene.facts, pictures_of(scene), rows)
    with Image.open(path) as image:
        image.load()
        assert image.text["GENERATED"].startswith("YES")  # type: ignore[attr-defined]
        assert image.text["MODEL"] == "translator-x"  # type: ignore[attr-defined]
    with pytest.raises(OutputError, match="cannot be written"):
        write_preview(tmp_path / "no" / "x.png", scene.facts, pictures_of(scene), rows)


# report


class Page(HTMLParser):
    """Collects what a page holds, and refuses tags that do not close."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def report(
    folder: Path, scene: Scene, anomalies: gpd.GeoDataFrame | None = None, **changes: Any
) -> str:
    known = facts(scene.facts.geobox, **changes)
    if anomalies is None:
        anomalies = anomaly_rows(known.geobox, [(100, 300), (300, 500)])
    path = write_report(
        folder / "S_report.html",
        known,
        pictures_of(scene),
        anomalies,
        tag_counts=np.bincount(scene.tags.ravel(), minlength=256),
        trust_counts=np.bincount(scene.trust.ravel(), minlength=256),
        crop=lambda shape: crop_pictures(scene.paths, None, known.geobox, shape),
        files=list(scene.paths.values()),
    )
    return path.read_text(encoding="utf-8")


def test_the_report_is_one_self_contained_page(scene: Scene, tmp_path: Path) -> None:
    text = report(tmp_path, scene)
    page = Page(text)
    assert page.tags["script"] == page.tags["link"] == page.tags["iframe"] == 0
    for tag, name, value in page.attributes:
        if name == "src":
            assert value.startswith("data:image/"), (tag, name)
        if name == "href":
            assert value in [path.name for path in scene.paths.values()]  # products beside it
    assert page.tags["img"] == 4 + 2
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in re.sub(r"data:image[^\"]*", "", text)


def test_the_report_and_its_image_say_that_they_are_generated(scene: Scene, tmp_path: Path) -> None:
    text = report(tmp_path, scene)
    assert MARK in text
    assert "it is not a photograph" in text
    uris = re.findall(r'<img src="data:image/jpeg;base64,([^"]*)" alt="Image generated', text)
    (picture,) = uris
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB"))
    corner = image[2:10, 2:10].reshape(-1, 3).mean(axis=0)
    assert np.abs(corner - WARNING).max() < 12  # whoever saves the picture saves the mark


def test_areas_and_trust_add_up(scene: Scene, tmp_path: Path) -> None:
    text = report(tmp_path, scene)
    km2 = [
        float(v) for v in re.findall(r'<td class="number">([\d.,]+)</td><td class="number">', text)
    ]
    assert sum(km2) == pytest.approx(600 * 600 * 1e-4, rel=0.01)  # 36 km2 of data
    assert km2 == sorted(km2, reverse=True)
    assert "36.0 km²" in text
    shares = re.findall(r'% *</td><td class="number">([\d.]+)</td>\s*<td class="bar"><i', text)
    assert len(shares) == 5
    assert sum(map(float, shares)) == pytest.approx(100, abs=0.3)
    assert "off by less than 10 % of the full range" in text


def test_the_chart_of_areas_is_drawn_in_the_page(scene: Scene, tmp_path: Path) -> None:
    text = report(tmp_path, scene)
    widths = [
        float(width) for width in re.findall(r'<rect x="[\d.]+" y="0" width="([\d.]+)"', text)
    ]
    assert len(widths) == 6
    assert sum(widths) == pytest.approx(100, abs=0.01)
    assert "trust is below 50 %" in text
    assert "<details>" in text
    assert not re.search(r'(src|href)="(https?:)?//', text)  # opens without a network


def test_the_report_shows_cards_assumptions_and_how_to_repeat_it(
    scene: Scene, tmp_path: Path
) -> None:
    text = report(tmp_path, scene)
    for words in (
        "Anything that matters.",
        "Must not be used for",
        "Simulated data.",
        "Taken as terrain-corrected.",
        "sar2opt run S.tif --out out/",
        "scale = &#34;auto&#34;",
        "ab" * 32,
        "EPSG:32631",
    ):
        assert words in text
    assert "<th>mean colour</th><td>14.7</td><td>0.12</td>" in text
    assert set(Page(text).ids) == {"model-translator", "model-tagger"}  # STAC links there


def test_figures_of_any_form_are_shown(scene: Scene, tmp_path: Path) -> None:
    figures = {"chips": 24, "by class": {"water": [0.9, 0.8], "trees": {"IoU": 0.5}}}
    models = (ModelFacts("tagger", "t", "ef" * 32, {**CARD, "figures": figures}),)
    text = report(tmp_path, scene, models=models)
    Page(text)
    for words in ("chips", "24", "0.9, 0.8", "IoU"):
        assert words in text
    bare = report(tmp_path, scene, models=(ModelFacts("translator", "t", "ef" * 32, {}),))
    assert "The bundle carries no summary." in bare


def test_text_from_strangers_is_not_markup(scene: Scene, tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>'
    rows = anomaly_rows(scene.facts.geobox, [(100, 300)], reason=evil, kind=evil)
    text = report(tmp_path, scene, rows, source=evil, assumptions=(evil,), settings=evil)
    assert Page(text).tags["script"] == 0
    assert text.count("&lt;script&gt;alert(1)") == 5  # the strongest reason is in the summary too


def test_a_report_without_anomalies(scene: Scene, tmp_path: Path) -> None:
    rows = anomaly_rows(scene.facts.geobox, [])
    text = report(tmp_path, scene, rows, assumptions=(), acquired="", simulated=True)
    assert "Nothing was flagged" in text
    assert "acquisition time unknown" in text
    assert "Simulated scene" in text
    assert "the source says all that was needed" in text


def test_only_the_strongest_anomalies_are_shown(scene: Scene, tmp_path: Path) -> None:
    rows = anomaly_rows(scene.facts.geobox, [(20 * i, 300) for i in range(1, 20)])
    text = report(tmp_path, scene, rows)
    assert Page(text).tags["article"] == 10 + 2  # and the two models
    assert "19 in all: 19 × bright target" in text
    assert "The 10 strongest are shown" in text


def test_of_each_kind_one_is_shown_however_many_stronger_ones_there_are(
    scene: Scene, tmp_path: Path
) -> None:
    kinds = ["bright_target"] * 18 + ["change"]
    rows = anomaly_rows(scene.facts.geobox, [(20 * i, 300) for i in range(1, 20)], kind=kinds)
    shown = worth_showing(rows)
    assert list(shown["id"]) == [*map(str, range(9)), "18"]
    text = report(tmp_path, scene, rows)
    assert re.findall(r"</span>([\w ]+)</h3>", text) == ["Bright target"] * 9 + [
        "Change since earlier scenes"
    ]


def test_names_below_the_chart_have_room(scene: Scene, tmp_path: Path) -> None:
    text = report(tmp_path, scene)
    parts = re.findall(r'width="([\d.]+)" height="5"[^>]*>\s*<text[^>]*>([^<]+)<', text)
    assert parts
    assert all(len(words) < float(width) for width, words in parts)


def test_no_name_of_a_column_is_left_for_people(scene: Scene, tmp_path: Path) -> None:
    known = facts(scene.facts.geobox)
    features = gpd.GeoDataFrame(
        {"use": ["park"], "area_m2": [1e4], "anomalies": [3], "kinds": ["reference_disagreement 3"],
         "flagged_share": [0.5]},
        geometry=[scene.facts.geobox.extent.geom], crs=scene.facts.geobox.crs.to_wkt(),
    )  # fmt: skip
    path = write_report(
        tmp_path / "S_report.html", replace(known, figures={"seconds_blocks": 1.5}),
        pictures_of(scene), anomaly_rows(known.geobox, [(100, 300)]),
        tag_counts=np.bincount(scene.tags.ravel(), minlength=256),
        trust_counts=np.bincount(scene.trust.ravel(), minlength=256),
        crop=lambda shape: {}, features=features,
    )  # fmt: skip
    text = path.read_text(encoding="utf-8")
    assert "disagrees with the reference 3" in text
    assert "<th>seconds blocks</th>" in text
    assert "reference_disagreement" not in text
