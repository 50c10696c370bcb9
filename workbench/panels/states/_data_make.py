"""What is made out of a dataset: a split one, or examples cut from its code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from workbench.panels.states._data_form import NAME, NAME_WORDS, Fields, FormState, number_of

if TYPE_CHECKING:
    from workbench.data import Dataset


class FromState(FormState):
    """A form about the dataset that is opened."""

    def begin(self, dataset: Dataset) -> None:
        """As at first, for this dataset."""
        self.texts, self.started, self.problem = {**self.fields, "name": dataset.name}, "", ""

    @property
    def missing(self) -> str:
        return "" if self.text("name") else "Name the dataset."

    def check(self) -> dict[str, str]:
        name, seed = self.text("name"), number_of(self.text("seed") or "0")
        found = {} if not name or NAME.fullmatch(name) else {"name": NAME_WORDS}
        return found if isinstance(seed, int) else found | {"seed": "Write a whole number."}


class SplitState(FromState):
    """Shares are typed in percent; `by` keeps together what has the same value."""

    fields: ClassVar[Fields] = {
        "name": "", "validation": "10", "test": "0", "seed": "0", "by": "address", "stratify": "",
    }  # fmt: skip

    def begin(self, dataset: Dataset) -> None:
        super().begin(dataset)
        self.texts = {**self.texts, "by": "address" if "address" in self.source.about else ""}

    def given(self) -> tuple[list[Any], dict[str, Any]]:
        named: dict[str, Any] = {"dataset": self.source.dataset.label}
        for name in ("validation", "test"):
            named[name] = (number_of(self.text(name) or "0") or 0) / 100
        named["seed"] = number_of(self.text("seed") or "0")
        named |= {name: self.text(name) for name in ("by", "stratify")}
        return ["split", self.text("name")], named

    def check(self) -> dict[str, str]:
        found, whole = super().check(), 0.0
        for name in ("validation", "test"):
            share = number_of(self.text(name) or "0")
            whole += share or 0
            if share is None or whole >= 100:
                found[name] = "Write a share in percent; something must be left to train on."
        if not whole and not found:
            found["validation"] = "One of the two must be more than nothing."
        return found


class CodeState(FromState):
    """Which kinds of examples are cut out of Python code."""

    fields: ClassVar[Fields] = {"name": "", "kind": "docstring", "seed": "0", "limit": ""}

    def begin(self, dataset: Dataset) -> None:
        super().begin(dataset)
        self.texts = {**self.texts, "name": f"{dataset.name[:50]}-examples"}

    def given(self) -> tuple[list[Any], dict[str, Any]]:
        named: dict[str, Any] = {"dataset": self.source.dataset.label, "kinds": [self.text("kind")]}
        for name in ("seed", "limit"):
            if value := number_of(self.text(name)):
                named[name] = value
        return ["code", self.text("name")], named

    def check(self) -> dict[str, str]:
        found, limit = super().check(), self.text("limit")
        if limit and not isinstance(number_of(limit), int):
            found["limit"] = "Write a whole number, or nothing for all."
        return found
