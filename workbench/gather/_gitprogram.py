"""The program `git`, so that it runs nothing, asks nobody, and ends when we say so.

Settings are git's own (git-config, git-fetch and "Environment Variables" of git(1)).
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

from workbench.documents import Ask, Unreadable
from workbench.errors import GatherError

PROTOCOLS = "https:http:ssh:git"
_SETTINGS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.symlinks=false", "gc.auto=0",
    "maintenance.auto=false", "protocol.ext.allow=never", "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false", "http.lowSpeedLimit=1000", "http.lowSpeedTime=60",
    "fetch.unpackLimit=1",
)  # fmt: skip
_PERCENT = re.compile(r"Receiving objects:\s+(\d+)%")
_STEERING = re.compile(r"\x1b\[[\d;]*[A-Za-z]|[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_QUIET = 0.2  # seconds between two looks


def run(arguments: list[str], folder: Path, *, into: Path | None = None) -> str:
    """A command that only reads what is here; its output, or nothing where it goes `into` a file.

    Raises GatherError with git's own words.
    """
    target: Any = into.open("wb") if into is not None else subprocess.PIPE
    try:
        done = subprocess.run(
            command(arguments, folder), stdin=subprocess.DEVNULL, stdout=target,
            stderr=subprocess.PIPE, env=environment("none", folder),
        )  # fmt: skip
    finally:
        if into is not None:
            target.close()
    if done.returncode:
        raise GatherError(done.stderr.decode("utf-8", "replace").strip()[-500:] or "Git failed.")
    return (done.stdout or b"").decode("utf-8", "replace")


def command(arguments: list[str], folder: Path, *more: str) -> list[str]:
    """The whole command line. Raises GatherError where git is not installed."""
    if shutil.which("git") is None:
        raise GatherError("Git is not installed. Install it: https://git-scm.com/downloads")
    settings = [part for one in (*_SETTINGS, *more) for part in ("-c", one)]
    return ["git", *settings, "-C", str(folder), *arguments]


def environment(protocols: str, folder: Path) -> dict[str, str]:
    """Ours without what points git elsewhere; it asks for nothing and uses these protocols only.

    With "none" it cannot fetch objects that a partial clone lacks, so no setting of a foreign
    repository makes it start anything. The repository is the folder itself, none above it.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    for name in ("GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_EXEC_PATH"):
        if name in os.environ:
            kept[name] = os.environ[name]
    kept.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=30")
    return kept | {
        "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true",
        "GIT_ALLOW_PROTOCOL": protocols, "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CEILING_DIRECTORIES": str(folder.absolute().parent), "LC_ALL": "C",
    }  # fmt: skip


def transfer(ask: Ask, repository: Path, ref: str, options: SimpleNamespace) -> None:
    """Fetch one commit without its history. Raises GatherError; cancelled, git is ended.

    Redirects are followed only where private addresses are allowed: git looks at none of them.
    """
    redirects = f"http.followRedirects={'initial' if options.allow_private else 'false'}"
    pinned = _pinned(ask.address, options.allow_private)
    arguments = ["fetch", "--depth=1", "--no-tags", "--progress", "--", ask.address, ref]
    said, packs = ask.folder / "said", repository / "objects" / "pack"
    with _process(command(arguments, repository, redirects, *pinned), repository, said) as process:
        end = time.monotonic() + options.max_seconds
        while process.poll() is None:
            line = re.split(r"[\r\n]", _tail(said))[-1][:200]
            percent = _PERCENT.search(line)
            ask.tell(int(percent[1]) / 100 if percent else None, line or "Asking for it")
            if time.monotonic() > end:
                raise GatherError(
                    f"{ask.address} was not there after {options.max_seconds:,} seconds. Allow "
                    "more with `max_seconds`."
                )
            _check_size(ask.address, [said, *packs.glob("*")], options.max_size)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_QUIET)
    if process.returncode:
        raise GatherError(f"{ask.address} cannot be fetched: {_explained(_tail(said))}")
    _check_size(ask.address, [said, *packs.glob("*")], options.max_size)


def _pinned(address: str, allow_private: bool) -> list[str]:
    """Makes git connect to the addresses that were checked, whatever the name says by then."""
    from workbench.addresses import host_of, public_addresses

    if not address.startswith(("http://", "https://")):
        return []
    host, port = host_of(address)
    with suppress(OSError):
        found = public_addresses(host, port, allow_private=allow_private)
        listed = ",".join(f"[{one}]" if ":" in one else one for one in found)
        return [f"http.curloptResolve={host}:{port}:{listed}"]
    return []


@contextmanager
def _process(line: list[str], folder: Path, said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A group of its own, since git starts others; all are ended when it is left."""
    with said.open("wb") as file:
        process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file,
            env=environment(PROTOCOLS, folder), start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(path: Path) -> str:
    """The last 4 kB of a file, without what would steer a terminal."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return _STEERING.sub("", file.read().decode("utf-8", "replace")).strip()


def _explained(said: str) -> str:
    """What git said, with the advice that fits."""
    words = [line for line in said.splitlines() if line.startswith(("fatal:", "remote:", "error:"))]
    plain = " ".join(words or said.splitlines()[-1:]).replace("fatal: ", "")[:400].strip()
    advice = ""
    if re.search(r"could not read Username|Authentication failed|Permission denied", said):
        advice = " It needs a login, or does not exist: set up a credential helper or an SSH key."
    elif "couldn't find remote ref" in said or "not our ref" in said:
        advice = " Name a branch, a tag or a whole commit as `ref`."
    elif re.search(r"error: 30[1278]|redirect", said):
        advice = " It has moved: give its new address."
    elif "Could not resolve host" in said:
        advice = " Is there a network, and is the address right?"
    return f"{plain.removesuffix('.')}.{advice}"


def _check_size(address: str, files: list[Path], most: int) -> None:
    total = 0
    for one in files:
        with suppress(OSError):
            total += one.stat().st_size
    if total > most:
        raise GatherError(
            f"{address} is larger than {most / 2**20:,.0f} MB even without its history. Allow "
            "more with `max_size`."
        )


class Blobs:
    """Reads objects of a repository, one at a time (`git cat-file --batch`)."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Blobs:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None

    def open(self, name: str) -> BinaryIO:
        """The object's bytes. Raises Unreadable where the repository lacks them."""
        try:
            process = self._process = self._process or self._start()
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(name.encode("ascii") + b"\n")
            process.stdin.flush()
            *_, size = process.stdout.readline().split()
            data = process.stdout.read(int(size))
            process.stdout.read(1)
            return io.BytesIO(data)
        except (OSError, ValueError):  # "missing"; or git has ended itself over a damaged one
            with suppress(OSError):
                self.__exit__()
            raise Unreadable("is missing or damaged in the repository") from None

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command(["cat-file", "--batch"], self._repository), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment("none", self._repository),
        )  # fmt: skip
