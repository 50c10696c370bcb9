"""The domains' tasks with computed answers: each answer is found a second time, from the prompt."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from functools import lru_cache
from typing import Any

import pytest
import regex

from workbench.errors import TaskError
from workbench.tasks import Sample, Tools, find_suite, find_task, score
from workbench.tasks.generators import domain_bugs, domain_code

STATEMENTS = {"health_statements": 30, "legal_clauses": 28, "finance_statements": 30}
CODE = ("development_results", "development_patterns", "development_bugs")
SEEDS = range(4)

# SHA-256 of all that is asked with seed 0, and of how it is scored
GOLDEN = {
    "health_statements": "995f4294c49d69f2",
    "legal_clauses": "d8f3303ae860bb32",
    "finance_statements": "50ac641cce933257",
    "development_results": "3ca177bdf9ed45ff",
    "development_patterns": "a73b7279241a2cf5",
    "development_bugs": "0512c53be99a58d8",
}


@lru_cache(maxsize=50)
def samples(name: str, seed: int = 0) -> tuple[Sample, ...]:
    return find_task(name).samples(seed=seed)


def value(name: str, sample: Sample, answer: str) -> float | None:
    task = find_task(name)
    return score(task, sample, answer, Tools())[task.scorers[0].name].value


@pytest.mark.parametrize("name", GOLDEN)
def test_what_is_asked_is_what_it_was(name: str) -> None:
    assert find_task(name).fingerprint(samples(name))[:16] == GOLDEN[name]


@pytest.mark.parametrize("name", GOLDEN)
def test_another_seed_asks_something_else(name: str) -> None:
    known = {sample.prompt for sample in samples(name)}
    other = samples(name, 1)
    assert len(other) == find_task(name).count
    assert sum(sample.prompt not in known for sample in other) >= 0.7 * len(other)


@pytest.mark.parametrize(
    ("suite", "names"),
    [
        ("health", {"health_statements"}),
        ("legal", {"legal_clauses"}),
        ("finance", {"finance_statements"}),
        ("development", set(CODE)),
    ],
)
def test_they_are_in_their_suites(suite: str, names: set[str]) -> None:
    assert names <= {task.name for task in find_suite(suite).tasks}


@pytest.mark.parametrize("name", STATEMENTS)
def test_yes_no_and_not_stated_come_equally_often(name: str) -> None:
    classes = Counter(sample.target for sample in samples(name))
    assert classes == dict.fromkeys(("yes", "no", "not stated"), STATEMENTS[name])
    for sample in samples(name):
        assert sample.prompt.count("Question: ") == 1
        assert not re.search(r"\b1 (days|weeks|tablets|years|hours)\b", sample.prompt)


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_is_scored_by_its_word(name: str) -> None:
    for sample in samples(name):
        for word in ("yes", "no", "not stated"):
            wanted = float(word == sample.target)
            for form in ("{}", "{}.", "**{}**", "The answer is: {}.", "{}, by the text."):
                assert value(name, sample, form.format(word)) == wanted
                assert value(name, sample, form.format(word.capitalize())) == wanted
        assert value(name, sample, "") == value(name, sample, "Perhaps.") == 0


@pytest.mark.parametrize("name", CODE)
def test_only_the_right_answer_counts(name: str) -> None:
    for sample in samples(name):
        right = str(sample.target)
        assert value(name, sample, right) == 1
        assert value(name, sample, f"The answer is {right}.") == 1
        wrong = [x for x in "ABCD" if x != right] if sample.choices else [int(right) + 1, "none"]
        assert {value(name, sample, str(answer)) for answer in wrong} == {0}


# Of each group, what the text says (numbers, in order) → yes or no.
RULES: dict[str, tuple[str, Any]] = {
    "range": (r"laboratory: \D+(\d+), .* range (\d+) to (\d+)", lambda v, a, b: not a <= v <= b),
    "points_rule": (
        r"above (\d+) .* than (\d+) breaths.* with (\d+) or .* pulse of (\d+) and takes (\d+)",
        lambda p, b, need, pulse, breath: 2 * (pulse > p) + (breath > b) >= need,
    ),
    "leaflet_maximum": (
        r"holds (\d+) mg; no more than (\d+) mg .*: Do (\d+) tablets",
        lambda one, most, n: n * one <= most,
    ),
    "notice": (r"at least (\d+) days.* of (\d+) days. Is that", lambda least, n: n >= least),
    "late": (r"within (\d+) days.* pays (\d+) days after", lambda most, n: n > most),
    "cap": (
        r"liable for ([\d,]+) euros.*: Damage of ([\d,]+) euros was caused by slight",
        lambda most, n: n <= most,
    ),
    "licence": (r"up to (\d+) computers.* on (\d+) computers .*\?", lambda most, n: n <= most),
    "order_of_papers": (
        r"form of .*: payment within (\d+) days.* after (\d+) days",
        lambda most, n: n <= most,
    ),
    "overtime": (
        r"works (\d+) hours a week. Up to (\d+) .*works (\d+) hours in",
        lambda usual, free, n: n > usual + free,
    ),
    "balance_sheet": (
        r"cash (\d+), stock (\d+), .* a year (\d+), .* exceed",
        lambda cash, stock, owed: cash + stock > owed,
    ),
    "dearer": (
        r"for (\d+) months: (\d+) .* fee of (\d+) .* asks (\d+) .* fee of (\d+) .*cost more",
        lambda n, a, f, b, g: n * a + f > n * b + g,
    ),
    "account": (
        r"beginning (\d+) .* in (\d+) .* out (\d+) .*(?:above zero|money left)",
        lambda a, b, c: a + b > c,
    ),
    "credit_rule": (
        r"be (\d+) % .* of (\d+) euros a month; the rate would be (\d+) .* the rule",
        lambda share, income, rate: rate * 100 <= share * income,
    ),
    "currency_account": (
        r"is ([\d.]+) dollars.* has (\d+) euros .* and (\d+) dollars .*worth more",
        lambda rate, euros, dollars: rate * euros > dollars,
    ),
}


@pytest.mark.parametrize("group", RULES)
def test_rules_give_the_same_answer_again(group: str) -> None:
    pattern, rule = RULES[group]
    found = [s for name in STATEMENTS for seed in SEEDS for s in samples(name, seed)]
    checked = Counter[str]()
    for sample in (one for one in found if one.group == group and one.target != "not stated"):
        if numbers := re.search(pattern, sample.prompt):
            given = [float(number.replace(",", "")) for number in numbers.groups()]
            assert sample.target == ("yes" if rule(*given) else "no"), sample.prompt
            checked[sample.target] += 1
    assert checked["no"] >= 2 and (checked["yes"] >= 2 or group == "cap"), checked


def fenced(prompt: str, language: str = "") -> str:
    match = re.search(rf"```{language}\n(.*?)\n```", prompt, re.DOTALL)
    assert match, prompt
    return match[1]


def test_programs_print_what_is_said() -> None:
    """By an interpreter of its own, all in one process; each program in its own names."""
    asked = [
        s for seed in SEEDS for s in samples("development_results", seed) if "python" in s.more
    ]
    programs = [fenced(sample.prompt, "python") for sample in asked]
    code = (
        "import contextlib, io, json, sys\n"
        "told = []\n"
        "for program in json.load(sys.stdin):\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "        exec(program, {})\n"
        "    told.append(out.getvalue())\n"
        "print(json.dumps(told))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [f"{sample.target}\n" for sample in asked]
    assert len({sample.group for sample in asked}) == 17


def test_queries_return_what_is_said() -> None:
    """From what the prompt shows; the statements run one by one."""
    asked = [s for seed in SEEDS for s in samples("development_results", seed) if "sql" in s.more]
    for sample in asked:
        *before, query = fenced(sample.prompt, "sql").rstrip(";").split(";")
        base = sqlite3.connect(":memory:")
        for statement in before:
            base.execute(statement)
        assert [(str(value),) for (value,) in base.execute(query)] == [(sample.target,)]
        base.close()
    assert len({sample.group for sample in asked}) == 7


def test_results_are_whole_numbers_and_differ() -> None:
    found = samples("development_results")
    assert all(re.fullmatch(r"-?\d+", sample.target) for sample in found)
    assert Counter(sample.target for sample in found).most_common(1)[0][1] <= 15


def test_patterns_match_what_is_said_in_another_engine() -> None:
    for seed in SEEDS:
        found = samples("development_patterns", seed)
        assert Counter(sample.target for sample in found) == dict.fromkeys("ABCD", 15)
        for sample in found:
            pattern, negated = re.findall(r"expression `(.*?)` (not )?match", sample.prompt)[0]
            options = re.findall(r"^([A-D])\) (.*)$", sample.prompt, re.MULTILINE)
            fit = [
                x for x, text in options if bool(regex.fullmatch(pattern, text)) != bool(negated)
            ]
            assert fit == [sample.target], sample.prompt
            assert len({text for _, text in options}) == 4


def test_the_wrong_line_explains_the_example() -> None:
    """What the prompt shows gives what it says; with the line as it was, what it should give."""
    said = re.compile(r"is wrong: `([^`]+)` should give (.*), but it (?:gives )?(.*)\.$", re.M)
    for seed in SEEDS:
        for sample in samples("development_bugs", seed):
            lines = [line[4:] for line in fenced(sample.prompt).split("\n")]
            good = sample.more["good"].split("\n")
            assert [
                n for n, pair in enumerate(zip(lines, good, strict=True), 1) if len({*pair}) > 1
            ] == [sample.target]
            [(call, want, got)] = said.findall(sample.prompt)
            assert domain_bugs.outcome("\n".join(lines), call) == got != want
            lines[sample.target - 1] = good[sample.target - 1]
            assert domain_bugs.outcome("\n".join(lines), call) == want


def test_every_slip_can_be_told() -> None:
    """Whatever is drawn, a call shows the slip; lines are not guessed from the place alone."""
    for seed in range(10, 13):
        found = domain_bugs.make(seed, count=120)
        assert len(found) == 120
        assert Counter(sample.target for sample in found).most_common(1)[0][1] <= 36


@pytest.mark.parametrize(
    ("slips", "reason"),
    [
        ({"x + 1": "1 + x"}, "No call tells"),
        ({"y": "x"}, "does not occur once"),
        ({"x": "y"}, "does not occur once"),
    ],
)
def test_a_slip_that_is_none_is_refused(
    slips: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = {"id": "i", "ask": "a", "code": "def f(x):\n    return x + 1", "slips": slips}
    content = {"items": [{**item, "calls": ["f(1)", "f(2)"]}]}
    monkeypatch.setattr(domain_bugs, "data", lambda name: content)
    with pytest.raises(TaskError, match=reason):
        domain_bugs.make(0, count=1)


def test_more_samples_keep_the_first() -> None:
    for file in ("development_results", "development_patterns"):
        assert domain_code.make(5, file=file, count=20)[:6] == domain_code.make(
            5, file=file, count=6
        )
    assert domain_bugs.make(5, count=20)[:6] == domain_bugs.make(5, count=6)
