"""`workbench start` and `workbench lab`: the pages, with an engine and a model behind them.

The page is there at once; what is missing is prepared meanwhile and shows its progress there.
Ctrl-C, SIGTERM and a closed terminal end everything that was started here, and nothing else.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

import workbench
from workbench.cli._address import choose_port, host_from_environment, is_loopback, url_of
from workbench.cli._output import emit, json_option, note, write
from workbench.cli._prepare import Preparation
from workbench.cli._service import Service, end_signals
from workbench.errors import WorkbenchError
from workbench.settings import env, home

OPEN_TO_OTHERS = (
    "Warning: {url} can be reached from other machines. The page has no authentication but the "
    "token in its URL, and no encryption: whoever has the token runs code as you."
)


@dataclass(frozen=True, slots=True)
class Page:
    """A server to run: it is up when `probe` answers, and a person goes to `url`."""

    title: str
    command: Sequence[str]
    probe: str
    url: str
    environment: Mapping[str, str]


@click.command()
@click.option("--host", help="Where to listen; default 127.0.0.1, or HOST when it is an address.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default 8866, or PORT.")
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@json_option
def start(host: str | None, port: int | None, no_open: bool, as_json: bool) -> None:
    """Open the dashboards, with an engine and a model behind them.

    Ctrl-C ends it all. Nothing listens beyond this machine unless --host says so.
    """
    from workbench.panels import voila_command

    host = host or host_from_environment()
    port = choose_port(host, port, 8866)
    url, shown, environment = url_of(host, port), url_of(host, port), {}
    if not is_loopback(host):
        token = env("WORKBENCH_TOKEN") or secrets.token_urlsafe(16)
        shown, environment = f"{url}?token={token}", {"WORKBENCH_TOKEN": token}
        note(OPEN_TO_OTHERS.format(url=url))
    command = voila_command(host, port, notebooks())
    page = Page("The dashboards are at", command, f"{url}alive", shown, environment)
    serve(page, home() / "dashboards.log", as_json, browser=not no_open)


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Default 8888, or PORT.")
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@json_option
def lab(port: int | None, no_open: bool, as_json: bool) -> None:
    """Open the same notebooks in JupyterLab.

    It listens on this machine only; the printed URL holds its password.
    """
    port = choose_port("127.0.0.1", port, 8888)
    url = url_of("127.0.0.1", port)
    settings = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": _own_copy(notebooks()),
        # nothing is fetched behind the user's back
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in settings.items()]
    token = secrets.token_urlsafe(16)
    environment = {"JUPYTER_TOKEN": token}  # not in the command line, which everybody can read
    page = Page("JupyterLab is at", command, f"{url}api", f"{url}lab?token={token}", environment)
    serve(page, home() / "lab.log", as_json, browser=not no_open)


def notebooks() -> Path:
    """The notebooks: of the source checkout, else those that came with the package."""
    package = Path(workbench.__file__).parent
    for folder in (package.parent / "notebooks", package / "notebooks"):
        if any(folder.glob("*.ipynb")):
            return folder
    raise WorkbenchError("The notebooks are missing: install the workbench again.")


def serve(page: Page, log: Path, as_json: bool, *, browser: bool) -> None:
    """Run the page's server until somebody ends us, the preparation beside it."""

    def say(text: str, record: Mapping[str, object]) -> None:
        if as_json:
            emit(record)
        else:
            write(f"{text}\n")

    with end_signals() as ended:
        service = Service(page.command, page.probe, log, page.environment)
        preparation = Preparation(say)
        try:
            preparation.start()
            if service.wait_for_answer(ended):
                record = {"url": page.url, "process": service.process.pid}
                say(f"{page.title} {page.url}  (Ctrl-C ends it)", record)
                if browser:
                    _open(page.url)
            while not ended.wait(0.5):
                service.check()
        finally:
            note("Ending …")
            service.stop()
            preparation.stop()


def _open(url: str) -> None:
    """Open a browser where a person sits before a screen; never a browser of text."""
    import webbrowser

    screen = sys.platform != "linux" or env("DISPLAY") or env("WAYLAND_DISPLAY")
    if screen and sys.stdout.isatty():
        webbrowser.open(url)


def _own_copy(folder: Path) -> Path:
    """Notebooks of an installed package are copied to the home, for one edits them in the lab."""
    import shutil

    if folder.parent != Path(workbench.__file__).parent:
        return folder
    own = home() / "notebooks"
    own.mkdir(exist_ok=True)
    for source in folder.glob("*.ipynb"):
        if not (own / source.name).exists():
            shutil.copyfile(source, own / source.name)
    return own
