"""States that also change something: what is done is done, whatever is asked meanwhile.

Of questions only the newest is answered (`ask`); a deletion or a vote must never be dropped so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from workbench.errors import WorkbenchError
from workbench.panels.states._asking import AskingState


def toggled(names: Sequence[str], name: str) -> tuple[str, ...]:
    """The names without this one; with it, where it was not among them."""
    fewer = tuple(one for one in names if one != name)
    return fewer if len(fewer) < len(names) else (*names, name)


class DoingState(AskingState):
    """`problem` also says why something could not be done."""

    async def do(self, work: Callable[[], Any]) -> Any:
        """What `work` returns in a thread; None where it failed, with the reason in `problem`."""
        try:
            done = await asyncio.to_thread(work)
        except WorkbenchError as error:
            self.problem = str(error)
            return None
        self.problem = ""
        return done
