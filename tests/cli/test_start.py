"""`workbench start` and `workbench lab` with a real Voila and JupyterLab; nothing stays behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench import jobs
from workbench.cli._address import choose_port, host_from_environment, is_loopback, url_of
from workbench.engines import connect, engine_status, start_engine, stop_engine
from workbench.errors import SettingsError
from workbench.settings import home

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Started:
    """A running `workbench start --json` or `lab`: its events and its end."""

    def __init__(self, command: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [command, *arguments, "--json", "--no-open"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._events: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._events.append(json.loads(line))

    def event(self, key: str) -> dict[str, Any]:
        """The first event that has this key."""
        until = time.monotonic() + 90
        while time.monotonic() < until and self.process.poll() is None:
            for event in list(self._events):
                if key in event:
                    return event
            time.sleep(0.05)
        raise AssertionError(f"no {key}: {self.end(signal.SIGTERM)}")

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; the exit code and what was said on stderr."""
        assert self.process.stderr is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(90)
        return code, self.process.stderr.read()


@pytest.fixture
def starts(command: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Started]]:
    """Start; what is still there at the end of the test is ended."""
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")
    begun: list[Started] = []

    def start(*arguments: str) -> Started:
        begun.append(Started(command, *arguments))
        return begun[-1]

    yield start
    for one in begun:
        one.end(signal.SIGTERM)
    for process in of_this_home():
        process.kill()


def left() -> list[str]:
    """The command lines of what still works in the test's home."""
    return [" ".join(process.cmdline()) for process in of_this_home()]


def of_this_home() -> list[psutil.Process]:
    """Processes that work in the test's home, apart from the test itself."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            ours = process.environ().get("WORKBENCH_HOME") == str(home())
            if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def test_from_nothing_to_a_page_and_back(starts: Callable[..., Started]) -> None:
    first = starts("start", "--port", "0")
    assert get(first.event("url")["url"])[0] == 200
    job = first.event("job")["job"]
    assert jobs.get(job).target == "workbench.starter:prepare"
    status = engine_status()
    assert status is not None
    names = " ".join(left())
    assert all(word in names for word in ("workbench.embedded", "ipykernel", "_voila"))

    code, said = first.end(signal.SIGINT)
    assert (code, "Traceback" in said) == (0, False), said
    assert left() == []
    assert jobs.get(job).state == "cancelled"

    second = starts("start", "--port", "0")
    assert second.event("job")["job"] == job, "the same job goes on"
    psutil.Process(second.event("url")["process"]).kill()
    code, said = second.end(signal.SIGCONT)
    assert code == 1 and "dashboards.log" in said and "Traceback" not in said
    assert left() == []
    assert jobs.get(job).ended
    jobs.stop_supervisor()  # looking at a job may have started one


def test_killed_it_leaves_no_page_behind(starts: Callable[..., Started]) -> None:
    started = starts("start", "--port", "0")
    server = psutil.Process(started.event("url")["process"])
    kernels = server.children(recursive=True)
    started.event("job")
    started.end(signal.SIGKILL)
    assert psutil.wait_procs([server, *kernels], timeout=60)[1] == []
    stop_engine()
    for job in jobs.jobs():
        jobs.cancel(job.id)
        jobs.wait(job.id, 60)
    jobs.stop_supervisor()


def test_open_to_others_and_what_was_there_before_stays(
    starts: Callable[..., Started], tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")
    engine = start_engine()
    try:
        with connect() as client:
            for _ in client.create("tiny", files=tiny_gguf):
                pass
        started = starts("start", "--port", "0", "--host", "0.0.0.0")
        url = started.event("url")["url"]
        found = re.fullmatch(r"(http://127\.0\.0\.1:\d+/)\?token=(\S{16,})", url)
        assert found is not None
        with_token, without = get(url), get(found[1])
        assert with_token[0] == 200
        assert without[1] != with_token[1] and "token" in without[1]

        code, said = started.end(signal.SIGHUP)
        assert code == 0
        assert "Warning" in said and "no authentication but the token" in said
        status = engine_status()
        assert status is not None and status.url == engine
        assert jobs.jobs() == [], "there is a model, so none is made"
        assert not any("ipykernel" in line or "_voila" in line for line in left())
    finally:
        stop_engine()


def test_the_lab(starts: Callable[..., Started], command: str) -> None:
    started = starts("lab", "--port", "0")
    url = started.event("url")["url"]
    server, token = url.split("lab?token=")
    assert get(f"{server}api/contents?token={token}")[0] == 200
    assert "01_playground.ipynb" in get(f"{server}api/contents?token={token}")[1]
    assert get(f"{server}api/contents")[0] == 403
    assert not any(token in line for line in left()), "a command line is no secret"
    assert started.end(signal.SIGTERM)[0] == 0
    assert left() == []


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_gives_way_to_the_next(
    taken: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", str(taken))
    chosen = choose_port("127.0.0.1", None, 8866)
    assert chosen > taken
    said = capsys.readouterr().err
    assert f"Port {taken} is taken by" in said and f"(process {os.getpid()})" in said
    assert f"{chosen} is used instead" in said


def test_a_taken_port_that_was_asked_for(taken: int, run: Run) -> None:
    done = run("start", "--port", str(taken))
    assert done.returncode == 1
    assert f"(process {os.getpid()})" in done.stderr and "--port" in done.stderr


def test_an_address_of_another_machine(run: Run) -> None:
    done = run("start", "--host", "192.0.2.1")
    assert done.returncode == 1 and "192.0.2.1" in done.stderr
    assert run("start", "--host", "no such host").returncode == 1


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0"),
        ("localhost", "localhost"),
        ("::1", "::1"),
        ("x86_64-conda-linux-gnu", "127.0.0.1"),
        ("my-laptop", "127.0.0.1"),
    ],
)
def test_the_environment_names_a_host(
    value: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST", value)
    assert host_from_environment() == host


@pytest.mark.parametrize("value", ["70000", "-1", "x"])
def test_a_senseless_port(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", value)
    with pytest.raises(SettingsError, match="PORT"):
        choose_port("127.0.0.1", None, 8866)


def test_addresses() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost")] == [
        True
    ] * 4
    assert not is_loopback("0.0.0.0") and not is_loopback("::") and not is_loopback("example.org")
    assert url_of("0.0.0.0", 1) == "http://127.0.0.1:1/"
    assert url_of("::1", 1) == "http://[::1]:1/"
