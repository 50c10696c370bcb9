"""Questions in other words, what changes an answer, and what is kept of answers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import TuneError
from workbench.tasks import Task, load_task
from workbench.trial import questions
from workbench.trial._keep import Keeper, known
from workbench.trial._prompt import posed
from workbench.trial._setting import Setting
from workbench.trial._speed import FIGURES, Crowd, Time, sides, throughput

KINDS = {
    "letter": ('mode: chat\nscorers: [letter]', 'choices: [red, blue], target: blue', "B"),
    "either": ('mode: chat\nscorers: [includes]', 'target: [red, blue]', "red"),
    "every": ('mode: chat\nscorers: [{name: includes, all: true}]', 'target: [red, blue]',
              "red, blue"),
    "json": ('mode: chat\nscorers: [json_schema]', 'target: {a: 1}', '{"a": 1}'),
    "choice": ("mode: choice", 'choices: [" red", " blue"], target: 1', " blue"),
    "tests": ('mode: chat\nscorers: [python_tests]', 'target: "assert True"', None),
}  # fmt: skip


def made(folder: Path, head: str, rest: str) -> Task:
    rows = "".join(f'  - {{id: s{n}, prompt: "Number {n}?", {rest}}}\n' for n in range(5))
    file = folder / "kind.yaml"
    file.write_text(f"name: kind\ntitle: Kind\n{head}\nsamples:\n{rows}", encoding="utf-8")
    return load_task(file)


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_answered_as_an_answer_is_written(tmp_path: Path, kind: str) -> None:
    head, rest, answer = KINDS[kind]
    task = made(tmp_path, head, rest)
    found, note = posed(task, Setting.of({"shots": 2}, None), {"Number 0?", "Number 1?"})
    if answer is None:
        assert found.shots == () and note == "Kind: there are 0 examples to show, not 2."
        return
    assert [text for _, text in found.shots] == [answer, answer] and not note
    assert not {question for question, _ in found.shots} & {"Number 0?", "Number 1?"}
    assert posed(task, Setting.of({"shots": 2}, None), {"Number 0?", "Number 1?"})[0] == found


def key(point: Mapping[str, Any], task: Task, draw: int = 0, own: Mapping[str, Any] = {}) -> str:
    return Setting.of(point, 512).answer_key(task, "asked", draw, own, {})


def test_what_changes_an_answer(tmp_path: Path) -> None:
    task = made(tmp_path, *KINDS["either"][:2])
    same = [{}, {"num_thread": 4}, {"num_batch": 32}, {"num_parallel": 1}, {"num_ctx": 512}]
    same += [{"flash_attention": True}, {"num_gpu": 3}]
    assert len({key(point, task) for point in same}) == 1
    other = [{}, {"num_ctx": 1024}, {"kv_cache_type": "q8_0"}, {"repeat_penalty": 1.2}]
    other += [{"temperature": 0.5}, {"temperature": 0.5, "top_p": 0.5}, {"temperature": None}]
    assert len({key(point, task) for point in other}) == len(other)
    assert key({"temperature": 0, "top_p": 0.5}, task) == key({"temperature": 0}, task)
    assert key({}, task, draw=1) == key({}, task)
    assert key({"temperature": 0.5}, task, draw=1) != key({"temperature": 0.5}, task)
    own = {"kv_cache_type": "q8_0"}  # which the engine takes where nothing is said
    assert key({}, task, own=own) == key({"kv_cache_type": "q8_0"}, task) != key({}, task)
    assert key({"kv_cache_type": "f16"}, task, own=own) == key({"kv_cache_type": "f16"}, task)
    weighed = [Setting.of(p, 512).answer_key(task, "likelihood", 0, {}, {}) for p in other]
    assert len(set(weighed)) == 3


def test_what_shares_a_load() -> None:
    loads = [Setting.of(point, None).load for point in (
        {}, {"temperature": 1.0}, {"system": "Be brief."}, {"shots": 3}, {"num_batch": None},
    )]  # fmt: skip
    assert len(set(loads)) == 1
    others = [{}, {"num_batch": 64}, {"quantisation": "Q8_0"}, {"num_parallel": 2}, {"rank": 8}]
    assert len({Setting.of(point, None).load for point in others}) == 5
    assert Setting.of({"rank": 8, "top_k": 3}, None).training == {"rank": 8}
    with pytest.raises(TuneError, match="neither the engine's nor the prompt's"):
        Setting.of({"colour": 0.1}, None)


def test_each_task_is_asked_alone_and_at_once() -> None:
    asked = questions("quick", seed=0, count=40)
    alone, at_once = sides(asked, FIGURES)
    assert (len(alone), len(at_once)) == (8, 16) and not alone & at_once
    for keys in (alone, at_once):
        assert {one.task.name for one in asked if one.key in keys} == {
            one.task.name for one in asked
        }
    assert all(
        part <= whole
        for part, whole in zip(sides(asked[:10], FIGURES), (alone, at_once), strict=True)
    )


def test_what_tells_no_wanted_figure_is_not_timed() -> None:
    asked = questions("quick", seed=0, count=40)
    few, more = ({one.key for one in asked[:n]} for n in (8, 16))
    assert sides(asked, {"quality", "latency"}) == (few, set())
    assert sides(asked, {"throughput"}) == (set(), more)
    assert sides(asked, {"memory"}) == (few, set()), "only who was asked holds all it needs"
    assert sides(asked, {"quality"}) == (set(), set())


def test_throughput_counts_reading_as_if_it_was_new() -> None:
    quick = Time(1.0, 0.1, 0.0, 1.0, 50, 100)
    assert throughput([Crowd(2.0, ((quick, quick),) * 4)]) == pytest.approx(100)
    fair = quick.read_in(1.0)  # reading took as long as writing, the first time
    assert fair.seconds == 2.0 and fair.first_token == pytest.approx(1.1)
    assert throughput([Crowd(2.0, ((quick, fair),) * 4)]) == pytest.approx(50)
    assert throughput([]) is None


def test_answers_are_kept_once_whoever_writes() -> None:
    keepers = [Keeper(), Keeper()]
    keys = [("digest", "setting", f"q{n}") for n in range(600)]

    def add(keeper: Keeper, value: float) -> None:
        for one in keys:
            keeper.add(one, value, {"tokens": 3, "seconds": float("nan")})

    threads = [threading.Thread(target=add, args=(keeper, 0.5)) for keeper in keepers]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for keeper in keepers:
            keeper.write(now=True)
    for keeper in keepers:
        keeper.write(now=True)
    found = known([*keys, ("digest", "setting", "other"), ("else", "setting", "q1")])
    assert set(found) == set(keys)
    assert set(map(str, found.values())) == {"(0.5, {'tokens': 3, 'seconds': None})"}
