"""Beside a running engine: its list compared, a broken model mended while it serves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from integrity_tools import flip
from library.registry_server import RegistryServer
from live import own_engine
from tiny import write_tiny_llama

from workbench.engines import Engine
from workbench.errors import EngineError
from workbench.integrity import compare, engine_faults, limits, repair, verify


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def live(home: Path) -> Iterator[str]:
    with own_engine(home) as url:
        yield url


@pytest.fixture
def engine(
    home: Path, live: str, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """The engine of a home that is ours too; its models go away after each test."""
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    with Engine(live, kind="embedded") as connected:
        yield connected
        for model in connected.models():
            connected.delete(model.name)


def digest(engine: Engine, name: str) -> str:
    (found,) = [model.digest for model in engine.models() if model.name == name]
    return found


def pull(engine: Engine, name: str) -> str:
    for _ in engine.pull(name):
        pass
    return digest(engine, name)


def test_a_broken_model_is_mended_while_the_engine_runs(
    engine: Engine, home: Path, tiny_gguf: Path
) -> None:
    for _ in engine.create("tiny", files=tiny_gguf):
        pass
    options = {"num_predict": 4, "temperature": 0}
    said = engine.generate("tiny", "def", options=options).text
    report = verify()
    assert report.ok and report.digests["tiny:latest"] == digest(engine, "tiny:latest")
    (victim,) = [one for one in (home / "models" / "blobs").iterdir() if one.stat().st_size > 1e5]
    victim.chmod(0o600)
    with victim.open("r+b") as file:
        file.truncate(4000)
    (fault,) = verify().faults
    with pytest.raises(EngineError):
        engine.show("tiny")
    kept = home / "trainings" / "run" / "gguf" / "F32.gguf"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(tiny_gguf.read_bytes())
    assert repair(fault, engine).done and verify().ok
    assert engine.running() == [], "what was loaded from the broken file is not"
    assert engine.generate("tiny", "def", options=options).text == said


def test_the_list_against_what_is_expected(engine: Engine, tiny_gguf: Path) -> None:
    for _ in engine.create("tiny", files=tiny_gguf):
        pass
    right = digest(engine, "tiny:latest")
    assert engine_faults(engine, {"tiny": right, "TINY:latest": f"sha256:{right}"}) == ()
    assert engine_faults(engine, {"tiny": ""}) == ()
    moved, absent = engine_faults(engine, {"tiny": "0" * 64, "gone:v1": right})
    assert (moved.kind, moved.affects) == ("moved", ("tiny",)) and right[:12] in moved.words
    assert (absent.kind, absent.words) == ("absent", "gone:v1 is not installed")
    assert "not seen from here" in limits("ollama") and limits("embedded") == ""


def test_an_absent_model_is_pulled(
    engine: Engine, registry: RegistryServer, host: str, tiny_gguf: Path
) -> None:
    name = f"{host}/me/model:v1"
    registry.add("me/model:v1", tiny_gguf.read_bytes())
    wanted = pull(engine, name)
    engine.delete(name)
    (fault,) = engine_faults(engine, {name: wanted})
    outcome = repair(fault, engine)
    assert outcome.done and engine_faults(engine, {name: wanted}) == ()
    assert not repair(fault).done, "without an engine it is only said"


def test_a_moved_tag_does_not_take_the_place(
    engine: Engine, registry: RegistryServer, host: str, tmp_path: Path
) -> None:
    name = f"{host}/me/model:v1"
    first, second = (
        write_tiny_llama(tmp_path / f"{seed}.gguf", seed=seed).read_bytes() for seed in (1, 2)
    )
    registry.add("me/model:v1", first)
    here = pull(engine, name)
    registry.add("me/model:v1", second)
    (fault,) = compare(engine.models(), {name: "ab" * 32})
    outcome = repair(fault, engine)
    assert not outcome.done and "another model now" in outcome.words
    assert digest(engine, name) == here, "what was here is here again"
    assert len(engine.models()) == 1, "and nothing besides"

    registry.add("me/model:v1", first)
    engine.copy(name, "old")
    registry.add("me/model:v1", second)
    other = pull(engine, name)
    registry.add("me/model:v1", first)
    (fault,) = compare(engine.models(), {name: here})
    assert other != here and repair(fault, engine).done and digest(engine, name) == here


def test_a_pull_that_fails_changes_nothing(
    engine: Engine, registry: RegistryServer, host: str, tiny_gguf: Path
) -> None:
    name = f"{host}/me/model:v1"
    registry.add("me/model:v1", tiny_gguf.read_bytes())
    here = pull(engine, name)
    registry.manifests.clear()
    (fault,) = compare(engine.models(), {name: "cd" * 32})
    outcome = repair(fault, engine)
    assert not outcome.done and "cannot be pulled" in outcome.words
    assert digest(engine, name) == here and len(engine.models()) == 1


def test_flips_are_found_while_the_model_serves(
    engine: Engine, home: Path, tiny_gguf: Path
) -> None:
    for _ in engine.create("tiny", files=tiny_gguf):
        pass
    stream = engine.stream_generate("tiny", "def", options={"num_predict": 200})
    next(stream)
    (victim,) = [one for one in (home / "models" / "blobs").iterdir() if one.stat().st_size > 1e5]
    victim.chmod(0o600)
    flip(victim, 300_000)
    report = verify()
    assert [fault.kind for fault in report.faults] == ["flipped"]
    assert sum(1 for _ in stream) > 1, "the answer goes on"
