"""What was measured here reaches the cards, the performance score, and recommendations."""

from __future__ import annotations

from pathlib import Path

from bench_servers import engine_with
from kept_runs import kept_run

from workbench import bench
from workbench.bench import Plan
from workbench.catalogue import gather, performance_score
from workbench.engines import Engine

SUITE = """
name: words
title: Words
mode: complete
samples:
  - {id: a, prompt: "def f(x):", target: "e"}
  - {id: b, prompt: "class A:", target: "s"}
scorers: [includes]
options: {num_predict: 8}
"""


def test_a_measured_model_has_an_own_score(tmp_path: Path, tiny_gguf: Path) -> None:
    task = tmp_path / "words.yaml"
    task.write_text(SUITE, encoding="utf-8")
    with engine_with(tmp_path / "engine", {"tiny": tiny_gguf}) as url, Engine(url) as engine:
        before = next(card for card in gather(engine) if card.installed == "tiny:latest")
        assert not [score for score in before.scores if score.own]
        assert performance_score(before) is None
        run = bench.measure(Plan("tiny", str(task)), engine=url)
        card = next(card for card in gather(engine) if card.installed == "tiny:latest")
    own = {score.metric: score for score in card.scores if score.own}
    found = bench.result(run).score
    assert found is not None and found.value is not None
    assert own["Workbench words"].value == round(found.value * 100, 2)
    assert run.id in own["Workbench words"].source and "2 samples" in own["Workbench words"].source
    score = performance_score(card)
    assert score is not None and score.own
    assert "own result" in score.basis


def test_a_score_belongs_to_a_version() -> None:
    """Another version of the same name has none, and two settings are two scores."""
    kept_run("m", {"t": [1.0, 0.0]})
    kept_run("m", {"t": [1.0, 1.0]}, options={"temperature": 0.5})
    found = [one for one in bench.summaries() if one.metric == "Workbench mine"]
    assert {one.digest for one in found} == {"m-digest"}
    assert {one.setting.partition("seed 0")[2] for one in found} == {"", ", temperature 0.5"}
    assert len({one.setting.partition(",")[0] for one in found}) == 1  # the same questions


def test_advice_prefers_own_results() -> None:
    from workbench.advice import find_task
    from workbench.cards import Card, Score
    from workbench.catalogue import Standings

    own = Score("Workbench code", 80.0, "questions 12345678, seed 0", "measured here", own=True)
    published = Score("HumanEval+", 20.0, "EvalPlus", "a leaderboard")
    card = Card("m", scores=(published, own), parameters=10**9)
    found = Standings([card]).score(card, find_task("code_generation").metrics)
    assert found is not None and found.own and found.metric == "Workbench code"
    assert found.value == 0.8
