"""The Training panel as somebody uses it: a real Chromium, Voila, engine, dataset, training."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from conftest import at
from pages import Server, card, measure, open_page, serve
from panels.training_records import LONG, report_steps, write_datasets, write_trainings
from playwright.sync_api import Browser, Locator, Page, expect

from workbench import data, jobs, lineage
from workbench.engines import connect, stop_engine
from workbench.jobs import stop_supervisor

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)
ENDS = 150_000  # milliseconds that a whole training may take on a busy machine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Voila whose home has datasets, and trainings of every kind; one has told its steps."""
    folder = tmp_path_factory.mktemp("training-page")
    home = folder / "home"
    with at(home):
        with connect():
            pass
        talks, pairs = write_datasets(folder)
        sums = folder / "sums.jsonl"
        rows = [{"prompt": f"{a} + {b} =", "completion": f" {a + b}"} for a in range(60)
                for b in range(40)]  # fmt: skip
        sums.write_text("\n".join(map(json.dumps, rows)))
        data.split(data.import_file("sums", sums), validation=0.1)
        done, _odd = write_trainings(talks, pairs)
        target = f"{report_steps.__module__}:{report_steps.__name__}"
        told = jobs.submit(target, {"count": 300}, title="Train it", kind="training")
        lineage.note(done, job=told.id)
        jobs.wait(told.id, 60)
        try:
            with serve(home, folder) as running:
                yield running
        finally:
            with at(home):
                stop_supervisor()
                stop_engine()


def view(page: Page, name: str) -> None:
    page.get_by_role("tab", name="Training", exact=True).click()
    page.get_by_role("tab", name=re.compile(f"^{name}")).last.click()


def part(page: Page, name: str) -> None:
    page.get_by_role("tablist", name="About this training").get_by_role("tab", name=name).click()


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row", name=name, exact=True)


def test_a_model_is_trained_and_spoken_to(browser: Browser, server: Server) -> None:
    with open_page(browser, server.url) as watched:
        page = watched.page
        page.get_by_role("tab", name="Data", exact=True).click()
        page.get_by_role("tab", name=re.compile("^Datasets")).last.click()
        row(page, "sums").click()
        page.get_by_role("button", name="Train on it").click()
        form = card(page, "New training")
        expect(form.get_by_label("Dataset")).to_have_value(re.compile("^sums@"))
        form.get_by_role("button", name="From scratch").click()
        expect(form.locator("output")).to_have_text("4 layers")
        form.get_by_label("Size: one dial").fill("1")
        expect(form.locator("output")).to_have_text("1 layer")
        for name, value in {"Steps": "30", "Context": "64", "Batch": "1024"}.items():
            form.get_by_label(name, exact=True).fill(value)
        form.get_by_text("Files and the engine").click()
        form.get_by_label("F16", exact=True).check()
        form.get_by_label("Q8_0", exact=True).uncheck()
        form.get_by_label("Name of the new model").fill("adder")
        takes = card(page, "What it takes")
        expect(takes).to_contain_text("Fits this machine", timeout=60_000)
        expect(takes.get_by_role("button", name="Train adder")).to_have_attribute(
            "aria-disabled", "false"
        )
        takes.get_by_text("Show code").click()
        expect(takes.locator("pre")).to_contain_text("'steps': 30")
        form.get_by_label("Name of the new model").press("Control+Enter")
        run = card(page, "Training")
        expect(run).to_contain_text("adder", timeout=60_000)
        expect(card(page, "Progress").get_by_role("img", name=re.compile("^Loss"))).to_be_visible(
            timeout=ENDS
        )
        expect(run.get_by_text("Done", exact=True)).to_be_visible(timeout=ENDS)
        part(page, "Files and checks")
        expect(card(page, "Checks")).to_contain_text("They agree")
        part(page, "Gain")
        expect(card(page, "Gain")).to_contain_text("none of which was learnt")
        part(page, "Lineage")
        expect(card(page, "Hashes")).to_contain_text("adder")
        run.get_by_role("button", name="Open in the Playground").click()
        expect(page.get_by_label("Model", exact=True)).to_have_value("adder:latest")
        page.get_by_label("Your prompt").fill("2 + 3 =")
        page.get_by_role("button", name="Generate", exact=True).click()
        expect(page.get_by_role("button", name="Regenerate", exact=True)).to_be_visible()


def test_it_is_readable_at_every_width(browser: Browser, server: Server) -> None:
    with open_page(browser, server.url) as watched:
        page = watched.page
        view(page, "New training")
        page.get_by_role("button", name="From scratch").click()
        expect(page.get_by_label("Size: one dial")).to_be_visible()  # each recipe has its own
        page.get_by_text("All settings").click()
        page.get_by_label("Passes").fill("a few")
        expect(page.get_by_text("passes must be")).to_be_visible()
        measure(page, "training-new")
        view(page, "Trainings")
        expect(row(page, LONG)).to_be_visible()
        measure(page, "training-list")
        row(page, LONG).click()
        for name, region in {
            "Progress": "Progress", "Gain": "Forgetting", "Files and checks": "Export again",
            "Lineage": "Lineage", "Settings": "Predicted and measured",
        }.items():  # fmt: skip
            part(page, name)
            expect(card(page, region)).to_be_visible()
            measure(page, f"training-{name.split()[0].lower()}")
        page.get_by_role("button", name=re.compile("^Trainings")).click()
        page.get_by_role("row", name=re.compile("^<img")).click()
        part(page, "Files and checks")
        expect(card(page, "Checks")).to_contain_text("They part")
        page.get_by_text("Where they part most").click()
        measure(page, "training-hostile")
        assert page.evaluate("window.broken") is None


def test_it_works_from_the_keyboard(browser: Browser, server: Server, empty: Server) -> None:
    with open_page(browser, empty.url) as watched:
        page = watched.page
        view(page, "Trainings")
        expect(page.get_by_text("Nothing was trained yet")).to_be_visible()
        page.get_by_role("button", name="New training").press("Enter")
        measure(page, "training-empty")
        page.get_by_role("button", name="Make a dataset").press("Enter")
        expect(card(page, "Gather documents")).to_be_visible()
    with open_page(browser, f"{server.url}voila/render/04_training.ipynb") as watched:
        page = watched.page
        page.get_by_role("tab", name=re.compile("^New training")).focus()
        page.keyboard.press("ArrowRight")
        expect(row(page, LONG)).to_be_visible()
        row(page, LONG).focus()
        page.keyboard.press("Enter")
        expect(card(page, "Training")).to_be_focused()
        page.get_by_role("tab", name="Progress").focus()
        page.keyboard.press("End")
        expect(card(page, "Settings")).to_be_visible()
        page.keyboard.press("Escape")
        expect(row(page, LONG)).to_be_focused()
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        expect(card(page, "Training")).to_be_visible()
        ask = page.get_by_role("button", name=re.compile("^Delete the training"))
        ask.press("Enter")
        expect(
            card(page, "Training").get_by_role("button", name="Delete", exact=True)
        ).to_be_focused()
        page.get_by_role("button", name="Keep").press("Enter")
        expect(ask).to_be_visible()
