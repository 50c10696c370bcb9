"""Modelfiles in the editor: what is wrong with them, what a model reads, their versions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from traitlets import Bool, Enum, Unicode
from traitlets import Tuple as TupleTrait

from workbench.errors import EngineError, InvalidRequest, ModelfileError, WorkbenchError
from workbench.panels.states._versions_files_shelf import ShelfState

if TYPE_CHECKING:
    from workbench.domains import Finding, Version
    from workbench.protocol import Option

PARTS = ("build", "preview", "settings", "versions", "page")
LINES = 3000  # that are numbered
SEVERITIES = ("error", "warning", "note")


class FilesState(ShelfState):
    """`part` is what is shown beside the editor. `left` and `right` are digests of versions: "" is
    the newest on the left, and what is in the editor on the right."""

    actions = ShelfState.actions | {
        "turn_to", "say", "add_setting", "of_model", "beside", "take",
    }  # fmt: skip
    part = Enum(PARTS, "build")
    unasked = Bool(False)  # whether no engine answered, so that the base is not checked
    message = Unicode("")  # that the preview is asked; empty: the first example
    previewed = Unicode("")
    preview_problem = Unicode("")
    model = Unicode("")  # whose versions are shown
    models = TupleTrait(default_value=())  # that have versions
    versions = TupleTrait(default_value=())
    left = Unicode("")
    right = Unicode("")
    rows = TupleTrait(default_value=())
    unread_rows = Unicode("")  # why there are none
    page = Unicode("")

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The lines with what is worst about each, "" for nothing."""
        worst: dict[int, str] = {}
        for one in self.findings:
            before = worst.get(one.line, one.severity)
            worst[one.line] = min(before, one.severity, key=SEVERITIES.index)
        every = self.text.split("\n")[:LINES]
        return [(line, worst.get(number, "")) for number, line in enumerate(every, 1)]

    @property
    def examples(self) -> tuple[str, ...]:
        """Messages to try it with."""
        return tuple(self.domain.asks) if self.domain is not None else ()

    @property
    def settings(self) -> list[tuple[Option, str]]:
        """Everything that a PARAMETER line can set, with what is set here."""
        from workbench.domains import parameters
        from workbench.protocol import parse_modelfile

        try:
            here = dict(parse_modelfile(self.text).parameters)
        except ModelfileError:
            here = {}
        shown = {
            name: ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            for name, value in here.items()
        }
        return [(one, shown.get(one.name, "")) for one in parameters()]

    @property
    def code(self) -> str:
        """Python that checks and builds the same."""
        base = f", base={self.base!r}" if self.base else ""
        if self.domain is not None and not self.changed:
            source = repr(self.name)
            given = source + (f", {self.called!r}" if self.called else "") + base
            text = ""
        else:
            given, text = f"text, {self.target or 'NAME'!r}{base}", f"text = {self.text!r}\n\n"
        return (
            f"from workbench import connect\nfrom workbench.domains import build\n\n{text}"
            f"with connect() as engine:\n    for step in build(engine, {given}):\n"
            "        print(step.status)\n"
        )

    async def look(self) -> None:
        await self.shelve()
        await self.recheck()

    async def recheck(self) -> None:
        await self.ask(self._work_out, self._use)

    def _work_out(self) -> dict[str, Any]:
        """In a thread: what is wrong with the text, and what the part beside it shows."""
        found: dict[str, Any] = self.named(self.written)
        try:
            with self.connected() as engine:
                return found | {"unasked": False} | self._looked(engine)
        except EngineError:  # none answers
            return found | {"unasked": True} | self._looked(None)

    def _looked(self, engine: Any) -> dict[str, Any]:
        from workbench.domains import check

        given = check(self.text, engine=engine, base=self.base or None)
        found: dict[str, Any] = {"findings": tuple(given)}
        parts = {"preview": self._previewed, "versions": self._versions, "page": self._page}
        if self.part in parts:
            found |= parts[self.part](engine, given)
        return found

    def _previewed(self, engine: Any, findings: list[Finding]) -> dict[str, Any]:
        from workbench.domains import preview

        if any(one.severity == "error" for one in findings):
            return {"previewed": "", "preview_problem": "Mend the errors first."}
        asked = [self.message.strip()] if self.message.strip() else [*self.examples[:1]]
        try:
            text = preview(self.written, asked or None, engine, base=self.base or None)
        except WorkbenchError as error:
            return {"previewed": "", "preview_problem": str(error)}
        return {"previewed": text, "preview_problem": ""}

    def _versions(self, engine: Any, findings: list[Finding]) -> dict[str, Any]:
        from workbench.domains import diff

        names = [self.target, *(one.name for one in self.source.engine.models)]
        known = {name: some for name in dict.fromkeys(names) if (some := _versions_of(name))}
        model = self.model if self.model in known else next(iter(known), "")
        found: dict[str, Any] = {
            "models": tuple(known),
            "model": model,
            "rows": (),
            "versions": tuple(known.get(model, ())),
            "unread_rows": "",
        }
        if model:
            texts = {one.digest: one.text for one in known[model]}
            before = texts.get(self.left, known[model][0].text)
            try:
                found["rows"] = tuple(diff(before, texts.get(self.right, self.text)))
            except ModelfileError as error:
                broken = any(one.severity == "error" for one in findings)
                found["unread_rows"] = "Mend the errors first." if broken else str(error)
        return found

    def _page(self, engine: Any, findings: list[Finding]) -> dict[str, Any]:
        from workbench.domains import page

        try:
            return {"page": page(self.name) if self.domain is not None else ""}
        except WorkbenchError as error:
            return {"page": str(error)}

    def _use(self, found: Mapping[str, Any]) -> None:
        for name, value in found.items():
            self.set_trait(name, value)

    def version(self, digest: str) -> Version | None:
        """The version of this digest."""
        return next((one for one in self.versions if one.digest == digest), None)

    async def turn_to(self, value: str) -> None:
        """Another part beside the editor."""
        self.part = value
        await self.recheck()

    async def say(self, value: str) -> None:
        """What the preview is asked; empty: the first example."""
        self.message = value
        await self.recheck()

    async def add_setting(self, name: str) -> None:
        """Write a PARAMETER line with its default, before the system text."""
        option = next((one for one, here in self.settings if one.name == name and not here), None)
        if option is None:
            return
        value = {"bool": str(option.default).lower(), "list": '"…"'}.get(
            option.kind, str(option.default if option.default is not None else 0)
        )
        await self.swap(with_setting(self.text, f"PARAMETER {name} {value}"))

    async def of_model(self, value: str) -> None:
        """The versions of this model."""
        self.model, self.left, self.right = value, "", ""
        await self.recheck()

    async def beside(self, name: str, value: str) -> None:
        """Another version on the left or on the right."""
        if name in ("left", "right"):
            self.set_trait(name, value)
            await self.recheck()

    async def take(self, digest: str) -> None:
        """Put this version into the editor; what stood there comes back by a click."""
        version = self.version(digest)
        if version is not None:
            await self.swap(version.text)


def _versions_of(name: str) -> list[Version]:
    """The versions of a model; of a name that is none there are none."""
    from workbench.domains import versions_of

    with suppress(InvalidRequest):
        return versions_of(name)
    return []


def with_setting(text: str, line: str) -> str:
    """The text with one more PARAMETER line: after the last one, else after FROM, else at the
    end. Lines of quoted texts are not taken for instructions."""
    lines, quoted, at = text.rstrip("\n").split("\n"), False, None
    for number, one in enumerate(lines):
        word = "" if quoted or not one.split() else one.split()[0].upper()
        if word == "PARAMETER" or (word == "FROM" and at is None):
            at = number
        quoted ^= one.count('"""') % 2 == 1
    where = len(lines) if at is None else at + 1
    return "\n".join([*lines[:where], line, *lines[where:]]) + "\n"
