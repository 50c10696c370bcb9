"""Collections of documents, what lies in them, and the form that gathers more."""

from __future__ import annotations

import sysconfig
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from traitlets import Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.panels.states._data_form import (
    NAME,
    NAME_WORDS,
    Fields,
    FormState,
    number_of,
    whole,
    words_of,
)

if TYPE_CHECKING:
    from workbench.gather import Gathered

# The options of each kind of source, in the order of the form.
OPTIONS = {
    "files": ("include", "exclude"),
    "web": ("depth", "pages", "delay", "include", "exclude", "beneath", "allow_private"),
    "git": ("languages", "ref", "include", "exclude", "allow_private"),
    "transcript": ("languages",),
}
_LISTS = frozenset({"include", "exclude", "languages"})
_SWITCHES = frozenset({"beneath", "allow_private"})
_NUMBERS = {"depth": (0, 20), "pages": (1, 100_000), "delay": (0, 60)}
PAGE = 12  # documents at first, and with each "show more"


def offers() -> list[dict[str, str]]:
    """What can be gathered here without a network, as texts of the form."""
    paths, tests = sysconfig.get_paths(), "test/* */test/* */tests/* idlelib/*"
    html = Path("/usr/share/doc").glob("python3.[0-9]*/html/_sources")  # as they were written
    found = [{"collection": "python-docs", "address": one} for one in sorted(map(str, html))[-1:]]
    code = {"collection": "python", "address": paths["stdlib"]}
    notes = {"collection": "notes", "address": paths["purelib"], "include": "*.md *.rst"}
    found += [{**code, "include": "*.py", "exclude": tests}, notes]
    return [one for one in found if Path(one["address"]).is_dir()]


class GatherState(FormState):
    """The form; and of the collections what is unfolded: `inside` is name, key and what."""

    actions = FormState.actions | {"unfold", "more", "again", "take"}
    function = "workbench.gather.submit_gather"
    fields: ClassVar[Fields] = {
        "kind": "files", "collection": "", "address": "", "include": "", "exclude": "",
        "depth": "", "pages": "", "delay": "", "languages": "", "ref": "",
        "beneath": "yes", "allow_private": "",
    }  # fmt: skip
    inside = Unicode("")  # name/key/documents or name/key/skipped
    rows = TupleTrait(default_value=())
    most = Int(PAGE)
    offers = TupleTrait(default_value=())

    @property
    def options(self) -> tuple[str, ...]:
        """The fields that this kind of source has."""
        return OPTIONS[self.text("kind")]

    @property
    def missing(self) -> str:
        if not self.text("address"):
            return "Say what to gather."
        return "" if self.text("collection") else "Name the collection."

    def given(self) -> tuple[list[Any], dict[str, Any]]:
        named: dict[str, Any] = {}
        for name in self.options:
            text = self.text(name)
            if name in _SWITCHES:
                if text != self.fields[name]:
                    named[name] = bool(text)
            elif text:
                value = number_of(text) if name in _NUMBERS else words_of(text)
                named[name] = text if name == "ref" else value
        return [self.text("collection"), self.text("kind"), self.text("address")], named

    def check(self) -> dict[str, str]:
        found: dict[str, str] = {}
        name, address, kind = self.text("collection"), self.text("address"), self.text("kind")
        if name and not NAME.fullmatch(name):
            found["collection"] = NAME_WORDS
        if address and (wrong := _wrong(kind, address)):
            found["address"] = wrong
        for field_, (low, high) in _NUMBERS.items():
            text = self.text(field_)
            value = number_of(text)
            if field_ in self.options and text and (value is None or not low <= value <= high):
                found[field_] = f"Write a number from {low} to {high:,}, or nothing."
        return found

    async def take(self, place: str) -> None:
        """Gather one of what is offered."""
        self.texts = {**self.fields, **self.offers[int(place)]}
        await self.start()

    async def again(self, name: str, place: str) -> None:
        """Gather a source anew, as it was asked for."""
        from workbench.gather import submit_gather

        one, _ = _found(self.source.collections, name, place, "documents")
        job = await self.do(lambda: submit_gather(name, one.source, one.address, **one.options))
        self.started = job.title if job else ""
        await self.source.jobs.refresh()

    async def unfold(self, name: str, place: str, what: str) -> None:
        """Show a source's documents, or what was skipped; the same again folds it."""
        wanted = f"{name}/{place}/{what}"
        self.inside, self.rows, self.most = "" if self.inside == wanted else wanted, (), PAGE
        await self._read()

    async def more(self) -> None:
        """More of what is unfolded."""
        self.most *= 4
        await self._read()

    async def _read(self) -> None:
        asked = self.inside
        if asked:
            name, key, what = asked.split("/")
            one, before = _found(self.source.collections, name, key, what)
            most = min(self.most, getattr(one, what))
            found = await self.do(lambda: _rows(name, what, before, most))
            if found is not None and self.inside == asked:
                self.rows = found


def _wrong(kind: str, address: str) -> str:
    """What an address lacks, as far as one can see without asking anybody."""
    if kind == "web" and not address.lower().startswith(("http://", "https://")):
        return "An address begins with https:// or http://."
    if kind == "git" and (address.startswith("-") or "::" in address):
        return "Write the repository's https:// or ssh address, or a folder of this machine."
    if (kind == "files" or address.startswith("~")) and not _there(address):
        return "There is no such file or folder on this machine."
    return ""


def _there(path: str) -> bool:
    try:
        return whole(path).exists()
    except OSError:  # a folder that we may not look into
        return False


def _found(collections: Any, name: str, key: str, what: str) -> tuple[Gathered, int]:
    """A source, and how many rows of its collection come before its own."""
    sources = next(one.sources for one in collections if one.name == name)
    place = next(at for at, one in enumerate(sources) if one.key == key)
    return sources[place], sum(getattr(one, what) for one in sources[:place])


def _rows(name: str, what: str, before: int, most: int) -> tuple[Any, ...]:
    from workbench import gather

    rows = gather.documents(name) if what == "documents" else gather.skipped(name)
    return tuple(islice(rows, before, before + most))
