"""What takes the space, what of it would go, and the trash from which it comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.errors import EngineUnreachable
from workbench.panels.states._data_form import number_of
from workbench.panels.states._doing import toggled
from workbench.panels.states._versions_guard import GuardState

if TYPE_CHECKING:
    from workbench.engines import Engine
    from workbench.storage import Item, Plan, Survey

FIXED = ("trash", "store")  # kinds that no plan takes
ROWS = 40
NOT_PICKED = "not picked"
DAYS = "30"


@dataclass(frozen=True, slots=True)
class Share:
    """A kind of things in the picture: bytes, their share of all, how many."""

    kind: str
    bytes: int
    share: float
    count: int


def key_of(item: Item) -> str:
    """By which a row is picked."""
    return f"{item.kind} {item.name}"


class StorageState(GuardState):
    """`found` is the survey. A plan is of what is `picked`, else of all that was not used for
    `days`, of one `kind` where it is chosen. `sure` is what waits for a second click."""

    actions = GuardState.actions | {
        "survey", "show_kind", "sort", "pick", "weigh", "forget_plan", "prune", "undo", "wish",
        "empty", "show_more",
    }  # fmt: skip
    settable = GuardState.settable | {"sure", "days"}
    free = AnyTrait(None, allow_none=True)  # bytes of the disk
    looking = Bool(False)
    kind = Unicode("")
    order = Unicode("size")
    rows = Int(ROWS)
    picked = TupleTrait(default_value=())  # keys
    days = Unicode(DAYS)
    plan = AnyTrait(None, allow_none=True)
    trash = TupleTrait(default_value=())
    sure = Unicode("")
    done = Unicode("")  # what came of the last change, in a sentence
    undoable = Unicode("")  # the id of what went last

    @property
    def shares(self) -> list[Share]:
        """The kinds of this machine's things, the largest first; what models share counts once."""
        found: Survey | None = self.found
        if found is None:
            return []
        sizes: dict[str, int] = {}
        for item in found.items:
            if item.kind not in {"model", "remote"}:
                sizes[item.kind] = sizes.get(item.kind, 0) + item.bytes + item.shared
        models = found.total - sum(sizes.values())
        sizes |= {"model": models} if models else {}
        whole = found.total or 1
        return [
            Share(kind, size, size / whole, len(found.of(kind)))
            for kind, size in sorted(sizes.items(), key=lambda pair: -pair[1])
        ]

    @property
    def items(self) -> list[Item]:
        """What the table shows, sorted."""
        found: Survey | None = self.found
        if found is None:
            return []
        shown = found.of(self.kind) if self.kind else [*found.items]
        if self.order == "used":  # what was not used for longest first
            return sorted(shown, key=lambda one: (one.last_used is None, one.last_used or found.at))
        return sorted(shown, key=lambda one: -one.bytes - one.shared)

    @property
    def largest(self) -> int:
        """Bytes of the largest thing that is shown; 1 at least."""
        return max((one.bytes + one.shared for one in self.items), default=0) or 1

    @property
    def wrong_days(self) -> str:
        """What is wrong with the days, in a sentence; empty where nothing is."""
        return "" if number_of(self.days.strip()) is not None else "Write days as a number."

    @property
    def code(self) -> str:
        """Python that makes the same plan and carries it out."""
        lines = ["from workbench.storage import plan, prune, survey, undo", ""]
        lines += ["for item in survey().items:"]
        lines += ["    print(item.kind, item.name, item.bytes, item.last_used, item.needed_by)"]
        if not self.wrong_days:
            kinds, names = self._asked()
            given = f"{kinds!r}, {names!r}" if names else f"{kinds!r}, unused_days={self._days:g}"
            lines += [f"going = plan({given})", "print(going.words)"]
        return "\n".join([*lines, "# gone = prune(going); undo(gone.id)", ""])

    @property
    def _days(self) -> float:
        return number_of(self.days.strip()) or 0.0

    def _asked(self) -> tuple[list[str], list[str]]:
        """Kinds and names of the plan; without names it goes by age."""
        chosen = self.items_picked
        if chosen:
            return sorted({one.kind for one in chosen}), [one.name for one in chosen]
        return ([self.kind] if self.kind else []), []

    @property
    def items_picked(self) -> list[Item]:
        """The things behind what is picked, as far as they are there."""
        every = self.found.items if self.found is not None else ()
        return [one for one in every if key_of(one) in self.picked]

    async def look(self) -> None:
        if self.known:
            await self._refresh()
        else:
            await self.survey()

    async def survey(self) -> None:
        """Look again at everything."""
        self.looking = True
        try:
            await self._refresh()
        finally:
            self.looking = False

    async def _refresh(self) -> None:
        await self.ask(self._work_out, self._use)

    def _work_out(self) -> dict[str, Any]:
        """In a thread."""
        from workbench import hardware, settings, storage

        return {
            "found": self._survey(),
            "trash": tuple(storage.trash()),
            "protections": tuple(storage.protections()),
            "free": hardware.disk_free(settings.models_folder()),
        }

    def _survey(self) -> Survey:
        from workbench import storage

        found: Survey = self._by_engine(storage.survey)
        return found

    def _by_engine(self, work: Callable[[Engine | None], Any]) -> Any:
        """With the page's engine where it has one of its own; None is the engine in use, if any."""
        from workbench.engines import connect

        engine, url = None, self.source.engine.url
        if url:
            with suppress(EngineUnreachable):
                engine = connect(url, start=False)
        if engine is None:
            return work(None)
        with engine:
            return work(engine)

    def _use(self, found: Mapping[str, Any]) -> None:
        for name, value in found.items():
            self.set_trait(name, value)
        self.known = True
        there = {key_of(one) for one in self.found.items}
        self.picked = tuple(one for one in self.picked if one in there)

    def show_kind(self, value: str) -> None:
        """Only things of this kind; the same again: all."""
        self.kind = "" if value == self.kind else value
        self.rows, self.plan = ROWS, None

    def sort(self, value: str) -> None:
        """By size, or by how long it was not used."""
        self.order = value if value in ("size", "used") else self.order

    def show_more(self) -> None:
        """More rows of the table."""
        self.rows += ROWS

    def pick(self, value: str) -> None:
        """One more or less of what would go."""
        self.picked, self.plan, self.problem = toggled(self.picked, value), None, ""

    def forget_plan(self) -> None:
        """Rather not."""
        self.plan, self.sure, self.problem = None, "", ""

    async def weigh(self, name: str = "", value: str = "") -> None:
        """The dry run: what would go, what stays and why, what comes back."""
        if name == "days":
            self.days = value
        if self.wrong_days or self.found is None:
            return
        self.done, self.sure = "", ""
        kinds, names = self._asked()
        self.plan = await self._during(lambda: self._planned(kinds, names))

    def _planned(self, kinds: list[str], names: list[str]) -> Plan:
        from workbench import storage

        found = self._survey()
        if not names:
            return storage.plan(kinds, unused_days=self._days, found=found)
        others = [
            one if key_of(one) in self.picked
            else replace(one, protected_by=one.protected_by or NOT_PICKED)
            for one in found.items
        ]  # fmt: skip
        # names of several kinds may be alike: what was not picked is held back by itself
        made = storage.plan(kinds, ["*"], found=replace(found, items=tuple(others)), engine=None)
        kept = tuple((item, why) for item, why in made.kept if key_of(item) in self.picked)
        return replace(made, kept=kept)

    async def prune(self, sure: str = "") -> None:
        """Put all of the plan into the trash; what an engine of its own deletes wants a second
        click."""
        from workbench import storage

        plan: Plan | None = self.plan
        if plan is None or not plan.items or self.busy:
            return
        if plan.final and not (sure and sure == self.sure == "prune"):
            self.sure = "prune"
            return
        self.sure = ""
        gone = await self._with(lambda engine: storage.prune(plan, engine=engine, sure=plan.final))
        if gone is not None:
            self.plan, self.picked, self.undoable = None, (), gone.id
            self.done = " ".join([gone.words, *gone.notes])

    async def undo(self, id: str) -> None:
        """Bring back all that went with this id."""
        from workbench import storage

        back = await self._with(lambda engine: storage.undo(id, engine=engine))
        if back is not None:
            names = ", ".join(str(one["name"]) for one in (*back.items, *back.deleted)[:5])
            self.done = " ".join([f"Brought back: {names}.", *back.notes])
            self.undoable = ""

    def wish(self, value: str) -> None:
        """First click: delete this for good?"""
        self.sure, self.problem = value, ""

    async def empty(self, id: str = "") -> None:
        """Second click: delete for good what went with this id, or with none everything."""
        from workbench import storage

        if self.sure != (id or "everything"):
            return
        self.sure, older = "", None if id else 0.0
        gone = await self._with(lambda engine: storage.empty(id, older_than=older, engine=engine))
        if gone is not None:
            freed = sum(one.bytes for one in gone)
            stays = " What the engine has loaded stays." if not id and self.trash else ""
            self.done, self.undoable = f"Deleted for good: {freed:,} bytes came back.{stays}", ""

    async def _with(self, work: Callable[[Engine | None], Any]) -> Any:
        """Do it, and look again."""
        found = await self._during(lambda: self._by_engine(work))
        problem = self.problem
        await self._refresh()
        await self.source.engine.refresh(start=False)
        self.problem = self.problem or problem
        return found

    async def _during(self, work: Callable[[], Any]) -> Any:
        self.busy = True
        try:
            return await self.do(work)
        finally:
            self.busy = False
