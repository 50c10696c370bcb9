"""The study that the sampler learns from, in memory; its trials are copies of those in the record.

What the sampler cannot represent (a default that the engine decides, a value outside the range) has
no copy: it is tried and recorded all the same, and the sampler does not learn from it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.search._points import Asked, Values
from workbench.search._scripted import given
from workbench.search._strategies import Strategy, sampler
from workbench.space import key_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from workbench.search._objectives import Objective
    from workbench.space import Point, Space


class Memory:
    """One sampler and what it was told."""

    def __init__(
        self, space: Space, chosen: Strategy, goals: Sequence[Objective], seed: int
    ) -> None:
        import optuna

        self._space = space
        self._storage = optuna.storages.InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage, directions=[goal.direction for goal in goals],
            sampler=sampler(chosen, space, len(goals), seed),
        )  # fmt: skip
        self._id = self._storage.get_study_id_from_name(self._study.study_name)

    def sampled(self) -> Asked:
        """What the sampler suggests, known or not."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self._study.ask()
            point = self._space.suggest(trial)
        copy = self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)
        return Asked(
            point, key_of(point), copy=copy, params=dict(trial.params),
            distributions=dict(trial.distributions),
        )  # fmt: skip

    def chosen(self, point: Point, why: str = "") -> Asked:
        """A point that was chosen elsewhere, with a copy as far as the sampler can represent it."""
        asked = Asked(dict(point), key_of(point), why)
        try:
            made, script = given(self._space, point)
        except ValueError:
            return asked
        if key_of(made) == asked.key:
            asked.params, asked.distributions = script.params, script.distributions
            asked.copy = self.copied(asked)
        return asked

    def copied(self, asked: Asked, more: FrozenTrial | None = None) -> int:
        """A new running trial of these values; what else is known of it comes from `more`."""
        from optuna.trial import TrialState, create_trial

        template = create_trial(
            state=TrialState.RUNNING, params=asked.params, distributions=asked.distributions,
            system_attrs=more.system_attrs if more else {},
            intermediate_values=more.intermediate_values if more else {},
        )  # fmt: skip
        return int(self._storage.create_new_trial(self._id, template))

    def attributes(self, copy: int | None) -> Mapping[str, Any]:
        """What the sampler noted with a trial."""
        return {} if copy is None else self._storage.get_trial(copy).system_attrs

    def step(self, copy: int | None, step: int, value: float) -> None:
        """The first objective after `step` questions."""
        if copy is not None:
            self._storage.set_trial_intermediate_value(copy, step, value)

    def end(self, copy: int | None, values: Values | None, *, pruned: bool = False) -> None:
        """Tell the sampler how a trial ended: with values, or without any."""
        from optuna.trial import TrialState

        if copy is None:
            return
        state = TrialState.COMPLETE if values else TrialState.FAIL
        if pruned:
            state = TrialState.PRUNED
        whole = list(values) if values else None
        self._study.sampler.after_trial(self._study, self._storage.get_trial(copy), state, whole)
        self._storage.set_trial_state_values(copy, state, whole)
