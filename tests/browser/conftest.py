"""One engine, one Voila and one Chromium for all browser tests of a module.

Playwright's plain interface keeps a loop running while it is open, which asyncio tests of other
folders do not bear: so everything here is of module scope, and no test here is async.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from pages import ARGUMENTS, CHROMIUM, Server, Watched, open_page, serve
from playwright.sync_api import Browser, sync_playwright
from tiny import write_tiny_llama

from workbench.engines import connect, stop_engine
from workbench.jobs import stop_supervisor

ONE = {"num_thread": 1}  # llama.cpp's threads wait by spinning, which a busy machine punishes
HOSTILE = r"""
from workbench.panels import Playground
from workbench.panels._fragment import Fragment
from workbench.panels.states import PlaygroundState, Turn

TEXT = '''<img src=x onerror="window.broken=1"> <script>window.broken=2</script>
[click](javascript:window.broken=3) ![pixel](http://example.com/pixel.png)
<a href="javascript:window.broken=4">raw</a> **bold**

<iframe src="http://example.com"></iframe> <svg onload="window.broken=5">'''
RAW = '<p id="raw">raw wall <img src="http://example.com/x.png" onerror="window.broken=6">'
RAW += '<a href="javascript:window.broken=7">link</a><script>window.broken=8</script>'
RAW += '<iframe src="http://example.com"></iframe><b onclick="window.broken=9">b</b></p>'
state = PlaygroundState()
state.single = (Turn(1, "user", TEXT), Turn(2, "assistant", TEXT, thinking=TEXT, model=TEXT))
display(Fragment(html=RAW))
display(Playground(state))
"""


def notebook(source: str) -> str:
    """A notebook of one cell."""
    cell = nbformat.v4.new_code_cell(source, id="only")
    return nbformat.writes(nbformat.v4.new_notebook(cells=[cell]))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Voila whose engine has `tiny:latest` and `spare:latest`."""
    folder = tmp_path_factory.mktemp("dashboards")
    home = folder / "home"
    model = write_tiny_llama(folder / "tiny.gguf", context=2048, endless=True)
    with at(home):
        with connect() as engine:
            for _step in engine.create("spare", files={"tiny.gguf": model}, parameters=ONE):
                pass
            engine.copy("spare", "tiny")
        try:
            with serve(home, folder, {"hostile.ipynb": notebook(HOSTILE)}) as running:
                yield running
        finally:
            with at(home):
                stop_engine()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Voila on a home with nothing in it."""
    folder = tmp_path_factory.mktemp("empty")
    home = folder / "home"
    try:
        with serve(home, folder) as running:
            yield running
    finally:
        with at(home):
            stop_supervisor()
            stop_engine()


class at:
    """The home of this process for the length of a block."""

    def __init__(self, home: Path) -> None:
        self.wanted = {"WORKBENCH_HOME": str(home), "WORKBENCH_ENGINE": "embedded"}

    def __enter__(self) -> None:
        self.before = {name: os.environ.get(name) for name in self.wanted}
        os.environ.update(self.wanted)

    def __exit__(self, *_: object) -> None:
        for name, value in self.before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@pytest.fixture
def shell(browser: Browser, server: Server) -> Iterator[Watched]:
    """The front page."""
    with open_page(browser, server.url) as watched:
        yield watched


@pytest.fixture
def playground(shell: Watched) -> Watched:
    """The front page with the Playground opened on `tiny:latest`."""
    page = shell.page
    page.get_by_role("tab", name="Playground").click()
    page.get_by_label("Model", exact=True).select_option("tiny:latest")
    return shell
