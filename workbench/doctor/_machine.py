"""Disk and main memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from workbench import settings
from workbench.doctor._check import GB, Check
from workbench.errors import WorkbenchError

_CONTEXT = 4096  # tokens that a model gets where nobody says


def disk() -> Iterator[Check]:
    """Free space where models and everything else are kept."""
    from workbench.hardware import disk_free

    fix = "Free some space: unused models are the quickest to go."
    home, models = settings.home(), settings.models_folder()
    for folder in [home] if models.is_relative_to(home) else [home, models]:
        free = disk_free(folder)
        ok = False if free < GB else None if free < 5 * GB else True
        message = f"{free / GB:.1f} GB free at {folder}"
        yield Check("disk", ok, message, fix, "workbench storage show")


def memory() -> Iterator[Check]:
    """Main memory that is left."""
    from workbench.hardware import memory

    total, free = memory()
    ok = False if free < 0.3 * GB else None if free < GB else True
    message = f"{free / GB:.1f} of {total / GB:.1f} GB available"
    fix, command = "Unload what you do not use.", "workbench models ps"
    yield Check("memory", ok, message, fix, command, "unload models", safe=True)
    yield from _too_large(total)


def _too_large(total: int) -> Iterator[Check]:
    """Models of the release in use that this machine cannot hold, with the context they ask for."""
    from workbench.fit import Load, corrected_memory, network_of
    from workbench.fit import memory as needed
    from workbench.library import Library
    from workbench.releases import current

    used, folder = current(), settings.models_folder()
    names = sorted({member.model for member in used.members}) if used and folder.is_dir() else []
    for name in names:
        with suppress(WorkbenchError, OSError, ValueError, TypeError):  # not here, or no network
            model = Library(folder).find(name)
            network = network_of(model.header)
            most = network.architecture.context or _CONTEXT
            load = Load(context=min(int(model.parameters.get("num_ctx") or _CONTEXT), most))
            taken = corrected_memory(needed(network, load), network.architecture.name, load)
            if taken.ram.low > total:
                message = (
                    f"{name} takes {taken.ram.value / GB:.1f} GB with its context of "
                    f"{load.context} tokens, and this machine has {total / GB:.1f}."
                )
                fix = "Set num_ctx lower, or take a smaller quantisation or a smaller model."
                yield Check("memory", False, message, fix)
