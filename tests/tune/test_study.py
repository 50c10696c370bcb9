"""A study of a real model: searched, confirmed on other questions, applied; limits and mishaps."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from bench_servers import engine_with
from tiny import write_tiny_llama
from tuned import begun, check_kept, here, run
from words import write_suite

from workbench import bench, tune
from workbench.engines import Engine
from workbench.errors import ModelNotFound, TrainingError, TuneError
from workbench.jobs import JobCancelled, JobContext, Report
from workbench.search import recorded
from workbench.space import Parameter, Space, key_of
from workbench.trial import questions


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("tune")
    models = {
        "one": write_tiny_llama(folder / "one.gguf", endless=True, context=2**31 - 1),
        "gone": write_tiny_llama(folder / "gone.gguf", seed=1, endless=True),
    }
    with engine_with(folder / "home", models) as url:
        yield url


@pytest.fixture
def suite(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OLLAMA_HOST", url)
    return write_suite(tmp_path)


SAMPLING = Space("mine", "Mine", "", (
    Parameter("temperature", "sampling", "float", 0.0, 1.0, step=0.25, default=0.5),
    Parameter("repeat_penalty", "sampling", "choice", choices=(1.0, 1.2), default=1.0),
))  # fmt: skip


def test_a_study_from_its_questions_to_a_model(suite: str, url: str) -> None:
    study = begun(suite, space=SAMPLING)
    assert study.state == "created" and tune.trials(study) == [] and tune.best(study) is None
    told = run(study)
    study = tune.find(study.id)
    trials = tune.trials(study)
    tried = [one for one in trials if one.state != "repeated"]
    assert study.state == "done" and told["best"] == study.result["best"] and study.ended_at
    assert len(tried) == 6 and len({key_of(one.point) for one in tried}) == 6
    assert trials[0].why == "default" and trials[0].point == study.space.default()
    assert {one.state for one in tried} <= {"done", "pruned"}
    for one in tried:
        assert one.measured is not None and one.values and one.measured.quality is not None
        assert one.values == (one.measured.quality.value,)
    asked = {a.question for one in tried if one.measured for a in one.measured.answers}
    assert asked == {one.key for one in questions(suite, seed=3, count=12)}
    front = tune.front(study)
    assert [one.number for one in front] == study.result["front"]
    rows = [row.user_attrs for row in recorded(study.id)]
    again = {row["told"]["repeats"] for row in rows if row["why"] == "twice"}
    drawn = {one.number for one in front if one.point["temperature"]}
    assert drawn <= again, "where chance had a part, the best was measured once more"
    if confirmed := study.result["confirmed"]:  # else no trial was above the default
        _check_confirmed(study, confirmed)
    other = next(one for one in trials if one.state == "done" and one.number)
    name = tune.apply(study, other)
    with Engine(url) as engine:
        lines = engine.show(name).parameters.split("\n")
    changed = {k: v for k, v in other.point.items() if trials[0].point.get(k) != v}
    assert name == "one:tuned"
    assert {line.split()[0]: float(line.split()[1]) for line in lines if line} == changed
    assert tune.find(study.id).result["applied"]["one:tuned"]["trial"] == other.number
    with pytest.raises(TrainingError, match="already"):
        tune.apply(study, other)
    with pytest.raises(TuneError, match="nothing to apply"):
        tune.apply(study, 0, replace=True)
    with pytest.raises(TuneError, match="is the model that was tuned"):
        tune.apply(study, other, "one", replace=True)


def _check_confirmed(study: tune.Study, confirmed: Any) -> None:
    """The runs stand in the Benchmarks room, and none of their counted questions was asked."""
    seen = {one.sample.prompt for one in questions(study.suite, seed=3, count=12)}
    assert confirmed["questions"] == 12 and len(confirmed["runs"]) == 2
    for id in confirmed["runs"].values():
        answers = bench.answers(bench.get_run(id))
        assert len([one for one in answers if one.about["prompt"] not in seen]) >= 12
    (row,) = confirmed["points"]
    assert row["difference"]["n"] == 12 and row["verdict"] in {"better", "worse", "undecided"}
    assert study.result["best"] == (row["trial"] if row["verdict"] == "better" else 0)


def test_two_objectives_and_a_second_study_that_asks_nothing_anew(suite: str) -> None:
    goals = ["maximize_quality", "minimize_latency"]
    study = begun(suite, space=SAMPLING, objectives=goals)
    run(study)
    study = tune.find(study.id)
    first = {key_of(one.point): one for one in tune.trials(study) if one.measured}
    assert all(one.measured and one.measured.latency for one in first.values())
    assert study.result["confirmed"] is None or all(
        [aim["name"] for aim in row["objectives"]] == goals and row["latency"]
        for row in study.result["confirmed"]["points"]
    )
    rows = {row.number: row.user_attrs for row in recorded(study.id)}
    again = [row["told"] for row in rows.values() if row["why"] == "twice"]
    twice = {row["repeats"]: row for row in again}
    assert {one.number for one in tune.front(study)} <= set(twice), "the front was measured again"
    told = {one.number: one.values for one in tune.trials(study)}
    assert set(told) == {n for n, row in rows.items() if row["why"] != "twice"}
    for number, row in twice.items():
        assert told[number] == tuple(row["values"]) != tuple(rows[number]["told"]["values"])
    copied = tune.copy(study, objectives="maximize_quality", strategy="grid_search", iterations=3)
    good = [one.point for one in tune.front(study) if one.number]
    assert copied.settings["first"] == good and copied.settings["samples"] == 12
    told = run(copied)
    assert told["answered_from_cache"] >= 12  # the default at least
    reasons = [one.why for one in tune.trials(copied)]
    assert reasons[: 1 + len(good)] == ["default", *["earlier"] * len(good)][:3]


def root_of(url: str) -> psutil.Process:
    """The engine's process."""
    port = int(url.rsplit(":", 1)[1])
    found = {
        one.pid for one in psutil.net_connections("tcp")
        if one.status == "LISTEN" and one.laddr.port == port and one.pid
    }  # fmt: skip
    return psutil.Process(found.pop())


def test_a_setting_that_crashes_the_engine_fails_and_the_study_goes_on(
    suite: str, url: str
) -> None:
    space = Space("big", "Big", "", (
        Parameter("num_ctx", "loading", "choice", choices=(512, 1024, 262144), default=512),
        Parameter("num_parallel", "loading", "choice", choices=(1, 64), default=1),
    ))  # fmt: skip
    study = begun(suite, space=space, strategy="grid_search", iterations=4, memory=120_000_000)
    crashed: list[int] = []  # the number of the trial
    root, crashing, over = root_of(url), threading.Event(), threading.Event()

    def crash() -> None:
        while not over.is_set():
            for child in root.children() if crashing.wait(0.05) else ():
                with suppress(psutil.Error):
                    child.kill()
            time.sleep(0.005)

    def look(report: Report) -> None:
        if report.message.endswith("is under way"):
            trial = tune.trials(study)[int(report.message.split()[1])]
            first = trial.point["num_ctx"] == 1024 and not crashed
            crashed.extend([trial.number] * first)
            (crashing.set if first else crashing.clear)()

    thread = threading.Thread(target=crash)
    thread.start()
    try:
        tune.run_study(JobContext("", here().folder, report=look), study.id)
    finally:
        over.set()
        thread.join()
    study, trials = tune.find(study.id), tune.trials(study)
    assert study.state == "done" and trials[0].state == "done"
    assert trials[crashed[0]].state == "failed" and "these settings" in trials[crashed[0]].why
    assert [one.state for one in trials].count("done") >= 2
    refused = [one for one in trials if "would take" in one.why]
    assert all(one.state == "failed" and one.measured is None for one in refused)
    assert len(trials) - len(refused) <= 4


def test_settings_that_change_nothing_are_refused(suite: str) -> None:
    with pytest.raises(TuneError, match="which temperature, repeat_penalty cannot change"):
        tune.create("one", "next_line", space=SAMPLING)


def test_the_model_vanishes_in_the_middle_and_comes_back(suite: str, url: str) -> None:
    study = tune.create("gone", suite, space=SAMPLING, samples=12, held_out=12, iterations=5)
    folder = here().folder
    with Engine(url) as engine:
        engine.copy("gone", "kept")

        def delete_it(report: Any) -> None:
            if report.metrics.get("step", 0) >= 2:
                with suppress(ModelNotFound):
                    engine.delete("gone")

        with pytest.raises((TuneError, ModelNotFound), match="gone"):
            tune.run_study(JobContext("", folder, report=delete_it), study.id)
        study = tune.find(study.id)
        before = [one for one in tune.trials(study) if one.state == "done"]
        assert study.state == "failed" and study.result["error"] and before
        with pytest.raises(TuneError, match="resume"):
            run(study)
        engine.copy("kept", "gone")
        run(study)
    study = tune.find(study.id)
    done = [one for one in tune.trials(study) if one.state in ("done", "pruned")]
    assert study.state == "done" and not study.result["error"]
    assert len(done) == 5
    check_kept(study, before)


def test_paused_extended_and_ended_early(suite: str) -> None:
    study = begun(suite, space=SAMPLING, iterations=8)
    folder = here().folder

    def until(step: int) -> JobContext:
        def look(report: Any) -> None:
            if report.metrics.get("step") == step:
                context._stop.set()

        context = JobContext("", folder, report=look)
        return context

    with pytest.raises(JobCancelled):
        tune.run_study(until(2), study.id)
    study = tune.find(study.id)
    before = tune.trials(study)
    assert study.state == "paused" and len([one for one in before if one.state == "done"]) >= 1
    study = tune.extend(study, iterations=2)
    assert study.settings["iterations"] == 10
    tune._submit.keep.note(study, result={"end": True})  # as `stop` does, without a job
    run(study)
    study = tune.find(study.id)
    assert study.state == "done" and len(tune.trials(study)) == len(before)
    study = tune.extend(study, iterations=1)
    assert study.state == "paused" and study.settings["iterations"] == 11
    tune.remove(study)
    with pytest.raises(TuneError, match="no study"):
        tune.find(study.id)


@pytest.mark.parametrize("wrong", [
    {"iterations": 0}, {"minutes": 0}, {"memory": 0}, {"samples": 0}, {"held_out": 0},
    {"iterations": True}, {"minutes": float("nan")}, {"seed": -1}, {"space": "generall"},
    {"strategy": "grid"}, {"objectives": "fastest"}, {"objectives": []}, {"space": "training"},
    {"strategy": "hyperband", "objectives": ["maximize_quality", "minimize_memory"]},
])  # fmt: skip
def test_what_cannot_be_searched_is_refused_with_words(suite: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(TuneError) as refused:
        begun(suite, **{"space": SAMPLING, **wrong})
    assert len(str(refused.value)) > 30
    assert tune.studies() == []


def test_a_suite_with_few_questions_is_shared_out(tmp_path: Path, suite: str) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    study = begun(write_suite(folder, 20), space=SAMPLING, samples=20, held_out=20)
    assert study.settings["samples"] == 10 and study.settings["held_out"] == 10
    assert "20 questions" in study.result["notes"][0]
    folder = tmp_path / "one"
    folder.mkdir()
    with pytest.raises(TuneError, match="none is left"):
        begun(write_suite(folder, 1), space=SAMPLING)
    with pytest.raises(ModelNotFound):
        tune.create("nobody", suite, space=SAMPLING)


def test_another_quantisation_is_measured_and_applied(suite: str, url: str) -> None:
    weights = Space("weights", "Weights", "", (
        Parameter("quantisation", "model", "choice", choices=("Q8_0", "F16")),
    ))  # fmt: skip
    study = begun(
        suite, space=weights, strategy="grid_search", iterations=3,
        objectives=["maximize_quality", "minimize_memory"],
    )  # fmt: skip
    run(study)
    done = {one.point.get("quantisation"): one for one in tune.trials(study) if one.measured}
    assert set(done) == {None, "Q8_0", "F16"}
    name = tune.apply(study, done["Q8_0"], "small:tuned")
    with Engine(url) as engine:
        assert engine.show(name).quantization == "Q8_0" != engine.show("one").quantization
        assert not [one.name for one in engine.models() if "in-the-making" in one.name]
