"""The Playground's rules against a real engine: ask, stream, stop, go on after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
from itertools import pairwise

import pytest

from workbench.engines import engine_status, start_engine, stop_engine
from workbench.errors import ModelNotFound
from workbench.panels.states import PlaygroundState, Turn

PROMPT = "def read_lines(path):"


def options(state: PlaygroundState, **texts: object) -> None:
    for name, text in texts.items():
        state.options.set_text(name, str(text))


async def wait_until(condition: object) -> None:
    async with asyncio.timeout(30):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


async def test_first_model_is_chosen_and_a_prompt_is_answered(playground: PlaygroundState) -> None:
    assert playground.model == "tiny:latest"
    options(playground, num_predict=12, seed=1)
    await playground.send(PROMPT)
    asked, answer = playground.turns
    assert (asked.role, asked.text, answer.role) == ("user", PROMPT, "assistant")
    assert answer.text and answer.outcome == "cut off"
    assert answer.metrics and answer.metrics.eval_count == 12
    assert answer.metrics.tokens_per_second and answer.first_token
    assert not playground.live and playground.problem is None


async def test_the_picture_grows_while_the_model_writes(playground: PlaygroundState) -> None:
    seen: list[Turn] = []
    playground.observe(lambda change: seen.append(change["new"]), "live")
    options(playground, num_predict=1000, seed=2)
    await playground.send(PROMPT)
    texts = [turn.text for turn in seen if turn is not None]
    assert texts[0] == "" and seen[-1] is None
    assert len(texts) > 3, "no pictures between the beginning and the end"
    assert len(texts) < 1000 / 3, "tokens are not coalesced"
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert playground.last and playground.last.text.startswith(texts[-1])


async def test_stop_ends_the_work_and_keeps_what_came(playground: PlaygroundState) -> None:
    options(playground, num_predict=100_000, num_ctx=2048)
    asking = asyncio.ensure_future(playground.send(PROMPT))
    await wait_until(lambda: playground.live and len(playground.live.text) > 50)
    playground.stop()
    await asking
    assert playground.last and playground.last.outcome == "stopped" and playground.last.text
    options(playground, num_predict=3)
    await playground.send(PROMPT)  # the engine is free again
    assert playground.last.metrics and playground.last.metrics.eval_count == 3


async def test_the_models_own_parameters_are_shown(playground: PlaygroundState) -> None:
    assert playground.options.own == {"num_thread": "1"}
    (row,) = playground.options.rows("num_thread")
    assert row.default == "1"


async def test_the_same_seed_gives_the_same_text(playground: PlaygroundState) -> None:
    options(playground, num_predict=16, seed=42, temperature=1)
    await playground.send(PROMPT)
    first = playground.last
    await playground.regenerate()
    assert first and playground.last and playground.last.text == first.text
    options(playground, seed=43)
    await playground.regenerate()
    assert playground.last.text != first.text


@pytest.mark.parametrize("mode", ["prompt", "chat"])
async def test_shown_code_says_the_same(playground: PlaygroundState, mode: str) -> None:
    playground.mode, playground.system = mode, "Be 'brief'.\n\"Now\"."
    options(playground, num_predict=16, seed=7, stop="zzz")
    await playground.send(PROMPT + '\n    """Say "hi"."""')
    if mode == "chat":
        await playground.send("And\\then?")
    printed = io.StringIO()

    def run() -> None:
        with contextlib.redirect_stdout(printed):
            exec(playground.code, {})

    await asyncio.to_thread(run)
    assert playground.last and playground.last.text
    assert printed.getvalue().rstrip("\n") == playground.last.text.rstrip("\n")


async def test_a_chat_is_edited_undone_and_cleared(playground: PlaygroundState) -> None:
    playground.mode = "chat"
    options(playground, num_predict=4)
    await playground.send("one")
    await playground.send("two")
    assert [turn.text for turn in playground.turns if turn.role == "user"] == ["one", "two"]
    await playground.edit(str(playground.turns[0].id), "uno")
    assert [turn.text for turn in playground.turns if turn.role == "user"] == ["uno"]
    assert len(playground.turns) == 2
    await playground.send("due")
    playground.undo()
    assert playground.draft == "due" and len(playground.turns) == 2
    playground.clear()
    assert playground.turns == () and playground.draft == ""


async def test_modes_keep_their_own_turns(playground: PlaygroundState) -> None:
    options(playground, num_predict=2)
    await playground.send("a prompt")
    playground.mode = "chat"
    assert playground.turns == ()
    await playground.send("a message")
    playground.mode = "prompt"
    assert playground.turns[0].text == "a prompt"


async def test_nothing_is_asked_with_nonsense_among_the_options(
    playground: PlaygroundState,
) -> None:
    options(playground, seed="seven")
    await playground.send(PROMPT)
    assert playground.problem and "seed" in playground.problem.sentence
    options(playground, seed=7, num_predict=2)
    await playground.regenerate()
    assert playground.problem is None and playground.last


async def test_a_model_that_vanished_is_a_problem_with_advice(playground: PlaygroundState) -> None:
    with pytest.raises(ModelNotFound):
        playground.choose("gone:latest")
    playground.model = "gone:latest"
    await playground.send(PROMPT)
    assert playground.problem and "gone:latest" in playground.problem.sentence
    assert playground.problem.advice
    await playground.refresh()
    playground.engine.models = (*playground.engine.models,)
    playground._choose_one()
    assert playground.model == "tiny:latest"


async def test_a_killed_engine_leaves_what_came_and_the_next_call_works(
    playground: PlaygroundState,
) -> None:
    options(playground, num_predict=100_000)
    asking = asyncio.ensure_future(playground.send(PROMPT))
    await wait_until(lambda: playground.live and playground.live.text)
    status = await asyncio.to_thread(engine_status)
    assert status
    os.kill(status.pid, signal.SIGKILL)
    await asking
    assert playground.problem and playground.problem.details
    assert playground.last and playground.last.outcome == "interrupted"
    options(playground, num_predict=5)
    await playground.regenerate()
    assert playground.problem is None
    assert playground.last.metrics and playground.last.metrics.eval_count == 5


async def test_an_engine_that_was_started_again_elsewhere_is_found(
    playground: PlaygroundState,
) -> None:
    """A page that was made ready before, or left open, knows the old port."""
    assert playground.engine.engine
    before = playground.engine.engine.url
    host, _, port = before.removeprefix("http://").rpartition(":")
    await asyncio.to_thread(stop_engine)
    # somebody else has the old port, or the engine might come back to it
    async with await asyncio.start_server(lambda _, writer: writer.close(), host, int(port)):
        assert await asyncio.to_thread(start_engine) != before
        options(playground, num_predict=5)
        await playground.send(PROMPT)
    assert playground.problem is None
    assert playground.last and playground.last.metrics
    assert playground.last.metrics.eval_count == 5
