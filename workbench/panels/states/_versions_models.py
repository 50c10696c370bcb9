"""The models of the releases: whether they are here, where they come from, other names of them,
which of two answers better."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from traitlets import Any as AnyTrait
from traitlets import Bool, Unicode
from traitlets import Tuple as TupleTrait

from workbench.errors import WorkbenchError
from workbench.panels.states._data_form import Fields, FormState
from workbench.panels.states._train_lineage import Plan, plan
from workbench.panels.states._versions_part import PartState

if TYPE_CHECKING:
    from workbench.releases import Ancestry


class AliasState(FormState):
    """The form that gives a model another name. `gone` is the alias that was forgotten last."""

    actions = FormState.actions | {"forget", "undo"}
    fields: ClassVar[Fields] = {"alias": "", "model": ""}
    gone = AnyTrait(None, allow_none=True)

    @property
    def model(self) -> Any:
        """The one that is chosen, else the first; None where there is none."""
        there = self.source.source.engine.models
        chosen = (one for one in there if one.name == self.text("model"))
        return next(chosen, there[0] if there else None)

    @property
    def missing(self) -> str:
        if self.model is None:
            return "There is no model to name yet."
        return "" if self.text("alias") else "Write a name, such as candidate."

    @property
    def code(self) -> str:
        if self.missing or self.problems:
            return ""
        return (
            "from workbench.releases import model, set_alias\n\n"
            f"set_alias({self.text('alias')!r}, {self.model.name!r}, {self.model.digest!r})\n"
            f"print(model({self.text('alias')!r}))\n"
        )

    async def start(self, name: str = "", value: str = "") -> None:
        """Set it, whatever it stood for before."""
        from workbench import releases

        if name in self.texts:
            self.texts = {**self.texts, name: value}
        if self.missing:
            return
        alias, model = self.text("alias"), self.model
        digest = model.digest.removeprefix("sha256:")
        if await self.do(lambda: releases.set_alias(alias, model.name, digest)):
            self.texts, self.gone = {**self.texts, "alias": ""}, None
        await self.source.look()

    async def forget(self, alias: str) -> None:
        """Take an alias away; its model stays."""
        from workbench import releases

        gone = next((one for one in self.source.aliases if one.alias == alias), None)
        await self.do(lambda: releases.remove_alias(alias))
        self.gone = gone if not self.problem else None
        await self.source.look()

    async def undo(self) -> None:
        """Put the one back that was forgotten last."""
        from workbench import releases

        one, self.gone = self.gone, None
        if one is not None:
            await self.do(lambda: releases.set_alias(one.alias, one.model, one.digest))
            await self.source.look()


class FamilyState(PartState):
    """`steps` say of each model of the release in use whether it is here; `subject` is the model
    whose family is drawn; `a`, `b` and `role` are what is compared."""

    actions = frozenset({"see", "weigh", "bring", "stop_bringing"})
    steps = TupleTrait(default_value=())  # of the room sync
    aliases = TupleTrait(default_value=())
    known = Bool(False)
    subject = Unicode("")
    family = AnyTrait(None, allow_none=True)  # an Ancestry
    plan = AnyTrait(None, allow_none=True)
    unread = Unicode("")  # why there is no family
    a = Unicode("")
    b = Unicode("")
    role = Unicode("")
    comparison = AnyTrait(None, allow_none=True)
    incomparable = Unicode("")
    bringing = AnyTrait(None, allow_none=True)  # a Progress while models are brought here
    left = AnyTrait(None, allow_none=True)  # seconds
    brought = TupleTrait(default_value=())  # how each ended

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.alias = AliasState(source=self)
        self._halt = False

    @property
    def names(self) -> list[str]:
        """Models whose family can be drawn: of the release first."""
        used = self.source.used
        members = [one.model for one in used.members] if used else []
        return list(dict.fromkeys([*members, *(one.name for one in self.source.engine.models)]))

    @property
    def shown(self) -> str:
        """The model whose family is drawn."""
        names = self.names
        return self.subject if self.subject in names else next(iter(names), "")

    @property
    def to_pull(self) -> int:
        """Bytes of the models that are pulled when they are brought here, about."""
        used = self.source.used
        pulled = [one for one in self.steps if one.action == "pull" and one.roles]
        members = (used.role(one.roles[0]) for one in pulled if used)
        return sum(one.size for one in members if one)

    @property
    def roles(self) -> list[str]:
        """That both releases have which are compared."""
        first, second = self._pair()
        both = [one.role for one in first.members] if first else []
        return [role for role in both if second and second.role(role)]

    def _pair(self) -> tuple[Any, Any]:
        """The releases that are compared: the two that were chosen, else the newest two."""
        every = self.source.releases
        named = {one.version: one for one in every}
        b = named.get(self.b, self.source.used)
        a = named.get(self.a) or named.get(b.parent if b else "")
        return a or next((one for one in every if one is not b), None), b

    @property
    def pair(self) -> tuple[str, str]:
        """Their versions; "" for none."""
        a, b = self._pair()
        return (a.version if a else "", b.version if b else "")

    async def look(self) -> None:
        await self.ask(self._work_out, self._use)

    def _work_out(self) -> dict[str, Any]:
        """In a thread."""
        from workbench import releases

        found: dict[str, Any] = {"aliases": tuple(releases.aliases()), "known": True}
        found |= {"steps": (), "unread": "", "family": None, "plan": None}
        try:
            with self.connected() as engine:
                found |= self._asked(engine)
        except WorkbenchError:  # no engine answers: what the store knows
            found |= self._asked(None)
        return found | self._compared()

    def _asked(self, engine: Any) -> dict[str, Any]:
        """With the engine, where there is one."""
        from workbench import releases
        from workbench.sync import plan_sync

        used = self.source.used
        found: dict[str, Any] = {}
        if engine is not None and used is not None:
            found["steps"] = plan_sync(engine, used).steps
        if self.shown:
            try:
                family = releases.ancestry(self.shown, engine)
            except WorkbenchError as error:
                return found | {"unread": str(error)}
            found |= {"family": family, "plan": drawn(family)}
        return found

    def _compared(self) -> dict[str, Any]:
        from workbench import releases

        a, b = self._pair()
        roles = self.roles
        role = self.role if self.role in roles else next(iter(roles), "")
        if a is None or b is None or not role:
            return {"comparison": None, "incomparable": ""}
        try:
            return {"comparison": releases.compare(a, b, role), "incomparable": ""}
        except WorkbenchError as error:
            return {"comparison": None, "incomparable": str(error)}

    def _use(self, found: Mapping[str, Any]) -> None:
        for name, value in found.items():
            self.set_trait(name, value)

    async def see(self, value: str) -> None:
        """The family of this model."""
        self.subject = value
        await self.look()

    async def weigh(self, name: str, value: str) -> None:
        """Another release, or another role, in the comparison."""
        if name in ("a", "b", "role"):
            self.set_trait(name, value)
            await self.look()

    async def bring(self) -> None:
        """Get the models of the release that are missing, as far as that can be done here."""
        if self.bringing is not None or self.source.used is None:
            return
        from workbench.types import Progress

        self._halt, self.brought, self.left = False, (), None
        self.bringing = Progress("Beginning")
        loop = asyncio.get_running_loop()
        try:
            await self.do(lambda: self._bring(loop))
        finally:
            self.bringing = None
        problem = self.problem
        await self.source.engine.refresh(start=False)
        await self.look()
        self.problem = self.problem or problem

    def stop_bringing(self) -> None:
        """End after the piece that is on its way; what came is kept, and it goes on from there."""
        self._halt = True

    def _bring(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread."""
        from workbench.sync import Synced, sync

        ended: list[Synced] = []
        began, last = monotonic(), 0.0
        with self.connected() as engine:
            for one in sync(engine, self.source.used):
                now = monotonic()
                if isinstance(one, Synced):
                    ended.append(one)
                    began = now
                elif now - last > 0.2:
                    last, share = now, one.fraction
                    left = (now - began) * (1 - share) / share if share else None
                    loop.call_soon_threadsafe(self._tell, one, left)
                if self._halt:
                    break
        loop.call_soon_threadsafe(setattr, self, "brought", tuple(ended))

    def _tell(self, progress: Any, left: float | None) -> None:
        if self.bringing is not None:
            self.bringing, self.left = progress, left


def drawn(family: Ancestry) -> Plan:
    """Where everything of a family stands; its parts are named as those of a lineage."""
    return plan(family)  # type: ignore[arg-type]
