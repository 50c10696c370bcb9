"""The dashboards as people meet them: a real Chromium on a real Voila and a real engine."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from conftest import at
from pages import Server, Watched, card, measure, open_page, shoot
from playwright.sync_api import Browser, Locator, Page, expect

from workbench import jobs
from workbench.engines import engine_status

pytestmark = pytest.mark.browser
expect.set_options(timeout=20_000)


def set_option(page: Page, name: str, value: str) -> None:
    field = page.get_by_label(name, exact=True)
    field.fill(value)
    field.press("Tab")
    expect(page.get_by_role("button", name=f"Reset {name}")).to_be_visible()


def ask(page: Page, text: str) -> None:
    page.get_by_label("Your prompt").fill(text)
    page.get_by_role("button", name="Generate", exact=True).click()


def answer(page: Page) -> Locator:
    return page.locator(".wb-turn.assistant .wb-prose").last


def finished(page: Page) -> str:
    expect(page.get_by_role("button", name="Regenerate", exact=True)).to_be_visible()
    return answer(page).inner_text()


def again(page: Page) -> str:
    """Regenerate, and the new answer."""
    old = page.locator(".wb-turn.assistant").last.get_attribute("data-key")
    page.get_by_role("button", name="Regenerate", exact=True).click()
    expect(page.locator(f".wb-turn[data-key={old}]")).to_have_count(0)
    return finished(page)


def test_home_shows_what_is_here(shell: Watched) -> None:
    page = shell.page
    expect(page).to_have_title("Workbench")
    models = card(page, "Models")
    for name in ("tiny:latest", "spare:latest"):
        expect(models.get_by_role("row").filter(has_text=name)).to_contain_text("F32")
    expect(card(page, "Engine")).to_contain_text("Embedded engine")
    expect(card(page, "Engine")).to_contain_text("http://127.0.0.1:")
    expect(card(page, "This machine").get_by_role("meter", name="Memory in use")).to_be_visible()
    expect(card(page, "Checks").locator(".wb-check").first).to_be_attached()
    expect(page.locator("#wb-boot")).to_have_count(0)


def test_text_streams_and_stops(playground: Watched) -> None:
    page = playground.page
    set_option(page, "num_predict", "100000")
    ask(page, "def read_lines(path):")
    expect(answer(page)).to_have_text(re.compile(r"\S{20}|.{40}", re.S))
    early = answer(page).inner_text()
    page.wait_for_function(
        "n => document.querySelector('.wb-turn.assistant .wb-prose').innerText.length > n",
        arg=len(early) + 20,
    )
    page.keyboard.press("Escape")
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()
    kept = finished(page)
    page.wait_for_timeout(300)
    assert answer(page).inner_text() == kept
    figures = page.get_by_label("Figures of the last answer")
    expect(figures).to_contain_text(re.compile(r"Tokens/s\s*[\d,.]+"))
    expect(figures).to_contain_text(re.compile(r"Memory\s*[\d.]+ MiB"))


def test_options_change_the_outcome(playground: Watched) -> None:
    page = playground.page
    for name, value in {"num_predict": "12", "seed": "5", "temperature": "1.5"}.items():
        set_option(page, name, value)
    ask(page, "import os")
    first = finished(page)
    expect(page.get_by_text("ended at the token limit")).to_be_visible()
    assert again(page) == first
    set_option(page, "seed", "6")
    assert again(page) != first
    page.get_by_role("button", name="Reset seed").click()
    expect(page.get_by_label("seed", exact=True)).to_have_value("")
    page.get_by_label("keep_alive", exact=True).fill("soon")
    page.get_by_label("keep_alive", exact=True).press("Tab")
    expect(page.get_by_role("alert")).to_contain_text("10m")
    page.get_by_role("button", name="Reset all").click()
    expect(page.get_by_text("changed")).to_have_count(0)
    expect(page.get_by_label("num_predict", exact=True)).to_have_value("")


def test_code_can_be_taken_along(playground: Watched) -> None:
    page = playground.page
    set_option(page, "num_predict", "4")
    ask(page, "print('<b>')")
    finished(page)
    page.get_by_text("Show code").click()
    page.get_by_role("button", name="Copy the code").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    compile(copied, "shown", "exec")
    assert "workbench.connect()" in copied and "print('<b>')" in copied
    assert "'num_predict': 4" in copied


def test_a_chat_remembers_and_can_be_edited(playground: Watched) -> None:
    page = playground.page
    set_option(page, "num_predict", "6")
    page.get_by_role("tab", name="Chat").click()
    message = page.get_by_label("Your message", exact=True)
    for text in ("first message", "second message"):
        message.fill(text)
        message.press("Control+Enter")
        expect(page.locator(".wb-turn.user").last).to_contain_text(text)
        finished(page)
        expect(message).to_have_value("")
        expect(message).to_be_focused()
    page.get_by_role("button", name="Edit").first.click()
    field = page.locator(".wb-turn.user textarea")
    expect(field).to_be_focused()
    field.fill("other message")
    field.press("Control+Enter")
    expect(page.locator(".wb-turn.user")).to_have_count(1)
    finished(page)
    page.get_by_role("button", name="Undo last").click()
    expect(message).to_have_value("other message")
    expect(page.locator(".wb-turn")).to_have_count(0)


def test_hostile_output_stays_inert(browser: Browser, server: Server) -> None:
    with open_page(browser, f"{server.url}voila/render/hostile.ipynb") as watched:
        page = watched.page
        expect(answer(page)).to_contain_text("<img src=x onerror=")
        expect(answer(page).locator("strong")).to_have_text("bold")
        expect(page.locator("#raw")).to_contain_text("raw wall")
        for link in page.locator("#raw a, .wb-prose a").all():
            link.click()
        page.locator("#raw b").click()
        page.wait_for_timeout(500)
        assert page.evaluate("window.broken") is None
        shown = page.locator(".wb-fragment")
        assert shown.locator("script, iframe, img, svg[onload], [onerror], [onclick]").count() == 0


def test_a_killed_engine_is_an_error_card_and_the_next_try_works(
    playground: Watched, server: Server
) -> None:
    page = playground.page
    set_option(page, "num_predict", "100000")
    ask(page, "def read_lines(path):")
    expect(answer(page)).to_have_text(re.compile(r".{40}", re.S))
    with at(server.home):
        status = engine_status()
    assert status is not None
    os.kill(status.pid, signal.SIGKILL)
    problem = page.get_by_role("alert").first
    expect(problem).to_be_visible()
    expect(page.get_by_text("interrupted", exact=True)).to_be_visible()
    problem.get_by_text("Details", exact=True).click()
    expect(problem.locator("pre")).to_contain_text("Traceback")
    set_option(page, "num_predict", "5")
    problem.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("ended at the token limit")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_everything_works_from_the_keyboard(shell: Watched) -> None:
    page = shell.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("tab", name="Home")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Models")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Models")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Benchmarks")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Benchmarks")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Data")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Data")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Training", exact=True)).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Training")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Tuning")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Tuning")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Versions")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Versions")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Playground")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Playground")).to_be_visible()
    expect(page.get_by_role("tabpanel", name="Home")).to_be_hidden()
    model = page.get_by_role("tabpanel", name="Playground").get_by_label("Model", exact=True)
    expect(model).to_have_value("tiny:latest")
    page.keyboard.press("Tab")
    expect(model).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("tab", name="Prompt")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Your prompt")).to_be_focused()
    page.keyboard.type("def f(x):")
    page.keyboard.press("Control+Enter")
    expect(answer(page)).to_have_text(re.compile(r".{20}", re.S))
    page.keyboard.press("Escape")
    assert finished(page)


def test_a_model_is_deleted_only_after_a_second_click(shell: Watched) -> None:
    page = shell.page
    page.get_by_role("button", name="Delete spare:latest").click()
    question = page.get_by_role("group", name="Delete spare:latest?")
    question.get_by_role("button", name="Keep").click()
    expect(question).to_have_count(0)
    page.get_by_role("button", name="Delete spare:latest").click()
    question.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("spare:latest")).to_have_count(0)
    expect(page.get_by_text("tiny:latest").first).to_be_visible()


def test_a_model_opens_in_the_playground(shell: Watched) -> None:
    page = shell.page
    page.get_by_role("button", name="Open tiny:latest in the Playground").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value("tiny:latest")


def test_an_empty_home_says_what_to_do(
    browser: Browser, empty: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_page(browser, empty.url) as watched:
        page = watched.page
        expect(card(page, "Models").get_by_text("No model yet")).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("Build the starter"))).to_be_visible()
        monkeypatch.syspath_prepend(str(Path(__file__).parent))
        with at(empty.home):
            job = jobs.submit("slow_target:climb", {}, title="Prepare", kind="prepare")
        expect(page.get_by_text("Your first model is being made")).to_be_visible()
        bar = card(page, "Models").get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", re.compile(r"[1-9]\d"))
        shoot(page, "empty-1280-light")
        page.get_by_role("button", name="Cancel Prepare").click()
        expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Resume Prepare")).to_be_visible()
        page.get_by_role("button", name="Log of Prepare").click()
        expect(page.get_by_label("Log", exact=True)).to_contain_text("step")
        page.get_by_role("tab", name="Playground").click()
        expect(card(page, "Models").get_by_text("No model yet").last).to_be_visible()
        with at(empty.home):
            assert jobs.get(job.id).state == "cancelled"


def test_the_engine_is_stopped_and_started(browser: Browser, empty: Server) -> None:
    with open_page(browser, empty.url) as watched:
        engine = card(watched.page, "Engine")
        engine.get_by_role("button", name="Stop").click()
        expect(engine).to_contain_text("Engine stopped")
        watched.page.wait_for_timeout(2500)  # polling must not start it again
        expect(engine).to_contain_text("Engine stopped")
        engine.get_by_role("button", name="Start").click()
        expect(engine).to_contain_text("Embedded engine")


def test_it_is_readable_at_every_width(browser: Browser, server: Server) -> None:
    with open_page(browser, server.url) as watched:
        page = watched.page
        expect(page.get_by_role("row").filter(has_text="tiny:latest")).to_be_visible()
        expect(card(page, "Checks").get_by_text("Checking")).to_have_count(0)
        for panel in ("Home", "Playground"):
            page.get_by_role("tab", name=panel).click()
            if panel == "Playground":
                set_option(page, "num_predict", "80")
                ask(page, "def read_lines(path):\n    ")
                finished(page)
            measure(page, panel.lower())
