"""The first lines that run in the sandbox's process: give up every right, then run the program.

The caller sends these lines compiled and their order as marshalled data through an open file
(`marshal` is built in: `json` would double the start). The file's first byte becomes 1 once
the protection stands; from there on, whatever goes wrong is the program's own doing. Nothing
here is needed by the program, and nothing here can be undone by it.
"""
# importing pathlib would take as long as all the rest
# ruff: noqa: PTH103, PTH109, PTH112, PTH116, PTH120, PTH123

from __future__ import annotations

import builtins
import marshal
import os
import resource
import select
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing `typing` would, too
    from types import CodeType, TracebackType
    from typing import Any, BinaryIO

NOBODY = 65534
SPARE = 32 * 2**20  # bytes of address space kept back to report that there is none
PROGRAM = "main.py"


def limit(kind: int, value: int, spare: int = 0) -> None:
    """Lowers a limit for good; the caller's own may be lower still."""
    most = resource.getrlimit(kind)[1]
    hard = value + spare if most == resource.RLIM_INFINITY else min(value + spare, most)
    try:
        resource.setrlimit(kind, (min(value, hard), hard))
    except (ValueError, OSError):
        if sys.platform == "linux":  # elsewhere some limits exist in name only
            raise


def become_nobody() -> None:
    """Leaves root behind, where that can be and nobody can read Python."""
    try:
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
        os.stat(os.__file__)
        possible = True
    except OSError:
        possible = False
    os.seteuid(0)
    os.setegid(0)
    if possible:
        if os.stat(".").st_mode & 0o007 == 0:
            os.chown(".", NOBODY, NOBODY)
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def end_without_caller() -> None:
    """Ends when nobody reads our output: the caller died before it could take us with it."""
    output = select.poll()
    output.register(1, 0)
    if output.poll(0):
        os._exit(1)


def write_files(files: dict[str, bytes]) -> None:
    """The program and its files, in the folder in which it runs."""
    for name, content in files.items():
        folder = os.path.dirname(name)
        if folder:
            os.makedirs(folder, exist_ok=True)
        with open(name, "wb") as file:
            file.write(content)


def restrict_files(libc: Any, readable: list[str]) -> None:
    """Landlock: nothing may be opened but these paths, to read, and the working folder."""
    from ctypes import c_long

    def call(number: int, *arguments: Any) -> int:
        values = [c_long(value) if isinstance(value, int) else value for value in arguments]
        result = int(libc.syscall(c_long(number), *values))
        if result < 0:
            raise OSError("this kernel has no Landlock, or it is switched off")
        return result

    version = call(444, None, 0, 1)
    everything = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}.get(version, 0xFFFF)
    read_file, read_folder = 4, 8
    ruleset = call(444, struct.pack("=Q", everything), 8, 0)
    rules = [(path, read_file | read_folder) for path in readable]
    rules += [(".", everything & 0x7FFF), ("/dev/null", read_file | 2)]
    for path, access in rules:
        opened = os.open(path, os.O_PATH)
        if not os.path.isdir(path):
            access &= read_file | 2
        call(445, ruleset, 1, struct.pack("=Qi", access, opened), 0)
        os.close(opened)
    call(446, ruleset, 0)
    os.close(ruleset)


def give_up_rights(order: dict[str, Any]) -> None:
    """Capabilities, new rights by programs, files, system calls: in this order."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mallopt(-8, 1)  # M_ARENA_MAX: an arena per thread would eat the address space
    none = libc.capset(struct.pack("=Ii", 0x20080522, 0), bytes(24))
    # PR_SET_PDEATHSIG: die with the caller; PR_SET_NO_NEW_PRIVS
    if none or libc.prctl(1, 9, 0, 0, 0) or libc.prctl(38, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel takes no rights away")
    if order["readable"]:
        restrict_files(libc, order["readable"])
    code = order["filter"].replace(order["own_pid"], struct.pack("=I", os.getpid()))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    if libc.prctl(22, 2, program, 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
        raise OSError(ctypes.get_errno(), "this kernel refuses seccomp filters")


def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An uncaught exception, without the lines of this file."""
    if issubclass(kind, MemoryError):
        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    while trace is not None and trace.tb_frame.f_code.co_filename in {"<string>", "<sandbox>"}:
        trace = trace.tb_next
    sys.__excepthook__(kind, error.with_traceback(trace), trace)


def prepare(order_file: BinaryIO) -> tuple[CodeType, dict[str, Any]]:
    """Everything up to the program's first line: its code, and its `__main__`."""
    order = marshal.load(order_file)  # noqa: S302 (the caller wrote it)
    if order["drop"]:
        become_nobody()
    write_files(order["files"])
    for name, value in order["limits"]:
        # one second between the signal that ends a program and the one that cannot be caught
        limit(getattr(resource, name), value, 1 if name == "RLIMIT_CPU" else 0)
    if order["filter"]:
        give_up_rights(order)
    end_without_caller()
    os.pwrite(order_file.fileno(), b"\1", 0)
    order_file.close()
    sys.excepthook = report
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # `site` would bring them
    sys.argv = [PROGRAM]
    sys.path.insert(0, os.getcwd())
    main = sys.modules["__main__"] = type(sys)("__main__")
    main.__dict__.update(__file__=PROGRAM, __builtins__=__builtins__)
    limit(resource.RLIMIT_AS, order["memory"], SPARE)
    return compile(order["code"], PROGRAM, "exec", dont_inherit=True), main.__dict__


if __name__ == "__main__":
    exec(*prepare(order_file))  # type: ignore[name-defined]  # noqa: S102, F821 (see `_run.py`)
