"""Long work as the page shows it: the list, and for an opened job its log and its loss curve.

The jobs' room is plain (files and a database), so every call goes to a thread. A curve is read
on from the last row that is known, never from the beginning again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from traitlets import Dict, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._state import State

if TYPE_CHECKING:
    from workbench.jobs import Job

SHOWN = 12
CURVES = ("train_loss", "loss")
FIRST = "workbench.starter:prepare"
LOG_TAIL = 200  # lines


class JobsState(State):
    """`jobs` newest first; `curves` and `opened` by job id."""

    actions = frozenset({"open_log", "cancel", "resume", "build_starter"})
    jobs = TupleTrait(default_value=())
    curves = Dict()  # id -> tuple of (step's order, loss)
    opened = Unicode("")  # the job whose log is shown
    log = Unicode("")
    _seen = Dict()  # id -> the last row of its history that is known

    @property
    def preparing(self) -> Job | None:
        """The newest job that makes a first model and has not ended."""
        found = (job for job in self.jobs if job.kind in {"prepare", "starter"})
        return next((job for job in found if not job.ended), None)

    async def refresh(self, *, start: bool = True) -> None:
        """The list; curves of what runs; the opened log."""
        from workbench import jobs

        went = {job.id for job in self.jobs if not job.ended}
        self.jobs = tuple(await asyncio.to_thread(lambda: jobs.jobs(limit=SHOWN)))
        for job in self.jobs:
            news = not job.ended or job.id in went or job.id not in self._seen
            if news and not job.metrics.keys().isdisjoint(CURVES):
                await self._read_curve(job.id)
        if self.opened:
            self.log = await asyncio.to_thread(jobs.log_text, self.opened, tail=LOG_TAIL)

    async def _read_curve(self, id: str) -> None:
        from workbench import jobs

        after = self._seen.get(id, 0)
        rows = await asyncio.to_thread(jobs.history, id, after)
        values = tuple(row.metrics[name] for row in rows for name in CURVES if name in row.metrics)
        if values and self._seen.get(id, 0) == after:  # no other refresh was quicker
            self._seen[id] = rows[-1].id
            self.curves = {**self.curves, id: (*self.curves.get(id, ()), *values)}

    async def open_log(self, id: str) -> None:
        """Show this job's log; the same one again closes it."""
        self.opened, self.log = ("" if self.opened == id else id), ""
        await self.refresh()

    async def cancel(self, id: str) -> None:
        """Ask a job to end."""
        from workbench import jobs

        await asyncio.to_thread(jobs.cancel, id)
        await self.refresh()

    async def resume(self, id: str) -> None:
        """Go on from the job's last checkpoint."""
        from workbench import jobs

        await asyncio.to_thread(jobs.resume, id)
        await self.refresh()

    async def build_starter(self) -> None:
        """Make the first models, unless that is being done already."""
        from workbench import jobs

        await self.refresh()
        if self.preparing is None:
            title = "Make the first models"
            await asyncio.to_thread(lambda: jobs.submit(FIRST, title=title, kind="prepare"))
            await self.refresh()
