"""The engine: well, killed, hanging, absent, old; and what is done about it."""

from __future__ import annotations

import os
import signal

import pytest
from doctor_tools import examine, mend, server, verdict

from workbench.engines import connect, engine_status, stop_engine


def test_a_healthy_engine(engine: str) -> None:
    found = examine(thorough=True)
    for name in ("engine process", "engine", "models", "model files", "answer", "template"):
        assert verdict(found, name) is True, found[name]
    assert engine in found["engine"][0].message and "embedded" in found["engine"][0].message
    (item,) = found["embedding model"]
    assert item.ok is None and item.command == "workbench starter --embedding"


def test_no_engine_is_started_by_looking_and_one_by_mending() -> None:
    (item,) = examine()["engine"]
    assert item.ok is False and item.safe and engine_status() is None
    try:
        assert mend(item).done
        found = examine()
        assert verdict(found, "engine") is True
        (models,) = found["models"]
        assert models.ok is False and models.action == "build starter" and not models.safe
    finally:
        stop_engine()


def test_an_engine_that_was_killed(engine: str) -> None:
    status = engine_status()
    assert status is not None
    os.kill(status.pid, signal.SIGKILL)
    while engine_status() is not None:
        pass
    found = examine()
    assert verdict(found, "engine process") is None
    assert verdict(found, "engine") is False
    assert verdict(found, "model files") is True, "no stored model is lost"


def test_an_engine_that_hangs(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.engines._find.ANSWER", 1.0)  # seconds; two are waited for
    monkeypatch.setattr("workbench.engines._find.END", 0.5)
    status = engine_status()
    assert status is not None
    os.kill(status.pid, signal.SIGSTOP)
    found = examine()
    (item,) = found["engine process"]
    assert item.ok is False and item.command == "workbench engine stop"
    assert {one.action for one in (item, *found["engine"])} == {"restart engine"}
    assert mend(item).done
    after = engine_status()
    assert after is not None and after.pid != status.pid


def test_an_ollama_that_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"/api/tags": {"models": []}, "/api/ps": {"models": []}}
    for version, old in (("0.5.1", True), ("0.33.0", False), ("0.0.0", False)):
        with server({**answers, "/api/version": {"version": version}}) as url:
            monkeypatch.setenv("WORKBENCH_ENGINE", "ollama")
            monkeypatch.setenv("OLLAMA_HOST", url)
            found = examine()
        assert verdict(found, "engine") is True
        assert ("engine version" in found) is old
        if old:
            assert "0.5.1 is old" in found["engine version"][0].message


def test_a_server_that_answers_nonsense_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"name": "../x", "digest": 7, "size": -1}, {}, {"name": "a\x1b[31m:b"}]
    answers = {"/api/version": {"version": "9"}, "/api/tags": {"models": rows}, "/api/ps": []}
    with server(answers) as url:
        monkeypatch.setenv("WORKBENCH_ENGINE", "ollama")
        monkeypatch.setenv("OLLAMA_HOST", url)
        found = examine()
    assert verdict(found, "engine") is True and "packages" in found


def test_loaded_models_are_unloaded(engine: str) -> None:
    from workbench.doctor import Check

    with connect() as client:
        client.load("tiny")
        item = Check("memory", False, "", action="unload models", safe=True)
        assert "tiny:latest" in mend(item).words and client.running() == []
        assert mend(item).words == "No model is loaded."
