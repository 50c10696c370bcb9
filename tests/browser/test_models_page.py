"""The Models panel as a newcomer meets it: a real Chromium, Voila, engine, and a registry here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ONE, at
from library.library_tools import serving
from library.registry_server import RegistryServer
from pages import Server, Watched, card, measure, open_page, serve
from playwright.sync_api import Browser, Locator, Page, expect
from tiny import write_tiny_llama

from workbench import jobs
from workbench.engines import stop_engine
from workbench.jobs import stop_supervisor

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)
WISH = "a code model that fits in 8 GB"
HOSTILE = '<img src=x onerror="window.broken=1"><b>Publisher</b>'
PADDING = 12_000_000  # bytes, so that there is something left to stop


@dataclass
class Place:
    """A Voila whose home knows models of a registry on loopback."""

    server: Server
    registry: RegistryServer
    small: str
    large: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("models-page")
    home = folder / "home"
    weights = write_tiny_llama(folder / "tiny.gguf", context=2048, endless=True).read_bytes()
    registry = RegistryServer()
    registry.add("library/tiny-coder:latest", weights, params=ONE)
    registry.add("library/large-coder:latest", weights + bytes(PADDING), params=ONE)
    with serving(registry.app) as url:
        host = url.removeprefix("http://")
        small, large = (f"{host}/library/{name}:latest" for name in ("tiny-coder", "large-coder"))
        (home / "cards").mkdir(parents=True)
        facts = [own_card(small, len(weights)), own_card(large, len(weights) + PADDING)]
        cards = {"schema": "workbench-cards/1", "cards": facts}
        (home / "cards" / "mine.json").write_text(json.dumps(cards))
        (home / "cards" / "broken.json").write_text('{"schema": "workbench-cards/1", "cards": [')
        with at(home):
            try:
                with serve(home, folder) as server:
                    yield Place(server, registry, small, large)
            finally:
                with at(home):
                    for job in jobs.jobs():
                        if not job.ended:
                            jobs.cancel(job.id)
                    stop_supervisor()
                    stop_engine()


def own_card(name: str, size: int) -> dict[str, object]:
    return {
        "name": name,
        "publisher": HOSTILE,
        "categories": ["code"],
        "capabilities": ["completion"],
        "parameters": 150_000,
        "context": 2048,
        "license": "MIT",
        "quantisation": "F32",
        "download": size,
        "architecture": {
            "name": "llama", "layers": 2, "width": 64, "heads": 4, "kv_heads": 2,
            "head_size": 16, "inner": 128, "vocabulary": 512, "tied": False,
        },
    }  # fmt: skip


@pytest.fixture
def models(browser: Browser, place: Place) -> Iterator[Watched]:
    """The front page with Models opened."""
    with open_page(browser, place.server.url) as watched:
        watched.page.get_by_role("tab", name="Models").click()
        expect(rows(watched.page).first).to_be_visible()
        yield watched


def rows(page: Page) -> Locator:
    return page.get_by_role("grid", name="Models").locator("[data-row]")


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row", name=name, exact=True)


def search(page: Page, text: str) -> None:
    page.get_by_label("Search for a model").fill(text)


def open_card(page: Page, name: str) -> None:
    search(page, name)
    row(page, name).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def test_a_newcomer_finds_compares_installs_and_plays(models: Watched, place: Place) -> None:
    page = models.page
    search(page, WISH)
    understood = page.get_by_role("group", name="Understood as")
    expect(understood).to_contain_text("8 GB")
    expect(understood).to_contain_text("code")
    expect(row(page, place.small)).to_contain_text("made for code")
    expect(row(page, "qwen2.5-coder:1.5b")).to_contain_text(re.compile(r"takes .* of 8.0 GB"))
    assert row(page, "qwen2.5-coder:32b").count() == 0, "too large, and shown"
    for name in (place.small, "qwen2.5-coder:1.5b", "qwen2.5-coder:0.5b"):
        page.get_by_role("button", name=f"Compare {name}", exact=True).click()
    page.get_by_role("button", name="Compare 3").click()
    table = page.get_by_role("region", name="Table of the comparison")
    for name in (place.small, "qwen2.5-coder:1.5b", "qwen2.5-coder:0.5b"):
        expect(table.get_by_role("button", name=name, exact=True)).to_be_visible()
    expect(table.locator("[data-key=memory_usage]")).to_contain_text("GB")
    table.get_by_role("button", name=place.small, exact=True).click()
    expect(card(page, "Fit").get_by_role("img", name=re.compile("Main memory"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^Install ·")).click()
    expect(page.get_by_text(f"installed as {place.small}")).to_be_visible(timeout=90_000)
    expect(card(page, "Variants").get_by_text("installed", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name=f"Install {place.small}")).to_have_count(0)
    page.get_by_role("button", name="Open in Playground").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value(place.small)
    expect(page.get_by_role("tabpanel", name="Playground")).to_be_visible()


def test_an_installation_is_stopped_and_goes_on(models: Watched, place: Place) -> None:
    page = models.page
    place.registry.pause = 0.02
    open_card(page, place.large)
    page.get_by_role("button", name=re.compile("^Install ·")).click()
    bar = card(page, "Model card").get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", re.compile(r"[1-9]"), timeout=90_000)
    page.get_by_role("button", name="Stop", exact=True).click()
    again = page.get_by_role("button", name=re.compile("^Go on installing"))
    expect(again).to_be_visible(timeout=60_000)
    place.registry.pause = 0.0
    again.click()
    expect(page.get_by_text(f"installed as {place.large}")).to_be_visible(timeout=90_000)
    digest, sent = max(
        ((digest, place.registry.sent(digest)) for digest in place.registry.blobs),
        key=lambda pair: len(place.registry.blobs[pair[0]]),
    )
    assert sent < 1.8 * len(place.registry.blobs[digest]), "began from the beginning"


def test_it_works_from_the_keyboard(models: Watched) -> None:
    page = models.page
    page.keyboard.press("/")
    expect(page.get_by_label("Search for a model")).to_be_focused()
    page.keyboard.type("qwen2.5-coder")
    expect(rows(page).first).to_have_attribute("data-name", re.compile("^qwen2.5-coder"))
    page.keyboard.press("ArrowDown")
    expect(rows(page).first).to_be_focused()
    page.keyboard.press("ArrowDown")
    second = rows(page).nth(1)
    expect(second).to_be_focused()
    page.keyboard.press("Space")
    expect(second).to_have_attribute("aria-selected", "true")
    expect(second).to_be_focused()
    name = str(second.get_attribute("data-name"))
    page.keyboard.press("End")
    expect(rows(page).last).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(row(page, name)).to_be_focused()
    page.keyboard.press("Space")
    expect(row(page, name)).to_have_attribute("aria-selected", "false")


def test_a_row_that_is_pressed_stays_until_it_is_let_go(models: Watched) -> None:
    page = models.page
    name = rows(page).nth(5).get_attribute("data-name") or ""
    rows(page).nth(5).hover()
    page.mouse.down()
    search(page, name)
    expect(page.locator(".wb-fragment[data-held=changed]").first).to_be_attached()
    assert rows(page).nth(5).get_attribute("data-name") == name
    page.mouse.up()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def test_a_slider_prices_again(models: Watched) -> None:
    page = models.page
    open_card(page, "qwen2.5:7b")
    fit = card(page, "Fit")
    picture = fit.get_by_role("img", name=re.compile("Main memory"))
    before = str(picture.get_attribute("aria-label"))
    slider = fit.get_by_label("Context", exact=True)
    slider.focus()
    page.keyboard.press("End")
    expect(picture).not_to_have_attribute("aria-label", before)
    expect(slider).to_be_focused()
    expect(slider).to_have_attribute("aria-valuetext", re.compile("tokens"))
    large = str(picture.get_attribute("aria-label"))
    page.keyboard.press("Home")
    expect(picture).not_to_have_attribute("aria-label", large)
    assert amount(str(picture.get_attribute("aria-label"))) < amount(large)
    fit.get_by_role("button", name="Reset").click()
    expect(picture).to_have_attribute("aria-label", before)
    page.locator("#wb-machine").select_option("gpu-24gb")
    expect(fit).to_contain_text("RTX 3090")
    expect(fit.get_by_label("Layers on the GPU")).to_be_visible()


def amount(words: str) -> float:
    """Gigabytes that a picture of memory is said to take."""
    found = re.search(r": ([\d.]+) (M|G|T)B of", words)
    assert found, words
    return float(found[1]) * {"M": 0.001, "G": 1, "T": 1000}[found[2]]


def test_another_machine_is_asked_about_in_words(models: Watched) -> None:
    page = models.page
    page.locator("#wb-machine").select_option("other")
    field = page.get_by_label("Which one")
    expect(field).to_be_focused()
    field.fill("no machine at all")
    field.press("Tab")
    expect(card(page, "View and machine").get_by_role("alert")).to_be_visible()
    field.fill("2x24GB")
    field.press("Tab")
    expect(field).to_have_count(0)
    search(page, "qwen2.5:72b")
    expect(row(page, "qwen2.5:72b")).not_to_contain_text("Too large")


def test_plots_come_when_they_are_asked_for_and_from_here(models: Watched) -> None:
    page = models.page
    search(page, "qwen2.5-coder")
    for name in ("qwen2.5-coder:1.5b", "qwen2.5-coder:7b"):
        page.get_by_role("button", name=f"Compare {name}", exact=True).click()
    page.get_by_role("button", name="Compare 2").click()
    expect(page.get_by_role("region", name="Table of the comparison")).to_be_visible()
    assert page.evaluate("window.workbenchPlotly") is None
    for name in ("Memory", "Memory and score", "Results", "All at once"):
        page.get_by_role("group", name="Plot").get_by_role("button", name=name, exact=True).click()
        expect(page.locator(".wb-plot .main-svg").first).to_be_visible(timeout=60_000)
    assert page.locator(".wb-plot").count() == 1
    page.get_by_role("button", name="Compare 2").count()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download as CSV").click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert text.splitlines()[0].endswith("qwen2.5-coder:1.5b,qwen2.5-coder:7b")
    page.get_by_role("button", name="Save as a file").click()
    expect(page.get_by_text(re.compile("Saved as .*comparison.html"))).to_be_visible()


def test_code_is_shown_for_every_step(models: Watched) -> None:
    page = models.page
    search(page, WISH)
    expect(row(page, "qwen2.5-coder:1.5b")).to_be_visible()
    check_code(card(page, "Results"), "catalogue.search(filters")
    page.get_by_role("button", name="Compare qwen2.5-coder:1.5b", exact=True).click()
    row(page, "qwen2.5-coder:1.5b").click()
    check_code(card(page, "Fit"), "fit_card(catalogue.get('qwen2.5-coder:1.5b')")
    check_code(card(page, "Model card"), "workbench.catalogue:install")
    page.get_by_role("tab", name="Compare", exact=True).click()
    check_code(card(page, "Comparison"), "compare(catalogue, ['qwen2.5-coder:1.5b']")
    page.get_by_role("tab", name="Recommend", exact=True).click()
    check_code(card(page, "Recommended"), "recommend(catalogue, 'code_generation'")


def check_code(place: Locator, words: str) -> None:
    place.get_by_text("Show code").click()
    code = place.get_by_label("Python code")
    expect(code).to_contain_text(words)
    text = code.inner_text()
    compile(text, "shown", "exec")
    exec("\n".join(line for line in text.splitlines() if " import " in f" {line}"), {})


def test_recommendations_have_reasons_and_an_empty_list_says_what_would_help(
    models: Watched,
) -> None:
    page = models.page
    page.get_by_role("tab", name="Recommend", exact=True).click()
    found = card(page, "Recommended")
    expect(found.get_by_role("listitem").first).to_be_visible()
    expect(found).to_contain_text("How sure")
    page.locator("#wb-machine").select_option("other")
    page.get_by_label("Which one").fill("1 GB laptop")
    page.get_by_label("Which one").press("Tab")
    page.get_by_label("Preferred size").select_option("huge")
    expect(found).to_contain_text("Nothing suits")


def test_nothing_found_says_what_to_do(models: Watched) -> None:
    page = models.page
    search(page, "zzzzqqqq xxxyyyy")
    expect(page.get_by_text("No model passes all of this")).to_be_visible()
    expect(page.get_by_role("button", name="Ask the Hugging Face Hub")).to_be_visible()
    page.get_by_role("button", name="Show all models").click()
    expect(rows(page)).to_have_count(60)
    page.get_by_role("button", name="Show more").click()
    expect(rows(page)).to_have_count(120)


def test_what_cards_say_is_inert_and_bad_files_are_told_of(models: Watched, place: Place) -> None:
    page = models.page
    page.get_by_text("could not be read or reached").click()
    expect(card(page, "View and machine")).to_contain_text("broken.json")
    open_card(page, place.small)
    expect(card(page, "Facts")).to_contain_text("<img src=x")
    page.wait_for_timeout(300)
    assert page.evaluate("window.broken") is None
    assert page.locator(".wb-fragment :is(img, script, iframe)").count() == 0


def test_it_is_readable_at_every_width(browser: Browser, place: Place) -> None:
    with open_page(browser, place.server.url) as watched:
        page = watched.page
        page.get_by_role("tab", name="Models").click()
        search(page, WISH)
        expect(row(page, "qwen2.5-coder:1.5b")).to_be_visible()
        for name in ("qwen2.5-coder:1.5b", "qwen2.5-coder:7b", place.small):
            page.get_by_role("button", name=f"Compare {name}", exact=True).click()
        expect(page.get_by_role("button", name="Compare 3")).to_be_visible()
        measure(page, "models")
        row(page, "qwen2.5-coder:7b").click()
        expect(card(page, "Fit").get_by_role("img", name=re.compile("memory"))).to_be_visible()
        measure(page, "card")
        page.locator("#wb-machine").select_option("gpu-24gb")
        expect(card(page, "Fit")).to_contain_text("RTX 3090")
        measure(page, "")
        page.get_by_role("tab", name="Compare", exact=True).click()
        page.get_by_role("group", name="Plot").get_by_role(
            "button", name="Memory", exact=True
        ).click()
        expect(page.locator(".wb-plot .main-svg").first).to_be_visible(timeout=60_000)
        measure(page, "compare")
        page.get_by_role("tab", name="Recommend", exact=True).click()
        expect(card(page, "Recommended").get_by_role("listitem").first).to_be_visible()
        measure(page, "recommend")


def test_the_notebook_is_a_page_of_its_own(browser: Browser, place: Place) -> None:
    with open_page(browser, f"{place.server.url}voila/render/02_models.ipynb") as watched:
        page = watched.page
        expect(rows(page).first).to_be_visible()
        open_card(page, "qwen2.5:0.5b")
        expect(page.get_by_role("button", name="Open in Playground")).to_have_count(0)
