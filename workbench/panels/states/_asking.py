"""States whose answers take a moment: worked out in a thread, and only the newest question waits.

While a slider is dragged or a word is typed, questions come faster than answers. What is asked
while a thread is busy replaces what was waiting, so that the last question always gets its answer
and never stands behind a queue of old ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from traitlets import Unicode

from workbench.errors import WorkbenchError
from workbench.panels.states._state import State


class AskingState(State):
    """`problem` says why the last question could not be answered."""

    problem = Unicode("")
    _waiting: tuple[Callable[[], Any], Callable[[Any], None]] | None = None
    _busy = False

    async def ask(self, work: Callable[[], Any], use: Callable[[Any], None]) -> None:
        """`use(work())` with `work` in a thread, unless something newer is asked meanwhile."""
        self._waiting = (work, use)
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting is not None:
                (work, use), self._waiting = self._waiting, None
                try:
                    answer = await asyncio.to_thread(work)
                except WorkbenchError as error:
                    self.problem = str(error)
                else:
                    self.problem = ""
                    use(answer)
        finally:
            self._busy = False
