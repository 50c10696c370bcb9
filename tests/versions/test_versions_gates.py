"""What ends an update, and what is in use then: what was before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from versions.updated import (
    COLLECTIONS,
    fill,
    first_release,
    in_use,
    prepared,
    run,
    told_at,
    write_suite,
)

from workbench import bench, releases, vectors, versions
from workbench.engines import Engine
from workbench.errors import ReleaseError
from workbench.versions import Update


@pytest.fixture
def loved(engine: Engine, tmp_path: Path) -> str:
    """A suite whose right answers are those that `one` gives."""
    options = {"temperature": 0, "num_predict": 8}
    samples = []
    for number in range(12):
        prompt = f"def function_{number}(argument):"
        target = engine.generate("one", prompt, raw=True, options=options).text
        samples.append({"id": f"s{number}", "prompt": prompt, "target": target})
    task = {"name": "loved", "title": "As one says", "mode": "complete", "samples": samples,
            "scorers": ["chrf"], "options": options}  # fmt: skip
    (tmp_path / "loved.yaml").write_text(json.dumps(task), encoding="utf-8")
    return str(tmp_path / "loved.yaml")


def failed(update: Update, match: str, report: Any = None) -> Update:
    """An update that ends with these words."""
    with pytest.raises(ReleaseError, match=match):
        run(update, report)
    found = versions.find(update.id)
    assert found.state == "failed" and found.error and found.ended_at is not None
    return found


def test_worse_for_certain(engine: Engine, loved: str) -> None:
    first = first_release(engine)
    update = failed(prepared({"primary": "two"}, suite=loved), "nothing was changed")
    [shown] = update.step("suite").evidence["roles"]
    assert shown["verdict"] == "worse" and shown["difference"]["high"] < 0
    assert update.step("suite").state == "failed" and update.step("switch").state == "waiting"
    assert [run.id for run in reversed(bench.runs())] == shown["runs"]
    assert releases.current() == first and len(releases.history()) == 1
    assert "two:latest" in {one.name for one in engine.models()}, "nothing is deleted"
    failed(update, "worse")  # begun again it finds the same runs
    assert len(bench.runs()) == 2


def test_better_for_certain(engine: Engine, loved: str) -> None:
    releases.make("", releases.describe(engine, {"primary": "two"}))
    done = run(prepared({"primary": "one"}, suite=loved, gate="better"))
    assert done.state == "done" and done.step("suite").evidence["roles"][0]["verdict"] == "better"
    assert done.step("validate").evidence["models"].keys() == {"one:latest"}


def test_not_better_for_certain(engine: Engine, tmp_path: Path) -> None:
    first_release(engine)
    suite = write_suite(tmp_path)
    failed(prepared({"primary": "two"}, suite=suite, gate="better"), "gate is 'better'")
    assert len(releases.history()) == 1


def test_a_model_that_hears_nothing(engine: Engine) -> None:
    first_release(engine)
    for _ in engine.create("deaf", from_="one", template="{{ .System }} says:"):
        pass
    update = failed(prepared({"primary": "deaf"}), "leaves out what is asked")
    assert update.step("smoke").evidence["roles"][0]["answers"]
    assert releases.switches()[0].version == "v0.1"


def test_a_release_that_does_not_work_goes_back(engine: Engine) -> None:
    first_release(engine)
    fill(engine)
    engine.copy("two", "candidate")
    before = in_use()

    def gone() -> None:
        vectors.collection("notes").add([("late", "came while it was in use", {})])
        assert in_use()["version"] == "v0.2"
        engine.delete("candidate")

    update = prepared({"primary": "candidate", "embedding": "other"}, gate="none")
    ended = failed(update, r"not installed.*v0\.1 is in use again", told_at("validate", gone))
    assert in_use() == before and ended.step("validate").state == "failed"
    late = vectors.collection("notes").search("came while it was in use", 1)
    assert late[0].key == "late" and late[0].score > 0.99
    back, forth = releases.switches()[:2]
    assert (back.version, back.before) == ("v0.1", "v0.2") and "did not work" in back.why
    assert forth.vectors == {name: [1, 2] for name in COLLECTIONS}
    assert back.vectors == {name: [2, 1] for name in COLLECTIONS}
    with pytest.raises(ReleaseError, match="versions are made once"):
        versions.resume(update)
    assert versions.plan({"primary": "two"})["version"] == "v0.3"


def replaced(engine: Engine) -> None:
    engine.copy("one", "candidate")


def overtaken(engine: Engine) -> None:
    releases.make("mine", releases.describe(engine, {"primary": "one"}))


@pytest.mark.parametrize(
    ("meanwhile", "match"), [(replaced, "another one now"), (overtaken, "mine is in use by now")]
)
def test_what_changed_meanwhile(
    engine: Engine, meanwhile: Callable[[Engine], None], match: str
) -> None:
    first_release(engine)
    engine.copy("two", "candidate")
    update = prepared({"primary": "candidate"})
    failed(update, match, told_at("switch", lambda: meanwhile(engine)))
    assert "v0.2" not in [one.version for one in releases.history()]


def test_texts_and_collections_that_come_in_the_last_moment(engine: Engine) -> None:
    first_release(engine)
    fill(engine)

    def late() -> None:
        vectors.collection("notes").add([("late", "came in the last moment", {})])
        vectors.collection("new", model="embed").add([("n", "a new collection", {})])

    update = prepared({"embedding": "other"}, gate="none")
    assert run(update, told_at("switch", late)).state == "done"
    now = in_use()
    assert set(now["vectors"]) == {*COLLECTIONS, "new"}
    assert set(now["vectors"].values()) == {now["embedding"]}
    assert vectors.collection("notes").search("came in the last moment", 1)[0].key == "late"
