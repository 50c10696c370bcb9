"""A server that this command started: it is awaited, watched and ended with its kernels.

It runs in a session of its own, so that Ctrl-C reaches only us and things end in order. Its
kernels are sessions of their own too; they are found again by a mark in their environment, so
nothing else is ever ended, least of all jobs and engines that outlive a page. If we are killed,
the server is told to end (see `_tied`), and it ends its kernels.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.errors import WorkbenchError

MARK = "WORKBENCH_PAGE"
PATIENCE = 10.0  # seconds for an orderly end


class ServiceFailed(WorkbenchError):
    """The server ended by itself, or never answered."""


class Service:
    """A program that serves `url`; `log` takes what it says."""

    def __init__(
        self, command: Sequence[str], url: str, log: Path, environment: Mapping[str, str]
    ) -> None:
        self.url = url
        self._log = log
        self._mark = secrets.token_hex(8)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workbench.cli._tied", *command],
                env={
                    **os.environ,
                    **environment,
                    MARK: self._mark,
                    "WORKBENCH_STARTER_PID": str(os.getpid()),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for_answer(self, ended: threading.Event, seconds: float = 120) -> bool:
        """True when the page answers, False when `ended` came first. Raises ServiceFailed."""
        until = time.monotonic() + seconds
        while not ended.wait(0.1):
            self.check()
            if _answers(self.url):
                return True
            if time.monotonic() > until:
                raise ServiceFailed(f"{self.url} does not answer. {self._last_words()}")
        return False

    def check(self) -> None:
        """Raises ServiceFailed when the program has ended."""
        code = self.process.poll()
        if code is not None:
            raise ServiceFailed(f"The server ended (exit code {code}). {self._last_words()}")

    def stop(self) -> None:
        """End the program and its kernels; after PATIENCE by force."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # kernels left behind would end by themselves, a little later
        end_marked(MARK, self._mark, "ipykernel")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        said = f" Its last words: {lines[-1].strip()}" if lines else ""
        return f"See {self._log}.{said}"


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by a proxy
    try:
        with opener.open(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def end_marked(name: str, value: str, word: str, patience: float = 0) -> None:
    """End the processes with this variable in their environment and `word` in their command.

    They are given some seconds to go by themselves, then told to, then made to.
    """
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(name) == value and word in " ".join(process.cmdline()):
                found.append(process)
    for seconds, end in ((patience, psutil.Process.terminate), (3, psutil.Process.kill)):
        found = psutil.wait_procs(found, timeout=seconds)[1]
        for process in found:
            with suppress(psutil.Error):
                end(process)


@contextmanager
def end_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set, instead of an exception anywhere."""
    ended = threading.Event()
    numbers = [signal.SIGINT, signal.SIGTERM]
    numbers += [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in heard}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
