"""Attacks as programs: each attempt is a function of its own, and only an OSError is a refusal.

A slip of the pen (a NameError) would look like a strong sandbox; here it is printed as "broken".
"""

from __future__ import annotations

from workbench.sandbox import Outcome, run_python

_HARNESS = """
import ctypes, errno, os, pathlib, signal, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.argtypes = [ctypes.c_long] * 7

def system_call(x86_64, aarch64, *arguments):
    number = {{"x86_64": x86_64, "aarch64": aarch64}}[os.uname().machine]
    values = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    result = -1 if number is None else libc.syscall(number, *values)
    if result == -1:
        raise OSError(ctypes.get_errno() or errno.ENOSYS, "refused")
    return result

def checked(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return result

class Attempts:
{attempts}

for name, attempt in list(vars(Attempts).items()):
    if not name.startswith("_"):
        try:
            print(name, "went through:", attempt(), flush=True)
        except OSError as error:
            print(name, "was refused:", error, flush=True)
        except BaseException as error:
            print(name, "is broken:", repr(error), flush=True)
"""


def attempt(attempts: str, values: dict[str, object] | None = None) -> tuple[Outcome, set[str]]:
    """Runs each `def name(): ...` of the text; the names of those that went through."""
    given = "".join(f"{name} = {value!r}\n" for name, value in (values or {}).items())
    body = "\n".join(f"    {line}" for line in attempts.strip("\n").splitlines())
    outcome = run_python(given + _HARNESS.format(attempts=body), timeout=60)
    lines = [line.split() for line in outcome.stdout.splitlines()]
    said = {words[0]: words[1:3] for words in lines if len(words) > 2}
    wanted = [line.split("(")[0][4:] for line in attempts.splitlines() if line.startswith("def ")]
    assert outcome.status == "done", (outcome.stdout, outcome.stderr)
    assert sorted(said) == sorted(wanted), outcome.stdout
    assert ["is", "broken:"] not in said.values(), outcome.stdout
    return outcome, {name for name, words in said.items() if words == ["went", "through:"]}
