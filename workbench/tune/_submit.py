"""Making studies and moving them on: all that can be refused is refused before a job is queued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench import jobs
from workbench.errors import JobError, TuneError
from workbench.jobs import Job
from workbench.search import objectives as chosen_objectives
from workbench.search import strategy as chosen_strategy
from workbench.settings import env_int
from workbench.space import Point, Space, facts_of, find_space, key_of, narrowed
from workbench.trial import planned
from workbench.tune import _keep as keep
from workbench.tune._made import forget, kept_of, name_of, trains
from workbench.tune._records import Study
from workbench.tune._trials import front, trials

SEED = 1  # of 0 are the samples that the Benchmarks room asks: they are not to be tuned for
_EARLIER = 5  # points of earlier studies to begin with
_MOST_WORKERS = 64
Wanted = str | Sequence[str] | Mapping[str, float]


def create(
    model: str,
    suite: str,
    *,
    space: str | Path | Space = "general",
    strategy: str = "bayesian_optimization",
    objectives: Wanted = "maximize_quality",
    name: str = "",
    seed: int = SEED,
    samples: int | None = None,
    held_out: int | None = None,
    iterations: int | None = None,
    minutes: float | None = None,
    memory: int | None = None,
    engine: str | None = None,
    judge: str = "",
    warm_start: bool = True,
    dataset: str = "",
    training: Mapping[str, Any] | None = None,
) -> Study:
    """A study that is not started: `model` of `engine` on `suite`, over `space`.

    `objectives` is one (by name or formula), several, or weights of several. `samples` are the
    questions of a full trial, `held_out` those of the confirmation. The search ends after
    `iterations` trials (MAX_OPTIMIZATION_ITERATIONS, 100) or `minutes`
    (OPTIMIZATION_TIMEOUT_MINUTES, 60); points that are predicted to take more than `memory` bytes
    are not tried. With `warm_start` the best points of earlier studies of this model on this suite
    are tried first. Each point of a space with settings of a training is `model` fine-tuned on
    `dataset` with them; `training` are settings of all. Raises TuneError, TaskError, EngineError;
    TrainingError, DataError.
    """
    goals = chosen_objectives(objectives)
    chosen_strategy(strategy, len(goals))
    limits = _limits(seed, iterations, minutes, memory)
    found = space if isinstance(space, Space) else find_space(space)
    training_kept, training_notes = kept_of(model, found, dataset, training or {}, engine)
    samples, held_out, notes = planned(suite, seed, samples, held_out)
    model, digest, found, cut = _looked_up(model, engine, found)
    _check_changes(suite, found)
    first = _earlier(model, digest, suite, found) if warm_start else []
    notes += [f"{len(first)} good points of earlier studies are tried first."] if first else []
    return keep.begin(
        name=name.strip() or f"{model} · {suite}", model=model, digest=digest, suite=suite,
        space=found.to_json(), strategy=strategy, objectives=[goal.name for goal in goals],
        settings={
            **limits, **training_kept, "samples": samples, "held_out": held_out, "workers": 1,
            "warm_start": warm_start, "engine": engine, "judge": judge, "first": first,
        },
        result={"notes": [*notes, *training_notes, *cut]},
    )  # fmt: skip


def start(study: Study | str, workers: int = 1) -> Job:
    """Search in so many jobs; returns the first. A home runs WORKBENCH_MAX_JOBS of them at once;
    on other machines with the same database, start the study there with `join`.

    Raises TuneError for a study that is done or under way, JobError.
    """
    study = _at_rest(study, "start")
    if isinstance(workers, bool) or not 1 <= workers <= _MOST_WORKERS:
        raise TuneError(f"A study has between 1 and {_MOST_WORKERS} workers, not {workers!r}.")
    if study.state == "done":
        raise TuneError(
            f"{study.label} is done. Extend it to go on (`workbench tune extend {study.id} "
            "--iterations 20`), or copy it."
        )
    settings = {**study.settings, "workers": workers}
    study = keep.note(study, settings=settings, state="running", jobs=[], ended_at=None)
    made = [_submitted(study, number) for number in range(workers)]
    keep.note(study, jobs=[job.id for job in made])
    return made[0]


def join(study: Study | str, workers: int = 1) -> Job:
    """Put more workers to a study that runs, from this home. Returns the first job."""
    study = keep.find(study.id if isinstance(study, Study) else study)
    if study.state != "running":
        raise TuneError(f"{study.label} does not run, so nobody can be joined. Start it.")
    before = int(study.settings.get("workers") or 1)
    study = keep.note(study, settings={**study.settings, "workers": before + workers})
    made = [_submitted(study, before + number) for number in range(workers)]
    keep.note(study, jobs=[*study.jobs, *(job.id for job in made)])
    return made[0]


def pause(study: Study | str) -> Study:
    """Stop now, to go on later; the trial under way is asked again then, its answers are kept.

    Raises TuneError for a study that does not run.
    """
    study = keep.find(study.id if isinstance(study, Study) else study)
    running = keep.under_way(study.jobs)
    if not running:
        raise TuneError(f"{study.label} does not run: it is {study.state}.")
    for id in running:
        with suppress(JobError):  # of another home: its own workers see that the study is paused
            jobs.cancel(id)
    return keep.note(study, state="paused")


def stop(study: Study | str) -> Study:
    """No more trials: what is best so far is confirmed. A study at rest is taken up for that."""
    study = keep.find(study.id if isinstance(study, Study) else study)
    if study.state == "done":
        raise TuneError(f"{study.label} is done: there is nothing to stop.")
    if not front(study) and study.state == "created":
        raise TuneError(f"{study.label} was not started: there is nothing to conclude yet.")
    study = keep.note(study, result={"end": True})
    if not keep.under_way(study.jobs):
        start(study)
    return keep.find(study.id)


def resume(study: Study | str) -> Job:
    """Go on after a pause, a kill or a failure. Raises TuneError, JobError."""
    study = _at_rest(study, "resume")
    if study.state == "created":
        return start(study)
    keep.note(study, result={"end": False})
    return start(study, int(study.settings.get("workers") or 1))


def extend(
    study: Study | str, *, iterations: int | None = None, minutes: float | None = None
) -> Study:
    """Allow so many more trials or minutes than before; one that is done can then be started again.

    Raises TuneError.
    """
    study = keep.find(study.id if isinstance(study, Study) else study)
    if iterations is None and minutes is None:
        raise TuneError("Say how much more: iterations=20, minutes=30, or both.")
    settings = dict(study.settings)
    for name, more in (("iterations", iterations), ("minutes", minutes)):
        if more is not None:
            _check_limits(**{name: more})
            settings[name] = (settings.get(name) or 0) + more
    state = {"state": "paused", "ended_at": None} if study.state == "done" else {}
    return keep.note(study, settings=settings, result={"end": False}, **state)


def copy(study: Study | str, **changes: Any) -> Study:
    """A new study with the same settings but for `changes` (as `create` takes them). What the old
    one found is tried first, and what was answered under equal settings is not asked again."""
    study = keep.find(study.id if isinstance(study, Study) else study)
    names = ("seed", "samples", "held_out", "iterations", "minutes", "engine", "judge", "training")
    given: dict[str, Any] = {name: study.settings.get(name) for name in names}
    given["dataset"] = study.settings.get("dataset", "")
    given |= {
        "model": study.model, "suite": study.suite, "space": study.space,
        "strategy": study.strategy, "objectives": study.objectives,
        "memory": study.settings.get("memory_bytes"), "name": f"{study.name} (copy)",
    }  # fmt: skip
    if "suite" in changes:
        given |= {"samples": None, "held_out": None}
    known = {*given, "warm_start"}
    for name in changes:
        if name not in known:
            from workbench.texts import nearest

            raise TuneError(f"A study has no {name[:60]!r}.{nearest(name, known)}")
    return create(**{**given, **changes})


def remove(study: Study | str) -> None:
    """Forget a study and its trials, and the models that it trained to compare them; models that
    were applied stay. Raises TuneError while it runs."""
    study = keep.find(study.id if isinstance(study, Study) else study)
    if keep.under_way(study.jobs):
        raise TuneError(f"{study.label} runs. Pause it first: `workbench tune pause {study.id}`.")
    if trains(study.space):
        for name in {name_of(study, trial.point) for trial in trials(study)}:
            forget(name)
    keep.forget(study)


def _submitted(study: Study, number: int) -> Job:
    more = f", worker {number + 1}" if number else ""
    return jobs.submit(
        "workbench.tune:run_study", {"study": study.id, "worker": number},
        title=f"Tune {study.model} on {study.suite}{more}", kind="tuning",
    )  # fmt: skip


def _at_rest(study: Study | str, what: str) -> Study:
    study = keep.find(study.id if isinstance(study, Study) else study)
    if keep.under_way(study.jobs):
        raise TuneError(
            f"{study.label} runs already, so it cannot {what}. Watch it: `workbench tune status "
            f"{study.id}`; more workers: tune.join."
        )
    return study


def _looked_up(model: str, url: str | None, space: Space) -> tuple[str, str, Space, list[str]]:
    """The model's whole name, its digest, and what of the space it can be asked under."""
    from workbench.engines import connect
    from workbench.export import find_model

    with connect(url) as engine:
        found = find_model(engine, model)
        if found is None:
            from workbench.errors import ModelNotFound

            raise ModelNotFound(
                f"The engine has no model {model!r}. `workbench models list` shows those that are "
                "there.", 404,
            )  # fmt: skip
        left, notes = narrowed(space, facts_of(engine, found.name))
    return found.name, found.digest, left, notes


def _earlier(model: str, digest: str, suite: str, space: Space) -> list[Point]:
    """The best points of earlier studies that this space has too."""
    found: dict[str, Point] = {}
    for study in keep.studies(model=model, suite=suite, limit=20):
        if study.digest != digest:
            continue
        for trial in front(study):
            names = {name: value for name, value in trial.point.items() if name in space.names}
            with suppress(TuneError):
                point = space.checked(names)
                if key_of(point) != key_of(space.default()):
                    found.setdefault(key_of(point), point)
    return list(found.values())[:_EARLIER]


def usual_limits() -> tuple[int, int]:
    """Trials and minutes of a study where nothing is said (MAX_OPTIMIZATION_ITERATIONS,
    OPTIMIZATION_TIMEOUT_MINUTES). Raises SettingsError."""
    wanted = {"MAX_OPTIMIZATION_ITERATIONS": 100, "OPTIMIZATION_TIMEOUT_MINUTES": 60}
    trials, minutes = (env_int(name, usual, minimum=1) for name, usual in wanted.items())
    return trials, minutes


def _limits(
    seed: int, iterations: int | None, minutes: float | None, memory: int | None
) -> dict[str, Any]:
    """Seed and limits as a study keeps them, from the environment where nothing was said."""
    iterations = usual_limits()[0] if iterations is None else iterations
    minutes = usual_limits()[1] if minutes is None else minutes
    _check_limits(seed=seed, iterations=iterations, minutes=minutes, memory=memory)
    return {"seed": seed, "iterations": iterations, "minutes": minutes, "memory_bytes": memory}


def _check_changes(suite: str, space: Space) -> None:
    """Raise TuneError where no setting of the space can change what an answer is worth or costs."""
    from workbench.tasks import find_any

    likely = all(task.mode in ("choice", "perplexity") for task in find_any(suite).tasks)
    if likely and all(one.part == "sampling" for one in space.parameters):
        raise TuneError(
            f"All questions of {suite} are scored by how likely the model finds an answer, which "
            f"{', '.join(space.names)} cannot change. Search the space speed, or take a suite "
            "whose answers are written."
        )


def _check_limits(**limits: Any) -> None:
    """Raises TuneError for limits with which nothing could be tried."""
    whole = {"iterations": "trials", "seed": "", "memory": "bytes"}
    for name, value in limits.items():
        if value is None and name == "memory":
            continue
        number = isinstance(value, int if name in whole else int | float)
        least = 0 if name == "seed" else 1 if name in whole else 1e-3
        if not number or isinstance(value, bool) or not least <= value <= 2**53:
            what = "a whole number" if name in whole else "a number"
            unit = f" of {whole[name]}" if whole.get(name) else ""
            raise TuneError(
                f"{name} is {what}{unit} from {least} on, not {value!r}. Nothing was begun."
            )
