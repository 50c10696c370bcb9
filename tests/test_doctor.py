"""The doctor finds what is wrong and says what to do; each fault here is really made."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import jobs, settings
from workbench.doctor import Check, check
from workbench.engines import connect, engine_status, start_engine, stop_engine


def examine(thorough: bool = False) -> dict[str, list[Check]]:
    """The findings by name."""
    found: dict[str, list[Check]] = {}
    for item in asyncio.run(check(thorough=thorough)):
        found.setdefault(item.name, []).append(item)
    return found


def verdict(found: dict[str, list[Check]], name: str) -> bool | None:
    (item,) = found[name]
    return item.ok


@pytest.fixture(autouse=True)
def no_local_ollama(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_ENGINE", "embedded")


@pytest.fixture
def engine(tiny_gguf: Path) -> Iterator[str]:
    """Our own engine in the test's home, with one model."""
    url = start_engine()
    with connect() as client:
        for _ in client.create("tiny", files=tiny_gguf):
            pass
    yield url
    stop_engine()


def blob(name: str) -> Path:
    """The file of a stored model's weights."""
    root = settings.models_folder()
    manifest = json.loads((root / f"manifests/registry.ollama.ai/library/{name}").read_bytes())
    layer = next(item for item in manifest["layers"] if item["mediaType"].endswith(".model"))
    return root / "blobs" / layer["digest"].replace(":", "-")


def test_a_fresh_home(monkeypatch: pytest.MonkeyPatch) -> None:
    found = examine()
    for name in ("home", "settings", "store", "model files", "jobs", "packages"):
        assert verdict(found, name) is True, found[name]
    (engine,) = found["engine"]
    assert engine.ok is False and engine.command == "workbench engine start"
    assert all(item.command is None for items in found.values() for item in items if item.ok)


def test_a_home_that_others_can_read() -> None:
    settings.home().chmod(0o755)
    (item,) = examine()["home"]
    assert item.ok is False and item.command == f"chmod 700 '{settings.home()}'"
    settings.home().chmod(0o700)
    assert verdict(examine(), "home") is True


def test_a_home_that_cannot_be_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file" / "home"))
    found = examine()
    assert verdict(found, "home") is False
    assert set(found) == {"home", "settings", "packages"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKBENCH_ENGINE", "gpu"),
        ("OLLAMA_HOST", "ftp://x"),
        ("LOG_LEVEL", "LOUD"),
        ("WORKBENCH_MAX_JOBS", "0"),
        ("WORKBENCH_ENGINE_IDLE", "soon"),
        ("OLLAMA_KEEP_ALIVE", "long"),
        ("OPTIMIZATION_TIMEOUT_MINUTES", "x"),
        ("WORKBENCH_MODELS", "~/.ollama/models"),
    ],
)
def test_settings_that_make_no_sense(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    items = examine()["settings"]
    assert [item.ok for item in items] == [False]


def test_good_settings_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("WORKBENCH_ENGINE_IDLE", "-1"),
        ("OLLAMA_KEEP_ALIVE", "300"),
        ("WORKBENCH_MAX_JOBS", "2"),
        ("DEBUG", "yes"),
    ):
        monkeypatch.setenv(name, value)
    assert verdict(examine(), "settings") is True


def test_a_misspelt_variable_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_MODEL", "/x")
    _, item = examine()["settings"]
    assert item.ok is None and "WORKBENCH_MODELS" in str(item.fix)


def test_a_damaged_database() -> None:
    jobs.jobs()  # makes it
    file = settings.home() / "workbench.db"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(file.read_bytes())
    content[4096 : 4 * 4096] = os.urandom(3 * 4096)
    file.write_bytes(content)
    assert verdict(examine(), "store") is False


def test_a_healthy_engine(engine: str) -> None:
    found = examine(thorough=True)
    for name in ("engine process", "engine", "models", "model files", "answer"):
        assert verdict(found, name) is True, found[name]
    assert engine in found["engine"][0].message and "embedded" in found["engine"][0].message
    (item,) = found["embedding model"]
    assert item.ok is None and item.command == "workbench starter --embedding"


def test_damaged_models(engine: str) -> None:
    file = blob("tiny/latest")
    content = bytearray(file.read_bytes())
    file.chmod(0o644)

    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert verdict(examine(), "model files") is True, "the sizes are right"
    (item,) = examine(thorough=True)["model files"]
    assert item.ok is False and "was changed" in item.message and "tiny:latest" in item.message
    assert item.command == "workbench models rm --yes tiny:latest"

    file.write_bytes(content[:-10])
    (item,) = examine()["model files"]
    assert item.ok is False and f"{len(content) - 10} of {len(content)} bytes" in item.message

    file.unlink()
    (item,) = examine()["model files"]
    assert item.ok is False and "is missing" in item.message


def test_hostile_manifests() -> None:
    folder = settings.models_folder() / "manifests/registry.ollama.ai/library/bad"
    folder.mkdir(parents=True)
    texts = ("{", "[]", '{"config": {"digest": "../../x", "size": 1}, "layers": []}', "\x00\xff",
             '{"config": 1, "layers": 2}', '{"layers": [{}]}', "[" * 100_000)  # fmt: skip
    for number, text in enumerate(texts):
        (folder / f"t{number}").write_text(text)
    items = examine()["model files"]
    assert [item.ok for item in items] == [False] * len(texts)
    assert all("manifest is damaged" in item.message for item in items)


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
    status = engine_status()
    assert status is not None
    os.kill(status.pid, signal.SIGSTOP)
    try:
        (item,) = examine()["engine process"]
    finally:
        os.kill(status.pid, signal.SIGCONT)
    assert item.ok is False and item.command == "workbench engine stop"


def test_interrupted_jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "doctor_target.py").write_text("import os\ndef die(job): os.kill(os.getpid(), 9)\n")
    monkeypatch.syspath_prepend(tmp_path)
    job = jobs.submit("doctor_target:die", title="Short life")
    assert jobs.wait(job.id, 60).state == "interrupted"
    jobs.stop_supervisor()
    (item,) = examine()["jobs"]
    assert item.ok is None and "Short life" in item.message
    assert item.command == f"workbench jobs resume {job.id}"
