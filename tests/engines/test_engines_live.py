"""Against the real embedded engine with tiny real models: every method once, and what fails."""

from __future__ import annotations

import math
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench.engines import Engine, OpenAIEngine, code_for
from workbench.errors import InvalidRequest, ModelNotFound
from workbench.types import Message

SHORT = {"num_predict": 8, "seed": 1, "temperature": 0}


def test_models_and_show(live: Engine) -> None:
    models = {model.name: model for model in live.models()}
    assert {"tiny:latest", "tiny-embed:latest"} <= models.keys()
    tiny = models["tiny:latest"]
    assert tiny.size > 100_000 and len(tiny.digest) == 64 and tiny.family == "llama"
    assert tiny.modified_at is not None and tiny.modified_at.tzinfo is not None
    details = live.show("tiny")
    assert details.context_length == 512
    assert "completion" in details.capabilities
    assert "embedding" in live.show("tiny-embed").capabilities
    assert details.model_info["general.architecture"] == "llama"
    assert len(live.show("tiny", verbose=True).model_info["tokenizer.ggml.tokens"]) == 1000


def test_generate_is_what_streaming_gives(live: Engine) -> None:
    whole = live.generate("tiny", "def f(", options=SHORT)
    chunks = list(live.stream_generate("tiny", "def f(", options=SHORT))
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert chunks[-1].done and len(chunks) > 2
    assert whole.metrics.eval_count == 8 and whole.done_reason == "length"
    assert whole.metrics.tokens_per_second and whole.metrics.total_duration > 0


def test_chat(live: Engine) -> None:
    turns = [Message("system", "Be brief."), {"role": "user", "content": "import"}]
    first = live.chat("tiny", turns, options=SHORT)
    assert first.text == live.chat("tiny", turns, options=SHORT).text
    assert first.metrics.prompt_eval_count > 4


def test_format_and_logprobs(live: Engine) -> None:
    reply = live.generate("tiny", "x", options=SHORT, logprobs=True, top_logprobs=3)
    assert len(reply.logprobs) == 8
    assert all(len(row["top_logprobs"]) == 3 and row["logprob"] <= 0 for row in reply.logprobs)


def test_embed(live: Engine) -> None:
    vectors = live.embed("tiny-embed", ["one", "two", "one"]).vectors
    assert len(vectors) == 3 and vectors[0] == pytest.approx(vectors[2], abs=1e-5)
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-4) for vector in vectors)
    assert live.embed("tiny-embed", "one").vectors[0] == pytest.approx(vectors[0], abs=1e-5)
    assert live.embed("tiny-embed", []).vectors == ()


@pytest.mark.parametrize("name", ["tiny", "tiny-embed"])
def test_load_and_unload(live: Engine, name: str) -> None:
    live.load(name, keep_alive="10m")
    loaded = {model.name: model for model in live.running()}
    assert loaded[f"{name}:latest"].size > 0
    assert loaded[f"{name}:latest"].expires_at is not None
    live.unload(name)
    for _ in range(100):
        if f"{name}:latest" not in {model.name for model in live.running()}:
            return
        threading.Event().wait(0.05)
    raise AssertionError("it is still loaded")


def test_create_copy_delete(live: Engine) -> None:
    *_, last = live.create(
        "derived",
        from_="tiny",
        system="Be kind.",
        parameters={"temperature": 0.1, "stop": ["END"]},
        messages=[Message("user", "hi"), Message("assistant", "hello")],
    )
    assert last.status == "success"
    assert live.show("derived").system == "Be kind."
    assert "END" in live.show("derived").parameters
    live.copy("derived", "copied")
    live.delete("derived")
    assert live.show("copied").system == "Be kind."
    with pytest.raises(ModelNotFound):
        live.show("derived")
    live.delete("copied")
    with pytest.raises(ModelNotFound):
        live.delete("copied")


def test_files_are_sent_once(live: Engine, tiny_gguf: Path, tmp_path: Path) -> None:
    changed = tmp_path / "model" / "other.gguf"
    changed.parent.mkdir()
    shutil.copy(tiny_gguf, changed)
    with changed.open("ab") as file:
        file.write(b"\0" * 64)
    first = [step.status for step in live.create("once", files=changed.parent)]
    assert "uploading other.gguf" in first and first[0] == "hashing other.gguf"
    again = [step.status for step in live.create("twice", files={"x.gguf": changed})]
    assert "x.gguf is there already" in again and not any("uploading" in step for step in again)
    assert live.generate("twice", "x", options=SHORT).text
    for name in ("once", "twice"):
        live.delete(name)


def test_what_the_engine_refuses(live: Engine, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="'absent' not found"):
        live.generate("absent", "x")
    with pytest.raises(InvalidRequest):
        live.generate("../../x", "x")
    with pytest.raises(InvalidRequest, match="does not support"):
        live.generate("tiny-embed", "x")
    with pytest.raises(InvalidRequest, match="num_ctx"):
        live.generate("tiny", "x", options={"num_ctx": "many"})
    (tmp_path / "bad.gguf").write_bytes(b"not a model")
    with pytest.raises(InvalidRequest):
        list(live.create("bad", files=tmp_path / "bad.gguf"))
    assert live.version()


def test_stopping_early_leaves_the_engine_well(live: Engine) -> None:
    for _ in range(3):
        for _ in live.stream_generate("tiny", "x", options={"num_predict": 400, "seed": 1}):
            break
    assert live.generate("tiny", "x", options=SHORT).metrics.eval_count == 8


def test_eight_at_once(live: Engine) -> None:
    def ask(i: int) -> int:
        return live.generate("tiny", f"number {i}", options=SHORT).metrics.eval_count

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [8] * 8


def test_the_openai_protocol(live_url: str) -> None:
    with OpenAIEngine(live_url) as engine:
        assert {"tiny:latest", "tiny-embed:latest"} <= {model.name for model in engine.models()}
        turns = [Message("user", "import")]
        options = {"num_predict": 8, "seed": 1, "temperature": 0}
        reply = engine.chat("tiny", turns, options=options)
        assert reply.done_reason == "length"
        assert (reply.metrics.eval_count, reply.metrics.prompt_eval_count > 0) == (8, True)
        streamed = "".join(c.text for c in engine.stream_chat("tiny", turns, options=options))
        assert streamed == reply.text
        assert engine.generate("tiny", "import", options=options).text == reply.text
        bare = engine.generate("tiny", "def f(", raw=True, options=options)
        assert bare.text and bare.metrics.eval_count == 8
        vectors = engine.embed("tiny-embed", ["one", "two"]).vectors
        with Engine(live_url) as native:
            expected = native.embed("tiny-embed", ["one", "two"]).vectors
        assert [list(v) for v in vectors] == [pytest.approx(v, abs=1e-4) for v in expected]
        with pytest.raises(ModelNotFound):
            engine.chat("absent", turns)


def test_shown_code_runs(live: Engine, live_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", live_url)
    code = code_for("chat", "tiny", [Message("user", "import")], engine=live, options=SHORT)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["reply"].text == live.chat("tiny", [Message("user", "import")], options=SHORT).text
