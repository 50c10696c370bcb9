"""Which model for which task: what was asked, and what `workbench.advice` recommends."""

from __future__ import annotations

from traitlets import Any as AnyTrait
from traitlets import Unicode

from workbench.panels.states._asking import AskingState


class RecommendState(AskingState):
    """`found` is for `task` on the machine of `source`; `tasks` are what can be asked for."""

    settable = frozenset({"task", "size"})
    actions = frozenset({"choose"})
    source = AnyTrait(None, allow_none=True)  # the catalogue's state
    task = Unicode("code_generation")
    size = Unicode("")  # a size class that is preferred
    found = AnyTrait(None, allow_none=True)
    tasks = AnyTrait(())

    async def choose(self, trait: str, value: str) -> None:
        """Another task or another preferred size."""
        self.put(trait, value)
        await self.look()

    async def look(self) -> None:
        """Ask again."""
        from workbench.advice import recommend, tasks

        self.tasks = tuple(tasks().values())
        catalogue, profile = self.source.catalogue, self.source.profile
        task, size = self.task, self.size or None
        await self.ask(
            lambda: recommend(catalogue, task, profile, preferred_size=size),
            lambda found: self.set_trait("found", found),
        )
