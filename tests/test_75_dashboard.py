"""The page in a real browser: what a person does with it, and that it needs no other server."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, chromium
from PIL import Image
from planted import Case
from served import server

pytest.importorskip("titiler.extensions", reason="serve is an extra: pip install '.[serve]'")
pytest.importorskip("playwright.sync_api", reason="pip install playwright")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium: apt install chromium")

AXE = Path(__file__).with_name("axe") / "axe.min.js"
PLANTED = "scene=planted"


@pytest.fixture(scope="module")
def address(out: Path) -> Iterator[str]:
    with server(out) as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as one:
        yield one


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Open the page; when the test ends, it must have raised no error and asked nobody else."""
    complaints: list[str] = []
    opened: list[Any] = []

    def open_page(view: str = PLANTED, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}} | options)
        page = context.new_page()
        opened.append(context)
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                asked.url.startswith((address, "blob:", "data:")) or complaints.append(asked.url)
            ),
        )
        page.goto(f"{address}/#{view}")
        page.wait_for_selector("body[data-ready]", timeout=60_000)
        return page

    yield open_page
    for context in opened:
        context.close()
    assert complaints == []


def pixels(page: Any, side: str) -> Any:
    """Return the left or right half of the map as it is on the screen, once it has settled."""
    box = page.locator("#stage").bounding_box()
    half = box["width"] / 2 - 40
    x = box["x"] + 20 if side == "left" else box["x"] + box["width"] / 2 + 20
    clip = {"x": x, "y": box["y"] + 80, "width": half, "height": box["height"] - 200}
    last = None
    for _ in range(40):
        page.wait_for_timeout(400)
        shot = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"), int)
        if last is not None and np.array_equal(last, shot):
            break
        last = shot
    return shot


def colourful(picture: Any) -> float:
    """Return the share of pixels that are no grey."""
    return float((np.ptp(picture, axis=2) > 12).mean())


def until(page: Any, condition: str) -> None:
    """Wait for a condition in JavaScript; the page's policy forbids what Playwright waits with."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never so: {condition}")


def state(page: Any) -> dict[str, str]:
    page.wait_for_timeout(400)
    pairs = [part.split("=") for part in page.url.partition("#")[2].split("&") if part]
    return {pair[0]: pair[1] for pair in pairs}


def test_both_pictures_are_drawn_and_the_generated_one_is_marked(
    visit: Callable[..., Any],
) -> None:
    page = visit(PLANTED + "&anomalies=false")
    left, right = pixels(page, "left"), pixels(page, "right")
    assert left.std() > 12
    assert colourful(left) < 0.02  # the radar is grey
    assert colourful(right) > 0.2
    assert page.locator("#mark-left").inner_text() == "RADAR - MEASURED"
    assert page.locator("#mark-right").inner_text() == "GENERATED FROM RADAR - NOT A PHOTOGRAPH"
    box = page.locator("#mark-right").bounding_box()
    assert box["x"] + box["width"] <= 1200
    assert box["y"] + box["height"] <= 800


def test_the_swipe_moves_by_pointer_and_by_key(visit: Callable[..., Any]) -> None:
    page = visit(PLANTED + "&anomalies=false")
    pixels(page, "left")
    stage, handle = (page.locator(name).bounding_box() for name in ("#stage", "#swipe"))
    page.mouse.move(handle["x"] + 16, 300)
    page.mouse.down()
    page.mouse.move(stage["x"] + 2, 300, steps=4)
    page.mouse.up()
    assert float(page.locator("#swipe").get_attribute("aria-valuenow")) < 2
    assert colourful(pixels(page, "left")) > 0.2  # now generated all over
    page.locator("#swipe").focus()
    page.keyboard.press("End")
    assert page.locator("#swipe").get_attribute("aria-valuenow") == "100"
    assert page.locator("#mark-right").is_hidden()
    assert colourful(pixels(page, "right")) < 0.02


def test_the_veil_and_the_opacity_change_the_picture(visit: Callable[..., Any]) -> None:
    page = visit(PLANTED + "&anomalies=false")
    plain = pixels(page, "right")
    page.locator("#veil").fill("100")
    veiled = pixels(page, "right")
    assert np.abs(veiled - plain).mean() > 5
    page.locator("#veil").fill("0")
    page.locator("#opacity").fill("0")
    assert pixels(page, "right").std() < 0.3 * plain.std()


def test_the_filters_filter_list_map_and_export(visit: Callable[..., Any]) -> None:
    page = visit()
    entries = page.locator("#list button")
    total = entries.count()
    assert page.locator("#count").inner_text() == f"{total} found"
    assert total >= 2
    # not the inner text, which is empty until the browser has laid an entry out
    scores = [float(text) for text in page.locator("#list b").all_text_contents()]
    assert scores == sorted(scores, reverse=True)
    with page.expect_download() as download:
        page.locator("#geojson").click()
    found = json.loads(Path(download.value.path()).read_text())
    assert len(found["features"]) == total
    page.locator("#kinds button").first.click()
    assert entries.count() == 0
    assert page.locator("#kinds button").first.get_attribute("aria-pressed") == "false"
    page.locator("#kinds button").first.click()
    page.locator("#area").fill("60")
    assert page.locator("#count").inner_text() == f"0 of {total}"
    page.locator("#area").fill("0")
    with page.expect_download() as download:
        page.locator("#csv").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == total + 1
    assert lines[0].startswith("id,kind,score,reason")


def test_the_list_flies_and_shows_the_evidence(visit: Callable[..., Any]) -> None:
    page = visit()
    page.locator("#list button").nth(1).click()
    page.wait_for_timeout(2500)
    until(
        page,
        "[...document.querySelectorAll('#detail img')].every((i) => i.complete && i.naturalWidth)",
    )
    zoom, lat, lon = map(float, state(page)["at"].replace("%2F", "/").split("/"))
    place = page.locator("#d-facts dd").nth(3).inner_text()
    assert np.allclose(
        [lat, lon], [float(part) for part in place.split(",")], atol=0.01
    )  # beside the swipe
    assert zoom >= 14
    assert "surroundings" in page.locator("#d-reason").inner_text()
    told = dict(
        zip(*(page.locator(f"#d-facts {n}").all_inner_texts() for n in ("dt", "dd")), strict=True)
    )
    assert re.fullmatch(r"(less than )?1 in [\d,.]+( [a-z]+)?", told["By chance"])
    assert re.fullmatch(r"[\d-]{10} [\d:]{5} UTC", told["First seen"])
    assert "_" not in told["Land cover"]
    page.keyboard.press("k")
    assert page.locator("#list button").first.get_attribute("aria-current") == "true"
    page.keyboard.press("Escape")
    assert page.locator("#detail").is_hidden()


def test_a_link_brings_the_view_back(visit: Callable[..., Any]) -> None:
    page = visit(PLANTED + "&left=tags&right=trust&swipe=30&veil=40&score=10")
    assert page.locator("input[name=left]:checked").input_value() == "tags"
    assert page.locator("input[name=right]:checked").input_value() == "trust"
    assert page.locator("#swipe").get_attribute("aria-valuenow") == "30"
    page.keyboard.press("2")
    until(page, "location.hash.includes('veil=40') && !location.hash.includes('right=')")
    told = state(page)
    assert (told["left"], told["swipe"], told["veil"], told["score"]) == ("tags", "30", "40", "10")
    assert "right" not in told  # the usual one


def test_times_are_chosen_and_compared(visit: Callable[..., Any]) -> None:
    page = visit()
    assert page.locator("#times").is_visible()
    page.locator("#time").fill("0")
    until(page, "document.getElementById('scene').value === 'earlier'")
    assert page.locator("#time-shown").inner_text().startswith("2023-01-02")
    page.locator("#before").select_option("planted")
    until(page, "location.hash.includes('before=planted')")
    page.locator("#time").fill("1")  # to the scene that is compared with
    until(page, "document.getElementById('scene').value === 'planted'")
    assert page.locator("#before").input_value() == ""
    assert page.locator("#before option:checked").inner_text() == "the same scene"


def test_towns_are_named(visit: Callable[..., Any]) -> None:
    page = visit(PLANTED + "&at=8.00/34.00000/-118.20000")
    until(page, "document.querySelectorAll('#places span').length > 5")
    names = page.locator("#places span").all_inner_texts()
    assert names[0] == "Los Angeles"
    boxes = [label.bounding_box() for label in page.locator("#places span").all()]
    middles = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes]
    for number, (x, y) in enumerate(middles):
        assert all(abs(x - a) > 100 or abs(y - b) > 20 for a, b in middles[:number])
    assert "GeoNames" in page.locator("#credit").inner_text()


def test_lengths_are_measured(visit: Callable[..., Any]) -> None:
    page = visit()
    page.keyboard.press("m")
    box = page.locator("#stage").bounding_box()
    page.mouse.click(box["x"] + 100, 300)
    page.mouse.click(box["x"] + 200, 300)
    page.wait_for_timeout(500)
    told = page.locator("#told").inner_text()
    bar = page.locator("#left .maplibregl-ctrl-scale")
    length, unit = bar.inner_text().split()
    metres = float(length) * (1000 if unit == "km" else 1)
    expected = 100 * metres / bar.bounding_box()["width"]
    number, unit = told.split()
    assert np.isclose(float(number) * (1000 if unit == "km" else 1), expected, rtol=0.05)


def test_objects_are_outlined_on_request(visit: Callable[..., Any]) -> None:
    page = visit(PLANTED + "&left=sar&anomalies=false")
    plain = pixels(page, "left")
    with page.expect_response("**/objects.geojson*") as answer:
        page.locator("#objects").check()
    assert answer.value.json()["numberReturned"] > 0
    assert colourful(pixels(page, "left")) > colourful(plain) + 0.05


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 420])
def test_there_are_no_serious_barriers(theme: str, width: int, visit: Callable[..., Any]) -> None:
    page = visit(color_scheme=theme, bypass_csp=True, viewport={"width": width, "height": 800})
    page.locator("#list button").first.click()
    page.wait_for_timeout(1500)
    assert page.locator("html").get_attribute("data-theme") == theme
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    serious = [
        (one["id"], [node["html"][:120] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_without_webgl_the_list_stands_alone(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(f"{address}/#{PLANTED}")
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    assert page.locator("#told").inner_text().startswith("The map cannot be drawn: ")
    page.locator("#list button").first.click()
    assert page.locator("#detail").is_visible()
    page.keyboard.press("m")
    page.locator("#fit").click()
    page.locator("#theme").click()
    assert page.locator("#count").inner_text().endswith(" found")
    page.close()


def test_nothing_covers_the_slider_of_times(visit: Callable[..., Any]) -> None:
    for width in (1200, 390):
        page = visit(viewport={"width": width, "height": 800})
        page.locator("#list button").first.click()
        page.wait_for_timeout(500)
        times = page.locator("#times").bounding_box()
        assert times["height"] < 50
        for name in ("#detail", "#mark-right", "#mark-left", "#tools"):
            other = page.locator(name).bounding_box()
            apart = (
                times["x"] + times["width"] <= other["x"]
                or other["x"] + other["width"] <= times["x"]
                or times["y"] + times["height"] <= other["y"]
                or other["y"] + other["height"] <= times["y"]
            )
            assert apart, (width, name, times, other)


def test_the_report_fits_a_phone_and_its_pictures_one_printed_page(
    browser: Any, address: str
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{address}/files/planted/planted_report.html")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 688, "height": 1017})  # A4 without its margins, at 96 dpi
    page.emulate_media(media="print")
    last = page.locator("figure").nth(3).bounding_box()
    assert last["y"] + last["height"] < 1017
    page.close()


def test_a_folder_without_products_says_so(browser: Any, tmp_path: Path) -> None:
    with server(tmp_path) as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("body[data-ready]", timeout=60_000)
        assert "No finished products" in page.locator("#told").inner_text()
        page.close()


def test_a_token_in_the_address_opens_the_page(
    browser: Any, utm: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "SAR2OPT_TOKEN", "open-sesame")
    with server(utm.products.folder.parent) as address:
        context = browser.new_context()
        page = context.new_page()
        assert page.goto(address).status == 401
        page.goto(f"{address}/?token=open-sesame")
        page.wait_for_selector("body[data-ready]", timeout=60_000)
        assert page.locator("#scene option").count() == 1
        context.close()
