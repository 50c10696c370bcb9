"""The releases: which one is in use, how one came after the other, what differs, the way back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from traitlets import Any as AnyTrait
from traitlets import Dict, Int, Unicode

from workbench.errors import ReleaseError
from workbench.panels.states._data_form import whole
from workbench.panels.states._versions_make import MakeReleaseState
from workbench.panels.states._versions_part import PartState

if TYPE_CHECKING:
    from workbench.releases import Member, Release

FILE = "workbench.releases.json"
MOST_SPANS = 40


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a release was in use."""

    version: str
    since: datetime
    seconds: float
    share: float  # of all that is shown


class TimelineState(PartState):
    """`chosen` is the version that is looked at ("" the one in use), beside `against` ("" its
    parent); `back` the version that a second click takes into use."""

    actions = frozenset(
        {"choose", "compare", "wish", "stay", "go_back", "write_out", "write_file", "import_file",
         "by_hand"}
    )  # fmt: skip
    settable = frozenset({"why", "path"})
    chosen = Unicode("")
    against = Unicode("")
    difference = AnyTrait(None, allow_none=True)
    measured = Dict()  # digest to rows
    back = Unicode("")
    why = Unicode("")
    returned = Int(0)  # counts up when the keyboard returns from that question; 0: it stays
    done = Unicode("")  # what came of the last change, in a sentence
    form = Unicode("")  # of `written`: markdown or json
    written = Unicode("")
    path = Unicode(FILE)
    filed = Unicode("")  # what came of the file
    wrong_file = Unicode("")
    making = Unicode("")  # whether the form for a release by hand is open

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.make = MakeReleaseState(source=self)

    @property
    def release(self) -> Release | None:
        """The one that is looked at."""
        there = (one for one in self.source.releases if one.version == self.chosen)
        return next(there, self.source.used or next(iter(self.source.releases), None))

    @property
    def other(self) -> Release | None:
        """The one that it is compared with."""
        shown = self.release
        wanted = self.against or (shown.parent if shown else "")
        return next((one for one in self.source.releases if one.version == wanted), None)

    @property
    def since(self) -> Any:
        """The switch that took the release in use into use."""
        return self.source.switches[0] if self.source.switches else None

    @property
    def spans(self) -> list[Span]:
        """When which release was in use, the oldest first."""
        moves = list(reversed(self.source.switches[:MOST_SPANS]))
        ends = [one.at for one in moves[1:]] + [datetime.now(UTC)]
        lasts = [max(0.0, (end - one.at).total_seconds())
                 for one, end in zip(moves, ends, strict=True)]  # fmt: skip
        whole = sum(lasts) or 1.0
        return [Span(one.version, one.at, last, last / whole)
                for one, last in zip(moves, lasts, strict=True)]  # fmt: skip

    @property
    def evidence(self) -> str:
        """Of the release that is looked at, as JSON."""
        told = self.release.evidence if self.release else {}
        return json.dumps(told, indent=2, ensure_ascii=False, default=str) if told else ""

    def rows(self, member: Member) -> tuple[Any, ...]:
        """What was measured of a member."""
        return tuple(self.measured.get(member.digest, member.measured))

    async def look(self) -> None:
        await self.ask(self._work_out, self._use)
        await self.make.look()

    def _work_out(self) -> dict[str, Any]:
        from workbench import releases

        shown, other = self.release, self.other
        known = {one.digest: one for each in (self.source.used, shown) if each
                 for one in each.members}  # fmt: skip
        return {
            "measured": {key: releases.measured_since(one) for key, one in known.items()},
            "difference": releases.diff(other, shown, since=True) if other and shown else None,
        }

    def _use(self, found: dict[str, Any]) -> None:
        for name, value in found.items():
            self.set_trait(name, value)

    async def choose(self, version: str) -> None:
        """Look at this release."""
        self.chosen, self.against, self.difference = version, "", None
        await self.look()

    async def compare(self, value: str) -> None:
        """Beside which release it is told."""
        self.against, self.difference = value, None
        await self.look()

    def wish(self, version: str) -> None:
        """First click: take this release into use again?"""
        self.back, self.why, self.done, self.problem = version, "", "", ""

    def stay(self) -> None:
        """Rather not; the keyboard returns to where it was."""
        self.back, self.returned = "", self.returned + 1

    async def go_back(self, value: str | None = None) -> None:
        """Second click: take the release that was asked about into use, with what belongs to it;
        from the keyboard, with what stands in the field."""
        from workbench import versions

        wanted, why = self.back, (self.why if value is None else value).strip()
        url = self.source.engine.url or None
        if not wanted or self.busy:
            return
        self.busy, self.why = True, why
        try:
            made = await self.do(lambda: versions.rollback(to=wanted, why=why, engine=url))
        finally:
            self.busy = False
        if made is not None:
            self.back = ""
            await self.used_now(made.version)

    async def used_now(self, version: str) -> None:
        """A release was taken into use."""
        self.making, self.chosen, self.against = "", version, ""
        self.done = f"{version} is in use."
        await self.source.read()
        self.source.go("releases", True)
        await self.look()

    def by_hand(self) -> None:
        """Open the form for a release without gates, with the roles of now; again closes it."""
        self.making = "" if self.making else "yes"
        if self.making:
            self.make.like(self.source.used)

    async def write_out(self, value: str) -> None:
        """The history as Markdown or as JSON; the same one again hides it."""
        again = self.form == value
        self.form, self.written = ("" if again else value), ""
        if not again:
            self.written = await self.do(_written(value)) or ""

    async def write_file(self, value: str = "") -> None:
        """The whole history into the file, for Git."""
        from workbench import releases

        await self._with_file(value, releases.write_file, lambda file: f"Written: {file}")

    async def import_file(self, value: str = "") -> None:
        """Add the releases of the file that are not known here; none is taken into use."""
        from workbench import releases

        await self._with_file(value, releases.import_file, _imported)
        await self.source.read()
        await self.look()

    async def _with_file(self, value: str, work: Any, words: Callable[[Any], str]) -> None:
        self.path, self.filed, self.wrong_file = value.strip() or self.path, "", ""
        place = whole(self.path.strip() or FILE)
        self.busy = True
        try:
            found = await asyncio.to_thread(work, place)
        except ReleaseError as error:
            self.wrong_file = str(error)
        else:
            self.filed = words(found)
        finally:
            self.busy = False


def _written(form: str) -> Callable[[], str]:
    from workbench import releases

    def markdown() -> str:
        return releases.changelog(releases.history(), releases.switches())

    def documents() -> str:
        told = [releases.to_document(one) for one in releases.history()]
        return json.dumps(told, indent=1, ensure_ascii=False) + "\n"

    return documents if form == "json" else markdown


def _imported(found: Any) -> str:
    """What came of reading a file in."""
    added = f"Added {', '.join(found.added)}." if found.added else "Nothing in it is new here."
    known = f" {len(found.known)} known already." if found.added and found.known else ""
    other = f" In use where it was written: {found.current}." if found.current else ""
    return f"{added}{known}{other}"
