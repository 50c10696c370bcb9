"""What the form of a study asks the rooms below: spaces, what a model allows, a space as edited.

A bound that nobody typed is the space's own; what is not ticked stays at its default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.panels.states._data_form import words_of
from workbench.panels.states._train_settings import value_of

if TYPE_CHECKING:
    from workbench.space import ModelFacts, Parameter, Space

ENDS = ("low", "high")
Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be chosen. Suites are name, title, how many questions; datasets, of the forms that
    a model is fine-tuned on, name and what they hold; limits are trials and minutes where nothing
    is said; the others have words."""

    spaces: tuple[Space, ...] = ()
    datasets: tuple[tuple[str, str], ...] = ()
    suites: tuple[tuple[str, str, int], ...] = ()
    strategies: Mapping[str, Any] | None = None
    objectives: Mapping[str, Any] | None = None
    limits: tuple[int, int] = (0, 0)


def choices() -> Choices:
    """All of it. Raises SettingsError."""
    from workbench import data, space, tasks, train, tune

    suites = sorted(
        (one.name, one.title, sum(task.count for task in one.tasks))
        for one in tasks.suites().values()
    )
    learnt = [
        (one.name, f"{one.form}, {one.examples:,} examples") for one in data.datasets()
        if one.form in train.FORMS["finetune"]
    ]  # fmt: skip
    return Choices(
        tuple(space.spaces()), tuple(learnt), tuple(suites), tune.STRATEGIES, tune.OBJECTIVES,
        tune.usual_limits(),
    )  # fmt: skip


def trains(found: Space | None) -> bool:
    """Whether each point of the space is a model to be trained."""
    return found is not None and any(one.part == "training" for one in found.parameters)


def facts_of(url: str, model: str) -> ModelFacts:
    """What the model and the machine allow, through the engine. Raises EngineError."""
    from workbench import space
    from workbench.engines import connect

    with connect(url or None, start=False) as engine:
        return space.facts_of(engine, model)


def narrowed(found: Space, facts: ModelFacts | None) -> tuple[Space, tuple[str, ...]]:
    """The space as it can be tried here, and what was left out, in words."""
    from workbench import space

    if facts is None:
        return found, ()
    kept, notes = space.narrowed(found, facts)
    return kept, tuple(notes)


def memory_of(found: Space, facts: ModelFacts | None) -> int | None:
    """Bytes that the default should take; None where that cannot be told."""
    from workbench import space

    memory = space.predicted_memory(found.default(), facts) if facts is not None else None
    parts = (memory.ram, memory.gpu) if memory is not None else ()
    return round(sum(one.value for one in parts if one is not None)) or None


def fields_of(space: Space) -> list[str]:
    """The fields of its parameters, by which they can be changed."""
    found = []
    for one in space.parameters:
        found += [f"choices:{one.name}"] if one.kind == "choice" else [
            f"{end}:{one.name}" for end in ENDS
        ]  # fmt: skip
    return found


def typed(parameter: Parameter, texts: Texts) -> dict[str, Any]:
    """What was typed about it, as its JSON has it."""
    if parameter.kind == "choice":
        words = words_of(texts.get(f"choices:{parameter.name}", ""))
        return {"choices": [value_of(word) for word in words]} if words else {}
    given = {end: str(texts.get(f"{end}:{parameter.name}", "")).strip() for end in ENDS}
    return {end: value_of(text) for end, text in given.items() if text}


def edited(space: Space, off: Sequence[str], texts: Texts) -> tuple[Space, dict[str, str]]:
    """The space with what was typed and without what is off; what is wrong, by field.

    Where something is wrong it is left as it was.
    """
    wrong: dict[str, str] = {}
    parameters = []
    for one in space.parameters:
        given = {} if one.name in off else typed(one, texts)
        changed, words = _changed(one, given)
        if words:
            wrong[f"{'choices' if one.kind == 'choice' else 'low'}:{one.name}"] = words
        parameters.append(changed)
    kept = [one.name for one in space.parameters if one.name not in off]
    if not kept:
        return space, {**wrong, "space": "Tick something that may change."}
    try:
        whole = type(space).of({**space.to_json(), "parameters": [p.to_json() for p in parameters]})
        return whole.only(*kept) if off else whole, wrong
    except WorkbenchError as error:
        return space, {**wrong, "space": str(error)}


def _changed(parameter: Parameter, given: Mapping[str, Any]) -> tuple[Parameter, str]:
    """The parameter with what was typed; itself and why where that cannot be."""
    if not given:
        return parameter, ""
    numbers = [value for name, value in given.items() if name in ENDS]
    if any(isinstance(value, bool | str) or value is None for value in numbers):
        return parameter, "Write numbers, or nothing for what stands there in grey."
    try:
        return type(parameter).of({**parameter.to_json(), **given}), ""
    except WorkbenchError as error:
        return parameter, str(error)


def untyped(usual: Space, space: Space) -> tuple[tuple[str, ...], dict[str, str]]:
    """What is off and what would have to be typed so that the usual space becomes this one."""
    here, texts = {one.name: one for one in space.parameters}, {}
    for one in usual.parameters:
        mine = here.get(one.name)
        if mine is None:
            continue
        if one.kind == "choice" and mine.choices != one.choices:
            texts[f"choices:{one.name}"] = ", ".join(map(_text, mine.choices))
        for end in ENDS if one.kind != "choice" else ():
            if getattr(mine, end) != getattr(one, end):
                texts[f"{end}:{one.name}"] = _text(getattr(mine, end))
    return tuple(one.name for one in usual.parameters if one.name not in here), texts


def _text(value: Any) -> str:
    """As it would be typed."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def code_of_space(name: str, space: Space, off: Sequence[str], texts: Texts) -> str:
    """The space as an argument in Python: its name where nothing was changed."""
    if any(typed(one, texts) for one in space.parameters if one.name not in off):
        return f"Space.of({edited(space, off, texts)[0].to_json()!r})"
    if not off:
        return repr(name)
    kept = [one.name for one in space.parameters if one.name not in off]
    return f"find_space({name!r}).only({', '.join(map(repr, kept))})"
