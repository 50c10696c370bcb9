"""The form that begins a training: recipe, dataset, base, settings; checked and priced as written.

Settings that nobody typed are the preset's (of the recipe `base`: what its dial derives), so the
form shows those as hints and passes on only what differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict
from traitlets import Tuple as TupleTrait

from workbench.panels.states._data_form import Fields, FormState, code_of, words_of
from workbench.panels.states._train_price import PriceState
from workbench.panels.states._train_settings import (
    DIAL,
    choices,
    collected,
    counted,
    defaults,
    kinds,
    refused,
    value_of,
    wrong_name,
)

PREFERRED = "preference"  # the form of a dataset from which preferences are learnt
ENDINGS = {"base": "base", "finetune": "tuned", "preferences": "preferred"}


class NewTrainingState(FormState):
    """`defaults` are the settings as they are when nothing is typed; their names are fields too.

    `bases` and `presets` are what can be chosen; `feedback` is counted where there is no dataset
    with preferences.
    """

    function = "workbench.train.submit"
    actions = FormState.actions | {"reset", "collect"}
    fields: ClassVar[Fields] = {
        "recipe": "", "dataset": "", "base": "", "name": "", "preset": "", "system": "",
        "replace": "", "deploy": "yes", "force": "",
    }  # fmt: skip
    lists = ("quantization",)
    defaults = Dict()
    bases = TupleTrait(default_value=())
    presets = Dict()
    feedback = AnyTrait(None, allow_none=True)
    known = Bool(False)  # whether what can be chosen was read

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.price = PriceState()
        self.picked = {"quantization": ("Q8_0",)}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of GGUF files."""
        return kinds()

    @property
    def recipe(self) -> str:
        """The one that is chosen; where there is no base model yet, from scratch."""
        return self.text("recipe") or ("finetune" if self.bases else "base")

    @property
    def suitable(self) -> tuple[Any, ...]:
        """Datasets of a form that the recipe can learn from, the newest first."""
        preferred = self.recipe == "preferences"
        return tuple(d for d in self.source.datasets if (d.form == PREFERRED) == preferred)

    @property
    def dataset(self) -> Any:
        """The one that is chosen, else the newest; None where there is none."""
        label, there = self.text("dataset"), self.suitable
        chosen = (one for one in there if label in (one.label, one.name))
        return next(chosen, there[0] if there else None)

    @property
    def base(self) -> Any:
        """The model that is trained on; None for none."""
        if self.recipe == "base":
            return None
        wanted = self.text("base")
        return next((one for one in self.bases if one.name == wanted), (*self.bases, None)[0])

    @property
    def preset(self) -> str:
        """The one that is chosen, else the usual one of the recipe."""
        return self.text("preset") or ("preferences" if self.recipe == "preferences" else "lora")

    @property
    def name(self) -> str:
        """What was typed; else one that is free."""
        return self.text("name") or self.suggestion

    @property
    def suggestion(self) -> str:
        """The dataset's name and the recipe, with a number where there is such a model."""
        if self.dataset is None:
            return ""
        first, taken = f"{self.dataset.name[:50]}-{ENDINGS[self.recipe]}", self._taken
        names = (first, *(f"{first}-{number}" for number in range(2, len(taken) + 3)))
        return next(name for name in names if name not in taken)

    @property
    def _taken(self) -> set[str]:
        """Names of models and of trainings that are to make one."""
        models = {model.name.removesuffix(":latest") for model in self.source.engine.models}
        return models | {one.name.removesuffix(":latest") for one in self.source.trainings}

    @property
    def exists(self) -> bool:
        """Whether a model of this name is there already."""
        models = {model.name.removesuffix(":latest") for model in self.source.engine.models}
        return self.name.removesuffix(":latest") in models

    @property
    def changed(self) -> dict[str, Any]:
        """The settings that were typed."""
        return self._typed(self.defaults)

    def _typed(self, names: Iterable[str]) -> dict[str, Any]:
        typed = {name: str(self.texts.get(name, "")).strip() for name in names}
        return {
            name: words_of(text) if name == "targets" else value_of(text)
            for name, text in typed.items()
            if text
        }

    @property
    def missing(self) -> str:
        if self.dataset is None:
            preferred = self.recipe == "preferences"
            return "Preferences are needed first." if preferred else "A dataset is needed first."
        if self.recipe != "base" and self.base is None:
            return "A base model is needed first."
        return "" if self.picked["quantization"] else "Tick a kind of file."

    @property
    def ready(self) -> bool:
        price = self.price.found
        return super().ready and (not price or price["fits"] or bool(self.text("force")))

    @property
    def code(self) -> str:
        if self.missing or self.problems:
            return ""
        after = "from workbench.jobs import wait\n\ntraining = {call}\nprint(wait(training.job))\n"
        return code_of(self.function, self.given(), after)

    @property
    def settings(self) -> Any:
        """Of `submit`: a preset's name, or a mapping with what differs from it."""
        changed = self.changed
        if self.recipe == "base":
            return changed
        return {"preset": self.preset, **changed} if changed else self.preset

    def given(self) -> tuple[list[Any], dict[str, Any]]:
        base = self.base
        named: dict[str, Any] = {"dataset": self.dataset.label, "name": self.name}
        named |= {"base": base.name} if base else {}
        named |= {"settings": self.settings} if self.settings else {}
        named["quantization"] = [*self.picked["quantization"]]
        named |= {"system": self.text("system")} if self.text("system") else {}
        for switch in ("replace", "force"):
            named |= {switch: True} if self.text(switch) else {}
        return [self.recipe], named | ({} if self.text("deploy") else {"deploy": False})

    def check(self) -> dict[str, str]:
        found: dict[str, str] = {}
        if self.exists and not self.text("replace"):
            found["name"] = "There is a model of this name. Choose another one, or replace it."
        elif self.name and (wrong := wrong_name(self.name)):
            found["name"] = wrong
        return found

    def _work_out(self) -> dict[str, Any]:
        """In a thread: the settings as the dial or the preset has them, and what is wrong."""
        recipe, preset, found = self.recipe, self.preset, self.check()
        usual = defaults(recipe, preset, self._typed([DIAL]))
        changed = self._typed(usual)
        wrong = {name: refused(recipe, preset, {name: value}) for name, value in changed.items()}
        found |= {name: words for name, words in wrong.items() if words}
        if not found and (words := refused(recipe, preset, changed)):
            found["settings"] = words
        told = counted() if recipe == "preferences" and self.dataset is None else None
        return {"defaults": usual, "problems": found, "feedback": told}

    async def write(self, name: str, value: str) -> None:
        """Take what was typed; another recipe begins with its own settings."""
        if name == "recipe" and value != self.recipe:
            empty = dict.fromkeys(self.defaults, "")
            self.texts, self.problems = {**self.texts, **empty, "preset": ""}, {}
        if name == "dataset":
            self.texts = {**self.texts, "force": ""}
        await super().write(name, value)

    async def reset(self) -> None:
        """The settings as the preset has them."""
        self.texts = {**self.texts, **dict.fromkeys(self.defaults, "")}
        await self.look()

    async def collect(self) -> None:
        """A dataset of the votes that were given in the Arena."""
        if await self.do(collected):
            await self.source.look()

    async def begin(self, dataset: str = "", base: str = "") -> None:
        """As at first, with this dataset or this base model."""
        self.texts = {**self.texts, **self.fields, "dataset": dataset, "base": base}
        if base:
            self.texts = {**self.texts, "recipe": "finetune"}
        await self.look()

    async def look(self) -> None:
        """What can be chosen, once; then the form as it is."""
        if not self.known:
            found = await self.do(choices)
            if found is None:
                return  # the problem says why
            self.bases, self.presets = found
            self.known = True
        await self.ask(self._work_out, self._use)
        self.price.about(None if self.missing or self.problems else self._question)

    def _use(self, found: dict[str, Any]) -> None:
        self.texts = {**dict.fromkeys(found["defaults"], ""), **self.texts}
        for name, value in found.items():
            self.set_trait(name, value)

    async def start(self, name: str = "", value: str = "") -> None:
        """Begin, when the steps that are being tried have told what it takes: the start looks at
        that too, and would try them a second time."""
        if self.busy:
            return
        if name in self.texts:
            await self.write(name, value)
        self.busy = True
        try:
            await self.price.settled()
        finally:
            self.busy = False
        await super().start()

    @property
    def _question(self) -> dict[str, Any]:
        """Of `estimate`: what the price depends on."""
        [recipe], named = self.given()
        priced = ("dataset", "base", "settings")
        return {"recipe": recipe} | {name: named[name] for name in priced if name in named}

    def close(self) -> None:
        self.price.close()

    async def follow(self, begun: Any) -> None:
        """Look at the training that began."""
        await self.source.jobs.refresh()
        if begun is not None:
            self.texts = {**self.texts, "name": "", "replace": "", "force": ""}
            await self.source.open_training(begun.id)
