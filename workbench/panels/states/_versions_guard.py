"""Names that pruning leaves alone: the patterns, what each means, one more, one less."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traitlets import Any as AnyTrait
from traitlets import Bool, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._versions_part import PartState

if TYPE_CHECKING:
    from workbench.storage import Item


class GuardState(PartState):
    """`pattern` and `why` are what is typed; `unguarded` the protection that was taken away last,
    which one click puts back."""

    actions = frozenset({"protect", "unprotect", "guard_again"})
    settable = frozenset({"pattern", "why"})
    found = AnyTrait(None, allow_none=True)  # a Survey
    known = Bool(False)
    protections = TupleTrait(default_value=())
    pattern = Unicode("")
    why = Unicode("")
    unguarded = AnyTrait(None, allow_none=True)
    wrong_pattern = Unicode("")

    def meant(self, pattern: str) -> list[Item]:
        """The things that a pattern keeps."""
        from workbench.storage import protects

        every = self.found.items if self.found is not None and pattern.strip() else ()
        return [one for one in every if one.kind not in ("trash", "store")
                and protects(pattern, one)]  # fmt: skip

    async def protect(self, name: str = "", value: str = "") -> None:
        """Leave alone what has such a name; a name that is given stands for the field."""
        from workbench import storage

        if name in ("pattern", "why"):  # Enter in that field
            self.set_trait(name, value)
        pattern, why = self.pattern, self.why
        made = await self.do(lambda: storage.protect(pattern, why))
        self.wrong_pattern, self.problem = self.problem, ""
        if made is not None:
            self.pattern = self.why = ""
            self.unguarded = None
            await self._refresh()

    async def unprotect(self, pattern: str) -> None:
        """Take a protection away."""
        from workbench import storage

        one = next((one for one in self.protections if one.pattern == pattern), None)
        await self.do(lambda: storage.unprotect(pattern))
        self.wrong_pattern, self.problem = self.problem, ""
        self.unguarded = one if not self.wrong_pattern else None
        await self._refresh()

    async def guard_again(self) -> None:
        """Put the one back that was taken away last."""
        from workbench import storage

        one, self.unguarded = self.unguarded, None
        if one is not None:
            await self.do(lambda: storage.protect(one.pattern, one.why))
            await self._refresh()

    async def _refresh(self) -> None:
        """Look again at what there is."""
        raise NotImplementedError
