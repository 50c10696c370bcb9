"""What doctor finds, with what our buttons do about it: on Home and in Versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traitlets import Any as AnyTrait
from traitlets import Bool
from traitlets import Tuple as TupleTrait

from workbench.panels.states._state import State

if TYPE_CHECKING:
    from workbench.doctor import Check, Fixed

# What takes long but is begun as a job, which can be watched and cancelled: a button may begin it.
JOBS = frozenset({"build starter", "build embedding model", "embed anew"})


class ChecksState(State):
    """`fixing` is the check whose fix is being done, `fixed` what came of the last one."""

    actions = frozenset({"run_checks", "repair"})
    checks = TupleTrait(default_value=())
    checking = Bool(False)
    fixing = AnyTrait(None, allow_none=True)
    fixed = AnyTrait(None, allow_none=True)

    async def run_checks(self) -> None:
        """What `workbench doctor` finds."""
        from workbench import doctor

        self.checking = True
        try:
            self.checks = tuple(await doctor.check())
        finally:
            self.checking = False

    def repair_of(self, check: Check) -> str:
        """What our button would do about it; empty where a person has to."""
        offered = check.safe or check.action in JOBS
        return check.action if check.ok is not True and offered else ""

    async def repair(self, name: str, deed: str, about: str = "") -> None:
        """Do what a finding of now offers, and look again."""
        wanted = (name, deed, about)
        known = (one for one in self.checks if (one.name, one.action, one.about) == wanted)
        found = next(known, None)
        if found is None or not self.repair_of(found) or self.fixing is not None:
            return
        self.fixing, self.fixed = found, None
        try:
            self.fixed = await self._fix(found)
        finally:
            self.fixing = None
        await self.run_checks()

    async def _fix(self, found: Check) -> Fixed:
        """With the page's own means where it has some, so that it shows what is going on."""
        from workbench import doctor

        if found.action == "build starter":
            await self.jobs.build_starter()
            return doctor.Fixed(True, "The first models are being made, as a job.")
        if found.action == "restart engine":
            await self.engine.drop()
        done = await doctor.fix(found)
        await self.engine.refresh(start=False)
        await self.jobs.refresh()
        return done
