"""`workbench hardware`: what this machine is, as far as this process may use it."""

from __future__ import annotations

import click

from workbench.cli._output import emit, facts, json_option, plain, size_text


@click.command()
@json_option
def hardware(as_json: bool) -> None:
    """Show what this machine is."""
    from workbench.hardware import disk_free, machine
    from workbench.settings import models_folder

    here = machine()
    folder = models_folder()
    if as_json:
        emit({**plain(here), "disk_free": disk_free(folder), "models_folder": folder})
        return
    cards = [
        f"{card.name}, {size_text(card.memory_free)} of {size_text(card.memory_total)} free"
        for card in here.gpus
    ]
    facts(
        (
            ("system", f"{here.system}, {here.architecture}"),
            ("processor", here.cpu),
            ("cores", f"{here.physical_cores} ({here.logical_cores} logical)"),
            ("instructions", ", ".join(here.instruction_sets)),
            (
                "memory",
                f"{size_text(here.memory_available)} of {size_text(here.memory_total)} free",
            ),
            ("graphics", "; ".join(cards) or "none"),
            ("disk", f"{size_text(disk_free(folder))} free for models"),
        )
    )
