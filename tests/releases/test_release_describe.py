"""What is known of models: from the engine, trainings, studies, jobs, the Benchmarks room."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from bench.kept_runs import FACTS, kept_run
from library.library_tools import serving
from library.registry_server import RegistryServer

from workbench import bench, lineage
from workbench.data import writing
from workbench.engines import Engine
from workbench.errors import ReleaseError
from workbench.examples import Example
from workbench.releases import describe, find, make, measurements
from workbench.store import StoredJob, StoredStudy, session


@pytest.fixture
def made(engine: Engine) -> Iterator[Any]:
    """`made("name", from_=…)`: creates a model, which goes with the test; its digest."""
    names: list[str] = []

    def create(name: str, **given: Any) -> str:
        for _ in engine.create(name, **given):
            pass
        names.append(name)
        return next(one.digest for one in engine.models() if one.name == name)

    yield create
    for name in names:
        engine.delete(name)


def test_a_member_has_what_the_engine_tells(engine: Engine, made: Any) -> None:
    small = made("small:ctx", from_="one", parameters={"num_ctx": 256}, system="Be kind.")
    first, second, third = describe(
        engine, {"primary": "small:ctx", "embedding": "embed", "task:code": "one"}
    )
    assert (first.model, first.digest) == ("small:ctx", small)
    assert first.context == 256 and first.embedding is None and first.size > 500_000
    assert first.quantisation == "F32" and first.parameter_size
    assert (second.model, second.embedding, second.role) == ("embed:latest", 64, "embedding")
    assert third.context == 512 and third.source == "unknown" and third.measured == ()
    assert third.how["weights"].startswith("sha256:")
    assert first.source == "made" and first.how["from"] == "one"
    assert first.how["from_digest"] == third.digest
    assert first.how["modelfile"].startswith("FROM one\n") and "Be kind." in first.how["modelfile"]
    assert first.how["base_origin"] == {"source": "unknown", "how": dict(third.how)}
    assert str(first.how).count("/") == 0, "no place of this machine"
    kept = make("v1", [first, second, third])
    assert kept.members == (first, second, third) == find("v1").members


def test_what_cannot_be_described(engine: Engine) -> None:
    cases = [
        ({"primary": "oen"}, "one"),
        ({"main": "one"}, "no role"),
        ({"primary": "../x"}, "name"),
    ]
    for roles, words in cases:
        with pytest.raises(ReleaseError, match=words):
            describe(engine, roles)


def test_pulled_models(engine: Engine, tiny_gguf: Any) -> None:
    registry = RegistryServer()
    registry.add("me/model:v1", tiny_gguf.read_bytes(), system="From afar.")
    with serving(registry.app) as host:
        name = host.removeprefix("http://") + "/me/model:v1"
        for _ in engine.pull(name):
            pass
        (one,) = describe(engine, {"primary": name})
        assert one.source == "pulled" and one.how["from"] == name and one.how["because"]
        engine.copy(name, "llama3.2:1b")
        (likely,) = describe(engine, {"primary": "llama3.2:1b"})
        assert likely.source == "pulled" and "catalogue" in likely.how["because"]
        engine.copy(name, "mine")
        (said,) = describe(engine, {"primary": "mine"}, pulled=["mine"])
        assert (said.source, said.how) == ("pulled", {"from": "mine:latest"})
        _job("workbench.catalogue:install", {"name": name}, {"digest": one.digest})
        (known,) = describe(engine, {"primary": "mine"})
        assert (known.source, known.how["from"]) == ("pulled", name)
        for extra in (name, "llama3.2:1b", "mine"):
            engine.delete(extra)


def _job(target: str, arguments: dict[str, Any], result: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    with session() as opened:
        opened.add(StoredJob(
            id=secrets.token_hex(5), home="h", title="t", kind="k", target=target,
            arguments=arguments, state="done", result=result, created_at=now, queued_at=now,
        ))  # fmt: skip


def test_trained_models(engine: Engine) -> None:
    with writing(
        "notes", "text", recipe={"kind": "import", "path": "/secret/place/a.txt"}
    ) as draft:
        draft.add(Example("text", {"text": "only one"}))
    (two, one) = describe(engine, {"fallback": "two", "primary": "one"})
    run = lineage.begin(
        "finetune", "two", dataset=draft.made, settings={"rank": 4}, base="one",
        base_digest=one.digest,
    )  # fmt: skip
    file = {"sha256": "f" * 64, "bytes": 9, "path": "/secret/place/two.gguf"}
    lineage.note(run, digest=two.digest, export={"files": {"Q8_0": file}})
    (found,) = describe(engine, {"primary": "two"})
    how = found.how
    assert found.source == "trained" and how["training"] == run.id and how["recipe"] == "finetune"
    assert how["settings"] == {"rank": 4} and how["export"] == {"Q8_0": "f" * 64}
    assert (how["dataset"], how["dataset_name"]) == (draft.made.digest, "notes")
    assert how["dataset_recipe"] == {"kind": "import", "path": "a.txt"}
    assert (how["base"], how["base_digest"]) == ("one", one.digest)
    assert how["base_origin"]["how"]["weights"] == one.how["weights"]
    assert "secret" not in str(found)


def test_starter_models(engine: Engine) -> None:
    (one,) = describe(engine, {"primary": "one"})
    _job("workbench.starter:build_starter", {"name": "one", "minutes": 1.5}, {"digest": one.digest})
    (found,) = describe(engine, {"primary": "one"})
    assert (found.source, found.how["recipe"]) == ("trained", "starter")
    assert found.how["settings"]["minutes"] == 1.5


def test_tuned_models(engine: Engine, made: Any) -> None:
    (one,) = describe(engine, {"primary": "one"})
    tuned = made("one:tuned", from_="one:latest", parameters={"temperature": 0.1})
    study = StoredStudy(
        id="abcdef0123", name="n", model="one:latest", digest=one.digest, suite="code",
        space={"parameters": [{"name": "temperature"}]}, strategy="s", objectives=[], settings={},
        state="done", jobs=[], finisher="", created_at=datetime.now(UTC),
        result={"applied": {"one:tuned": {"trial": 3, "digest": tuned, "at": "2026-01-01"}}},
    )  # fmt: skip
    with session() as opened:
        opened.add(study)
    (found,) = describe(engine, {"primary": "one:tuned"})
    how = found.how
    assert found.source == "tuned" and (how["study"], how["trial"]) == ("abcdef0123", 3)
    assert (how["from"], how["from_digest"]) == ("one:latest", one.digest)
    assert "PARAMETER temperature 0.1" in how["modelfile"] and "quantize" not in how


def test_measured_on_each_machine(engine: Engine) -> None:
    (one,) = describe(engine, {"primary": "one"})

    def run(share: int, suite: str, machine: dict[str, Any] | None, **more: Any) -> str:
        values = [1.0] * share + [0.0] * (40 - share)
        kept = kept_run("one", {"t": values}, suite=suite, **more)
        bench.note_run(kept, digest=one.digest, facts={**FACTS, "machine": machine})
        return kept.id

    here = {"cpu": "A cpu", "physical_cores": 2, "memory_total": 8_100_000_000, "gpus": []}
    card = {**here, "gpus": [{"name": "A card"}]}
    run(10, "code", here)
    newest = run(20, "code", here)
    run(30, "code", here, options={"temperature": 2.0})
    run(40, "code", card)
    run(40, "talk", None, options={"temperature": 0.5})
    kept_run("one", {"t": [1.0]}, suite="code")  # of another version
    found = measurements(one.digest)
    assert [(row["machine"], row["suite"]) for row in found] == [
        ("A cpu, 2 cores, 8 GB", "code"), ("A cpu, 2 cores, 8 GB, A card", "code"),
        ("another machine", "talk"),
    ]  # fmt: skip
    first = found[0]
    assert first["run"] == newest and first["score"] == pytest.approx(0.5)
    assert first["low"] < 0.5 < first["high"]
    assert (first["tokens_per_second"], first["first_token_seconds"]) == (50.0, 0.5)
    (member,) = describe(engine, {"primary": "one"})
    assert member.measured == found
    assert find(make("v1", [member]).version).members == (member,)
