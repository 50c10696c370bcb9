"""`workbench start` and `workbench lab`: the pages, with an engine and a model behind them.

The page is there at once; what is missing is prepared meanwhile and shows its progress there.
Ctrl-C, SIGTERM and a closed terminal end everything that was started here, and nothing else.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from workbench.cli._address import choose_port, host_from_environment, url_of, warn_of_the_open
from workbench.cli._output import emit, json_option, note
from workbench.errors import WorkbenchError

Say = Callable[[str, dict[str, object]], None]


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
    url = url_of(host, port)
    warn_of_the_open(host, url)
    command = voila_command(notebooks(), host=host, port=port)
    _serve("dashboards", command, url, url, {}, _sayer(as_json), browser=not no_open)


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
    token = secrets.token_urlsafe(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser"]
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
    command += [f"--{name}={value}" for name, value in settings.items()]
    shown = f"{url}lab?token={token}"
    environment = {"JUPYTER_TOKEN": token}  # not in the command line, which everybody can read
    _serve("lab", command, f"{url}api", shown, environment, _sayer(as_json), browser=not no_open)


def notebooks() -> Path:
    """The notebooks: of the source checkout, else those that came with the package."""
    import workbench

    package = Path(workbench.__file__).parent
    for folder in (package.parent / "notebooks", package / "notebooks"):
        if any(folder.glob("*.ipynb")):
            return folder
    raise WorkbenchError("The notebooks are missing: install the workbench again.")


def _serve(
    name: str,
    command: Sequence[str],
    probe: str,
    url: str,
    environment: Mapping[str, str],
    say: Say,
    *,
    browser: bool,
) -> None:
    """Run the server until somebody ends us, the preparation beside it."""
    from workbench.cli._prepare import Preparation
    from workbench.cli._service import Service, end_signals
    from workbench.settings import home

    with end_signals() as ended:
        service = Service(command, probe, home() / f"{name}.log", environment)
        preparation = Preparation(say)
        try:
            preparation.start()
            if service.wait_for_answer(ended):
                say(f"The {name} are at {url}" if name != "lab" else f"JupyterLab is at {url}",
                    {"url": url, "process": service.process.pid})  # fmt: skip
                note("Ctrl-C ends it.")
                if browser:
                    _open(url)
            while not ended.wait(0.5):
                service.check()
        finally:
            note("Ending …")
            service.stop()
            preparation.stop()


def _open(url: str) -> None:
    """Open a browser where a person sits before a screen; never a browser of text."""
    import os
    import webbrowser

    screen = (
        sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if screen and sys.stdout.isatty():
        webbrowser.open(url)


def _sayer(as_json: bool) -> Say:
    def say(text: str, record: dict[str, Any]) -> None:
        if as_json:
            emit(record)
        else:
            click.echo(text)
            sys.stdout.flush()

    return say


def _own_copy(folder: Path) -> Path:
    """Notebooks of an installed package are copied to the home, for one edits them in the lab."""
    import shutil

    import workbench
    from workbench.settings import home

    if folder.parent != Path(workbench.__file__).parent:
        return folder
    own = home() / "notebooks"
    own.mkdir(exist_ok=True)
    for source in folder.iterdir():
        if source.is_file() and not (own / source.name).exists():
            shutil.copyfile(source, own / source.name)
    return own
