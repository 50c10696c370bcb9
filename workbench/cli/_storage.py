"""`workbench storage`: what takes the disk, a dry run of what may go, and a trash with an undo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from workbench.cli import _output as out
from workbench.cli._options import engine_option, open_engine

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.storage import Item, Plan, Trashed

_KINDS = "model, remote, checkpoints, weights, gguf, training, dataset, collection, cache, job"
_kinds = click.option("--kind", "kinds", multiple=True, metavar="KIND",
                      help=f"Only these: {_KINDS}.")  # fmt: skip
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@click.group()
def storage() -> None:
    """See what takes the disk, prune it into a trash, bring it back from there."""


@storage.command()
@_kinds
@click.option("--limit", type=click.IntRange(1), default=40, show_default=True, help="At most.")
@engine_option
@out.json_option
def show(kinds: Sequence[str], limit: int, url: str | None, as_json: bool) -> None:
    """List what takes space, the largest first, and who needs it."""
    from workbench import storage as room

    with _engine(url) as engine:
        found = room.survey(engine)
    items = [item for item in found.items if not kinds or item.kind in kinds]
    if as_json:
        out.emit({"total": found.total, "items": [item.to_json() for item in items],
                  "problems": found.problems})  # fmt: skip
        return
    out.table(
        ("KIND", "NAME", "BYTES", "SHARED", "USED", "STAYS BECAUSE"),
        [_row(item, item.protected_by or next(iter(item.needed_by), "")) for item in items[:limit]],
    )
    if len(items) > limit:
        out.note(f"… {len(items) - limit} more: --limit {len(items)}")
    for problem in found.problems:
        out.note(problem)
    click.echo(f"{out.size_text(found.total)} in all. What may go: workbench storage prune -n")


@storage.command()
@click.argument("names", nargs=-1, metavar="[NAME …]")
@_kinds
@click.option("--unused", type=click.FloatRange(0), metavar="DAYS",
              help="Not used for so long (30 where no names are given).")  # fmt: skip
@click.option("--keep", multiple=True, metavar="PATTERN", help="Not these; can be repeated.")
@click.option("--needed", is_flag=True, help="Also what lineage, aliases, old releases need.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go, and what stays why.")
@_yes
@engine_option
@out.json_option
def prune(
    names: Sequence[str], kinds: Sequence[str], unused: float | None, keep: Sequence[str],
    needed: bool, dry_run: bool, yes: bool, url: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Put into the trash what is not needed: by name or pattern, by kind, by age."""
    from workbench import storage as room

    with _engine(url) as engine:
        plan = room.plan(kinds, names, unused_days=unused, keep=keep, needed=needed, engine=engine)
        if dry_run or not plan.items:
            _planned(plan, as_json)
            return
        if not yes:
            _planned(plan, False, error=as_json)
            click.confirm("Go on?", abort=True, err=True)
        gone = room.prune(plan, engine=engine, sure=True)
    _told(gone, as_json, f"Bring it back: workbench storage undo {gone.id}")


@storage.command()
@out.json_option
def trash(as_json: bool) -> None:
    """List what is in the trash, the newest first."""
    from workbench import storage as room

    found = room.trash()
    if as_json:
        out.emit(found)
        return
    rows = [
        (one.id, len(one.items) + len(one.deleted), out.size_text(one.bytes),
         out.age_text(one.at), out.age_text(one.expires_at), _names([*one.items, *one.deleted]))
        for one in found
    ]  # fmt: skip
    out.table(("ID", "THINGS", "BYTES", "PUT THERE", "DELETED", "WHAT"), rows)


@storage.command()
@click.argument("id", required=False, default="")
@engine_option
@out.json_option
def undo(id: str, url: str | None, as_json: bool) -> None:
    """Bring back what was pruned last, or with this id."""
    from workbench import storage as room

    with _engine(url) as engine:
        back = room.undo(id, engine=engine)
    if as_json:
        out.emit(back)
        return
    click.echo(out.neutralise(f"Back: {_names([*back.items, *back.deleted])}"))
    for text in back.notes:
        out.note(text)


@storage.command()
@click.argument("id", required=False, default="")
@click.option("--older", type=click.FloatRange(0), metavar="DAYS", help="All older than this.")
@click.option("--all", "everything", is_flag=True, help="All of it.")
@_yes
@engine_option
@out.json_option
def empty(
    id: str, older: float | None, everything: bool, yes: bool, url: str | None, as_json: bool
) -> None:
    """Delete for good what is in the trash: only now its bytes come back."""
    from workbench import storage as room

    if sum((bool(id), older is not None, everything)) != 1:
        raise click.UsageError("Say which: an ID, --older DAYS, or --all.")
    if not yes:
        click.confirm("Delete it for good?", abort=True, err=True)
    with _engine(url) as engine:
        gone = room.empty(id, older_than=0.0 if everything else older, engine=engine)
    freed = sum(one.bytes for one in gone)
    if as_json:
        out.emit({"emptied": [one.id for one in gone], "bytes": freed})
    else:
        click.echo(f"{out.size_text(freed)} came back.")


@storage.command()
@click.argument("pattern", required=False)
@click.option("--why", default="", help="The reason, for later.")
@out.json_option
def protect(pattern: str | None, why: str, as_json: bool) -> None:
    """Never prune what has such a name or family, such as 'qwen2*'; without one list them all."""
    from workbench import storage as room

    found = [room.protect(pattern, why)] if pattern else room.protections()
    if as_json:
        out.emit(found)
        return
    out.table(
        ("PATTERN", "WHY", "SINCE"), [(one.pattern, one.why, out.age_text(one.at)) for one in found]
    )


@storage.command()
@click.argument("pattern")
@out.json_option
def unprotect(pattern: str, as_json: bool) -> None:
    """Take a protection away."""
    from workbench import storage as room

    room.unprotect(pattern)
    if as_json:
        out.emit({"unprotected": pattern})
    else:
        click.echo(out.neutralise(f"{pattern} is not protected any more."))


@contextmanager
def _engine(url: str | None) -> Iterator[Engine | None]:
    """The engine that was named; without one the room asks the one in use, and starts none."""
    if url is None:
        yield None
        return
    with open_engine(url) as engine:
        yield engine


def _row(item: Item, why: str) -> tuple[object, ...]:
    shared = out.size_text(item.shared) if item.shared else ""
    used = f"{out.age_text(item.last_used)} ({item.last_used_why})" if item.last_used else ""
    return item.kind, item.name, out.size_text(item.bytes), shared, used, why


def _planned(plan: Plan, as_json: bool, *, error: bool = False) -> None:
    if as_json:
        out.emit(plan.to_json())
        return
    if error:  # beside the JSON
        out.note(plan.words)
        return
    rows = [_row(item, "") for item in plan.items]
    rows += [_row(item, f"stays: {why}") for item, why in plan.kept]
    out.table(("KIND", "NAME", "BYTES", "SHARED", "USED", ""), rows)
    click.echo(out.neutralise(plan.words))


def _told(gone: Trashed, as_json: bool, more: str) -> None:
    if as_json:
        out.emit(gone)
        return
    click.echo(out.neutralise(f"{gone.words}\n{more}"))
    for text in gone.notes:
        out.note(text)


def _names(rows: Iterable[Any]) -> str:
    names = [str(row.get("name", "")) for row in rows]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
