"""One finding, and how the parts of the doctor are asked so that none can break the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from workbench.errors import WorkbenchError

GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `ok` is None for a note; `fix` says what to do and `command` does it.

    `action` names what `fix()` does about it ("" is nothing), `about` what it does that to. None
    loses anything; a `safe` one takes neither long nor much of the network, so that it may be done
    without asking again.
    """

    name: str
    ok: bool | None
    message: str
    fix: str | None = None
    command: str | None = None
    action: str = ""
    about: str = ""
    safe: bool = False


Look = Callable[[], Iterator[Check]]


async def each(name: str, look: Look) -> list[Check]:
    """What a look finds, in a thread; one that fails itself is a finding, never a traceback."""
    return await guarded(name, asyncio.to_thread(lambda: list(look())))


async def guarded(name: str, finding: Awaitable[list[Check]]) -> list[Check]:
    """The findings, or one that says why there are none."""
    try:
        return await finding
    except Exception as error:
        return [failed(name, error)]


def failed(name: str, error: Exception) -> Check:
    """The finding that a check failed itself."""
    unforeseen = f"The check itself failed ({type(error).__name__}: {error})."
    return Check(name, False, str(error) if isinstance(error, WorkbenchError) else unforeseen)
