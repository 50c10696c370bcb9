"""The confirmation: new questions, runs that can be seen, and little that is asked twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tuned import SPACE, begun, here, run
from words import write_suite

from workbench import bench, tune
from workbench.meter import Canary
from workbench.search import objectives
from workbench.space import Parameter, Space
from workbench.trial import questions
from workbench.tune._confirm import Confirmation, _aim
from workbench.tune._trials import spread

COUNT, ALONE = 12, 8
GREEDY = Space("greedy", "Greedy", "", (
    Parameter("temperature", "sampling", "choice", choices=(0.0, 0.9), default=0.0),
    Parameter("num_batch", "loading", "choice", choices=(64, 512), default=512),
))  # fmt: skip
GOALS = ["maximize_quality", "minimize_latency"]


@pytest.fixture
def suite(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OLLAMA_HOST", url)
    return write_suite(tmp_path)


def searched(suite: str, space: Space) -> tuple[tune.Study, tune.Trial]:
    """A study with its default alone, and that trial."""
    study = begun(suite, space=space, objectives=GOALS, iterations=1)
    run(study)
    return tune.find(study.id), tune.trials(study)[0]


def confirmed(
    study: tune.Study, default: tune.Trial, points: dict[int, dict[str, Any]], *,
    runs: dict[str, str] | None = None, canaries: dict[str, Canary] | None = None,
) -> tuple[dict[str, Any], list[dict[str, str]]]:  # fmt: skip
    """What is told, and the runs as they were noted."""
    asked = questions(suite := study.suite, seed=3, count=COUNT)
    assert suite and len(asked) == COUNT
    noted: list[dict[str, str]] = []
    canaries = {} if canaries is None else canaries
    made = Confirmation(here(), study, objectives(GOALS), asked, canaries)
    told = made.of(points, default, {"runs": runs or {}}, lambda runs: noted.append({**runs}))
    return dict(told), noted


def test_answers_that_points_share_are_asked_once(suite: str) -> None:
    study, default = searched(suite, GREEDY)
    canaries: dict[str, Canary] = {}
    points = {1: {"temperature": 0.0, "num_batch": 64}, 2: {"temperature": 0.9, "num_batch": 64}}
    told, noted = confirmed(study, default, points, canaries=canaries)
    assert len(canaries) == 1, "how the model is served was probed once"
    assert [len(runs) for runs in noted] == [1, 2, 3] and noted[-1] == told["runs"]
    seen = {one.sample.prompt for one in questions(suite, seed=3, count=COUNT)}
    answers = {}
    for number, id in told["runs"].items():
        kept = bench.get_run(id)
        answers[number] = bench.answers(kept)
        assert kept.state == "done" and kept.canary and len(answers[number]) == COUNT
        assert not {one.about["prompt"] for one in answers[number]} & seen
        assert all(one.output and one.scores for one in answers[number])
        assert kept.plan["options"] == {**default.point, **points.get(int(number), {})}
    texts = {number: [one.output for one in found] for number, found in answers.items()}
    assert texts["0"] == texts["1"] != texts["2"]
    timed = {n: sum("seconds" in one.figures for one in found) for n, found in answers.items()}
    assert set(timed.values()) == {ALONE}, "of the questions that tell speed"
    same, other = told["points"]
    assert same["difference"]["value"] == 0.0 and same["difference"]["n"] == COUNT
    assert next(aim["verdict"] for aim in same["objectives"]) == "undecided"
    for row in (told["default"], same, other):
        values = [one.value for one in answers[str(row["trial"])]]
        assert row["quality"] == pytest.approx(sum(value or 0 for value in values) / COUNT)
        assert row["latency"] > 0


def test_a_run_that_was_made_before_stays(suite: str) -> None:
    study, default = searched(suite, GREEDY)
    points = {1: {"temperature": 0.9, "num_batch": 512}}
    first, _ = confirmed(study, default, points)
    kept = {"1": first["runs"]["1"], "0": "gone"}
    second, _ = confirmed(study, default, points, runs=kept)
    assert second["runs"]["1"] == kept["1"]
    assert second["runs"]["0"] not in ("gone", first["runs"]["0"])
    assert second["points"][0]["quality"] == first["points"][0]["quality"]


def test_settings_that_no_run_can_say(suite: str) -> None:
    study, default = searched(suite, SPACE)
    told, noted = confirmed(study, default, {4: {**default.point, "system": "Be brief."}})
    assert noted == [] and told["runs"] == {} and told["default"]["run"] == ""
    [row] = told["points"]
    assert row["difference"]["n"] == COUNT and row["latency"] and row["run"] == ""


@pytest.mark.parametrize(
    ("formula", "verdict"),
    [
        ("minimize latency", "better"),
        ("maximize latency", "worse"),
        ("maximize -latency", "better"),
        ("maximize quality - 0.01 * latency", "undecided"),
        ("maximize quality - latency", "better"),
        ("maximize throughput", "undecided"),
        ("minimize throughput", "undecided"),
        ("minimize throughput * latency", "better"),
        ("maximize throughput / latency", "better"),
        ("minimize memory", "worse"),
    ],
)
def test_a_verdict_follows_the_formula_at_all_ends(formula: str, verdict: str) -> None:
    """Half the seconds (0.4 to 0.6), as good, as quick within its error, a tenth more memory."""
    default = {"quality": 0.5, "latency": 1.0, "throughput": 20.0, "memory": 1e9}
    mine = {"quality": 0.5, "latency": 0.5, "throughput": 20.0, "memory": 1.1e9}
    ends = {
        "quality": (0.45, 0.55), "latency": (0.4, 0.6), "throughput": (18.0, 22.0),
        "memory": (1.1e9 * 0.98, 1.1e9 * 1.02),
    }  # fmt: skip
    [goal] = objectives(formula)
    aim = _aim(goal, mine, ends, default)
    assert aim["verdict"] == verdict
    assert aim["low"] < aim["value"] < aim["high"]


def test_what_was_not_measured_has_no_verdict() -> None:
    [goal] = objectives("maximize throughput / latency")
    aim = _aim(goal, {"throughput": None, "latency": 1.0}, {}, {"throughput": 1.0, "latency": 1.0})
    assert aim["verdict"] == "undecided" and "throughput was not measured" in aim["words"]


def test_of_a_long_front_both_ends_and_what_lies_between() -> None:
    assert spread([*range(4)], 5) == [0, 1, 2, 3]
    assert spread([*range(9)], 5) == [0, 2, 4, 6, 8]
    assert spread([*range(12)], 5) == [0, 3, 6, 8, 11]
    assert spread([], 5) == []
