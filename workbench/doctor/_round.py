"""The round: all looks, in the order in which a person would repair what they find."""

from __future__ import annotations

from functools import partial

from workbench.doctor._check import Check, Look, each
from workbench.doctor._engine import engine_checks
from workbench.doctor._files import model_files
from workbench.doctor._home import home, packages, usable, variables
from workbench.doctor._machine import disk, memory
from workbench.doctor._work import interrupted_jobs, store


async def check(*, thorough: bool = False) -> list[Check]:
    """All findings. A thorough round reads every byte of the models, renders their templates and
    lets the smallest one say a token."""
    found = await each("home", home) + await each("settings", variables)
    looks: list[tuple[str, Look]] = []
    if usable():
        found += await engine_checks(thorough)
        looks = [("model files", partial(model_files, thorough)), ("store", store)]
        looks += [("jobs", interrupted_jobs), ("disk", disk), ("memory", memory)]
    for name, look in [*looks, ("packages", packages)]:
        found += await each(name, look)
    return [Check(item.name, True, item.message) if item.ok else item for item in found]
