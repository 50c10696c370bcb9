"""JSON to records, whatever a server leaves out; turns, images, files; code to show."""

from __future__ import annotations

import ast
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from engines.scripted import ScriptedServer, answer, chunked, lines

from workbench.engines import Engine, OpenAIEngine, _create, code_for
from workbench.errors import EngineError, InvalidRequest
from workbench.types import Message, ToolCall

SUCCESS = chunked(lines({"status": "success"}))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-08-21T10:11:12.123456789Z", datetime(2026, 8, 21, 10, 11, 12, 123456, UTC)),
        ("2026-08-21T12:11:12.5+02:00", datetime(2026, 8, 21, 10, 11, 12, 500000, UTC)),
        ("2318-01-01T00:00:00-05:00", datetime(2318, 1, 1, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("yesterday", None),
        (None, None),
        (3, None),
    ],
)
def test_times(
    engine: Engine, server: ScriptedServer, written: Any, expected: datetime | None
) -> None:
    server.says(answer({"models": [{"name": "m", "expires_at": written}]}))
    found = engine.running()[0].expires_at
    assert found == expected
    assert found is None or abs(found.utcoffset() or timedelta()) < timedelta(hours=15)


@pytest.mark.parametrize("body", [{}, {"models": None}, {"models": {}}, {"models": [None, 3]}, b""])
def test_no_models(engine: Engine, server: ScriptedServer, body: Any) -> None:
    server.says(answer(body))
    assert engine.models() == [] and engine.running() == []


def test_a_row_with_little_or_wrong(engine: Engine, server: ScriptedServer) -> None:
    server.says(
        answer({"models": [{"model": "m", "size": None, "details": None, "capabilities": None}]}),
        answer({"models": [{"name": 3, "size": "big", "digest": [], "details": {"family": "x"}}]}),
        answer({"models": [{"name": "m", "size": 1e400, "capabilities": ["tools", None]}]}),
    )
    first, second, third = (engine.models()[0] for _ in range(3))
    assert (first.name, first.size, first.capabilities) == ("m", 0, ())
    assert (second.name, second.size, second.family) == ("", 0, "x")
    assert (third.size, third.capabilities) == (0, ("tools",))


def test_show_with_null_arrays(engine: Engine, server: ScriptedServer) -> None:
    info = {"general.architecture": "llama", "llama.context_length": 512, "tokens": None}
    server.says(answer({"model_info": info, "details": {"quantization_level": "Q4_0"}}))
    details = engine.show("m")
    assert (details.context_length, details.quantization, details.name) == (512, "Q4_0", "m")
    assert (details.capabilities, details.system) == ((), "")


def test_tool_calls_with_and_without_ids(engine: Engine, server: ScriptedServer) -> None:
    calls = [
        {"function": {"name": "f", "arguments": {"a": [1]}}},
        {"id": "c", "function": {"name": "g", "arguments": None}},
    ]
    server.says(chunked(lines({"message": {"content": None, "tool_calls": calls}}, {"done": True})))
    reply = engine.chat("m", [])
    assert reply.tool_calls == (ToolCall("f", {"a": [1]}), ToolCall("g", {}, "c"))


@pytest.mark.parametrize("vectors", [None, [[1.0]], [[1.0], [None]], [1, 2], [["x"], [1]]])
def test_vectors_that_are_none(engine: Engine, server: ScriptedServer, vectors: Any) -> None:
    server.says(answer({"embeddings": vectors}))
    with pytest.raises(EngineError):
        engine.embed("m", ["a", "b"])


def test_what_is_sent(engine: Engine, server: ScriptedServer, tmp_path: Path) -> None:
    server.says(chunked(lines({"done": True})))
    picture = tmp_path / "x.png"
    picture.write_bytes(b"\x89PNG")
    turns = [
        Message("user", "look", images=["data:image/png;base64,iVBORw=="]),
        Message("assistant", tool_calls=[ToolCall("f", {"a": 1}, "c")]),
        {"role": "tool", "content": "2", "tool_name": "f"},
    ]
    engine.chat("m", turns, options={"seed": 1}, keep_alive=-1, format=None)
    engine.generate("m", "x", images=[picture, b"\x89PNG", "iVBORw=="], raw=True)
    chat, generate = (each.json() for each in server.asked)
    assert chat == {
        "model": "m",
        "messages": [
            {"role": "user", "content": "look", "images": ["iVBORw=="]},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}],
            },
            {"role": "tool", "content": "2", "tool_name": "f"},
        ],
        "options": {"seed": 1},
        "keep_alive": -1,
    }
    assert generate["images"] == ["iVBORw=="] * 3 and generate["raw"] is True
    with pytest.raises(InvalidRequest, match="cannot be read"):
        engine.generate("m", "x", images=[tmp_path / "none.png"])


class TestFiles:
    def test_a_folder_of_safetensors(self, tmp_path: Path) -> None:
        names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                 "config.json", "tokenizer.json", "tokenizer.model"]  # fmt: skip
        for name in [*names, "README.md", "other.gguf", "pytorch_model.bin"]:
            (tmp_path / name).write_bytes(b"x")
        assert set(_create.files_of_folder(tmp_path)) == set(names)

    def test_an_adapter(self, tmp_path: Path) -> None:
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            (tmp_path / name).write_bytes(b"x")
        assert len(_create.files_of_folder(tmp_path)) == 2

    def test_nothing_there(self, tmp_path: Path, engine: Engine) -> None:
        for files in (tmp_path, tmp_path / "none.gguf", {"a": tmp_path / "none"}):
            with pytest.raises(InvalidRequest):
                list(engine.create("m", files=files))

    def test_an_upload(self, tmp_path: Path, engine: Engine, server: ScriptedServer) -> None:
        path = tmp_path / "big.gguf"
        path.write_bytes(os.urandom(20_000_000))
        server.says(answer(b"", "404 Not Found"), answer(b"", "201 Created"), SUCCESS)
        steps = list(engine.create("m", files=str(path), quantize="Q4_0"))
        hashing = [step.fraction for step in steps if step.status.startswith("hashing")]
        assert hashing == sorted(hashing) and hashing[-1] == 1 and len(hashing) == 3
        assert steps[-2].status == "uploading big.gguf" and steps[-2].fraction == 1
        head, post, create = server.asked
        assert (head.method, post.method) == ("HEAD", "POST")
        assert post.body == path.read_bytes() and post.path == head.path
        digest = post.path.removeprefix("/api/blobs/")
        assert create.json() == {"model": "m", "files": {"big.gguf": digest}, "quantize": "Q4_0"}

    def test_an_upload_that_is_refused(
        self, tmp_path: Path, engine: Engine, server: ScriptedServer
    ) -> None:
        path = tmp_path / "x.gguf"
        path.write_bytes(b"x" * 100)
        refusal = answer({"error": "digest mismatch"}, "400 Bad Request")
        server.says(answer(b"", "404 Not Found"), refusal)
        with pytest.raises(InvalidRequest, match="digest mismatch"):
            list(engine.create("m", files=path))

    def test_a_file_that_shrinks_meanwhile(
        self, tmp_path: Path, engine: Engine, server: ScriptedServer
    ) -> None:
        path = tmp_path / "x.gguf"
        path.write_bytes(b"x" * 100)

        def shrink(exchange: Any) -> None:
            path.write_bytes(b"x" * 10)
            answer(b"", "404 Not Found")(exchange)

        server.says(shrink, answer(b"", "201 Created"))
        with pytest.raises(InvalidRequest):
            list(engine.create("m", files=path))


class TestCode:
    def test_only_what_is_not_default(self) -> None:
        code = code_for("generate", "m", "hi", system=None, options={"seed": 1}, think=False)
        assert code == (
            "import workbench\n\nengine = workbench.connect()\n"
            "reply = engine.generate('m', 'hi', options={'seed': 1}, think=False)\n"
            "print(reply.text)\n"
        )

    def test_positional_arguments_may_be_given_by_name(self) -> None:
        code = code_for("chat", "m", messages=[Message("user", "hi")])
        assert "engine.chat('m', [{'role': 'user', 'content': 'hi'}])" in code

    @pytest.mark.parametrize(
        "text", ["'", '"""', "\\", "a\nb", "\u2028{}", "'); import os; ('", "x" * 500, "{0}"]
    )
    def test_any_text_reads_back(self, text: str) -> None:
        code = code_for("stream_chat", "m", [{"role": "user", "content": text}], keep_alive=text)
        call = next(node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.For)).iter
        assert isinstance(call, ast.Call)
        assert ast.literal_eval(call.args[1]) == [{"role": "user", "content": text}]
        assert ast.literal_eval(call.keywords[0].value) == text
        assert len(list(ast.walk(ast.parse(code)))) < 60

    def test_long_calls_have_a_line_per_argument(self) -> None:
        turns = [Message("user", "word " * 30), Message("assistant", "word " * 30)]
        code = code_for("chat", "m", turns, options={"temperature": 0.5})
        assert "engine.chat(\n    'm',\n    [" in code
        assert "\n    options={'temperature': 0.5},\n)" in code
        assert max(map(len, code.splitlines())) <= 100

    def test_where_the_engine_is(self) -> None:
        assert "connect()" in code_for("models", engine="http://127.0.0.1:11434")
        assert "connect('http://gpu:11434')" in code_for("models", engine=Engine("gpu"))
        assert "connect()" in code_for("models", engine=Engine("h:1", kind="embedded"))
        remote = OpenAIEngine("http://h", api_key="secret", deployment="d")
        code = code_for("chat", "m", [], engine=remote)
        assert "OpenAIEngine('http://h', deployment='d')" in code and "secret" not in code

    @pytest.mark.parametrize(
        ("kind", "keywords"),
        [("explode", {}), ("_inner", {}), ("url", {}), ("generate", {"nonsense": 1}),
         ("generate", {"model": "m", "prompt": "x", "options": {"x": object()}})],
    )  # fmt: skip
    def test_what_has_no_code(self, kind: str, keywords: dict[str, Any]) -> None:
        with pytest.raises(InvalidRequest):
            code_for(kind, **keywords)

    def test_every_method_has_code(self) -> None:
        for kind, given in {
            "create": {"name": "m", "files": Path("x.gguf")},
            "pull": {"name": "m"}, "copy": {"source": "a", "destination": "b"},
            "delete": {"name": "m"}, "embed": {"model": "m", "inputs": ["a"]},
            "show": {"name": "m"}, "models": {}, "running": {}, "version": {},
            "load": {"model": "m"}, "unload": {"model": "m"},
        }.items():  # fmt: skip
            compile(code_for(kind, **given), "<shown>", "exec")


def test_a_large_body_is_one_request(engine: Engine, server: ScriptedServer) -> None:
    server.says(chunked(lines({"done": True})))
    engine.generate("m", "x" * 10_000_000)
    assert len(json.loads(server.asked[0].body)["prompt"]) == 10_000_000
