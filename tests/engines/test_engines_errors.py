"""Answers that are not answers: each is one of our errors, with what to do."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from engines.scripted import ScriptedServer, answer, chunked, lines, reset, silence, then_closed

from workbench.engines import Engine, _http
from workbench.errors import (
    EngineBusy,
    EngineError,
    EngineUnreachable,
    InvalidRequest,
    ModelNotFound,
    NotEnoughMemory,
    StreamBroken,
)

DONE = chunked(lines({"response": "hi", "done": True}))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("400 Bad Request", {"error": "invalid model name"}, InvalidRequest),
        ("401 Unauthorized", {"error": "unauthorized"}, InvalidRequest),
        ("403 Forbidden", b"", InvalidRequest),
        ("404 Not Found", {"error": "model 'x' not found"}, ModelNotFound),
        ("404 Not Found", b"404 page not found", EngineError),
        ("413 Content Too Large", b"<html>too large</html>", InvalidRequest),
        ("429 Too Many Requests", {"error": {"message": "slow down"}}, EngineBusy),
        ("500 Error", {"error": "boom"}, EngineError),
        ("500 Error", {"error": 'option "seed" must be of type integer'}, InvalidRequest),
        ("500 Error", {"error": "model requires more system memory (9 GB)"}, NotEnoughMemory),
        ("502 Bad Gateway", b"<html>\x00\x1b[31mbad</html>", EngineError),
        ("503 Service Unavailable", {"error": "server busy"}, EngineBusy),
        ("500 Error", b"", EngineError),
    ],
)  # fmt: skip
def test_a_status_maps_to_an_error(
    engine: Engine, server: ScriptedServer, status: str, body: Any, kind: type[EngineError]
) -> None:
    server.says(answer(body, status))
    with pytest.raises(EngineError) as caught:
        engine.generate("x", "hi")
    assert type(caught.value) is kind
    assert caught.value.status == int(status[:3])
    assert str(caught.value).isprintable() and len(str(caught.value)) > 10
    assert len(server.asked) == 1


def test_a_redirect_is_not_followed(engine: Engine, server: ScriptedServer) -> None:
    elsewhere = ScriptedServer()
    elsewhere.says(answer({"models": []}))
    server.says(answer(b"", "307 Temporary Redirect", [f"Location: {elsewhere.url}/api/tags"]))
    with pytest.raises(EngineError, match="redirects to"):
        engine.models()
    with pytest.raises(EngineError, match="redirects to"):
        engine.generate("x", "hi")
    assert not elsewhere.asked
    elsewhere.close()


def test_what_reads_is_repeated_when_the_engine_is_busy(
    engine: Engine, server: ScriptedServer
) -> None:
    busy = answer({"error": "server busy"}, "503 Service Unavailable")
    server.says(busy, reset, answer({"models": []}))
    assert engine.models() == []
    assert len(server.asked) == 3


def test_it_is_not_repeated_for_ever(engine: Engine, server: ScriptedServer) -> None:
    server.says(answer({"error": "server busy"}, "503 Service Unavailable"))
    with pytest.raises(EngineBusy):
        engine.models()
    assert len(server.asked) == 1 + len(_http.PAUSES)


@pytest.mark.parametrize(
    "first", [reset, answer({"error": "server busy"}, "503 Service Unavailable")]
)
def test_what_may_have_run_is_not_repeated(
    engine: Engine, server: ScriptedServer, first: Any
) -> None:
    server.says(first, DONE)
    with pytest.raises((EngineUnreachable, EngineBusy)):
        engine.generate("x", "hi")
    assert len(server.asked) == 1


def test_what_was_never_sent_is_repeated(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, server: ScriptedServer
) -> None:
    """The engine restarts: its port refuses, then answers."""
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    monkeypatch.setattr(_http, "PAUSES", (0.2, 0.2, 0.2, 0.2, 0.2))
    with Engine(f"http://127.0.0.1:{free.getsockname()[1]}") as late:
        import threading

        threading.Timer(0.4, _answer_once, (free,)).start()
        assert late.generate("x", "hi").text == "hi"


def _answer_once(listener: socket.socket) -> None:
    listener.listen()
    connection, _ = listener.accept()
    with listener, connection:
        connection.recv(65536)
        body = lines({"response": "hi", "done": True})
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def test_nothing_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (
        Engine(f"127.0.0.1:{port}") as nowhere,
        pytest.raises(EngineUnreachable, match=rf"127.0.0.1:{port}.*workbench engine serve"),
    ):
        nowhere.generate("x", "hi")


def test_silence_ends(
    engine: Engine, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "LONG", 0.2)
    server.says(silence)
    with pytest.raises(EngineUnreachable, match="gave no answer"):
        engine.generate("x", "hi")
    assert len(server.asked) == 1


def test_an_answer_shorter_than_it_said(engine: Engine, server: ScriptedServer) -> None:
    server.says(then_closed(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"))
    with pytest.raises(StreamBroken):
        engine.models()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b"[" * 100_000])
def test_an_answer_that_is_no_object(engine: Engine, server: ScriptedServer, body: bytes) -> None:
    server.says(answer(body))
    with pytest.raises(EngineError, match="address of an engine"):
        engine.models()


def test_an_error_under_status_200(engine: Engine, server: ScriptedServer) -> None:
    server.says(answer({"error": "model 'x' not found"}))
    with pytest.raises(ModelNotFound):
        engine.show("x")


def test_headers_that_are_no_http(engine: Engine, server: ScriptedServer) -> None:
    server.says(then_closed(b"SSH-2.0-x\r\n"))
    with pytest.raises(EngineUnreachable):
        engine.generate("x", "hi")


@pytest.mark.parametrize(
    ("keywords", "advice"),
    [
        ({"temperature": 1}, "options={'temperature': …}"),
        ({"max_tokens": 9}, "options={'num_predict': …}"),
        ({"stream": True}, "stream_"),
        ({"option": {}}, "Did you mean 'options'"),
        ({"zzz": 1}, "It takes: model, prompt, format, options"),
    ],
)
def test_an_unknown_argument_fails_with_advice(
    engine: Engine, server: ScriptedServer, keywords: dict[str, Any], advice: str
) -> None:
    for method in (engine.generate, engine.stream_generate):
        with pytest.raises(InvalidRequest) as caught:
            method("x", "hi", **keywords)
        assert advice in str(caught.value)
        assert str(caught.value).startswith(f"{method.__name__}()")
    with pytest.raises(InvalidRequest):
        engine.embed("x", "hi", **keywords)
    assert not server.asked


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}, "\ud800"])
def test_what_is_not_json_is_not_sent(engine: Engine, server: ScriptedServer, value: Any) -> None:
    with pytest.raises(InvalidRequest, match="JSON"):
        engine.generate("x", "hi", options={"stop": [value]})
    assert not server.asked


def test_a_model_name_is_sent_as_it_is(engine: Engine, server: ScriptedServer) -> None:
    server.says(answer({"error": "invalid model name"}, "400 Bad Request"))
    with pytest.raises(InvalidRequest):
        engine.show("../../x")
    assert server.asked[0].path == "/api/show"


def test_proxies_do_not_apply_to_this_machine(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = ScriptedServer()
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy.url)
    server.says(answer({"version": "1"}))
    with Engine(server.url) as direct:
        assert direct.version() == "1"
    assert not proxy.asked
    proxy.close()
