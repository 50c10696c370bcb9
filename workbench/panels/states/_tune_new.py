"""The form that begins a study: model, suite, what may change, goals, limits; checked as written.

What a study would do is told from the same arguments that it is begun with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from traitlets import Any as AnyTrait
from traitlets import Bool
from traitlets import Tuple as TupleTrait

from workbench.errors import WorkbenchError
from workbench.panels.states._data_form import Fields, FormState, code_of, number_of
from workbench.panels.states._tune_space import (
    Choices,
    choices,
    code_of_space,
    edited,
    facts_of,
    fields_of,
    memory_of,
    narrowed,
    trains,
    untyped,
)

if TYPE_CHECKING:
    from workbench.tune import Study

WHOLE = ("iterations", "samples", "held_out", "seed")
NUMBERS = (*WHOLE, "minutes", "memory")
CUSTOM = "custom"  # the goal that is a formula
GB = 1_000_000_000


class Code(str):
    """Text that is Python already."""

    def __repr__(self) -> str:
        return str(self)


class NewStudyState(FormState):
    """`usual` is the chosen space as this model allows it, `space` the same with what was typed;
    `notes` say what the model or the machine does not allow."""

    function = "workbench.tune.create"
    actions = FormState.actions | {"reset"}
    fields: ClassVar[Fields] = {
        "model": "", "suite": "", "space": "general", "name": "", "strategy": "", "formula": "",
        "iterations": "", "minutes": "", "samples": "40", "held_out": "", "memory": "",
        "seed": "", "judge": "", "warm": "yes", "dataset": "",
    }  # fmt: skip
    lists = ("objectives", "off")
    choices = AnyTrait(Choices())
    known = Bool(False)  # whether what can be chosen was read
    usual = AnyTrait(None, allow_none=True)
    space = AnyTrait(None, allow_none=True)
    size = AnyTrait(None, allow_none=True)  # points of it; None: without end
    memory = AnyTrait(None, allow_none=True)  # bytes that the settings of now should take
    notes = TupleTrait(default_value=())

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.picked = {**self.picked, "objectives": ("maximize_quality", "minimize_latency")}
        self._facts: tuple[tuple[str, str], Any] = (("", ""), None)

    @property
    def model(self) -> Any:
        """The one that is chosen, else the first that writes; None where there is none."""
        wanted, there = self.text("model"), self.source.engine.writers
        chosen = (one for one in there if wanted in (one.name, one.name.removesuffix(":latest")))
        return next(chosen, there[0] if there else None)

    @property
    def suite(self) -> tuple[str, str, int] | None:
        """Name, title, questions; None where there is none."""
        wanted, there = self.text("suite"), self.choices.suites
        return next((one for one in there if one[0] == wanted), there[0] if there else None)

    @property
    def dataset(self) -> tuple[str, str] | None:
        """Name, what it holds; None where there is none, or nothing is trained."""
        wanted, there = self.text("dataset"), self.choices.datasets
        if not trains(self.usual):
            return None
        return next((one for one in there if one[0] == wanted), there[0] if there else None)

    @property
    def model_choices(self) -> list[tuple[str, str]]:
        """Names, twice."""
        return [(one.name, one.name) for one in self.source.engine.writers]

    @property
    def dataset_choices(self) -> list[tuple[str, str]]:
        """Names, twice."""
        return [(name, name) for name, _words in self.choices.datasets]

    @property
    def suite_choices(self) -> list[tuple[str, str]]:
        """Names and titles."""
        return [(name, title) for name, title, _count in self.choices.suites]

    @property
    def strategy(self) -> str:
        """The one that is chosen, else the usual one."""
        return self.text("strategy") or "bayesian_optimization"

    @property
    def objectives(self) -> list[str]:
        """What counts; a formula comes last."""
        picked = [name for name in self.picked["objectives"] if name != CUSTOM]
        formula = self.text("formula") if CUSTOM in self.picked["objectives"] else ""
        return picked + ([formula] if formula else [])

    @property
    def questions(self) -> int:
        """That a point is asked at most."""
        there, most = (self.suite or ("", "", 0))[2], number_of(self.text("samples"))
        return min(there, int(most)) if most else there

    @property
    def trials(self) -> int:
        """That are made at most."""
        most = int(number_of(self.text("iterations")) or self.choices.limits[0])
        return min(most, self.size) if self.size else most

    @property
    def missing(self) -> str:
        if not self.known:
            return "Reading what can be chosen."
        if self.model is None:
            return "A model is needed first."
        if self.suite is None:
            return "A suite is needed first."
        if trains(self.usual) and self.dataset is None:
            return "A dataset to learn from is needed first: make one under Data."
        return "" if self.objectives else "Tick what counts."

    @property
    def code(self) -> str:
        if self.missing or self.problems or self.usual is None:
            return ""
        places, named = self.given()
        text = code_of_space(self.text("space"), self.usual, self.picked["off"], self.texts)
        after = "from workbench.jobs import wait\nfrom workbench.tune import best, start\n"
        for name in ("find_space", "Space"):
            if text.startswith((f"{name}(", f"{name}.")):
                after = f"from workbench.space import {name}\n{after}"
        after += "\nstudy = {call}\nwait(start(study).id)\nprint(best(study))\n"
        return code_of(self.function, (places, {**named, "space": Code(text)}), after)

    def given(self) -> tuple[list[Any], dict[str, Any]]:
        changed = code_of_space(self.text("space"), self.usual, self.picked["off"], self.texts)
        plain = changed == repr(self.text("space"))
        named: dict[str, Any] = {"space": self.text("space") if plain else self.space}
        named |= {"strategy": self.strategy, "objectives": self.objectives}
        named |= {"name": self.text("name")} if self.text("name") else {}
        said = {name: number_of(self.text(name)) for name in NUMBERS if self.text(name)}
        if memory := said.get("memory"):
            said["memory"] = round(GB * memory)
        named |= said | ({"judge": self.text("judge")} if self.text("judge") else {})
        named |= {} if self.text("warm") else {"warm_start": False}
        named |= {"dataset": self.dataset[0]} if self.dataset else {}
        engine = self.source.engine.url
        suite = self.suite[0] if self.suite else ""
        return [self.model.name, suite], named | ({"engine": engine} if engine else {})

    def check(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in NUMBERS:
            text, number = self.text(name), number_of(self.text(name))
            if text and (number is None or (name in WHOLE and number != int(number))):
                found[name] = "Write a whole number." if name in WHOLE else "Write a number."
            elif text and not number and name != "seed":
                found[name] = "Write a number above 0, or nothing."
        if CUSTOM in self.picked["objectives"] and not self.text("formula"):
            found["formula"] = "Write one, such as quality - 0.1 * latency, or take the tick away."
        return found | _wrong_goals(self.strategy, self.objectives, self.text("formula"))

    def _work_out(self) -> dict[str, Any]:
        """In a thread: the space as the model allows it, as it was edited, and what is wrong."""
        found = next((s for s in self.choices.spaces if s.name == self.text("space")), None)
        if found is None:
            return {"problems": {"space": f"There is no space {self.text('space')!r}."}}
        facts = self._allowed()
        try:
            usual, notes = narrowed(found, facts)
        except WorkbenchError as error:
            return {"usual": None, "problems": {"space": str(error)}}
        space, wrong = edited(usual, self.picked["off"], self.texts)
        told = {"usual": usual, "notes": notes, "space": space, "size": space.size(),
                "memory": memory_of(space, facts)}  # fmt: skip
        return told | {"problems": self.check() | wrong}

    def _allowed(self) -> Any:
        """Facts of the chosen model; None where the engine does not tell."""
        key = (self.source.engine.url, self.model.name if self.model else "")
        if key != self._facts[0]:
            try:
                self._facts = key, facts_of(*key) if key[1] else None
            except WorkbenchError:
                return None  # asked again when the form is looked at next
        return self._facts[1]

    async def write(self, name: str, value: str) -> None:
        """Take what was typed; another space begins with its own bounds."""
        if name == "space" and value != self.text("space"):
            self._forget_edits()
        await super().write(name, value)

    def _forget_edits(self) -> None:
        own = type(self).fields  # what is typed meanwhile still finds its field
        self.texts = {name: text if name in own else "" for name, text in self.texts.items()}
        self.picked = {**self.picked, "off": ()}

    async def reset(self) -> None:
        """The space as it ships."""
        self._forget_edits()
        await self.look()

    async def begin(self, model: str = "", suite: str = "") -> None:
        """As at first, with this model or this suite."""
        self.texts = {**self.texts, "model": model, "suite": suite, "name": ""}
        await self.look()

    async def like(self, study: Study) -> None:
        """The settings of this study, to begin another one."""
        kept = {"model": study.model, "suite": study.suite, "strategy": study.strategy, "name": ""}
        said = {name: str(study.settings[name]) for name in (*WHOLE, "minutes")
                if study.settings.get(name) is not None}  # fmt: skip
        there = {space.name: space for space in self.choices.spaces}
        if study.space.name not in there:  # of a file, or of Python
            self.choices = replace(self.choices, spaces=(*self.choices.spaces, study.space))
        off, texts = untyped(there.get(study.space.name, study.space), study.space)
        self._forget_edits()
        self.texts = {**self.texts, **kept, **said, **texts, "space": study.space.name}
        formulas = [one for one in study.objectives if one not in (self.choices.objectives or {})]
        if formulas:
            self.texts = {**self.texts, "formula": formulas[0]}
        goals = [CUSTOM if one in formulas else one for one in study.objectives]
        self.picked = {**self.picked, "off": off, "objectives": tuple(dict.fromkeys(goals))}
        await self.look()

    async def look(self) -> None:
        """What can be chosen, once (a dataset may be made meanwhile); then the form as it is."""
        if not self.known or (trains(self.usual) and not self.choices.datasets):
            found = await self.do(choices)
            if found is None:
                return  # the problem says why
            if not self.known:
                usual = dict(zip(("iterations", "minutes"), map(str, found.limits), strict=True))
                # else what was made last, which may be a study's result
                usual["model"] = next((one.model for one in self.source.studies), "")
                said = {name: text for name, text in self.texts.items() if text}
                self.texts = {**self.texts, **usual, **said}
            self.choices, self.known = found, True
        await self.ask(self._work_out, self._use)

    def _use(self, found: dict[str, Any]) -> None:
        if found.get("usual") is not None:
            self.texts = {**dict.fromkeys(fields_of(found["usual"]), ""), **self.texts}
        for name, value in found.items():
            self.set_trait(name, value)

    async def follow(self, begun: Any) -> None:
        """Start the study that was made, and look at it."""
        if begun is None:
            return
        from workbench import tune

        await self.do(lambda: tune.start(begun))
        why, self.problem = self.problem, ""
        await self.source.jobs.refresh()
        self.texts = {**self.texts, "name": ""}
        await self.source.open_study(begun.id)
        self.source.opened.problem = why  # beside its button that starts it


def _wrong_goals(strategy: str, goals: list[str], formula: str) -> dict[str, str]:
    """What is wrong with a formula, or with so many goals."""
    from workbench import tune

    if goals and goals[-1] == formula:
        try:
            tune.objective(formula)
        except WorkbenchError as error:
            return {"formula": str(error)}
    most = tune.STRATEGIES[strategy].most_objectives
    if len(goals) > most:
        one = "one goal" if most == 1 else f"{most} goals"
        return {"strategy": f"It looks for {one} at a time. Choose another way, or fewer goals."}
    return {}
