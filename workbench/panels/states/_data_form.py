"""Forms that begin a job: what was typed, what is wrong with it, and the same as Python.

A form names one function and gives its arguments; the code that it shows and the call that it
makes are written from the same ones, so they cannot differ.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from traitlets import Any as AnyTrait
from traitlets import Bool, Dict, Unicode

from workbench.panels.states._doing import DoingState, toggled

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
Fields = Mapping[str, str]
NAME_WORDS = "Use up to 64 small letters, digits, '.', '_' and '-', a letter or digit first."


def words_of(text: str) -> list[str]:
    """A list as people type it, with commas or spaces between."""
    return [word for word in re.split(r"[,\s]+", text) if word]


def number_of(text: str) -> float | None:
    """The number, whole where it is written so; None where it is none."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    return float(text) if re.fullmatch(r"[0-9]{0,6}\.[0-9]{1,9}", text) else None


def whole(path: str) -> Path:
    """From the root on; a home of nobody ("~x") is taken as the name that it is."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        return Path(path).absolute()


def code_of(function: str, given: tuple[list[Any], dict[str, Any]], after: str = "") -> str:
    """Python that calls `room.function` so; `after` stands below."""
    room, _, name = function.rpartition(".")
    lines = [*map(repr, given[0]), *(f"{key}={value!r}" for key, value in given[1].items())]
    inner = ", ".join(lines)
    if len(inner) > 60:
        inner = "\n    " + ",\n    ".join(lines) + ",\n"
    return f"from {room} import {name}\n{after.format(call=f'{name}({inner})')}"


class FormState(DoingState):
    """`texts` are of the fields, `picked` of the lists to tick, `problems` by field."""

    actions = frozenset({"write", "flip", "pick", "start"})
    function: ClassVar[str] = "workbench.data.submit_make"
    fields: ClassVar[Fields] = {}  # what stands there at first, by name
    lists: ClassVar[tuple[str, ...]] = ()
    source = AnyTrait(None, allow_none=True)  # the panel's state
    texts = Dict()
    picked = Dict()
    problems = Dict()
    busy = Bool(False)
    started = Unicode("")  # the title of the job that was begun last

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.texts = {**self.fields, **self.texts}
        self.picked = dict.fromkeys(self.lists, ()) | self.picked

    def given(self) -> tuple[list[Any], dict[str, Any]]:
        """Positional and named arguments; what is as usual is left out."""
        raise NotImplementedError

    def check(self) -> dict[str, str]:
        """What is wrong, by field, in a sentence; called in a thread. Nothing by default."""
        return {}

    @property
    def missing(self) -> str:
        """What has to be chosen first, in a sentence; empty where nothing is missing."""
        return ""

    @property
    def ready(self) -> bool:
        """Whether it can be started."""
        return not (self.missing or self.problems or self.busy)

    @property
    def code(self) -> str:
        """Python that starts the same and waits; empty while something is missing or wrong."""
        if self.missing or self.problems:
            return ""
        after = "from workbench.jobs import wait\n\njob = {call}\nprint(wait(job.id).result)\n"
        return code_of(self.function, self.given(), after)

    def text(self, name: str) -> str:
        """What stands in a field, without space around it."""
        return str(self.texts[name]).strip()

    async def write(self, name: str, value: str) -> None:
        """Take what was typed or chosen. Raises KeyError for a field that does not exist."""
        if self.texts[name] != value:
            self.texts = {**self.texts, name: value}
            await self.look()

    async def flip(self, name: str) -> None:
        """A switch, on or off."""
        await self.write(name, "" if self.texts[name] else "yes")

    async def pick(self, kind: str, name: str) -> None:
        """One more or less of a list."""
        self.picked = {**self.picked, kind: toggled(self.picked[kind], name)}
        await self.look()

    async def look(self) -> None:
        """Check the form as it is."""
        await self.ask(self.check, lambda found: self.set_trait("problems", found))

    async def start(self, name: str = "", value: str = "") -> None:
        """Begin, in a job; from the keyboard, with what stands in the field where Enter was hit."""
        if name in self.texts:
            self.texts = {**self.texts, name: value}
        await self.look()
        if not self.ready:
            return
        room, _, name = self.function.rpartition(".")
        places, named = self.given()
        self.busy, self.started = True, ""
        try:
            function = getattr(await asyncio.to_thread(import_module, room), name)
            begun = await self.do(lambda: function(*places, **named))
        finally:
            self.busy = False
        await self.follow(begun)

    async def follow(self, begun: Any) -> None:
        """What comes after the start; `begun` is None where it failed."""
        self.started = begun.title if begun else ""
        await self.source.jobs.refresh()
