"""Finding an engine: what is asked, what is configured, a local Ollama, our own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from engines.scripted import ScriptedServer, answer

from workbench import settings
from workbench.engines import (
    EngineStatus,
    _find,
    aconnect,
    connect,
    engine_status,
    start_engine,
    stop_engine,
)
from workbench.errors import EngineUnreachable, SettingsError


def ollama(server: ScriptedServer, **more: str) -> str:
    server.says(answer({"version": "0.33.0", **more}))
    return server.url


def nowhere() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_an_explicit_address_wins(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", nowhere())
    url = ollama(server)
    for written in (url, url.removeprefix("http://"), f"{url}/api/"):
        with connect(written, start=False) as found:
            assert (found.url, found.kind) == (url, "ollama")


def test_the_configured_address_comes_next(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", ollama(server, engine="workbench-embedded"))
    with connect() as found:
        assert (found.url, found.kind) == (server.url, "embedded")


def test_a_configured_address_where_nothing_answers_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = nowhere()
    monkeypatch.setenv("OLLAMA_BASE_URL", url)
    with pytest.raises(EngineUnreachable, match=url):
        connect()
    assert engine_status() is None, "no other engine is started behind the user's back"


@pytest.mark.parametrize("body", [b"<html>", {"version": 3}, [], {"error": "x"}])
def test_something_else_answers(server: ScriptedServer, body: object) -> None:
    server.says(answer(body))
    with pytest.raises(EngineUnreachable, match="OpenAIEngine"):
        connect(server.url)


def test_a_local_ollama_is_used(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "OLLAMA_DEFAULT_URL", ollama(server))
    with connect(start=False) as found:
        assert (found.url, found.kind) == (server.url, "ollama")


def test_without_an_ollama_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "OLLAMA_DEFAULT_URL", nowhere())
    with pytest.raises(EngineUnreachable, match="workbench engine start"):
        connect(start=False)
    monkeypatch.setenv("WORKBENCH_ENGINE", "ollama")
    with pytest.raises(EngineUnreachable, match="ollama serve"):
        connect()


def test_a_firewall_that_swallows_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full answers no connection attempt, as a firewall does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        full = []
        for _ in range(4):
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
            full.append(each)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setattr(settings, "OLLAMA_DEFAULT_URL", url)
        with ThreadPoolExecutor(1) as pool, pytest.raises(EngineUnreachable):
            pool.submit(connect, start=False).result(timeout=20)
        for each in full:
            each.close()


def test_an_address_that_is_none() -> None:
    with pytest.raises(SettingsError):
        connect("ftp://example.org")


@pytest.mark.usefixtures("own_engine")
class TestOwnEngine:
    def test_its_life(self) -> None:
        assert engine_status() is None
        assert stop_engine() is False
        with connect() as first:
            status = engine_status()
            assert status is not None and status.url == first.url and first.kind == "embedded"
            assert status.version == first.version() and status.log.exists()
            assert psutil.Process(status.pid).pid != os.getpid()
            assert start_engine() == first.url
            with connect(start=False) as second:
                assert second.url == first.url
        assert stop_engine() is True
        assert engine_status() is None and not psutil.pid_exists(status.pid)
        assert stop_engine() is False

    async def test_many_connect_at_once_and_find_one(self) -> None:
        """Tasks of this process and other processes, all with none running."""
        code = "import workbench\nprint(workbench.connect().url)"
        others = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(3)
        ]
        mine = {engine.url for engine in await asyncio.gather(*(aconnect() for _ in range(4)))}
        theirs = {(await other.communicate())[0].decode().strip() for other in others}
        assert len(mine | theirs) == 1
        assert len(engines_of(settings.home())) == 1

    def test_a_killed_engine_is_replaced(self) -> None:
        connect()
        killed = running()
        os.kill(killed.pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(killed.pid)], timeout=10)
        assert (settings.home() / "engine" / "engine.json").exists()
        assert engine_status() is None
        with connect() as again:
            assert again.version()
        assert running().pid != killed.pid

    def test_an_engine_that_hangs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        connect()
        hung = running()
        os.kill(hung.pid, signal.SIGSTOP)
        for name, seconds in (("ANSWER", 0.3), ("START", 2), ("END", 0.5)):
            monkeypatch.setattr(_find, name, seconds)
        with pytest.raises(EngineUnreachable, match=f"process {hung.pid}.*does not answer"):
            connect()
        assert stop_engine() is True
        assert not psutil.pid_exists(hung.pid)

    def test_it_outlives_whoever_started_it(self) -> None:
        code = "import workbench\nworkbench.connect()"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=90)
        with connect(start=False) as found:
            assert found.version()

    def test_a_start_that_fails_says_why(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORKBENCH_ENGINE_IDLE", "rubbish")
        with pytest.raises(EngineUnreachable, match="while it started") as caught:
            connect()
        assert "rubbish" in str(caught.value)
        assert "engine.log" in str(caught.value)

    def test_an_old_failure_is_not_quoted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        log = settings.home() / "engine" / "engine.log"
        log.parent.mkdir()
        log.write_text("an old disaster\n")
        monkeypatch.setenv("WORKBENCH_ENGINE_IDLE", "rubbish")
        with pytest.raises(EngineUnreachable) as caught:
            start_engine()
        assert "disaster" not in str(caught.value)

    def test_a_home_that_cannot_be_written(self) -> None:
        (settings.home() / "engine").write_text("in the way")
        with pytest.raises(EngineUnreachable, match="can be written"):
            connect()

    def test_a_start_that_takes_too_long_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
        spawned = []

        def spawn(log: Path) -> subprocess.Popen[bytes]:
            spawned.append(subprocess.Popen(sleeper, stdin=subprocess.DEVNULL))
            return spawned[-1]

        monkeypatch.setattr(_find, "_spawn", spawn)
        monkeypatch.setattr(_find, "START", 0.5)
        with pytest.raises(EngineUnreachable, match=r"did not start in 0\.5 s"):
            start_engine()
        assert len(spawned) == 1 and spawned[0].wait(10) != 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"pid": "x", "url": "http://127.0.0.1:1"}',
        '{"pid": 999999999, "url": "http://127.0.0.1:1"}',
        json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:1"}),
        json.dumps({"pid": os.getpid()}),
        json.dumps({"pid": -1, "url": 3}),
    ],
    ids=range(8),  # the texts differ from process to process
)
def test_a_file_that_proves_nothing(text: str) -> None:
    """Damaged, stale, or naming a process that took over the number: never killed, never used."""
    path = settings.home() / "engine" / "engine.json"
    path.parent.mkdir()
    path.write_text(text)
    assert engine_status() is None
    assert stop_engine() is False


def running() -> EngineStatus:
    status = engine_status()
    assert status is not None
    return status


def engines_of(home: Path) -> list[int]:
    """Processes that serve this home; the ones that lost the race have had time to end."""
    for _ in range(100):
        found = [
            process.pid
            for process in psutil.process_iter(["cmdline"])
            if (line := process.info["cmdline"] or [])
            and "workbench.embedded" in line
            and str(home) in line
        ]
        if len(found) <= 1:
            break
        time.sleep(0.1)
    return found
