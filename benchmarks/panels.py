"""How long until a dashboard can be used, seen in a real Chromium, against a bare Voila page.

Interactive means: the front page's cards are drawn and a click on the Playground's tab has
changed the page. The rival is Voila's own template with a notebook of one slider, timed until
the slider is there. Both are measured in turns in this run: pre-heated (a kernel waits) and
cold (none does). Budgets: interactive below 1.5 s pre-heated, below 5 s cold, on a quiet machine.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Page, sync_playwright

from workbench.engines import stop_engine
from workbench.panels import voila_command

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SLIDER = "import ipywidgets\nipywidgets.IntSlider(description='rival')"
REFILL = 8.0  # seconds for the pool to hold a ready kernel again


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def serve(command: list[str], port: int) -> Iterator[str]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as caller:
                if caller.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(30)


def rival_command(port: int, folder: Path, pool: int) -> list[str]:
    """Voila as it comes."""
    cell = nbformat.v4.new_code_cell(SLIDER)
    path = folder / "rival.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    options = [f"--port={port}", "--no-browser", "--Voila.ip=127.0.0.1"]
    options += [f"--preheat_kernel={pool > 0}", f"--pool_size={pool}"]
    return [sys.executable, "-m", "voila", *options, str(path)]


def ours_is_ready(page: Page) -> None:
    page.locator(".wb-card").first.wait_for()
    page.get_by_role("tab", name="Playground").click()
    page.get_by_label("Your prompt").wait_for()


def rival_is_ready(page: Page) -> None:
    page.locator(".widget-slider").wait_for()


def opened(browser: Browser, url: str, ready: Callable[[Page], None], pause: float) -> float:
    """Seconds from asking for the page until it is ready, in a fresh profile."""
    time.sleep(pause)
    context = browser.new_context()
    page = context.new_page()
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    ready(page)
    seconds = time.perf_counter() - began
    context.close()
    return seconds


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A folder with a home in it, whose engine is stopped in the end."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["WORKBENCH_HOME"] = str(Path(name) / "home")
        os.environ["WORKBENCH_ENGINE"] = "embedded"
        try:
            yield Path(name)
        finally:
            stop_engine()


def main(rounds: int = 5) -> None:
    with temporary_home() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        print(f"{'':14}{'ours':>10}{'bare Voila':>12}{'ratio':>8}{'budget':>9}   (median, range)")
        for title, pool, budget in (("pre-heated", 1, 1.5), ("cold", 0, 5.0)):
            ports = free_port(), free_port()
            ours = serve(voila_command("127.0.0.1", ports[0], NOTEBOOKS, pool=pool), ports[0])
            rival = serve(rival_command(ports[1], folder, pool), ports[1])
            with ours as our_url, rival as rival_url:
                pause = REFILL if pool else 0.5
                pairs = [
                    (
                        opened(browser, our_url, ours_is_ready, pause),
                        opened(browser, rival_url, rival_is_ready, pause),
                    )
                    for _ in range(rounds)
                ]
            mine, other = ([pair[index] for pair in pairs] for index in (0, 1))
            middle, against = statistics.median(mine), statistics.median(other)
            print(
                f"{title:14}{middle:8.2f} s{against:10.2f} s{middle / against:8.2f}{budget:7.1f} s"
                f"   ours {min(mine):.2f}–{max(mine):.2f}, bare {min(other):.2f}–{max(other):.2f}"
            )
        browser.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
