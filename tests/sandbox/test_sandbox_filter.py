"""The filter's answers for both processors, by an interpreter for its instructions.

The kernel of one machine can only show the filter of its own processor.
"""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from workbench.sandbox._filter import OWN_PID, _refused, build_filter

ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE, UNKNOWN = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
TOKENS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBERS = {
    # name: x86_64, aarch64
    "read": (0, 63),
    "write": (1, 64),
    "openat": (257, 56),
    "mmap": (9, 222),
    "futex": (202, 98),
    "getrandom": (318, 278),
    "sendto": (44, 206),
    "exit_group": (231, 94),
    "clone": (56, 220),
    "clone3": (435, 435),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "prlimit64": (302, 261),
    "socketpair": (53, 199),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "prctl": (157, 167),
}
HEADERS = (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm-generic"))


def run(program: bytes, machine: str, number: int, *arguments: int) -> int:
    """What the kernel would answer: classic BPF over struct seccomp_data."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=iIQ6Q", number, TOKENS[machine], 0, *padded)
    steps = list(struct.iter_unpack("=HBBI", program))
    accumulator = at = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        elif code == 0x06:
            return int(value)
        else:
            holds = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: accumulator & value != 0,
            }[code]
            at += yes if holds else no


@pytest.fixture(params=TOKENS)
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def call(machine: str, name: str, *arguments: int) -> int:
    number = NUMBERS[name][list(TOKENS).index(machine)]
    return run(build_filter(machine, own_disk=True), machine, number, *arguments)


@pytest.mark.parametrize("own_disk", [True, False])
def test_each_line_of_the_table_is_refused(machine: str, own_disk: bool) -> None:
    program = build_filter(machine, own_disk=own_disk)
    column = 1 + list(TOKENS).index(machine)
    lines = [words for words in _refused() if words[column] != "-"]
    assert len(lines) > 70
    for words in lines:
        expected = REFUSE if own_disk or words[-1] != "disk" else ALLOW
        assert run(program, machine, int(words[column])) == expected, words
    assert len(program) // 8 < 4096  # the kernel takes no longer ones


def test_what_programs_need_is_allowed(machine: str) -> None:
    for name in ("read", "write", "openat", "mmap", "futex", "getrandom", "sendto", "exit_group"):
        assert call(machine, name) == ALLOW, name


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("clone", (0x11,), REFUSE),  # fork
        ("clone", (0x4111,), REFUSE),  # vfork
        ("clone", (0x10000011 | 1 << 40,), REFUSE),
        ("clone", (0x3D0F00,), ALLOW),  # a thread, as libc starts it
        ("clone3", (), UNKNOWN),
        ("kill", (OWN_PID, 9), ALLOW),
        ("kill", (0, 9), REFUSE),
        ("kill", (1, 9), REFUSE),
        ("kill", (2**64 - 1, 9), REFUSE),
        ("tgkill", (OWN_PID, 5, 6), ALLOW),
        ("tgkill", (5, 5, 6), REFUSE),
        ("prlimit64", (0, 7), ALLOW),
        ("prlimit64", (1, 7), REFUSE),
        ("socketpair", (1, 0x80801, 0), ALLOW),
        ("socketpair", (1, 0x80002, 0), REFUSE),
        ("socketpair", (1, 5, 0), REFUSE),
        ("socketpair", (2, 1, 0), REFUSE),
        ("fcntl", (3, 3), ALLOW),
        ("fcntl", (3, 8, 1), REFUSE),
        ("fcntl", (3, 10, 9), REFUSE),
        ("fcntl", (3, 15, 0), REFUSE),
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), REFUSE),
        ("ioctl", (0, 0x541C), REFUSE),
        ("ioctl", (0, 0x8901), REFUSE),
        ("ioctl", (0, 0x8902), REFUSE),
        ("prctl", (15,), ALLOW),
        ("prctl", (1,), REFUSE),
    ],
)
def test_arguments_decide(machine: str, name: str, arguments: tuple[int, ...], answer: int) -> None:
    assert call(machine, name, *arguments) == answer


def test_other_processors_and_newer_calls(machine: str) -> None:
    program = build_filter(machine, own_disk=False)
    other = next(name for name in TOKENS if name != machine)
    assert run(program, other, 0) == KILL
    assert run(program, machine, 462) == ALLOW
    for number in (463, 1000, 0x40000000, 0x40000039, 0x7FFFFFFF):
        assert run(program, machine, number) == UNKNOWN


@pytest.mark.skipif(not all(map(Path.exists, HEADERS)), reason="the kernel's headers are missing")
def test_numbers_are_the_kernels() -> None:
    texts = HEADERS[0].read_text(), (HEADERS[1] / "unistd.h").read_text()
    tables = [
        {name: int(number) for name, number in re.findall(r"__NR(?:3264)?_(\w+)\s+(\d+)\b", text)}
        for text in texts
    ]
    checked = 0
    listed = [(words[0], *words[1:3]) for words in _refused()]
    listed += [(name, str(one), str(two)) for name, (one, two) in NUMBERS.items()]
    for name, *numbers in listed:
        for table, number in zip(tables, numbers, strict=True):
            if name in table:  # headers may be older than a call
                assert str(table[name]) == number, name
                checked += 1
            elif number != "-":
                assert int(number) > max(tables[0].values()), name
    assert checked > 180
