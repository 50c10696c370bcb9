"""Runs: real models of a real engine are asked real tasks; nothing is lost, nothing asked twice."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_servers import engine_with
from tiny import write_tiny_llama

from workbench import bench
from workbench.bench import Plan
from workbench.errors import BenchError, ModelNotFound, TaskError
from workbench.jobs import JobCancelled, JobContext, Report

WORDS = """
name: words
title: Words that go on
mode: complete
samples:
{samples}
scorers: [includes, exact]
options: {{num_predict: 6}}
"""
NEXT = """
name: next
title: What comes next
mode: choice
samples:
  - {id: a, prompt: "for i in range(10):\\n", choices: ["    print(i)\\n", "xxqz\\n"], target: 0}
  - {id: b, prompt: "import", choices: [" zzqqk", " os\\n", " ))((\\n"], target: 1}
"""
TEXT = """
name: text
title: Python text
mode: perplexity
samples:
  - {id: a, prompt: "", target: "def read(path):\\n    return open(path).read()\\n"}
  - {id: b, prompt: "x = 1\\n", target: "y = 2\\n"}
"""
TALK = """
name: talk
title: Talk
mode: chat
samples:
  - {id: a, prompt: "Say something.", target: "e"}
scorers: [includes]
options: {num_predict: 8}
"""
SUITE = """
name: mine
title: My suite
tasks: [words.yaml, {task: next.yaml, weight: 2}, text.yaml, talk.yaml]
"""
COUNT = 6  # of words' samples


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, tiny_embedding_gguf: Path) -> Iterator[str]:
    """An engine with two models, one without a template, and one that writes no text."""
    folder = tmp_path_factory.mktemp("runs")
    models = {
        "one": write_tiny_llama(folder / "one.gguf", endless=True),
        "two": write_tiny_llama(folder / "two.gguf", seed=1, endless=True),
        "bare": write_tiny_llama(folder / "bare.gguf", endless=True, chat_template=None),
        "embed": tiny_embedding_gguf,
    }
    with engine_with(folder / "home", models) as url:
        yield url


@pytest.fixture
def suite(tmp_path: Path) -> str:
    """The file of a suite with a task of every mode that a tiny model has."""
    samples = "\n".join(
        f'  - {{id: s{n}, prompt: "def f{n}(x):", target: "e", group: "g{n // 2}"}}'
        for n in range(COUNT)
    )
    texts = {"words": WORDS.format(samples=samples), "next": NEXT, "text": TEXT, "talk": TALK}
    for name, text in (texts | {"all": SUITE}).items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return str(tmp_path / "all.yaml")


class Told(JobContext):
    """A job's context that remembers what it was told, and is cancelled after some answers."""

    def __init__(self, folder: Path, stop_after: int = 10**9, id: str = "job") -> None:
        self.reports: list[Report] = []
        super().__init__(id, folder, report=self.reports.append)
        self.stop_after = stop_after

    def check_cancelled(self) -> None:
        if sum("answers" in report.message for report in self.reports) >= self.stop_after:
            raise JobCancelled


def test_a_run_keeps_everything(url: str, suite: str, tmp_path: Path) -> None:
    told = Told(tmp_path)
    run = bench.measure(Plan("one", suite, options={"num_ctx": 256}), engine=url, context=told)
    assert run.state == "done" and run.error is None and run.ended_at is not None
    assert run.suite == "mine" and len(run.digest) == 64
    assert run.facts["engine"] == "embedded" and run.facts["context"] == 256
    assert run.facts["memory"]["peak"] > 1e7
    assert run.facts["machine"]["logical_cores"] >= 1
    assert {task["name"]: task["how"] for task in run.tasks} == {
        "words": "asked", "next": "likelihood", "text": "likelihood", "talk": "asked"
    }  # fmt: skip
    answers = bench.answers(run)
    assert len(answers) == COUNT + 2 + 2 + 1
    words = [answer for answer in answers if answer.task == "words"]
    assert [answer.sample for answer in words] == [f"s{n}" for n in range(COUNT)]
    for answer in words:
        assert answer.figures["tokens"] == 6 and answer.figures["done_reason"] == "length"
        assert answer.value == float("e" in answer.output)
        assert answer.scores["exact"]["value"] == 0.0
        assert 0 < answer.figures["first_token"] <= answer.figures["seconds"]
    choices = [answer for answer in answers if answer.task == "next"]
    for answer in choices:
        sums = answer.figures["logprobs"]
        assert all(value < 0 for value in sums)
        assert answer.value == float(sums.index(max(sums)) == answer.about["target"])
        assert 0 < answer.scores["choice"]["parts"]["probability"] < 1
    text = [answer for answer in answers if answer.task == "text"]
    for answer in text:
        assert answer.value is not None and 0 < answer.value < 1
        parts = answer.scores["likelihood"]["parts"]
        assert answer.value == pytest.approx(2 ** -parts["bits_per_byte"])
    assert told.reports[-1].fraction is not None
    assert any("answers" in report.message for report in told.reports)


def test_only_some_samples_are_asked(url: str, suite: str) -> None:
    whole = bench.measure(Plan("one", suite, seed=1), engine=url)
    wanted = ("words/s1", "words/s4", "next/a", "text/b", "talk/a")
    some = bench.measure(Plan("one", suite, seed=1, only=wanted), engine=url)
    assert {f"{one.task}/{one.sample}" for one in bench.answers(some)} == set(wanted)
    assert [task["count"] for task in some.tasks] == [2, 1, 1, 1]
    values = {(one.task, one.sample): one.value for one in bench.answers(whole)}
    likely = [one for one in bench.answers(some) if one.how == "likelihood"]
    assert len(likely) == 2
    for one in likely:  # what is written may turn at a near tie, beside other requests
        assert values[one.task, one.sample] == pytest.approx(one.value, abs=1e-3), one.sample
    assert bench.rescore(some, engine=url).plan["only"] == list(wanted)
    other = bench.measure(Plan("two", suite, seed=1, only=wanted), engine=url)
    compared = bench.compare([other.id, some.id]).pairs[0].overall
    assert compared is not None and compared.n == len(wanted)


def test_results_have_intervals_and_weights(url: str, suite: str) -> None:
    found = bench.result(bench.measure(Plan("one", suite), engine=url))
    by_name = {task.task: task for task in found.tasks}
    assert by_name["words"].score is not None and by_name["words"].score.n == COUNT
    assert by_name["next"].weight == 2.0 and by_name["next"].metric == "choice"
    assert by_name["text"].parts["bits_per_byte"] > 1
    assert found.score is not None and found.score.value is not None
    means = [(task.score.value, task.weight) for task in found.tasks if task.score]
    expected = sum(value * weight for value, weight in means if value is not None) / 5
    assert found.score.value == pytest.approx(expected)
    assert found.score.low < found.score.value < found.score.high
    assert found.memory and found.quality_per_gb


def test_a_killed_run_goes_on_without_repeating(url: str, suite: str, tmp_path: Path) -> None:
    matrix = {"models": ["one"], "suites": [suite], "engine": url}
    with pytest.raises(JobCancelled):
        bench.run_matrix(Told(tmp_path, stop_after=3), **matrix)
    (stopped,) = bench.runs()
    assert stopped.state == "stopped"
    before = {(a.task, a.sample): a.output for a in bench.answers(stopped)}
    assert 3 <= len(before) < COUNT + 5
    told = Told(tmp_path)
    done = bench.run_matrix(told, **matrix)
    assert done == {"runs": [stopped.id], "failed": []}
    after = {(a.task, a.sample): a.output for a in bench.answers(stopped.id)}
    assert len(after) == COUNT + 5 and before.items() <= after.items()
    asked = sum("answers" in report.message for report in told.reports)
    assert asked == len(after) - len(before)
    again = Told(tmp_path)
    assert bench.run_matrix(again, **matrix)["runs"] == [stopped.id]
    assert not any("answers" in report.message for report in again.reports)


def test_a_matrix_goes_on_past_what_cannot_be_measured(
    url: str, suite: str, tmp_path: Path
) -> None:
    settings = [{"num_ctx": 256}, {"num_ctx": 512}]
    found = bench.run_matrix(
        Told(tmp_path), ["absent", "one", "embed"], [suite], settings, engine=url, limit=1
    )
    assert len(found["runs"]) == 2
    reasons = {one["model"]: one["reason"] for one in found["failed"]}
    assert "workbench models pull absent" in reasons["absent"]
    assert "writes no text" in reasons["embed"]
    labels = {bench.get_run(id).label for id in found["runs"]}
    assert labels == {"one (num_ctx 256)", "one (num_ctx 512)"}


def test_a_model_without_a_template_is_labelled(url: str, suite: str) -> None:
    run = bench.measure(Plan("bare", suite, limit=1), engine=url)
    how = {task["name"]: task["how"] for task in run.tasks}
    assert how["talk"] == "generative" and how["words"] == "asked"
    (talk,) = bench.answers(run, "talk")
    assert talk.output and talk.how == "generative"


def test_scoring_again_asks_nobody(url: str, suite: str, tmp_path: Path) -> None:
    run = bench.measure(Plan("one", suite), engine=url)
    before = bench.result(run)
    task = tmp_path / "words.yaml"
    task.write_text(task.read_text("utf-8").replace("[includes, exact]", "[exact]"), "utf-8")
    again = bench.rescore(run)
    scores = {a.sample: a.scores for a in bench.answers(again, "words")}
    assert all(set(found) == {"exact"} for found in scores.values())
    assert {a.output for a in bench.answers(again)} == {a.output for a in bench.answers(run)}
    assert before.score is not None and bench.result(again).score is not None


def test_plans_that_cannot_be(suite: str) -> None:
    with pytest.raises(BenchError, match="at least one model"):
        bench.submit_matrix([], [suite])
    with pytest.raises(BenchError, match="1 or more"):
        bench.submit_matrix(["one"], [suite], limit=0)
    with pytest.raises(BenchError, match="Did you mean limit"):
        bench.submit_matrix(["one"], [suite], limt=3)
    with pytest.raises(TaskError):
        bench.submit_matrix(["one"], ["no-such-suite"])
    with pytest.raises(BenchError, match="no run"):
        bench.get_run("nothing")


def test_no_such_model(url: str, suite: str) -> None:
    with pytest.raises(ModelNotFound, match="models pull absent"):
        bench.measure(Plan("absent", suite), engine=url)
    assert bench.runs() == []


def test_two_runs_of_one_name_are_two(url: str, suite: str) -> None:
    ids = {bench.measure(Plan("one", suite, limit=1, name="same"), engine=url).id for _ in range(2)}
    assert len(ids) == 2
    assert bench.get_run("same").id == bench.runs()[0].id


def test_hostile_answers_are_kept(url: str, suite: str) -> None:
    """What a random model writes has lone bytes; what the store cannot hold is replaced."""
    from workbench.store import clean

    assert clean({"a\x00": ["\ud800", float("nan"), 1]}) == {"a␀": ["?", None, 1]}
    run = bench.measure(Plan("two", suite), engine=url)
    for answer in bench.answers(run):
        json.dumps(answer.output, ensure_ascii=False).encode()


def test_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch, url: str, suite: str) -> None:
    monkeypatch.setattr("workbench.bench._ask.LONGEST", 5)
    run = bench.measure(Plan("one", suite), engine=url)
    outputs = [a for a in bench.answers(run) if a.task == "words"]
    assert outputs and all(len(answer.output) <= 5 for answer in outputs)
    assert {a.figures["done_reason"] for a in outputs} <= {"cut", "length"}


def test_greedy_answers_are_the_same_twice(url: str, suite: str) -> None:
    texts = []
    for _ in range(2):
        run = bench.measure(Plan("one", suite, parallel=1), engine=url)
        texts.append([a.output for a in bench.answers(run)])
    assert texts[0] == texts[1]


async def test_measured_from_a_notebook(url: str, suite: str) -> None:
    """Where a loop runs already, as in a notebook's cell."""
    run = bench.measure(Plan("one", suite, limit=1), engine=url)
    assert run.state == "done" and bench.rescore(run).state == "done"


def test_delete(url: str, suite: str) -> None:
    run = bench.measure(Plan("one", suite, limit=1), engine=url)
    assert bench.delete_runs([run.id]) == 1
    assert bench.runs() == []
    with pytest.raises(BenchError):
        bench.answers(run.id)


def test_sampling_is_seeded(url: str, suite: str) -> None:
    """At a temperature each sample has a draw of its own, the same in every run."""
    from workbench.bench._ask import options_of
    from workbench.tasks import load_suite

    words = load_suite(suite).tasks[0]
    first, second = words.samples(2)
    plan = Plan("one", suite, options={"temperature": 0.9})
    seeds = [options_of(words, sample, plan, None)["seed"] for sample in (first, second, first)]
    assert seeds[0] == seeds[2] != seeds[1]
    assert "seed" not in options_of(words, first, Plan("one", suite), None)


def test_what_prompts_share_is_read_once_where_that_is_quicker(suite: str) -> None:
    """A thousand shared tokens and short answers: one slot. Long answers: all of them."""
    from workbench.bench._ask import reads_once
    from workbench.tasks import load_suite

    words = load_suite(suite).tasks[0]
    samples = words.samples()
    shots = tuple((f"question {n} " * 20, "answer") for n in range(20))
    assert not reads_once(words, samples, 4)
    assert reads_once(replace(words, shots=shots), samples, 4)
    assert not reads_once(replace(words, shots=shots), samples, 1)
    assert not reads_once(replace(words, shots=shots, options={"num_predict": 900}), samples, 4)


def test_an_engine_that_dies_in_the_middle(
    tmp_path_factory: pytest.TempPathFactory, suite: str, tmp_path: Path
) -> None:
    """The run fails with clear words, keeps what it has, and goes on with another engine."""
    folder = tmp_path_factory.mktemp("dying")
    models = {"one": write_tiny_llama(folder / "one.gguf", endless=True)}

    class Killing(Told):
        kill: Any = None

        def check_cancelled(self) -> None:
            if sum("answers" in r.message for r in self.reports) >= 2 and self.kill:
                self.kill()
                self.kill = None

    matrix = {"models": ["one"], "suites": [suite], "parallel": 1}
    from workbench.bench import _cell

    patience, _cell._PATIENCE = _cell._PATIENCE, 2
    try:
        with engine_with(folder / "home", models) as url:
            context = Killing(tmp_path)
            context.kill = lambda: _kill_engine(url)
            with pytest.raises(Exception, match=r"engine|Nothing answers|closed"):
                bench.run_matrix(context, engine=url, **matrix)
        (run,) = bench.runs()
        assert run.state == "failed" and run.error
        assert 2 <= len(bench.answers(run)) < sum(task["count"] for task in run.tasks)
    finally:
        _cell._PATIENCE = patience


def _kill_engine(url: str) -> None:
    import psutil

    port = int(url.rpartition(":")[2])
    for process in psutil.process_iter():
        try:
            if any(c.laddr and c.laddr.port == port and c.status == "LISTEN"
                   for c in process.net_connections("tcp")):  # fmt: skip
                process.kill()
        except psutil.Error:
            continue
    time.sleep(0.5)
