"""Whether all is well: what doctor finds, every byte of the models read, what is broken mended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Unicode

from workbench.errors import EngineError, WorkbenchError
from workbench.panels.states._checks import ChecksState
from workbench.panels.states._versions_part import PartState

if TYPE_CHECKING:
    from workbench.integrity import Fault, Outcome, Pace, Report
    from workbench.types import Progress

OFTEN = 0.2  # seconds between two pictures of how far it is


class _Stopped(Exception):
    """Somebody asked to stop."""


def key_of(fault: Fault) -> str:
    """By which a fault is known on the page."""
    return f"{fault.kind} {fault.subject} {fault.digest[-12:]}"


class HealthState(PartState, ChecksState):
    """`pace` says how far reading is; `report` is the last one; `mending` the key of the fault that
    is being mended, `mended` what came of each, by key."""

    actions = ChecksState.actions | {"verify", "stop", "mend", "mend_all", "choose", "flip"}
    scope = Unicode("")  # the model that is read; empty for all
    anew = Bool(False)  # whether what was read in the last day is read again
    reading = Bool(False)
    stopping = Bool(False)
    stopped = Bool(False)  # whether the last check was
    pace = AnyTrait(None, allow_none=True)
    report = AnyTrait(None, allow_none=True)
    sound = Dict()  # model to the time since when all of its bytes are known to be right
    limit = Unicode("")  # what cannot be told of this engine
    mending = Unicode("")
    step = AnyTrait(None, allow_none=True)  # a Progress of the repair
    left = AnyTrait(None, allow_none=True)  # seconds of the repair
    mended = Dict()
    _seen = AnyTrait(None, allow_none=True)  # which engine and models the checks saw

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._halt = Event()

    @property
    def engine(self) -> Any:
        """The page's."""
        return self.source.engine

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What the last check found, the worst first."""
        report: Report | None = self.report
        return report.faults if report is not None else ()

    @property
    def mendable(self) -> list[Fault]:
        """Faults that break models, can be mended, and were not."""
        return [
            one for one in self.faults
            if one.harmful and one.repair is not None and not self._whole(one)
        ]  # fmt: skip

    def outcome(self, fault: Fault) -> Outcome | None:
        """What came of mending it."""
        found: Outcome | None = self.mended.get(key_of(fault))
        return found

    def key(self, fault: Fault) -> str:
        """By which it is known on the page."""
        return key_of(fault)

    def _whole(self, fault: Fault) -> bool:
        found = self.outcome(fault)
        return found is not None and found.done

    @property
    def code(self) -> str:
        """Python that does the same."""
        names = f"names=[{self.scope!r}]" if self.scope else ""
        given = ", ".join(filter(None, [names, "resume=False" if self.anew else ""]))
        return (
            "from workbench import connect\nfrom workbench.integrity import repair, verify\n\n"
            f"report = verify({given})\nprint(report.ok, report.models)\n"
            "with connect() as engine:\n    for fault in report.faults:\n"
            "        print(fault.words, fault.affects)\n"
            "        print(repair(fault, engine).words)\n"
        )

    async def look(self) -> None:
        """Since when the models are known to be whole; the checks, where something changed."""
        await self.ask(self._work_out, self._use)
        here = (self.engine.engine, tuple(model.name for model in self.engine.models))
        if here != self._seen and not self.checking:
            self._seen = here
            await self.run_checks()

    def _work_out(self) -> dict[str, Any]:
        from workbench import integrity

        engine = self.engine.engine
        limit = integrity.limits(engine.kind) if engine is not None else ""
        return {"sound": integrity.checked_at(), "limit": limit}

    def _use(self, found: Mapping[str, Any]) -> None:
        for name, value in found.items():
            self.set_trait(name, value)
        if self.scope not in self.sound:
            self.scope = ""

    def choose(self, value: str) -> None:
        """Which model is read; empty for all."""
        self.scope = value

    def flip(self) -> None:
        """Whether what was read in the last day is read again."""
        self.anew = not self.anew

    async def verify(self) -> None:
        """Read every byte of the models, or of the chosen one."""
        from workbench import integrity

        if self.reading or self.mending:
            return
        self._halt.clear()
        self.reading, self.stopped, self.pace, self.mended = True, False, None, {}
        tell, names, resume = (
            self._teller("pace"),
            [self.scope] if self.scope else None,
            not self.anew,
        )
        try:
            report = await self.do(
                lambda: _stoppable(
                    lambda: integrity.verify(names=names, progress=tell, resume=resume)
                )
            )
        finally:
            self.reading, self.stopping = False, False
        if report is not None:
            self.report = report
        else:
            self.stopped = self._halt.is_set()
        problem = self.problem
        await self.ask(self._work_out, self._use)
        self.problem = self.problem or problem

    def stop(self) -> None:
        """End the reading or the repair; the next check goes on where this one was."""
        if self.reading or self.mending:
            self.stopping = True
            self._halt.set()

    async def mend(self, id: str) -> None:
        """Do what this fault's repair says."""
        fault = next((one for one in self.faults if key_of(one) == id), None)
        if fault is None or fault.repair is None or self.mending or self.reading:
            return
        self._halt.clear()
        await self._mend(fault)
        await self._after()

    async def mend_all(self) -> None:
        """Mend what breaks models, one after the other."""
        if self.mending or self.reading:
            return
        self._halt.clear()
        for fault in self.mendable:
            if not self._halt.is_set():
                await self._mend(fault)
        await self._after()

    async def _mend(self, fault: Fault) -> None:
        self.mending, self.step, self.left = key_of(fault), None, None
        tell = self._teller("step")
        try:
            outcome = await self.do(lambda: _stoppable(lambda: self._repaired(fault, tell)))
        finally:
            self.mending, self.step, self.left, self.stopping = "", None, None, False
        if outcome is not None:
            self.mended = {**self.mended, key_of(fault): outcome}

    def _repaired(self, fault: Fault, tell: Callable[[Progress], None]) -> Outcome:
        from workbench import integrity

        try:
            with self.connected() as engine:
                return integrity.repair(fault, engine, progress=tell)
        except EngineError:
            if fault.repair is not None and fault.repair.way == "pull":
                raise
            return integrity.repair(fault, progress=tell)

    async def _after(self) -> None:
        """What is known of the models, and what doctor says, after a repair."""
        problem = self.problem
        await self.engine.refresh(start=False)
        await self.ask(self._work_out, self._use)
        await self.run_checks()
        self.problem = self.problem or problem

    def _teller(self, trait: str) -> Callable[[Any], None]:
        """Called in the thread that works: shows now and then how far it is, and stops it."""
        loop, halt = asyncio.get_running_loop(), self._halt
        began, last = monotonic(), 0.0

        def tell(news: Pace | Progress) -> None:
            nonlocal last
            if halt.is_set():
                raise _Stopped
            now = monotonic()
            if now - last >= OFTEN:
                last, share = now, news.fraction
                left = (now - began) * (1 - share) / share if share else None
                loop.call_soon_threadsafe(self._show, trait, news, left)

        return tell

    def _show(self, trait: str, news: object, left: float | None) -> None:
        if self.reading or self.mending:
            self.set_trait(trait, news)
            self.left = left

    def close(self) -> None:
        self._halt.set()


def _stoppable(work: Callable[[], Any]) -> Any:
    """What the work returns; None where it was stopped."""
    try:
        return work()
    except _Stopped:
        return None
    except WorkbenchError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise WorkbenchError(
            f"The disk refused ({reason}). Look at it, then check again."
        ) from error
