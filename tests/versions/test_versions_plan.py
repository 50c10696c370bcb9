"""What is refused before anything begins, and models that are pulled first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from library.registry_server import RegistryServer
from versions.updated import first_release, prepared, run, write_suite

from workbench import releases, versions
from workbench.engines import Engine
from workbench.errors import ReleaseError
from workbench.settings import home
from workbench.versions import STEPS


@pytest.mark.parametrize(
    ("roles", "more", "match"),
    [
        ({}, {}, "Say which role"),
        ({"primary": "one"}, {}, "Nothing changes"),
        ({"boss": "two"}, {}, "no role"),
        ({"primary": "tow"}, {}, "Did you mean two"),
        ({"primary": "no name:!"}, {}, "cannot be a model's name"),
        ({"primary": "embed"}, {}, "writes no text"),
        ({"embedding": "two"}, {}, "makes no vectors"),
        ({"primary": "two"}, {"suite": "reading-coda"}, "Did you mean reading-code"),
        ({"primary": "two"}, {"suite": "reading-code", "limit": 0}, "1 or more"),
        ({"primary": "two"}, {"gate": "best"}, "A gate is"),
        ({"primary": "two"}, {"gate": "better"}, "name a suite"),
        ({"primary": "two"}, {"version": "v0.1"}, "is a release v0.1 already"),
        ({"primary": "two"}, {"version": "../x"}, "cannot name a release"),
        ({"primary": "two"}, {"file": "no/such/folder/x.json"}, "no folder"),
        ({"primary": "two"}, {"smoke": ["x" * 5000]}, "at most 4000"),
    ],
)
def test_refused(engine: Engine, roles: dict[str, str], more: dict[str, Any], match: str) -> None:
    first_release(engine)
    with pytest.raises(ReleaseError, match=match):
        versions.start(roles, **more)
    with pytest.raises(ReleaseError, match="no update yet"):
        versions.find()


def test_a_plan_says_what_it_will_do(engine: Engine, tmp_path: Path) -> None:
    first_release(engine, fallback="two")
    suite = write_suite(tmp_path)
    found = versions.plan({"primary": "two", "embedding": "embed"}, suite=suite, seed=3)
    assert [one["role"] for one in found["changes"]] == ["primary"], "what stays is no change"
    assert found["kept"] == ["embedding", "fallback"] and found["version"] == "v0.2"
    assert list(found["steps"]) == list(STEPS) and all(found["steps"].values())
    assert "two:latest" in found["steps"]["switch"] and found["engine"] is None
    assert versions.plan({"primary": "two"}, engine=engine)["engine"] is None, "the one in use"
    done = run(prepared({"primary": "two"}, version="mine", purpose="Both are two."))
    used = releases.current()
    assert used is not None and used.version == done.version == "mine"
    assert [one.role for one in used.members] == ["primary", "embedding", "fallback"]
    assert done.step("suite").state == "skipped" and done.step("reembed").state == "skipped"


def test_a_role_whose_model_is_gone(engine: Engine, tmp_path: Path) -> None:
    engine.copy("two", "candidate")
    first_release(engine, fallback="candidate")
    for _ in engine.create("candidate", from_="one", system="Another one."):
        pass
    with pytest.raises(ReleaseError, match="candidate:latest, the fallback model"):
        versions.plan({"primary": "two"})
    assert versions.plan({"primary": "two", "fallback": "one"})["kept"] == ["embedding"]
    suite = write_suite(tmp_path)
    found = versions.plan({"fallback": "candidate"}, suite=suite)  # the old one is two as well
    assert found["changes"][0]["before_model"] == "candidate:latest"


def test_nothing_to_compare_with(engine: Engine, tmp_path: Path) -> None:
    for _ in engine.create("old", from_="one", system="Nobody knows."):
        pass
    suite = write_suite(tmp_path)
    releases.make("", releases.describe(engine, {"primary": "old"}))
    engine.delete("old")
    with pytest.raises(ReleaseError, match="nothing can be compared"):
        versions.plan({"primary": "two"}, suite=suite)
    done = run(prepared({"primary": "two"}, suite=suite, gate="none"))
    assert "not here any more" in done.step("suite").words and done.state == "done"
    with pytest.raises(ReleaseError, match=r"versions sync v0\.1"):
        versions.undo(done)


def test_a_file_with_what_is_not_known(engine: Engine, tmp_path: Path) -> None:
    first_release(engine)
    file = releases.write_file(tmp_path)
    home().rename(tmp_path / "another-home")
    releases.make("other", releases.describe(engine, {"primary": "one"}))
    with pytest.raises(ReleaseError, match="Import it first"):
        versions.plan({"primary": "two"}, file=file)
    releases.import_file(file)
    assert versions.plan({"primary": "two"}, file=file)["file"] == str(file)


def test_pulled_first(
    engine: Engine, registry: tuple[RegistryServer, str], tiny_gguf: Path
) -> None:
    server, host = registry
    server.add("me/model:v1", tiny_gguf.read_bytes(), system="From afar.")
    first_release(engine)
    name = f"{host}/me/model:v1"
    update = prepared({"fallback": name})
    [change] = update.changes
    assert change.pull and change.digest == "" and "pulled" in update.step("pull").words
    done = run(update)
    assert done.state == "done"
    used = releases.current()
    assert used is not None
    member = used.role("fallback")
    assert member is not None and member.source == "pulled" and member.how["from"] == name
    assert done.step("pull").evidence["digests"] == {name: member.digest}


def test_what_cannot_be_pulled(engine: Engine, registry: tuple[RegistryServer, str]) -> None:
    first_release(engine)
    update = prepared({"primary": f"{registry[1]}/me/absent:v1"})
    with pytest.raises(ReleaseError, match="absent:v1 could not be pulled"):
        run(update)
    found = versions.find(update.id)
    assert found.state == "failed" and found.step("pull").state == "failed"
