"""The form that begins an update: which role gets which model, what is asked, what the gate wants.

What each step would do is told by the very plan that the update is begun with.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from traitlets import Any as AnyTrait
from traitlets import Tuple as TupleTrait

from workbench.errors import WorkbenchError
from workbench.panels.states._data_form import Fields, FormState, code_of, number_of
from workbench.panels.states._versions_make import wrong_role

if TYPE_CHECKING:
    from workbench.releases import Member

OTHER = "…"  # the choice that opens a field for any name
WORDS = ("reason", "purpose", "notes", "version", "file")
NUMBERS = ("limit", "seed")


class NewUpdateState(FormState):
    """`to:ROLE` is the candidate of a role, `name:ROLE` one that is typed; `plan` says what each
    step will do."""

    function = "workbench.versions.start"
    actions = FormState.actions | {"add_role"}
    fields: ClassVar[Fields] = {
        "suite": "", "gate": "not worse", "limit": "50", "seed": "", "reason": "", "purpose": "",
        "notes": "", "version": "", "file": "", "role": "",
    }  # fmt: skip
    plan = AnyTrait(None, allow_none=True)
    suites = TupleTrait(default_value=())  # name and title
    more_roles = TupleTrait(default_value=())  # that the release in use has not

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._planned: tuple[object, Any] = (None, None)
        self._suited = False  # whether a suite was offered

    @property
    def jobs(self) -> Any:
        """Those of the page."""
        return self.source.jobs

    @property
    def panel(self) -> Any:
        """The panel's state."""
        return self.source.source

    @property
    def members(self) -> tuple[Member, ...]:
        """Of the release in use."""
        used = self.panel.used
        return tuple(used.members) if used else ()

    @property
    def rows(self) -> list[tuple[str, Member | None]]:
        """Each role that can get another model, with its member now."""
        return [(one.role, one) for one in self.members] + [(r, None) for r in self.more_roles]

    def choices(self, role: str, member: Member | None) -> list[tuple[str, str]]:
        """Models that the role could have, twice."""
        engine = self.panel.engine
        vectors = role == "embedding" or (member is not None and member.embedding is not None)
        there = (
            [one for one in engine.models if "embedding" in one.capabilities]
            if vectors
            else engine.writers
        )
        now = member.digest if member else ""
        return [(one.name, one.name) for one in there if one.digest.removeprefix("sha256:") != now]

    def typed(self, role: str) -> bool:
        """Whether a name is written for this role instead of one being chosen."""
        return bool(self.texts.get(f"to:{role}") == OTHER)

    @property
    def roles(self) -> dict[str, str]:
        """The roles that get another model."""
        found = {}
        for role, _ in self.rows:
            name = f"name:{role}" if self.typed(role) else f"to:{role}"
            found[role] = str(self.texts.get(name, "")).strip()
        return {role: model for role, model in found.items() if model}

    @property
    def missing(self) -> str:
        if not self.members:
            return "There is no release in use yet: make the first one."
        return "" if self.roles else "Choose a candidate for a role."

    def given(self) -> tuple[list[Any], dict[str, Any]]:
        return [self.roles], self._asked() | {k: self.text(k) for k in WORDS if self.text(k)}

    def _asked(self) -> dict[str, Any]:
        """What changes what is done, as arguments; what is as usual is left out."""
        named: dict[str, Any] = {"suite": self.text("suite")} if self.text("suite") else {}
        named |= {name: number_of(self.text(name)) for name in NUMBERS if self.text(name)}
        named |= {"gate": self.text("gate")} if self.text("gate") != self.fields["gate"] else {}
        engine = self.panel.engine.url
        return named | ({"engine": engine} if engine else {})

    @property
    def code(self) -> str:
        if self.missing or self.problems:
            return ""
        after = (
            "from workbench.jobs import wait\nfrom workbench.versions import find\n\n"
            "update = {call}\nwait(update.job)\n"
            "for step in find(update.id).steps:\n    print(step.title, step.state, step.words)\n"
        )
        return code_of(self.function, self.given(), after)

    def check(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in NUMBERS:
            text, number = self.text(name), number_of(self.text(name))
            if text and (not isinstance(number, int) or (not number and name == "limit")):
                found[name] = "Write a whole number, or nothing."
        if self.text("role") and (wrong := self._wrong_role(self.text("role"))):
            found["role"] = wrong
        version = self.text("version")
        if any(one.version == version for one in self.panel.releases):
            found["version"] = f"There is a release {version} already."
        return found

    async def look(self) -> None:
        """The suites, once; then the form as it is, with what would be done."""
        if not self.suites:
            self.suites = await asyncio.to_thread(_suites)
        if not self._suited and self.members:
            self._suited = True
            self.texts = {**self.texts, "suite": self.text("suite") or self._usual_suite()}
        await self.ask(self._work_out, self._use)

    async def write(self, name: str, value: str) -> None:
        """Take what was typed or chosen, for a role too, whose field is there when it is drawn."""
        kind, _, role = name.partition(":")
        if kind in ("to", "name") and role in dict(self.rows) and name not in self.texts:
            self.texts = {**self.texts, name: ""}
        await super().write(name, value)

    def _usual_suite(self) -> str:
        """The one that was asked of what is in use last; "" where it never was."""
        known = dict(self.suites)
        rows = [row for one in self.members if not one.embedding for row in one.measured]
        rows.sort(key=lambda row: str(row.get("at", "")), reverse=True)
        return next((row["suite"] for row in rows if row.get("suite") in known), "")

    def _work_out(self) -> dict[str, Any]:
        """In a thread: what is wrong, and the plan where nothing is."""
        wrong, roles = self.check(), self.roles
        if wrong or not roles or not self.members:
            return {"problems": wrong, "plan": None}
        asked = self._asked() | {k: self.text(k) for k in ("version", "file") if self.text(k)}
        if self.panel.engine.engine is None:
            words = "No engine answers, so nobody can say what would be done. Start it."
            return {"problems": {"plan": words}, "plan": None}
        key = (roles, asked, self.panel.used, self.panel.engine.models)
        if key != self._planned[0]:
            from workbench import versions

            try:
                self._planned = key, versions.plan(roles, **asked)
            except WorkbenchError as error:
                return {"problems": {"plan": str(error)}, "plan": None}
        return {"problems": {}, "plan": self._planned[1]}

    def _use(self, found: dict[str, Any]) -> None:
        for name, value in found.items():
            self.set_trait(name, value)

    async def add_role(self, value: str | None = None) -> None:
        """One more role, that the release in use has not; from the keyboard, as it is typed."""
        text = (self.text("role") if value is None else value).strip()
        if text and not self._wrong_role(text):
            self.more_roles = (*self.more_roles, text)
            self.texts = {**self.texts, "role": ""}
        await self.look()

    def _wrong_role(self, text: str) -> str:
        """Why it cannot be added; empty where it can."""
        if text in dict(self.rows):
            return f"{text} stands above already."
        return wrong_role(text)

    def begin(self) -> None:
        """As at first."""
        self.texts, self.more_roles, self._suited = {**self.fields}, (), False
        self.plan, self.problems, self.problem, self.started = None, {}, "", ""

    async def follow(self, begun: Any) -> None:
        """Watch the update that was begun."""
        if begun is None:
            return
        self.begin()
        await self.source.jobs.refresh()
        await self.panel.changed()
        await self.source.open_update(begun.id)


def _suites() -> tuple[tuple[str, str], ...]:
    from workbench import tasks

    return tuple(sorted((one.name, one.title) for one in tasks.suites().values()))
