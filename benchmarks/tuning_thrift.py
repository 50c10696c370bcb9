"""A study, and then its trials once more as one would run them by hand: loaded anew each time, all
questions asked, nothing known from before."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tuning_tables import FILL, starter

from workbench import tune
from workbench.engines import connect
from workbench.jobs import JobContext
from workbench.settings import home
from workbench.space import Parameter, Space
from workbench.trial import Bench, questions

_SPACE = Space("thrift", "Thrift", "", (
    Parameter("temperature", "sampling", "float", 0.0, 1.2, step=0.2, default=0.8),
    Parameter("top_p", "sampling", "choice", choices=(0.7, 0.9, 1.0), default=0.9),
    Parameter("num_batch", "loading", "choice", choices=(64, 256, 512), default=512),
    Parameter("kv_cache_type", "loading", "choice", choices=("f16", "q8_0"), default="f16"),
))  # fmt: skip
_QUESTIONS = 32
_GOALS = {
    "quality": "maximize_quality",
    "quality and latency": ["maximize_quality", "minimize_latency"],
}


def report(quick: bool) -> str:
    """Both studies; of each the trials again by hand."""
    iterations = 16 if quick else 40
    lines = [
        f"{iterations} trials of {_QUESTIONS} questions over {len(_SPACE.parameters)} settings, "
        "two of which are the engine's for loading (wanted: at most 50 % of the time). The study's "
        "time includes the confirmation of its best points, which by hand nobody makes; the "
        "search alone is `trials`.",
        "",
        "| objectives | study, s | its trials, s | loads | answers known | ended early "
        "| the same trials by hand, s | study / by hand | trials / by hand |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    model = starter()
    # other questions for each, so that none knows answers of another
    rows = [_row(model, name, iterations, seed) for seed, name in enumerate(_GOALS, 1)]
    return "\n".join([*lines, *rows])


def _row(model: str, name: str, iterations: int, seed: int) -> str:
    suite = str(FILL.file.with_suffix(".yaml"))
    timed = isinstance(_GOALS[name], list)
    with connect() as used:
        engine = used.url  # which another home would not find
    with _empty_home():
        whole, told, tried = _study(model, suite, name, iterations, seed, engine)
    search = sum(one.seconds for one in tried)
    hand = sum(_by_hand(model, suite, one, engine, seed, timed=timed) for one in tried)
    early = sum(one.state == "pruned" for one in tried)
    return (
        f"| {name} | {whole:.0f} | {search:.0f} | {told['loads']} | {told['answered_from_cache']} "
        f"| {early} of {len(tried)} | {hand:.0f} | {whole / hand:.0%} | {search / hand:.0%} |"
    )


def _study(
    model: str, suite: str, name: str, iterations: int, seed: int, engine: str
) -> tuple[float, dict[str, Any], list[tune.Trial]]:
    """Seconds of it all, what it told, its trials."""
    wanted = _GOALS[name]
    study = tune.create(
        model, suite, space=_SPACE, objectives=wanted, iterations=iterations, samples=_QUESTIONS,
        held_out=_QUESTIONS, minutes=600, seed=seed, warm_start=False, name=f"thrift {name}",
        engine=engine,
    )  # fmt: skip
    began = time.perf_counter()
    told = tune.run_study(JobContext("", home()), study.id)
    whole = time.perf_counter() - began
    return whole, told, [one for one in tune.trials(study) if one.state != "repeated"]


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
    model: str, suite: str, trial: tune.Trial, engine: str, seed: int, *, timed: bool
) -> float:
    """Seconds from the load to the last answer, with an empty store."""
    wanted = questions(suite, seed=seed, count=_QUESTIONS)
    with _empty_home():
        began = time.perf_counter()
        with Bench(model, wanted, _SPACE, timed=timed, engine=engine) as bench:
            bench.measure(trial.point, len(wanted))
        return time.perf_counter() - began
