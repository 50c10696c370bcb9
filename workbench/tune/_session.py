"""One worker of a study: points are asked for, measured, told, until a limit is reached.

Points are asked for some at a time where loading a model takes a good part of a trial, and tried
in the order that loads it most seldom. A trial that fails under its settings is learnt from. What
a worker leaves running when it is killed is told lost by the next one that looks, and asked again:
its answers were kept, so little is lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench.errors import TrialFailed, TuneError
from workbench.jobs import JobContext
from workbench.search import TOLD, TWICE, Asked, Cost, Record, Search, objective, strategy
from workbench.space import too_large
from workbench.tune import _keep as keep
from workbench.tune._made import Maker, Outlearnt, trains
from workbench.tune._measure import Ended, Judge
from workbench.tune._trials import counts, running, spent, worker_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from workbench.space import ModelFacts, Point
    from workbench.trial import Bench
    from workbench.tune._records import Study

_REFUSED = 200  # points in a row that would not fit into the memory
_LOOK = 0.5  # seconds between two looks at what other workers do


class _TimeOver(Exception):
    """The study's minutes are over in the middle of a trial."""


class Session:
    """A worker; `number` tells it from the study's others."""

    def __init__(self, context: JobContext, study: Study, number: int = 0) -> None:
        self.study, self._context = study, context
        self.worker = f"{context.id}/{context.attempt}" if context.id else ""
        self.goals = tuple(objective(text) for text in study.objectives)
        settings = study.settings
        self._alone = int(settings.get("workers") or 1) == 1
        self._iterations, self._minutes = int(settings["iterations"]), settings.get("minutes")
        self._record = Record(
            study.id, [goal.direction for goal in self.goals], [goal.name for goal in self.goals]
        )
        lost = list(self._lost())
        self._steps = Search(
            study.space, strategy(study.strategy, len(self.goals)), self.goals,
            seed=int(settings["seed"]) + 613 * number, iterations=self._iterations,
            record=self._record, worker=self.worker, alone=self._alone,
            first=[(dict(point), "earlier") for point in settings.get("first") or ()],
        )  # fmt: skip
        self._revive(lost)
        self.maker = (
            Maker(context, study, self._steps.strategy.eta) if trains(study.space) else None
        )
        self._began: float | None = None  # of the trial under way
        self._spent = spent(self._record.trials())
        self._cost = Cost(study.space)

    def search(self, bench: Bench, facts: ModelFacts) -> None:
        """Try points until a limit is reached or none is left. Raises WorkbenchError."""
        self._judge, self._facts = Judge(bench, self.goals), facts
        self._measure_default()
        while batch := self._batch():
            for place, asked in enumerate(batch):
                self._context.check_cancelled()
                if (place and self._over()) or self._steps.taken(asked):
                    self._steps.release(asked)
                else:
                    self._try(asked)

    def measure_front_again(self) -> None:
        """Measure the trials of the front once more, until all of it was: picked out of many, what
        looked quick or good may have been lucky. For the last worker."""
        self._take_over()
        judge, tried = self._judge, set[int]()
        while left := set(judge.front()) - judge.twice - tried:
            points = {number: judge.whole[number].point for number in left}
            points = {n: point for n, point in points.items() if judge.bench.repeats(point)}
            for group in judge.bench.groups(points):
                self._context.progress(0.9, f"Asking the {len(points)} best once more")
                with judge.bench.held(self._waits):
                    judge.bench.prepare([points[number] for number in group], again=True)
                    for number in group:
                        self._measure_again(number, points[number])
            tried |= left

    def _measure_again(self, number: int, point: Point) -> None:
        self._context.check_cancelled()
        self._context.progress(0.9, f"Measuring trial {number} once more")
        asked = self._steps.repeat(point)
        self._steps.begin(asked)
        try:
            ended = self._judge.again(point)
        except TrialFailed as error:  # then it stands as it was measured first
            self._steps.tell(asked, "failed", why=str(error), lost=True)
            return
        except BaseException as error:
            self._steps.tell(asked, "failed", why=str(error), lost=True)
            raise
        measured = ended.measured.to_json()
        self._steps.tell(asked, ended.state, ended.values, measured=measured, repeats=number)
        self._judge.keep(number, ended)

    def others(self) -> bool:
        """Whether other workers still try points."""
        workers = {worker_of(trial) for trial in running(self._record.trials())} - {self.worker}
        return bool(keep.alive(sorted(workers)))

    def stop(self) -> None:
        """For the bench: raise when the job is cancelled, or the time is over."""
        self._context.check_cancelled()
        if self._began is not None and self._judge.default is not None and self._late():
            raise _TimeOver

    def _measure_default(self) -> None:
        """First of all, since every other point is compared with it; here or by another worker."""
        point = self.study.space.default()
        self._take_over()
        while self._judge.default is None:
            self._context.check_cancelled()
            asked = self._steps.take(point, "default")
            if asked is not None:
                self._try(asked)
                continue
            time.sleep(_LOOK)
            self._revive(self._lost())
            self._take_over()

    def _take_over(self) -> None:
        """What was measured in full before, by this study or by its other workers."""
        from workbench.trial import Measured

        for trial in self._record.trials():
            told = trial.user_attrs.get(TOLD) or {}
            state, number = told.get("state"), told.get("repeats", trial.number)
            known = self._judge.whole if state == "done" else self._judge.twice
            if state not in ("done", TWICE) or number in known:
                continue
            measured, values = Measured.of(told["measured"]), tuple(told["values"])
            self._judge.keep(number, Ended(state, values, measured))
            if trial.user_attrs.get("why") == "default":
                self._judge.default = measured

    def _batch(self) -> list[Asked]:
        """The next points, those of one load together; none when the search is over."""
        batch: list[Asked] = []
        refused = 0
        if not self._alone:
            self._revive(self._lost())
            self._take_over()
        while len(batch) < self._ahead() and refused < _REFUSED and not self._over(len(batch)):
            asked = self._steps.ask(self._cost.of)
            if asked is None:
                break
            reason = too_large(asked.point, self._facts, self.study.settings.get("memory_bytes"))
            if reason:
                refused += 1
                self._steps.begin(asked)
                self._steps.tell(asked, "failed", why=reason, refused=True)
            else:
                batch.append(asked)
        return self._cost.in_order(batch)

    def _ahead(self) -> int:
        """How many points to ask for at once."""
        plans = self._cost.pays or (self._cost.of_load > 1 and not self._steps.strategy.learns)
        return self._steps.ahead if plans else 1

    def _over(self, planned: int = 0) -> bool:
        """Whether a limit is reached."""
        counted = sum(counts(trial) for trial in self._record.trials())
        settings, result = keep.standing(self.study)
        if self._alone and int(settings.get("workers") or 1) > 1:  # somebody has joined
            self._alone = self._steps.alone = False
        self._iterations, self._minutes = int(settings["iterations"]), settings.get("minutes")
        enough = counted + planned >= self._iterations or self._late()
        return enough or bool(result.get("end"))

    def _late(self) -> bool:
        under_way = time.monotonic() - self._began if self._began is not None else 0.0
        return self._minutes is not None and self._spent + under_way > 60 * float(self._minutes)

    def _try(self, asked: Asked) -> None:
        with self._judge.bench.held(self._waits):  # all of its parts, in one go
            self._tried(asked)

    def _waits(self) -> None:
        self._context.progress(None, "Waiting for the engine: another measures on it")

    def _tried(self, asked: Asked) -> None:
        number = self._steps.begin(asked)
        if self._steps.taken(asked):  # begun elsewhere in the same moment
            self._steps.tell(asked, "failed", why="Another worker tries this point.", lost=True)
            return
        self._say(number)
        self._began = time.monotonic()
        try:
            ended = self._judge.measured(asked, self._steps)
        except TrialFailed as error:
            self._steps.tell(asked, "failed", why=str(error))
            if asked.why == "default":
                raise TuneError(
                    f"{self.study.model} cannot work under its own settings, so there is nothing "
                    f"to compare with: {error}"
                ) from None
            return
        except Outlearnt as error:
            self._steps.tell(asked, "pruned", why=str(error))
            return
        except _TimeOver:
            self._steps.tell(asked, "failed", why="The study's time was over.", lost=True)
            return
        except BaseException as error:
            why = str(error) or "The study was stopped before the trial was done."
            self._steps.tell(asked, "failed", why=why, lost=True)
            raise
        finally:
            seconds = time.monotonic() - self._began
            self._spent, self._began = self._spent + seconds, None
        self._cost.note(asked.point, seconds, ended.measured.asked)
        self._steps.tell(
            asked, ended.state, ended.values, why=ended.why, measured=ended.measured.to_json()
        )
        self._judge.keep(number, ended)
        self._tidy()
        self._say(number, ended)

    def _tidy(self) -> None:
        """Remove the models of points that cannot be best any more."""
        if self.maker is not None:
            kept = [self._judge.whole[number].point for number in self._judge.front()]
            self.maker.tidy([self.study.space.default(), *kept])

    def _say(self, number: int, ended: Ended | None = None) -> None:
        counted = sum(counts(trial) for trial in self._record.trials())
        share = counted / max(1, self._iterations)
        if self._minutes:
            share = max(share, self._spent / (60 * float(self._minutes)))
        figures: dict[str, float] = {}
        words = f"Trial {number} is under way"
        if ended is not None:
            words = f"Trial {number}: {ended.why or ended.state}"
            figures = {"step": number, "value": ended.values[0]}
            if front := self._judge.front():
                figures["best"] = self._judge.values[front[0]][0]
        self._context.progress(0.9 * min(1.0, share), words, **figures)

    def _lost(self) -> Iterable[FrozenTrial]:
        """Trials whose workers are gone; each is told so, and given to one worker only."""
        others = [one for one in running(self._record.trials()) if not self._is_mine(one)]
        living = keep.alive([worker_of(trial) for trial in others])
        for trial in others:
            told = {"state": "failed", "lost": True, "why": "Its worker was ended."}
            if worker_of(trial) not in living and self._record.end(trial.number, told):
                yield trial

    def _revive(self, lost: Iterable[FrozenTrial]) -> None:
        """Ask for the points of lost trials before any other."""
        for trial in lost:
            if trial.user_attrs.get("why") != TWICE:
                self._steps.again(trial.user_attrs["point"])

    def _is_mine(self, trial: FrozenTrial) -> bool:
        return bool(self.worker) and worker_of(trial) == self.worker
