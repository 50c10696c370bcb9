"""Starts a program in the sandbox, watches it, and ends it and all that it left.

The order goes to the process in an unlinked temporary file, so nothing of it is on a command
line or in a folder. Output is read while the program runs and bounded; time is wall-clock time.
Nothing here is shared between calls but the answer to "which level works", so threads may call.
"""

from __future__ import annotations

import marshal
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import IO, Any

from workbench import settings
from workbench.errors import SandboxError, SettingsError
from workbench.sandbox import _levels
from workbench.sandbox._child import PROGRAM
from workbench.sandbox._filter import OWN_PID, build_filter, machine_name
from workbench.sandbox._folder import remove
from workbench.sandbox._levels import LEVELS, Level, Protection, Way
from workbench.sandbox._outcome import Outcome, status_of
from workbench.sandbox._watch import end, watch

FILE = 32 * 2**20  # bytes in one file
OPEN_FILES = 64
THREADS = 128
# where the kernel counts all that the user runs, not only what is in the sandbox
THREADS_OF_USER = 4096


def protection() -> Protection:
    """Which protection is in force here. Raises SandboxError when no safe one can be had."""
    return _levels.describe(_way().level)


def run_python(
    code: str,
    *,
    timeout: float = 10.0,
    memory: int = 512 * 2**20,
    stdin: str = "",
    files: Mapping[str, str] = MappingProxyType({}),
) -> Outcome:
    """Runs a program in the sandbox and waits for its end.

    `timeout` is in seconds of wall-clock time, `memory` in bytes of address space, of which the
    interpreter itself takes about 30 MB. `files` (relative path to text) lie in the folder in
    which the program runs, and which is gone afterwards; modules among them can be imported.
    Whatever the program does is an Outcome. Raises SandboxError when it cannot be run safely,
    or when what it is given cannot be used.
    """
    if not (timeout > 0 and math.isfinite(timeout) and memory > 0):
        raise SandboxError("A program needs some seconds and some bytes of memory to run.")
    contents = {name: _bytes(text) for name, text in files.items() if _check(name)}
    contents[PROGRAM] = _bytes(code)
    if sum(map(len, contents.values())) > FILE:
        raise SandboxError(f"The program and its files may have {FILE >> 20} MB together.")
    return _execute(_way(), code, contents, timeout, memory, _bytes(stdin))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _check(name: str) -> bool:
    path = PurePosixPath(name)
    inside = path.parts and not path.is_absolute() and ".." not in path.parts
    if not inside or str(path) != name or "\0" in name:
        raise SandboxError(f"{name!r} is no path inside the program's folder, like data/x.csv.")
    if path.parts[0] == PROGRAM:
        raise SandboxError(f"{PROGRAM} is the program itself; give the file another name.")
    return True


def _way() -> Way:
    if sys.platform == "win32":
        raise SandboxError("Programs cannot be run safely on Windows; use WSL.")
    choice = settings.env("WORKBENCH_SANDBOX", "auto").lower()
    if choice not in {"auto", *LEVELS}:
        raise SettingsError(
            f"WORKBENCH_SANDBOX must be auto, {', '.join(LEVELS[:-1])} or limits, not {choice!r}."
        )
    return _first_that_works(choice, shutil.which("bwrap"))


@cache
def _first_that_works(choice: str, bubblewrap: str | None) -> Way:
    """The best way that the setting allows and in which a program has really run."""
    levels: tuple[Level, ...] = tuple(level for level in LEVELS if level == choice)
    reasons = []
    for level in levels or LEVELS[:-1]:
        for way in _levels.ways(level, bubblewrap):
            try:
                if _works(way):
                    return way
                reasons.append(f"{level}: files can be read all the same")
            except SandboxError as error:
                reasons.append(f"{level}: {error}")
    why = f" ({'; '.join(reasons)})" if reasons else ""
    raise SandboxError(
        f"Code that nobody trusts cannot be run safely here{why}. On Linux install bubblewrap: "
        f"{_levels.INSTALL}. Or accept the risk with WORKBENCH_SANDBOX=limits: programs can then "
        "read and change your files."
    )


def _works(way: Way) -> bool:
    """Whether a program runs in this way, and cannot read a file of ours if it should not."""
    with tempfile.NamedTemporaryFile() as ours:
        code = f"try: open({ours.name!r})\nexcept OSError: print('guarded')"
        outcome = _execute(way, code, {}, 30.0, 2**30, b"")
    guarded = outcome.stdout == "guarded\n" or way.level == "limits"
    return outcome.status == "done" and guarded


@cache
def _first_lines() -> bytes:
    source = Path(__file__).with_name("_child.py").read_text(encoding="utf-8")
    return marshal.dumps(compile(source, "<sandbox>", "exec", dont_inherit=True, optimize=2))


def _order(way: Way, code: str, files: dict[str, bytes], seconds: float, memory: int) -> bytes:
    """All that the process is told, behind the byte that it sets when it is protected."""
    own_disk, machine = way.level != "bubblewrap", machine_name()
    cpu = math.ceil(seconds) + 1
    limits = {"CPU": cpu, "FSIZE": FILE, "NOFILE": OPEN_FILES, "CORE": 0}
    limits["NPROC"] = THREADS_OF_USER if own_disk else THREADS
    order: dict[str, Any] = {
        "code": code,
        "files": files,
        "drop": way.drop,
        "memory": memory,
        "limits": [(f"RLIMIT_{name}", value) for name, value in limits.items()],
        "readable": [str(path) for path in _levels.readable()] if way.level == "landlock" else [],
        "filter": build_filter(machine, own_disk=own_disk) if machine else b"",
        "own_pid": OWN_PID.to_bytes(4, sys.byteorder),
    }
    return b"\0" + _first_lines() + marshal.dumps(order)


def _execute(
    way: Way, code: str, files: dict[str, bytes], seconds: float, memory: int, stdin: bytes
) -> Outcome:
    """One program in one way. Raises SandboxError when it did not get to its first line."""
    try:
        with ExitStack() as stack:
            folder = None
            if way.level != "bubblewrap":
                folder = tempfile.mkdtemp(prefix="workbench-sandbox-")
                stack.callback(remove, folder)
            order, given = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            for file, content in (order, _order(way, code, files, seconds, memory)), (given, stdin):
                file.write(content)
                file.seek(0)
            return _finish(way, order, given, folder, seconds)
    except OSError as error:
        raise SandboxError(f"The sandbox cannot be used here: {error}.") from error


def _finish(
    way: Way, order: IO[bytes], given: IO[bytes], folder: str | None, seconds: float
) -> Outcome:
    begin = time.monotonic()
    start = f"import marshal;order_file=open({order.fileno()},'r+b');order_file.seek(1)"
    python = [str(_levels.python()), "-ISB", "-Xutf8", "-c"]
    process = subprocess.Popen(
        [*way.command, *python, f"{start};exec(marshal.load(order_file))"],
        stdin=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={},
        pass_fds=(order.fileno(),),
        start_new_session=True,
    )
    try:
        stdout, stderr, cause = watch(process, seconds, folder)
    finally:
        end(process)
    returncode = process.returncode if process.returncode >= 0 else 128 - process.returncode
    protected = os.pread(order.fileno(), 1, 0) == b"\1"
    if not protected and cause is None:
        raise SandboxError(stderr.strip().rpartition("\n")[2] or f"exit code {returncode}")
    status, words = cause or status_of(returncode, stderr)
    spent = time.monotonic() - begin
    return Outcome(status, returncode, stdout, stderr, spent, way.level, words)
