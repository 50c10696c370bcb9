"""What the views of the Versions panel have in common: each is a state that knows the panel's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool

from workbench.panels.states._doing import DoingState

if TYPE_CHECKING:
    from workbench.engines import Engine


class PartState(DoingState):
    """A view. `source` is the panel's state, which calls `look` when the view is opened and when
    releases, updates or the engine's models changed, else `tick` every second that it is shown."""

    source = AnyTrait(None, allow_none=True)
    busy = Bool(False)

    @property
    def jobs(self) -> Any:
        """Those of the page."""
        return self.source.jobs

    async def look(self) -> None:
        """Everything that is shown, anew. Nothing by default."""

    async def tick(self) -> None:
        """What may have changed by itself. Nothing by default."""

    def connected(self) -> Any:
        """A connection of this thread to the page's engine, which is not started. A context."""
        return connected(self.source.engine.url)


@contextmanager
def connected(url: str) -> Iterator[Engine]:
    """The engine at this address, or the one that runs here. Raises EngineError."""
    from workbench.engines import connect

    with connect(url or None, start=False) as engine:
        yield engine
