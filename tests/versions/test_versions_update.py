"""An update from its plan to its record, with real models; and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from versions.updated import COLLECTIONS, fill, first_release, in_use, prepared, run, write_suite

from workbench import releases, vectors, versions
from workbench.engines import Engine
from workbench.errors import ReleaseError
from workbench.versions import STEPS


def test_all_steps_and_back(engine: Engine, tmp_path: Path) -> None:
    first = first_release(engine)
    fill(engine)
    before = in_use()
    suite = write_suite(tmp_path)
    update = prepared(
        {"primary": "two", "embedding": "other"}, suite=suite, gate="none", reason="It is newer.",
        file=tmp_path,
    )  # fmt: skip
    assert update.version == "v0.2" and update.before == "v0.1"
    assert all(step.state == "waiting" and step.words for step in update.steps)
    done = run(update)
    assert [step.name for step in done.steps] == list(STEPS)
    assert {step.name: step.state for step in done.steps} == {
        "pull": "skipped", "smoke": "done", "suite": "done", "reembed": "done", "switch": "done",
        "validate": "done", "record": "done",
    }  # fmt: skip
    assert done.state == "done" and done.error is None and done.ended_at is not None
    now, used = in_use(), releases.current()
    assert used is not None and now["version"] == used.version == "v0.2"
    assert set(now["vectors"].values()) == {now["embedding"]} != {before["embedding"]}
    assert used.parent == "v0.1" and used.reason == "It is newer."
    shown = used.evidence["suite"]["roles"]
    assert shown[0]["role"] == "primary" and len(shown[0]["runs"]) == 2
    assert shown[1]["questions"] == 32 and used.evidence["reembed"]["notes"]["texts"] == 12
    assert "backup" not in used.evidence["reembed"]["notes"], "no path of this machine"
    moved = releases.switches()[0]
    assert moved.vectors == {name: [1, 2] for name in COLLECTIONS}
    kept = releases.read_file(tmp_path / releases.FILE)
    assert kept.current == "v0.2" and "git tag v0.2" in done.step("record").evidence["commands"]
    restored = vectors.restore(done.step("reembed").evidence["collections"]["notes"]["backup"],
                               "copy")  # fmt: skip
    assert restored.stats().texts == 12 and restored.stats().in_use.number == 1
    vectors.drop("copy")

    vectors.collection("notes", engine=engine).add([("late", "came after the update", {})])
    back = versions.undo(update)
    assert back.state == "undone" and releases.current() == first
    assert in_use() == before
    assert vectors.collection("notes", engine=engine).search("came after", 1)[0].key == "late"
    with pytest.raises(ReleaseError, match="not in use"):
        versions.undo(update)
    again = versions.rollback(to="v0.2", why="it was good")
    assert again.version == "v0.2" and in_use() == now


def test_a_first_release(engine: Engine) -> None:
    done = run(prepared({"primary": "one", "embedding": "embed"}))
    assert done.state == "done" and done.before == ""
    assert done.step("suite").evidence["roles"][0]["verdict"] is None
    used = releases.current()
    assert used is not None and used.version == "v0.1" and used.parent == ""
    with pytest.raises(ReleaseError, match="no release before"):
        versions.undo(done)


def test_a_release_that_is_taken_into_use_by_hand_brings_its_vectors(engine: Engine) -> None:
    first = first_release(engine)
    fill(engine)
    members = releases.describe(engine, {"primary": "one", "embedding": "other"})
    made = releases.make("", members, switch=False)
    assert versions.use(made.version, "by hand", engine=engine).version == made.version
    current = releases.current()
    assert current is not None and current.version == made.version
    digest = current.role("embedding").digest  # type: ignore[union-attr]
    assert sorted(vectors.dependents(digest)) == sorted(COLLECTIONS)
    assert vectors.collection("notes", engine=engine).search("def notes_3(x):", 1)
    plain = releases.make("", releases.describe(engine, {"primary": "two"}), switch=False)
    versions.use(plain.version, engine=engine)  # without an embedding model: vectors stay
    assert sorted(vectors.dependents(digest)) == sorted(COLLECTIONS)
    versions.use(first.version, engine=engine)
    assert releases.switches()[0].why == "It was asked for."


def test_a_text_that_is_replaced_while_it_is_searched_for_undoes_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_release(engine)
    fill(engine)
    search, replaced = vectors.Collection.search, list[str]()

    def beside_a_writer(self: vectors.Collection, query: str, limit: int = 10) -> Any:
        found = search(self, query, limit)
        if self.name not in replaced:
            replaced.append(self.name)
            self.add([(found[0].key, "quite another text", {})])
        return found

    monkeypatch.setattr(vectors.Collection, "search", beside_a_writer)
    assert run(prepared({"embedding": "other"}, gate="none")).state == "done"
    assert set(replaced) == set(COLLECTIONS)
