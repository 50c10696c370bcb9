"""The plain twin: inside a running loop, from many threads, over a fork, at exit."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from engines.scripted import ScriptedServer, answer, chunked, lines, then_silence

from workbench.engines import AsyncEngine, AsyncOpenAIEngine, Engine, OpenAIEngine

DONE = chunked(lines({"response": "hi"}, {"done": True, "eval_count": 1}))


async def test_it_works_inside_a_running_loop(engine: Engine, server: ScriptedServer) -> None:
    server.says(DONE)
    assert engine.generate("m", "x").text == "hi"
    assert [chunk.text for chunk in engine.stream_generate("m", "x")] == ["hi", ""]


def test_many_threads_share_one(engine: Engine, server: ScriptedServer) -> None:
    server.says(DONE)
    with ThreadPoolExecutor(16) as pool:
        texts = list(pool.map(lambda _: engine.generate("m", "x").text, range(64)))
    assert texts == ["hi"] * 64
    assert len(server.asked) == 64


def test_a_generator_may_be_closed_by_another_thread(
    engine: Engine, server: ScriptedServer
) -> None:
    server.says(then_silence(lines({"response": "hi"})))
    stream = engine.stream_generate("m", "x")
    next(stream)
    thread = threading.Thread(target=stream.close)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert server.asked[0].gone.wait(10)


def test_it_works_again_after_closing(engine: Engine, server: ScriptedServer) -> None:
    server.says(DONE)
    engine.generate("m", "x")
    engine.close()
    assert engine.generate("m", "x").text == "hi"


def test_an_async_engine_moves_between_loops(server: ScriptedServer) -> None:
    import asyncio

    server.says(DONE)
    one = AsyncEngine(server.url)
    for _ in range(2):
        assert asyncio.run(one.generate("m", "x")).text == "hi"


@pytest.mark.parametrize(
    ("twin", "original"), [(Engine, AsyncEngine), (OpenAIEngine, AsyncOpenAIEngine)]
)
def test_the_twins_have_the_same_methods(twin: type, original: type) -> None:
    def public(kind: type) -> dict[str, object]:
        return {name: value for name, value in inspect.getmembers(kind) if name[0] != "_"}

    assert public(twin).keys() - {"url", "kind"} == public(original).keys() - {"url", "kind"}
    for name, method in public(original).items():
        if not callable(method) or name == "close":
            continue
        theirs, ours = inspect.signature(method), inspect.signature(getattr(twin, name))
        assert theirs.parameters == ours.parameters, name
        assert "Async" not in str(ours.return_annotation)
        assert method.__doc__, name


def run(code: str, url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_program_ends_although_a_stream_is_open(server: ScriptedServer) -> None:
    server.says(then_silence(lines({"response": "hi"})))
    code = (
        "import sys\n"
        "from workbench.engines import Engine\n"
        "engine = Engine(sys.argv[1])\n"
        "stream = engine.stream_generate('m', 'x')\n"
        "print(next(stream).text)\n"
    )
    ended = run(code, server.url)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "hi\n", "")
    assert server.asked[0].gone.wait(10)


def test_a_forked_child_has_its_own_loop(server: ScriptedServer) -> None:
    server.says(answer({"version": "1"}))
    code = (
        "import os, sys\n"
        "from workbench.engines import Engine\n"
        "engine = Engine(sys.argv[1])\n"
        "engine.version()\n"
        "child = os.fork()\n"
        "os.write(1, f'{engine.version()}\\n'.encode())\n"  # in one piece: two processes write
        "if child:\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    ended = run(code, server.url)
    assert (ended.returncode, ended.stdout) == (0, "1\n1\n0\n"), ended.stderr


def test_importing_the_room_is_light() -> None:
    code = (
        "import sys, workbench.engines\n"
        "print(sorted({'httpx', 'asyncio', 'anyio', 'torch', 'psutil'} & sys.modules.keys()))"
    )
    assert run(code, "").stdout == "[]\n"
