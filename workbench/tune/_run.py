"""The job of a study: search, then confirm; and how it ends.

The worker that finds nothing more to do leaves while others are at work; the last one confirms.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.errors import TuneError, WorkbenchError
from workbench.jobs import JobCancelled, JobContext
from workbench.search import front_of
from workbench.tune import _keep as keep
from workbench.tune._confirm import MOST, Confirmation
from workbench.tune._race import wanted
from workbench.tune._records import Study, Trial
from workbench.tune._session import Session
from workbench.tune._trials import default_of, front, spread, told
from workbench.types import Json

if TYPE_CHECKING:
    from workbench.meter import Canary
    from workbench.trial import Question


def run_study(context: JobContext, study: str, worker: int = 0) -> dict[str, Any]:
    """Go on with a study until it is done. Raises WorkbenchError; what was measured is kept.

    Started as a job by `start`; called directly it works as the only worker.
    """
    found = keep.find(study)
    if found.state == "done":
        return told(found)
    keep.note(found, state="running", ended_at=None, result={"error": ""})
    try:
        return _run(context, found, worker)
    except JobCancelled:
        keep.note(found, state="paused")
        raise
    except WorkbenchError as error:
        keep.note(found, state="failed", ended_at=datetime.now(UTC), result={"error": str(error)})
        raise


def _run(context: JobContext, study: Study, worker: int) -> dict[str, Any]:
    from workbench.engines import connect
    from workbench.space import facts_of
    from workbench.trial import Bench, questions

    settings = study.settings
    with connect(settings.get("engine")) as engine:
        _check_same(study, engine)
        facts = facts_of(engine, study.model)
    context.progress(None, f"Preparing the questions of {study.suite}")
    asked = questions(study.suite, seed=int(settings["seed"]), count=int(settings["samples"]))
    session = Session(context, study, worker)
    canaries: dict[str, Canary] = {}
    with Bench(
        study.model, asked, study.space, engine=settings.get("engine"),
        figures=wanted(session.goals), stop=session.stop,
        judge=str(settings.get("judge") or ""), trained=session.maker, canaries=canaries,
    ) as bench:  # fmt: skip
        session.search(bench, facts)
        last = not session.others() and keep.claim(study, session.worker)
        if last:
            session.measure_front_again()
        thrift = {"loads": bench.loads, "answered_from_cache": bench.answered_from_cache}
    if not last:
        return {**thrift, "words": "No point is left for this worker; others are at work."}
    return {**told(_finished(context, study, session, asked, canaries)), **thrift}


def _check_same(study: Study, engine: Any) -> None:
    from workbench.export import find_model

    model = find_model(engine, study.model)
    if model is None:
        raise TuneError(
            f"The engine has no model {study.model} any more. Get it again and resume the study "
            f"(`workbench tune resume {study.id}`): what was measured is kept."
        )
    if model.digest != study.digest:
        raise TuneError(
            f"{study.model} is another model than when this study began, so trials would not "
            f"compare. Copy the study to tune this one: `workbench tune copy {study.id}`."
        )


def _finished(
    context: JobContext, study: Study, session: Session, asked: tuple[Question, ...],
    canaries: dict[str, Canary],
) -> Study:  # fmt: skip
    """Confirm the best, and conclude."""
    default, best = default_of(study), front(study)
    if default is None:
        raise TuneError("The default settings were not measured, so there is nothing to conclude.")
    others = spread([one for one in best if one.number != default.number], MOST)
    points = {one.number: one.point for one in others}
    result: dict[str, Any] = {"front": [one.number for one in best], "default": default.number}
    if not points:
        words = "No better than the default settings: no trial did better than they do."
        result |= {"best": default.number, "confirmed": None, "words": words}
    else:
        confirmation = Confirmation(context, study, session.goals, asked, canaries, session.maker)
        known = study.result.get("confirming") or {}
        noted = lambda runs: keep.note(study, result={"confirming": {"runs": runs}})  # noqa: E731
        confirmed = confirmation.of(points, default, known, noted)
        result |= {"confirmed": confirmed, "confirming": {}}
        result |= _concluded(confirmed, default, session)
    context.progress(1.0, str(result["words"]))
    ended = {"state": "done", "ended_at": datetime.now(UTC), "finisher": ""}
    return keep.note(study, result=result, **ended)


def _concluded(confirmed: Json, default: Trial, session: Session) -> dict[str, Any]:
    """Which trial is best, in words. Of several that hold, the first; of none, the default."""
    rows = confirmed["points"]
    good = [row for row in rows if row["verdict"] == "better"]
    several = len(session.goals) > 1
    if not good and several:
        good = [row for row in rows if row["verdict"] == "trade"]
    words = " ".join(row["words"] for row in rows)
    if not good:
        head = "No better than the default settings for certain, so they stay the best."
        return {"best": default.number, "words": f"{head} {words}"}
    chosen = good[0]
    if several:
        values = [[aim["value"] for aim in row["objectives"]] for row in good]
        if all(value is not None for row in values for value in row):
            chosen = good[front_of(values, session.goals)[0]]
    return {"best": chosen["trial"], "words": words}
