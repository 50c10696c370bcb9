"""The release in use against the engine: its models there and the same, its vectors searchable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from workbench.doctor._check import Check

if TYPE_CHECKING:
    from workbench.engines import AsyncEngine, Engine

_LONGEST = 5  # differing models that are told one by one


async def release_models(engine: AsyncEngine) -> list[Check]:
    """Whether each role's model is installed, with the digest that the release names."""
    return await asyncio.to_thread(_release, engine)


def _release(engine: AsyncEngine) -> list[Check]:
    from workbench.releases import current
    from workbench.sync import plan_sync

    used = current()
    if used is None or engine.kind == "openai":
        return []
    with _plain(engine) as plain:
        steps = [step for step in plan_sync(plain, used).steps if step.roles]
    found = []
    for step in [one for one in steps if one.state != "here"][:_LONGEST]:
        roles = " and ".join(step.roles)
        if step.state == "missing":
            what = f"{step.model}, the {roles} model of {used.version}, is not installed."
        else:
            what = (
                f"{step.model}, the {roles} model of {used.version}, is another one now: its "
                f"digest is {step.found[:12]}, and {step.digest[:12]} was recorded."
            )
        commands = step.commands or (f"workbench versions sync {used.version}",)
        own = step.action != "by hand"
        fix = f"{step.words.rstrip('.')}. Or go back: workbench versions use previous."
        found.append(
            Check("release", False, what, fix, commands[0], "sync release" if own else "",
                  used.version if own else "", safe=step.action in {"copy", "make"})
        )  # fmt: skip
    if not found:
        return [Check("release", True, f"{used.version}: all of its {len(steps)} models are here")]
    return found


async def vectors(engine: AsyncEngine) -> list[Check]:
    """Whether the model that made each collection's vectors is the one that is installed."""
    return await asyncio.to_thread(_vectors, engine)


def _vectors(engine: AsyncEngine) -> list[Check]:
    from workbench.vectors import collections, mismatches

    names = collections()
    if not names or engine.kind == "openai":
        return []
    with _plain(engine) as plain:
        wrong = mismatches(plain)
    if not wrong:
        return [Check("vectors", True, f"{len(names)} collections, each with its model")]
    fix = "The texts are kept, and so are the old vectors until they are forgotten."
    return [
        Check("vectors", False, one.words, fix, None, *_anew(one.name, one.installed))
        for one in wrong
    ]


def _anew(name: str, installed: str) -> tuple[str, str]:
    """The action, where a model of that name is there to do it."""
    return ("embed anew", name) if installed else ("", "")


def _plain(engine: AsyncEngine) -> Engine:
    """The same engine for plain code."""
    from workbench.engines import Engine

    return Engine(engine.url, kind=engine.kind)
