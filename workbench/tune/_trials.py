"""A study's trials as they stand, cheap to read while it runs, and which of them are best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.errors import TuneError
from workbench.search import TOLD, TWICE, front_of, objective, recorded
from workbench.tune import _keep as keep
from workbench.tune._records import Study, Trial, TrialState

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

T = TypeVar("T")


def trials(study: Study | str) -> list[Trial]:
    """All trials, by number; none before the study began. One that was measured twice is one, with
    the figures of both."""
    id = study.id if isinstance(study, Study) else keep.find(study).id
    rows = [one for one in recorded(id) if "point" in one.user_attrs]
    found = {one.number: _trial(one) for one in rows if one.user_attrs.get("why") != TWICE}
    for row in rows:
        told = row.user_attrs.get(TOLD) or {}
        if told.get("state") == TWICE and told["repeats"] in found:
            first, more = found[told["repeats"]], _trial(row)
            measured = more.measured
            if measured and first.measured:
                measured = replace(measured, asked=first.measured.asked + measured.asked)
            found[first.number] = replace(
                first, measured=measured, values=more.values, seconds=first.seconds + more.seconds
            )
    return list(found.values())


def front(study: Study | str) -> list[Trial]:
    """The trials that none beats in everything, the best by the first objective first; of one
    objective the best so far alone."""
    study = study if isinstance(study, Study) else keep.find(study)
    goals = [objective(text) for text in study.objectives]
    whole = [one for one in trials(study) if one.state == "done" and one.values]
    return [whole[place] for place in front_of([one.values or () for one in whole], goals)]


def spread(front: Sequence[T], most: int) -> list[T]:
    """So many of a front at most: both of its ends, and what lies evenly between them."""
    if len(front) <= most:
        return [*front]
    return [front[round(place * (len(front) - 1) / (most - 1))] for place in range(most)]


def best(study: Study | str) -> Trial | None:
    """What the study concluded is best (the default settings, where nothing is better for sure);
    before that, the first of the front. None before anything was measured."""
    study = study if isinstance(study, Study) else keep.find(study)
    if study.result.get("best") is not None and study.state == "done":
        return trial_of(study, int(study.result["best"]))
    return next(iter(front(study)), None)


def default_of(study: Study) -> Trial | None:
    """The trial of the default settings; None before they were measured."""
    done = [one for one in trials(study) if one.state == "done"]
    return next((one for one in done if one.why == "default"), None)


def trial_of(study: Study, number: int) -> Trial:
    """The trial of this number. Raises TuneError."""
    found = next((one for one in trials(study) if one.number == number), None)
    if found is None:
        raise TuneError(f"{study.label} has no trial {number}. `workbench tune status` lists them.")
    return found


def told(study: Study) -> dict[str, Any]:
    """What the study's job returns."""
    names = ("best", "front", "words")
    return {"study": study.id, **{name: study.result.get(name) for name in names}}


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of the study's iterations: it was measured, or is being measured."""
    told = trial.user_attrs.get(TOLD) or {}
    free = told.get("lost") or told.get("refused") or told.get("state") in ("repeated", TWICE)
    return not free and "point" in trial.user_attrs


def running(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Those that are under way."""
    return [one for one in trials if not one.state.is_finished() and "point" in one.user_attrs]


def worker_of(trial: FrozenTrial) -> str:
    """Who tries it (`job/attempt`)."""
    return str(trial.user_attrs.get("worker", ""))


def spent(trials: Iterable[FrozenTrial]) -> float:
    """Seconds in which at least one trial was under way; those of the lost are not known."""
    spans = sorted(
        (trial.datetime_start, trial.datetime_complete) for trial in trials
        if trial.datetime_start and trial.datetime_complete
        and not (trial.user_attrs.get(TOLD) or {}).get("lost")
    )  # fmt: skip
    seconds, until = 0.0, None
    for start, end in spans:
        begin = start if until is None or start > until else until
        seconds += max(0.0, (end - begin).total_seconds())
        until = end if until is None or end > until else until
    return seconds


def _trial(frozen: FrozenTrial) -> Trial:
    from workbench.trial import Measured

    attributes = frozen.user_attrs
    kept: dict[str, Any] = attributes.get(TOLD) or {}
    state: TrialState = kept.get("state", "failed") if frozen.state.is_finished() else "running"
    start, end = frozen.datetime_start, frozen.datetime_complete
    return Trial(
        number=frozen.number, state=state, point=attributes["point"],
        measured=Measured.of(kept["measured"]) if kept.get("measured") else None,
        values=tuple(kept["values"]) if kept.get("values") else None,
        seconds=(end - start).total_seconds() if start and end and not kept.get("lost") else 0.0,
        why=str(kept.get("why") or attributes.get("why") or ""),
        started_at=start.astimezone() if start else None, steps=dict(frozen.intermediate_values),
        repeats=kept.get("repeats"),
    )  # fmt: skip
