"""Scorers of Python: it can be read, and it passes its tests in the sandbox.

The code is taken out of the answer by `python_code`. It runs in the same process as its tests, in
`workbench.sandbox`: it cannot reach the machine, but a program that is made to cheat could find
the tests' report and forge it. A model that wanted to would have to know this harness.
"""

from __future__ import annotations

import ast
import json
import re
import secrets
from typing import Any

from workbench.scorers._answers import blocks, right, shown, unknown
from workbench.scorers._records import Sample, Tools, Verdict

_MOST_CODE = 200_000
_PYTHON = {"", "python", "python3", "py", "python-repl"}
_BEGINS = re.compile(r"^(?:def |async def |class |import |from \w|@\w)", re.MULTILINE)
_MOST_CUTS, _MOST_CUT = 40, 20_000  # parsed once for each cut

# Runs the answer, then its tests one by one, each in the names that the answer left behind. The
# report goes through a copy of standard output, as the answer may close or replace its own.
_PROGRAM = """
import io, json, os, sys
class Nowhere(io.RawIOBase):
    def writable(self):
        return True
    def write(self, data):
        return len(data)
work = json.loads({work!r})
report = os.dup(1)
sys.stdout = sys.stderr = io.TextIOWrapper(io.BufferedWriter(Nowhere()), "utf-8", "replace")
names = {{"__name__": "answer"}}
def attempt(source, name):
    try:
        exec(compile(source, name, "exec", dont_inherit=True), names)
    except BaseException as error:
        return f"{{type(error).__name__}}: {{error}}"[:200]
    return ""
failure = attempt(work["code"], "answer.py")
results = [failure or attempt(test, "tests") for test in work["tests"]]
os.write(report, (work["mark"] + json.dumps(results)).encode("utf-8", "replace"))
os._exit(0)
"""


def python_syntax(
    answer: str, sample: Sample, tools: Tools, *, with_prompt: bool = False
) -> Verdict:
    """The answer's code can be parsed; nothing runs."""
    code = _whole(answer, sample, with_prompt)
    if not code.strip():
        return right(False, "no code in the answer")
    problem = _syntax(code)
    return right(not problem, problem)


def python_tests(
    answer: str,
    sample: Sample,
    tools: Tools,
    *,
    with_prompt: bool = False,
    partial: bool = False,
    timeout: float = 10.0,
) -> Verdict:
    """The answer's code passes the sample's `tests`, all of them (or in part, with `partial`).

    `tests` is Python, or a list of such texts. Each statement that is neither an import, an
    assignment nor a definition counts as a test. With `with_prompt` (always where the sample has
    a suffix) the answer is put behind the prompt and before the suffix.
    """
    from workbench.sandbox import run_python

    tests, counting = _statements(sample.more.get("tests"))
    if not any(counting):
        return unknown("The sample has no tests.")
    code = _whole(answer, sample, with_prompt)
    if problem := _syntax(code):
        return Verdict(0.0, f"The code cannot be parsed: {problem}", {"passed": 0.0})
    mark = secrets.token_hex(16)
    work = json.dumps({"code": code, "tests": tests, "mark": mark})
    outcome = run_python(_PROGRAM.format(work=work), timeout=timeout)
    try:
        results = json.loads(outcome.stdout.rpartition(mark)[2] if mark in outcome.stdout else "")
    except ValueError:
        detail = f"The tests did not end. {outcome.words} ({outcome.protection})"
        return Verdict(0.0, detail, {"passed": 0.0})
    counted = [result for result, counts in zip(results, counting, strict=True) if counts]
    passed = counted.count("") / len(counted)
    failed = next(((t, r) for t, r in zip(tests, results, strict=True) if r), None)
    first = f"; {shown(failed[0])} fails ({failed[1].rstrip(': ')})" if failed else ""
    detail = f"{counted.count('')} of {len(counted)} tests pass{first}; {outcome.protection}"
    return Verdict(passed if partial else float(passed == 1), detail, {"passed": passed})


def _statements(tests: Any) -> tuple[list[str], list[bool]]:
    """The tests one by one, and which of them count. SyntaxError for tests that are not Python."""
    texts = [tests] if isinstance(tests, str) else list(tests or ())
    found = [node for text in texts for node in ast.parse(str(text)).body]
    aside = ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
    aside |= ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return [ast.unparse(node) for node in found], [not isinstance(node, aside) for node in found]


def _whole(answer: str, sample: Sample, with_prompt: bool) -> str:
    """The program that the answer makes, with what stands around it."""
    if not (with_prompt or sample.suffix):
        return python_code(answer, str(sample.more.get("entry") or ""))
    inner = [block.text for block in blocks(answer) if block.language in _PYTHON]
    return f"{sample.prompt}{inner[0] if inner else answer}{sample.suffix}"


def python_code(answer: str, entry: str = "") -> str:
    """The Python in an answer: the last fenced block that defines `entry`, else the longest.

    Without a fence it is the whole answer if that can be parsed, else what begins with the first
    line that looks like code, shortened from the end until it can be parsed.
    """
    fenced = [block.text for block in blocks(answer) if block.language in _PYTHON]
    if fenced:
        defines = re.compile(rf"^(?:async )?(?:def|class) {re.escape(entry)}\b", re.MULTILINE)
        defining = [text for text in fenced if entry and defines.search(text)]
        return defining[-1] if defining else max(fenced, key=lambda text: (_fits(text), len(text)))
    begin = _BEGINS.search(answer)
    if begin is None or _fits(answer):
        return answer
    rest = answer[begin.start() :]
    lines = rest.split("\n") if len(rest) <= _MOST_CUT else []
    for end in range(len(lines), max(0, len(lines) - _MOST_CUTS), -1):
        if _fits(text := "\n".join(lines[:end])):
            return text
    return rest


def _fits(code: str) -> bool:
    return not _syntax(code)


def _syntax(code: str) -> str:
    """What is wrong with the code, "" where it can be parsed."""
    if len(code) > _MOST_CODE:
        return f"it is longer than {_MOST_CODE:,} characters"
    try:
        ast.parse(code)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"it cannot be parsed ({type(error).__name__})"
    return ""
