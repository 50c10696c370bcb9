"""Small studies, for tests of them."""

from __future__ import annotations

from typing import Any

from workbench.jobs import JobContext
from workbench.search import TOLD, TWICE, recorded
from workbench.settings import home
from workbench.space import Parameter, Space
from workbench.tune import Study, Trial, create, run_study, trials

SPACE = Space("mine", "Mine", "", (
    Parameter("temperature", "sampling", "float", 0.1, 1.0, step=0.1, default=0.5),
    Parameter("top_k", "sampling", "choice", choices=(10, 20, 40), default=40),
))  # fmt: skip


def begun(suite: str, **more: Any) -> Study:
    """A small study of the model `one`."""
    given = {"samples": 12, "held_out": 12, "iterations": 6, "seed": 3}
    return create("one", suite, **{**given, **more})


def here() -> JobContext:
    """A context without a job."""
    return JobContext("", home())


def run(study: Study) -> dict[str, Any]:
    """Search and confirm, in this process."""
    return run_study(here(), study.id)


def check_kept(study: Study, before: list[Trial]) -> None:
    """Trials that ended before are there as they were; only the best may have been measured once
    more since."""
    now = {one.number: one for one in trials(study)}
    changed = [one for one in before if now[one.number] != one]
    for one in changed:
        more = now[one.number]
        assert (more.point, more.state, more.started_at) == (one.point, one.state, one.started_at)
        assert one.measured is not None and more.measured is not None
        assert more.measured.asked >= one.measured.asked and more.seconds > one.seconds
    rows = [row for row in recorded(study.id) if row.user_attrs.get("why") == TWICE]
    assert {one.number for one in changed} <= {row.user_attrs[TOLD]["repeats"] for row in rows}
