"""`workbench storage`: seen, pruned, brought back, emptied; in the words of a command line."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from storage.stored import shelf

from workbench.engines import Engine
from workbench.library import Library
from workbench.settings import models_folder

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def models() -> None:
    """`big`, `big:other` and `small`, not used for 90 days."""
    shelf()


def names() -> set[str]:
    return {name.display() for name, _ in Library(models_folder()).names()}


def told(done: Any) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_show(run: Run) -> None:
    lines = run("storage", "show", "--kind", "model").stdout.splitlines()
    assert lines[0].split() == ["KIND", "NAME", "BYTES", "SHARED", "USED", "STAYS", "BECAUSE"]
    assert "50 kB" in lines[1] and "90 days ago (installed)" in lines[1]
    assert "in all" in lines[-1]
    found = told(run("storage", "show", "--json"))
    assert {item["name"] for item in found["items"] if item["kind"] == "model"} == names()
    assert found["total"] > 57_000 and "blobs" not in found["items"][0]


def test_a_dry_run_asks_nothing_and_takes_nothing(run: Run) -> None:
    done = run("storage", "prune", "-n", "--kind", "model", "--keep", "big")
    assert "would go" in done.stdout and "stays: to be kept: big" in done.stdout
    plan = told(run("storage", "prune", "--dry-run", "--json", "--kind", "model"))
    assert len(plan["items"]) == 3 and plan["bytes"] > 57_000 and not plan["final"]
    assert len(names()) == 3


def test_pruned_brought_back_and_emptied(run: Run) -> None:
    asked = run("storage", "prune", "small", input="n\n")
    assert asked.returncode == 130 and len(names()) == 3 and "would go" in asked.stdout
    done = run("storage", "prune", "small", "big:other", input="y\n")
    assert "in the trash until" in done.stdout and "workbench storage undo" in done.stdout
    assert names() == {"big:latest"}
    (one,) = told(run("storage", "trash", "--json"))
    assert "small:latest" in run("storage", "trash").stdout
    assert "Back: " in run("storage", "undo", one["id"][:10]).stdout and len(names()) == 3
    gone = told(run("storage", "prune", "small", "--yes", "--json"))
    assert run("storage", "empty").returncode == 2
    assert run("storage", "empty", gone["id"], input="n\n").returncode == 130
    freed = told(run("storage", "empty", gone["id"], "--yes", "--json"))
    assert freed == {"emptied": [gone["id"]], "bytes": gone["bytes"]}
    assert run("storage", "undo").returncode == 1 and len(names()) == 2


def test_protections(run: Run) -> None:
    assert "qwen2" in run("storage", "protect", "qwen2", "--why", "mine").stdout
    stays = run("storage", "prune", "-n").stdout
    assert "stays: protected as qwen2: mine" in stays
    (one,) = told(run("storage", "protect", "--json"))
    assert (one["pattern"], one["why"]) == ("qwen2", "mine")
    assert run("storage", "unprotect", "qwen2").returncode == 0
    assert run("storage", "unprotect", "qwen2").returncode == 1
    wrong = run("storage", "prune", "smaal")
    assert wrong.returncode == 1 and "Did you mean small" in wrong.stderr


def test_another_engines_models_are_deleted_there(run: Run, engine: str) -> None:
    with Engine(engine) as client:
        client.unload("tiny")  # which other tests have loaded: what is loaded stays
        until = time.monotonic() + 30
        while any(one.name == "tiny:latest" for one in client.running()):
            assert time.monotonic() < until
            time.sleep(0.05)
    copy = run("models", "copy", "tiny", "spare")
    assert copy.returncode == 0, copy.stderr
    plan = told(run("storage", "prune", "spare", "-n", "--json"))
    assert plan["final"] and [item["kind"] for item in plan["items"]] == ["remote"]
    gone = told(run("storage", "prune", "spare", "--yes", "--json"))
    assert [one["name"] for one in gone["deleted"]] == ["spare:latest"]
    left = json.loads(run("models", "list", "--json").stdout)
    assert "spare:latest" not in {model["name"] for model in left}
    assert "tiny:latest" in {model["name"] for model in left} and len(names()) == 3
