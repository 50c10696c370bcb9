"""A study, and then its trials once more as one would run them by hand: loaded anew each time, all
questions asked, nothing known from before."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tuning_tables import FILL, starter

from workbench import tune
from workbench.engines import connect
from workbench.jobs import JobContext
from workbench.search import objectives, recorded
from workbench.settings import home
from workbench.space import Parameter, Point, Space
from workbench.trial import Bench, Question, questions, unseen
from workbench.types import Json

_MIXED = Space("thrift", "Thrift", "", (
    Parameter("temperature", "sampling", "float", 0.0, 1.2, step=0.1, default=0.8),
    Parameter("top_p", "sampling", "choice", choices=(0.7, 0.9, 1.0), default=0.9),
    Parameter("num_batch", "loading", "choice", choices=(64, 256, 512), default=512),
    Parameter("kv_cache_type", "loading", "choice", choices=("f16", "q8_0"), default="f16"),
))  # fmt: skip
_QUESTIONS = 32
_SUITE = str(FILL.file.with_suffix(".yaml"))
_BOTH = ("maximize_quality", "minimize_latency")


@dataclass(frozen=True)
class _Case:
    """`seed` differs, so that no study knows answers of another."""

    seed: int
    name: str
    space: Space | str
    objectives: tuple[str, ...]

    @property
    def figures(self) -> frozenset[str]:
        needs = (goal.needs for goal in objectives(list(self.objectives)))
        return frozenset({"quality"}).union(*needs)


_CASES = (
    _Case(1, "quality; two settings of sampling, two of loading", _MIXED, _BOTH[:1]),
    _Case(2, "quality and latency; the same", _MIXED, _BOTH),
    _Case(3, "quality and latency; `speed`, settings of loading", "speed", _BOTH),
)


def report(quick: bool) -> str:
    """All studies, short and as long as by default; of each the trials again by hand."""
    lengths = (16,) if quick else (40, 100)
    lines = [
        f"Trials of {_QUESTIONS} questions; a study is to take at most 50 % of the "
        "same trials by hand. It also measures its best points once more and confirms them on new "
        "questions, twice where speed counts. `Its trials` is from the first one's begin to the "
        "last one's end; the last column has the confirmation by hand as well.",
        "",
        "| objectives; space | trials | study, s | its trials, s | loads | answers known "
        "| ended early | the same trials by hand, s | their confirmation by hand, s "
        "| trials / by hand | study / trials by hand | study / all by hand |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    model = starter()
    rows = [_row(model, case, count) for case in _CASES for count in lengths]
    return "\n".join([*lines, *rows])


def _row(model: str, case: _Case, iterations: int) -> str:
    with connect() as used:
        engine = used.url  # which another home would not find
    with _empty_home():
        study, told, whole = _study(model, case, iterations, engine)
        tried, rows = tune.trials(study), recorded(study.id)
    starts = [one.datetime_start for one in rows if one.datetime_start]
    ends = [one.datetime_complete for one in rows if one.datetime_complete]
    search = (max(ends) - min(starts)).total_seconds()
    tried = [one for one in tried if one.state not in ("repeated", "failed")]
    asked = questions(_SUITE, seed=case.seed, count=_QUESTIONS)
    by_hand = lambda point, asked: _by_hand(model, case, study, point, asked, engine)  # noqa: E731
    hand = sum(by_hand(one.point, asked) for one in tried)
    fresh = unseen(asked, _SUITE, case.seed, _QUESTIONS)
    times = 2 if "latency" in case.figures else 1
    confirm = times * sum(by_hand(point, fresh) for point in _confirmed(study, tried))
    early = sum(one.state == "pruned" for one in tried)
    return (
        f"| {case.name} | {len(tried)} | {whole:.0f} | {search:.0f} | {told['loads']} "
        f"| {told['answered_from_cache']} | {early} | {hand:.0f} | {confirm:.0f} "
        f"| {search / hand:.0%} | {whole / hand:.0%} | {whole / (hand + confirm):.0%} |"
    )


def _study(model: str, case: _Case, iterations: int, engine: str) -> tuple[tune.Study, Json, float]:
    """The study, what its job told, seconds of it all."""
    study = tune.create(
        model, _SUITE, space=case.space, objectives=list(case.objectives), iterations=iterations,
        samples=_QUESTIONS, held_out=_QUESTIONS, minutes=600, seed=case.seed, warm_start=False,
        name=f"thrift {case.seed}", engine=engine,
    )  # fmt: skip
    began = time.perf_counter()
    told = tune.run_study(JobContext("", home()), study.id)
    return tune.find(study.id), told, time.perf_counter() - began


def _confirmed(study: tune.Study, tried: Sequence[tune.Trial]) -> list[Point]:
    """The points that were confirmed, the default among them; none where nothing was."""
    confirmed = study.result["confirmed"]
    if not confirmed:
        return []
    numbers = {confirmed["default"]["trial"], *(row["trial"] for row in confirmed["points"])}
    return [one.point for one in tried if one.number in numbers]


@contextmanager
def _empty_home() -> Iterator[None]:
    """A home in which nothing was answered yet."""
    with tempfile.TemporaryDirectory(prefix="workbench-thrift-") as folder:
        before = os.environ.get("WORKBENCH_HOME")
        os.environ["WORKBENCH_HOME"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["WORKBENCH_HOME"]
            else:
                os.environ["WORKBENCH_HOME"] = before


def _by_hand(
    model: str, case: _Case, study: tune.Study, point: Point, asked: tuple[Question, ...],
    engine: str,
) -> float:  # fmt: skip
    """Seconds from the load to the last answer, with an empty store."""
    with _empty_home():
        began = time.perf_counter()
        with Bench(model, asked, study.space, figures=case.figures, engine=engine) as bench:
            bench.measure(point, len(asked))
        return time.perf_counter() - began
