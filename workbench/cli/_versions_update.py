"""`workbench versions update | updates | stop | resume | rollback | verify`: guided updates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import _output as out
from workbench.cli._options import engine_option, open_engine

if TYPE_CHECKING:
    from workbench.integrity import Fault, Pace
    from workbench.versions import Update, Verified

_update = click.argument("update", metavar="UPDATE", default="", required=False)
_detach = click.option("--detach", is_flag=True, help="Begin it and do not wait.")


@click.command("update")
@click.argument("roles", nargs=-1, required=True, metavar="ROLE=MODEL …")
@click.option("--suite", default="", help="Ask the old model and the new one its questions.")
@click.option("--limit", type=click.IntRange(1), help="At most so many of each task.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the questions.")
@click.option("--gate", type=click.Choice(["not worse", "better", "none"]), default="not worse",
              show_default=True, help="What must come out for certain.")  # fmt: skip
@click.option("--reason", default="", help="Why; for the changelog.")
@click.option("--purpose", default="", help="What the release is for.")
@click.option("--notes", default="", help="Anything else.")
@click.option("--version", default="", help="Of the release; else the next one.")
@click.option("--file", type=click.Path(path_type=Path), help="Write the history there, for Git.")
@click.option("--ask", "smoke", multiple=True, metavar="PROMPT",
              help="Ask this to see that it answers; can be repeated.")  # fmt: skip
@click.option("--plan", "planning", is_flag=True, help="Say what would be done, and end.")
@_detach
@engine_option
@out.json_option
def begin(
    roles: Sequence[str], planning: bool, detach: bool, url: str | None, as_json: bool, **more: Any
) -> None:
    """Give roles another model: tried, measured, taken into use in one step, or not at all."""
    from workbench import versions as room

    named = dict(map(_role, roles))
    if planning:
        checked = room.plan(named, engine=url, **more)
        if as_json:
            out.emit(checked)
        else:
            out.facts(checked["steps"].items())
        return
    _followed(room.start(named, engine=url, **more), detach, as_json)


@click.command("updates")
@_update
@out.json_option
def list_updates(update: str, as_json: bool) -> None:
    """List the updates, the newest first; or show the steps of one."""
    from workbench import versions as room

    if update:
        found = room.find(update)
        out.emit(found) if as_json else show_update(found)
        return
    every = room.updates()
    if as_json:
        out.emit(every)
        return
    rows = [
        (one.id, one.version, one.state, ", ".join(f"{c.role}={c.model}" for c in one.changes),
         out.age_text(one.created_at), one.error or "") for one in every
    ]  # fmt: skip
    out.table(("ID", "VERSION", "STATE", "MODELS", "BEGUN", "WHY"), rows)
    if not every:
        click.echo("No update yet. Begin one: workbench versions update primary=MODEL")


@click.command()
@_update
@out.json_option
def stop(update: str, as_json: bool) -> None:
    """Stop an update (the newest one) before it has changed anything."""
    from workbench import versions as room

    found = room.stop(update)
    words = f"{found.id} is {found.state}. Go on: workbench versions resume {found.id}"
    out.emit(found) if as_json else click.echo(out.neutralise(words))


@click.command()
@_update
@_detach
@out.json_option
def resume(update: str, detach: bool, as_json: bool) -> None:
    """Go on with an update (the newest one) after a stop, a kill or a failure."""
    from workbench import versions as room

    _followed(room.resume(update), detach, as_json)


@click.command()
@click.option("--to", default="", metavar="VERSION", help="To this release, not the one before.")
@click.option("--why", default="", help="Is kept with the switch.")
@engine_option
@out.json_option
def rollback(to: str, why: str, url: str | None, as_json: bool) -> None:
    """Take an earlier release into use again, with the vectors that belong to it, in one step."""
    from workbench import versions as room

    found = room.rollback(to=to, why=why, engine=url)
    if as_json:
        out.emit({"version": found.version})
        return
    click.echo(out.neutralise(f"{found.version} is in use, with its vectors."))


@click.command()
@click.argument("version", default="", required=False)
@click.option("--fast", is_flag=True, help="Look at sizes only; do not read every byte.")
@click.option("--repair", "mending", is_flag=True, help="Mend what can be mended.")
@engine_option
@out.json_option
def verify(version: str, fast: bool, mending: bool, url: str | None, as_json: bool) -> None:
    """Check that a release (the one in use) is here as it was made: every byte of its models, the
    engine's digests, the vectors. Ends with 1 where something is wrong."""
    from workbench import versions as room

    found = _looked(version, fast, url, as_json)
    mended = []
    if mending and not found.ok:
        faults = [*found.differences, *(one for one in _faults(found) if one.harmful)]
        mended = _mended(faults, url)
        found = room.verify(version or None, engine=url, thorough=not fast)
    if as_json:
        out.emit({**out.plain(found), "ok": found.ok, "words": found.words, "mended": mended})
    else:
        for words in mended:
            click.echo(out.cell(words))
        click.echo(out.neutralise(found.words))
    if not found.ok:
        raise click.exceptions.Exit(1)


def show_update(update: Update) -> None:
    """Its steps, for people."""
    click.echo(out.neutralise(f"{update.id}  {update.label}  {update.state}"))
    out.table(
        ("STEP", "STATE", ""), [(one.title, one.state, one.words) for one in update.steps]
    )  # fmt: skip
    if update.error and not any(one.state == "failed" for one in update.steps):
        click.echo(out.cell(update.error))


def _looked(version: str, fast: bool, url: str | None, as_json: bool) -> Verified:
    from workbench import versions as room
    from workbench.cli._progress import Steps

    with Steps() as shown:

        def told(pace: Pace) -> None:
            left = out.duration_text(pace.left)
            shown.show("files", f"Reading {pace.of} files", pace.fraction, left and f"{left} left")

        progress = None if as_json else told
        return room.verify(version or None, engine=url, thorough=not fast, progress=progress)


def _faults(found: Verified) -> Sequence[Fault]:
    return found.report.faults if found.report else ()


def _mended(faults: Sequence[Fault], url: str | None) -> list[str]:
    """What was done about each, in words."""
    from workbench.integrity import repair

    with open_engine(url) as engine:
        return [repair(one, engine).words for one in faults]


def _followed(update: Update, detach: bool, as_json: bool) -> None:
    """Follow the job, then say how each step ended. Raises ReleaseError where it was not well."""
    from workbench import jobs
    from workbench import versions as room
    from workbench.cli._jobs import follow, told
    from workbench.errors import JobError, ReleaseError

    job = jobs.get(update.job)
    if detach:
        out.emit(update) if as_json else told(job, False)
        return
    failure = None
    try:
        follow(job, as_json)
    except JobError as error:
        failure = error
    ended = room.find(update.id)
    out.emit(ended) if as_json else show_update(ended)
    if failure is not None:
        raise ReleaseError(ended.error or str(failure))


def _role(text: str) -> tuple[str, str]:
    role, equals, model = text.partition("=")
    if not equals or not role.strip() or not model.strip():
        raise click.UsageError(f"A role is written ROLE=MODEL, not {text!r}.")
    return role.strip(), model.strip()


COMMANDS = (begin, list_updates, stop, resume, rollback, verify)
