"""The Versions panel as somebody uses it: a real Chromium, Voila, engine, releases, an update."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ONE, at
from pages import Server, card, measure, open_page, serve, shoot
from panels.versions_records import LONG, write_versions
from playwright.sync_api import Browser, Locator, Page, expect
from tiny import write_tiny_llama

from workbench.engines import connect, stop_engine
from workbench.jobs import stop_supervisor

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)
ENDS = 150_000  # milliseconds that a whole update may take on a busy machine
TASK = """name: go-on
title: Going on <b>
mode: complete
samples:
{rows}
scorers: [includes]
options: {{num_predict: 4}}
"""


def write_suite(home: Path) -> None:
    """Questions that a model of random weights answers well now and then."""
    rows = "\n".join(
        f'  - {{id: s{n}, prompt: "def f{n}(x):", target: "{"etao"[n % 4]}"}}' for n in range(10)
    )
    (home / "tasks").mkdir(parents=True)
    (home / "suites").mkdir()
    (home / "tasks" / "go-on.yaml").write_text(TASK.format(rows=rows))
    (home / "suites" / "mine.yaml").write_text("name: mine\ntitle: My suite\ntasks: [go-on]\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Voila whose home has `tiny:latest`, a candidate that is made of it, and a suite."""
    folder = tmp_path_factory.mktemp("versions-page")
    home = folder / "home"
    write_suite(home)
    model = write_tiny_llama(folder / "tiny.gguf", context=512, endless=True)
    with at(home):
        with connect() as engine:
            for _step in engine.create("tiny", files={"tiny.gguf": model}, parameters=ONE):
                pass
            for _step in engine.create("candidate", from_="tiny", parameters={"top_k": 30}):
                pass
        try:
            with serve(home, folder) as running:
                yield running
        finally:
            with at(home):
                stop_supervisor()
                stop_engine()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Voila on a home with releases and updates of every kind, whose models are not here."""
    folder = tmp_path_factory.mktemp("versions-full")
    with at(folder / "home"):
        write_versions()
    try:
        with serve(folder / "home", folder) as running:
            yield running
    finally:
        with at(folder / "home"):
            stop_supervisor()
            stop_engine()


def view(page: Page, name: str) -> None:
    tab = page.get_by_role("tab", name="Versions", exact=True)
    if tab.count():
        tab.click()
    views = page.get_by_role("tablist", name="What to look at")
    views.get_by_role("tab", name=re.compile(f"^{name}( |$)")).click()


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row", name=name, exact=True)


def test_released_updated_and_rolled_back(browser: Browser, server: Server) -> None:
    with open_page(browser, server.url) as watched:
        page = watched.page
        view(page, "Update")
        page.get_by_role("button", name="Make the first release").click()
        first = card(page, "First release")
        first.get_by_label("Primary: answers by default").select_option("tiny:latest")
        first.get_by_label("What it is for").fill("the first one")
        first.get_by_text("Show code").click()
        expect(first.locator("pre")).to_contain_text("{'primary': 'tiny:latest'}")
        first.get_by_label("What it is for").press("Control+Enter")
        used = card(page, "In use")
        expect(used.get_by_role("heading", name="v0.1")).to_be_visible()
        expect(used).to_contain_text("tiny:latest")
        used.get_by_role("button", name="Update").click()
        form = card(page, "New update")
        form.get_by_label("Candidate for Primary").select_option("candidate:latest")
        form.get_by_label("Questions of", exact=True).select_option("mine")
        form.get_by_label("Why, for the changelog").fill("it draws from fewer tokens")
        plan = card(page, "What it will do")
        expect(plan).to_contain_text("instead of v0.1")
        plan.get_by_text("Show code").click()
        expect(plan.locator("pre")).to_contain_text("{'primary': 'candidate:latest'}")
        form.get_by_label("Why, for the changelog").press("Control+Enter")
        update = card(page, "Update")
        expect(update.get_by_role("heading", name="v0.1 → v0.2")).to_be_visible()
        steps = update.get_by_role("list", name="Steps").locator("> li")
        expect(steps).to_have_count(7)
        expect(update.get_by_text("Done", exact=True)).to_be_visible(timeout=ENDS)
        expect(steps.nth(2)).to_contain_text("cannot be told apart")
        steps.nth(1).get_by_text("said").click()
        expect(steps.nth(1)).to_contain_text("Hello! Who are you?")
        shoot(page, "versions-updated-1280-light")
        update.get_by_role("button", name="See the release").click()
        expect(used.get_by_role("heading", name="v0.2")).to_be_visible()
        expect(used).to_contain_text("candidate:latest")
        used.get_by_role("button", name="Back to v0.1").click()
        used.get_by_label("Why, for the changelog").fill("it was slower")
        used.get_by_label("Why, for the changelog").press("Enter")
        expect(used.get_by_role("heading", name="v0.1")).to_be_visible()
        expect(used).to_contain_text("it was slower")
        card(page, "Changelog").get_by_role("button", name="Markdown").click()
        expect(page.get_by_label("Changelog text")).to_contain_text("it was slower")
        view(page, "Update")
        expect(row(page, "v0.2")).to_contain_text("Taken back")
        view(page, "Models")
        expect(card(page, "Models of the release")).to_contain_text("all here, as they were")
        expect(card(page, "Family").get_by_role("img")).to_have_attribute(
            "aria-label", "tiny:latest, then candidate:latest"
        )


def test_it_is_readable_at_every_width(browser: Browser, full: Server) -> None:
    with open_page(browser, full.url) as watched:
        page = watched.page
        view(page, "Releases")
        used = card(page, "In use")
        used.get_by_role("button", name=re.compile("^.* ?Back to")).click()
        page.get_by_role("option", name="v0.2", exact=True).click()
        expect(card(page, "Release").get_by_role("heading", name="v0.2")).to_be_visible()
        card(page, "Changelog").get_by_role("button", name="Markdown").click()
        page.get_by_role("button", name="Make one by hand").click()
        measure(page, "versions-releases")
        used.get_by_role("button", name="Use v0.3").click()
        expect(used.get_by_role("alert")).to_contain_text("is not here with this digest")
        view(page, "Update")
        page.get_by_label("Candidate for Fallback").select_option("…")
        page.get_by_label("Another role").fill("nonsense")
        page.get_by_label("Another role").press("Enter")
        expect(page.get_by_text("is no role.")).to_be_visible()
        measure(page, "versions-update")
        for number, state in enumerate(
            ("Under way", "Done", "Stopped", "Did not pass", "Taken back")
        ):
            page.get_by_role("grid", name="Updates").get_by_role("row").nth(number + 1).click()
            update = card(page, "Update")
            expect(update.get_by_text(state, exact=True)).to_be_visible()
            update.get_by_text("Evidence", exact=True).first.click()
            measure(page, f"versions-update-{number}")
            update.get_by_role("button", name=re.compile("Updates$")).click()
        view(page, "Releases")
        page.get_by_role("button", name="The update to v0.4 is under way").click()
        expect(card(page, "Update").get_by_role("button", name="Stop")).to_be_visible()
        view(page, "Models")
        expect(card(page, "Models of the release")).to_contain_text("to look at")
        expect(card(page, "Family").get_by_role("img")).to_be_visible()
        measure(page, "versions-models")
        assert page.evaluate("window.broken") is None


def test_it_works_from_the_keyboard(browser: Browser, full: Server, empty: Server) -> None:
    with open_page(browser, empty.url) as watched:
        page = watched.page
        view(page, "Releases")
        expect(page.get_by_role("button", name="Find a model")).to_be_visible()
        measure(page, "versions-empty")
        page.get_by_role("button", name="Find a model").press("Enter")
        expect(page.get_by_role("tabpanel", name="Models")).to_be_visible()
    with open_page(browser, f"{full.url}voila/render/07_versions.ipynb") as watched:
        page = watched.page
        line = page.get_by_role("listbox", name=re.compile("^Releases"))
        line.get_by_role("option", name="v0.2").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(line.get_by_role("option", name="v0.1")).to_have_attribute("aria-selected", "true")
        expect(card(page, "Release").get_by_role("heading", name="v0.1")).to_be_visible()
        back = card(page, "In use").get_by_role("button", name=re.compile("Back to"))
        back.press("Enter")
        expect(page.get_by_label("Why, for the changelog")).to_be_focused()
        page.keyboard.press("Escape")
        expect(back).to_be_focused()
        page.get_by_role("tab", name=re.compile("^Releases")).focus()
        page.keyboard.press("ArrowRight")
        first = page.get_by_role("grid", name="Updates").get_by_role("row").nth(1)
        first.focus()
        page.keyboard.press("Enter")
        expect(card(page, "Update")).to_be_focused()
        page.keyboard.press("Escape")
        expect(first).to_be_focused()
        page.get_by_role("tab", name=re.compile("^Update")).focus()
        page.keyboard.press("ArrowRight")
        names = card(page, "Other names")
        names.get_by_role("button", name="Forget candidate").press("Enter")
        names.get_by_role("button", name="Undo").press("Enter")
        expect(names).to_contain_text(LONG[:20])
