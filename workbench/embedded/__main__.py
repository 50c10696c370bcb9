"""`python -m workbench.embedded`: be the engine of this home, or say where it is.

Takes the home's lock for its whole life, finds a port, announces itself, serves. Ends by
SIGTERM or SIGINT, or after WORKBENCH_ENGINE_IDLE ("2h"; 0 or negative: never) without requests.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import __version__, settings
from workbench.embedded._lock import EngineLock
from workbench.errors import SettingsError, WorkbenchError
from workbench.protocol import parse_duration

if TYPE_CHECKING:
    import uvicorn

    from workbench.embedded._app import Activity
    from workbench.embedded._scheduler import Scheduler

DEFAULT_PORT = 11435  # one above Ollama's, so that both can run
_log = logging.getLogger("workbench.embedded")


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workbench.embedded", description=__doc__)
    parser.add_argument("--home", type=Path, help="the workbench's folder (WORKBENCH_HOME)")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, help=f"0 is any free one (default {DEFAULT_PORT})")
    options = parser.parse_args(arguments)
    if options.home is not None:
        os.environ["WORKBENCH_HOME"] = str(options.home.absolute())
    try:
        lock = EngineLock(settings.home())
        if not lock.acquire():
            url = lock.running_url()
            print(url or "another engine of this home is starting", flush=True)
            return 0 if url else 1
        return _serve(lock, options.host, options.port)
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return 1


def _serve(lock: EngineLock, host: str, port: int | None) -> int:
    import uvicorn  # imported here, so that a second start answers at once

    from workbench.embedded._app import Activity, Server, make_app
    from workbench.embedded._limits import Limits
    from workbench.embedded._scheduler import Scheduler
    from workbench.library import Library

    idle = parse_duration(settings.env("WORKBENCH_ENGINE_IDLE", "2h"))
    scheduler = Scheduler(Limits.from_environment())
    activity = Activity(make_app(Library(settings.models_folder()), scheduler))
    listener = _listen(host, port)
    _log_to(lock.folder / "engine.log")  # from here on standard error is the log's
    name = f"[{host}]" if ":" in host else host
    url = f"http://{name}:{listener.getsockname()[1]}"
    server = Server(
        uvicorn.Config(
            activity, log_config=None, access_log=False, lifespan="on", ws="none",
            timeout_graceful_shutdown=2, timeout_keep_alive=75,
        )
    )  # fmt: skip

    async def run() -> None:
        if idle > 0:
            watch = asyncio.create_task(_end_when_idle(server, activity, scheduler, idle))
        lock.announce(
            pid=os.getpid(), url=url, version=__version__, started=datetime.now(UTC).isoformat()
        )
        print(url, flush=True)
        _log.info("serving %s as process %d", url, os.getpid())
        await server.serve(sockets=[listener])
        if idle > 0:
            watch.cancel()

    try:
        asyncio.run(run())
    finally:
        lock.release()
    _log.info("ended")
    return 0


async def _end_when_idle(
    server: uvicorn.Server, activity: Activity, scheduler: Scheduler, seconds: float
) -> None:
    while True:
        rest = seconds - activity.idle_seconds
        if rest <= 0 and not scheduler.busy:
            break
        await asyncio.sleep(min(max(rest, 0.05), 60))
    _log.info("no request for %.0f s", seconds)
    server.should_exit = True


def _listen(host: str, port: int | None) -> socket.socket:
    """A socket on `port`; without one, on the default port or any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in (port,) if port is not None else (DEFAULT_PORT, 0):
        # with its protocol named: asyncio turns Nagle's delay off only where it sees that it is TCP
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(512)
            return listener
        except OSError as error:
            listener.close()
            reason = error.strerror
    raise SettingsError(f"Port {port} on {host} cannot be used ({reason}). Choose another --port.")


def _log_to(path: Path) -> None:
    """Our log and the children's standard error into one file that does not grow for ever."""
    if path.exists() and path.stat().st_size > 4 * 2**20:
        path.replace(path.with_suffix(".old.log"))
    file = path.open("a+", buffering=1)  # read by `_runner`, to say why a load failed
    os.dup2(file.fileno(), 2)
    handler = logging.StreamHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=settings.log_level(), handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
