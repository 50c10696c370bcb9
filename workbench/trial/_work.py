"""What runs on the event loop: probe the model, load it, ask in three phases, score, grade.

The phases: alone (latency), at once (throughput), and the rest, which tells quality only. Scorers
that take time run after the phase whose clock they would disturb; a judge comes last, since both
models together may not fit the memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from workbench.bench import Answer, Helpers, How, Plan, scored, together
from workbench.errors import TrialFailed
from workbench.meter import Canary, probed
from workbench.tasks import Task
from workbench.trial._asking import Asker
from workbench.trial._keep import Key
from workbench.trial._questions import Question
from workbench.trial._setting import Setting
from workbench.trial._speed import Crowd, Time

_SLOW = {"python_tests", "similarity"}  # scorers that would take the engine's processors
_SCORING = 2  # slow ones at once
Keep = Callable[[Key, float, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Share:
    """One question's part of a measurement: how it is posed, and the keys of its answers."""

    question: Question
    task: Task  # as the setting poses it
    how: How
    keys: Sequence[Key]  # one of each draw


@dataclass(frozen=True, slots=True)
class Job:
    """A question to ask, and what for."""

    share: Share
    draw: int
    side: Literal["alone", "at once", ""]  # "" tells no speed
    valued: bool  # whether its value is wanted; else its time alone

    @property
    def key(self) -> Key:
        """Of the answer."""
        return self.share.keys[self.draw]

    @property
    def seed(self) -> int:
        """The draw's own, whatever the setting."""
        text = f"{self.share.question.key} {self.draw}"
        return int(hashlib.sha256(text.encode()).hexdigest()[:7], 16)


@dataclass(slots=True)
class State:
    """What is known of one point beside its answers."""

    draws: int = 1  # answers to each question where chance has a part
    prepared: bool = False  # the last draw was asked before its measurement
    early: int = 0  # requests that were made before a measurement, and belong to it
    shares: Sequence[Share] = ()  # of the last measurement
    times: dict[str, list[Time]] = field(default_factory=dict)  # by question's key
    crowds: list[Crowd] = field(default_factory=list)
    seen: set[Key] = field(default_factory=set)
    mine: set[Key] = field(default_factory=set)  # answers that were not known before this point


class Work:
    """Asks and scores. `values` has an answer's value (None: nothing could score it) and cost."""

    def __init__(
        self, asker: Asker, tasks: Sequence[Task], judge: str, keep: Keep,
        canaries: dict[str, Canary], *, texts: bool,
    ) -> None:  # fmt: skip
        self.asker, self.judge, self._canaries, self._texts = asker, judge, canaries, texts
        self.values: dict[Key, tuple[float | None, Mapping[str, Any]]] = {}
        self.errors: dict[Key, str] = {}
        self.memory: dict[str, int | None] = {}  # by load
        self.loading: dict[str, float | None] = {}  # seconds, by load
        self.weighed: dict[tuple[str, Key], Time] = {}  # answers that were asked alone, by load
        self.under: dict[Key, str] = {}  # the load under which each answer was given
        self.heard: dict[Key, Answer] = {}  # the answers themselves, where they are wanted
        self.hows: dict[str, How] = {}  # by task; empty before the model was probed
        self.left_out: dict[str, str] = {}  # tasks that cannot be asked, and why
        self.asked = 0
        self.embedder = ""
        self._tasks, self._keep = tasks, keep
        self._helpers: Helpers | None = None
        self._readings: dict[Any, float] = {}  # of prompts, since the model was loaded

    async def begin(self, name: str, digest: str, setting: Setting, timed: bool) -> None:
        """Find out how the tasks can be asked. Raises TrialFailed, EngineError."""
        await self.load(name, setting, timed, anew=False)
        plan = Plan(self.asker.model, "", judge=self.judge)
        self._helpers = helpers = await Helpers.find(self.asker.engine, plan, self._tasks)
        self.embedder = helpers.embedder
        modes = {task.mode for task in self._tasks}
        canary = await probed(
            self.asker.engine, name, digest, modes, setting.loading, self._canaries
        )
        if canary.check("answers").state in {"bad", "unknown"}:
            raise TrialFailed(f"{name} does not answer: {canary.check('answers').words}")
        hows: dict[str, How] = {}
        for task in self._tasks:
            usable = canary.verdict(task.mode)
            likely = task.mode in {"choice", "perplexity"}
            how: How = "likelihood" if likely else "asked"
            hows[task.name] = "generative" if usable.how == "generative" else how
            why = usable.reason if usable.how == "refused" else self._lacks(task)
            if why:
                self.left_out[task.name] = f"{task.title} is left out: {why}"
        self.hows = hows

    def _lacks(self, task: Task) -> str:
        """Which model its first scorer, which counts, would need and nobody named."""
        if task.scorers[0].name == "judge" and not self.judge:
            return "a model has to grade its answers, and no judge is named."
        if task.scorers[0].name == "similarity" and not self.embedder:
            return "its scorer needs an embedding model, and the engine has none."
        return ""

    async def load(self, name: str, setting: Setting, timed: bool, *, anew: bool) -> None:
        """Have the model loaded under the setting."""
        if await self.asker.load(name, setting, clean=timed, anew=anew):
            self._readings.clear()
            self.loading[setting.load] = self.asker.load_seconds
            if timed:
                await self.asker.warm_up()

    async def do(
        self, name: str, setting: Setting, jobs: Sequence[Job], state: State,
        *, timed: bool, anew: bool,
    ) -> None:  # fmt: skip
        """Ask them all. Raises TrialFailed, EngineError; what was answered until then is kept."""
        await self.load(name, setting, timed, anew=anew)
        later: list[tuple[Job, Answer, Time]] = []
        grades: list[tuple[Job, Answer, Time]] = []

        async def one(job: Job) -> tuple[Time, Time] | None:
            self.asked += 1
            task, sample = job.share.task, job.share.question.sample
            crowded = job.side == "at once"  # what its clock tells cannot be set right afterwards
            answer = await self.asker.ask(task, sample, job.share.how, job.seed, anew=crowded)
            if job.valued:
                self.under[job.key] = setting.load
            if answer.error is not None:
                self.errors[job.key] = answer.error
                self._hear(job, answer)
                return None
            self.errors.pop(job.key, None)
            was = Time.of(answer)
            fair = self._fair(setting, job, was)
            if job.side:
                state.times.setdefault(job.share.question.key, []).append(fair)
            slow = {use.name for use in task.scorers} & _SLOW
            if job.valued and Helpers.judged(task):
                grades.append((job, answer, fair))
            elif job.valued and slow and job.side == "at once":
                later.append((job, answer, fair))
            elif job.valued and slow:
                await asyncio.to_thread(self._score, job, answer, fair)
            elif job.valued:
                self._score(job, answer, fair)
            return was, fair

        if alone := [job for job in jobs if job.side == "alone"]:
            for job in alone:
                await one(job)
            await self._weigh(setting, anew)
        if crowd := [job for job in jobs if job.side == "at once"]:
            begun, pairs = time.perf_counter(), await _pool(one, crowd, self.asker.slots)
            wall = time.perf_counter() - begun
            state.crowds.append(Crowd(wall, tuple(pair for pair in pairs if pair)))
            await together([self._score_slow(iter(later[n::_SCORING])) for n in range(_SCORING)])
        rest = [job for job in jobs if not job.side]
        await _pool(one, rest, self.asker.slots + _SCORING)  # some score while others are asked
        await self._weigh(setting, False)
        await self._grade(grades)

    async def _weigh(self, setting: Setting, anew: bool) -> None:
        """Once for a load, or after a fresh one. The engine keeps what it has read, so memory is
        told after the questions that are asked alone: they are as many for each point."""
        if anew or setting.load not in self.memory:
            self.memory[setting.load] = await self.asker.memory()

    def _fair(self, setting: Setting, job: Job, was: Time) -> Time:
        """With the prompt's reading as it was when it was read first after the load."""
        prompt = (job.share.question.key, job.share.task.system, job.share.task.shots)
        fair = was.read_in(self._readings.setdefault(prompt, was.reading))
        if job.side == "alone":
            self.weighed.setdefault((setting.load, job.key), fair)
        return fair

    async def _score_slow(self, waiting: Iterator[tuple[Job, Answer, Time]]) -> None:
        for job, answer, fair in waiting:
            await asyncio.to_thread(self._score, job, answer, fair)

    async def _grade(self, waiting: Sequence[tuple[Job, Answer, Time]]) -> None:
        for job, answer, fair in waiting:
            await asyncio.to_thread(self._score, job, answer, fair, judging=True)
        if waiting:
            await self.asker.look()  # the judge may have taken the model's place

    def _score(self, job: Job, answer: Answer, fair: Time, *, judging: bool = False) -> None:
        assert self._helpers is not None
        helpers = replace(self._helpers, url=self.asker.engine.url)  # which may have begun anew
        known = scored(job.share.task, answer, helpers.tools(judging=judging))
        self._hear(job, replace(known, figures=fair.told(known.figures)))
        value = known.value
        figures = {
            "seconds": fair.seconds, "first_token": fair.first_token, "tokens": fair.tokens,
            "prompt_tokens": fair.prompt_tokens, "generation_seconds": fair.generation,
        }  # fmt: skip
        self.values[job.key] = (value, figures)
        if value is not None:
            self._keep(job.key, value, figures)

    def _hear(self, job: Job, answer: Answer) -> None:
        if self._texts:
            self.heard[job.key] = answer


async def _pool(one: Callable[[Job], Any], jobs: Sequence[Job], width: int) -> list[Any]:
    """The results of all jobs, so many at work at once."""
    waiting, found = iter(jobs), []

    async def work(jobs: Iterator[Job]) -> None:
        for job in jobs:
            found.append(await one(job))

    await together([work(waiting) for _ in range(min(width, len(jobs)))])
    return found
