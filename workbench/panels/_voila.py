"""The dashboards' server: Voila with our template, a front page, and a door that is shut.

`/` is the home notebook, the others are under `/voila/render/`; no file is listed or served. On
loopback a request for another host name is refused (a foreign page could rename itself to reach
us) and no token is asked for; on any other address there is one: WORKBENCH_TOKEN, else drawn
and printed. The page may ask nobody but us. A kernel for the front page is pre-heated; one whose
page vanished without a word is culled. Only this file knows Voila's inside, which was 0.5.13's.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from pathlib import Path
from typing import Any

HOME = "00_home.ipynb"
FOLDER = Path(__file__).parent
EXTENSIONS = ["@jupyter-widgets/jupyterlab-manager", "@voila-dashboards/widgets-manager8"]
EXTENSIONS += ["anywidget"]
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' blob: data:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)


def voila_command(host: str, port: int, notebooks: Path, *, pool: int = 1) -> list[str]:
    """The program that serves `notebooks`; it ends on SIGTERM and takes its kernels along."""
    options = [f"--Voila.ip={host}", f"--port={port}", f"--pool_size={pool}", str(notebooks)]
    return [sys.executable, "-m", "workbench.panels._voila", *options]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def settings_of(host: str, pool: int = 1) -> dict[str, Any]:
    """Voila's configuration, by class. `pool` kernels wait for the front page, which has all
    panels; more would each take 100 MB and seconds of every core for a page that few open."""
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
    return {
        "Voila": {
            "open_browser": False,
            "port_retries": 0,
            "auto_token": not is_loopback(host),
            "tornado_settings": {"allow_remote_access": not is_loopback(host), "headers": headers},
        },
        "VoilaConfiguration": {
            "template": "workbench",
            "allow_template_override": "NO",
            "allow_theme_override": "NO",
            "preheat_kernel": True,
            "extension_allowlist": EXTENSIONS,
            "file_allowlist": [],
            "show_tracebacks": True,  # our users are the authors; nothing is swallowed
        },
        "MappingKernelManager": {"cull_idle_timeout": 1800, "cull_interval": 120},
        "VoilaKernelManager": {
            "kernel_pools_config": {"default": {"pool_size": 0}, HOME: {"pool_size": pool}},
        },
    }


def application() -> type[Any]:
    """Voila's application, changed as the module says."""
    from tornado.web import RequestHandler
    from traitlets.config import Config
    from voila.app import Voila
    from voila.tornado.handler import TornadoVoilaHandler

    class Alive(RequestHandler):
        def get(self) -> None:  # to see that the server is up, without using up a kernel
            self.finish("alive")

    class Dashboards(Voila):  # type: ignore[misc]
        def initialize(self, argv: list[str] | None = None) -> None:
            given = dict(one.split("=", 1) for one in argv or () if "=" in one)
            host, pool = given.get("--Voila.ip", ""), int(given.get("--pool_size", 1))
            self.update_config(Config(settings_of(host or "localhost", pool)))
            if not is_loopback(host):
                self.token = os.environ.get("WORKBENCH_TOKEN") or None
            super().initialize(argv)

        def setup_template_dirs(self) -> None:
            super().setup_template_dirs()
            self.template_paths.append(str(FOLDER / "web"))

        def init_handlers(self) -> list[Any]:
            options = {
                "template_paths": self.template_paths,
                "config": self.config,
                "voila_configuration": self.voila_configuration,
            }
            shut = re.compile(r"tree|files|contents|render")
            found = [entry for entry in super().init_handlers() if entry[0] != self.server_url]
            page = rf"{self.server_url}voila/render/([\w-]+\.ipynb)"
            home = (self.server_url, TornadoVoilaHandler, {**options, "notebook_path": HOME})
            kept = [entry for entry in found if not shut.search(str(entry[0]))]
            alive = (rf"{self.server_url}alive", Alive)
            return [home, alive, (page, TornadoVoilaHandler, options), *kept]

    return Dashboards


def main() -> None:
    """`python -m workbench.panels._voila`: see `voila_command`."""
    paths = [str(FOLDER / "share" / "jupyter"), os.environ.get("JUPYTER_PATH", "")]
    os.environ["JUPYTER_PATH"] = os.pathsep.join(path for path in paths if path)
    application().launch_instance(sys.argv[1:])


if __name__ == "__main__":
    main()
