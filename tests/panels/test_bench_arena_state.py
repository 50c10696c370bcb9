"""The arena of the Benchmarks panel: blind, stopped, without an engine."""

# ruff: noqa: F811 (fixtures are imported, and arguments have their names)
from __future__ import annotations

import asyncio
import json
from pathlib import Path

from bench_homes import (  # noqa: F401 (fixtures)
    measured,
    state,
    url,
)

from workbench.panels import Benchmarks
from workbench.panels.states import BenchState


async def test_the_arena_is_blind_until_the_vote(state: BenchState) -> None:
    await state.show("arena")
    panel = Benchmarks(state, shown=False)
    panel.appear()
    arena = state.arena
    arena.longest = 12
    assert arena.players == ["two:latest", "one:latest"] or len(arena.players) == 2
    await arena.vote("a")
    assert arena.voted == 0, "there was nothing to vote on"
    await arena.send("def read_lines(path):")
    assert arena.complete and arena.failure is None and all(one.text for one in arena.sides)
    part = next(one for one in panel.parts if one._template == "bench_duel")
    part.draw()
    assert "Answer A" in part.fragment.html
    assert "one:latest" not in part.fragment.html and "two:latest" not in part.fragment.html
    await arena.vote("no such vote")
    assert arena.winner == "" and arena.names == ()
    await arena.vote("a")
    assert set(arena.names) == {"one:latest", "two:latest"} and arena.voted == 1
    part.draw()
    assert f"You preferred <b>{arena.names[0]}</b>" in part.fragment.html
    await arena.vote("b")
    assert arena.voted == 1 and arena.winner == "a", "one answer, one vote"
    assert {one.name for one in arena.ratings} == set(arena.names)
    await arena.export()
    path = Path(arena.exported.partition(" saved as ")[2])
    (line,) = path.read_text(encoding="utf-8").splitlines()
    kept = json.loads(line)
    assert kept["prompt"] == "def read_lines(path):" and kept["chosen"] == arena.sides[0].text
    await arena.undo()
    assert arena.voted == 0 and arena.ratings == ()
    panel.close()


async def test_the_arena_stops_and_says_what_is_missing(state: BenchState) -> None:
    await state.show("arena")
    arena = state.arena
    arena.longest = 100_000
    asked = asyncio.ensure_future(arena.send("x"))
    async with asyncio.timeout(30):
        while not (arena.sides and all(one.text for one in arena.sides)):
            await asyncio.sleep(0.02)
    assert arena.live and not arena.complete
    arena.stop()
    await asked
    assert not arena.live and arena.complete, "what both wrote can be voted on"
    arena.toggle("one:latest")
    await arena.send("x again")
    assert "two models" in arena.problem and arena.question == "x"
    arena.toggle("one:latest")
    arena.put("suite", "other")
    await arena.suggest()
    assert "no question" in arena.problem
    arena.put("suite", "mine")
    await arena.suggest()
    assert arena.problem == "" and arena.draft and arena.composer == 1


async def test_an_engine_that_is_gone_is_a_card_not_a_vote(state: BenchState) -> None:
    await state.show("arena")
    arena = state.arena
    await state.engine.drop()
    state.engine.url = "http://127.0.0.1:9"
    await arena.send("x")
    assert arena.failure is not None and not arena.complete and not arena.live
    await arena.vote("a")
    assert arena.voted == 0
