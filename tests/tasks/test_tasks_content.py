"""The tasks that ship: well formed, the same everywhere, new for every seed, without shortcuts.

What their answers should be is worked out a second time in test_tasks_answers.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from workbench.scorers import Sample
from workbench.tasks import Task, find_suite, find_task, suites, tasks

DATA = Path(__file__).parents[2] / "workbench" / "tasks" / "data"
GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
OURS = sorted(GOLDEN)
NAMES = [name for name in OURS if not name.startswith("quick_")]  # those with a file of their own
SUITES = sorted(path.stem for path in (DATA / "suites").glob("*.yaml"))
DOMAINS = {"health", "legal", "finance", "development"}


@pytest.mark.parametrize(
    "path", sorted(DATA.glob("[ts][au][si][kt]*/*.yaml")), ids=lambda p: p.stem
)
def test_files_that_ship_keep_to_the_schema(path: Path) -> None:
    """It is not asked when they are read: that would take a second."""
    from workbench.tasks._document import read_document
    from workbench.tasks._load import _validator

    kind = {"tasks": "task", "suites": "suite"}[path.parent.name]
    assert [
        error.message for error in _validator(kind).iter_errors(read_document(path).value)
    ] == []


@lru_cache(maxsize=200)
def samples(name: str, seed: int = 0) -> tuple[Sample, ...]:
    return task(name).samples(seed=seed)


@lru_cache(maxsize=1)
def quick() -> dict[str, Task]:
    return {task.name: task for name in SUITES for task in find_suite(name).tasks}


def task(name: str) -> Task:
    return find_task(name) if name in NAMES else quick()[name]


def question(sample: Sample) -> tuple[object, ...]:
    """What is asked: of a perplexity task, the text."""
    return sample.prompt, sample.suffix, sample.choices, "" if sample.prompt else sample.target


def right(sample: Sample) -> int:
    """Which choice is right."""
    if isinstance(sample.target, int):
        return sample.target
    return "ABCDEFGH".index(sample.target)


def kind(sample: Sample) -> str:
    """The item or family that it was made of."""
    return sample.id.partition(".")[0]


def digest(found: tuple[Sample, ...]) -> str:
    facts = [[s.id, s.prompt, s.target, s.choices, s.suffix, s.group, dict(s.more)] for s in found]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()[:16]


def test_what_ships_can_be_read() -> None:
    assert set(NAMES) <= set(tasks()), "run problems() to see why"
    assert set(SUITES) <= set(suites())
    assert {"code", "reading-code", "reasoning", "assistant", "quick", *DOMAINS} <= set(SUITES)


def test_templates_read_the_same_without_the_c_library() -> None:
    """PyYAML may come without libyaml, and the two do not take the same texts."""
    for path in sorted((DATA / "templates").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        assert yaml.load(text, yaml.SafeLoader) == yaml.load(text, yaml.CSafeLoader), path.name


def test_each_domain_has_tasks_of_its_own() -> None:
    for domain in DOMAINS:
        suite = find_suite(domain)
        assert suite.domain == domain
        assert len([task for task in suite.tasks if task.name.startswith(domain)]) >= 2


def test_the_docs_name_every_task() -> None:
    told = (DATA.parents[2] / "docs" / "suites.md").read_text(encoding="utf-8")
    assert not [name for name in NAMES if f"`{name}`" not in told]


@pytest.mark.parametrize("name", OURS)
def test_samples_are_well_formed(name: str) -> None:
    found = samples(name)
    asked = task(name)
    assert (asked.title and asked.description) or name.startswith("quick_")
    assert asked.source == "written for Workbench · MIT"
    assert len(found) == asked.count
    assert len({sample.id for sample in found}) == len(found)
    assert len({question(sample) for sample in found}) == len(found)
    for sample in found:
        json.dumps(dict(sample.more))
        assert "{{" not in sample.prompt or name in {
            "fill_in_the_middle",
            "next_line",
            "code_slips",
        }
        assert "Undefined" not in sample.prompt
        if asked.mode == "chat":
            assert sample.prompt == sample.prompt.strip()
            assert 40 <= len(sample.prompt) <= 1_700 or name.startswith("needle")
            assert not re.search(
                r" {2,}[a-zA-Z]|\s[,.;](\s|$)| ,", sample.prompt.split("```")[0]
            ) or ("functions" in name or "extraction" in name), sample.prompt
        elif asked.mode != "perplexity":
            assert 10 <= len(sample.prompt) <= 1_700


@pytest.mark.parametrize("name", OURS)
def test_seed_0_is_what_it_was(name: str) -> None:
    """A change of what is asked must be meant: results before and after do not compare."""
    assert digest(samples(name)) == GOLDEN[name], f"{name}: {digest(samples(name))}"


@pytest.mark.parametrize("name", OURS)
def test_another_seed_asks_something_else(name: str) -> None:
    known = {question(sample) for sample in samples(name)}
    other = samples(name, 1)
    new = sum(question(sample) not in known for sample in other)
    assert new >= 0.7 * len(other)
    assert not {sample.id for sample in other} & {sample.id for sample in samples(name)}


@pytest.mark.parametrize("name", OURS)
def test_any_seed_can_be_drawn(name: str) -> None:
    assert len(samples(name, 2**40)) == task(name).count


def test_neither_hashes_nor_language_nor_folder_matter(tmp_path: Path) -> None:
    """Python orders sets by hashes that change from process to process."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_tasks_content import NAMES, digest, samples\n"
        "print(json.dumps({name: digest(samples(name)) for name in NAMES}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        env={**os.environ, "PYTHONHASHSEED": "77", "LC_ALL": "C", "PYTHONUTF8": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {name: GOLDEN[name] for name in NAMES}


def test_the_first_samples_stay_when_more_are_made() -> None:
    from workbench.tasks.generators import functions, instructions, lines, needle, templates, terms

    makers = [
        lambda n: templates.make(3, file="health_reading", count=n),
        lambda n: terms.make(3, file="legal_terms", count=n),
        lambda n: functions.make(3, count=n),
        lambda n: functions.make(3, count=n, ask="output"),
        lambda n: lines.make(3, ask="next", count=n),
        lambda n: instructions.make(3, count=n),
        lambda n: needle.make(3, count=n, lengths=[50, 100]),
    ]
    for make in makers:
        assert make(20)[:7] == make(7)


@pytest.mark.parametrize("name", NAMES)
def test_groups_are_many_or_none(name: str) -> None:
    """An interval over three groups would say nothing."""
    groups = {sample.group for sample in samples(name)}
    assert groups == {""} or len(groups) >= 10


CHOICES = [name for name in NAMES if samples(name)[0].choices]


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_distinct_and_the_right_one_stands_anywhere(name: str) -> None:
    found = [sample for seed in range(3) for sample in samples(name, seed)]
    size = 2 if name == "code_slips" else 4
    for sample in found:
        assert len(sample.choices) == len({text.strip() for text in sample.choices}) == size
        assert 0 <= right(sample) < size
    places = Counter(right(sample) for sample in found)
    assert max(places.values()) - min(places.values()) <= 3


@pytest.mark.parametrize("name", CHOICES)
def test_the_right_choice_is_not_known_by_its_length(name: str) -> None:
    """Neither "the longest" nor "the shortest" beats chance by much."""
    found = [sample for seed in range(3) for sample in samples(name, seed)]
    chance = 1 / len(found[0].choices)
    for best in (max, min):
        hits = 0.0
        for sample in found:
            sizes = [len(text) for text in sample.choices]
            wanted = best(sizes)
            hits += (sizes[right(sample)] == wanted) / sizes.count(wanted)
        assert hits / len(found) <= chance + 0.12


@pytest.mark.parametrize("name", [name for name in CHOICES if name.endswith(("terms", "reading"))])
def test_the_right_choice_is_not_known_by_words_of_the_question(name: str) -> None:
    found = [sample for seed in range(3) for sample in samples(name, seed)]
    hits = 0.0
    for sample in found:
        stem = set(re.findall(r"[a-z]{4,}", sample.prompt.partition("\n\nA) ")[0].lower()))
        shared = [
            len(stem & set(re.findall(r"[a-z]{4,}", text.lower()))) for text in sample.choices
        ]
        hits += (shared[right(sample)] == max(shared)) / shared.count(max(shared))
    assert hits / len(found) <= 0.45


def test_lettered_choices_stand_in_the_prompt() -> None:
    for name in CHOICES:
        if task(name).mode == "chat":
            for sample in samples(name):
                lines = [f"{'ABCD'[n]}) {text}" for n, text in enumerate(sample.choices)]
                assert "\n\n" + "\n".join(lines) + "\n\nAnswer with the letter" in sample.prompt


def test_numbers_of_a_question_do_not_give_the_answer_away() -> None:
    """The result is seldom one of the numbers in the text."""
    for name in ("arithmetic", "word_problems", "health_numbers", "finance_numbers"):
        found = samples(name)
        given = [re.findall(r"\d[\d,]*(?:\.\d+)?", s.prompt.replace(",", "")) for s in found]
        hits = sum(
            str(sample.target) in numbers for sample, numbers in zip(found, given, strict=True)
        )
        assert hits <= 0.15 * len(found), name
        values = Counter(str(sample.target) for sample in found)
        assert values.most_common(1)[0][1] <= 0.12 * len(found), name


def test_classes_come_equally_often() -> None:
    for name in ("classification", "safety"):
        for seed in range(2):
            found = samples(name, seed)
            for one in {kind(sample) for sample in found}:
                classes = Counter(sample.target for sample in found if kind(sample) == one)
                assert max(classes.values()) - min(classes.values()) <= 3
    for count in (20, 40):
        first = Counter(sample.target for sample in samples("safety")[:count])
        assert first == {"answer": count / 2, "refuse": count / 2}
    asked = [sample for sample in samples("python_output") if sample.target in {"True", "False"}]
    assert len(asked) <= 15


def test_what_is_needed_to_answer_comes_before_the_question() -> None:
    """Of a class, the label words stand in the prompt; of an object, its schema."""
    for sample in samples("classification"):
        assert re.search(rf"\b{sample.target}\b", sample.prompt)
    for name in NAMES:
        if name.endswith("extraction"):
            for sample in samples(name):
                assert json.dumps(sample.more["schema"]["required"][0]) in sample.prompt


def test_prompts_stay_within_small_contexts() -> None:
    """Only the needles' haystacks are long, and as long as they say."""
    for name in ("needle", "needles", "needle_long"):
        for sample in samples(name):
            words = len(sample.prompt.split())
            assert sample.more["words"] <= words <= sample.more["words"] * 1.1 + 110
    sizes = sorted(len(sample.target) for sample in samples("python_text"))
    assert sizes[0] >= 600 and sizes[-1] <= 1_600
    for one, other in pairwise(sorted(samples("python_text"), key=lambda s: s.group)):
        assert one.group != other.group
