"""A real Voila with a real engine in a home of its own, and a page that notices what is wrong."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, TimeoutError

from workbench.panels import voila_command

ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SCREENSHOTS = Path(__file__).parent / "screenshots"
PICTURES = bool(os.environ.get("WORKBENCH_SCREENSHOTS"))  # before a test hides the variables
LOADS = 30_000  # milliseconds that a page may take on a busy machine
CONTRAST = (
    # Visible texts whose contrast with what is behind them is below WCAG AA.
    """() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number);
    if (c.startsWith('color(srgb')) { m[0] *= 255; m[1] *= 255; m[2] *= 255; }
    return [m[0], m[1], m[2], m[3] ?? 1]; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; }
    return [255, 255, 255, 1]; };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || !e.checkVisibility({ visibilityProperty: true }) || !e.closest('.wb')) continue;
    if (e.closest('[aria-disabled=true]')) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(ratio.toFixed(2) + ' ' + text.slice(0, 40));
  }
  return poor; }"""
)
TOO_WIDE = (
    # What holds more than it is wide, or sticks out of the page.
    """() => [...document.querySelectorAll(
  '.wb-card, .wb-header, .wb-turn, .wb-tray, .wb dd, .wb button, .wb-cards td')].filter(
    e => e.checkVisibility() && getComputedStyle(e).display !== 'inline'
      && (e.scrollWidth > e.clientWidth + 1
        || (e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.wb-wide')))
  ).map(e => e.ariaLabel || e.textContent)"""
)


@dataclass
class Server:
    """A running Voila. `home` is what its kernels use."""

    url: str
    home: Path
    notebooks: Path
    log: Path
    process: subprocess.Popen[bytes]


@contextmanager
def serve(home: Path, folder: Path, extra: dict[str, str] | None = None) -> Iterator[Server]:
    """Our notebooks on a free port until the block ends."""
    notebooks = folder / "notebooks"
    shutil.copytree(ROOT / "notebooks", notebooks, ignore=shutil.ignore_patterns(".*"))
    for name, text in (extra or {}).items():
        (notebooks / name).write_text(text, encoding="utf-8")
    port = free_port()
    environment = {**os.environ, "WORKBENCH_HOME": str(home), "WORKBENCH_ENGINE": "embedded"}
    log = folder / "voila.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            voila_command("127.0.0.1", port, notebooks),
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_port(port, process, log)
        yield Server(f"http://127.0.0.1:{port}/", home, notebooks, log, process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            break
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"Voila did not start:\n{log.read_text()[-3000:]}")


@dataclass
class Watched:
    """A page, and all that it asked for and complained about."""

    page: Page
    context: BrowserContext
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def foreign(self) -> list[str]:
        """Requests that left this machine."""
        inside = {"127.0.0.1", "localhost", None}
        return [url for url in self.requests if urlsplit(url).hostname not in inside]


@contextmanager
def open_page(browser: Browser, url: str, *, width: int = 1280) -> Iterator[Watched]:
    """The page in a fresh profile. Leaving the block checks that it behaved."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="light",
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(LOADS)
    page = context.new_page()
    watched = Watched(page, context)
    page.on("request", lambda request: watched.requests.append(request.url))
    page.on("websocket", lambda socket: watched.requests.append(socket.url))
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    page.on(
        "console",
        lambda said: watched.complaints.append(said.text) if said.type == "error" else None,
    )
    try:
        page.goto(url)
        try:
            page.locator(".wb-card").first.wait_for()
        except TimeoutError as error:
            shown = page.locator("body").inner_text()
            error.add_note(f"{shown!r} {watched.complaints} {watched.requests[-6:]}")
            raise
        yield watched
        assert watched.foreign() == []
        assert watched.complaints == []
    finally:
        context.close()


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def shoot(page: Page, name: str) -> None:
    """A picture of the whole page, for whoever asks for pictures: WORKBENCH_SCREENSHOTS=1."""
    if not PICTURES:
        return
    SCREENSHOTS.mkdir(exist_ok=True)
    height = page.evaluate(
        "Math.max(900, ...[...document.querySelectorAll('.wb')].map(e => e.scrollHeight))"
    )
    size = page.viewport_size or {"width": 1280}
    page.set_viewport_size({"width": size["width"], "height": min(int(height), 3000)})
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    page.set_viewport_size({"width": size["width"], "height": 900})


def measure(page: Page, name: str) -> None:
    """Contrast and overflow in the light and in the dark, at three widths; `name` is of the
    pictures."""
    for width in (400, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.wait_for_timeout(150)
            if name:
                shoot(page, f"{name}-{width}-{scheme}")
            assert page.evaluate(CONTRAST) == [], f"{name} at {width} px, {scheme}"
        assert page.evaluate(TOO_WIDE) == [], f"{name} at {width} px"
    page.emulate_media(color_scheme="light")
