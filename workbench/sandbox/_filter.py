"""Which system calls a program in the sandbox may make: a seccomp filter, as bytes.

The filter is a small program in the kernel's classic BPF (`man 2 seccomp`,
Documentation/userspace-api/seccomp_filter.rst) that sees a call's number and its arguments, not
what pointers point to. What it is for: no new process, hence no fork bomb and nothing to hunt
down afterwards; no program but Python; no sockets; no signals, priorities or memory of other
processes; no memory that the address-space limit does not count; few of the kernel's corners in
which holes are found. Threads, and the pair of sockets that asyncio wakes itself with, work.
Calls that are newer than the list fail as if the kernel did not know them.

The calls that are refused whatever their arguments are in `data/refused.txt`.
"""

from __future__ import annotations

import errno
import platform
import struct
import sys
from functools import cache
from pathlib import Path

OWN_PID = 0x70696470  # stands for the program's own process id, which its process fills in
# refused when the argument (counted from 0) lacks or has one of these bits, differs or equals
_REFUSED_WHEN = (
    ("clone:56:220", 0, "lacks", (0x10000,)),  # CLONE_THREAD
    ("kill:62:129", 0, "differs", (OWN_PID,)),
    ("tgkill:234:131", 0, "differs", (OWN_PID,)),
    ("prlimit64:302:261", 0, "differs", (0,)),  # limits of others
    ("socketpair:53:199", 0, "differs", (1,)),  # AF_UNIX
    ("socketpair:53:199", 1, "has", (0xE,)),  # anything but SOCK_STREAM could send elsewhere
    ("fcntl:72:25", 1, "equals", (8, 10, 15)),  # F_SETOWN, F_SETSIG, F_SETOWN_EX: send signals
    ("ioctl:16:29", 1, "equals", (0x8901, 0x8902, 0x5412, 0x541C)),  # so do these; or type
    ("prctl:157:167", 0, "equals", (1,)),  # PR_SET_PDEATHSIG: outlive the caller
)
_CLONE3 = 435  # its arguments are behind a pointer; without it libc takes clone
_NEWEST_KNOWN = 462  # mseal

_ARCHITECTURES = {"x86_64": (1, 0xC000003E), "aarch64": (2, 0xC00000B7)}
_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """One instruction; `yes` and `no` are how many of the next ones a jump leaves out."""
    return struct.pack("=HBBI", code, yes, no, value)


_PERMISSION = _step(_RETURN, _ERROR | errno.EPERM)
_UNKNOWN = _step(_RETURN, _ERROR | errno.ENOSYS)


def _refused_when(argument: int, test: str, values: tuple[int, ...]) -> bytes:
    """Refuses when the low half of the argument passes the test, else goes on."""
    code = _HAS_BIT if test in {"has", "lacks"} else _EQUAL
    yes, no = (1, 0) if test in {"lacks", "differs"} else (0, 1)
    tests = b"".join(_step(code, value, yes, no) + _PERMISSION for value in values)
    return _step(_LOAD, _ARGUMENTS + 8 * argument) + tests


@cache
def _refused() -> list[list[str]]:
    """The lines of the table: name, the numbers in the order of `_ARCHITECTURES`, "disk"."""
    text = (Path(__file__).parent / "data" / "refused.txt").read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


@cache
def build_filter(machine: str, *, own_disk: bool) -> bytes:
    """The filter for a machine as `platform.machine()` names it (see `machine_name`).

    `own_disk` refuses to change modes, owners and times too. OWN_PID has to be replaced.
    """
    column, architecture = _ARCHITECTURES[machine]
    steps = _step(_LOAD, _ARCHITECTURE) + _step(_EQUAL, architecture, 1, 0) + _step(_RETURN, _KILL)
    steps += _step(_LOAD, _NUMBER) + _step(_AT_LEAST, _NEWEST_KNOWN + 1, 0, 1) + _UNKNOWN
    steps += _step(_EQUAL, _CLONE3, 0, 1) + _UNKNOWN
    for words in _refused():
        if words[column] != "-" and (own_disk or "disk" not in words):
            steps += _step(_EQUAL, int(words[column]), 0, 1) + _PERMISSION
    for name, argument, test, values in _REFUSED_WHEN:
        body = _refused_when(argument, test, values) + _step(_LOAD, _NUMBER)
        steps += _step(_EQUAL, int(name.split(":")[column]), 0, len(body) // 8) + body
    return steps + _step(_RETURN, _ALLOW)


def machine_name() -> str | None:
    """This machine, when there is a filter for it: Linux on x86_64 or aarch64, 64 bits."""
    name = platform.machine()
    fits = sys.platform == "linux" and sys.maxsize > 2**32 and name in _ARCHITECTURES
    return name if fits else None
