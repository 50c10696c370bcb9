"""`workbench train`: from a dataset to a model that answers, killed and stopped on the way."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench import jobs
from workbench.store import StoredJob, session

COLOURS = ["red", "green", "blue", "black", "white", "grey", "brown", "pink"]
SMALL = ("--set", "context=128", "--set", "precision=fp32")
PATIENCE = 300


@pytest.fixture(scope="module")
def module_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home for the module; its supervisor is ended with it."""
    home = tmp_path_factory.mktemp("training")
    yield home
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(home))
        jobs.stop_supervisor()


@pytest.fixture
def home(module_home: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(module_home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return module_home


@pytest.fixture
def grown(run: Any, home: Path, tmp_path: Path) -> str:
    """The name of a base model, trained by the first test that asks for it."""
    if run("train", "show", "cli-grown").returncode == 0:
        return "cli-grown"
    file = tmp_path / "lessons.jsonl"
    with file.open("w") as out:
        for n in range(300):
            asked, told = COLOURS[n % 8], COLOURS[(n + 1) % 8]
            row = {"prompt": f"Number {n}: after {asked} comes", "completion": f" the {told} one."}
            out.write(json.dumps(row) + "\n")
    told = run("data", "import", str(file), "--json", timeout=PATIENCE)
    assert told.returncode == 0, told.stderr
    made = run("train", "base", "--dataset", "lessons", "--name", "cli-grown", "--depth", "1",
               "--steps", "12", "--set", "vocab_size=512", "--set", "batch=512", *SMALL,
               timeout=PATIENCE)  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "is set aside" in made.stderr and "held-out examples" in made.stdout
    return "cli-grown"


def told(done: Any) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_model_is_tuned_and_answers(run: Any, grown: str) -> None:
    made = told(run("train", "finetune", "--dataset", "lessons", "--base", grown, "--name",
                    "cli-tuned", "--set", "max_steps=4", *SMALL, "--json",
                    timeout=PATIENCE))  # fmt: skip
    assert made["state"] == "done" and made["result"]["name"].startswith("cli-tuned")
    answer = run("generate", "cli-tuned", "Number 3: after blue comes", "-o", "num_predict=4")
    assert answer.returncode == 0 and answer.stdout.strip()
    assert "cli-tuned" in run("models", "list").stdout

    shown = told(run("train", "show", "cli-tuned", "--json"))
    assert shown["state"] == "done" and shown["export"]["parity"]["ok"]
    assert shown["price"]["seconds"] > 0 and shown["measured"]["steps"] == 4
    lines = [line.split() for line in run("train", "show", "cli-tuned").stdout.splitlines()]
    assert any("passed" in line for line in lines)
    assert ["max_steps", "4"] in lines and ["packing", "true"] in lines, "a setting on each line"
    card = told(run("train", "compare", "cli-tuned", "--json"))
    assert card["target"]["n"] == 30 and card["base"].startswith(grown)
    assert "LOSS" in run("train", "compare", "cli-tuned").stdout
    drawn = told(run("train", "lineage", "cli-tuned", "--json"))
    assert [node["kind"] for node in drawn["nodes"]].count("training") == 2
    assert "finetune" in run("train", "lineage", "cli-tuned").stdout
    names = [one["name"] for one in told(run("train", "list", "--json"))]
    assert [name.removesuffix(":latest") for name in names[:2]] == ["cli-tuned", "cli-grown"]
    assert grown in run("train", "bases").stdout

    taken = run("train", "finetune", "--dataset", "lessons", "--base", grown, "--name", "cli-tuned")
    assert taken.returncode == 1 and "--replace" in taken.stderr


def test_killed_resumed_and_stopped(run: Any, grown: str) -> None:
    begun = told(run("train", "finetune", "--dataset", "lessons", "--base", grown, "--name",
                     "cli-cut", "--set", "epochs=900", *SMALL, "--detach", "--json",
                     timeout=PATIENCE))  # fmt: skip
    os.kill(_at_work(begun["id"], 1), signal.SIGKILL)
    assert jobs.wait(begun["id"], PATIENCE).state == "interrupted"
    assert "interrupted" in run("train", "list").stdout
    assert told(run("train", "resume", "cli-cut", "--detach", "--json"))["attempts"] == 1
    _at_work(begun["id"], 2)
    refused = run("train", "rm", "cli-cut", "--yes")
    assert refused.returncode == 1 and "under way" in refused.stderr
    assert told(run("train", "stop", "cli-cut", "--json"))["state"] == "running"
    ended = jobs.wait(begun["id"], PATIENCE)
    assert ended.state == "done", jobs.log_text(begun["id"])
    assert "cli-cut" in run("models", "list").stdout
    id = told(run("train", "show", "cli-cut", "--json"))["id"]
    assert told(run("train", "rm", "cli-cut", "--yes", "--json"))["removed"] == [id]
    assert run("train", "show", id).returncode == 1


def _at_work(id: str, attempt: int) -> int:
    """The job's process, when a step of this attempt was done."""
    until = time.monotonic() + PATIENCE
    while not any(row.attempt == attempt and "step" in row.metrics for row in jobs.history(id)):
        assert time.monotonic() < until and not jobs.get(id).ended, jobs.log_text(id)
        time.sleep(0.05)
    with session(read_only=True) as opened:
        row = opened.query(StoredJob).filter_by(id=id).one()
        assert row.pid is not None
        return row.pid


def test_words_for_what_cannot_be(run: Any, grown: str) -> None:
    usual = ("--dataset", "lessons", "--name", "cli-other")
    cases = (
        ("finetune", *usual, "--base", "cli-grwn", "--set", "epochs=1"), "cli-grown",
        ("finetune", *usual, "--base", "tiny"), "dequantise",
        ("base", *usual, "--set", "dept=2"), "depth",
        ("feedback", "--name", "votes"), "There is no feedback yet",
    )  # fmt: skip
    for arguments, words in zip(cases[::2], cases[1::2], strict=True):
        done = run("train", *arguments)
        assert done.returncode == 1 and words in done.stderr, (arguments, done.stderr)
    assert run("train", "finetune", *usual).returncode == 2
    wrong = run("train", "base", *usual, "--set", "depth")
    assert wrong.returncode == 2 and "key=value" in wrong.stderr
    huge = run("train", "estimate", "base", "--dataset", "lessons", "--depth", "48", "--json")
    assert huge.returncode == 1 and not json.loads(huge.stdout)["fits"]
