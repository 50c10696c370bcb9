"""Tasks of code: solutions pass, others fail, and what is said of programs is so."""

from __future__ import annotations

import ast
import ipaddress
import re
import sqlite3
import stat
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from test_tasks_answers import numbers
from test_tasks_content import kind, right, samples

from workbench.scorers import Sample, score
from workbench.tasks import find_task
from workbench.tasks.generators import functions, templates
from workbench.tasks.generators._chance import Chance
from workbench.tasks.generators._corpus import corpus

FAMILIES = list(functions.families())


def plain(value: Any) -> Any:
    """Tuples as lists, as a proof can only be written so."""
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


def fixed(family: Any) -> dict[str, Any]:
    """The member whose values its proof names."""
    let = {**family.get("let", {}), **{k: [v] for k, v in family["proof"]["let"].items()}}
    return functions.member({**family, "let": let, "need": ""}, Chance(1))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family["id"])
def test_solution_gives_what_was_worked_out_by_hand(family: Any) -> None:
    made = fixed(family)
    [gives] = functions.run(f"{made['code']}\n\n{made['drive']}", [family["proof"]["call"]])
    assert plain(gives) == family["proof"]["gives"]
    assert type(plain(gives)) is type(family["proof"]["gives"])


def failure(code: str, tests: str) -> str:
    """What goes wrong when the tests run after the code (ours, so in this process)."""
    try:
        exec(f"{code}\n\n{tests}", {})
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family["id"])
def test_members_of_a_family_differ_in_what_they_do(family: Any) -> None:
    """One member's solution fails another's tests, and so does a function that does nothing."""
    made = [functions.member(family, Chance(family["id"], luck)) for luck in range(8)]
    found = [functions._written("x", family, one, Chance(0)) for one in made]
    asked = {sample.prompt.split("\n\nFor")[0]: sample for sample in found}
    pairs = [(a, b) for a in asked.values() for b in asked.values() if a is not b]
    assert len(asked) >= 3
    passing = [a for a, b in pairs if not failure(b.more["solution"], a.more["tests"])]
    # two rules may agree on all that was drawn, but seldom
    assert len(passing) <= 0.4 * len(pairs)
    for sample in found:
        name = sample.more["entry"]
        assert not failure(sample.more["solution"], sample.more["tests"])
        nothing = f"def {name}(*given):\n    return None\n"
        assert failure(nothing, sample.more["tests"])
        echo = f"def {name}(*given):\n    return given[0]\n"
        assert failure(echo, sample.more["tests"])


def test_there_are_enough_families() -> None:
    assert len(FAMILIES) == len({family["id"] for family in FAMILIES}) >= 80
    asked = Counter(sample.group for sample in samples("python_functions"))
    assert len(asked) == len(FAMILIES) and max(asked.values()) <= 2


def test_solutions_pass_in_the_sandbox_and_others_do_not() -> None:
    task = find_task("python_functions")
    found = samples("python_functions")
    for sample in found:
        answer = f"Here it is:\n\n```python\n{sample.more['solution']}```\n"
        verdict = score(task, sample, answer)["python_tests"]
        assert verdict.value == 1, f"{sample.id}: {verdict.detail}"
    for sample, other in pairwise(found[:9]):
        constant = f"def {sample.more['entry']}(*given): return 1"
        for answer in ("", "I do not know.", other.more["solution"], constant):
            assert score(task, sample, answer)["python_tests"].value == 0


def test_results_do_not_hang_on_hashes() -> None:
    for sample in samples("python_functions"):
        assert not re.search(r"\), \{[^:}]+\}\)$", sample.more["tests"], re.MULTILINE), "a set"


@pytest.mark.parametrize("seed", range(6))
def test_files_of_the_corpus_do_what_they_should(seed: int) -> None:
    """Under the names of every seed."""
    for file in corpus(seed):
        exec(f"{file.code}\n\n{file.proof}", {})
        assert 600 <= len(file.code) <= 1_600


def test_lines_come_from_the_corpus() -> None:
    files = {file.name: file.code for file in corpus(0)}
    for sample in samples("fill_in_the_middle"):
        assert f"{sample.prompt}{sample.target}{sample.suffix}".strip("\n") in files[sample.group]
    for sample in samples("next_line"):
        good = sample.choices[right(sample)]
        assert f"{sample.prompt}{good}\n" in files[sample.group]
        for bad in set(sample.choices) - {good}:
            assert f"{sample.prompt}{bad}\n" not in files[sample.group]
            assert len(bad) - len(bad.lstrip()) == len(good) - len(good.lstrip())


def test_headers_need_a_body() -> None:
    task = find_task("python_syntax")
    for sample in samples("python_syntax"):
        with pytest.raises(SyntaxError):
            ast.parse(sample.prompt)
        last = sample.prompt.splitlines()[-1]
        body = " " * (len(last) - len(last.lstrip()) + 4) + "return 1\n"
        assert score(task, sample, body)["python_syntax"].value == 1
        assert score(task, sample, f"{body}    )")["python_syntax"].value == 0
        assert score(task, sample, "")["python_syntax"].value == 0


def ran(code: str) -> str:
    try:
        exec(code, {})
    except Exception as error:
        return type(error).__name__
    return ""


def developed(sample: Sample) -> str | None:
    """The answer to a question of development, found by doing it."""
    text, n = sample.prompt.partition("\n\nA) ")[0], numbers(sample.prompt)
    code = text.partition("```python\n")[2].partition("```")[0]
    if kind(sample) == "chmod":
        return stat.filemode(stat.S_IFREG | int(text.split("chmod ")[1][:3], 8))
    if kind(sample) == "subnet":
        return str(
            ipaddress.ip_network(text.split("network is ")[1].split()[0].rstrip(".")).num_addresses
        )
    if kind(sample) == "loop_count":
        return str(len(list(eval(code.split(" in ")[1].partition(":\n")[0]))))
    if kind(sample) == "bug":
        return ran(code)
    if kind(sample) == "bits":
        a, b, sign = int(n[0]), int(n[2]), text.split("What is a ")[1][0]
        return f"{ {'&': a & b, '|': a | b, '^': a ^ b}[sign]:06b}"
    if kind(sample) == "sql_count":
        with sqlite3.connect(":memory:") as base:
            base.execute("create table sales (region text, amount int)")
            rows = text.partition("holds: ")[2].partition(". What")[0]
            base.execute(f"insert into sales values {rows}")
            return str(base.execute(text.split("`")[1]).fetchone()[0])
    if kind(sample) == "regex":
        fit = [option for option in sample.choices if re.search(text.split("`")[1], option)]
        return fit[0] if len(fit) == 1 else "not one of them"
    if kind(sample) == "json_valid":
        fit = [
            option for option in sample.choices if not ran(f"import json; json.loads({option!r})")
        ]
        return fit[0] if len(fit) == 1 else "not one of them"
    return None


def test_development() -> None:
    checked = set()
    for sample in templates.make(5, file="development_questions", count=300):
        known = developed(sample)
        if known is not None:
            assert sample.choices[right(sample)] == known, sample.prompt
            checked.add(kind(sample))
    assert len(checked) == 8


def test_what_a_program_prints() -> None:
    for sample in samples("python_output")[:60]:
        program = sample.prompt.partition("```python\n")[2].partition("```")[0]
        told: list[str] = []
        exec(program, {"print": lambda value, told=told: told.append(str(value))})
        assert told == [sample.target]


def test_slips_are_not_python() -> None:
    """The slip breaks the syntax, or names what nothing in the file has."""
    for sample in samples("code_slips"):
        good, bad = sample.choices[right(sample)], sample.choices[1 - right(sample)]
        known = set(re.findall(r"\w+", sample.prompt + good)) - {"this", "null", "true", "false"}
        strange = set(re.findall(r"\w+", bad)) - known
        try:
            line = bad.strip().removeprefix("elif").removeprefix("if")
            ast.parse(f"{bad.strip()}\n    pass" if line.endswith(":") else bad.strip())
        except SyntaxError:
            continue
        assert strange, bad
