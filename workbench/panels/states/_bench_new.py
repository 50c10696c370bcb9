"""A new measurement: which models, suites and settings, checked while it is written."""

from __future__ import annotations

import shlex
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Unicode
from traitlets import Tuple as TupleTrait

from workbench.errors import InvalidRequest
from workbench.panels.states._doing import DoingState, toggled
from workbench.protocol import OPTIONS, option_from_text


def options_of(text: str) -> dict[str, Any]:
    """`num_ctx=2048 temperature=0.2` as options. Raises InvalidRequest, with what would do."""
    from difflib import get_close_matches

    found: dict[str, Any] = {}
    try:
        words = shlex.split(text.replace(",", " ") if '"' not in text else text)
    except ValueError:
        raise InvalidRequest("A quotation mark is not closed.") from None
    for word in words:
        name, equals, value = word.partition("=")
        if name not in OPTIONS:
            near = get_close_matches(name, OPTIONS, 1)
            advice = f"Did you mean {near[0]}?" if near else "Try num_ctx=2048 or temperature=0.2."
            raise InvalidRequest(f"There is no option {name[:60]!r}. {advice}")
        if not equals or not value:
            raise InvalidRequest(f"{name} needs a value: {name}=…")
        given = option_from_text(name, value)
        found[name] = [given] if OPTIONS[name].kind == "list" else given
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None


class NewState(DoingState):
    """What is to be measured; texts as they were typed."""

    actions = frozenset({"toggle", "write", "add", "drop", "start"})
    settable = frozenset({"limit", "seed", "judge"})
    source = AnyTrait(None, allow_none=True)  # the panel's state
    models = TupleTrait(default_value=())
    suites = TupleTrait(default_value=())
    settings = TupleTrait(default_value=("",))
    limit = Unicode("50")  # questions of each task; empty: as many as each wants
    seed = Unicode("0")
    speed = Bool(False)
    judge = Unicode("")
    busy = Bool(False)
    started = Unicode("")  # the title of the job that was begun last

    async def look(self) -> None:
        """At first: the suite that was looked at, and the model where there is one only."""
        writers = self.source.engine.writers
        if not self.suites and self.source.chosen.counts:
            self.suites = (self.source.suite,)
        if not self.models and len(writers) == 1:
            self.models = (writers[0].name,)

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong, by field; settings by their place."""
        found: dict[str, str] = {}
        for place, text in enumerate(self.settings):
            try:
                options_of(text)
            except InvalidRequest as error:
                found[str(place)] = str(error)
        if self.limit and not _number(self.limit):
            found["limit"] = "Write a whole number from 1 on, or nothing."
        if _number(self.seed) is None:
            found["seed"] = "Write a whole number; 0 asks what everybody sees."
        return found

    @property
    def amount(self) -> tuple[int, int]:
        """How many runs, and about how many questions in all of them."""
        rows = [row for row in self.source.suites if row.name in self.suites]
        most = _number(self.limit)
        asked = sum(min(count, most or count) for row in rows for count in row.counts)
        times = len(self.models) * len(set(self.settings))
        return times * len(rows), times * asked

    @property
    def ready(self) -> bool:
        """Whether it can be started."""
        return bool(self.models and self.suites and not self.problems and not self.busy)

    @property
    def arguments(self) -> dict[str, Any]:
        """Of `submit_matrix`; what is as usual is left out."""
        settings: list[dict[str, Any]] = []
        for text in self.settings:
            if (options := options_of(text)) not in settings:
                settings.append(options)
        more = {
            "limit": _number(self.limit), "seed": _number(self.seed), "speed": self.speed,
            "judge": self.judge, "engine": self.source.engine.url,
        }  # fmt: skip
        given = {"models": [*self.models], "suites": [*self.suites], "settings": settings}
        return given | {name: value for name, value in more.items() if value}

    @property
    def code(self) -> str:
        """Python that starts the same; empty while something is missing."""
        if not (self.models and self.suites) or self.problems:
            return ""
        lines = "".join(f"    {name}={value!r},\n" for name, value in self.arguments.items())
        head = "from workbench.bench import leaderboard, submit_matrix\nfrom workbench.jobs import"
        return (
            f"{head} wait\n\njob = submit_matrix(\n{lines})\nwait(job.id)\n"
            f"for row in leaderboard({self.suites[0]!r}).rows:\n"
            "    print(row.rank, row.label, row.result.score)\n"
        )

    def toggle(self, kind: str, name: str = "") -> None:
        """A model or a suite more or less, or whether speed is measured."""
        if kind == "speed":
            self.speed = not self.speed
        elif kind in {"models", "suites"}:
            self.set_trait(kind, toggled(getattr(self, kind), name))

    def write(self, place: str, value: str) -> None:
        """The text of a setting."""
        if place.isdecimal() and int(place) < len(self.settings):
            texts = list(self.settings)
            texts[int(place)] = value.strip()
            self.settings = tuple(texts)

    def add(self) -> None:
        """One more setting."""
        self.settings = (*self.settings, "")

    def drop(self, place: str) -> None:
        """One setting less; the last one is emptied."""
        kept = tuple(text for at, text in enumerate(self.settings) if str(at) != place)
        self.settings = kept or ("",)

    async def start(self) -> None:
        """Measure, in a job."""
        if not self.ready:
            return
        from workbench import bench

        given, self.busy, self.started = self.arguments, True, ""
        try:
            job = await self.do(lambda: bench.submit_matrix(**given))
        finally:
            self.busy = False
        self.started = job.title if job else ""
        await self.source.jobs.refresh()
