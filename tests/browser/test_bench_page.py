"""The Benchmarks panel as somebody uses it: a real Chromium, Voila, engine, jobs and runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bench.kept_runs import kept_run
from conftest import ONE, at
from pages import Server, Watched, card, measure, open_page, serve
from playwright.sync_api import Browser, Locator, Page, expect
from tiny import write_tiny_llama

from workbench import jobs
from workbench.bench import Plan
from workbench.bench import measure as measure_one
from workbench.engines import connect, stop_engine
from workbench.jobs import stop_supervisor

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)
HOSTILE = '<img src=x onerror="window.broken=1"><b>said</b>'
LONG = "huggingface.co/an-organisation/a-model-with-a-very-long-name-instruct:q4_k_m"
TASK = """
name: go-on
title: Going on
mode: complete
samples:
{rows}
scorers: [includes]
options: {{num_predict: 8}}
"""
SMALL = "name: small\ntitle: A small suite\ndescription: What little there is.\ntasks: [go-on]\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Voila whose home has two models, two suites, and runs of a third one."""
    folder = tmp_path_factory.mktemp("bench-page")
    home = folder / "home"
    for name in ("tasks", "suites"):
        (home / name).mkdir(parents=True)
    rows = "\n".join(f'  - {{id: s{n}, prompt: "def f{n}(x):", target: "e"}}' for n in range(400))
    (home / "tasks" / "go-on.yaml").write_text(TASK.format(rows=rows))
    (home / "suites" / "small.yaml").write_text(SMALL)
    (home / "suites" / "broken.yaml").write_text("name: broken\ntasks: 3\n")
    with at(home):
        keep_runs()
        with connect() as engine:
            for seed, name in enumerate(("one", "two")):
                model = write_tiny_llama(
                    folder / f"{name}.gguf", seed=seed, context=1024, endless=True
                )
                for _step in engine.create(name, files={"m.gguf": model}, parameters=ONE):
                    pass
        with ThreadPoolExecutor() as pool:  # Playwright's loop runs in this thread
            pool.submit(measure_one, Plan("one:latest", "small", limit=5)).result()
        try:
            with serve(home, folder) as running:
                yield running
        finally:
            with at(home):
                for job in jobs.jobs():
                    if not job.ended:
                        jobs.cancel(job.id)
                stop_supervisor()
                stop_engine()


def keep_runs() -> None:
    """Runs of the suite `mine`: good and fair are alike, poor is not, and one has a long name."""
    tasks = ("sums", "words", "a task with a rather long name", "code", "json", "safety")
    for model, right in ((LONG, 33), ("poor", 8), ("fair", 30), ("good", 34)):
        scores = {
            name: [1.0 if (n * 7 + place) % 40 < right else 0.0 for n in range(40)]
            for place, name in enumerate(tasks)
        }
        scores["sums"][0] = None  # type: ignore[call-overload]
        kept_run(model, scores, outputs=f"{HOSTILE} the answer", more={"title": HOSTILE})


@pytest.fixture
def bench(browser: Browser, server: Server) -> Iterator[Watched]:
    """The front page with Benchmarks opened on the suite `mine`."""
    with open_page(browser, server.url) as watched:
        open_board(watched.page)
        yield watched


def open_board(page: Page) -> None:
    page.get_by_role("tab", name="Benchmarks").click()
    page.locator("#wb-suite").select_option("mine")
    expect(row(page, "good")).to_be_visible()


def rows(page: Page) -> Locator:
    return page.get_by_role("grid", name="Leaderboard").locator("[data-row]")


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row", name=name, exact=True)


def pick(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("button", name=f"Compare {name}", exact=True).click()
        expect(row(page, name)).to_have_attribute("aria-selected", "true")


def compare(page: Page, *names: str) -> None:
    pick(page, *names)
    page.get_by_role("button", name=f"Compare {len(names)}", exact=True).click()
    expect(page.get_by_role("region", name="Table of pairs")).to_be_visible()


def ask_both(page: Page) -> Locator:
    """Ask, stop when both have begun to write; the button that prefers the first."""
    page.get_by_label("Your question").fill("def read_lines(path):")
    page.keyboard.press("Control+Enter")
    stop_both(page)
    return page.get_by_role("button", name="A is better")


def stop_both(page: Page) -> None:
    for side in ("A", "B"):
        answer = page.get_by_role("article", name=f"Answer {side}").locator("[data-key=text]")
        expect(answer).to_have_text(re.compile(r".{4}", re.S))
    page.keyboard.press("Escape")
    better = page.get_by_role("button", name="A is better")
    expect(better).to_have_attribute("aria-disabled", "false")


def view(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def test_models_are_measured_and_appear_on_the_board(bench: Watched) -> None:
    page = bench.page
    view(page, "New")
    form = card(page, "New measurement")
    start = form.get_by_role("button", name="Start", exact=True)
    expect(form).to_contain_text("Choose a model.")
    expect(start).to_have_attribute("aria-disabled", "true")
    for name in ("one:latest", "two:latest", "A small suite"):
        form.get_by_role("checkbox", name=re.compile(f"^{name}")).check()
    form.get_by_label("Setting 1", exact=True).fill("num_ctz=512")
    form.get_by_label("Questions of each task").fill("6")
    expect(form).to_contain_text("Did you mean num_ctx?")
    expect(start).to_have_attribute("aria-disabled", "true")
    form.get_by_label("Setting 1", exact=True).fill("num_ctx=512")
    form.get_by_label("Seed").fill("0")
    expect(form).to_contain_text("2 runs, about 12 questions")
    form.get_by_text("Show code").click()
    compile(form.get_by_label("Python code").inner_text(), "shown", "exec")
    start.click()
    expect(form).to_contain_text("It goes on when this page is closed")
    measured = card(page, "Being measured")
    expect(measured.get_by_text("Done", exact=True)).to_be_visible(timeout=120_000)
    measured.get_by_role("button", name="See the board").click()
    expect(page.get_by_role("heading", name="A small suite")).to_be_visible()
    expect(row(page, "two:latest (num_ctx 512)")).to_be_visible()
    expect(row(page, "one:latest (num_ctx 512)")).to_contain_text("6 samples")


def test_a_measurement_shows_how_far_it_is_and_can_be_cancelled(bench: Watched) -> None:
    page = bench.page
    view(page, "New")
    form = card(page, "New measurement")
    for name in ("one:latest", "A small suite"):
        form.get_by_role("checkbox", name=re.compile(f"^{name}")).check()
    form.get_by_label("Questions of each task").fill("400")
    form.get_by_label("Seed").fill("3")
    expect(form).to_contain_text("1 run, about")
    form.get_by_role("button", name="Start", exact=True).click()
    view(page, "Board")
    measured = card(page, "Being measured")
    bar = measured.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", re.compile("[1-9]"), timeout=120_000)
    expect(measured).to_contain_text(re.compile(r"\d+ of \d+ answers"))
    measured.get_by_role("button", name=re.compile("^Cancel")).click()
    expect(measured).to_have_count(0, timeout=60_000)
    view(page, "New")
    expect(
        card(page, "Being measured").get_by_role("button", name=re.compile("^Resume")).first
    ).to_be_visible()


def test_verdicts_are_said_and_answers_stand_side_by_side(bench: Watched) -> None:
    page = bench.page
    compare(page, "good", "fair", "poor")
    verdicts = card(page, "Verdicts")
    expect(verdicts).to_contain_text(re.compile("good is better than poor by .* points"))
    expect(verdicts.get_by_role("listitem")).to_have_count(3)
    pairs = page.get_by_role("region", name="Table of pairs")
    expect(pairs.get_by_role("button", name=re.compile("^better"))).to_have_count(
        pairs.get_by_role("button", name=re.compile("^worse")).count()
    )
    pairs.locator("tr").last.get_by_role("button").first.click()
    differ = card(page, "Answers that differ")
    expect(differ.get_by_label("This run").locator("option:checked")).to_have_text("poor")
    first = differ.locator(".wb-flip").first
    first.click()
    expect(first).to_have_attribute("aria-expanded", "true")
    expect(differ.locator("del").first).to_have_text("poor")
    expect(differ.locator("ins").first).to_have_text("good")
    expect(differ.get_by_label("Question").first).to_contain_text("Question")
    expect(differ).to_contain_text("because")
    differ.get_by_label("Task").select_option("code")
    expect(differ.locator(".wb-flip .wb-sub").first).to_contain_text(HOSTILE)
    assert page.evaluate("window.broken") is None
    assert page.locator(".wb-fragment :is(img, script, iframe)").count() == 0


def test_reports_are_downloaded(bench: Watched) -> None:
    page = bench.page
    compare(page, "good", "poor")
    export = card(page, "Export")
    assert page.locator("#wb-bench-report").count() == 0, "written before anybody asked"
    for name, words in (("CSV", "run,id,model"), ("HTML report", "<!doctype html>")):
        export.get_by_role("button", name=name).click()
        expect(export).to_contain_text(f"{name} is ready")
        with page.expect_download() as waiting:
            export.get_by_role("button", name="Download").click()
        assert Path(waiting.value.path()).read_text(encoding="utf-8").startswith(words)
    export.get_by_role("button", name="Save as a file").click()
    expect(export).to_contain_text(re.compile(r"Saved as .*exports.benchmarks\.html"))


def test_it_works_from_the_keyboard(bench: Watched) -> None:
    page = bench.page
    rows(page).first.focus()
    page.keyboard.press("ArrowDown")
    second = rows(page).nth(1)
    expect(second).to_be_focused()
    page.keyboard.press("Space")
    expect(second).to_have_attribute("aria-selected", "true")
    expect(second).to_be_focused()
    page.keyboard.press("End")
    expect(rows(page).last).to_be_focused()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Compare 2", exact=True)).to_be_visible()
    page.keyboard.press("Home")
    expect(rows(page).first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(second).to_be_focused()
    name = str(second.get_attribute("aria-label"))  # while the board is still there
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    expect(card(page, "Run")).to_be_focused()
    page.keyboard.press("Escape")
    expect(row(page, name)).to_be_focused()
    page.get_by_role("tab", name="Board").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="New")).to_be_focused()
    expect(card(page, "New measurement")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Compare")).to_be_focused()
    expect(card(page, "Verdicts")).to_be_visible()
    expect(page.get_by_role("tab", name="Compare")).to_be_focused()


def test_answers_are_read_filtered_and_scored_again(bench: Watched) -> None:
    page = bench.page
    page.locator("#wb-suite").select_option("small")
    row(page, "one:latest").click()
    answers = card(page, "Answers")
    expect(answers.get_by_role("status")).to_have_text("5 of 5")
    answers.get_by_label("Only questions and answers that contain").fill("def f3(")
    expect(answers.get_by_role("status")).to_have_text("1 of 5")
    answers.locator("summary").first.click()
    expect(answers.get_by_label("Question", exact=True)).to_contain_text("def f3(x):")
    answers.get_by_label("Only questions and answers that contain").fill("")
    answers.get_by_role("button", name="Not scored").click()
    expect(answers).to_contain_text("No answer passes these filters.")
    run = card(page, "Run")
    run.get_by_text("How it was measured").click()
    expect(run).to_contain_text("one:latest@")
    run.get_by_role("button", name="Score again").click()
    expect(run.get_by_role("button", name="Score again")).to_have_attribute(
        "aria-disabled", "false"
    )


def test_deleting_asks_first(bench: Watched, server: Server) -> None:
    page = bench.page
    with at(server.home):
        kept_run("spare", {"sums": [1.0, 0.0]}, suite="mine", seed=0)
    expect(row(page, "spare")).to_be_visible()
    pick(page, "spare")
    tray = card(page, "To compare")
    tray.get_by_role("button", name="Delete", exact=True).click()
    expect(tray).to_contain_text("Delete 1 run and all answers to 2 questions for good?")
    tray.get_by_role("button", name="Keep").click()
    expect(tray).not_to_contain_text("for good?")
    tray.get_by_role("button", name="Delete", exact=True).click()
    expect(tray).to_contain_text("for good?")
    tray.get_by_role("button", name="Delete", exact=True).click()
    expect(row(page, "spare")).to_have_count(0)
    expect(rows(page)).to_have_count(4)


def test_plots_come_when_they_are_asked_for(bench: Watched) -> None:
    page = bench.page
    assert page.evaluate("window.workbenchPlotly") is None
    for name in ("Quality and memory", "Quality and speed", "History"):
        page.get_by_role("group", name="Plot").get_by_role("button", name=name).click()
        expect(page.locator(".wb-plot .gtitle").first).to_have_text(
            {"History": "Score over time"}.get(name, name.replace("Quality", "Score")),
            timeout=60_000,
        )
    view(page, "New")
    expect(page.locator(".wb-plot")).to_be_hidden()


def test_the_arena_is_blind_and_hears_keys(bench: Watched) -> None:
    page = bench.page
    view(page, "Arena")
    ask_both(page)
    answers = card(page, "Answers")
    shown = answers.inner_text()
    assert "one:latest" not in shown and "two:latest" not in shown
    page.get_by_label("Your question").blur()
    page.keyboard.press("2")
    expect(answers).to_contain_text("You preferred")
    expect(answers).to_contain_text("one:latest")
    expect(card(page, "Ratings")).to_contain_text("by 1 vote of yours")
    page.keyboard.press("u")
    expect(card(page, "Ratings")).to_contain_text("by 0 votes of yours")
    page.keyboard.press("3")
    expect(answers).to_contain_text("To you they are equal.")
    page.keyboard.press("n")
    expect(answers).not_to_contain_text("To you they are equal.")  # the old answers are gone
    stop_both(page)
    page.keyboard.press("1")
    expect(card(page, "Ratings")).to_contain_text("by 2 votes of yours")
    page.get_by_role("button", name="Export preferences").click()
    expect(card(page, "Ratings")).to_contain_text("1 preference saved as")


def test_bad_files_are_told_of_and_texts_are_inert(bench: Watched) -> None:
    page = bench.page
    page.get_by_text("could not be read").click()
    expect(card(page, "View and suite")).to_contain_text("broken.yaml, line 2")
    expect(card(page, "Tasks")).to_contain_text("<b>said</b>")
    row(page, "good").click()
    expect(card(page, "Answers")).to_be_visible()
    page.wait_for_timeout(300)
    assert page.evaluate("window.broken") is None
    assert page.locator(".wb-fragment :is(img, script, iframe)").count() == 0


def test_it_is_readable_at_every_width(browser: Browser, server: Server) -> None:
    with open_page(browser, server.url) as watched:
        page = watched.page
        open_board(page)
        names = ("good", "fair", "poor", LONG)
        pick(page, *names)
        page.get_by_text("runs of this suite").click()
        measure(page, "bench-board")
        page.get_by_role("button", name="Compare 4", exact=True).click()
        expect(page.get_by_role("region", name="Table of pairs")).to_be_visible()
        page.locator(".wb-flip").first.click()
        expect(page.locator(".wb-flip-open")).to_be_visible()
        measure(page, "bench-compare")
        view(page, "New")
        page.get_by_role("checkbox", name=re.compile("^one:latest")).check()
        page.get_by_label("Setting 1", exact=True).fill("nonsense")
        page.get_by_label("Seed").focus()
        expect(page.get_by_text("There is no option")).to_be_visible()
        measure(page, "bench-new")
        view(page, "Answers")
        page.locator(".wb-answer").first.click()
        page.get_by_text("How it was measured").click()
        measure(page, "bench-answers")
        view(page, "Arena")
        ask_both(page)
        measure(page, "bench-arena")


def test_the_notebook_is_a_page_of_its_own(browser: Browser, server: Server) -> None:
    with open_page(browser, f"{server.url}voila/render/05_benchmarks.ipynb") as watched:
        page = watched.page
        page.locator("#wb-suite").select_option("mine")
        expect(row(page, "good")).to_be_visible()
