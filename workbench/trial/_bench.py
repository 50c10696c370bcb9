"""Points measured one after the other: what is known is taken, what is missing is asked.

The plan of one measurement is made in the caller's thread, with one look into the store; asking
runs on an event loop of its own, while the caller's thread writes what came and asks `stop`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, Literal

from workbench.bench import Answer
from workbench.errors import TuneError
from workbench.meter import Canary
from workbench.space import RELOADS, Space
from workbench.tasks import Task
from workbench.trial._asking import Asker
from workbench.trial._keep import Keeper, known
from workbench.trial._loop import Loop
from workbench.trial._prompt import posed
from workbench.trial._questions import Question
from workbench.trial._records import Measured
from workbench.trial._result import heard, put_together
from workbench.trial._setting import Setting
from workbench.trial._speed import FIGURES, sides
from workbench.trial._turn import Turn
from workbench.trial._work import Job, Share, State, Work


class Bench:
    """Measures points of one model on the questions of one study. Use it as a context manager.

    `figures` are the wanted ones of quality, latency, throughput and memory. For others than
    quality the model is loaded, and questions are asked even where all answers are known; without
    quality only the questions that tell speed are asked. `stop` is called ten times a second and
    ends a measurement by raising; what was answered stays known. `trained` makes a model with
    settings of a training and tells its name; it is asked again for each measurement, so it knows
    what it made before. `canaries` are what was found of how models are served, by other
    measurements and by this one. With `texts` the answers themselves can be had (`heard`): each
    question is answered once, and nothing comes out of the store, which has values only. Raises
    EngineError, ModelNotFound among them.
    """

    def __init__(
        self, model: str, questions: Sequence[Question], space: Space | None = None, *,
        engine: str | None = None, figures: Collection[str] = FIGURES,
        stop: Callable[[], None] | None = None, judge: str = "",
        trained: Callable[[Mapping[str, Any]], str] | None = None,
        canaries: dict[str, Canary] | None = None, texts: bool = False,
    ) -> None:  # fmt: skip
        if not questions:
            raise TuneError("Nothing to measure: a study needs at least one question.")
        self.questions, self.space = tuple(questions), space
        self._valued, self._timed = "quality" in figures, bool({*figures} - {"quality"})
        self._texts, self.answered_from_cache = texts, 0
        self._stop, self._trained = stop or (lambda: None), trained
        self._keeper = Keeper()
        self._alone, self._at_once = sides(questions, figures)
        self._prompts = {one.sample.prompt for one in questions}
        self._states: dict[str, State] = {}
        self._reloaded = ""  # the load that was made to measure a point again, while it stays
        tasks = {one.task.name: one.task for one in questions}
        wanted = [int(task.options.get("num_ctx", 0)) for task in tasks.values()]
        self._context = max(wanted) or None  # one load then serves all tasks
        self._loop = Loop(self._look, lambda: self._keeper.write(now=True))
        try:
            asker = self._loop.run(Asker.open(engine, model))
        except BaseException:
            self._loop.close()
            raise
        self._work = Work(
            asker, list(tasks.values()), judge, self._keeper.add,
            {} if canaries is None else canaries, texts=texts,
        )  # fmt: skip
        loads = any(one.part in RELOADS for one in (space.parameters if space else ()))
        self._turn = Turn(asker.engine.url) if self._timed or loads else None

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def loads(self) -> int:
        """How often the model was loaded."""
        return self._work.asker.loads

    def close(self) -> None:
        """Write what waits, free the model's memory, leave the engine."""
        from filelock import Timeout

        if not self._loop.runs:
            return
        asker, turn, self._stop = self._work.asker, self._turn, lambda: None
        try:
            try:
                with turn.taken(None) if turn else nullcontext(False) as since:
                    if since:
                        asker.forget()
                    self._loop.run(asker.close())
            except Timeout:  # somebody else measures, whose model it is now
                asker.forget()
                self._loop.run(asker.close())
        finally:
            self._loop.close()

    def _look(self) -> None:
        self._keeper.write()
        self._stop()

    @contextmanager
    def held(self, waits: Callable[[], None] | None = None) -> Iterator[None]:
        """Have the engine, where others would disturb: nobody else measures in between. `waits` is
        called where it has to be waited for."""
        turn = self._turn
        with turn.taken(self._stop, waits) if turn else nullcontext(False) as since:
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
        with self.held():
            return self._measured(setting, n, again=again)

    def _measured(self, setting: Setting, n: int, *, again: bool) -> Measured:
        work = self._work
        name, state, notes = self._planned(setting, n, again)
        jobs = self._jobs(setting, state, again)
        if jobs or (self._timed and setting.load not in work.memory):
            anew = again and self._timed and self._reloaded != setting.load
            self._ask(name, setting, jobs, state, anew=anew)
        state.prepared, asked, state.early = False, state.early, 0
        return put_together(work, setting, state, notes, self._alone, asked, valued=self._valued)

    def prepare(self, points: Iterable[Mapping[str, Any]], *, again: bool = False) -> None:
        """Ask of points of one group what tells no speed, before they are measured (`again`): under
        one load, which reads each prompt once. What cannot be asked is left to `measure`, which
        says why."""
        for point in points if self._valued else ():
            self._stop()
            with suppress(TuneError), self.held():
                setting = Setting.of(point, self._context)
                name, state, _ = self._planned(setting, len(self.questions), again)
                state.prepared = again
                jobs = [job for job in self._jobs(setting, state, again) if not job.side]
                there = self._work.asker.loaded
                if there and there[0] == name and self._gives(there[1]) == self._gives(setting):
                    setting = setting.under(there[1])
                if jobs:
                    self._ask(name, setting, jobs, state)

    def groups(self, points: Mapping[int, Mapping[str, Any]]) -> list[list[int]]:
        """The points' numbers in the order that loads the model most seldom: those of one load one
        after the other, and in a group those whose answers any of their loads gives. What is loaded
        comes first."""
        there = self._work.asker.loaded
        here = there[1].load if there else ""
        settings = {n: Setting.of(point, self._context) for n, point in points.items()}
        ordered = sorted(settings, key=lambda n: (settings[n].load != here, settings[n].load))
        found: dict[str, list[int]] = {self._gives(there[1]): []} if there else {}
        for number in ordered:
            found.setdefault(self._gives(settings[number]), []).append(number)
        return [group for group in found.values() if group]

    def _gives(self, setting: Setting) -> str:
        """Equal where the loads of two settings give the same answers."""
        facts = [setting.quantisation, setting.training, setting.gives(self._work.asker.own)]
        return json.dumps(facts, sort_keys=True, default=str)

    def _planned(self, setting: Setting, n: int, again: bool) -> tuple[str, State, list[str]]:
        """The name of its model, its state with what is asked of each question, notes."""
        work = self._work
        name, digest = self._loop.run(work.asker.named(setting, self._model(setting)))
        if not work.hows:
            self._loop.run(work.begin(name, digest, setting, self._timed))
        state = self._state(setting)
        state.draws += again and not state.prepared and not self._texts
        speedy = self._alone | self._at_once
        wanted = [one for one in self.questions[:n] if self._valued or one.key in speedy]
        state.shares, notes = self._shares(setting, digest, state, wanted)
        if self._valued:
            self._recall(state)
        return name, state, notes

    def _state(self, setting: Setting) -> State:
        text = json.dumps(dict(setting.point), sort_keys=True, default=str)
        return self._states.setdefault(text, State())

    def _ask(
        self, name: str, setting: Setting, jobs: Sequence[Job], state: State, *, anew: bool = False
    ) -> None:
        before = self._work.asked
        work = self._work.do(name, setting, jobs, state, timed=self._timed, anew=anew)
        self._loop.run(work)
        self._reloaded = setting.load if anew or self._reloaded == setting.load else ""
        state.early += self._work.asked - before
        state.mine |= {job.key for job in jobs if job.valued}

    def heard(self, point: Mapping[str, Any]) -> list[Answer]:
        """The answers themselves of the point's last measurement, scored; see `texts`."""
        setting = Setting.of(point, self._context)
        return heard(self._work, setting, self._state(setting), timed=self._timed)

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
        return [setting.answer_key(task, how, draw, work.asker.own, more) for draw in range(draws)]

    def _recall(self, state: State) -> None:
        """Take what the store knows, and count what this point has not asked itself."""
        work, keys = self._work, [key for share in state.shares for key in share.keys]
        unknown = [key for key in keys if key not in work.values and key not in work.errors]
        work.values |= known(unknown) if unknown and not self._texts else {}
        taken = {key for key in keys if key in work.values} - state.seen
        self.answered_from_cache += len(taken)
        state.seen |= set(keys)

    def _jobs(self, setting: Setting, state: State, again: bool) -> list[Job]:
        """What is missing, task by task: what prompts have in common is then read once."""
        jobs, work = [], self._work
        for share in state.shares:
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
