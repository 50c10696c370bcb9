"""A file of examples on this machine: what it is, which column is which, what comes of it."""

from __future__ import annotations

from typing import Any, ClassVar

from traitlets import Any as AnyTrait
from traitlets import Dict

from workbench.panels.states._data_form import NAME, NAME_WORDS, Fields, FormState, whole

SHOWN = 5  # examples in the preview


class ImportState(FormState):
    """`shape` is what was recognised, `preview` the first examples as they would be.

    `columns` says for each use which column it is; until something is changed they are those
    that were recognised, and none is passed on.
    """

    actions = FormState.actions | {"map"}
    fields: ClassVar[Fields] = {"path": "", "name": "", "form": ""}
    shape = AnyTrait(None, allow_none=True)
    preview = AnyTrait(None, allow_none=True)
    columns = Dict()
    _looked = ""  # the path that was recognised

    @property
    def missing(self) -> str:
        if not self.text("path"):
            return "Say which file."
        if self.preview is None or not self.preview.examples:
            return "No example can be made of it yet."
        return "" if self.text("name") else "Name the dataset."

    @property
    def form(self) -> str:
        """The form that is chosen or was recognised."""
        return self.text("form") or (self.shape.form if self.shape else "") or ""

    @property
    def uses(self) -> tuple[str, ...]:
        """What columns can be for in this form."""
        from workbench.examples import FIELDS

        own = FIELDS.get(self.form, ())  # type: ignore[call-overload]
        more = {"completion": ("system", "input"), "conversation": ("system",)}.get(self.form, ())
        return tuple(dict.fromkeys([*self.columns, *own, *more, "label", "licence"]))

    @property
    def names(self) -> tuple[str, ...]:
        """All columns of the file."""
        return (*self.shape.columns.values(), *self.shape.left) if self.shape else ()

    @property
    def changed(self) -> dict[str, Any]:
        """What differs from what was recognised."""
        if self.shape is None or (
            self.columns == dict(self.shape.columns) and self.form == self.shape.form
        ):
            return {}
        found = {"columns": dict(self.columns), "form": self.form}
        return {name: value for name, value in found.items() if value}

    def given(self) -> tuple[list[Any], dict[str, Any]]:
        return ["import", self.text("name")], {
            "path": str(whole(self.text("path"))),
            **self.changed,
        }

    async def map(self, use: str, value: str) -> None:
        """This column for that use; none where the value is empty."""
        kept = {name: column for name, column in self.columns.items() if name != use}
        self.columns = kept | ({use: value} if value else {})
        await self.look()

    async def write(self, name: str, value: str) -> None:
        """In another form, columns that it has no use for are let go."""
        if name == "form" and self.shape is not None:
            own = dict(self.shape.columns) if value in {"", self.shape.form} else {}
            self.columns = own
        await super().write(name, value)

    async def look(self) -> None:
        """Show what would come of the file; another one is recognised first."""
        name, path = self.text("name"), self.text("path")
        self.problems = {"name": NAME_WORDS} if name and not NAME.fullmatch(name) else {}
        if path != self._looked:
            self._looked, self.preview, self.shape, self.columns = path, None, None, {}
            self.texts = {**self.texts, "form": ""}
        if path:
            changed = self.changed
            await self.ask(lambda: _preview(path, changed), self._use)

    def _use(self, found: Any) -> None:
        if self.shape is None:
            self.shape, self.columns = found.shape, dict(found.shape.columns)
        self.preview = found


def _preview(path: str, changed: dict[str, Any]) -> Any:
    from workbench.examples import preview

    return preview(whole(path), limit=SHOWN, **changed)
