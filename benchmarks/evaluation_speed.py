"""Our tokens per second against llama.cpp's own timings, and against a peer's bench tool.

    python benchmarks/evaluation_speed.py [--quick] [--rounds 15]

1. The same answers: the engine's children are started so that llama.cpp prints its timings of each
   request into the engine's log; `measure_speed` measures, and its medians are compared with those
   of what was printed meanwhile. Nothing else on the machine can disturb that. Budget: within 2 %.
2. Another process: llama.cpp's `timings` of /completion, from `xllamacpp.Server` in a process of
   its own with the settings that the engine gives its children. It is asked in turn with
   `measure_speed`, in changing order, for as many tokens read and written; a ratio is made of each
   pair and the median counts. It needs a quiet machine.
3. A peer: llama-benchy (`pip install llama-benchy` into an environment of its own; its program on
   the PATH or in LLAMA_BENCHY), which measures a server of the OpenAI protocol by the client's
   clock. It runs against our engine between two runs of ours, whose figures by the client's clock
   it is compared with. It needs a quiet machine too. llama.cpp's own llama-bench is in no package
   that pip or apt offered.

The models' weights are random: speed does not read them. Their tokens are bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import http.server
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import engine as engine_benchmark
from random_models import Shape, letters, write_model

from workbench.engines import AsyncEngine
from workbench.meter._asking import filler
from workbench.meter._speed import Point, Speed, measure_speed

WRITTEN, BUDGET = 64, 0.02
PROMPTS = (128, 512)
AT_ONCE = 4
TENTH = Shape("tenth-billion", 0, 64, "llama", 12, 768, 2048, 12, 4, 16384, "Q8_0")
SHAPES = (TENTH, *engine_benchmark.SHAPES)
OPTIONS = {name: engine_benchmark.OPTIONS[name] for name in ("temperature", "top_k", "top_p")}


_TIMING = re.compile(r"(prompt )?eval time = +[\d.]+ ms / +(\d+) tokens .*?([\d.]+) tokens per sec")


@dataclass(frozen=True)
class Same:
    """Medians of the same answers, in tokens per second: reading, writing."""

    model: str
    at_once: int
    read: int
    answers: int
    theirs: tuple[float, float]
    ours: tuple[float, float]

    @property
    def off(self) -> tuple[float, float]:
        """Ours to theirs, less 1."""
        reading, writing = (o / t - 1 for o, t in zip(self.ours, self.theirs, strict=True))
        return reading, writing


@dataclass(frozen=True)
class Row:
    """One model and length of prompt: tokens per second, medians; ratios are ours to theirs."""

    model: str
    threads: int
    read: int
    theirs: tuple[float, float]  # reading, writing
    ours: tuple[float, float]
    ratios: tuple[float, float]
    clock: float  # our writing by the client's clock, to that by the engine's
    noisy: bool


class Telling(engine_benchmark.Engine):
    """The embedded engine, whose children print llama.cpp's timings into its log."""

    def __init__(self, home: Path) -> None:
        hidden = ("OLLAMA_", "WORKBENCH_")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", "--port", "0", "--home", str(home)],
            env=environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self._log = home / "engine" / "engine.log"

    def printed(self) -> list[tuple[int, float, int, float]]:
        """Of each answer: tokens read, per second, tokens written, per second."""
        found, before = [], (0, 0.0)
        for line in self._log.read_text(errors="replace").splitlines():
            if match := _TIMING.search(line):
                told = int(match[2]), float(match[3])
                if match[1]:
                    before = told
                else:
                    found.append((*before, *told))
        return found


def serve() -> None:
    """The engine's program, whose children say more."""
    from workbench.embedded import _runner
    from workbench.embedded.__main__ import main as run_engine

    _runner.Settings.__init__.__defaults__ = (3,)
    sys.argv = [sys.argv[0], *sys.argv[2:]]
    sys.exit(run_engine())


class Inside(engine_benchmark.Inside):
    """llama.cpp in a Python process (this file, started with --inside)."""

    def __init__(self, settings: dict) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--inside"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.ask(settings)

    def timings(self, tokens: int, seed: int) -> tuple[float, float]:
        """Tokens per second of reading so many tokens, and of writing."""
        text = filler(tokens // 32 + 1, seed)
        body = {"prompt": text[:tokens], "n_predict": WRITTEN, "seed": seed, "min_p": 0.0}
        body |= {"cache_prompt": False, "typical_p": 1.0, "stream": True, "ignore_eos": True}
        told = self.ask({**body, **OPTIONS})
        assert abs(told["prompt_n"] - tokens) <= 2 and told["predicted_n"] == WRITTEN, told
        return told["prompt_per_second"], told["predicted_per_second"]


def inside() -> None:
    """The rival's program: settings first, then a request per line."""
    import xllamacpp

    from workbench.embedded._child import parameters

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = xllamacpp.Server(parameters(json.loads(sys.stdin.readline())))
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        last: dict = {}
        server.handle_completions(json.loads(line), last.update)
        print(json.dumps(last["timings"]), file=answers, flush=True)


def measured(
    url: str, model: str, tokens: int, repeats: int, threads: int, parallel: tuple[int, ...] = ()
) -> Speed:
    """Our figures of one model and length of prompt."""

    async def measure() -> Speed:
        async with AsyncEngine(url, kind="embedded") as client:
            return await measure_speed(
                client, model, contexts=(tokens,), parallel=parallel, repeats=repeats,
                written=WRITTEN, load=False,
                options={**OPTIONS, "num_ctx": 2048, "num_thread": threads},
            )  # fmt: skip

    return asyncio.run(measure())


def same_answers(server: Telling, shape: Shape, threads: int, rounds: int) -> Iterator[Same]:
    """Our medians, and those of what llama.cpp printed of the same answers."""
    for tokens, at_once in [(tokens, 1) for tokens in PROMPTS] + [(PROMPTS[0], AT_ONCE)]:
        known = len(server.printed())
        crowd = (at_once,) if at_once > 1 else ()
        speed = measured(server.url, shape.name, tokens, rounds, threads, crowd)
        printed = [one for one in server.printed()[known:] if one[2] == WRITTEN]
        told = printed[rounds:] if crowd else printed  # alone first, then together
        point = speed.curve[0] if crowd else speed.points[0]
        assert len(told) == rounds * at_once, (len(printed), rounds, at_once)
        theirs = (statistics.median(one[1] for one in told), statistics.median(o[3] for o in told))
        yield Same(shape.name, at_once, point.read, len(told), theirs, _own(point))


def compare(url: str, rival: Inside, shape: Shape, threads: int, rounds: int) -> Iterator[Row]:
    """Rows of one model, each of `rounds` pairs."""
    for tokens in PROMPTS:
        pairs, points, noisy = [], list[Point](), 0
        read = tokens
        for number in range(rounds + 1):
            seed = 1000 * tokens + number
            first = rival.timings(read, seed) if number % 2 else None
            speed = measured(url, shape.name, tokens, 1, threads)
            theirs = first or rival.timings(speed.points[0].read, seed)
            read = speed.points[0].read
            if number:  # the first pair warms up
                points.append(speed.points[0])
                pairs.append((theirs, _own(speed.points[0])))
                noisy += bool(speed.noise.noisy)
        assert all(abs(point.read - read) <= 2 for point in points)
        clocks = [
            point.generation_clock.median / point.generation_speed.median
            for point in points
            if point.generation_clock and point.generation_speed
        ]
        middle = [
            tuple(statistics.median(pair[side][part] for pair in pairs) for part in (0, 1))
            for side in (0, 1)
        ]
        ratios = [statistics.median(o[part] / t[part] for t, o in pairs) for part in (0, 1)]
        clock = statistics.median(clocks) if clocks else float("nan")
        yield Row(
            shape.name, threads, read, middle[0], middle[1], tuple(ratios), clock,
            noisy > rounds / 2,
        )  # fmt: skip


def _own(point: Point) -> tuple[float, float]:
    assert point.prompt_speed is not None and point.generation_speed is not None, point
    assert point.written == WRITTEN, point
    return point.prompt_speed.median, point.generation_speed.median


# The peer


def peer_program() -> str | None:
    """Where llama-benchy is; None when it is not installed."""
    return shutil.which(os.environ.get("LLAMA_BENCHY", "llama-benchy"))


def peer(program: str, url: str, shape: Shape, rounds: int, threads: int) -> list[str]:
    """Cells of one model: the peer's figures between two of ours."""
    tokens = PROMPTS[-1]
    with _book() as book, tempfile.TemporaryDirectory() as folder:
        before = measured(url, shape.name, tokens, rounds, threads).points[0]
        told = Path(folder) / "told.json"
        command = [
            program, "--base-url", f"{url}/v1", "--model", shape.name, "--pp", str(tokens),
            "--tg", str(WRITTEN), "--runs", str(rounds), "--no-cache", "--latency-mode", "none",
            "--skip-coherence", "--book-url", book, "--save-result", str(told), "--format", "json",
            "--tokenizer", str(_tokenizer(Path(folder))),
        ]  # fmt: skip
        for name, value in (OPTIONS | {"seed": 7}).items():
            command += ["--extra-body", f"{name}={value}"]
        quiet = {"HOME": folder, "HF_HUB_OFFLINE": "1", "PATH": os.environ["PATH"]}
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=1800)
        if not told.exists():
            return [shape.name, f"did not run: {(done.stderr or done.stdout).strip()[-200:]}"]
        row = json.loads(told.read_text())["benchmarks"][0]
        after = measured(url, shape.name, tokens, rounds, threads).points[0]
    theirs_first = statistics.median(row["e2e_ttft"]["values"]) / 1000
    theirs_first *= 1000 if theirs_first < 1e-3 else 1  # in older versions in seconds
    theirs_write = statistics.median(row["tg_req_throughput"]["values"])
    ours = [_clock(before), _clock(after)]
    first, write = (statistics.fmean(one[part] for one in ours) for part in (0, 1))
    return [
        shape.name, f"{theirs_first * 1000:.0f}", f"{first * 1000:.0f}",
        f"{first / theirs_first - 1:+.1%}", f"{theirs_write:.1f}", f"{write:.1f}",
        f"{write / theirs_write - 1:+.1%}", f"{ours[1][1] / ours[0][1] - 1:+.1%}",
    ]  # fmt: skip


def _clock(point: Point) -> tuple[float, float]:
    """Seconds to the first token and tokens per second, by the client's clock."""
    assert point.first_token is not None and point.generation_clock is not None, point
    return point.first_token.median, point.generation_clock.median


def _tokenizer(folder: Path) -> Path:
    """The random models' tokenizer: each byte is a token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {letter: number for number, letter in enumerate(letters())}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


@contextmanager
def _book() -> Iterator[str]:
    """The address of a text, which the peer takes its prompts from."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "book.txt").write_text(filler(2000))
        handler = functools.partial(_Silent, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_address[1]}/book.txt"
            server.shutdown()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


# The report


def report(quick: bool = False, rounds: int = 0) -> str:
    """Measure and say in Markdown how far our figures are from theirs."""
    rounds = rounds or (7 if quick else 15)
    same: list[Same] = []
    rows: list[Row] = []
    peers: list[list[str]] = []
    program = peer_program()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        server = Telling(home)
        try:
            for shape in SHAPES[:1] if quick else SHAPES:
                file = Path(folder) / f"{shape.name}.gguf"
                write_model(file, shape)
                server.install(shape.name, file)
                settings = engine_benchmark.settings_of(home, shape.name)
                threads = settings["num_thread"]
                for one in same_answers(server, shape, threads, rounds):
                    same.append(one)
                    print(one, flush=True)
                rival = Inside(settings)
                try:
                    for row in compare(server.url, rival, shape, threads, rounds):
                        rows.append(row)
                        print(row, flush=True)
                finally:
                    rival.close()
                if program:
                    peers.append(peer(program, server.url, shape, rounds, threads))
                    print(peers[-1], flush=True)
        finally:
            server.close()
    parts = [_same(same), _table(rows, rounds), _peers(peers, program, rounds)]
    return "\n\n".join("\n".join(part) for part in parts)


def _same(same: Sequence[Same]) -> list[str]:
    most = max(abs(off) for one in same for off in one.off)
    kept = "kept" if most <= BUDGET else "not kept"
    lines = [
        f"The same answers: at most {most:.2%} from what llama.cpp printed of them (budget "
        f"{BUDGET:.0%}, {kept}).",
        "",
        "| model | at once | tokens read | answers | reads: llama.cpp | ours | off | writes: "
        "llama.cpp | ours | off |",
        "|---" * 10 + "|",
    ]
    for one in same:
        reading, writing = one.off
        lines.append(
            f"| {one.model} | {one.at_once} | {one.read} | {one.answers} | {one.theirs[0]:.1f} "
            f"| {one.ours[0]:.1f} | {reading:+.2%} | {one.theirs[1]:.1f} | {one.ours[1]:.1f} "
            f"| {writing:+.2%} |"
        )
    return lines


def _table(rows: Sequence[Row], rounds: int) -> list[str]:
    kept = sum(all(abs(ratio - 1) <= BUDGET for ratio in row.ratios) for row in rows)
    noisy = sum(row.noisy for row in rows)
    lines = [
        f"Another process, in turn: {kept} of {len(rows)} rows agree within {BUDGET:.0%} in "
        f"reading and in writing; medians of {rounds} pairs, {WRITTEN} tokens written. In {noisy} "
        "of them other programs took more than a tenth of the processors most of the time.",
        "",
        "| model | threads | tokens read | reads: llama.cpp | ours | off | writes: llama.cpp "
        "| ours | off | by the client's clock |",
        "|---" * 10 + "|",
    ]
    for row in rows:
        reading, writing = row.ratios
        lines.append(
            f"| {row.model} | {row.threads} | {row.read} | {row.theirs[0]:.0f} "
            f"| {row.ours[0]:.0f} | {reading - 1:+.1%} | {row.theirs[1]:.1f} | {row.ours[1]:.1f} "
            f"| {writing - 1:+.1%} | {row.clock - 1:+.1%} |"
        )
    return lines


def _peers(peers: Sequence[list[str]], program: str | None, rounds: int) -> list[str]:
    if program is None:
        return ["llama-benchy is not installed: not compared with it."]
    head = "| model | first token, ms: llama-benchy | ours | off | writes: llama-benchy | ours "
    lines = [
        f"llama-benchy, {rounds} runs between two of ours, {PROMPTS[-1]} tokens read, over "
        "/v1/chat/completions; both by the client's clock. `drift` is our second run to our first.",
        "",
        f"{head}| off | drift |",
        "|---" * 8 + "|",
    ]
    return lines + ["| " + " | ".join(cells) + " |" for cells in peers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    if sys.argv[1:2] == ["--serve"]:
        serve()
    options = parser.parse_args()
    if options.inside:
        inside()
    else:
        print(report(options.quick, options.rounds))


if __name__ == "__main__":
    main()
