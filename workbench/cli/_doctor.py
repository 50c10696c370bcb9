"""`workbench doctor`: every check on one line, and under each that fails what to do."""

from __future__ import annotations

import click

from workbench.cli._errors import FAILED
from workbench.cli._output import emit, json_option, neutralise

_MARKS = {True: ("ok", "green"), False: ("FAIL", "red"), None: ("note", "yellow")}


@click.command()
@click.option("--thorough", is_flag=True, help="Also read every byte of the models and run one.")
@json_option
@click.pass_context
def doctor(context: click.Context, thorough: bool, as_json: bool) -> None:
    """Check this installation and say what to do.

    Exits with 1 when a check fails; notes alone are no failure.
    """
    import asyncio

    from workbench.doctor import check

    checks = asyncio.run(check(thorough=thorough))
    if as_json:
        emit({"ok": all(item.ok is not False for item in checks), "checks": checks})
    else:
        width = max(len(item.name) for item in checks)
        for item in checks:
            mark, colour = _MARKS[item.ok]
            styled = click.style(f"{mark:<4}", fg=colour)
            click.echo(f"{styled}  {item.name.ljust(width)}  {neutralise(item.message)}")
            for advice in (item.fix, item.command and f"$ {item.command}"):
                if advice and item.ok is not True:
                    click.echo(f"{'':<{width + 8}}{neutralise(advice)}")
    if any(item.ok is False for item in checks):
        context.exit(FAILED)
