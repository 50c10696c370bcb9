"""`workbench versions`: which models we run, since when and why, and how to have them elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.cli import _output as out
from workbench.cli._options import engine_option, open_engine
from workbench.cli._versions_show import diff, history, list_releases, show, show_steps
from workbench.cli._versions_update import COMMANDS

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.sync import SyncPlan

_FILE = "workbench.releases.json"
_version = click.argument("version", metavar="VERSION", default="current", required=False)


@click.group()
def versions() -> None:
    """Make releases of models, take them into use, compare them, have them elsewhere."""


for _command in (list_releases, show, diff, history, *COMMANDS):
    versions.add_command(_command)


@versions.command()
@click.argument("version", default="")
@click.option("--primary", metavar="MODEL", help="What answers by default.")
@click.option("--fallback", metavar="MODEL", help="What answers when the primary one cannot.")
@click.option("--embedding", metavar="MODEL", help="What makes vectors.")
@click.option("--role", "roles", multiple=True, metavar="ROLE=MODEL",
              help="Such as domain:health=NAME or task:code=NAME; can be repeated.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Do not take over the roles that are not named.")
@click.option("--pulled", multiple=True, metavar="MODEL",
              help="It came from a registry by this name; can be repeated.")  # fmt: skip
@click.option("--purpose", default="", help="What it is for.")
@click.option("--reason", default="", help="Why it is made.")
@click.option("--notes", default="", help="Anything else.")
@click.option("--no-use", is_flag=True, help="Make it, and leave the one in use.")
@engine_option
@out.json_option
def release(
    version: str, primary: str | None, fallback: str | None, embedding: str | None,
    roles: Sequence[str], fresh: bool, pulled: Sequence[str], purpose: str, reason: str, notes: str,
    no_use: bool, url: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Make a release of installed models, by their digests. Roles that are not named are taken
    over from the release in use.

    VERSION is the next one where none is given.
    """
    from workbench import releases as room
    from workbench.versions import use as take

    plain = {"primary": primary, "fallback": fallback, "embedding": embedding}
    named = {role: model for role, model in plain.items() if model} | dict(map(_role, roles))
    used = None if fresh else room.current()
    for member in used.members if used else ():
        named.setdefault(member.role, member.model)
    if not named:
        raise click.UsageError("Say which models: --primary MODEL.")
    with open_engine(url) as engine:
        members = room.describe(engine, named, pulled=pulled)
        made = room.make(
            version, members, purpose=purpose, reason=reason, notes=notes, switch=False
        )
        if not no_use:
            take(made.version, reason or purpose or "It was made.", engine=engine)
    if as_json:
        out.emit(room.to_document(made))
        return
    use = "is made" if no_use else "is made and in use"
    click.echo(out.neutralise(f"{made.version} {use}: workbench versions show {made.version}"))
    if used is not None:
        for row in room.diff(used, made).changed:
            click.echo(f"  {out.cell(row.words)}")


@versions.command()
@click.argument("version")
@click.option("--why", default="", help="Is kept with the switch.")
@out.json_option
def use(version: str, why: str, as_json: bool) -> None:
    """Take a release into use, with its vectors; "previous" is the one before."""
    from workbench import releases as room
    from workbench.versions import use as take

    taken = take(version, why)
    if as_json:
        out.emit(room.switches()[0])
        return
    click.echo(out.neutralise(f"{taken.version} is in use."))


versions.add_command(use, "switch")  # as the room calls it


@versions.group()
def alias() -> None:
    """Name models beside the roles, such as candidate."""


@alias.command("list")
@out.json_option
def list_aliases(as_json: bool) -> None:
    """List the aliases."""
    from workbench import releases as room

    found = room.aliases()
    if as_json:
        out.emit(found)
        return
    rows = [(one.alias, one.model, one.digest[:12], out.age_text(one.at)) for one in found]
    out.table(("ALIAS", "MODEL", "DIGEST", "SINCE"), rows)


@alias.command("set")
@click.argument("name")
@click.argument("model")
@engine_option
@out.json_option
def set_alias(name: str, model: str, url: str | None, as_json: bool) -> None:
    """Let a name stand for an installed model."""
    from workbench import releases as room

    with open_engine(url) as engine:
        found = room.describe(engine, {"primary": model})[0]
    made = room.set_alias(name, found.model, found.digest)
    out.emit(made) if as_json else click.echo(out.neutralise(f"{name} is {made.model}."))


@alias.command("rm")
@click.argument("name")
@out.json_option
def remove_alias(name: str, as_json: bool) -> None:
    """Forget an alias; its model stays."""
    from workbench import releases as room

    room.remove_alias(name)
    out.emit({"removed": name}) if as_json else click.echo(out.neutralise(f"{name} is forgotten."))


@alias.command("get")
@click.argument("word")
@out.json_option
def get(word: str, as_json: bool) -> None:
    """Print the model behind a role or an alias, for scripts."""
    from workbench import releases as room

    found = room.model(word)
    out.emit({"word": word, "model": found}) if as_json else out.write(f"{found}\n")


@versions.command()
@click.argument("version", default="")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file, or a folder.")
@out.json_option
def export(version: str, output: Path | None, as_json: bool) -> None:
    """Write the whole history to workbench.releases.json, or one release (to the output, or a
    file)."""
    from workbench import releases as room

    if not version:
        file = room.write_file(output or Path())
        if as_json:
            out.emit({"file": file, "releases": [one.version for one in room.history()]})
        else:
            click.echo(out.neutralise(f"{file} is written."))
        return
    document = room.to_document(room.find(version))
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    if output is not None:
        output.write_text(text, encoding="utf-8", newline="\n")
    if as_json:
        out.emit(document)
    elif output is not None:
        click.echo(out.neutralise(f"{output} is written."))
    else:
        out.write(text)


@versions.command("import")
@click.argument("file", type=click.Path(exists=True, path_type=Path), default=_FILE)
@out.json_option
def import_(file: Path, as_json: bool) -> None:
    """Add the releases of a file that are not known here; none is taken into use."""
    from workbench import releases as room

    found = room.import_file(file)
    if as_json:
        out.emit(found)
        return
    added = f"Added {', '.join(found.added)}." if found.added else "Nothing is new."
    used = f" {found.current} is in use where it was written." if found.current else ""
    click.echo(out.neutralise(added + used))
    if found.added:
        click.echo("Get their models: workbench versions sync VERSION")


@versions.command()
@_version
@click.option("--plan", "planning", is_flag=True, help="Say what would be done, and end.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@engine_option
@out.json_option
def sync(version: str, planning: bool, yes: bool, url: str | None, as_json: bool) -> None:
    """Bring exactly the models of a release into the engine. Ends with 1 where one is missing."""
    from workbench.releases import find
    from workbench.sync import plan_sync

    with open_engine(url) as engine:
        plan = plan_sync(engine, find(version))
        if planning or not plan.todo:
            out.emit(plan) if as_json else show_steps(plan)
            missing = bool(plan.todo)
        else:
            if not as_json:
                show_steps(plan)
            if not yes and any(step.action != "by hand" for step in plan.todo):
                click.confirm("Go on?", abort=True, err=True)
            missing = not _done(engine, plan, as_json)
    if missing:
        raise click.exceptions.Exit(1)


def _done(engine: Engine, plan: SyncPlan, as_json: bool) -> bool:
    """Do it, and say how each step ended; whether all are here."""
    from workbench.cli._progress import Steps
    from workbench.sync import Synced, sync

    whole = True
    with Steps() as shown:
        for step in sync(engine, plan):
            if isinstance(step, Synced):
                whole = whole and step.outcome in {"here", "done"}
                out.emit(step) if as_json else click.echo(f"{step.outcome}: {out.cell(step.words)}")
            elif not as_json:
                key = (step.digest or "") if step.total else ""
                shown.show(key, step.status, step.fraction)
    return whole


def _role(text: str) -> tuple[str, str]:
    role, equals, model = text.partition("=")
    if not equals or not role.strip() or not model.strip():
        raise click.UsageError(f"--role is written ROLE=MODEL, not {text!r}.")
    return role.strip(), model.strip()
