"""Asking for points and telling what they are worth: a study in memory, kept in the database.

The sampler works on a copy of the study in memory; a trial goes into the record when it begins and
when it ends, and what other workers did is taken over before each question. A point that is known
is not asked for again: the sampler learns its value once more, and after a few repetitions a near
point is drawn that nobody tried. So in a space with few points the search ends when all are known.

Two workers may ask for the same point before either began it. Each looks once more when its trial
stands in the record, and of two trials the one with the lower number goes on.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.search._memory import Memory
from workbench.search._objectives import front_of
from workbench.search._points import Asked, Known, Values
from workbench.search._process import Process
from workbench.search._record import TOLD, Record
from workbench.search._scripted import drawn
from workbench.search._strategies import Strategy
from workbench.space import RELOADS, key_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from workbench.search._objectives import Objective
    from workbench.space import Point, Space

TWICE = "twice"  # the state of a trial that measured another's point once more, and why it began
_REPEATS = 4  # known points in a row from the sampler before a near one is drawn
_STARTUP = 12  # points before good ones are known, beside which others are tried
_NEAR = 0.5  # part of the points that are tried beside a good one, where there are not too many
_DRAWS = 400  # tries to find a point that nobody tried
_STRIDE = 7919  # between the seeds of two starts
_AHEAD = 4  # points asked for at once by a strategy that learns
_FAR_AHEAD = 24  # by one that does not


class Search:
    """Points of a space, one after the other. Not for several threads.

    `first` are points to begin with, and why; `worker` is noted with each running trial; `alone`
    says that no other worker adds trials meanwhile, and can be changed when one joins.
    """

    def __init__(
        self, space: Space, chosen: Strategy, goals: Sequence[Objective], *, seed: int = 0,
        iterations: int = 100, record: Record | None = None, worker: str = "",
        first: Iterable[tuple[Point, str]] = (), alone: bool = True,
    ) -> None:  # fmt: skip
        self.space, self.strategy, self.goals = space, chosen, tuple(goals)
        self.known: dict[str, Known] = {}
        self._record, self._worker, self.alone = record, worker, alone
        self._others: dict[int, int | None] = {}  # numbers of running trials → their copies
        self._seen: set[int] = set()  # numbers whose end is known here
        self._rungs: dict[int, list[float]] = {}
        self._begun = 0
        # a resumed search is not to draw the same points again
        seed += _STRIDE * (len(record.trials()) if record else 0)
        self._random = random.Random(seed)  # noqa: S311 (points of a search are no secrets)
        self._memory = Memory(space, chosen, goals, seed)
        self._process = Process(space, goals, seed) if chosen.process else None
        self._first = deque(first)
        size = space.size() if chosen.learns else None
        self._countable = size is not None and size <= 5_000
        self._loads = False  # whether the next stair is another load
        self._grid = iter(space.grid(iterations)) if chosen.grid else None
        self._sync()

    def ask(self, cost: Callable[[Point], float] = lambda point: 1.0) -> Asked | None:
        """The next point that nobody tried; None when there is none left. `cost` is what a point
        costs beside others, for strategies that weigh it."""
        if not self.alone:
            self._sync()
        while self._first:
            point, why = self._first.popleft()
            if key_of(point) not in self.known:
                return self._reserve(self._memory.chosen(point, why))
        if self._grid is not None:
            fresh = next((point for point in self._grid if key_of(point) not in self.known), None)
            return None if fresh is None else self._reserve(self._memory.chosen(fresh))
        if self._process is not None:
            promising = self._process.next(self.known, self._best(), self._worst(), cost)
            if promising is not None:
                return self._reserve(self._memory.chosen(promising))
            if (begun := self._stair()) is not None:
                return begun
        elif self._countable and len(self.known) > _STARTUP and self._random.random() < _NEAR:
            return self._untried()
        for _ in range(_REPEATS):
            asked = self._memory.sampled()
            if asked.key not in self.known:
                return self._reserve(asked)
            self._repeat(asked)
        return self._untried()

    @property
    def ahead(self) -> int:
        """How many points may be asked for at once: more cost what could be learnt meanwhile."""
        if not self.strategy.learns:
            return _FAR_AHEAD
        return _AHEAD if self._process is None else 1

    def take(self, point: Point, why: str) -> Asked | None:
        """This point; None where it is known, or another worker tries it."""
        if not self.alone:
            self._sync()
        if key_of(point) in self.known:
            return None
        return self._reserve(self._memory.chosen(point, why))

    def repeat(self, point: Point) -> Asked:
        """A known point, to be measured once more and told as "twice"."""
        if not self.alone:
            self._sync()
        return self._memory.chosen(point, TWICE)

    def again(self, point: Point, why: str = "again") -> None:
        """Ask for this point before any other: its trial ended with its worker."""
        self.known.pop(key_of(point), None)
        self._first.appendleft((point, why))

    def taken(self, asked: Asked) -> bool:
        """Whether another worker began this point before it began here."""
        if not self.alone:
            self._sync()
        return not self._is_mine(asked)

    def release(self, asked: Asked) -> None:
        """A point that was asked for will not be tried now."""
        self._memory.end(asked.copy, None)
        if self._is_mine(asked):
            self.known.pop(asked.key, None)

    def begin(self, asked: Asked) -> int:
        """The point is tried from now on; returns the trial's number."""
        from optuna.trial import TrialState, create_trial

        if self._record is None:
            asked.number = self._begun
        else:
            attributes = {"point": dict(asked.point), "worker": self._worker, "why": asked.why}
            asked.number = self._record.begin(
                create_trial(
                    state=TrialState.RUNNING, params=asked.params,
                    distributions=asked.distributions, user_attrs=attributes,
                    system_attrs=dict(self._memory.attributes(asked.copy)),
                )
            )  # fmt: skip
            self._seen.add(asked.number)
        self._begun += 1
        if self.known.setdefault(asked.key, Known(asked.point)).number == -1:
            self.known[asked.key] = Known(asked.point, number=asked.number)
        return asked.number

    def _is_mine(self, asked: Asked) -> bool:
        """Whether no other trial of this point is known."""
        known = self.known.get(asked.key)
        return known is None or known.number in (-1, asked.number)

    def goes_on(self, asked: Asked, rung: int, step: int, value: float) -> bool:
        """Note the first objective after `step` questions; whether successive halving lets the
        trial go on. Always, where the strategy has none."""
        if len(self.goals) == 1:
            self._memory.step(asked.copy, step, value)
            if self._record is not None:
                self._record.step(asked.number, step, value)
        reached = self._rungs.setdefault(step, [])
        reached.append(value)
        if not self.strategy.eta or rung < asked.bracket:
            return True
        ahead = sum(self.goals[0].better(other, value) for other in reached)
        return ahead < max(1, math.ceil(len(reached) / self.strategy.eta))

    def tell(
        self, asked: Asked, state: str, values: Sequence[float] | None = None, **told: Any
    ) -> None:
        """How the trial ended: "done" with values, "twice" with those of two measurements (of the
        trial that it `repeats`), "pruned" (with those of the questions that it was asked), or
        "failed". `told` is kept with it; of one that is `lost` nothing is known."""
        found = tuple(map(float, values)) if values is not None else None
        if self._record is not None:
            kept = {"state": state, "values": list(found) if found else None, **told}
            self._record.end(asked.number, kept, found)
        self._learn(asked, state, found, told)

    def _learn(
        self, asked: Asked, state: str, values: Values | None, told: Mapping[str, Any]
    ) -> None:
        """Tell the sampler. A failed point counts as the worst so far: near it is no good place."""
        whole, lost = state in ("done", TWICE), bool(told.get("lost"))
        if not lost:
            number = told.get("repeats", asked.number)
            self.known[asked.key] = Known(asked.point, values, number, whole, state == "failed")
        elif self._is_mine(asked):
            self.known.pop(asked.key, None)
        if state == "pruned" and len(self.goals) == 1:
            self._memory.end(asked.copy, None, pruned=True)
        elif state == "failed" and not lost:
            self._memory.end(asked.copy, self._worst())
        else:
            self._memory.end(asked.copy, values)

    def _worst(self) -> Values | None:
        told = [one.values for one in self.known.values() if one.values and one.whole]
        if not told:
            return None
        return tuple(
            min(column) if goal.direction == "maximize" else max(column)
            for goal, column in zip(self.goals, zip(*told, strict=True), strict=True)
        )

    def _reserve(self, asked: Asked) -> Asked:
        self.known[asked.key] = Known(asked.point)
        if self.strategy.eta:
            # how many points of a round begin in Hyperband's three brackets
            eta = self.strategy.eta
            shares = [math.ceil(3 * eta ** (2 - rung) / (3 - rung)) for rung in range(3)]
            asked.bracket = self._random.choices(range(3), shares)[0]
        return asked

    def _repeat(self, asked: Asked) -> None:
        """The sampler chose a known point: it learns the value again, and the record says so."""
        before = self.known[asked.key]
        self._memory.end(asked.copy, before.values if before.whole else None)
        if self._record is not None and before.values:
            self.begin(asked)
            told = {"state": "repeated", "values": list(before.values), "repeats": before.number}
            self._record.end(asked.number, told, before.values if before.whole else None)

    def _stair(self) -> Asked | None:
        """A point that shares its load with the last one, or else all but its load, by turns: so
        many settings of both kinds are seen with few loads and few answers. None where the space
        has one kind only."""
        loading = {one.name for one in self.space.parameters if one.part in RELOADS}
        rest = {*self.space.names} - loading
        if not (self.known and loading and rest):
            return None
        last = [*self.known.values()][-1].point
        changed = loading if self._loads else rest
        for _ in range(_REPEATS):
            point = drawn(self.space, self._random, last, changed)
            if key_of(point) not in self.known:
                self._loads = not self._loads
                return self._reserve(self._memory.chosen(point))
        return None

    def _best(self) -> list[Point]:
        """The points of the front."""
        whole = [one for one in self.known.values() if one.values and one.whole]
        places = front_of([one.values or () for one in whole], self.goals)
        return [whole[place].point for place in places]

    def _untried(self) -> Asked | None:
        """A point near a good one, else anywhere, that nobody tried; None where there is none."""
        best = self._best()
        for draw in range(_DRAWS):
            near = self._random.choice(best) if best and draw < _DRAWS // 2 else None
            point = drawn(self.space, self._random, near, 1 + draw // 40)
            if key_of(point) not in self.known:
                return self._reserve(self._memory.chosen(point))
        return None

    def _sync(self) -> None:
        """Take over what stands in the record and is not known here."""
        for trial in self._record.trials() if self._record is not None else ():
            if trial.number in self._seen or "point" not in trial.user_attrs:
                continue
            point = trial.user_attrs["point"]
            asked = Asked(point, key_of(point), number=trial.number, params=trial.params,
                          distributions=trial.distributions)  # fmt: skip
            if trial.number not in self._others:
                copy = self._memory.copied(asked, trial) if trial.params else None
                self._others[trial.number] = copy
                before = self.known.get(asked.key)
                if before is None or before.number == -1 or before.number > trial.number:
                    self.known[asked.key] = Known(point, number=trial.number)
            if trial.state.is_finished():
                asked.copy = self._others.pop(trial.number)
                self._seen.add(trial.number)
                self._take_over(asked, trial)

    def _take_over(self, asked: Asked, trial: FrozenTrial) -> None:
        told: Mapping[str, Any] = trial.user_attrs.get(TOLD) or {"state": "failed"}
        values = tuple(told["values"]) if told.get("values") else None
        for step, value in trial.intermediate_values.items():
            self._rungs.setdefault(step, []).append(value)
        if told["state"] == "repeated":
            self._memory.end(asked.copy, values)
        else:
            self._learn(asked, told["state"], values, told)
