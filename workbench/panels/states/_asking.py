"""States whose answers take a moment: worked out in a thread, and only the newest question waits.

While a slider is dragged or a word is typed, questions come faster than answers. Of what
is asked while a thread is busy only the last is answered, so that it never stands behind a queue
of old questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from traitlets import Instance, Unicode

from workbench.errors import WorkbenchError
from workbench.panels.states._state import State


class AskingState(State):
    """`problem` says why the last question could not be answered."""

    problem = Unicode("")
    _turn = Instance(asyncio.Lock, ())
    _newest: object = None

    async def ask(self, work: Callable[[], Any], use: Callable[[Any], None]) -> None:
        """`use(work())` with `work` in a thread, unless something newer is asked meanwhile."""
        self._newest = asked = object()
        async with self._turn:
            if asked is self._newest:
                try:
                    answer = await asyncio.to_thread(work)
                except WorkbenchError as error:
                    self.problem = str(error)
                else:
                    self.problem = ""
                    use(answer)
