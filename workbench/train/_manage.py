"""Trainings that are under way or done: stopped, paused, resumed, exported again, removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import jobs, lineage
from workbench.errors import JobError, ModelNotFound, TrainingError
from workbench.export import checked_kind, checked_name, refuse_to_replace
from workbench.jobs import Job
from workbench.lineage import Training, find

if TYPE_CHECKING:
    from workbench.engines import Engine

STOP = "stop"  # a file of this name ends the training, which then goes on to its export


def job_of(run: Training) -> Job | None:
    """The job that trains; None where it is not known here."""
    try:
        return jobs.get(run.job) if run.job else None
    except JobError:
        return None


def stop(training: Training | str) -> Training:
    """End the training now and keep what was learnt: it goes on to its export.

    One that was paused or interrupted is taken up for that. Raises TrainingError, JobError.
    """
    run, job = _known(training)
    if job.state == "done":
        raise TrainingError(f"The training {run.id} is done: there is nothing to stop.")
    (run.folder / STOP).touch()
    if job.state not in {"queued", "running"}:
        jobs.resume(job.id)
    return run


def pause(training: Training | str) -> Training:
    """Stop with a checkpoint, to go on later from there. Raises TrainingError."""
    run, job = _known(training)
    if job.ended:
        raise TrainingError(f"The training {run.id} does not run: its job is {job.state}.")
    jobs.cancel(job.id)
    return run


def resume(training: Training | str) -> Training:
    """Go on from the last checkpoint. Raises TrainingError, JobError."""
    run, job = _known(training)
    jobs.resume(job.id)
    return run


def export_again(
    training: Training | str,
    *,
    kinds: Sequence[str] = (),
    folder: Path | str | None = None,
    deploy: bool = False,
    name: str = "",
    system: str = "",
    replace: bool = False,
    as_adapter: bool = False,
    force: bool = False,
) -> Job:
    """Write other kinds of GGUF file, into `folder` if one is given, as a job.

    `deploy` puts the first kind into the engine, under `name` if one is given; `as_adapter` the
    adapter beside its base model; `force` also where the parity gate refuses. Raises
    TrainingError, EngineError before anything is queued.
    """
    run = _run(training)
    if not (run.folder / "model").is_dir():
        raise TrainingError(
            f"The training {run.id} has no weights to export: it did not come to its end. Resume "
            f"it: `workbench train resume {run.id}`."
        )
    wanted = [checked_kind(kind) for kind in kinds] or [*(run.export or {}).get("files", ())]
    named = checked_name(name or run.name)
    if deploy and not replace:
        replace = _replaceable(run, named)
    arguments = {
        "training": run.id, "kinds": wanted or ["Q8_0"], "deploy": deploy, "name": named,
        "system": system, "replace": replace, "as_adapter": as_adapter, "force": force,
        "folder": str(Path(folder).expanduser().resolve()) if folder else None,
    }  # fmt: skip
    title = f"{'Deploy' if deploy else 'Export'} {named}"
    return jobs.submit("workbench.train:run_export", arguments, title=title, kind="training")


def deploy(
    training: Training | str,
    *,
    name: str = "",
    kind: str = "",
    system: str = "",
    replace: bool = False,
    as_adapter: bool = False,
    force: bool = False,
) -> Job:
    """Put what was trained into the engine in use, as a job. Raises as `export_again`."""
    return export_again(
        training, kinds=[kind] if kind else (), deploy=True, name=name, system=system,
        replace=replace, as_adapter=as_adapter, force=force,
    )  # fmt: skip


def compare_again(training: Training | str, other: Training | str | None = None) -> Job:
    """Measure the card again, or compare with another training, as a job whose result is the card.

    Raises TrainingError.
    """
    run = _run(training)
    against = _run(other).id if other is not None else ""
    arguments = {"training": run.id, "against": against}
    title = f"Compare {run.name}"
    return jobs.submit("workbench.train:run_compare", arguments, title=title, kind="training")


def remove(training: Training | str) -> Training:
    """Forget a training and delete its files; its model stays in the engine.

    Raises TrainingError while its job is under way.
    """
    run = _run(training)
    job = job_of(run)
    if job is not None and not job.ended:
        raise TrainingError(
            f"The training {run.id} is under way. Pause it first: `workbench train pause {run.id}`."
        )
    lineage.remove(run)
    return run


def _run(training: Training | str) -> Training:
    return find(training if isinstance(training, str) else training.id)


def _known(training: Training | str) -> tuple[Training, Job]:
    run = _run(training)
    job = job_of(run)
    if job is None:
        raise TrainingError(
            f"The job of the training {run.id} is not known here: it was started in another home."
        )
    return run, job


def _replaceable(run: Training, name: str) -> bool:
    """Whether the training's own model has this name. Raises TrainingError where another has."""
    from workbench.engines import connect

    with connect() as engine:
        ours = is_ours(run, name, engine)
        if not ours:
            refuse_to_replace(engine, name)
    return ours


def is_ours(run: Training, name: str, engine: Engine) -> bool:
    """Whether the engine's model of this name was made of this training's files: it may then be
    made again, as when a job was killed before it could note that it had made it."""
    files = dict((run.export or {}).get("files") or {})
    try:
        modelfile = engine.show(name).modelfile
    except ModelNotFound:
        return False
    return any(one["sha256"] in modelfile for one in files.values())
