"""From a keystroke in the Models panel's search to the new picture, with 10,000 cards.

Seen in a real Chromium: a key is pressed, and the time runs until the list has changed and the
browser has drawn it. Our panel prices all cards for this machine, ranks them and understands words;
its search runs in the kernel. Rivals, on the same machine in the same run with the same rows:

  itables     a table of DataTables in the browser, which holds all rows and asks no kernel
  ipywidgets  a Text and an HTML of pandas, as a notebook's author would write it

Budgets: 150 ms from the keystroke to the picture, of which 20 ms for the search itself.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import nbformat
from panels import ARGUMENTS, free_port, rival_command, serve, temporary_home
from playwright.sync_api import Browser, Page, sync_playwright

from workbench.cards import Card, shipped
from workbench.catalogue import Catalogue, Filters
from workbench.machines import this_machine
from workbench.panels import voila_command

COUNT = 10_000
BUDGET = 150.0  # milliseconds
HERE = str(Path(__file__).parent)
OURS = f"""import sys
sys.path.insert(0, {HERE!r})
from models_panel import synthetic
from workbench.panels import Models
Models(cards=synthetic())"""
FRAME = f"""import sys
sys.path.insert(0, {HERE!r})
import pandas
from models_panel import synthetic
frame = pandas.DataFrame([
    dict(name=c.name, publisher=c.publisher, categories=", ".join(c.categories),
         parameters=c.parameters, context=c.context, license=c.license, download=c.download)
    for c in synthetic()])
"""
ITABLES = (
    FRAME
    + """import itables
itables.init_notebook_mode(connected=False)
itables.show(frame, maxBytes=0, pageLength=60, connected=False)"""
)
PLAIN = (
    FRAME
    + """import ipywidgets
text, place = ipywidgets.Text(continuous_update=True), ipywidgets.HTML()
def show(change=None):
    found = frame[frame["name"].str.contains(text.value, regex=False)]
    place.value = f"<p>{len(found)}</p>" + found.head(60).to_html()
text.observe(show, "value")
show()
ipywidgets.VBox([text, place])"""
)
# waits for the next change inside `watch` after a key, then until it is drawn
WAIT = """(watch) => { window.drawn = new Promise((resolve) => {
  let began = null;
  document.addEventListener("keydown", () => { began = performance.now(); },
    { capture: true, once: true });
  const watcher = new MutationObserver(() => {
    if (began === null) return;
    watcher.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - began)));
  });
  watcher.observe(document.querySelector(watch),
    { childList: true, subtree: true, characterData: true });
  setTimeout(() => { watcher.disconnect(); resolve(null); }, 4000);
}); }"""


def synthetic(count: int = COUNT) -> list[Card]:
    """Cards like the shipped ones, with a number in each name."""
    known = [card for card in shipped() if card.architecture]
    return [
        replace(known[i % len(known)], name=f"{known[i % len(known)].name}-{i:05d}", aliases=())
        for i in range(count)
    ]


def numbers(rounds: int) -> list[str]:
    return [f"{random.Random(seed).randrange(COUNT):05d}" for seed in range(rounds)]


def keystrokes(page: Page, field: str, watch: str, rounds: int) -> tuple[list[float], int]:
    """Milliseconds of each keystroke that changed the picture, and how many changed nothing."""
    times: list[float] = []
    silent = 0
    page.locator(field).click()
    for number in ["00", *numbers(rounds)]:
        page.keyboard.press("Control+a")
        for digit in number:
            page.evaluate(WAIT, watch)
            page.keyboard.press(digit)
            took = page.evaluate("window.drawn")
            if number != "00":  # the first word warms up
                times += [took] if took is not None else []
                silent += took is None
            page.wait_for_timeout(120)
    return times, silent


def measured(
    browser: Browser, url: str, ready: str, field: str, watch: str, rounds: int
) -> tuple[list[float], int]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(url)
    page.locator(ready).first.wait_for()
    page.wait_for_timeout(10_000)  # all cards priced, all scripts loaded
    try:
        return keystrokes(page, field, watch, rounds)
    finally:
        context.close()


def notebook(folder: Path, name: str, source: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    return path


def show(title: str, times: list[float], silent: int, against: float | None) -> float:
    middle = statistics.median(times)
    p95 = sorted(times)[int(0.95 * (len(times) - 1))]
    ratio = f"{against / middle:8.2f}" if against else f"{'':8}"
    print(
        f"{title:12}{middle:9.0f} ms{p95:9.0f} ms{max(times):9.0f} ms{ratio}"
        f"{len(times):8}{silent:8}"
    )
    return middle


def search_alone() -> list[float]:
    """Milliseconds of searches in this process, priced for this machine."""
    catalogue, machine = Catalogue(synthetic()), this_machine()
    began = time.perf_counter()
    catalogue.search(Filters(), profile=machine)
    print(f"first search: {time.perf_counter() - began:.1f} s")
    times = []
    for number in [*numbers(20), "a code model that fits in 8 GB", "llama 7b", "qwen code"]:
        for end in range(1, len(number) + 1):
            began = time.perf_counter()
            catalogue.search(Filters(text=number[:end]), profile=machine)
            times.append(1000 * (time.perf_counter() - began))
    return times


def main(rounds: int = 8) -> None:
    with temporary_home() as folder, sync_playwright() as playwright:
        times = search_alone()
        p95 = sorted(times)[int(0.95 * len(times))]
        print(f"search alone: {statistics.median(times):.1f} ms (p50), {p95:.1f} ms (p95)\n")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        print(
            f"{'':12}{'p50':>12}{'p95':>12}{'worst':>12}{'ours ×':>8}{'keys':>8}{'silent':>8}"
            f"   (budget {BUDGET:.0f} ms)"
        )
        notebook(folder / "ours", "bench.ipynb", OURS)
        port = free_port()
        with serve(voila_command("127.0.0.1", port, folder / "ours", pool=0), port) as url:
            page = f"{url}voila/render/bench.ipynb"
            ours = measured(
                browser, page, "[data-row]", "#wb-search", '[aria-label="Results"]', rounds
            )
        middle = show("ours", *ours, None)
        for title, source, ready, field, watch in (
            ("itables", ITABLES, ".dt-info", ".dt-search input", ".dt-info"),
            ("ipywidgets", PLAIN, ".widget-html table", ".widget-text input", ".widget-html"),
        ):
            port = free_port()
            (folder / title).mkdir()
            command = rival_command(port, folder / title, 0)
            notebook(folder / title, "rival.ipynb", source)
            with serve(command, port) as url:
                rival = measured(browser, url, ready, field, watch, rounds)
            show(title, *rival, middle)
        browser.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
