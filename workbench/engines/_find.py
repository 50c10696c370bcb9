"""`connect()`: which engine is in use, and the life of the embedded one as seen from outside.

The embedded engine holds a lock of the home for its whole life and says where it is in
`<home>/engine/engine.json`. That file alone proves nothing (a killed engine leaves it), so an
engine runs only when the process is one and answers. Kernels that start one at once wait for
each other; whoever comes second finds it running. Discovery is plain code, as it may have to
wait for a process; `aconnect` does it in a thread.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import settings
from workbench.engines._errors import excerpt
from workbench.engines._http import is_loopback
from workbench.engines._ollama import ADVICE, AsyncEngine
from workbench.engines._twins import Engine
from workbench.errors import EngineError, EngineUnreachable, SettingsError
from workbench.types import EngineKind

if TYPE_CHECKING:
    import psutil

LOCAL = 0.5  # seconds to connect on this machine; a firewall that drops must not cost more
REMOTE = 5.0  # … to an address that was asked for
ANSWER = 5.0  # seconds for an engine to tell its version
START = 60.0  # seconds for the embedded engine to start
END = 15.0  # seconds for it to end by itself
TAIL = 12  # lines of its log that an error quotes

_started: list[subprocess.Popen[bytes]] = []  # looked at, so that none stays a zombie


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The embedded engine that runs for this home."""

    pid: int
    url: str
    version: str  # of the protocol
    started: str  # ISO 8601
    log: Path


def connect(url: str | None = None, *, start: bool = True) -> Engine:
    """The engine in use: `url`, else the configured one, else a local Ollama, else our own.

    `start` allows to start the embedded engine when none runs. Raises EngineUnreachable.
    """
    address, kind = _find(url, start)
    return Engine(address, kind=kind)


async def aconnect(url: str | None = None, *, start: bool = True) -> AsyncEngine:
    """As `connect`, for asyncio."""
    import asyncio

    address, kind = await asyncio.to_thread(_find, url, start)
    return AsyncEngine(address, kind=kind)


def _find(url: str | None, start: bool) -> tuple[str, EngineKind]:
    choice = settings.engine_choice()
    wanted = settings.engine_url(url) if url else None
    if wanted is None and choice != "embedded":
        wanted = settings.configured_engine_url()
    if wanted is not None:
        return wanted, _kind(_ask(wanted, REMOTE))
    if choice != "embedded":
        try:
            return settings.OLLAMA_DEFAULT_URL, _kind(_ask(settings.OLLAMA_DEFAULT_URL, LOCAL))
        except EngineUnreachable:
            if choice == "ollama":
                raise
    status = engine_status()
    if status is None and not start:
        raise EngineUnreachable("No engine runs. Start one with: workbench engine start")
    return status.url if status else start_engine(), "embedded"


def _kind(facts: dict[str, Any]) -> EngineKind:
    return "embedded" if facts.get("engine") == "workbench-embedded" else "ollama"


def _ask(url: str, connecting: float) -> dict[str, Any]:
    """What the engine at `url` tells of its version. Raises EngineUnreachable."""
    import httpx

    timeout = httpx.Timeout(ANSWER, connect=connecting)
    secure, proxies = url.startswith("https:"), not is_loopback(url)
    try:
        answer = httpx.get(f"{url}/api/version", timeout=timeout, verify=secure, trust_env=proxies)
        facts = answer.json() if answer.is_success else None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = excerpt(str(error), 120) or type(error).__name__
        raise EngineUnreachable(f"Nothing answers at {url} ({reason}). {ADVICE}") from None
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict) or not isinstance(facts.get("version"), str):
        raise EngineUnreachable(
            f"What answers at {url} does not speak Ollama's protocol (status "
            f"{answer.status_code}). For a server of the OpenAI protocol use OpenAIEngine."
        )
    return facts


def engine_status() -> EngineStatus | None:
    """The embedded engine of this home; None when it does not run or does not answer."""
    known = _announced()
    if known is None:
        return None
    process, facts = known
    try:
        version = _ask(facts["url"], LOCAL)
    except EngineUnreachable:
        return None
    if _kind(version) != "embedded":
        return None
    log, started = _folder() / "engine.log", str(facts.get("started", ""))
    return EngineStatus(process.pid, facts["url"], version["version"], started, log)


def start_engine() -> str:
    """The URL of the embedded engine, which is started when it does not run.

    Raises EngineUnreachable with the last lines of its log when it does not start.
    """
    from filelock import FileLock, Timeout

    status = engine_status()
    if status is not None:
        return status.url
    try:
        _folder().mkdir(exist_ok=True, mode=0o700)
        with FileLock(_folder() / "start.lock", timeout=START):
            return _start(_folder() / "engine.log")
    except Timeout:
        raise EngineUnreachable(
            "Another process has been starting the engine for a minute. Look at "
            f"{_folder() / 'engine.log'}, or end it with: workbench engine stop"
        ) from None
    except OSError as error:
        raise EngineUnreachable(
            f"The engine cannot be started ({error}). Check that {_folder()} can be written."
        ) from error


def stop_engine() -> bool:
    """End the embedded engine and its models, by force if it takes long. False if none ran."""
    import psutil

    known = _announced()
    if known is None:
        return False
    process, _ = known
    try:
        process.terminate()
        if process not in psutil.wait_procs([process], timeout=END)[0]:
            process.kill()
            process.wait(END)
    except psutil.NoSuchProcess:
        pass
    except psutil.Error as error:  # another user's, or stuck in the kernel
        raise EngineError(f"The engine's process cannot be ended: {error}.") from error
    return True


def _start(log: Path) -> str:
    before = log.stat().st_size if log.exists() else 0
    process: subprocess.Popen[bytes] | None = None
    end = time.monotonic() + START
    while time.monotonic() < end:
        status = engine_status()
        if status is not None:
            return status.url
        if process is None:
            process = _spawn(log)
        elif process.poll() is not None:
            if process.returncode != 0:
                raise EngineUnreachable(
                    f"The engine ended while it started. {_last_lines(log, before)}"
                )
            process = None  # it found another one, which answers soon or is about to end
            time.sleep(1)
        time.sleep(0.05)
    other = _announced()
    if process is not None:
        process.terminate()
    if other is not None:
        raise EngineUnreachable(
            f"The engine (process {other[0].pid}) runs and does not answer. End it with: "
            "workbench engine stop"
        )
    raise EngineUnreachable(f"The engine did not start in {START:g} s. {_last_lines(log, before)}")


def _spawn(log: Path) -> subprocess.Popen[bytes]:
    """The engine as a process that outlives this one, and ends with no terminal of ours."""
    command = [sys.executable, "-m", "workbench.embedded", "--home", str(settings.home())]
    with log.open("ab") as sink:
        process = subprocess.Popen(  # not in a notebook's folder, whose modules may shadow others
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=log.parent,
            start_new_session=True,
        )  # fmt: skip
    _started.append(process)
    return process


def _last_lines(log: Path, before: int) -> str:
    written = log.read_bytes() if log.exists() else b""
    new = written[before:] if len(written) >= before else written  # it is cut when it is long
    lines = new.decode("utf-8", "replace").strip().splitlines()[-TAIL:]
    return f"Its log ({log}) ends:\n" + "\n".join(lines or ["(nothing was written)"])


def _announced() -> tuple[psutil.Process, dict[str, Any]] | None:
    """The engine's process and what its file says; None when no such process lives."""
    import psutil

    for child in _started:
        child.poll()
    try:
        facts = json.loads((_folder() / "engine.json").read_text("utf-8"))
        process = psutil.Process(facts["pid"])
        facts["url"] = settings.engine_url(facts["url"])  # of a wildcard, this machine's address
        ours = "workbench.embedded" in process.cmdline()
    except (OSError, ValueError, KeyError, TypeError, psutil.Error, SettingsError):
        return None
    return (process, facts) if ours else None


def _folder() -> Path:
    return settings.home() / "engine"
