"""`workbench versions list | show | diff | history`: what the releases are, and what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from workbench.cli import _output as out

if TYPE_CHECKING:
    from workbench.releases import Release
    from workbench.sync import SyncPlan


@click.command("list")
@out.json_option
def list_releases(as_json: bool) -> None:
    """List the releases, the newest first; * is in use."""
    from workbench import releases as room

    found, used = room.history(), room.current()
    if as_json:
        out.emit([facts(one, used) for one in found])
        return
    rows = [
        ("*" if used and one.version == used.version else "", one.version,
         ", ".join(f"{member.role} {member.model}" for member in one.members),
         one.purpose or one.reason, out.age_text(one.created_at))
        for one in found
    ]  # fmt: skip
    out.table(("", "VERSION", "MODELS", "FOR", "MADE"), rows)
    if not found:
        click.echo("No release yet. Make one: workbench versions release --primary MODEL")


@click.command()
@click.argument("version", metavar="VERSION", default="current", required=False)
@out.json_option
def show(version: str, as_json: bool) -> None:
    """Show a release (the one in use where none is named): its models, how they came, how good
    they were where."""
    from workbench import releases as room

    found = room.find(version)
    if as_json:
        out.emit(facts(found, room.current()))
        return
    used = room.current()
    click.echo(out.neutralise(found.version))
    out.facts(
        (
            ("in use", "yes" if used == found else "no"), ("after", found.parent),
            ("for", found.purpose), ("why", found.reason), ("notes", found.notes),
            ("read from", found.source), ("evidence", ", ".join(found.evidence)),
            ("made", out.age_text(found.created_at)),
        )
    )  # fmt: skip
    click.echo()
    rows = [
        (one.role, one.model, one.digest[:12], out.size_text(one.size), one.parameter_size,
         one.quantisation, one.context or "", one.source)
        for one in found.members
    ]  # fmt: skip
    out.table(
        ("ROLE", "MODEL", "DIGEST", "SIZE", "PARAMETERS", "QUANTISATION", "CONTEXT", "SOURCE"), rows
    )
    measured = [
        (one.role, row.get("machine", "?"), room.figures_words(row))
        for one in found.members
        for row in room.measured_since(one)
    ]
    if measured:
        click.echo()
        out.table(("ROLE", "MACHINE", "MEASURED"), measured)


@click.command()
@click.argument("a")
@click.argument("b", required=False, default="current")
@click.option("--suite", help="Compare the answers on this suite.")
@out.json_option
def diff(a: str, b: str, suite: str | None, as_json: bool) -> None:
    """Say what changed from release A to release B (the one in use where none is named), and
    which answers better as far as it was measured."""
    from workbench import releases as room

    first, second = room.find(a), room.find(b)
    found = room.diff(first, second, since=True)
    changed = {row.role for row in found.rows if row.kind == "changed"}
    compared = [room.compare(first, second, role, suite) for role in sorted(changed)]
    if as_json:
        out.emit({**out.plain(found), "compared": out.plain(compared)})
        return
    for row in found.rows:
        click.echo(out.cell(row.words))
    for one in compared:
        if one.verdict != "same":
            click.echo(out.cell(f"{one.role}: {one.words}"))
        for line in one.commands:
            click.echo(f"  {out.cell(line)}")


@click.command()
@click.option("--markdown", is_flag=True, help="As a changelog.")
@out.json_option
def history(markdown: bool, as_json: bool) -> None:
    """Show which release was in use when and why."""
    from workbench import releases as room

    releases, moves = room.history(), room.switches()
    if as_json:
        text = {"markdown": room.changelog(releases, moves)} if markdown else {}
        out.emit({"releases": [facts(one, None) for one in releases], "switches": moves, **text})
        return
    if markdown:
        out.write(room.changelog(releases, moves))
        return
    rows = [
        (one.at.isoformat(sep=" ", timespec="minutes"), one.version, one.before, one.why,
         ", ".join(sorted(one.vectors)))
        for one in moves
    ]  # fmt: skip
    out.table(("SINCE (UTC)", "VERSION", "BEFORE", "WHY", "VECTORS"), rows)


def show_steps(plan: SyncPlan) -> None:
    """What a sync would do, for people."""
    rows = [
        (", ".join(step.roles) or "(base)", step.model, step.digest[:12], step.state, step.action)
        for step in plan.steps
    ]
    out.table(("ROLE", "MODEL", "DIGEST", "STATE", "TO DO"), rows)
    for step in plan.todo:
        click.echo(out.cell(step.words))
        for line in step.commands:
            click.echo(f"  {out.cell(line)}")


def facts(release: Release, used: Release | None) -> dict[str, Any]:
    """A release for programs."""
    plain: dict[str, Any] = out.plain(release)
    return {**plain, "in_use": used is not None and used.version == release.version}
