"""Real servers on loopback for the tests of `bench`: our engine, and one that misbehaves.

`Misbehaving` speaks Ollama's protocol over HTTP and writes words that a hash of the prompt
chooses, so that its answers repeat and depend on all that was asked. Each of its ways is one that
real servers have been seen with.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from workbench.engines import Engine

WORDS = (
    "sun",
    "moon",
    "star",
    "rain",
    "wind",
    "snow",
    "leaf",
    "tree",
    "bird",
    "fish",
    "stone",
    "river",
)


@contextmanager
def engine_with(home: Path, models: dict[str, Path]) -> Iterator[str]:
    """The embedded engine in a home of its own, with these models; its URL."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WORKBENCH_", "OLLAMA_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.embedded", "--home", str(home), "--port", "0"],
        env=kept, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        with Engine(url) as engine:
            for name, file in models.items():
                *_, last = engine.create(name, files=file)
                assert last.status == "success"
        yield url
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def tokens(text: str) -> list[str]:
    """The words and newlines of a text."""
    return re.findall(r"\n|[^\s]+", text)


def drawn(*facts: Any) -> int:
    """A number that these facts decide."""
    return int(hashlib.sha256(repr(facts).encode()).hexdigest()[:12], 16)


class Misbehaving:
    """A server whose `ways` may be changed between requests.

    template  "chat" (default), "none"
    begin     tokens that begin every prompt: 1
    says      what `show` tells of add_bos_token: True
    counts    False: no prompt_eval_count, as when it is cached
    context   tokens that are told: 512
    reads     tokens that are really read: as many as are told
    long      "cut" (default), "refuse"
    answer    "words" (default), "empty", "endless" (num_predict is not kept)
    stop      False: stop strings are not heard
    ends      False: no answer ends by itself
    mark      an end mark that stands in the answer
    short     answers to bare prompts end as soon as a chat's
    twice     a chat's text has the token that begins every prompt
    render    False: a chat's text is not told
    random    answers differ at temperature 0
    crowd     answers differ beside other requests
    alone     busy as soon as a second request comes
    seedless  the seed and the temperature are not heard
    logprobs  "sane" (default), "none", "positive", "constant", "unsorted", "text"
    score     "none" (default), "sane", "constant", "positive", "nan", "other", "rubbish"
    cache     answers at once, and tells durations of long ago
    status    path → status for all requests to it
    hang      paths that never answer
    rubbish   paths that answer what is no JSON
    """

    def __init__(self, **ways: Any) -> None:
        self.ways = ways
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.running = 0
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                outer.answer(self, {})

            def do_POST(self) -> None:
                outer.answer(self, json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def way(self, name: str, usual: Any = None) -> Any:
        return self.ways.get(name, usual)

    def close(self) -> None:
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        path = request.path
        self.asked.append((path, body))
        if path in self.way("hang", ()):
            self.stopping.wait(20)
            return
        status = self.way("status", {}).get(path, 200)
        made: Any = {"error": "something broke"}
        if status == 200:
            status, made = self.made(path, body)
        text = made if isinstance(made, bytes) else json.dumps(made).encode()
        if path in self.way("rubbish", ()):
            text = b"<html>\xff nothing of yours</html>"
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def made(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/api/version":
            return 200, {"version": "0.9.9"}
        row = {"name": "m:latest", "model": "m:latest", "digest": "d" * 64, "size": 1000}
        if path in {"/api/tags", "/api/ps"}:
            return 200, {"models": [row | {"context_length": self.way("context", 512)}]}
        if path == "/api/show":
            info: dict[str, Any] = {"tokenizer.ggml.add_bos_token": self.way("says", True)}
            if body.get("verbose"):
                info |= {"tokenizer.ggml.tokens": ["<s>", "x"], "tokenizer.ggml.bos_token_id": 0}
            written = "{{ .Prompt }}" if self.way("template") == "none" else "<s>{{ .Prompt }}"
            return 200, {"template": written, "model_info": info, "capabilities": ["completion"]}
        if path == "/api/score":
            return self.scored(body)
        if body.get("_debug_render_only") and self.way("render", True):
            return 200, {"_debug_info": {"rendered_template": self.prompt(body)}}
        if path in {"/api/generate", "/api/chat"}:
            if not body.get("prompt") and not body.get("messages"):
                return 200, {"done": True, "done_reason": "load"}
            return self.written(path == "/api/chat", body)
        return 404, b"404 page not found"

    def prompt(self, body: dict[str, Any]) -> str:
        if "messages" not in body:
            return str(body["prompt"])
        if self.way("template") == "none":
            return str(body["messages"][-1]["content"])
        turns = [f"<{turn['role']}> {turn['content']} <end>" for turn in body["messages"]]
        start = ["<s>"] if self.way("twice") else []
        return " \n ".join([*start, *turns, "<assistant>"])

    def written(self, chat: bool, body: dict[str, Any]) -> tuple[int, Any]:
        begun = time.perf_counter_ns()
        with self.changed:
            self.running += 1
            beside, mine = self.running > 1, len(self.asked)
            self.changed.notify_all()
            wait = 0.3 if self.way("crowd") or self.way("alone") else 0
            crowd = self.changed.wait_for(lambda: beside or len(self.asked) > mine, wait)
        with self.changed:
            self.running -= 1
        if crowd and self.way("alone"):
            return 503, {
                "error": "server busy, please try again.  maximum pending requests exceeded"
            }
        options, prompt = body.get("options") or {}, self.prompt(body)
        read = len(tokens(prompt)) + self.way("begin", 1)
        limit = self.way("reads", self.way("context", 512))
        if read > limit and self.way("long") == "refuse":
            return 400, {"error": "the input length exceeds the context length"}
        heard = options.get("temperature") and not self.way("seedless")
        facts: list[Any] = [prompt, options.get("seed") if heard else 0]
        facts += [len(self.asked)] if self.way("random") else []
        facts += ["crowd"] if self.way("crowd") and crowd else []
        text, rows, reason = self.words(facts, prompt, options, chat)
        last = {
            "model": body["model"],
            "done": True,
            "done_reason": reason,
            "eval_count": len(rows),
        }
        slow = 5 * 10**9 if self.way("cache") else time.perf_counter_ns() - begun
        last |= {"prompt_eval_duration": slow // 4, "eval_duration": slow // 2}
        if self.way("counts", True):
            last["prompt_eval_count"] = min(read, limit)
        piece: dict[str, Any] = {"done": False}
        piece |= {"message": {"content": text}} if chat else {"response": text}
        if body.get("logprobs") and self.way("logprobs") != "none":
            piece["logprobs"] = rows
        return 200, b"".join(json.dumps(one).encode() + b"\n" for one in (piece, last))

    def words(
        self, facts: list[Any], prompt: str, options: dict[str, Any], chat: bool
    ) -> tuple[str, list[dict[str, Any]], str]:
        """An answer, its tokens' rows, and why it ended."""
        many = options.get("num_predict", 32) * (3 if self.way("answer") == "endless" else 1)
        text, rows, reason = "", [], "length"
        for number in range(many):
            if number == 5 and (chat or self.way("short")) and self.way("ends", True):
                reason = "stop"
                break
            word = WORDS[drawn(*facts, number) % len(WORDS)]
            text += f"{word} "
            rows.append(self.row(prompt, number, f"{word} "))
            stops = [s for s in options.get("stop") or () if s in text and self.way("stop", True)]
            if stops:
                text, reason = text[: text.find(stops[0])], "stop"
                break
        text += self.way("mark", "") if chat else ""
        return ("" if self.way("answer") == "empty" else text), rows, reason

    def row(self, prompt: str, number: int, word: str) -> dict[str, Any]:
        how = self.way("logprobs", "sane")
        chances = [0.5, 0.2, 0.1, 0.05, 0.02]
        if how == "unsorted":
            chances = [0.2, 0.1, 0.5, 0.05, 0.02]
        values = [math.log(one * (1 - 0.001 * number)) for one in chances]
        if how in {"positive", "constant"}:
            values = [0.4 if how == "positive" else -1.5] * 5
        texts = [word, *(w for w in WORDS if w != word.strip())]
        top = [{"token": t, "logprob": v} for t, v in zip(texts, values, strict=False)]
        first: Any = max(values) if how == "unsorted" else values[0]
        return {"token": word, "logprob": "-1" if how == "text" else first, "top_logprobs": top}

    def scored(self, body: dict[str, Any]) -> tuple[int, Any]:
        how = self.way("score", "none")
        if how == "none":
            return 404, b"404 page not found"
        if how == "rubbish":
            return 200, {"likelihoods": [{"logprob": "much"}]}
        rows = []
        for text in body["continuations"]:
            if body["prompt"]:  # a next word: as likely as when it is written, or not
                top = self.row(body["prompt"], 0, self.first(body["prompt"]))["top_logprobs"]
                told = {one["token"]: one["logprob"] for one in top}
                parts = [told.get(text, -9.0) - (2.0 if how == "other" else 0.0)]
            else:
                plain = text[0].isupper() or text.startswith("for i")
                parts = [-2.0 if plain else -3.0] * len(tokens(text))
                parts = [-3.0] * 5 if how == "constant" else parts
            parts = [0.5] * 3 if how == "positive" else parts
            total = math.nan if how == "nan" else sum(parts)
            rows.append({"logprob": total, "greedy": False, "token_logprobs": parts})
        return 200, {"likelihoods": rows}

    def first(self, prompt: str) -> str:
        return f"{WORDS[drawn(prompt, 0, 0) % len(WORDS)]} "


@contextmanager
def misbehaving(**ways: Any) -> Iterator[Misbehaving]:
    server = Misbehaving(**ways)
    try:
        yield server
    finally:
        server.close()
