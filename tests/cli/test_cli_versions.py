"""`workbench versions`: releases of real models, taken into use, compared, had elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.cli._main import run
from workbench.engines import Engine

Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], engine: str) -> Said:
    """`said("list")`: exit code, stdout and stderr of `workbench versions list`."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["versions", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def told(said: Said) -> Callable[..., Any]:
    """What a command prints for programs: the last line of it."""

    def call(*arguments: str) -> Any:
        code, out, err = said(*arguments, "--json")
        assert code == 0, err
        return json.loads(out.splitlines()[-1])

    return call


@pytest.fixture
def client(engine: str) -> Iterator[Engine]:
    """The session's engine, which has what it had when the test is over."""
    with Engine(engine) as one:
        before = {model.name for model in one.models()}
        yield one
        for model in one.models():
            if model.name not in before:
                one.delete(model.name)


def test_releases_are_made_used_and_compared(
    said: Said, told: Callable[..., Any], client: Engine
) -> None:
    assert "No release yet" in said("list")[1] and told("list") == []
    made = told("release", "--primary", "tiny", "--embedding", "embed", "--purpose", "Begin.")
    assert made["version"] == "v0.1" and made["members"][0]["model"] == "tiny:latest"
    code, out, _ = said("release", "--role", "primary=endless", "--reason", "longer")
    assert code == 0 and "v0.2 is made and in use" in out and "tiny:latest → endless:latest" in out
    [second, first] = told("list")
    assert (second["version"], second["in_use"], first["in_use"]) == ("v0.2", True, False)
    assert [one["role"] for one in second["members"]] == ["primary", "embedding"], "taken over"
    assert "*  v0.2" in said("list")[1]
    shown = said("show", "v0.1")[1]
    assert "embed:latest" in shown and "Begin." in shown and "in use  no" in shown
    assert told("show")["version"] == "v0.2"
    changed = told("diff", "v0.1")
    assert changed["b"] == "v0.2" and changed["compared"][0]["verdict"] == "unmeasured"
    words = said("diff", "v0.1", "v0.2")[1]
    assert "tiny:latest → endless:latest" in words and "workbench bench run" in words

    assert told("use", "previous", "--why", "too long")["before"] == "v0.2"
    code, _, err = said("use", "v0.1")
    assert code == 1 and "in use already" in err
    text = said("history", "--markdown")[1]
    assert text.startswith("# Releases of our models") and "v0.2 → v0.1. too long" in text
    assert "too long" in said("history")[1]
    past = told("history", "--markdown")
    assert past["markdown"] == text and len(past["switches"]) == 3
    aside = told("release", "pilot", "--primary", "endless", "--fresh", "--no-use")
    assert [one["role"] for one in aside["members"]] == ["primary"]
    assert told("show")["version"] == "v0.1"


def test_aliases(said: Said, told: Callable[..., Any], client: Engine) -> None:
    told("release", "--primary", "tiny")
    assert told("alias", "set", "candidate", "endless")["model"] == "endless:latest"
    assert said("alias", "get", "candidate")[1] == "endless:latest\n"
    assert told("alias", "get", "primary")["model"] == "tiny:latest"
    assert [one["alias"] for one in told("alias", "list")] == ["candidate"]
    assert "candidate" in said("alias", "list")[1]
    assert said("alias", "rm", "candidate")[0] == 0
    assert "No model has the role or alias 'candidate'" in said("alias", "get", "candidate")[2]


def test_to_another_machine_and_back(
    said: Said, told: Callable[..., Any], client: Engine, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, text in (("kind:a", "Be kind."), ("kind:b", "Be short.")):
        for _ in client.create(name, from_="tiny", system=text):
            pass
    told("release", "--primary", "kind:a")
    told("release", "--primary", "kind:b")
    monkeypatch.chdir(tmp_path)
    assert "workbench.releases.json is written" in said("export")[1]
    single = told("export", "v0.1")
    assert said("export", "v0.1", "-o", "one.json")[0] == 0
    assert json.loads((tmp_path / "one.json").read_text("utf-8")) == single
    assert json.loads(said("export", "v0.1")[1]) == single

    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "other"))
    found = told("import")
    assert found["added"] == ["v0.1", "v0.2"] and found["current"] == "v0.2"
    assert "Nothing is new" in said("import", "one.json")[1]
    assert "There is no current release" in said("sync")[2]
    assert said("switch", "v0.1")[0] == 0
    client.delete("kind:a")
    code, out, _ = said("sync", "--plan")
    assert code == 1 and "missing" in out and "make" in out
    assert told("sync", "--yes")["outcome"] == "done"
    assert "kind:a" in {model.name for model in client.models()}
    assert [step["action"] for step in told("sync")["steps"]] == ["none"]
    code, out, _ = said("sync", "v0.2", "--yes")
    assert code == 0 and "here" in out


def test_what_cannot_be_had_is_told(
    said: Said, told: Callable[..., Any], client: Engine, tmp_path: Path
) -> None:
    client.copy("tiny", "lone:x")
    for _ in client.create("lone:x", from_="lone:x", system="Alone."):
        pass
    told("release", "--primary", "lone:x")
    client.delete("lone:x")
    code, out, _ = said("sync")
    assert code == 1 and "by hand" in out
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("release", "--fresh"), 2, "--primary"),
        (("release", "--role", "primary"), 2, "ROLE=MODEL"),
        (("release", "--primary", "absent"), 1, "no model 'absent'"),
        (("release", "v/1", "--primary", "tiny"), 1, "cannot name a release"),
        (("show", "v9"), 1, "v0.1"),
        (("diff", "v9"), 1, "v0.1"),
        (("import", str(tmp_path / "none.json")), 2, "none.json"),
        (("alias", "set", "primary", "tiny"), 1, "cannot be an alias"),
    ]
    for arguments, code, words in cases:
        found, _, err = said(*arguments)
        assert found == code and words in err, (arguments, found, err)


def test_nothing_of_a_release_reaches_the_terminal_unseen(
    said: Said, told: Callable[..., Any], client: Engine
) -> None:
    told("release", "--primary", "tiny", "--purpose", "a\x1b[31mb", "--reason", "c\nd")
    for command in (("list",), ("show",), ("history",)):
        assert "\x1b" not in said(*command)[1]
    assert "\x1b" in told("show")["purpose"], "programs get it as it is"
