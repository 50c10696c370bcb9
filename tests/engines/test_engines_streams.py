"""Streams: however the bytes are cut they read the same, and what is incomplete raises."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from contextlib import aclosing
from typing import Any

import pytest
from engines import scripted
from engines.scripted import ScriptedServer, chunked, lines, then_silence

from workbench.engines import AsyncEngine, Engine, collect
from workbench.engines import _lines as line_rules
from workbench.errors import (
    EngineBusy,
    EngineError,
    InvalidRequest,
    ModelNotFound,
    NotEnoughMemory,
    StreamBroken,
)
from workbench.types import Chunk

FIRST = {"model": "m", "created_at": "2026-01-01T00:00:00.123456789Z", "response": "Hel"}
SECOND = {"response": "lo\u2028 wörld\n", "done": False}
LAST = {
    "response": "!",
    "done": True,
    "done_reason": "stop",
    "eval_count": 3,
    "eval_duration": 1_000_000_000,
    "total_duration": 2_000_000_000,
}
WHOLE = json.dumps(FIRST).encode() + b"\r\n\n" + json.dumps(SECOND, ensure_ascii=False).encode()
WHOLE += b"\n" + lines(LAST)


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_bytes_may_be_cut_anywhere(engine: Engine, server: ScriptedServer, size: int) -> None:
    server.says(chunked(*(WHOLE[i : i + size] for i in range(0, len(WHOLE), size))))
    chunks = list(engine.stream_generate("m", "hi"))
    assert [chunk.text for chunk in chunks] == ["Hel", "lo\u2028 wörld\n", "!"]
    reply = collect(chunks)
    assert reply.text == "Hello\u2028 wörld\n!"
    assert reply.done_reason == "stop"
    assert reply.metrics.tokens_per_second == 3


def test_a_stream_may_come_without_a_final_newline_and_end_by_closing(
    engine: Engine, server: ScriptedServer
) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    server.says(scripted.then_closed(head + WHOLE.rstrip()))
    assert engine.generate("m", "hi").text == "Hello\u2028 wörld\n!"


def test_a_line_of_ten_megabytes(engine: Engine, server: ScriptedServer) -> None:
    text = "x" * 10_000_000
    data = lines({"message": {"role": "assistant", "content": text}}, {"done": True})
    server.says(chunked(*(data[i : i + 65536] for i in range(0, len(data), 65536))))
    assert engine.chat("m", [{"role": "user", "content": "hi"}]).text == text


def test_an_endless_line_is_refused(
    engine: Engine, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_rules, "MAX_LINE", 100_000)
    server.says(chunked(*[b"x" * 65536] * 4))
    with pytest.raises(StreamBroken, match="line of more than"):
        engine.generate("m", "hi")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(chunked(lines(FIRST)), id="no last line"),
        pytest.param(chunked(), id="nothing at all"),
        pytest.param(chunked(lines(FIRST), end=False), id="connection breaks"),
        pytest.param(chunked(WHOLE[:-20], end=False), id="cut inside a line"),
        pytest.param(chunked(lines(FIRST), b'{"response": "lo'), id="half a line, proper end"),
        pytest.param(chunked(lines(FIRST), b"<html>bad gateway</html>\n"), id="not JSON"),
        pytest.param(chunked(lines(FIRST), b"[1, 2]\n"), id="not an object"),
        pytest.param(chunked(lines(FIRST), b"[" * 100_000 + b"\n"), id="deeply nested"),
        pytest.param(chunked(lines(FIRST), b"\xff\xfe\n"), id="not UTF-8"),
    ],
)
def test_an_incomplete_answer_raises(
    engine: Engine, server: ScriptedServer, answer: scripted.Answer
) -> None:
    server.says(answer)
    with pytest.raises(StreamBroken, match=r"incomplete"):
        engine.generate("m", "hi")
    assert len(server.asked) == 1, "a POST that may have run is not repeated"


def test_what_came_before_the_break_was_given(engine: Engine, server: ScriptedServer) -> None:
    server.says(chunked(lines(FIRST), end=False))
    stream = engine.stream_generate("m", "hi")
    assert next(stream).text == "Hel"
    with pytest.raises(StreamBroken):
        next(stream)


def test_collect_wants_the_last_chunk() -> None:
    with pytest.raises(StreamBroken):
        collect([Chunk(text="a")])
    with pytest.raises(StreamBroken):
        collect([])


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("model requires more system memory (9.1 GiB) than is available (2 GiB)", NotEnoughMemory),
        ("server busy, please try again.  maximum pending requests exceeded", EngineBusy),
        ("model 'x' not found", ModelNotFound),
        ("pull model manifest: file does not exist", ModelNotFound),
        ('option "num_ctx" must be of type integer', InvalidRequest),
        ('"all-minilm" does not support generate', InvalidRequest),
        ("llama runner process has terminated", EngineError),
    ],
)
def test_an_error_line_raises_the_right_error(
    engine: Engine, server: ScriptedServer, message: str, kind: type[EngineError]
) -> None:
    server.says(chunked(lines(FIRST), lines({"error": message}), lines(LAST)))
    with pytest.raises(EngineError) as caught:
        engine.generate("m", "hi")
    assert type(caught.value) is kind
    assert str(caught.value).startswith(" ".join(message.split()))


@pytest.mark.parametrize("error", ["", {"message": "bad", "code": 3}, {"strange": 1}, 7])
def test_any_error_line_raises(engine: Engine, server: ScriptedServer, error: Any) -> None:
    server.says(chunked(lines(FIRST, {"error": error}, LAST)))
    with pytest.raises(EngineError):
        engine.generate("m", "hi")


def test_pull_needs_its_success(engine: Engine, server: ScriptedServer) -> None:
    steps = [
        {"status": "pulling manifest"},
        {"status": "pulling 0123", "digest": "sha256:0123", "total": 10},
        {"status": "pulling 0123", "digest": "sha256:0123", "total": 10, "completed": 5},
    ]
    server.says(chunked(lines(*steps)), chunked(lines(*steps, {"status": "success"})))
    with pytest.raises(StreamBroken):
        list(engine.pull("m"))
    seen = list(engine.pull("m"))
    assert [step.fraction for step in seen] == [None, None, 0.5, None]
    assert seen[-1].status == "success"
    assert server.asked[0].json() == {"model": "m", "insecure": False}


def test_an_answer_is_complete_even_if_its_connection_hangs(
    engine: Engine, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_rules, "DRAIN", 0.05)
    server.says(then_silence(WHOLE))
    assert engine.generate("m", "hi").done_reason == "stop"


def test_a_slow_drip_is_waited_for(engine: Engine, server: ScriptedServer) -> None:
    server.says(chunked(*(WHOLE[i : i + 30] for i in range(0, len(WHOLE), 30)), pause=0.05))
    assert engine.generate("m", "hi").text.endswith("!")


def test_a_connection_is_used_again(engine: Engine, server: ScriptedServer) -> None:
    server.says(chunked(WHOLE))
    for _ in range(3):
        engine.generate("m", "hi")
    assert len({each.socket.fileno() for each in server.asked}) == 1
    assert len({id(each.socket) for each in server.asked}) == 1


class TestLeavingEarly:
    """Whoever stops reading closes the connection, which is how an engine is told to stop."""

    @pytest.fixture(autouse=True)
    def endless(self, server: ScriptedServer) -> None:
        server.says(then_silence(lines(FIRST)))

    def test_closing_a_generator(self, engine: Engine, server: ScriptedServer) -> None:
        stream = engine.stream_generate("m", "hi")
        next(stream)
        stream.close()
        assert server.asked[0].gone.wait(10)

    def test_breaking_out_of_a_loop(self, engine: Engine, server: ScriptedServer) -> None:
        for _ in engine.stream_generate("m", "hi"):
            break
        assert server.asked[0].gone.wait(10)

    def test_a_generator_that_is_never_read_asks_nothing(
        self, engine: Engine, server: ScriptedServer
    ) -> None:
        engine.stream_generate("m", "hi").close()
        assert not server.asked

    @pytest.mark.parametrize("streams", [True, False])
    def test_an_interrupt_while_waiting(
        self, engine: Engine, server: ScriptedServer, streams: bool
    ) -> None:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            if streams:
                list(engine.stream_generate("m", "hi"))
            else:
                engine.generate("m", "hi")
        assert server.asked[0].gone.wait(10)

    async def test_cancelling_a_task(self, server: ScriptedServer) -> None:
        async with AsyncEngine(server.url) as connected:
            task = asyncio.ensure_future(connected.generate("m", "hi"))
            while not server.asked:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.asked[0].gone.wait, 10)

    async def test_closing_an_async_generator(self, server: ScriptedServer) -> None:
        async with AsyncEngine(server.url) as connected:
            async with aclosing(connected.stream_generate("m", "hi")) as stream:
                assert (await anext(stream)).text == "Hel"
            assert await asyncio.to_thread(server.asked[0].gone.wait, 10)


def test_a_slow_reader_slows_the_engine(engine: Engine, server: ScriptedServer) -> None:
    """Otherwise a long answer would fill the memory of whoever reads it slowly."""
    sent_all = threading.Event()
    line = lines({"response": "x" * 1000})

    def say(exchange: scripted.Exchange) -> None:
        chunked(*[line * 100] * 500)(exchange)  # 50 MB
        sent_all.set()

    server.says(say)
    stream = engine.stream_generate("m", "hi")
    next(stream)
    assert not sent_all.wait(1)
    stream.close()
