"""One run: the canary, the questions, the scores, what it was measured under."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import groupby
from statistics import fmean
from typing import Any

from workbench.bench import _keep as keep
from workbench.bench._ask import about_of, ask, reads_once, wanted_context
from workbench.bench._records import Answer, How, Plan, Run
from workbench.bench._score import scored
from workbench.bench._summary import summarise
from workbench.bench._tools import Helpers
from workbench.engines import AsyncEngine, aconnect
from workbench.errors import (
    BenchError,
    EngineBusy,
    EngineError,
    EngineUnreachable,
    ModelNotFound,
    NotEnoughMemory,
    WorkbenchError,
)
from workbench.jobs import JobCancelled, JobContext
from workbench.meter import Canary, clocks, load_average, memory, noise, probed, setting
from workbench.scorers import Sample, Tools
from workbench.tasks import Task, find_any

SLOTS = 4  # requests at once to an engine that does not say how many it has
_PATIENCE = 30  # tries, one a second, while an engine is busy or comes back
Question = tuple[Task, Sample, int]


class Cell:
    """Measures one plan. `share` is its place among the job's cells: (number, how many)."""

    def __init__(
        self, context: JobContext, plan: Plan, url: str | None, *, job: str = "", key: str = "",
        share: tuple[int, int] = (0, 1), canaries: dict[str, Canary] | None = None,
        given: Sequence[Answer] = (),
    ) -> None:  # fmt: skip
        self.plan, self._given = plan, given
        self._context, self._url, self._job, self._key = context, url, job, key
        self._number, self._cells = share
        self._canaries = {} if canaries is None else canaries  # of one job, by what was probed
        self._engine: AsyncEngine | None = None
        self._values: list[float] = []
        self._done = self._all = 0

    async def run(self) -> Run:
        """The finished run. Raises WorkbenchError; what was answered until then is kept."""
        self._engine = await aconnect(self._url)
        try:
            return await self._measure()
        finally:
            await self._engine.close()

    async def answers(self) -> bool:
        """Whether the engine can still be reached."""
        with suppress(EngineError):
            async with await aconnect(self._url):
                return True
        return False

    async def unload(self) -> None:
        """Free the model's memory, where that can be done."""
        with suppress(EngineError):
            async with await aconnect(self._url) as engine:
                await engine.unload(self.plan.model)

    @property
    def engine(self) -> AsyncEngine:
        assert self._engine is not None, "a cell is measured by run()"
        return self._engine

    async def _measure(self) -> Run:
        plan, suite = self.plan, find_any(self.plan.suite)
        self._say(0.0, f"{plan.model}: preparing {suite.title}")
        samples = {task.name: plan.samples(task) for task in suite.tasks}
        tasks = [
            {
                "name": task.name, "title": task.title, "weight": weight, "mode": task.mode,
                "metric": task.scorers[0].name, "count": len(samples[task.name]),
                "fingerprint": task.fingerprint(samples[task.name]), "how": "asked", "refused": "",
            }
            for task, weight in zip(suite.tasks, suite.weights, strict=True)
        ]  # fmt: skip
        digest = await self._digest()
        plan = replace(plan, name=plan.name or f"{plan.model} · {suite.title}")
        run = keep.begin(
            plan, digest=digest, tasks=tasks, suite=suite.name, facts={}, job=self._job,
            cell=self._key,
        )  # fmt: skip
        if run.digest != digest:
            raise BenchError(
                f"{plan.model} is another model than when this run began. Begin a new run."
            )
        try:
            return await self._answer(run, suite.tasks, samples)
        except (JobCancelled, asyncio.CancelledError):
            keep.note(run, state="stopped", ended_at=datetime.now(UTC))
            raise
        except WorkbenchError as error:
            keep.note(run, state="failed", error=str(error), ended_at=datetime.now(UTC))
            raise

    async def _answer(
        self, run: Run, tasks: Sequence[Task], samples: dict[str, tuple[Sample, ...]]
    ) -> Run:
        url, load, first = self.engine.url, load_average(), clocks(self.engine.url)
        context = wanted_context(tasks)
        options = {**({"num_ctx": context} if context else {}), **self.plan.options}
        await self.engine.load(self.plan.model, options=options)
        self._say(0.0, f"{self.plan.model}: how can it be asked?")
        asked = (self.engine, self.plan.model, run.digest, {task.mode for task in tasks}, options)
        canary = await probed(*asked, self._canaries)
        run = keep.note(run, canary=asdict(canary), tasks=_judged(run, tasks, canary))
        hows: dict[str, How] = {t["name"]: t["how"] for t in run.tasks if not t["refused"]}
        if not hows:
            raise BenchError(f"None of the tasks can be asked: {run.tasks[0]['refused']}")
        self._take(run, samples, hows)
        known = keep.answered(run)
        questions = [
            (task, sample, position)
            for task in tasks if task.name in hows
            for position, sample in enumerate(samples[task.name])
            if (task.name, sample.id) not in known
        ]  # fmt: skip
        self._done, self._all = len(known), len(known) + len(questions)
        helpers = await Helpers.find(self.engine, self.plan, tasks)
        before = clocks(url)
        await self._ask_all(run, questions, hows, context, helpers.tools())
        heard = noise(load, first, before, clocks(url))
        held = await memory(self.engine, self.plan.model)
        facts = await self._facts(options) | {"noise": asdict(heard), "memory": asdict(held)}
        run = keep.note(run, facts=facts | helpers.facts())
        await self._judge(run, helpers)
        if self.plan.speed:
            run = await self._speed(run)
        return summarise(keep.note(run, state="done", error=None, ended_at=datetime.now(UTC)))

    def _take(
        self, run: Run, samples: Mapping[str, Sequence[Sample]], hows: Mapping[str, How]
    ) -> None:
        """Keep the answers that were given, where they were asked as they would be here."""
        places = {(t, s.id, how): n for t, how in hows.items() for n, s in enumerate(samples[t])}
        found = [(one, places.get((one.task, one.sample, one.how))) for one in self._given]
        if found:
            keep.save(run, *(replace(one, position=n) for one, n in found if n is not None))

    async def _ask_all(
        self,
        run: Run,
        questions: Sequence[Question],
        hows: dict[str, How],
        context: int | None,
        tools: Tools,
    ) -> None:
        async def work(waiting: Iterator[Question], asking: asyncio.Semaphore) -> None:
            for task, sample, position in waiting:
                self._context.check_cancelled()
                async with asking:
                    answer = await self._asked(task, sample, hows[task.name], context)
                answer = replace(answer, position=position)
                if not Helpers.judged(task):
                    answer = await asyncio.to_thread(scored, task, answer, tools)
                await asyncio.to_thread(keep.save, run, answer)
                self._count(task, answer)

        slots = await self._slots()
        for _, same in groupby(questions, key=lambda question: question[0].name):
            some = list(same)
            alone = reads_once(some[0][0], [sample for _, sample, _ in some], slots)
            asking, waiting = asyncio.Semaphore(1 if alone else slots), iter(some)
            # more at work than asking: the engine need not wait for scores and the disk
            await together(work(waiting, asking) for _ in range(slots + 2))

    async def _asked(self, task: Task, sample: Sample, how: How, context: int | None) -> Answer:
        """The answer. After two breaks the question is given up, not the run."""
        broken = 0
        for _ in range(_PATIENCE):
            try:
                return await ask(self.engine, self.plan, task, sample, how, context)
            except (ModelNotFound, NotEnoughMemory):
                raise
            except EngineBusy:
                await asyncio.sleep(1)
            except EngineUnreachable:
                await self._reconnect()
            except EngineError as error:
                broken += 1
                if broken > 1 or error.status == 400:
                    return Answer(task.name, sample.id, 0, about_of(sample), how, error=str(error))
        raise EngineUnreachable(
            f"The engine did not come back within {_PATIENCE} tries. What was answered is kept: "
            "resume the job when it runs again."
        )

    async def _reconnect(self) -> None:
        await asyncio.sleep(1)
        if self._url is None:  # ours is started again where it ended
            with suppress(EngineError):
                old, self._engine = self._engine, await aconnect()
                if old is not None:
                    await old.close()

    async def _judge(self, run: Run, helpers: Helpers) -> None:
        """Grades by a model come last: both models together may not fit the memory."""
        waiting = [
            (task, answer) for task in helpers.judges
            for answer in keep.answers(run, task.name) if not answer.scores
        ]  # fmt: skip
        if waiting:
            await self.engine.unload(self.plan.model)
        tools = helpers.tools(judging=True)
        for task, answer in waiting:
            self._context.check_cancelled()
            judged = await asyncio.to_thread(scored, task, answer, tools)
            await asyncio.to_thread(keep.save, run, judged)
            self._say(0.97, f"{helpers.judge} grades {task.title}")

    async def _speed(self, run: Run) -> Run:
        from workbench.meter import measure_speed

        self._say(0.98, f"{self.plan.model}: how fast is it?")
        options = {k: v for k, v in self.plan.options.items() if k != "num_predict"}
        found = await measure_speed(self.engine, self.plan.model, options=options)
        return keep.note(run, speed=asdict(found))

    async def _facts(self, options: dict[str, Any]) -> dict[str, Any]:
        details = await self.engine.show(self.plan.model)
        return asdict(await setting(self.engine, self.plan.model, details, options))

    async def _digest(self) -> str:
        wanted = self.plan.model
        named = {wanted, f"{wanted}:latest"}
        found = [one for one in await self.engine.models() if one.name in named]
        if not found:
            raise ModelNotFound(
                f"The engine has no model {wanted!r}. Get it with: workbench models pull {wanted}",
                404,
            )
        return found[0].digest

    async def _slots(self) -> int:
        if self.plan.parallel > 0:
            return self.plan.parallel
        named = {self.plan.model, f"{self.plan.model}:latest"}
        told = [one.slots for one in await self.engine.running() if one.name in named]
        return next((slots for slots in told if slots), SLOTS)

    def _count(self, task: Task, answer: Answer) -> None:
        self._done += 1
        self._values += [answer.value] if answer.value is not None else []
        share = 0.95 * self._done / max(1, self._all)
        figures = {"score": fmean(self._values)} if self._values else {}
        words = f"{self.plan.model}: {task.title}, {self._done} of {self._all} answers"
        self._say(share, words, **figures)

    def _say(self, share: float, words: str, **figures: float) -> None:
        self._context.progress((self._number + share) / self._cells, words, **figures)


def _judged(run: Run, tasks: Sequence[Task], canary: Canary) -> list[dict[str, Any]]:
    """The run's tasks, with how each is asked or why it is not."""
    found = []
    for facts, task in zip(run.tasks, tasks, strict=True):
        usable = canary.verdict(task.mode)
        likely = task.mode in {"choice", "perplexity"}
        how = "generative" if usable.how == "generative" else "likelihood" if likely else "asked"
        refused = usable.reason if usable.how == "refused" else ""
        found.append(
            {**facts, "how": how, "refused": refused, "label": usable.label, "note": usable.reason}
        )
    return found


async def together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All at once; the first that fails ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
