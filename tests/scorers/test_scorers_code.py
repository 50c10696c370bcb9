"""Code out of answers, and its tests in the real sandbox."""

from __future__ import annotations

import pytest
from asked import value, verdict

from workbench.scorers._code import python_code

ADD = "def add(a, b):\n    return a + b"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (ADD, ADD),
        (f"```python\n{ADD}\n```", ADD),
        (f"Here:\n```\n{ADD}", ADD),
        (
            f"```sh\npip install x\n```\n```py\n{ADD}\n```\nUse:\n```python\nprint(add(1, 2))\n```",
            ADD,
        ),
        (f"```python\ndef add(): pass\n```\nBetter:\n```python\n{ADD}\n```", ADD),
        (f"```python\n{'x = 1 +' * 20}\n```\n```python\n{ADD}\n```", ADD),
        (f"Sure, this adds two numbers:\n\n{ADD}\n\nIt is quick.", ADD + "\n"),
        (f"  ```python\n  {ADD.replace(chr(10), chr(10) + '  ')}\n  ```", ADD),
        ("no code", "no code"),
        ("", ""),
    ],
)
def test_code_is_found(answer: str, code: str) -> None:
    assert python_code(answer, "add") == code


TESTS = """\
import math
assert add(1, 2) == 3
assert add(0, 0) == 0
for n in range(3):
    assert add(n, 1) == n + 1
"""
MORE = {"more": {"tests": TESTS, "entry": "add"}}


def test_tests_are_run() -> None:
    found = verdict("python_tests", f"```python\n{ADD}\n```", sample=MORE)
    assert (found.value, found.parts) == (1, {"passed": 1.0})
    assert "3 of 3 tests pass" in found.detail
    wrong = "def add(a, b):\n    return a + b + (a == b == 0)"
    found = verdict("python_tests", wrong, sample=MORE)
    assert (found.value, found.parts) == (0, {"passed": pytest.approx(2 / 3)})
    assert "'assert add(0, 0) == 0' fails (AssertionError)" in found.detail
    assert value("python_tests", wrong, sample=MORE, partial=True) == pytest.approx(2 / 3)


def test_the_detail_names_the_protection() -> None:
    from workbench.sandbox import protection

    assert protection().level in verdict("python_tests", ADD, sample=MORE).detail


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos._exit(0)",
        "raise SystemExit(0)",
        "import sys\nsys.exit(0)",
        "while True: pass",
        "x = ' ' * 10**11",
        f"{ADD}\nimport os\nfor n in range(300): os.close(n) if n not in (1, 2) else None",
        "import threading, os\nthreading.Timer(0, os._exit, (0,)).start()\nwhile True: pass",
        "def add(a, b): return add(a, b)",
        'print(\'tests pass ["", "", "", ""]\')',
        "x = (",
        "",
    ],
)
def test_programs_that_do_not_pass(code: str) -> None:
    found = verdict("python_tests", code, sample=MORE, timeout=2.0)
    assert found.value == 0 and found.parts["passed"] == 0


@pytest.mark.parametrize(
    "prelude",
    [
        "import sys\nsys.stdout.close()",
        "print('x' * 10**7)",
        "import sys\nsys.stdout.buffer.write(b'x'); sys.stderr.write('y')",
        "print(chr(0xD800))",
        "if __name__ == '__main__':\n    raise SystemExit",
        "class AssertionError(Exception): pass",
    ],
)
def test_what_a_program_does_beside_its_task(prelude: str) -> None:
    assert value("python_tests", f"{prelude}\n{ADD}", sample=MORE) == 1


def test_the_answer_between_prompt_and_suffix() -> None:
    more = {"tests": ["assert add(1, 2) == 3"]}
    gap = {"prompt": "def add(a, b):\n    total = ", "suffix": "\n    return total\n", "more": more}
    assert value("python_tests", "a + b", sample=gap) == 1
    assert value("python_tests", "a - b", sample=gap) == 0
    assert value("python_tests", "```python\na + b\n```", sample=gap) == 1
    head = {"prompt": "def add(a, b):", "more": more}
    goes_on = "\n    total = a + b\n    return total\n"
    assert value("python_tests", goes_on, sample=head, with_prompt=True) == 1
    start = {"prompt": "def add(a, b):\n", "more": more}
    assert value("python_tests", "    return a + b\n", sample=start, with_prompt=True) == 1
    assert value("python_tests", "    return a + b\n", sample=start) == 0
    assert value("python_syntax", "    return a + b\n", sample=start, with_prompt=True) == 1


@pytest.mark.parametrize("tests", [None, "", "import math", [], "def f(:", 7])
def test_tests_that_are_none(tests: object) -> None:
    assert value("python_tests", ADD, sample={"more": {"tests": tests}}) is None


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        (ADD, 1),
        ("def f(:", 0),
        ("x = 1\0", 0),
        ("- " * 100_000 + "1", 0),
        ("a" + ".a" * 90_000, 0),
        ("x = 1\n" * 100_000, 0),
        (" ", 0),
    ],
)
def test_syntax(code: str, wanted: float) -> None:
    assert value("python_syntax", code) == wanted
