"""Modelfiles, storage and health as somebody uses them: a real Chromium, Voila, engine, files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ONE, at
from pages import Server, card, measure, open_page, serve, shoot
from playwright.sync_api import Browser, Locator, Page, expect
from tiny import write_tiny_llama

from workbench.engines import connect, stop_engine
from workbench.jobs import stop_supervisor
from workbench.library import Library
from workbench.protocol import ModelName, digest_of
from workbench.settings import models_folder

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)
HOSTILE = "<img src=x onerror='window.broken=1'>"
TAXES = f"""# title: Taxes {HOSTILE}
# about: Reads forms and reckons. {"A long word: " + "x" * 90}
# suite: finance
# ask: Which line {HOSTILE} is the income in?

FROM tiny
PARAMETER temperature 0.2
SYSTEM \"\"\"You help people to fill in forms. {"Say what you are not sure of. " * 12}\"\"\"
"""


@dataclass
class Home:
    """What the tests change behind the page's back."""

    server: Server
    library: Library
    weights: Path  # of `shaky`
    spare: Path  # the same bytes, as a training left them


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """`tiny` is used; nobody has used `old` for 90 days; `shaky` came from a training."""
    from storage.stored import aged, manifest_of

    folder = tmp_path_factory.mktemp("versions-store")
    place = folder / "home"
    with at(place):
        library = Library(models_folder())
        spare = place / "trainings" / "lost" / "gguf" / "Q8_0.gguf"
        spare.parent.mkdir(parents=True)
        files = {"tiny": folder / "tiny.gguf", "old": folder / "old.gguf", "shaky": spare}
        with connect() as engine:
            for seed, (name, file) in enumerate(files.items()):
                write_tiny_llama(file, context=1024, seed=seed, endless=True)
                for _step in engine.create(name, files={"m.gguf": file}, parameters=ONE):
                    pass
        aged(manifest_of(library, "old"), 90)
        (place / "domains").mkdir()
        (place / "domains" / "Modelfile.taxes").write_text(TAXES)
        (place / "domains" / "Modelfile.odd").write_text("FROM\n")
        try:
            with serve(place, folder) as running:
                yield Home(running, library, library.blob(digest_of(spare)), spare)
        finally:
            with at(place):
                stop_supervisor()
                stop_engine()


def view(page: Page, name: str) -> None:
    page.get_by_role("tab", name="Versions", exact=True).click()
    views = page.get_by_role("tablist", name="What to look at")
    views.get_by_role("tab", name=re.compile(f"^{name}")).click()


def side(page: Page, name: str) -> Locator:
    found = card(page, "Beside the Modelfile")
    found.get_by_role("tab", name=name).click()
    return found


def test_a_domain_is_edited_previewed_and_built(browser: Browser, home: Home) -> None:
    with open_page(browser, home.server.url) as watched:
        page = watched.page
        view(page, "Modelfiles")
        card(page, "Domains").get_by_role("option", name=re.compile("^Taxes")).click()
        editor = card(page, "Modelfile")
        text = editor.get_by_role("textbox", name="Modelfile")
        expect(text).to_have_value(re.compile("FROM tiny"))
        expect(editor).to_contain_text("in order")
        text.press("Control+End")
        text.press_sequentially("\nPARAMETRE top_k 20\nPARAMETER num_ctx 99999\n")
        findings = editor.get_by_role("listitem")
        expect(findings.filter(has_text="'PARAMETRE' is no instruction")).to_be_visible()
        wrong = findings.filter(has_text="'PARAMETRE' is no instruction")
        expect(wrong.filter(has_text="Did you mean")).to_be_visible()
        build = side(page, "Build")
        expect(build.get_by_role("button", name="Build", exact=True)).to_be_disabled()
        shoot(page, "versions-files-findings-1280-light")
        editor.get_by_role("button", name="Go to line 10").click()
        expect(text).to_be_focused()
        page.keyboard.press("Shift+End")
        page.keyboard.type("PARAMETER top_k 20")
        expect(findings.filter(has_text="is no instruction")).to_have_count(0)
        expect(findings.filter(has_text="99999")).to_be_visible()
        preview = side(page, "Preview")
        expect(preview.get_by_label("Preview", exact=True)).to_contain_text("You help people")
        preview.get_by_label("Or ask your own").fill("How much?")
        expect(preview.get_by_label("Preview", exact=True)).to_contain_text("How much?")
        build = side(page, "Build")
        build.get_by_label(re.compile("^Its name")).fill("mine")
        expect(build).to_contain_text("mine-taxes:latest")
        build.get_by_label(re.compile("^Its name")).press("Enter")
        expect(build.get_by_text("In the engine as")).to_be_visible()
        versions = side(page, "History")
        expect(versions.get_by_role("listitem")).to_have_count(1)
        editor.get_by_label(re.compile("^Keep it")).fill("taxes2")
        editor.get_by_label(re.compile("^Keep it")).press("Enter")
        expect(editor).to_contain_text("Kept as your domain taxes2")
        editor.get_by_role("button", name="Delete the domain taxes2").click()
        expect(editor.get_by_role("button", name="Delete", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        expect(editor).to_contain_text("taxes2 of yours was deleted")
        side(page, "Build").get_by_text("Show code").click()
        expect(build.get_by_label("Python code")).to_contain_text("from workbench.domains import")
        assert page.evaluate("window.broken") is None


def test_an_unused_model_goes_and_comes_back(browser: Browser, home: Home) -> None:
    with open_page(browser, home.server.url) as watched:
        page = watched.page
        view(page, "Storage")
        space, plan = card(page, "Space"), card(page, "Plan")
        space.get_by_role("button", name=re.compile("^Models")).click()
        plan.get_by_label("Models not used for").fill("60")
        plan.get_by_label("Models not used for").press("Enter")
        dry = plan.get_by_role("group", name="Dry run")
        expect(dry.get_by_label("What would go")).to_contain_text("old:latest")
        expect(dry).not_to_contain_text("tiny:latest would go")
        shoot(page, "versions-storage-plan-1280-light")
        dry.get_by_role("button", name="Put into the trash").click()
        expect(space).to_contain_text("in the trash")
        expect(card(page, "Things").get_by_text("old:latest")).to_have_count(0)
        space.get_by_role("button", name="Undo").click()
        expect(space).to_contain_text("Brought back: old:latest")
        row = card(page, "Things").get_by_role("row", name="old:latest")
        row.focus()
        page.keyboard.press("Space")
        expect(plan).to_contain_text("1 picked")
        plan.get_by_role("button", name="What would go?").click()
        dry.get_by_role("button", name="Put into the trash").click()
        trash = card(page, "Trash")
        expect(trash).to_contain_text("old:latest")
        trash.get_by_role("button", name="Empty").press("Enter")
        expect(trash.get_by_role("button", name="Delete", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        expect(space).to_contain_text("Deleted for good")
        expect(trash).to_contain_text("The trash is empty")
        guard = card(page, "Protected")
        guard.get_by_label("A name or a pattern").fill("ti*")
        expect(guard).to_contain_text("tiny:latest")
        guard.get_by_label("A name or a pattern").press("Enter")
        expect(guard.get_by_role("button", name="No longer protect ti*")).to_be_visible()
        expect(card(page, "Things")).to_contain_text("protected as ti*")
    names = {name.display() for name, _ in home.library.names()}
    assert "old:latest" not in names and "tiny:latest" in names


def test_a_turned_byte_is_found_named_and_repaired(browser: Browser, home: Home) -> None:
    content = bytearray(home.weights.read_bytes())
    content[5000] ^= 1
    home.weights.write_bytes(content)
    with open_page(browser, home.server.url) as watched:
        page = watched.page
        view(page, "Health")
        files = card(page, "Files of the models")
        files.get_by_label("Read", exact=True).select_option("shaky:latest")
        files.get_by_role("button", name="Check the files").click()
        fault = files.get_by_role("listitem").filter(has_text="flipped")
        expect(fault).to_contain_text("shaky:latest")
        shoot(page, "versions-health-fault-1280-light")
        fault.get_by_role("button", name=re.compile("^Repair")).click()
        expect(files).to_contain_text("mended")
        files.get_by_role("button", name="Check the files").click()
        expect(files).to_contain_text("All whole")
    assert home.weights.read_bytes() == home.spare.read_bytes()
    assert ModelName.parse("shaky") in {name for name, _ in home.library.names()}


def test_what_stopped_is_started_by_a_click_from_the_keyboard(
    browser: Browser, home: Home, empty: Server
) -> None:
    with open_page(browser, f"{home.server.url}voila/render/07_versions.ipynb") as watched:
        page = watched.page
        views = page.get_by_role("tablist", name="What to look at")
        views.get_by_role("tab", name="Modelfiles").focus()
        page.keyboard.press("Enter")
        domains = card(page, "Domains").get_by_role("option")
        expect(domains.first).to_have_attribute("aria-selected", "true")
        domains.first.focus()
        page.keyboard.press("ArrowDown")
        expect(domains.nth(1)).to_be_focused()
        page.keyboard.press("Enter")
        expect(domains.nth(1)).to_have_attribute("aria-selected", "true")
        views.get_by_role("tab", name="Modelfiles").focus()
        page.keyboard.press("End")
        checks = card(page, "Checks")
        expect(checks).to_contain_text("in order")
        with at(home.server.home):
            stop_engine()
        fix = checks.get_by_role("button", name="Fix: start engine")
        fix.first.press("Enter")
        expect(checks).to_contain_text("The engine runs at")
        expect(fix).to_have_count(0)
        shoot(page, "versions-health-fixed-1280-light")
    with open_page(browser, empty.url) as watched:
        page = watched.page
        view(page, "Storage")
        expect(card(page, "Trash")).to_contain_text("The trash is empty")
        measure(page, "versions-storage-empty")
        view(page, "Health")
        expect(card(page, "Files of the models")).to_contain_text("No model's files are here")
        measure(page, "versions-health-empty")
        view(page, "Modelfiles")
        card(page, "Domains").get_by_role("button", name="New").press("Enter")
        expect(card(page, "Modelfile")).to_contain_text("is not installed")
        measure(page, "versions-files-empty")


def test_it_is_readable_at_every_width(browser: Browser, home: Home) -> None:
    with open_page(browser, home.server.url) as watched:
        page = watched.page
        view(page, "Modelfiles")
        card(page, "Domains").get_by_role("option", name=re.compile("^Taxes")).click()
        text = card(page, "Modelfile").get_by_role("textbox", name="Modelfile")
        expect(text).to_have_value(re.compile("FROM tiny"))
        text.press("Control+End")
        text.press_sequentially("\nPARAMETRE top_k 20\nPARAMETER num_ctx 99999\n")
        expect(card(page, "Modelfile")).to_contain_text("is no instruction")
        for name in ("Build", "Preview", "Settings", "History", "Page"):
            side(page, name)
            measure(page, f"versions-files-{name.lower()}")
        view(page, "Storage")
        plan = card(page, "Plan")
        plan.get_by_role("button", name="What would go?").click()
        expect(plan.get_by_role("group", name="Dry run")).to_be_visible()
        measure(page, "versions-storage")
        view(page, "Health")
        files = card(page, "Files of the models")
        files.get_by_role("button", name="Check the files").click()
        expect(files).to_contain_text("All whole")
        measure(page, "versions-health")
        assert page.evaluate("window.broken") is None
