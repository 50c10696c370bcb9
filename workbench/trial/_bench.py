"""Points measured one after the other: what is known is taken, what is missing is asked.

The plan of one measurement is made in the caller's thread, with one look into the store; asking
runs on an event loop of its own, while the caller's thread writes what came and asks `stop`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, TypeVar

from workbench.errors import TuneError
from workbench.space import RELOADS, Space
from workbench.tasks import Task
from workbench.trial._asking import Asker
from workbench.trial._keep import Keeper, known
from workbench.trial._prompt import posed
from workbench.trial._questions import Question
from workbench.trial._records import Measured
from workbench.trial._result import put_together
from workbench.trial._setting import Setting
from workbench.trial._speed import FIGURES, sides
from workbench.trial._turn import Turn
from workbench.trial._work import Job, Share, State, Work

T = TypeVar("T")
_TICK = 0.1  # seconds between two looks at `stop` and at what is to be written


class Bench:
    """Measures points of one model on the questions of one study. Use it as a context manager.

    `figures` are the wanted ones of quality, latency, throughput and memory. For others than
    quality the model is loaded, and questions are asked even where all answers are known; without
    quality only the questions that tell speed are asked. `stop` is called ten times a second and
    ends a measurement by raising; what was answered stays known. `trained` makes a model with
    settings of a training and tells its name; it is asked again for each measurement, so it knows
    what it made before. Raises EngineError, ModelNotFound among them.
    """

    def __init__(
        self, model: str, questions: Sequence[Question], space: Space | None = None, *,
        engine: str | None = None, figures: Collection[str] = FIGURES,
        stop: Callable[[], None] | None = None, judge: str = "",
        trained: Callable[[Mapping[str, Any]], str] | None = None,
    ) -> None:  # fmt: skip
        if not questions:
            raise TuneError("Nothing to measure: a study needs at least one question.")
        self.questions, self.space = tuple(questions), space
        self._valued, self._timed = "quality" in figures, bool({*figures} - {"quality"})
        self.answered_from_cache = 0
        self._stop, self._trained = stop or (lambda: None), trained
        self._keeper = Keeper()
        self._alone, self._at_once = sides(questions, figures)
        self._prompts = {one.sample.prompt for one in questions}
        self._states: dict[str, State] = {}
        self._reloaded = ""  # the load that was made to measure a point again, while it stays
        tasks = {one.task.name: one.task for one in questions}
        wanted = [int(task.options.get("num_ctx", 0)) for task in tasks.values()]
        self._context = max(wanted) or None  # one load then serves all tasks
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            asker = self._run(Asker.open(engine, model))
        except BaseException:
            self._end()
            raise
        self._work = Work(asker, list(tasks.values()), judge, self._keeper.add)
        loads = any(one.part in RELOADS for one in (space.parameters if space else ()))
        self._turn = Turn(asker.engine.url) if self._timed or loads else None

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    @property
    def loads(self) -> int:
        """How often the model was loaded."""
        return self._work.asker.loads

    def close(self) -> None:
        """Write what waits, free the model's memory, leave the engine."""
        from filelock import Timeout

        if not self._thread.is_alive():
            return
        asker, self._stop = self._work.asker, lambda: None
        try:
            try:
                with self._taken(None):
                    self._run(asker.close())
            except Timeout:  # somebody else measures, whose model it is now
                asker.forget()
                self._run(asker.close())
        finally:
            self._end()

    @contextmanager
    def _taken(self, stop: Callable[[], None] | None) -> Iterator[None]:
        """Have the engine, where others would disturb."""
        if self._turn is None:
            yield
            return
        with self._turn.taken(stop) as since:
            if since:
                self._work.asker.forget()
            yield

    def measure(self, point: Mapping[str, Any], n: int, *, again: bool = False) -> Measured:
        """What the point is worth on the first `n` questions.

        `again` measures speed anew, after another load, and takes the mean; where chance has a part
        in the answers, each question is also answered once more, by another draw. Raises
        TrialFailed where the engine cannot work so (the next measurement may), EngineError where
        it cannot work at all, TuneError for settings that no question can be asked under.
        """
        if n < 1:
            raise TuneError(f"A measurement asks at least one question, not {n}.")
        self._stop()
        setting = Setting.of(point, self._context)
        with self._taken(self._stop):
            return self._measured(setting, n, again=again)

    def _measured(self, setting: Setting, n: int, *, again: bool) -> Measured:
        work = self._work
        name, digest = self._run(work.asker.named(setting, self._model(setting)))
        if not work.hows:
            self._run(work.begin(name, setting, self._timed))
        text = json.dumps(dict(setting.point), sort_keys=True, default=str)
        state = self._states.setdefault(text, State())
        state.draws += again
        speedy = self._alone | self._at_once
        wanted = [one for one in self.questions[:n] if self._valued or one.key in speedy]
        shares, notes = self._shares(setting, digest, state, wanted)
        if self._valued:
            self._recall(shares, state)
        jobs = self._jobs(shares, setting, state, again)
        before = work.asked
        if jobs or (self._timed and setting.load not in work.memory):
            anew = again and self._timed and self._reloaded != setting.load
            self._run(work.do(name, setting, jobs, state, timed=self._timed, anew=anew))
            self._reloaded = setting.load if anew or self._reloaded == setting.load else ""
        state.mine |= {job.key for job in jobs if job.valued}
        asked = work.asked - before
        return put_together(
            work, setting, state, shares, notes, self._alone, asked, valued=self._valued
        )

    def repeats(self, point: Mapping[str, Any]) -> bool:
        """Whether measuring the point again can tell something new: its speed counts, or chance has
        a part in its answers."""
        setting, hows = Setting.of(point, self._context), self._work.hows
        tasks = {one.task.name: one.task for one in self.questions}.values()
        return self._timed or any(
            setting.sampled(task, hows.get(task.name, "asked")) for task in tasks
        )

    def _model(self, setting: Setting) -> str:
        """The model that is trained with the setting; "" for the one that is measured itself."""
        if not setting.training:
            return ""
        if self._trained is None:
            raise TuneError("Settings of a training are searched with a dataset to learn from.")
        return self._trained(setting.training)

    def _shares(
        self, setting: Setting, digest: str, state: State, wanted: Sequence[Question]
    ) -> tuple[list[Share], list[str]]:
        """What is asked of each question, with the keys of its answers."""
        work, posings, keys, found = self._work, {}, {}, []
        for question in wanted:
            task = question.task
            if task.name in work.left_out:
                continue
            if task.name not in posings:
                posings[task.name] = posed(task, setting, self._prompts)
                keys[task.name] = self._keys(posings[task.name][0], setting, state)
            answers = [(digest, key, question.key) for key in keys[task.name]]
            found.append(Share(question, posings[task.name][0], work.hows[task.name], answers))
        if not found:
            raise TuneError(" ".join(["No question can be asked.", *work.left_out.values()]))
        notes = [*work.left_out.values(), *(note for _, note in posings.values() if note)]
        return found, notes

    def _keys(self, task: Task, setting: Setting, state: State) -> list[str]:
        work, how = self._work, self._work.hows[task.name]
        draws = state.draws if setting.sampled(task, how) else 1
        more = {"engine": work.asker.version}
        helpers = {"judge": work.judge, "similarity": work.embedder}
        more |= {use.name: helpers[use.name] for use in task.scorers if use.name in helpers}
        return [setting.answer_key(task, how, draw, more) for draw in range(draws)]

    def _recall(self, shares: Sequence[Share], state: State) -> None:
        """Take what the store knows, and count what this point has not asked itself."""
        work, keys = self._work, [key for share in shares for key in share.keys]
        unknown = [key for key in keys if key not in work.values and key not in work.errors]
        work.values |= known(unknown) if unknown else {}
        taken = {key for key in keys if key in work.values} - state.seen
        self.answered_from_cache += len(taken)
        state.seen |= set(keys)

    def _jobs(
        self, shares: Sequence[Share], setting: Setting, state: State, again: bool
    ) -> list[Job]:
        """What is missing, task by task: what prompts have in common is then read once."""
        jobs, work = [], self._work
        for share in shares:
            side = self._side(share, setting, state, again)
            for draw, answer in enumerate(share.keys):
                failed = answer in work.errors and not again
                valued = self._valued and answer not in work.values and not failed
                timed = side if draw == len(share.keys) - 1 else ""
                if valued or timed:
                    jobs.append(Job(share, draw, timed, valued))
        return sorted(jobs, key=lambda job: job.share.task.name)

    def _side(
        self, share: Share, setting: Setting, state: State, again: bool
    ) -> Literal["alone", "at once", ""]:
        """Which time of the question is to be measured, if any."""
        key, likely = share.question.key, share.how == "likelihood"
        known = key in state.times or share.keys[-1] in self._work.errors
        if known and not again:
            return ""
        if key in self._at_once:
            return "" if likely else "at once"
        if key not in self._alone:
            return ""
        weighed = self._work.weighed.get((setting.load, share.keys[-1]))
        if weighed is not None and not again:  # the same answer, whatever else the point says
            state.times[key] = [weighed]
            return ""
        return "alone"

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, while answers are written and `stop` is asked."""
        ended = threading.Event()

        async def guarded() -> T:
            try:
                return await work
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(guarded(), self._loop)
        try:
            while not future.done():
                ended.wait(_TICK)
                if not ended.is_set():
                    self._keeper.write()
                    self._stop()
            return future.result()
        except BaseException:
            future.cancel()
            ended.wait(10)  # what was under way is closed before anything else begins
            raise
        finally:
            self._keeper.write(now=True)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
