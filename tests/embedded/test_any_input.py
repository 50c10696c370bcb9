"""Any JSON in any field: the engine answers with a status of the protocol and goes on."""

from __future__ import annotations

import json
from typing import Any

from conftest import EngineProcess
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CALL = {"role": "assistant", "tool_calls": [{"function": {"name": 5, "arguments": "x"}}]}
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 1e308, 2**70, "", "x", "\x00", [], [1], ["x"], [[]], [{}], {},
    {"a": 1}, {"type": "object"}, {"properties": 5}, {"type": "array", "items": {"$ref": "#"}},
    [{"role": "user", "content": "x"}], [{"role": "odd"}], [{"role": "tool", "tool_call_id": 5}],
    [CALL], [{"role": "user", "content": [{"type": "text", "text": 5}]}],
    [{"type": "function", "function": {"name": "f", "parameters": 5}}], "json", "low", "5m",
    {"num_ctx": 100, "stop": ["a", ""]}, {"type": "json_schema", "json_schema": {"schema": {}}},
]  # fmt: skip
SHARED = ("keep_alive", "think", "stream", "truncate", "shift", "logprobs", "top_logprobs")
ROUTES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "/api/generate": (
        {"prompt": "x"},
        ("prompt", "suffix", "system", "template", "context", "raw", "images", "format", *SHARED),
    ),
    "/api/chat": (
        {"messages": [{"role": "user", "content": "x"}]},
        ("messages", "tools", "format", "_debug_render_only", *SHARED),
    ),
    "/api/embed": ({"input": "x"}, ("input", "truncate", "dimensions", "options")),
    "/v1/chat/completions": (
        {"messages": [{"role": "user", "content": "x"}], "max_tokens": 3},
        ("messages", "tools", "stream", "stream_options", "temperature", "seed", "stop",
         "response_format", "reasoning_effort", "logprobs", "top_logprobs"),
    ),
    "/v1/completions": ({"prompt": "x", "max_tokens": 3}, ("prompt", "suffix", "stream", "stop")),
    "/v1/embeddings": ({"input": "x"}, ("input", "encoding_format", "dimensions")),
}  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    path = draw(st.sampled_from(sorted(ROUTES)))
    body, fields = ROUTES[path]
    short = {"options": {"num_predict": 3}} if path.startswith("/api") else {}
    odd = {draw(st.sampled_from(fields)): draw(st.sampled_from(ODD))}
    model = "embed" if "embed" in path else draw(st.sampled_from(["tiny", "caller"]))
    return path, {**body, **short, **odd, "model": model}


@settings(
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(request=requests())
def test_any_value_in_any_field(engine: EngineProcess, request: tuple[str, dict[str, Any]]) -> None:
    path, body = request
    answer = engine.http.post(path, content=json.dumps(body))
    expected = {200, 400, 500} if "format" in body else {200, 400}
    assert answer.status_code in expected, (body, answer.text)
    assert "internal error" not in answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]


def test_nothing_broke_inside(engine: EngineProcess) -> None:
    assert "Traceback" not in engine.log()
    assert engine.http.get("/").status_code == 200
