"""What honest programs get: input, files, modules, threads, exit codes, readable errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from workbench.errors import SandboxError
from workbench.sandbox import run_python

pytestmark = pytest.mark.usefixtures("level")


def output(code: str, stdin: str = "", **files: str) -> str:
    """What a program prints that ends well."""
    named = {name.replace("__", "/") + ".txt": text for name, text in files.items()}
    outcome = run_python(code, stdin=stdin, files=named, timeout=60)
    assert (outcome.status, outcome.returncode, outcome.stderr) == ("done", 0, "")
    return outcome.stdout


def test_output_and_level(level: str) -> None:
    outcome = run_python("import sys; print('größer 🐍'); print('b', file=sys.stderr)", timeout=60)
    assert (outcome.stdout, outcome.stderr) == ("größer 🐍\n", "b\n")
    assert (outcome.status, outcome.returncode, outcome.protection) == ("done", 0, level)
    assert outcome.seconds > 0
    assert outcome.words == "It ended by itself."


def test_stdin_is_delivered() -> None:
    code = "import sys\nprint(input(), sys.stdin.readline().strip(), len(sys.stdin.read()))"
    assert output(code, stdin="one\nzwölf\n" + "x" * 300_000) == "one zwölf 300000\n"
    assert output("import sys; print(repr(sys.stdin.read()))") == "''\n"


def test_stdin_that_nobody_reads_blocks_nobody() -> None:
    assert output("print(1)", stdin="x" * 3_000_000) == "1\n"


def test_files_are_delivered_and_modules_imported() -> None:
    code = "print(open('a.txt').read(), open('b/c.txt', encoding='utf-8').read())"
    assert output(code, a="1", b__c="ö") == "1 ö\n"
    outcome = run_python(
        "import solution, os; print(solution.double(4), sorted(os.listdir()))",
        files={"solution.py": "def double(x): return 2 * x"},
        timeout=60,
    )
    assert outcome.stdout == "8 ['main.py', 'solution.py']\n"


def test_files_can_be_written_and_read() -> None:
    code = """
import os, tempfile
os.makedirs("a/b")
with open("a/b/c", "w") as file: file.write("x" * 1000)
os.rename("a/b/c", "d"); os.symlink("d", "e"); os.truncate(os.open("d", os.O_RDWR), 10)
with tempfile.TemporaryDirectory() as folder, open(folder + "/f", "w") as file: file.write("y")
with open(os.devnull, "w") as file: file.write("z")
open("given.txt", "a").write("more")
print(len(open("e").read()), open("given.txt").read())
"""
    assert output(code, given="some ") == "10 some more\n"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/../../x", "/etc/x", "a//b", "a\0b", "./a", "a/", "main.py"],
)
def test_names_outside_the_folder_are_refused(name: str) -> None:
    with pytest.raises(SandboxError, match=r"no path inside|program itself"):
        run_python("", files={"fine.txt": "", name: "x"})


def test_what_cannot_be_delivered_is_said() -> None:
    for files in ({"a": "1", "a/b": "2"}, {"x" * 300: ""}):
        with pytest.raises(SandboxError, match=r"OSError|NotADirectoryError|FileExistsError"):
            run_python("", files=files)
    with pytest.raises(SandboxError, match="32 MB"):
        run_python("", files={"big": "x" * (33 << 20)})


@pytest.mark.parametrize(("timeout", "memory"), [(0, 1), (-1, 1), (float("nan"), 1), (1, 0)])
def test_absurd_bounds_are_refused(timeout: float, memory: int) -> None:
    with pytest.raises(SandboxError, match="seconds"):
        run_python("", timeout=timeout, memory=memory)


def test_standard_library_works() -> None:
    code = """
import json, math, collections, dataclasses, re, asyncio, sqlite3, decimal, zipfile, random
import datetime, functools, itertools, heapq, bisect, statistics, string, typing, hashlib, uuid
import threading, concurrent.futures, tempfile, pathlib, csv, io, logging, unittest.mock, enum

@dataclasses.dataclass
class Point:
    x: int = 1
    y: "typing.Optional[int]" = None

async def twice(x):
    await asyncio.sleep(0)
    return 2 * await asyncio.to_thread(lambda: x)

with concurrent.futures.ThreadPoolExecutor(4) as pool:
    squares = list(pool.map(lambda x: x * x, range(10)))
rows = sqlite3.connect(":memory:").execute("select 41 + 1").fetchall()
print(json.dumps(dataclasses.asdict(Point())), asyncio.run(twice(21)), sum(squares), rows)
print(typing.get_type_hints(Point), re.sub("a+", "b", "caat"), __name__)
"""
    assert output(code) == (
        '{"x": 1, "y": null} 42 285 [(42,)]\n'
        "{'x': <class 'int'>, 'y': typing.Optional[int]} cbt __main__\n"
    )


def test_assertions_and_unittest() -> None:
    code = "def add(a, b): return a - b\nassert add(1, 1) == 2, 'one and one'"
    outcome = run_python(code, timeout=60)
    assert (outcome.status, outcome.returncode) == ("failed", 1)
    assert outcome.words == "It ended with exit code 1."
    assert outcome.stderr.startswith(
        'Traceback (most recent call last):\n  File "main.py", line 2, in <module>\n    assert add('
    )
    assert outcome.stderr.endswith("AssertionError: one and one\n")
    tests = """
import unittest
class Cases(unittest.TestCase):
    def test_right(self): self.assertEqual(1 + 1, 2)
    def test_wrong(self): self.assertEqual(1 + 1, {})
unittest.main()
"""
    good, bad = (run_python(tests.format(sum_), timeout=60) for sum_ in (2, 3))
    assert (good.status, bad.status, bad.returncode) == ("done", "failed", bad.returncode)
    assert "Ran 2 tests" in good.stderr
    assert "AssertionError: 2 != 3" in bad.stderr


@pytest.mark.parametrize(
    ("code", "returncode"),
    [
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(3)", 3),
        ("exit(4)", 4),
        ("raise SystemExit('enough')", 1),
        ("import os; os._exit(5)", 5),
        ("import os; os._exit(0)", 0),
        ("import sys; sys.exit(200)", 200),
        ("raise KeyboardInterrupt", 130),
    ],
)
def test_exit_codes(code: str, returncode: int) -> None:
    outcome = run_python(code, timeout=60)
    assert outcome.returncode == returncode
    killed = returncode == 130
    assert outcome.status == ("killed" if killed else "failed" if returncode else "done")
    assert ("enough\n" if "enough" in code else "") in outcome.stderr


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("def f(:", "SyntaxError: invalid syntax"),
        ("print('a\0b')", "null bytes"),
        ("print('\ud800')", "surrogates not allowed"),
        ("(" * 5000, "SyntaxError"),
        ("x = " + "-" * 100_000 + "1", "Error"),
        ("raise ValueError('\\ud800')", "ValueError"),
        ("import nothing_like_this", "ModuleNotFoundError"),
        ("import workbench, numpy", "ModuleNotFoundError"),
    ],
)
def test_bad_code_fails_with_words(code: str, error: str) -> None:
    outcome = run_python(code, timeout=60)
    assert outcome.status in {"failed", "memory"}  # the parser's stack ends in a MemoryError
    assert outcome.returncode == 1
    assert error in outcome.stderr
    assert "<sandbox>" not in outcome.stderr
    assert "<string>" not in outcome.stderr


def test_output_that_is_no_text() -> None:
    outcome = run_python("import os; os.write(1, b'a\\xff\\x00b'); os.write(2, b'\\xfe')")
    assert (outcome.stdout, outcome.stderr) == ("a\ufffd\0b", "\ufffd")
    assert output("print(len(input()))", stdin="\ud800") == "3\n"


def test_output_between_the_ends_is_left_out() -> None:
    code = "print('first', 'x' * 3_000_000, 'last')\nraise ValueError('the reason')"
    outcome = run_python(code, timeout=60)
    assert outcome.stdout.startswith("first x")
    assert outcome.stdout.endswith("x last\n")
    gap = 3_000_012 - 256 * 1024
    assert f"\n[... {gap} bytes left out ...]\n" in outcome.stdout
    assert len(outcome.stdout) == 256 * 1024 + len(f"\n[... {gap} bytes left out ...]\n")
    assert outcome.stderr.endswith("ValueError: the reason\n")
    exact = run_python("print('x' * (256 * 1024 - 1))", timeout=60)
    assert exact.stdout == "x" * (256 * 1024 - 1) + "\n"


def test_many_threads_may_call() -> None:
    def square(number: int) -> str:
        return output("print(int(input()) ** 2, open('n.txt').read())", str(number), n=str(number))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(square, range(40))) == [f"{n * n} {n}\n" for n in range(40)]
