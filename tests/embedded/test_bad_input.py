"""What must not be: each gets its status and one sentence, and the engine goes on."""

from __future__ import annotations

import http.client
import math
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ollama
import pytest
from conftest import EngineProcess, running, wait_until
from tiny import write_tiny_llama

GENERATE = "/api/generate"
DEEP = '{"model":"tiny","prompt":"x","options":' + "[" * 100_000 + "]" * 100_000 + "}"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (GENERATE, "", 400, "missing request body"),
        (GENERATE, "{", 400, "invalid JSON"),
        (GENERATE, "[]", 400, "json: cannot use array"),
        (GENERATE, b"\xff\xfe{}", 400, "invalid JSON"),
        (GENERATE, DEEP, 400, "nested too deeply"),
        (GENERATE, '{"model": 5}', 400, '"model" of type string'),
        (GENERATE, '{"model": "tiny", "prompt": ["x"]}', 400, '"prompt" of type string'),
        (GENERATE, '{"model": "tiny", "prompt": "x", "stream": "yes"}', 400, "boolean"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "options": []}', 400, "object"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "options": {"top_k": "a"}}', 400, "top_k"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "options": {"seed": 1e400}}', 400, "seed"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "options": {"stop": [1]}}', 400, "stop"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "keep_alive": "300"}', 400, "missing unit"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "keep_alive": "soon"}', 400, "duration"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "format": "xml"}', 500, "invalid format"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "format": {"type": 1}}', 400, ""),
        (GENERATE, '{"model": "tiny", "prompt": "x", "raw": true, "system": "s"}', 400, "raw"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "context": ["a"]}', 400, "token ids"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "context": [99999999]}', 400, "token"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "template": "{{ if }}"}', 400, "template"),
        (GENERATE, '{"model": "tiny", "prompt": "x", "top_logprobs": 99}', 400, "top_logprobs"),
        (GENERATE, '{"prompt": "x"}', 404, "not found"),
        (GENERATE, '{"model": "../../etc/passwd", "prompt": "x"}', 400, "invalid model name"),
        (GENERATE, '{"model": "a@b", "prompt": "x"}', 400, "invalid model name"),
        (GENERATE, '{"model": "absent", "prompt": "x"}', 404, "model 'absent' not found"),
        (GENERATE, '{"model": "embed", "prompt": "x"}', 400, '"embed" does not support generate'),
        ("/api/chat", '{"messages": []}', 400, "model is required"),
        ("/api/chat", '{"model": "tiny", "messages": ["x"]}', 400, "messages"),
        ("/api/chat", '{"model": "tiny", "messages": [{"role": 1}]}', 400, "role"),
        ("/api/chat", '{"model": "tiny", "messages": [{"content": {}}]}', 400, "content"),
        ("/api/chat", '{"model": "caller", "messages": [{}], "tools": [1]}', 400, "tool"),
        ("/api/embed", '{"model": "embed", "input": [1, 2]}', 400, "invalid input type"),
        ("/api/embed", '{"model": "absent", "input": "x"}', 404, "try pulling it first"),
        ("/api/embed", '{"model": "tiny", "input": "x"}', 400, "does not support embeddings"),
    ],
    ids=lambda value: str(value)[:48] if isinstance(value, str) else None,
)  # fmt: skip
def test_refused_with_a_sentence(
    engine: EngineProcess, path: str, body: str | bytes, status: int, words: str
) -> None:
    answer = engine.http.post(path, content=body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"} and words in answer.json()["error"]
    assert "Traceback" not in answer.text
    assert engine.http.get("/").text == "Ollama is running"


def test_unknown_fields_and_options_are_ignored(engine: EngineProcess) -> None:
    options: Any = {"num_predict": 1.9, "no_such": 1, "mirostat": 2, "top_p": None}
    answer = engine.post(
        GENERATE, model="TINY", prompt="x", stream=False, options=options, surprise={"a": 1}
    ).json()
    assert answer["eval_count"] == 1 and answer["model"] == "TINY"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"repeat_last_n": -1}, 200),
        ({"repeat_last_n": -9}, 400),
        ({"repeat_penalty": 0}, 400),
        ({"temperature": -5, "top_p": 50, "top_k": -7, "typical_p": 0, "min_p": 2}, 200),
        ({"seed": 2**63 - 1, "num_keep": 10**9, "stop": [""]}, 200),
        ({"num_thread": 10**6}, 200),
        ({"num_batch": -1, "num_ctx": -1}, 200),
    ],
    ids=str,
)
def test_numbers_beyond_reason(engine: EngineProcess, options: dict[str, Any], status: int) -> None:
    short = {"num_predict": 2, **options}
    answer = engine.post(GENERATE, model="tiny", prompt="x", stream=False, options=short)
    assert answer.status_code == status, answer.text
    assert "error" in answer.json() or answer.json()["done"]
    engine.post(GENERATE, model="tiny", keep_alive=0)


@pytest.mark.parametrize("template", ["{{ raise_exception('no no') }}", "{% for %}"])
def test_a_broken_template_in_the_file(tmp_path: Path, template: str) -> None:
    with running(tmp_path / "engine-home") as engine:
        assert "its chat template is broken" in refused(engine, tmp_path, template)


def test_an_endless_template_in_the_file(tmp_path: Path) -> None:
    template = "{% for i in range(100000) %}{% for j in range(10000000) %}{% endfor %}{% endfor %}"
    with running(tmp_path / "engine-home", OLLAMA_LOAD_TIMEOUT="2s") as engine:
        assert "did not load within 2 s" in refused(engine, tmp_path, template)


def refused(engine: EngineProcess, folder: Path, template: str) -> str:
    """Why a model with this template does not load."""
    engine.install("evil", write_tiny_llama(folder / "evil.gguf", chat_template=template))
    answer = engine.post("/api/chat", model="evil", messages=[{"role": "user"}])
    assert answer.status_code == 500
    wait_until(lambda: not engine.children(), "its process is gone")
    return str(answer.json()["error"])


def test_a_file_that_llama_cpp_refuses(
    engine: EngineProcess, tiny_gguf: Path, tmp_path: Path
) -> None:
    file = tmp_path / "lamma.gguf"
    file.write_bytes(tiny_gguf.read_bytes().replace(b"llama", b"lamma"))
    engine.install("lamma", file)
    answer = engine.post(GENERATE, model="lamma", prompt="x")
    assert answer.status_code == 500
    assert "unknown model architecture: 'lamma'" in answer.json()["error"]


def test_context_beyond_the_models_own_is_clamped(engine: EngineProcess) -> None:
    engine.ollama.generate("tiny", "x", options={"num_ctx": 10**9, "num_predict": 1})
    [running] = [model for model in engine.ollama.ps().models if model.model == "tiny:latest"]
    assert running.context_length == 512


def test_empty_prompt_loads(engine: EngineProcess) -> None:
    answer = engine.http.post(GENERATE, json={"model": "tiny", "prompt": ""})
    assert len(answer.text.splitlines()) == 1  # one object even though stream is on
    assert answer.json()["done_reason"] == "load"


def test_unpaired_surrogates_do_no_harm(engine: EngineProcess) -> None:
    answer = engine.http.post(
        GENERATE,
        content=rb'{"model":"tiny","prompt":"\ud800 x","stream":false,"options":{"num_predict":1}}',
    )
    assert answer.status_code == 200 and answer.json()["eval_count"] == 1


def test_embeddings_are_unit_vectors_in_order(engine: EngineProcess) -> None:
    texts = ["one", "two", "three " * 2000, "one"]
    reply = engine.ollama.embed("embed", texts)
    vectors = reply.embeddings
    assert len(vectors) == 4 and all(len(vector) == 64 for vector in vectors)
    for vector in vectors:
        assert math.hypot(*vector) == pytest.approx(1)
    assert vectors[0] == pytest.approx(vectors[3], abs=1e-5) and vectors[0] != vectors[1]
    assert reply.prompt_eval_count and reply.prompt_eval_count > 512
    short = engine.ollama.embed("embed", "one", dimensions=4).embeddings[0]
    scale = math.hypot(*vectors[0][:4])
    assert list(short) == pytest.approx([x / scale for x in vectors[0][:4]], abs=1e-5)
    assert engine.ollama.embed("embed", []).embeddings == []
    legacy = engine.post("/api/embeddings", model="embed", prompt="one").json()["embedding"]
    assert legacy == pytest.approx(list(vectors[0]), abs=1e-5)
    with pytest.raises(ollama.ResponseError, match="exceeds the context length"):
        engine.ollama.embed("embed", texts, truncate=False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:80"}, 403),
        ({"Host": "localhost.evil.example"}, 403),
        ({"Host": "8.8.8.8"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "me.localhost"}, 200),
        ({"Host": "192.168.1.5"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:8866"}, 200),
        ({"Origin": "http://127.0.0.1"}, 200),
    ],
)
def test_only_this_machine_may_ask(
    engine: EngineProcess, headers: dict[str, str], status: int
) -> None:
    answer = engine.http.get("/api/version", headers=headers)
    assert answer.status_code == status
    if status == 200 and "Origin" in headers:
        assert answer.headers["access-control-allow-origin"] == headers["Origin"]
    elif status == 403:
        assert "access-control-allow-origin" not in answer.headers


def test_unknown_paths_and_methods_are_plain_text(engine: EngineProcess) -> None:
    for method, path, status in (("GET", "/nope", 404), ("GET", "/api/generate", 405)):
        answer = engine.http.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/plain")
    assert engine.http.head("/").status_code == 200
    assert engine.http.head("/api/version").status_code == 200


def test_bodies_have_a_limit_and_may_be_cut(engine: EngineProcess) -> None:
    address = urlsplit(engine.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    block = b"x" * 2**20
    connection.putrequest("POST", GENERATE)
    connection.putheader("Content-Length", str(2**30))
    connection.endheaders()
    try:
        for _ in range(200):
            connection.send(block)
    except OSError:
        pass  # it does not listen to the end
    else:
        assert connection.getresponse().status == 413
    connection.close()
    with socket.create_connection((address.hostname, address.port), 10) as raw:
        raw.sendall(
            b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"
        )
    with socket.create_connection((address.hostname, address.port), 10) as raw:
        raw.sendall(b"\x16\x03\x01 not http at all\r\n\r\n")
        assert b"400" in raw.recv(1000)
    assert engine.http.get("/api/version").json()["engine"] == "workbench-embedded"
