"""Answers and canaries that are there already are taken, not asked for again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench_servers import engine_with
from tiny import write_tiny_llama
from words import write_suite

from workbench import bench
from workbench.bench import Plan
from workbench.meter import Canary

COUNT = 6
GRADED = """
name: graded
title: Graded by a model
mode: complete
samples:
  - {id: a, prompt: "def f(x):", target: "return x"}
  - {id: b, prompt: "def g(x):", target: "return x"}
scorers: [judge]
options: {num_predict: 4}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("given")
    models = {
        "one": write_tiny_llama(folder / "one.gguf", endless=True),
        "two": write_tiny_llama(folder / "two.gguf", seed=1, endless=True),
    }
    with engine_with(folder / "home", models) as url:
        yield url


def test_only_the_other_questions_are_asked(url: str, tmp_path: Path) -> None:
    plan = Plan("one", write_suite(tmp_path, COUNT), seed=1)
    first = bench.answers(bench.measure(plan, engine=url))
    given = [
        replace(one, position=0, output="given", value=1.0, figures={"tokens": 3})
        for one in first[1:4]
    ]
    strangers = [
        replace(first[5], how="generative", output="asked in another way"),
        replace(first[5], sample="nobody's", output="of another suite"),
    ]
    run = bench.measure(plan, engine=url, given=[*given, *strangers])
    found = bench.answers(run)
    assert [one.sample for one in found] == [one.sample for one in first], "each in its place"
    assert [one.output == "given" for one in found] == [False, True, True, True, False, False]
    assert [one.value for one in found[1:4]] == [1.0] * 3
    told = [one.figures["seconds"] for one in found if one.output != "given"]
    result = bench.result(run)
    assert result.seconds_per_answer is not None, "of the answers whose time is known"
    assert min(told) <= result.seconds_per_answer <= max(told)


def test_a_graded_answer_is_not_graded_again(url: str, tmp_path: Path) -> None:
    (tmp_path / "graded.yaml").write_text(GRADED, encoding="utf-8")
    plan = Plan("one", str(tmp_path / "graded.yaml"), judge="two")
    first, second = bench.answers(bench.measure(plan, engine=url))
    assert set(first.scores) == set(second.scores) == {"judge"}
    graded = replace(first, value=0.75, scores={"judge": {"value": 0.75, "detail": "kept"}})
    found = bench.answers(
        bench.measure(plan, engine=url, given=[graded, replace(second, scores={})])
    )
    assert found[0].value == 0.75 and found[0].scores["judge"]["detail"] == "kept"
    assert found[1].scores["judge"] == second.scores["judge"], "graded here, by the same judge"


def test_a_canary_serves_all_loads_that_give_the_same_answers(url: str, tmp_path: Path) -> None:
    suite, canaries = write_suite(tmp_path, 2), dict[str, Canary]()
    told = []
    for options in (
        {"num_ctx": 512}, {"num_ctx": 512, "temperature": 1.0, "top_k": 3},
        {"num_ctx": 512, "num_batch": 64, "num_thread": 1}, {"num_ctx": 256},
    ):  # fmt: skip
        plan = Plan("one", suite, options=options)
        told.append((len(canaries), bench.measure(plan, engine=url, canaries=canaries).canary))
    assert [count for count, _ in told] == [0, 1, 1, 1] and len(canaries) == 2
    assert all(canary and canary["checks"] for _, canary in told)
    other = Plan("two", suite, options={"num_ctx": 512})
    bench.measure(other, engine=url, canaries=canaries)
    assert len(canaries) == 3, "other weights are probed"
