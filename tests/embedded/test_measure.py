"""What a real engine tells the ledger, and that nothing of it gets in an answer's way."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import EngineProcess, running, wait_until
from tiny import write_tiny_llama

from workbench import fit, machines
from workbench.embedded._account import gpu_bytes
from workbench.gguf import read_header

Row = dict[str, Any]
LONG = "the cat sat on the mat and " * 200  # more tokens than a batch


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes as much as it is asked to."""
    return write_tiny_llama(
        tmp_path_factory.mktemp("models") / "long.gguf", context=2048, endless=True
    )


@pytest.fixture
def start(tmp_path: Path, file: Path) -> Iterator[Callable[..., EngineProcess]]:
    """Start an engine with the model "long"."""
    engines: list[EngineProcess] = []

    def one(**environment: str) -> EngineProcess:
        engine = EngineProcess(tmp_path / "engine", **environment)
        engines.append(engine)
        engine.install("long", file)
        return engine

    yield one
    for engine in engines:
        engine.stop()


def rows(engine: EngineProcess, **wanted: Any) -> list[Row]:
    """The ledger's lines, from a database that may not be there yet."""
    import json

    path = engine.home / "workbench.db"
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        found = [dict(row) for row in connection.execute("SELECT * FROM estimates ORDER BY id")]
    except sqlite3.OperationalError:
        return []  # its tables are not made yet
    finally:
        connection.close()
    for row in found:
        row["load"], row["details"] = json.loads(row["load"]), json.loads(row["details"])
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


def ask(engine: EngineProcess, prompt: str = "hello", tokens: int = 3, **more: Any) -> Row:
    options = {"num_predict": tokens, "temperature": 0} | more.pop("options", {})
    answer = engine.post(
        "/api/generate", model="long", prompt=prompt, stream=False, options=options, **more
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_load_without_a_prompt_is_told_as_idle(start: Callable[..., EngineProcess]) -> None:
    engine = start()
    engine.post("/api/generate", model="long")
    (row,) = wait_until(lambda: rows(engine), "a line of the load")
    (child,) = engine.children()
    assert (row["quantity"], row["backend"], row["counts"]) == ("memory_ram", "embedded-cpu", 0)
    details = {"when": "idle", "prompts": 0, "longest_prompt": 0, "peak": row["measured"]}
    assert row["details"] == details
    assert 0 < row["measured"] <= child.memory_info().rss * 1.5
    engine.post("/api/generate", model="long", keep_alive=0)
    wait_until(lambda: not engine.children(), "the model is unloaded")
    engine.stop()
    assert len(rows(engine)) == 1
    assert rows(engine)[0]["details"]["when"] == "idle"


def test_a_long_prompt_shows_the_peak(start: Callable[..., EngineProcess]) -> None:
    engine = start()
    ask(engine, "short")
    wait_until(lambda: rows(engine), "a line of the load")
    ask(engine, LONG, options={"num_thread": 1})
    (row,) = wait_until(lambda: rows(engine, quantity="memory_ram", counts=1), "the peak")
    (child,) = engine.children()
    peak = int(
        next(
            line.split()[1]
            for line in Path(f"/proc/{child.pid}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
    )
    assert 0.8 * peak * 1024 < row["measured"] <= peak * 1024
    assert row["details"]["when"] == "worked"
    assert row["details"]["longest_prompt"] >= 512
    assert (row["model"], row["architecture"], row["quantisation"]) == (
        "long:latest",
        "llama",
        "F32",
    )
    assert row["digest"] == engine.ollama.list().models[0].digest
    assert row["version"].startswith("xllamacpp 20")
    load = row["load"]
    assert (load["context"], load["slots"], load["batch"]) == (2048, 4, 512)
    assert (load["gpu_layers"], load["mmap"], load["threads"]) == (0, False, 1)
    assert row["predicted"] > 0
    assert row["low"] <= row["predicted"] <= row["high"]
    assert row["corrected"] > 0
    engine.stop()
    (last,) = rows(engine, key=row["key"])
    assert last["details"]["when"] == "ended"
    assert last["measured"] >= row["measured"]


def test_saved_prompts_are_not_taken_for_the_model(start: Callable[..., EngineProcess]) -> None:
    """Old prompts fill the prompt cache; the line keeps the peak from before."""
    engine = start(OLLAMA_NUM_PARALLEL="1")
    ask(engine, LONG)
    (row,) = wait_until(lambda: rows(engine, quantity="memory_ram", counts=1), "the peak")
    for n in range(40):
        ask(engine, f"{n} and something else " * 100)
    engine.stop()
    (last,) = rows(engine, key=row["key"])
    assert (last["measured"], last["details"]["prompts"]) == (row["measured"], 41)
    assert last["details"]["peak"] > row["measured"] + 2**20


def test_a_long_prompt_after_many_is_too_late(start: Callable[..., EngineProcess]) -> None:
    engine = start(OLLAMA_NUM_PARALLEL="1")
    for n in range(5):
        ask(engine, f"{n} short")
    ask(engine, LONG)
    engine.stop()
    (row,) = rows(engine, quantity="memory_ram")
    assert (row["counts"], row["details"]["longest_prompt"] >= 512) == (0, True)


def test_each_load_has_a_line(start: Callable[..., EngineProcess]) -> None:
    engine = start()
    for context in (1024, 512, 2048):
        ask(engine, LONG, options={"num_ctx": context})
    engine.stop()
    found = rows(engine, quantity="memory_ram")
    assert [row["load"]["context"] for row in found] == [1024, 512, 2048]
    assert all(row["counts"] for row in found)


def test_a_child_that_never_read_a_batch_does_not_count(
    start: Callable[..., EngineProcess],
) -> None:
    engine = start()
    ask(engine, "short")
    engine.stop()
    (row,) = rows(engine)
    assert (row["counts"], row["details"]["when"]) == (0, "ended")
    assert 0 < row["details"]["longest_prompt"] < 512


def test_speeds_are_told_once_a_minute(start: Callable[..., EngineProcess]) -> None:
    engine = start()
    first, _, _ = [ask(engine, LONG + str(n), tokens=300) for n in range(3)]
    engine.stop()
    (reading,) = rows(engine, quantity="prompt_speed")
    (writing,) = rows(engine, quantity="generation_speed")
    after_the_first = first["eval_count"] - 1  # which comes out of the prompt's reading
    assert writing["measured"] == pytest.approx(
        after_the_first / first["eval_duration"] * 1e9, rel=1e-3
    )
    assert reading["measured"] == pytest.approx(
        first["prompt_eval_count"] / first["prompt_eval_duration"] * 1e9, rel=1e-3
    )
    assert reading["details"]["prompt_tokens"] == first["prompt_eval_count"]
    assert writing["details"]["written_tokens"] == 300
    assert writing["details"]["first"] is True
    assert reading["counts"] == 0, "the first prompt warms up"
    assert reading["key"] != writing["key"]


def test_speeds_are_predicted_by_a_calibration(
    start: Callable[..., EngineProcess], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    monkeypatch.setenv("WORKBENCH_HOME", str(engine.home))
    costs = {"layer": 1e-5, "token": 1e-4, "read:Q8_0": 1e-10, "compute:Q8_0": 1e-11}
    facts = {"threads": 2, "best_threads": 2, "bandwidth": 1e10, "costs": costs, "single": {}}
    fit.save_calibration(facts | {"machine": fit.fingerprint(), "version": "1"})
    ask(engine, LONG, tokens=300)
    engine.stop()
    network = fit.network_of(read_header(file))
    for quantity in ("prompt_speed", "generation_speed"):
        (row,) = rows(engine, quantity=quantity)
        pace = machines.speed(
            network,
            fit.Load(**row["load"]),
            prompt=row["details"]["prompt_tokens"],
            written=300,
        )
        assert pace is not None
        said = pace.prompt if quantity == "prompt_speed" else pace.generation
        assert (row["predicted"], row["basis"]) == (said.value, said.basis)
        assert row["low"] < row["predicted"] < row["high"]


def test_short_answers_tell_no_speed(start: Callable[..., EngineProcess]) -> None:
    engine = start()
    ask(engine, "a b c", tokens=31)
    ask(engine, "a b c", tokens=10)
    engine.stop()
    assert {row["quantity"] for row in rows(engine)} == {"memory_ram"}


def test_what_was_cached_is_not_reading(start: Callable[..., EngineProcess]) -> None:
    """A prompt that grows by a few tokens is never read anew, however long it gets."""
    engine = start()
    prompt, read = "", 0
    while read < 200:
        prompt += " some more words"
        read = ask(engine, prompt, raw=True)["prompt_eval_count"]
    ask(engine, "Something else: " + LONG[:900], raw=True)
    engine.stop()
    (row,) = rows(engine, quantity="prompt_speed")
    details = row["details"]
    assert details["prompt_tokens"] - details["cached_tokens"] >= 64
    assert details["cached_tokens"] < 64, "told of the last prompt only"


def test_answers_under_a_grammar_do_not_count(start: Callable[..., EngineProcess]) -> None:
    engine = start()
    ask(engine, "list", tokens=200, logprobs=True)
    engine.stop()
    (row,) = rows(engine, quantity="generation_speed")
    assert (row["counts"], row["details"]["plain"]) == (0, False)


def test_answers_at_the_same_time_are_busy(start: Callable[..., EngineProcess]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    engine = start()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: ask(engine, f"say {n}", tokens=1500), range(2)))
    engine.stop()
    (row,) = rows(engine, quantity="generation_speed")
    assert (row["counts"], row["details"]["busy"]) == (0, True)


def test_embeddings(tmp_path: Path, tiny_embedding_gguf: Path) -> None:
    with running(tmp_path / "engine") as engine:
        engine.install("embed", tiny_embedding_gguf)
        engine.ollama.embed("embed", ["a", "b"])
        few = wait_until(lambda: rows(engine), "a line of the load")
        engine.ollama.embed("embed", ["word " * 2000, "word " * 2000])
        wait_until(lambda: rows(engine, counts=1), "the peak")
    (row,) = rows(engine)
    assert few[0]["counts"] == 0
    assert row["load"]["embedding"] is True
    assert row["measured"] >= few[0]["measured"]


def test_a_child_killed_in_its_answer_leaves_the_rest(
    start: Callable[..., EngineProcess],
) -> None:
    engine = start()
    ask(engine, LONG)
    wait_until(lambda: rows(engine, counts=1), "the peak")
    stream = engine.ollama.generate(
        "long", "go on", stream=True, options={"num_predict": 1900, "temperature": 0}
    )
    next(iter(stream))
    os.kill(engine.children()[0].pid, signal.SIGKILL)
    with pytest.raises(Exception, match=r"broke off|ended"):
        list(stream)
    ask(engine, LONG)
    engine.stop()
    first, second = rows(engine, quantity="memory_ram")
    assert (first["counts"], second["counts"]) == (1, 1)


def test_an_engine_killed_outright_loses_little_and_breaks_nothing(
    start: Callable[..., EngineProcess],
) -> None:
    engine = start()
    ask(engine, LONG)
    wait_until(lambda: rows(engine, counts=1), "the peak")
    ask(engine, LONG, options={"num_ctx": 1024})
    children = engine.children()
    engine.process.kill()
    engine.process.wait()
    psutil.wait_procs(children, 10)
    assert len(rows(engine, quantity="memory_ram", counts=1)) >= 1
    with sqlite3.connect(engine.home / "workbench.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    before = len(rows(engine))
    again = start()
    ask(again, LONG)
    again.stop()
    assert len(rows(again)) > before


@pytest.mark.parametrize(
    "url", ["sqlite:////proc/sys/workbench.db", "postgresql://nobody@127.0.0.1:9/none", "rubbish"]
)
def test_a_store_that_cannot_be_used(url: str, start: Callable[..., EngineProcess]) -> None:
    engine = start(WORKBENCH_DATABASE_URL=url)
    for n in range(3):
        assert ask(engine, LONG + str(n), tokens=40)["eval_count"] == 40
    wait_until(lambda: "the ledger cannot be written" in engine.log(), "a word in the log")
    assert ask(engine)["done"]
    engine.stop()
    assert engine.process.returncode == 0
    assert engine.log().count("the ledger cannot be written") == 1


def test_a_database_that_refuses_the_lines(start: Callable[..., EngineProcess]) -> None:
    engine = start()
    ask(engine)
    wait_until(lambda: rows(engine), "a line of the load")
    engine.stop()
    with sqlite3.connect(engine.home / "workbench.db") as connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON estimates BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    connection.close()
    again = start()
    ask(again, LONG)
    wait_until(lambda: "the ledger cannot be written" in again.log(), "a word in the log")
    assert ask(again)["done"]


def test_a_locked_database_holds_up_nobody(start: Callable[..., EngineProcess]) -> None:
    engine = start()
    ask(engine)
    wait_until(lambda: rows(engine), "a line of the load")
    other = sqlite3.connect(engine.home / "workbench.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        ask(engine, LONG)
        for n in range(20):
            ask(engine, f"say {n}")
        assert rows(engine, counts=1) == []
    finally:
        other.close()
    assert wait_until(lambda: rows(engine, counts=1), "the line comes when the lock is gone")


def test_an_engine_ends_in_time_while_the_database_is_locked(
    start: Callable[..., EngineProcess],
) -> None:
    engine = start()
    ask(engine)
    wait_until(lambda: rows(engine), "a line of the load")
    other = sqlite3.connect(engine.home / "workbench.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        ask(engine, LONG)
        engine.stop()
        assert engine.process.returncode == 0
        assert rows(engine, counts=1) == []
    finally:
        other.close()


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("77, 300\n1234, 500\n1234, 24\n", 524 * 2**20),
        ("77, 300\n", None),
        ("1234, [N/A]\n", None),
        ("No devices were found\n", None),
        ("1234\n\xff,,,\n", None),
        (None, None),
    ],
)
def test_memory_on_cards(
    says: str | None, expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the vendor's tool prints, from a program of its name; and without the tool."""
    if says is not None:
        (tmp_path / "said").write_text(says, encoding="latin-1")
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\ncat {tmp_path / 'said'}\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin" if says is not None else str(tmp_path))
    assert gpu_bytes(1234) == expected
