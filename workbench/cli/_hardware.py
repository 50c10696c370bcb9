"""`workbench hardware`: what this machine is and does, and the named ones to ask about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from workbench.cli._output import emit, facts, json_option, plain, size_text, table

if TYPE_CHECKING:
    from workbench.fit import Profile


@click.command()
@click.option("--profiles", is_flag=True, help="List the machines that can be asked about instead.")
@json_option
def hardware(profiles: bool, as_json: bool) -> None:
    """Show what this machine is."""
    from workbench.fit import latest_calibration
    from workbench.hardware import disk_free, machine
    from workbench.settings import models_folder

    if profiles:
        _print_profiles(as_json)
        return
    here = machine()
    folder = models_folder()
    measured = latest_calibration()
    if as_json:
        facts_here = {**plain(here), "disk_free": disk_free(folder), "models_folder": folder}
        emit({**facts_here, "calibration": measured})
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
            ("calibrated", _calibration_text(measured)),
        )
    )


def _calibration_text(measured: Mapping[str, Any] | None) -> str:
    if measured is None:
        return "not yet: `workbench catalogue calibrate` takes about 40 s"
    return str(measured.get("summary") or measured["at"])


def _print_profiles(as_json: bool) -> None:
    from workbench.machines import profiles, this_machine

    found = (this_machine(), *profiles().values())
    if as_json:
        emit(found)
        return
    rows = [
        (one.name, one.title, size_text(one.memory), _cards(one), size_text(one.bandwidth) + "/s",
         one.source)
        for one in found
    ]  # fmt: skip
    table(("NAME", "MACHINE", "MEMORY", "GRAPHICS", "BANDWIDTH", "SOURCE"), rows)


def _cards(profile: Profile) -> str:
    return ", ".join(f"{card.name} {size_text(card.memory)}" for card in profile.gpus) or "none"
