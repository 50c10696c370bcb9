"""`workbench jobs`: long work outside this terminal; closing it changes nothing for a job."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from workbench.cli import _output as out
from workbench.cli._errors import NotFound
from workbench.cli._progress import Steps
from workbench.errors import JobError

if TYPE_CHECKING:
    from workbench.jobs import Job

STATES = ("queued", "running", "done", "failed", "cancelled", "interrupted")
id_argument = click.argument("job_id", metavar="ID")


@click.group()
def jobs() -> None:
    """Watch, cancel and resume long work."""


@jobs.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="At most.")
@out.json_option
def list_jobs(state: str | None, limit: int, as_json: bool) -> None:
    """List jobs, the newest first."""
    from workbench import jobs as room

    found = room.jobs(state=state, limit=limit)
    if as_json:
        out.emit(found)
        return
    rows = [
        (job.id, job.state, share(job), job.title, out.age_text(job.created_at)) for job in found
    ]
    out.table(("ID", "STATE", "DONE", "WHAT", "SUBMITTED"), rows)


@jobs.command()
@id_argument
@out.json_option
def show(job_id: str, as_json: bool) -> None:
    """Show one job."""
    job = find(job_id)
    if as_json:
        out.emit(job)
        return
    click.echo(out.neutralise(job.title))
    out.facts(
        (
            ("id", job.id),
            ("state", job.state),
            ("done", share(job)),
            ("doing", job.message),
            ("figures", figures(job.metrics)),
            ("time left", out.duration_text(job.seconds_left)),
            ("target", job.target),
            ("arguments", dict(job.arguments) or ""),
            ("attempts", job.attempts),
            ("submitted", out.age_text(job.created_at)),
            ("started", out.age_text(job.started_at)),
            ("ended", out.age_text(job.ended_at)),
            ("result", job.result),
            ("error", job.error),
            ("folder", job.folder),
        )
    )


@jobs.command()
@id_argument
@out.json_option
def watch(job_id: str, as_json: bool) -> None:
    """Follow a job until it ends. Ctrl-C stops watching, not the job."""
    follow(find(job_id), as_json)


@jobs.command()
@id_argument
@click.option("--tail", type=click.IntRange(1), help="Only the last lines.")
@click.option("-f", "--follow", "on", is_flag=True, help="Go on until the job ends.")
@out.json_option
def log(job_id: str, tail: int | None, on: bool, as_json: bool) -> None:
    """Print what a job has logged."""
    from workbench import jobs as room

    job = find(job_id)
    if as_json:
        out.emit({"id": job.id, "log": room.log_text(job.id, tail=tail)})
        return
    text = room.log_text(job.id, tail=tail)
    told = len(room.log_text(job.id, tail=None)) if on else 0
    out.write(text)
    while on:
        on = not find(job.id).ended
        whole = room.log_text(job.id, tail=None)
        out.write(whole[told:])
        told = len(whole)
        time.sleep(0.3 if on else 0)
    out.write("\n")


@jobs.command()
@id_argument
@out.json_option
def cancel(job_id: str, as_json: bool) -> None:
    """Stop a job; what it has saved stays, so it can be resumed."""
    from workbench import jobs as room

    job = room.cancel(find(job_id).id)
    if as_json:
        out.emit(job)
    else:
        click.echo(f"{job.id} is {'stopping' if job.cancelling else job.state}.")


@jobs.command()
@id_argument
@click.option("--watch", "watching", is_flag=True, help="Follow it until it ends.")
@out.json_option
def resume(job_id: str, watching: bool, as_json: bool) -> None:
    """Run a cancelled, failed or interrupted job again, from its last checkpoint."""
    from workbench import jobs as room

    job = room.resume(find(job_id).id)
    if watching:
        follow(job, as_json)
    elif as_json:
        out.emit(job)
    else:
        click.echo(f"{job.id} is {job.state}. Follow it: workbench jobs watch {job.id}")


def find(job_id: str) -> Job:
    """The job, or NotFound."""
    from workbench import jobs as room

    try:
        return room.get(job_id)
    except JobError as error:
        raise NotFound(str(error)) from None


def follow(job: Job, as_json: bool) -> Job:
    """Show a job until it ends. Raises JobError when it did not end well."""
    from workbench import jobs as room

    try:
        if as_json:
            for seen in room.watch(job.id):
                out.emit(job := seen)
        else:
            with Steps() as shown:
                for seen in room.watch(job.id):
                    job = seen
                    doing = f"{job.title}: {job.message or job.state}"
                    shown.show(job.id, doing, job.fraction, figures(job.metrics))
    except KeyboardInterrupt:
        out.note(
            f"\nThe job goes on. Follow it with: workbench jobs watch {job.id}\n"
            f"Stop it with: workbench jobs cancel {job.id}"
        )
        raise
    if job.state != "done":
        advice = f"See: workbench jobs log {job.id}. Go on: workbench jobs resume {job.id}"
        why = f": {job.error.rstrip('.')}" if job.error else ""
        raise JobError(f"The job is {job.state}{why}. {advice}")
    return job


def told(job: Job, as_json: bool) -> None:
    """Say that it was begun, for who does not wait for it."""
    if as_json:
        out.emit(job)
    else:
        click.echo(f"{job.id} is {job.state}. Follow it: workbench jobs watch {job.id}")


def share(job: Job) -> str:
    """How far it is, as a percentage."""
    return "" if job.fraction is None else f"{job.fraction:.0%}"


def figures(metrics: Mapping[str, float]) -> str:
    """`loss 3.21, tokens_per_second 4727`: the loss first, four figures at most."""
    ordered = sorted(metrics.items(), key=lambda pair: ("loss" not in pair[0], pair[0] == "step"))
    return ", ".join(f"{name} {value:.4g}" for name, value in ordered[:4])
