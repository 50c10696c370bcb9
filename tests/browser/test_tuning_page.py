"""The Tuning panel as somebody uses it: a real Chromium, Voila, engine, study and tuned model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from math import dist
from pathlib import Path

import pytest
from conftest import ONE, at
from pages import Server, card, measure, open_page, serve, shoot
from panels.tuning_records import HOSTILE, NAME, write_studies
from playwright.sync_api import Browser, Locator, Page, expect
from tiny import write_tiny_llama

from workbench.engines import connect, stop_engine
from workbench.jobs import stop_supervisor

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)
ENDS = 150_000  # milliseconds that a whole study may take on a busy machine
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
        f'  - {{id: s{n}, prompt: "def f{n}(x):", target: "{"etao"[n % 4]}"}}' for n in range(12)
    )
    (home / "tasks").mkdir(parents=True)
    (home / "suites").mkdir()
    (home / "tasks" / "go-on.yaml").write_text(TASK.format(rows=rows))
    (home / "suites" / "mine.yaml").write_text("name: mine\ntitle: My suite\ntasks: [go-on]\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Voila whose home has `tiny:latest`, a suite, and studies of every kind."""
    folder = tmp_path_factory.mktemp("tuning-page")
    home = folder / "home"
    write_suite(home)
    model = write_tiny_llama(folder / "tiny.gguf", context=512, endless=True)
    with at(home):
        with connect() as engine:
            for _step in engine.create("tiny", files={"tiny.gguf": model}, parameters=ONE):
                pass
        write_studies()
        try:
            with serve(home, folder) as running:
                yield running
        finally:
            with at(home):
                stop_supervisor()
                stop_engine()


def view(page: Page, name: str) -> None:
    page.get_by_role("tab", name="Tuning", exact=True).click()
    page.get_by_role("tab", name=re.compile(f"^{name}")).last.click()


def part(page: Page, name: str) -> None:
    tabs = page.get_by_role("tablist", name="About this study")
    tabs.get_by_role("tab", name=re.compile(f"^{name}")).click()


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row", name=name, exact=True)


def test_a_model_is_tuned_applied_and_spoken_to(browser: Browser, server: Server) -> None:
    with open_page(browser, server.url) as watched:
        page = watched.page
        view(page, "New study")
        form = card(page, "New study")
        form.get_by_label("Questions of", exact=True).select_option("mine")
        form.get_by_role("button", name=re.compile("^Quick")).click()
        expect(form.get_by_text("num thread", exact=True)).to_be_visible()
        for name, value in {"Points at most": "4", "Questions of a point": "6"}.items():
            form.get_by_label(name, exact=True).fill(value)
        form.get_by_label("Values of temperature").fill("0, 0.6")
        plan = card(page, "What it will do")
        expect(plan).to_contain_text("24 at most")
        expect(plan).to_contain_text("of 12")
        plan.get_by_text("Show code").click()
        expect(plan.locator("pre")).to_contain_text("Space.of(")
        form.get_by_label("Name of the study").fill("first")
        form.get_by_label("Name of the study").press("Control+Enter")
        study = card(page, "Study")
        expect(study.get_by_role("heading", name="first")).to_be_visible()
        dots = card(page, "Front").get_by_role("button", name=re.compile(": Quality .*Latency"))
        expect(dots.first).to_be_visible(timeout=ENDS)
        expect(study.get_by_text("Done", exact=True)).to_be_visible(timeout=ENDS)
        expect(study).to_contain_text("the default settings")  # as confirmed on other questions
        expect(dots).to_have_count(4)
        point = card(page, "Point")
        card(page, "Front").get_by_role("button", name=re.compile("^As it is now:")).focus()
        page.keyboard.press("Enter")
        expect(point).to_contain_text("the engine decides the rest")
        card(page, "Front").get_by_role("button", name=re.compile("^Trial 1:")).click()
        expect(point).to_contain_text("Trial 1")
        name = point.get_by_label("Make a model of it, named")
        name.fill("no name!")
        expect(point.get_by_text("cannot be a model's name")).to_be_visible()
        name.fill("quick-tiny")
        name.press("Enter")  # before the page shows that this one can be
        expect(point.get_by_text("In the engine as")).to_be_visible()
        point.get_by_role("button", name="Apply").click()
        point.get_by_role("button", name="Replace it").click()
        expect(point.get_by_text("In the engine as")).to_be_visible()
        point.get_by_role("button", name="Modelfile").click()
        expect(point.get_by_label("Settings", exact=True)).to_contain_text("FROM tiny")
        shoot(page, "tuning-applied-1280-light")
        point.get_by_role("button", name="Open in the Playground").click()
        expect(page.get_by_label("Model", exact=True)).to_have_value("quick-tiny:latest")
        page.get_by_label("Your prompt").fill("def f(x):")
        page.get_by_role("button", name="Generate", exact=True).click()


def test_it_is_readable_at_every_width(browser: Browser, server: Server) -> None:
    with open_page(browser, server.url) as watched:
        page = watched.page
        view(page, "New study")
        page.get_by_role("button", name=re.compile("^Everything")).click()
        expect(page.get_by_label("Values of num_ctx")).to_be_visible()
        page.get_by_label("Least temperature").fill("2")
        expect(page.get_by_text("low and high are swapped")).to_be_visible()
        page.get_by_label("A formula").check()
        measure(page, "tuning-new")
        view(page, "Studies")
        expect(row(page, NAME)).to_be_visible()
        measure(page, "tuning-list")
        for name, title in ((NAME, "done"), (HOSTILE, "hostile")):
            row(page, name).click()
            for tab, region in {
                "Front" if name == NAME else "Best": "Trade-offs", "Trials": "Trials",
                "What matters": "Importance", "Settings": "Space",
            }.items():  # fmt: skip
                part(page, tab)
                expect(card(page, region)).to_be_visible()
                if region == "Importance":
                    expect(card(page, region).locator("[data-key=why], [data-key=how]").first
                           ).to_be_visible(timeout=ENDS)  # fmt: skip
                measure(page, f"tuning-{title}-{region.split()[0].lower()}")
            page.get_by_role("button", name=re.compile("Studies$")).click()
        row(page, NAME).click()
        card(page, "Confirmed").get_by_role("button", name="See these runs").click()
        expect(card(page, "Leaderboard")).to_contain_text("Nothing is measured on this suite")
        assert page.evaluate("window.broken") is None


def middle(dot: Locator) -> tuple[float, float]:
    dot.scroll_into_view_if_needed()
    box = dot.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_points_that_lie_on_each_other_can_all_be_chosen(browser: Browser, server: Server) -> None:
    with open_page(browser, server.url) as watched:
        page = watched.page
        view(page, "Studies")
        row(page, NAME).click()
        dots = card(page, "Front").locator(".wb-tune-dot")
        expect(dots.first).to_be_visible()
        dots.first.scroll_into_view_if_needed()
        middles = [middle(dot) for dot in dots.all()]
        keys = [dot.get_attribute("data-key") for dot in dots.all()]
        pairs = [(dist(a, b), m, n) for (m, a), (n, b) in combinations(enumerate(middles), 2)]
        _, *near = min(pair for pair in pairs if pair[0] > 5)
        for place in near:
            dot = card(page, "Front").locator(f"[data-key={keys[place]}]")
            page.mouse.click(*middle(dot))
            expect(dot).to_have_attribute("aria-pressed", "true")
            expect(dot).to_be_focused()
        away, one, other = min(pairs)
        assert away < 1, "one lies on the other"
        place = middle(dots.nth(one))
        page.mouse.click(*place)
        pressed = card(page, "Front").locator(".wb-tune-dot[aria-pressed=true]")
        either = re.compile(f"^({keys[one]}|{keys[other]})$")
        expect(pressed).to_have_attribute("data-key", either)
        first = pressed.get_attribute("data-key")
        page.mouse.click(*place)
        second = keys[one] if first == keys[other] else keys[other]
        expect(pressed).to_have_attribute("data-key", second or "")


def test_it_works_from_the_keyboard(browser: Browser, server: Server, empty: Server) -> None:
    with open_page(browser, empty.url) as watched:
        page = watched.page
        view(page, "Studies")
        expect(page.get_by_text("Nothing was tuned yet")).to_be_visible()
        page.get_by_role("button", name="New study").press("Enter")
        expect(page.get_by_role("button", name="Find a model")).to_be_visible()
        measure(page, "tuning-empty")
        page.get_by_role("button", name="Find a model").press("Enter")
        expect(page.get_by_role("tabpanel", name="Models")).to_be_visible()
    with open_page(browser, f"{server.url}voila/render/06_tuning.ipynb") as watched:
        page = watched.page
        page.get_by_role("tab", name=re.compile("^New study")).focus()
        page.keyboard.press("ArrowRight")
        row(page, NAME).focus()
        page.keyboard.press("Enter")
        expect(card(page, "Study")).to_be_focused()
        points = page.get_by_role("grid", name="Points")
        now = points.get_by_role("row", name="As it is now")
        now.focus()
        page.keyboard.press("Enter")
        expect(now).to_have_attribute("aria-selected", "true")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        expect(now).to_have_attribute("aria-selected", "false")
        expect(
            card(page, "Point").get_by_role("heading", name=re.compile("^Trial"))
        ).to_be_visible()
        page.get_by_role("tab", name="Front").focus()
        page.keyboard.press("ArrowRight")
        trials = card(page, "Trials")
        trials.get_by_role("button", name="Quality", exact=True).press("Enter")
        expect(trials.get_by_role("columnheader", name="Quality")).to_have_attribute(
            "aria-sort", "descending"
        )
        page.keyboard.press("Escape")
        expect(row(page, NAME)).to_be_focused()
        page.keyboard.press("Enter")
        ask = page.get_by_role("button", name=re.compile("^Delete the study"))
        ask.press("Enter")
        expect(card(page, "Study").get_by_role("button", name="Delete", exact=True)).to_be_focused()
        page.get_by_role("button", name="Keep").press("Enter")
        expect(ask).to_be_visible()
        card(page, "Study").get_by_role("button", name="Copy").press("Enter")
        expect(card(page, "New study")).to_be_focused()
        expect(page.get_by_label("Least temperature")).to_have_value("0.2")
