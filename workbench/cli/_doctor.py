"""`workbench doctor`: every check on one line, and under each that fails what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from workbench.cli._errors import FAILED
from workbench.cli._output import emit, json_option, neutralise

if TYPE_CHECKING:
    from workbench.doctor import Check, Fixed

_MARKS = {True: ("ok", "green"), False: ("FAIL", "red"), None: ("note", "yellow")}


@click.command()
@click.option("--thorough", is_flag=True, help="Also read every byte of the models and run one.")
@click.option("--fix", "mend", is_flag=True, help="Do what can be done at once and loses nothing.")
@json_option
@click.pass_context
def doctor(context: click.Context, thorough: bool, mend: bool, as_json: bool) -> None:
    """Check this installation and say what to do.

    Exits with 1 when a check fails; notes alone are no failure. With --fix it looks again when it
    has done what it can, and what is shown is how things are then.
    """
    import asyncio

    from workbench.doctor import check

    checks = asyncio.run(check(thorough=thorough))
    done: list[tuple[Check, Fixed]] = []
    if mend:
        done = asyncio.run(_mend(checks))
        checks = asyncio.run(check(thorough=thorough)) if done else checks
    if as_json:
        document = {"ok": all(item.ok is not False for item in checks), "checks": checks}
        rows = [{"name": item.name, "action": item.action, "done": end.done, "words": end.words}
                for item, end in done]  # fmt: skip
        emit(document | {"fixed": rows} if mend else document)
    else:
        for _, end in done:
            mark = click.style("done" if end.done else "not ", fg="green" if end.done else "red")
            click.echo(f"{mark}  {neutralise(end.words)}")
        _show(checks)
    if any(item.ok is False for item in checks):
        context.exit(FAILED)


async def _mend(checks: list[Check]) -> list[tuple[Check, Fixed]]:
    """Each safe action once, in the order of the findings."""
    from workbench.doctor import fix

    offered = {(one.action, one.about): one for one in checks if one.safe and one.ok is not True}
    return [(one, await fix(one)) for one in offered.values()]


def _show(checks: list[Check]) -> None:
    width = max(len(item.name) for item in checks)
    for item in checks:
        mark, colour = _MARKS[item.ok]
        styled = click.style(f"{mark:<4}", fg=colour)
        click.echo(f"{styled}  {item.name.ljust(width)}  {neutralise(item.message)}")
        for advice in (item.fix, item.command and f"$ {item.command}"):
            if advice and item.ok is not True:
                click.echo(f"{'':<{width + 8}}{neutralise(advice)}")
