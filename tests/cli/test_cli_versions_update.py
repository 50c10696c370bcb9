"""`workbench versions update` and what belongs to it: real jobs, real models, and back."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from workbench import jobs
from workbench.cli._main import run
from workbench.engines import Engine

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], engine: str) -> Iterator[Said]:
    """`said("updates")`: exit code, stdout and stderr of `workbench versions updates`."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["versions", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    yield call
    supervisor = jobs.supervisor_pid()
    if supervisor is not None:
        with suppress(OSError):
            os.kill(supervisor, signal.SIGKILL)


@pytest.fixture
def told(said: Said) -> Callable[..., Any]:
    """What a command prints for programs: the last line of it."""

    def call(*arguments: str) -> Any:
        code, out, err = said(*arguments, "--json")
        assert code == 0, err
        return json.loads(out.splitlines()[-1])

    return call


@pytest.fixture
def candidate(engine: str) -> Iterator[str]:
    """A model from a registry where nobody answers; it is gone when the test is over."""
    name = "127.0.0.1:1/me/candidate:v1"
    with Engine(engine) as client:
        client.copy("tiny", name)
        yield name
        client.delete(name)


def test_updated_listed_and_rolled_back(said: Said, told: Callable[..., Any]) -> None:
    assert "No update yet" in said("updates")[1] and told("updates") == []
    told("release", "--primary", "tiny", "--embedding", "embed")
    planned = told("update", "primary=endless", "--plan")
    assert planned["version"] == "v0.2" and planned["gate"] == "not worse"
    assert "endless:latest" in said("update", "primary=endless", "--plan")[1]
    code, out, err = said("update", "primary=endless", "--reason", "longer", "--ask", "def f(x):")
    assert code == 0, err
    assert "v0.2: primary → endless:latest" in out and "v0.2 is in use instead of v0.1" in out
    assert "v0.2 is in use 100%" in err, "its progress"
    [update] = told("updates")
    assert update["state"] == "done" and update["steps"][4]["state"] == "done"
    assert update["id"] in said("updates")[1] and "Try them" in said("updates", update["id"])[1]
    assert told("updates", "v0.2")["id"] == update["id"]
    assert told("show")["reason"] == "longer"
    code, _, err = said("stop")
    assert code == 1 and "workbench versions rollback" in err
    assert told("verify", "--fast")["ok"] is True
    assert "All is as it should be with v0.1" in said("verify", "v0.1", "--fast")[1]
    assert told("rollback", "--why", "too long") == {"version": "v0.1"}
    assert told("updates", update["id"])["state"] == "undone"
    assert "v0.2 is in use" in said("rollback", "--to", "v0.2")[1]


def test_a_release_that_is_not_here(
    said: Said, told: Callable[..., Any], candidate: str, engine: str
) -> None:
    told("release", "--primary", candidate)
    with Engine(engine) as client:
        client.copy("endless", candidate)
    code, out, _ = said("verify", "--fast")
    assert code == 1 and f"{candidate} is another one" in out
    code, out, err = said("update", "fallback=tiny")
    assert code == 1 and "not here with its digest" in err and out == ""


def test_what_can_be_mended_is(
    said: Said, told: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    told("release", "--primary", "tiny", "--fallback", "endless", "--embedding", "embed")
    [home] = tmp_path_factory.getbasetemp().glob("engine-home[0-9]*")
    monkeypatch.setenv("WORKBENCH_MODELS", str(home / "models"))
    blob = max((home / "models" / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    blob.chmod(0o666)
    code, out, _ = said("verify")
    assert code == 1 and blob.name[:15] in out
    code, out, _ = said("verify", "--repair")
    assert code == 0 and "All is as it should be with v0.1: 3 models, every byte" in out
    assert "is now of mode" in out and not blob.stat().st_mode & 0o002


def test_detached_stopped_and_resumed(said: Said, told: Callable[..., Any]) -> None:
    told("release", "--primary", "tiny")
    begun = told("update", "primary=endless", "--suite", "reading-code", "--limit", "40",
                 "--gate", "none", "--detach")  # fmt: skip
    assert begun["state"] == "waiting" and begun["job"]
    assert told("stop", begun["id"])["state"] == "stopped"
    jobs.wait(begun["job"], 120)
    assert told("updates")[0]["state"] == "stopped" and told("show")["version"] == "v0.1"
    again = told("resume", begun["id"], "--detach")
    assert again["state"] in ("waiting", "running") and again["error"] is None
    assert "stopped" in said("stop")[1]
    jobs.wait(again["job"], 120)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("update",), 2, "ROLE=MODEL"),
        (("update", "primary"), 2, "written ROLE=MODEL"),
        (("update", "primary=absent"), 1, "no model 'absent'"),
        (("update", "primary=tiny", "--gate", "best"), 2, "not worse"),
        (("updates", "absent"), 1, "no update 'absent'"),
        (("resume",), 1, "no update yet"),
        (("rollback",), 1, "nothing to go back from"),
        (("verify", "v9"), 1, "no release 'v9'"),
    ],
)
def test_wrong_usage(said: Said, arguments: tuple[str, ...], code: int, words: str) -> None:
    found, out, err = said(*arguments)
    assert found == code and words in err and not out
