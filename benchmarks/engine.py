"""The engine against the same llama.cpp inside one's own process: tokens/s, first token.

    python benchmarks/engine.py [--rounds 15] [--write]

Rival: `xllamacpp.Server.handle_completions` with a streaming callback, the shortest way from
Python to llama.cpp's server loop, in a process of its own with the settings that the engine
gives its children. Engine: `python -m workbench.embedded` with a temporary home, asked over
Ollama's protocol (streaming /api/generate). Both are loaded at once and asked in turn, in
changing order, for the same tokens of the same prompt with the same seed; a ratio is made of
each pair and the median counts. Budgets of the design: 0.97 for a model of 0.5 B parameters,
0.80 for one like the starter. The models' weights are random: speed does not read them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from random_models import Shape, write_model

PROMPT = "def the_quick_brown_fox(jumps, over, lazy_dog): " * 4
OPTIONS = {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "min_p": 0.0, "num_ctx": 2048}


SHAPES = (
    Shape("starter", 0.80, 400, "llama", 5, 256, 768, 8, 4, 8192, "Q8_0"),
    Shape("half-billion", 0.97, 96, "qwen2", 24, 896, 4864, 14, 2, 32768, "Q4_0"),
)


@dataclass(frozen=True)
class Timing:
    """One answer: seconds to its first token and to its end, and how many came."""

    tokens: int
    first: float
    total: float

    @property
    def speed(self) -> float:
        return self.tokens / self.total


class Inside:
    """The rival: llama.cpp in a Python process (this file, started with --inside)."""

    def __init__(self, settings: dict) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--inside"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.ask(settings)

    def ask(self, body: dict) -> dict:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(body) + "\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def measure(self, tokens: int, seed: int) -> Timing:
        options = {name: value for name, value in OPTIONS.items() if name != "num_ctx"}
        body = {"prompt": PROMPT, "n_predict": tokens, "seed": seed, "cache_prompt": False}
        return Timing(**self.ask({**body, **options, "typical_p": 1.0, "stream": True}))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def inside() -> None:
    """The rival's program: settings first, then a request per line."""
    import xllamacpp

    from workbench.embedded._child import parameters

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = xllamacpp.Server(parameters(json.loads(sys.stdin.readline())))
    print("{}", file=answers, flush=True)
    times: list[float] = []
    last: dict = {}

    def seen(chunk: dict) -> None:
        times.append(time.perf_counter())
        last.update(chunk)

    for line in sys.stdin:
        times.clear()
        start = time.perf_counter()
        server.handle_completions(json.loads(line), seen)
        end = time.perf_counter()
        tokens = last.get("timings", {}).get("predicted_n", len(times) - 1)
        timing = {"tokens": tokens, "first": times[0] - start, "total": end - start}
        print(json.dumps(timing), file=answers, flush=True)


class Engine:
    """The embedded engine in a temporary home, asked through plain sockets."""

    def __init__(self, home: Path) -> None:
        hidden = ("OLLAMA_", "WORKBENCH_")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "workbench.embedded", "--port", "0", "--home", str(home)],
            env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.address = (urlsplit(self.url).hostname, urlsplit(self.url).port)

    def install(self, name: str, file: Path) -> None:
        from workbench.protocol import digest_of

        digest = digest_of(file)
        digest = digest if digest.startswith("sha256:") else f"sha256:{digest}"
        with httpx.Client(base_url=self.url, timeout=300) as client:
            client.post(f"/api/blobs/{digest}", content=file.read_bytes()).raise_for_status()
            body = {"model": name, "files": {file.name: digest}, "stream": False}
            client.post("/api/create", json=body).raise_for_status()

    def measure(self, model: str, tokens: int, seed: int, threads: int) -> Timing:
        options = {**OPTIONS, "num_predict": tokens, "seed": seed, "num_thread": threads}
        request = {"model": model, "prompt": PROMPT, "raw": True, "options": options}
        body = json.dumps(request).encode()
        head = f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        start, first, parts = time.perf_counter(), 0.0, []
        with socket.create_connection(self.address) as connection:
            connection.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
            while part := connection.recv(2**16):
                if not first and b'"response"' in part:
                    first = time.perf_counter()
                parts.append(part)
        end = time.perf_counter()
        text = b"".join(parts)
        last = json.loads(text[text.rindex(b'{"model"') : text.rindex(b"}") + 1])
        return Timing(last["eval_count"], first - start, end - start)

    def close(self) -> None:
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.process.kill()
        self.process.wait()


def settings_of(home: Path, model: str) -> dict:
    """What the engine loads `model` with."""
    from dataclasses import asdict

    from workbench.embedded._limits import Limits, child_settings, free_threads
    from workbench.library import Library

    found = Library(home / "models").find(model)
    threads = {"num_thread": asyncio.run(free_threads(found.header.size))}
    return asdict(child_settings(found, OPTIONS | threads, Limits())) | {"secret": "x"}


def compare(engine: Engine, home: Path, shape: Shape, rounds: int) -> list[str]:
    """Cells of one row of the table."""
    settings = settings_of(home, shape.name)
    threads = settings["num_thread"]
    rival = Inside(settings)
    ways = {
        "inside": lambda seed: rival.measure(shape.tokens, seed),
        "engine": lambda seed: engine.measure(shape.name, shape.tokens, seed, threads),
    }
    try:
        for way in ways.values():
            way(0)
        pairs = []
        for number in range(rounds):
            order = sorted(ways, reverse=bool(number % 2))
            pairs.append({name: ways[name](number) for name in order})
    finally:
        rival.close()
    speeds = [pair["engine"].speed / pair["inside"].speed for pair in pairs]
    firsts = [(pair["engine"].first - pair["inside"].first) * 1000 for pair in pairs]
    ratio = statistics.median(speeds)
    cells = [shape.name, str(threads)]
    cells += [f"{statistics.median(p[way].speed for p in pairs):.0f}" for way in ways]
    cells += [f"{ratio:.3f}", f"{shape.budget:.2f}", "yes" if ratio >= shape.budget else "no"]
    cells += [f"{statistics.median(p[way].first for p in pairs) * 1000:.1f}" for way in ways] + [
        f"{statistics.median(firsts):+.1f}"
    ]
    return cells


def together(engine: Engine, shape: Shape, clients: int = 8) -> str:
    """One sentence on many clients at once."""
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        jobs = [pool.submit(engine.measure, shape.name, shape.tokens, n, 1) for n in range(clients)]
        timings = [job.result() for job in jobs]
    seconds = time.perf_counter() - start
    total = sum(timing.tokens for timing in timings)
    wanted = clients * shape.tokens
    return (
        f"{clients} clients at once on `{shape.name}`: {total} of {wanted} tokens came, "
        f"{total / seconds:.0f} tokens/s together, all finished."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="also into docs/benchmarks/engine.md")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside()
        return
    head = "| model | threads | inside, tokens/s | engine, tokens/s | ratio | budget | kept "
    head += "| inside, first token ms | engine, first token ms | more ms |"
    lines = [head, "|---" * 10 + "|"]
    sentences = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        engine = Engine(home)
        try:
            for shape in SHAPES:
                file = Path(folder) / f"{shape.name}.gguf"
                write_model(file, shape)
                engine.install(shape.name, file)
                cells = compare(engine, home, shape, options.rounds)
                lines.append("| " + " | ".join(cells) + " |")
            sentences.append(together(engine, SHAPES[0]))
        finally:
            engine.close()
    text = "\n".join([*lines, "", *sentences])
    print(text)
    if options.write:
        write_report(text, options.rounds)


def write_report(text: str, rounds: int) -> None:
    path = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "engine.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    load = os.getloadavg()[0]
    path.write_text(
        "# The engine against llama.cpp in one's own process\n\n"
        f"Made by `python benchmarks/engine.py --write`: {rounds} pairs, medians, on {machine}, "
        f"load average {load:.1f}. `inside` is the same llama.cpp with the same settings, called "
        "through its Python binding; `engine` goes through Ollama's protocol over loopback.\n\n"
        f"{text}\n",
        "utf-8",
    )


if __name__ == "__main__":
    main()
