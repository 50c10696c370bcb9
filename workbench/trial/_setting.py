"""What a point means: options for the engine, examples and a system text, other weights, or how
weights are trained.

Which settings can change an answer decides what is asked again. Sampling, prompt, weights, the
context and how keys and values are kept can. Threads, batch, slots, cards and flash attention
change the order of sums only: by rounding they may turn a near tie, and that is taken for equal.
At temperature 0 the likeliest token wins whatever top_k, top_p and min_p say; a likelihood is not
sampled at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.bench import How
from workbench.errors import TuneError
from workbench.protocol import OPTIONS
from workbench.space import part_of
from workbench.tasks import Task
from workbench.texts import nearest

PROMPT, MODEL = ("system", "shots"), ("quantisation",)
# of the settings of loading, those that change an answer
_ANSWER = {name for name, one in OPTIONS.items() if one.load_time and not one.order_only}
_GREEDY = {"top_k", "top_p", "min_p"}  # that say nothing at temperature 0


@dataclass(frozen=True, slots=True)
class Setting:
    """A point, taken apart. `options` are the engine's without those of loading."""

    point: Mapping[str, Any]
    options: Mapping[str, Any]
    loading: Mapping[str, Any]
    system: str  # "" keeps the task's own
    shots: int | None  # None keeps the task's own
    quantisation: str  # "" is the model as it is
    training: Mapping[str, Any]  # with which the weights are trained on; none: as they are

    @classmethod
    def of(cls, point: Mapping[str, Any], context: int | None) -> Setting:
        """`context` is what the tasks want where the point says nothing. Raises TuneError."""
        training = {name: value for name, value in point.items() if part_of(name) == "training"}
        known = {*OPTIONS, *PROMPT, *MODEL, *training}
        for name in point:
            if name not in known:
                raise TuneError(
                    f"Questions cannot be asked under the setting {str(name)[:60]!r}: it is "
                    f"neither the engine's nor the prompt's.{nearest(name, known)}"
                )
        said = {name: value for name, value in point.items() if value is not None}
        loading = {n: v for n, v in said.items() if n in OPTIONS and OPTIONS[n].load_time}
        if context and "num_ctx" not in loading:
            loading["num_ctx"] = context
        # an option without a value is the engine's to decide: it is sent as such
        options = {n: v for n, v in point.items() if n in OPTIONS and not OPTIONS[n].load_time}
        shots = said.get("shots")
        return cls(
            dict(point), options, loading, str(said.get("system", "")),
            None if shots is None else int(shots), str(said.get("quantisation", "")), training,
        )  # fmt: skip

    @property
    def load(self) -> str:
        """Equal where the loaded model can be shared."""
        weights = [self.quantisation, sorted(self.training.items())]
        return _hash([*weights, sorted(self.loading.items())])

    def gives(self, own: Mapping[str, Any]) -> Mapping[str, Any]:
        """What of the load can change an answer: under loads with the same, answers are equal.
        `own` is what the engine is known to take where nothing is said."""
        return {name: self.loading.get(name, own.get(name)) for name in _ANSWER}

    def under(self, other: Setting) -> Setting:
        """The same asked under the load of another."""
        return replace(self, loading=other.loading)

    def sampled(self, task: Task, how: How) -> bool:
        """Whether chance has a part in the task's answers: their seeds then decide them."""
        options = {"temperature": 0, **task.options, **self.options}
        return how != "likelihood" and options["temperature"] != 0

    def answer_key(
        self, task: Task, how: How, draw: int, own: Mapping[str, Any], more: Mapping[str, Any]
    ) -> str:
        """Equal where answers to the same question of this task are; `more` also counts."""
        facts: dict[str, Any] = {**self.gives(own), "how": how, "shots": task.shots, **more}
        if how != "likelihood":
            drawn = self.sampled(task, how)
            left = {} if drawn else _GREEDY
            facts |= {"system": task.system, "draw": draw if drawn else 0}
            facts |= {"options": {n: v for n, v in self.options.items() if n not in left}}
        return _hash(facts)


def same_answers(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two points differ in nothing that can change an answer."""
    first, second = (
        {n: v for n, v in point.items() if part_of(n) != "loading" or n in _ANSWER}
        for point in (one, other)
    )
    return first == second


def _hash(facts: Any) -> str:
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
