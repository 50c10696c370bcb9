"""The domains and the texts that are written: opened, changed, kept, deleted; each undoable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._versions_files_build import BuildState

if TYPE_CHECKING:
    from workbench.domains import Domain

NEW = """# title: My assistant
# about: What it is for, and what it is not.
# ask: A question to try it with.

FROM {base}

PARAMETER num_ctx 8192
PARAMETER temperature 0.3

SYSTEM \"\"\"You help people to …\"\"\"
"""


class ShelfState(BuildState):
    """`name` is the domain in the editor, "" a new Modelfile; `drafts` are texts that differ from
    what is kept, by domain. `before` is the text that the last click replaced."""

    actions = BuildState.actions | {
        "open", "write", "revert", "put_back", "keep", "wish", "forget", "bring_back",
    }  # fmt: skip
    settable = frozenset({"new_name", "deleting", "overwriting"})
    known = Bool(False)
    domains = TupleTrait(default_value=())
    unread = TupleTrait(default_value=())  # a sentence for each file that cannot be read
    name = Unicode("")
    drafts = Dict()
    before = AnyTrait(None, allow_none=True)
    new_name = Unicode("")
    deleting = Unicode("")
    overwriting = Unicode("")  # the domain of yours that a second click writes over
    removed = AnyTrait(None, allow_none=True)  # the Domain that was deleted last
    saved = Unicode("")  # what came of keeping or deleting, in a sentence
    unsaved = Unicode("")  # why it could not be

    @property
    def domain(self) -> Domain | None:
        """The one in the editor; None for a new Modelfile."""
        return next((one for one in self.domains if one.name == self.name), None)

    @property
    def kept(self) -> str:
        """The text as it is kept; of a new one what it begins with."""
        domain = self.domain
        if domain is not None:
            return str(domain.modelfile)
        return NEW.format(base=next(iter(self.bases), "starter:latest"))

    @property
    def text(self) -> str:
        """What stands in the editor."""
        return str(self.drafts.get(self.name, self.kept))

    @property
    def changed(self) -> bool:
        """Whether that is not what is kept."""
        return self.text.strip() != self.kept.strip()

    @property
    def written(self) -> Domain | str:
        domain = self.domain
        return replace(domain, modelfile=self.text) if domain is not None else self.text

    @property
    def from_(self) -> str:
        """What the text says that it is built on; "" for nothing."""
        said = (line.split(None, 1) for line in self.text.splitlines())
        return next((one[1] for one in said if len(one) > 1 and one[0].upper() == "FROM"), "")

    def draft(self, text: str) -> None:
        """Put a text into the editor."""
        others = {name: one for name, one in self.drafts.items() if name != self.name}
        self.drafts = others if text == self.kept else {**others, self.name: text}

    async def shelve(self) -> None:
        """Which domains there are, anew."""
        from workbench import domains

        found = await self.do(lambda: (tuple(domains.domains()), tuple(domains.problems())))
        if found is None:
            return
        self.domains, self.unread = found
        if not self.known:  # the first one is in the editor when the view is opened first
            self.name = self.domains[0].name if self.domains else ""
        self.known = True

    async def open(self, value: str) -> None:
        """This domain, or a new Modelfile, in the editor; what was written of others stays."""
        self.name, self.saved, self.unsaved, self.deleting = value, "", "", ""
        self.overwriting = ""
        self.called = self.new_name = self.built = self.build_problem = self.replacing = ""
        self.before, self.steps = None, ()
        await self.recheck()

    async def write(self, value: str) -> None:
        """What was typed."""
        self.draft(value)
        self.saved, self.replacing, self.before = "", "", None
        await self.recheck()

    async def revert(self) -> None:
        """As it is kept; what was written comes back by a click."""
        await self.swap(self.kept)

    async def put_back(self) -> None:
        """The text that the last click replaced."""
        if self.before is not None:
            text, self.before = self.before, None
            self.draft(text)
            await self.recheck()

    async def swap(self, text: str) -> None:
        """Another text in the editor, which can be taken back."""
        self.before = self.text
        self.draft(text)
        self.replacing = ""
        await self.recheck()

    async def keep(self, value: str = "", replace: str = "") -> None:
        """Keep the text among your domains: under its own name, or the one that was typed; another
        one of yours is written over by a second click only."""
        from workbench import domains

        self.new_name = value.strip() or self.new_name
        wanted, text, was = self.new_name.strip() or self.name, self.text, self.name
        mine = wanted in [one.name for one in self.domains if one.own]
        if mine and wanted != was and not (replace and replace == self.overwriting == wanted):
            self.overwriting = wanted
            return
        self.overwriting = ""
        made = await self._kept(lambda: domains.add(text, wanted, replace=mine))
        if made is None:
            return
        self.drafts = {name: one for name, one in self.drafts.items() if name not in (was, wanted)}
        await self.shelve()
        await self.open(made.name)
        self.saved = f"Kept as your domain {made.name}."

    def wish(self) -> None:
        """First click: delete this domain of yours?"""
        self.deleting, self.unsaved = self.name, ""

    async def forget(self) -> None:
        """Second click: delete it; models that were built of it stay."""
        from workbench import domains

        domain = self.domain
        if domain is None or self.deleting != domain.name:
            return
        self.deleting = ""
        await self._kept(lambda: domains.remove(domain.name))
        if self.unsaved:
            return
        self.removed = domain
        await self.shelve()
        shown = domain.name if self.domain is not None else next(
            (one.name for one in self.domains), "")  # fmt: skip
        await self.open(shown)
        self.saved = f"{domain.name} of yours was deleted."

    async def bring_back(self) -> None:
        """Undo the deletion."""
        from workbench import domains

        one, self.removed = self.removed, None
        if one is not None and await self._kept(lambda: domains.add(one.modelfile, one.name)):
            await self.shelve()
            await self.open(one.name)

    async def _kept(self, work: Callable[[], Any]) -> Any:
        """What the work returns; why it failed stands beside the button."""
        found = await self.do(work)
        self.unsaved, self.problem = self.problem, ""
        return found
