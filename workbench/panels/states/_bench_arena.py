"""The blind arena: two models answer one question, their names hidden until the user has voted.

Which model stands left is drawn for each question, and pairs that met least come first. What the
page gets of a side before the vote is its text alone.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Int, Unicode
from traitlets import Tuple as TupleTrait

from workbench.errors import EngineUnreachable, StreamBroken
from workbench.panels.states._answer import Growing
from workbench.panels.states._doing import DoingState, toggled
from workbench.panels.states._state import Problem

REDRAW = 0.06  # seconds between two pictures of the growing answers


class ArenaState(DoingState):
    """`sides` are the two answers; `names` are empty until `winner` is there."""

    actions = frozenset({"toggle", "suggest", "send", "stop", "vote", "undo", "again", "export"})
    settable = frozenset({"suite"})
    source = AnyTrait(None, allow_none=True)  # the panel's state
    without = TupleTrait(default_value=())  # models that take no part
    suite = Unicode("")  # from which questions are taken
    longest = Int(400)  # tokens of an answer
    draft = Unicode("")
    composer = Int(0)  # counts up when the field is to be set anew
    question = Unicode("")  # that the sides answer
    sides = TupleTrait(default_value=())
    live = Bool(False)
    complete = Bool(False)  # both answered to the end, or were stopped by the user
    winner = Unicode("")
    names = TupleTrait(default_value=())
    failure = AnyTrait(None, allow_none=True)
    ratings = TupleTrait(default_value=())
    agreements = TupleTrait(default_value=())  # (judge, Agreement)
    voted = Int(0)
    exported = Unicode("")
    _pair: tuple[str, str] = ("", "")
    _task: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Votes and what they say."""
        await self.ask(_standings, self._use)

    def _use(self, found: Any) -> None:
        self.ratings, self.agreements, self.voted = found

    def toggle(self, name: str) -> None:
        """One model more or less."""
        self.without = toggled(self.without, name)

    @property
    def players(self) -> list[str]:
        """The models that take part."""
        return [m.name for m in self.source.engine.writers if m.name not in self.without]

    async def suggest(self) -> None:
        """Put a question of the suite into the field."""
        name = self.suite or self.source.suite
        found = await self.do(lambda: _question(name))
        if found is not None:
            self.draft, self.composer = found, self.composer + 1

    async def send(self, question: str) -> None:
        """Ask two of the models."""
        from workbench import arena

        if self.live or not question.strip():
            return
        players = self.players
        pair = await self.do(lambda: arena.next_pair(players))
        if pair and not self.live:
            self._pair, self.draft, self.question, self.exported = pair, question, question, ""
            await self._play()

    async def again(self) -> None:
        """The same question to the next pair."""
        await self.send(self.question)

    async def _play(self) -> None:
        self.winner, self.names, self.failure, self.complete = "", (), None, False
        growing = Growing(""), Growing("")
        self.sides, self.live = tuple(one.turn() for one in growing), True
        self._task = asyncio.ensure_future(self._answer(growing))
        await asyncio.wait([self._task])
        self._task, self.live = None, False  # also where it was stopped before it began

    async def _answer(self, growing: tuple[Growing, Growing]) -> None:
        drawing = asyncio.ensure_future(self._draw(growing))
        work = [
            asyncio.ensure_future(self._collect(model, one))
            for model, one in zip(self._pair, growing, strict=True)
        ]
        try:
            await asyncio.gather(*work)
            self.complete = True
        except asyncio.CancelledError:
            self.complete = all(one.tokens for one in growing)
        except Exception as error:
            self.failure = Problem.of(error)
            if isinstance(error, EngineUnreachable | StreamBroken):
                await self.source.engine.drop()
        finally:
            for one in (drawing, *work):
                one.cancel()
            self.live = False
            self.sides = tuple(one.turn() for one in growing)

    async def _draw(self, growing: tuple[Growing, Growing]) -> None:
        while True:
            self.sides = tuple(one.turn() for one in growing)
            await asyncio.sleep(REDRAW)

    async def _collect(self, model: str, growing: Growing) -> None:
        engine = await self.source.engine.connect()
        options = {"num_predict": self.longest}
        chunks = engine.stream_generate(model, self.question, options=options)
        async with aclosing(chunks):
            async for chunk in chunks:
                growing.add(chunk)
                await asyncio.sleep(0)  # chunks that lie ready never wait

    def stop(self) -> None:
        """Enough: what both have written can be voted on."""
        if self._task is not None:
            self._task.cancel()

    async def vote(self, value: Any) -> None:
        """Keep the vote and tell the names."""
        from workbench import arena

        if self.winner or self.live or not self.complete:
            return
        digests = {model.name: model.digest for model in self.source.engine.models}
        a, b = (
            arena.Side(name, turn.text, digests.get(name, ""))
            for name, turn in zip(self._pair, self.sides, strict=True)
        )
        pair, question, self.winner = self._pair, self.question, value
        kept = await self.do(lambda: arena.vote(question, a, b, value))
        if self._pair is pair:  # nobody has asked anew since
            self.names, self.winner = (pair, value) if kept else ((), "")
        await self.look()

    async def undo(self) -> None:
        """Take back the last vote; the answers that are shown can be voted on again."""
        await self.do(_take_back_last)
        self.winner, self.names = "", ()
        await self.look()

    async def export(self) -> None:
        """Write the votes as preference data into the home's folder `exports`."""
        from workbench import settings

        path = settings.home() / "exports" / "preferences.jsonl"
        self.exported = await self.do(lambda: _export(path)) or ""


def _standings() -> Any:
    from workbench import arena

    every = arena.votes()
    judges = sorted({one.voter for one in every} - {"user"})
    return (
        tuple(arena.ratings()),
        tuple((name, arena.judge_agreement(name)) for name in judges),
        sum(one.voter == "user" for one in every),
    )


def _take_back_last() -> None:
    from workbench import arena

    for one in arena.votes(voter="user")[:1]:
        arena.take_back(one.id)


def _export(path: Any) -> str:
    from workbench import arena

    count = arena.preferences(path)
    return f"{count} {'preference' if count == 1 else 'preferences'} saved as {path}"


def _question(suite: str) -> str:
    """A question that can be put to any model, drawn anew each time. Raises TaskError."""
    from workbench.errors import TaskError
    from workbench.tasks import find_any

    fit = [task for task in find_any(suite).tasks if task.mode in {"chat", "complete"}]
    if not fit:
        raise TaskError(f"{suite} has no question that can be put in words. Choose another suite.")
    chance = random.SystemRandom()
    samples = chance.choice(fit).samples(seed=chance.randrange(1, 10**6))
    return chance.choice(samples).prompt
