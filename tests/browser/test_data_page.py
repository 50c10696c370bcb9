"""The Data panel as somebody uses it: a real Chromium, Voila, engine, files, repository, jobs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ONE, at
from pages import Server, Watched, card, measure, open_page, serve
from panels.data_documents import HOSTILE, SECRET, write_docs, write_repository
from playwright.sync_api import Browser, Locator, Page, expect
from tiny import write_tiny_llama

from workbench import data, gather
from workbench.engines import connect, stop_engine
from workbench.jobs import stop_supervisor

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)
LONG = "a-dataset-with-a-name-that-is-as-long-as-a-name-can-ever-be-0123"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Voila whose home has a model, a collection, and datasets of several forms and versions."""
    folder = tmp_path_factory.mktemp("data-page")
    home = folder / "home"
    model = write_tiny_llama(folder / "tiny.gguf", context=2048)
    with at(home):
        with connect() as engine:
            for _step in engine.create("tiny", files={"m.gguf": model}, parameters=ONE):
                pass
        gather.gather("docs", "files", str(write_docs(folder / "docs")))
        gather.gather("docs", "git", str(write_repository(folder / "repository")))
        corpus = data.make_corpus("docs", ["docs"])
        data.split(data.make_code(LONG, dataset=corpus.label), validation=0.2, test=0.2)
        data.split(corpus, validation=0.2, by="address")
        talks = folder / "talks.jsonl"
        rows = [[{"role": "system", "content": "Be brief."}, *said(n)] for n in range(30)]
        talks.write_text("\n".join([json.dumps({"messages": one}) for one in rows] + ["{broken"]))
        data.import_file("talks", talks)
        try:
            with serve(home, folder) as running:
                yield running
        finally:
            with at(home):
                stop_supervisor()
                stop_engine()


def said(n: int) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": f"What is {n} and {n}? {HOSTILE}"},
        {"role": "assistant", "content": f"It is {2 * n}."},
        {"role": "user", "content": "And then?"},
        {"role": "assistant", "content": f"Then {4 * n}."},
    ]


@pytest.fixture
def panel(browser: Browser, server: Server) -> Iterator[Watched]:
    """The front page with the list of datasets."""
    with open_page(browser, server.url) as watched:
        view(watched.page, "Datasets")
        expect(row(watched.page, "talks")).to_be_visible()
        yield watched


def view(page: Page, name: str) -> None:
    page.get_by_role("tab", name="Data", exact=True).click()
    page.get_by_role("tab", name=re.compile(f"^{name}")).last.click()


def part(page: Page, name: str) -> None:
    page.get_by_role("tablist", name="About this dataset").get_by_role(
        "tab", name=re.compile(f"^{name}")
    ).click()


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row", name=name, exact=True)


def open_dataset(page: Page, name: str) -> None:
    row(page, name).click()
    expect(card(page, "Dataset").get_by_role("heading", name=name, exact=True)).to_be_visible()


def gather_into_docs(page: Page, kind: str, address: Path) -> None:
    form = card(page, "Gather documents")
    form.get_by_role("button", name=kind, exact=True).click()
    expect(form.get_by_role("button", name=kind, exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    form.locator("#wb-gather-address").fill(str(address))
    form.get_by_label("Into the collection").fill("docs")
    start = form.get_by_role("button", name="Gather", exact=True)
    expect(start).to_have_attribute("aria-disabled", "false")
    start.click()
    expect(card(page, "Collection docs").get_by_text(str(address), exact=True)).to_be_visible(
        timeout=120_000
    )


def test_documents_become_a_dataset_from_the_panel_alone(
    browser: Browser, empty: Server, tmp_path: Path
) -> None:
    docs, repository = write_docs(tmp_path / "docs"), write_repository(tmp_path / "repository")
    with open_page(browser, empty.url) as watched:
        page = watched.page
        view(page, "Gather")
        expect(card(page, "How it works")).to_contain_text("three steps")
        gather_into_docs(page, "Files", docs)
        gather_into_docs(page, "Git", repository)
        mine = card(page, "Collection docs")
        mine.get_by_role("button", name="1 skipped").click()
        expect(mine.get_by_label("Skipped")).to_contain_text("noise.bin")

        mine.get_by_role("button", name="Clean docs").click()
        form = card(page, "Clean")
        form.get_by_text("Show code").click()
        expect(form.get_by_label("Python code")).to_contain_text("submit_make('clean', 'docs'")
        form.get_by_role("button", name="Clean", exact=True).click()
        page.get_by_role("button", name="See the dataset").click(timeout=120_000)

        part(page, "What was dropped")
        report = card(page, "What was dropped")
        expect(report.get_by_role("heading")).to_contain_text(re.compile(r"From \d+ documents to"))
        equal = report.get_by_role("listitem").filter(has_text="Equal documents")
        equal.get_by_text("Why").click()
        expect(equal).to_contain_text(re.compile(r"z-copy\.rst is like .*with\.rst"))
        expect(card(page, "Secrets and personal data")).to_contain_text("AWS_KEY")
        expect(page.locator("body")).not_to_contain_text(SECRET)

        part(page, "Checks")
        expect(card(page, "Verdict")).to_contain_text("Yes, with warnings")
        expect(card(page, "Quality")).to_contain_text("of 100")

        part(page, "Split")
        form = card(page, "Split")
        form.get_by_label("Validation, %").fill("20")
        expect(form.get_by_role("button", name="Split", exact=True)).to_be_enabled()
        form.get_by_role("button", name="Split", exact=True).click()
        page.get_by_role("tab", name=re.compile("^Versions 2$")).wait_for(timeout=120_000)
        view(page, "Datasets")
        expect(row(page, "docs")).to_contain_text("validation 3")
        open_dataset(page, "docs")
        made = card(page, "Made of")
        expect(made).to_contain_text("Split with seed 0: 20 % for validation")
        digest = made.locator(".wb-sources .wb-mono").first.inner_text()
        made.get_by_role("button", name="Check the files").click()
        expect(made).to_contain_text("as they were made")
        assert page.evaluate("window.broken") is None
    with at(tmp_path / "another home"):
        gather.gather("docs", "files", str(docs))
        gather.gather("docs", "git", str(repository))
        halves = data.split(data.make_corpus("docs", ["docs"]), validation=0.2, by="address")
    assert digest == halves.digest
    with at(tmp_path / "a third home"):
        try:
            command("add", "docs", str(docs))
            command("git", "docs", str(repository))
            command("clean", "docs", "--name", "docs")
            command("split", "docs", "--validation", "0.2", "--by", "address")
            assert data.find("docs").digest == digest
        finally:
            stop_supervisor()


def command(*words: str) -> None:
    """`workbench data …`, as somebody types it."""
    line = [sys.executable, "-m", "workbench.cli", "data", *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_examples_are_shown_as_a_model_reads_them(panel: Watched) -> None:
    page = panel.page
    open_dataset(page, "talks")
    part(page, "Examples")
    shown = card(page, "Examples")
    text = shown.get_by_label("The text that is learnt from")
    expect(text.locator("mark")).to_have_text(["It is 0.<|im_end|>", "Then 0.<|im_end|>"])
    expect(text).to_contain_text(HOSTILE)
    page.keyboard.press("n")
    expect(text.locator("mark").first).to_contain_text("It is 2.")
    shown.get_by_label("Number of the example").fill("30")
    page.keyboard.press("Tab")
    expect(text.locator("mark").first).to_contain_text("It is 58.")
    expect(shown.get_by_role("button", name="Next example")).to_have_attribute(
        "aria-disabled", "true"
    )
    shown.get_by_label("As which model sees it").select_option("tiny:latest")
    expect(shown.get_by_title("Tokens of tiny:latest, told by the engine.")).to_be_visible()
    expect(text.locator("mark").last).to_contain_text("Then 116.")
    assert page.evaluate("window.broken") is None
    assert page.locator(".wb-fragment :is(img, script, iframe)").count() == 0


def test_the_list_is_walked_with_the_keyboard(panel: Watched) -> None:
    page = panel.page
    first = page.locator("[data-row]").first
    first.focus()
    page.keyboard.press("End")
    last = page.locator("[data-row]").last
    expect(last).to_be_focused()
    name = last.get_attribute("aria-label") or ""
    page.keyboard.press("Enter")
    expect(card(page, "Dataset").get_by_role("heading", name=name, exact=True)).to_be_visible()
    expect(card(page, "Dataset")).to_be_focused()
    tabs = page.get_by_role("tablist", name="About this dataset")
    tabs.get_by_role("tab", name="Overview").focus()
    page.keyboard.press("End")
    expect(card(page, "Versions")).to_be_visible()
    page.keyboard.press("Escape")
    expect(row(page, name)).to_be_focused()


def test_a_file_is_mapped_and_imported_and_deleted(panel: Watched, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    lines = [f'"{n} <b>{HOSTILE.replace(chr(34), chr(39))}</b>",answer {n},x' for n in range(20)]
    path.write_text("\n".join(["<b>frage</b>,sagt,art", *lines]))
    page = panel.page
    view(page, "Import")
    form = card(page, "Import")
    form.get_by_label("File on this machine").fill(str(path))
    expect(form).to_contain_text("Not recognised")
    form.get_by_label("Makes").select_option("completion")
    form.get_by_label("prompt", exact=True).select_option("<b>frage</b>")
    form.get_by_label("completion", exact=True).select_option("sagt")
    expect(form.get_by_label("First examples")).to_contain_text("answer 0")
    form.get_by_label("Name of the dataset").fill("pairs")
    expect(form.get_by_role("button", name="Import", exact=True)).to_have_attribute(
        "aria-disabled", "false"
    )
    page.keyboard.press("Enter")
    made = card(page, "Being done").get_by_role("listitem").filter(has_text="Import pairs")
    made.get_by_role("button", name="See the dataset").click(timeout=120_000)
    expect(card(page, "Made of")).to_contain_text("<b>frage</b> as prompt")
    page.get_by_role("button", name=re.compile("^Delete pairs@")).click()
    sure = card(page, "Dataset").get_by_role("button", name="Delete", exact=True)
    expect(sure).to_be_focused()
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("button", name=re.compile("^Delete pairs@")).click()
    sure.click()
    expect(row(page, "talks")).to_be_visible()
    expect(row(page, "pairs")).to_have_count(0)
    assert page.evaluate("window.broken") is None


def test_gathering_can_be_cancelled_and_resumed(browser: Browser, empty: Server) -> None:
    with open_page(browser, empty.url) as watched:
        page = watched.page
        view(page, "Gather")
        form = card(page, "Gather documents")
        form.locator("#wb-gather-address").fill("/usr")
        form.get_by_label("Into the collection").fill("large")
        expect(form.get_by_role("button", name="Gather", exact=True)).to_have_attribute(
            "aria-disabled", "false"
        )
        page.keyboard.press("Enter")
        job = card(page, "Being done").get_by_role("listitem").filter(has_text="into large")
        job.get_by_role("button", name=re.compile("^Cancel")).click()
        expect(job).to_contain_text("Cancelled", timeout=60_000)
        job.get_by_role("button", name=re.compile("^Resume")).click()
        expect(job.get_by_role("progressbar")).to_be_visible()
        job.get_by_role("button", name=re.compile("^Cancel")).click()
        expect(job).to_contain_text("Cancelled", timeout=60_000)
        expect(card(page, "Collection large")).to_have_count(0)


def test_it_is_readable_at_every_width(browser: Browser, server: Server, empty: Server) -> None:
    with open_page(browser, server.url) as watched:
        page = watched.page
        view(page, "Gather")
        card(page, "Collection docs").get_by_role("button", name="14 documents").click()
        page.get_by_role("button", name="Website", exact=True).click()
        page.locator("#wb-gather-address").fill("nowhere")
        expect(page.get_by_text("An address begins with https")).to_be_visible()
        measure(page, "data-gather")
        view(page, "Clean")
        card(page, "Clean").get_by_text("suites: choose").click()
        measure(page, "data-clean")
        view(page, "Datasets")
        expect(row(page, "talks")).to_contain_text("warnings")
        measure(page, "data-list")
        open_dataset(page, LONG)
        expect(page.locator(".wb-histogram")).to_be_visible()
        measure(page, "data-overview")
        for name, region in (("Examples", "Examples"), ("Checks", "Quality"), ("Split", "Split")):
            part(page, name)
            expect(card(page, region)).to_be_visible()
            expect(page.get_by_text("Reading …")).to_have_count(0)
            measure(page, f"data-{name.lower()}")
        part(page, "Versions")
        page.get_by_label("What has changed since").select_option(index=1)
        expect(page.get_by_text("What was done differently")).to_be_visible()
        measure(page, "data-versions")
        page.get_by_role("button", name="Open", exact=True).click()
        part(page, "Overview")
        page.locator("[data-key=parent] button").click()
        part(page, "What was dropped")
        expect(card(page, "What was dropped")).to_be_visible()
        for why in card(page, "What was dropped").get_by_text("Why", exact=True).all():
            why.click()
        measure(page, "data-report")
        view(page, "Import")
        page.get_by_label("File on this machine").fill(str(server.home.parent / "talks.jsonl"))
        expect(page.get_by_text("OpenAI messages", exact=True)).to_be_visible()
        measure(page, "data-import")


def test_the_notebook_is_a_page_of_its_own(browser: Browser, server: Server) -> None:
    with open_page(browser, f"{server.url}voila/render/03_data.ipynb") as watched:
        page = watched.page
        page.get_by_role("tab", name=re.compile("^Datasets")).click()
        expect(row(page, "talks")).to_be_visible()
