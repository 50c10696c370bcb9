"""What a report says of trials made by hand: it tells what is there, and admits the rest."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from workbench.errors import TuneError
from workbench.findings._export import csv_text, exported, html_text, markdown_text
from workbench.findings._importance import importance
from workbench.findings._plots import PLOTS, drawn
from workbench.findings._records import Study, Trial
from workbench.findings._report import Report, gathered, pick
from workbench.findings._words import changes, effects, label, sentences
from workbench.search import objective
from workbench.space import Parameter, Space
from workbench.statistics import Interval, mean
from workbench.trial import Answered, Measured

HOSTILE = '<script>alert(1)</script>\n=cmd|\' /C calc\'!A0 """ *x*'
PARAMETERS = (
    Parameter("temperature", "sampling", "float", 0.0, 1.2, default=0.8),
    Parameter("top_k", "sampling", "int", 10, 100, step=10, default=40),
    Parameter("num_batch", "loading", "choice", choices=(128, 256, 512), default=512),
)
SPACE = Space("mine", "Mine", "", PARAMETERS, ())


def answers(right: int, count: int = 60, seconds: float = 1.0) -> tuple[Answered, ...]:
    """`right` of `count` questions answered well, always the first ones; some chance in seconds."""
    chance = random.Random(right)
    return tuple(
        Answered(f"q{n}", "words", float(n < right), seconds * (1 + n % 4) * chance.gauss(1, 0.02),
                 0.02, 9, 9, 0.08, None, False, group=f"q{n}")
        for n in range(count)
    )  # fmt: skip


def measured(
    point: dict[str, Any], right: int, seconds: float = 1.0, memory: int = 10**9, count: int = 60
) -> Measured:
    told = answers(right, count, seconds)
    arm = 0.02 * seconds
    return Measured(
        point, told, mean([one.value or 0.0 for one in told]),
        Interval(seconds, seconds - arm, seconds + arm, 8, "t"), 20 / seconds, memory, 0.5,
        count, 0, (), tuple(one.question for one in told[:8]),
    )  # fmt: skip


def trial(number: int, point: dict[str, Any], right: int, **more: Any) -> Trial:
    state = more.pop("state", "done")
    found = measured(point, right, **more)
    assert found.quality and found.quality.value is not None and found.latency
    values = (found.quality.value, found.latency.value or 0)
    return Trial(number, state, point, found, values, 2.0, "" if number else "default")


def study(**changes: Any) -> Study:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    values: dict[str, Any] = {
        "id": "ab12cd", "number": 1, "name": "first", "model": "tiny:latest", "digest": "f" * 64,
        "suite": "words", "space": SPACE, "strategy": "random_search",
        "objectives": ("maximize_quality", "minimize_latency"),
        "settings": {"seed": 0, "samples": 60}, "state": "done", "jobs": (), "result": {},
        "created_at": now, "ended_at": now,
    }  # fmt: skip
    return Study(**values | changes)


def searched(count: int, right: Callable[[dict[str, Any], random.Random], int]) -> list[Trial]:
    """Random points; the default is the first. A small batch takes 1.5 times as long."""
    draw = random.Random(3)
    points = [{"temperature": 0.8, "top_k": 40, "num_batch": 512}]
    points += [
        {"temperature": round(draw.uniform(0, 1.2), 2), "top_k": 10 * draw.randint(1, 10),
         "num_batch": draw.choice((128, 256, 512))} for _ in range(count - 1)
    ]  # fmt: skip
    return [
        trial(n, point, right(point, draw), memory=10**9 + point["num_batch"] * 10**5,
              seconds=(1.5 if point["num_batch"] == 128 else 1.0) * draw.uniform(0.97, 1.03))
        for n, point in enumerate(points)
    ]  # fmt: skip


def cooler_is_better(point: dict[str, Any], draw: random.Random) -> int:
    return round(42 - 14 * point["temperature"]) + draw.randint(-2, 2)


def luck(point: dict[str, Any], _: random.Random) -> int:
    """By chance; of twenty such draws, one would be told to mean something, by design."""
    return 30 + random.Random(repr(point)).randint(-4, 4)


def told(trials: Sequence[Trial], method: Any = None, **changes: Any) -> Report:
    of = study(**changes)
    if len(of.objectives) == 1:
        trials = [Trial(t.number, t.state, t.point, t.measured, t.values[:1], t.seconds, t.why)
                  for t in trials if t.values]  # fmt: skip
    ranked = sorted(trials, key=lambda t: -(t.values or (0,))[0])
    front, fastest = [], float("inf")
    for one in ranked:
        seconds = one.measured.latency.value if one.measured and one.measured.latency else 0
        if seconds is not None and seconds < fastest:
            front.append(one)
            fastest = seconds
    return gathered(of, trials, ranked[0], front, method)


@pytest.mark.parametrize(
    ("right", "expected"), [(cooler_is_better, {"temperature"}), (luck, set())]
)
def test_what_matters_is_told_from_chance(right: Any, expected: set[str]) -> None:
    trials = searched(30, right)
    values = [one.values[0] for one in trials if one.values]
    aim = objective("maximize_quality")
    found = importance(aim, [t.point for t in trials], values, PARAMETERS)
    assert {row.parameter for row in found.rows if row.told} == expected
    assert bool(found.why) == (not expected)
    assert sum(row.share for row in found.rows) == pytest.approx(1)
    assert all(0 <= row.low <= row.share <= row.high <= 1 for row in found.rows)


def test_importance_admits_what_it_cannot_tell() -> None:
    aim = objective("maximize_quality")
    points = [one.point for one in searched(19, luck)]
    few = importance(aim, points, list(range(19)), PARAMETERS)
    assert not few.rows and "19 measured trials are too few" in few.why and "20" in few.why
    assert "one value" in importance(aim, [*points, points[1]], [1.0] * 20, PARAMETERS).why
    assert "No parameter" in importance(aim, [{"top_k": 3}] * 20, list(range(20)), PARAMETERS).why
    with pytest.raises(TuneError, match="ped-anova or fanova"):
        importance(aim, points, [1.0] * 19, PARAMETERS, method="shap")  # type: ignore[arg-type]


def test_importance_of_conditional_and_odd_values() -> None:
    """A parameter that does not always apply, a value outside the range, and one left open."""
    trials = searched(40, cooler_is_better)
    points = [
        {**t.point, "num_batch": None} if t.number % 9 == 0 else dict(t.point) for t in trials
    ]
    for n, point in enumerate(points):
        if point["temperature"] < 0.5:
            del point["top_k"]
        point["temperature"] = 7.0 if n == 5 else point["temperature"]
    values = [one.values[0] for one in trials if one.values]
    for method in ("ped-anova", "fanova"):
        found = importance(objective("quality"), points, values, PARAMETERS, method=method)
        assert found.rows and found.rows[0].parameter in ("temperature", "top_k")
        assert found.trials == (40 if method == "ped-anova" else 35)
        assert {row.parameter for row in found.rows} >= {"temperature", "num_batch"}


def test_a_point_against_the_default() -> None:
    default = measured({}, 30)
    better = measured({}, 45, seconds=1.3, memory=1_200_000_000)
    found = {one.metric: one for one in changes(default, better)}
    assert found["quality"].change == pytest.approx(0.25) and found["quality"].verdict == "better"
    assert found["latency"].verdict == "worse" and found["latency"].change == pytest.approx(
        1.3, abs=0.03
    )
    assert found["latency"].low and 1.2 < found["latency"].low < 1.3
    assert (found["memory"].verdict, found["memory"].low) == ("once", None)
    same = {one.metric: one.verdict for one in changes(default, measured({}, 31, seconds=1.01))}
    assert (same["quality"], same["latency"]) == ("undecided", "undecided")
    assert changes(None, better) == () and changes(default, None) == ()


def test_choices_are_told_apart_from_each_other() -> None:
    """A small batch is slow, a cool temperature good; both vary at once in every trial."""
    trials = searched(40, cooler_is_better)
    found, why = effects(PARAMETERS, trials, trials[0].measured)
    known = {(one.parameter, one.level, one.metric): one for one in found}
    slow = known["num_batch", "128", "latency"]
    assert (slow.verdict, slow.reference) == ("worse", "512")
    assert slow.low and slow.high and slow.low < 1.5 < slow.high
    cool = known["temperature", "0 to 0.4", "quality"]
    assert cool.verdict == "better" and cool.reference == "0.8 to 1.2"
    assert cool.low and cool.high and cool.low < 14 * 0.8 / 60 < cool.high
    wrong = [one for one in found if one.verdict != "undecided" and one.parameter == "top_k"]
    assert not wrong and not why
    words = sentences(found, why)
    assert any(re.match(r"num_batch 128 instead of 512: takes 1\.\d\d × as long", w) for w in words)
    assert words[-1] == "No cost or gain can be told from chance for top_k."


def test_choices_without_enough_trials() -> None:
    trials = searched(8, cooler_is_better)
    found, why = effects(PARAMETERS, trials, trials[0].measured)
    assert not found and "8 trials are too few" in why
    assert "default was not measured" in effects(PARAMETERS, trials, None)[1]
    assert effects(PARAMETERS, trials[:1], trials[0].measured) == ((), "")


def test_trials_that_ended_early_count_on_their_questions() -> None:
    """Half the questions, the easy half: their plain score would be high, the paired one is not."""
    trials = searched(40, cooler_is_better)
    cut = [
        t if t.number % 3 else trial(t.number, dict(t.point), min(20, r), count=20, state="pruned")
        for t in trials if (r := sum(a.value == 1 for a in t.measured.answers) if t.measured else 0)
    ]  # fmt: skip
    cut[0] = trials[0]
    found, _ = effects(PARAMETERS, cut, trials[0].measured)
    hot = [o for o in found if o.metric == "quality" and o.verdict == "worse"]
    assert not [o for o in hot if o.parameter == "top_k"]


def test_the_pick_gives_up_least() -> None:
    aims = [
        objective("maximize_quality"),
        objective("minimize_latency"),
        objective("minimize_memory"),
    ]
    corners = [(0.9, 10.0, 8.0), (0.5, 1.0, 8.0), (0.4, 9.0, 1.0), (0.7, 4.0, 4.0)]
    front = [Trial(n, "done", {}, measured({}, round(60 * v[0])), v, 1.0)
             for n, v in enumerate(corners)]  # fmt: skip
    found = pick(front, aims)
    assert found and found.trial == 3 and "3 is the even choice" in found.why
    assert "40% in quality" in found.why and "Against trial 0" in found.why
    alone = pick(front[:1], aims)
    assert alone and "alone on the front" in alone.why
    assert pick([], aims) is None


def test_report_as_a_whole() -> None:
    trials = [*searched(40, cooler_is_better), Trial(40, "failed", {}, None, None, 1.0, "crashed"),
              Trial(41, "running", {}, None, None, 0.0)]  # fmt: skip
    found = told([t for t in trials if t.measured], "ped-anova")
    assert drawn(found, "importance").data[0].y[0] == "temperature"
    assert found.default and found.default.number == 0 and found.best
    assert [step.trial for step in found.convergence] == list(range(40))
    volumes = [step.volume or 0 for step in found.convergence]
    assert volumes == sorted(volumes) and 0.5 < volumes[-1] <= 1
    best = [step.best[0] for step in found.convergence]
    assert best == sorted(best) and best[-1] == max(t.values[0] for t in trials if t.values)
    assert found.tradeoffs[0].label == "default" and found.tradeoffs[1].changes
    assert "not confirmed" in found.words[0]
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["importance"][0]["rows"] and plain["efficiency"]["asked"] == 40 * 60
    concluded = told(trials[:3], result={"words": "No better than the default."})
    assert concluded.words[0] == "No better than the default."
    assert not concluded.importance


def test_report_before_anything_was_measured() -> None:
    empty = gathered(study(), [], None, [])
    failed = gathered(study(), [Trial(0, "failed", {}, None, None, 1.0, "crashed")], None, [])
    for found in (empty, failed):
        assert "No point can be called best yet." in found.words
        assert not found.tradeoffs and found.pick is None
        for kind in PLOTS:
            assert drawn(found, kind).layout.title.subtitle.text
        assert "<h2>" in html_text(found, plots=()) and "| Point |" in markdown_text(found)
        json.dumps(found.to_json(), allow_nan=False)


def test_pictures() -> None:
    found = told([*searched(24, cooler_is_better), trial(24, {"top_k": 20}, 20, seconds=0.5)])
    marks = drawn(found, "front").data[0]
    assert list(marks.customdata) == list(range(25)) and marks.marker.symbol[0] == "circle-open"
    assert marks.error_y.array[3] > 0 and marks.error_x.array[3] > 0
    assert drawn(found, "front").data[1].line.shape == "hv"  # latency falls, quality rises
    assert len(drawn(found, "slices").data) == 3 and len(drawn(found, "parallel").data) == 1
    axes = drawn(found, "parallel").data[0].dimensions
    assert [axis.label for axis in axes][-2:] == ["Quality", "Latency (s)"]
    ground = drawn(found, "contour", parameters=("top_k", "temperature"))
    assert ground.layout.xaxis.title.text == "top_k" and ground.data[0].type == "contour"
    assert len(drawn(found, "tradeoff").data) == 4
    assert len(drawn(told(searched(24, luck), objectives=("maximize_quality",)), "front").data) == 2
    for wrong in (("contor", ()), ("contour", ("num_batch",))):
        with pytest.raises(TuneError):
            drawn(found, wrong[0], parameters=wrong[1])


def test_hostile_names_are_only_text() -> None:
    space = Space("mine", HOSTILE, "", (
        Parameter("system", "prompt", "choice", choices=(HOSTILE, "x"), default=""),
        PARAMETERS[0]), ())  # fmt: skip
    points = [{"temperature": 0.1 * (n % 9), "system": (HOSTILE, "x")[n % 2]} for n in range(24)]
    trials = [trial(n, point, 30 + n % 5) for n, point in enumerate(points)]
    confirmed = {"default": {"quality": 0.5}, "points": [{"trial": 1, "words": HOSTILE}]}
    changes = {"name": HOSTILE, "model": HOSTILE, "suite": HOSTILE, "space": space,
               "result": {"words": HOSTILE, "confirmed": confirmed}}  # fmt: skip
    found = told(trials, **changes)
    page = html_text(found, plots=())
    assert "<script>" not in page and "&lt;script&gt;" in page and "http" not in page
    for kind in PLOTS:
        assert "<script>" not in drawn(found, kind).to_json().replace("\\u003c", "<")
    text = markdown_text(found)
    assert "<script>" not in text and r"\*x\*" in text
    rows = list(csv.reader(io.StringIO(csv_text(found.study, trials))))
    assert len(rows) == 25 and len({len(row) for row in rows}) == 1
    assert not any(cell.startswith("=") for row in rows for cell in row)
    program = exported(found.study, trials[2], trials[0], "python")
    names: dict[str, Any] = {}
    exec(compile(program, "program", "exec"), names | {"__name__": "read"}, names)
    assert (names["MODEL"], names["SYSTEM"]) == (HOSTILE, HOSTILE)


def test_exports() -> None:
    from workbench.protocol import parse_modelfile

    point = {"temperature": 0.2, "num_batch": 256, "system": "Be brief.\nSay \"no\".",
             "quantisation": "Q8_0", "shots": 2, "top_k": None}  # fmt: skip
    one, default, of = trial(3, point, 40), trial(0, {}, 30), study()
    facts = json.loads(exported(of, one, default, "json"))
    assert facts["options"] == {"temperature": 0.2, "num_batch": 256} and facts["trial"] == 3
    assert facts["against_default"][0]["change"] == pytest.approx(1 / 6)
    assert "answers" not in facts["measured"]
    assert json.loads(exported(of, one, default, "options")) == facts["options"]
    text = exported(of, one, default, "modelfile")
    read = parse_modelfile(text)
    assert (read.from_, read.system) == (("tiny:latest",), point["system"])
    assert read.parameters == facts["options"] and "# Measured with weights in Q8_0" in text
    with pytest.raises(TuneError, match="python"):
        exported(of, one, default, "pyton")


def test_a_label_is_what_differs() -> None:
    assert (
        label({"a": 1.0, "b": True, "c": "x" * 60}, {"a": 1, "b": False}) == f"b on, c {'x' * 39}…"
    )
    assert label({}, {"a": 1}) == "default"
