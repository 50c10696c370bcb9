"""Questions: mixed fairly, the same for every trial, and told apart by all that decides them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from workbench.errors import TaskError, TuneError
from workbench.tasks import find_task
from workbench.trial import questions

TASK = """
name: {name}
title: {name}
mode: chat
samples:
{samples}
scorers: [{scorer}]
"""


def write(folder: Path, name: str, count: int, scorer: str = "includes") -> None:
    samples = "\n".join(
        f'  - {{id: s{n}, prompt: "{name} {n}", target: "e"}}' for n in range(count)
    )
    text = TASK.format(name=name, samples=samples, scorer=scorer)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def suite(folder: Path, *tasks: tuple[str, float]) -> str:
    lines = "".join(f"  - {{task: {name}.yaml, weight: {weight}}}\n" for name, weight in tasks)
    (folder / "mix.yaml").write_text(f"name: mix\ntitle: Mix\ntasks:\n{lines}", encoding="utf-8")
    return str(folder / "mix.yaml")


def test_every_first_part_has_the_weights(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path, name, 60)
    found = questions(suite(tmp_path, ("a", 3), ("b", 1), ("c", 2)), seed=0, count=60)
    assert len(found) == 60 and len({one.key for one in found}) == 60
    assert {one.task.name: one.weight for one in found} == {"a": 3, "b": 1, "c": 2}
    for n in range(1, 61):
        counts = Counter(one.task.name for one in found[:n])
        for name, share in (("a", 3 / 6), ("b", 1 / 6), ("c", 2 / 6)):
            assert abs(counts[name] - n * share) <= 1, (n, counts)


def test_a_longer_list_begins_with_the_shorter_one() -> None:
    short, long = (questions("quick", seed=3, count=n) for n in (7, 30))
    assert [one.key for one in long[:7]] == [one.key for one in short]
    other = questions("quick", seed=4, count=30)
    assert not {one.key for one in long} & {one.key for one in other}
    assert questions("quick", seed=3, count=30) == long


def test_a_suite_that_has_fewer_gives_all(tmp_path: Path) -> None:
    write(tmp_path, "a", 3)
    write(tmp_path, "b", 9)
    mixed = suite(tmp_path, ("a", 1), ("b", 1))
    assert len(questions(mixed, seed=0, count=100)) == 12
    found = Counter(one.task.name for one in questions(mixed, seed=0, count=8))
    assert found == {"a": 3, "b": 5}
    assert len(questions(mixed, seed=0)) == 12
    single = questions("arithmetic", seed=1)
    assert len(single) == find_task("arithmetic").count


def test_the_key_tells_what_is_asked_and_how_it_is_scored(tmp_path: Path) -> None:
    write(tmp_path, "a", 2)
    before = questions(str(tmp_path / "a.yaml"), seed=0)
    write(tmp_path, "a", 2, scorer="exact")
    after = questions(str(tmp_path / "a.yaml"), seed=0)
    assert not {one.key for one in before} & {one.key for one in after}


@pytest.mark.parametrize("count", [0, -1, 10**9])
def test_counts_that_make_no_sense(count: int) -> None:
    with pytest.raises(TuneError, match="between 1 and"):
        questions("quick", seed=0, count=count)


def test_a_suite_that_there_is_not() -> None:
    with pytest.raises(TaskError, match="no suite"):
        questions("nothing-of-the-kind", seed=0, count=3)
