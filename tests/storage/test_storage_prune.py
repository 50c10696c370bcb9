"""Into the trash, back, and away for good; and what has changed since the plan."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from storage.stored import all_files, dataset, install, manifest_of, shelf, training

from workbench import data, storage
from workbench.data import examples, verify
from workbench.errors import DataError, StorageError
from workbench.library import Library, Trash
from workbench.settings import home, models_folder


def test_all_kinds_go_in_one_step_and_come_back() -> None:
    library = shelf().library
    notes = dataset("notes")
    run = training(notes, "mine")
    (home() / "cache" / "suites").mkdir(parents=True)
    (home() / "cache" / "suites" / "a.npz").write_bytes(b"x" * 50)
    before = all_files()
    plan = storage.plan(names=["*"])
    kinds = {"model", "checkpoints", "weights", "gguf", "dataset", "cache"}
    assert {item.kind for item in plan.items} == kinds
    gone = storage.prune(plan)
    assert {item["kind"] for item in gone.items} == kinds
    assert not list(library.names()) and not notes.folder.exists()
    with pytest.raises(DataError, match="not on this machine"):
        data.find("notes")
    assert "days" not in gone.words and "come back when it is emptied" in gone.words
    back = storage.undo()
    assert (back.id, back.notes) == (gone.id, ()) and all_files() == before
    assert verify(data.find("notes")) == [] and len([*examples(notes)]) == 1
    assert run.folder.is_dir() and storage.trash() == []


def test_the_trash_keeps_what_a_deleted_model_shared() -> None:
    library = shelf().library
    gone = storage.prune(storage.plan(names=["big:latest"]))
    library.delete("big:other")
    storage.undo(gone.id)
    assert manifest_of(library, "big").is_file()
    weights = [path for path in library.blobs.folder.iterdir() if path.stat().st_size == 50_000]
    assert len(weights) == 1


def test_a_model_that_changed_since_the_plan_stays() -> None:
    library = shelf().library
    plan = storage.plan(names=["small", "big:other"])
    install(library, "small", b"another" * 100)
    with pytest.raises(StorageError, match="small:latest was changed or used since the plan"):
        storage.prune(plan)
    assert len(list(library.names())) == 3
    library.delete("small")
    with pytest.raises(StorageError, match="small:latest is not there any more"):
        storage.prune(plan)
    assert storage.trash() == []


def test_a_dataset_that_is_needed_by_now_stays() -> None:
    notes = dataset("notes")
    plan = storage.plan(["dataset"], ["notes"])
    training(notes, "mine")
    with pytest.raises(StorageError, match=r"needed by now|used since"):
        storage.prune(plan)
    assert notes.folder.is_dir()


def test_it_is_brought_back_at_once_when_it_came_into_use_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = shelf().library
    plan = storage.plan(names=["small"])
    take = Trash.take

    def taken(self: Trash, *given: object) -> object:
        from workbench import releases
        from workbench.releases import Member

        digest = plan.items[0].digest
        releases.make("v1", [Member("primary", "small:latest", digest)], reason="just now")
        return take(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Trash, "take", taken)
    with pytest.raises(StorageError, match="came into use just now"):
        storage.prune(plan)
    assert len(list(library.names())) == 3 and storage.trash() == []


def test_it_goes_by_itself_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf()
    first = storage.prune(storage.plan(names=["small"]))
    assert first.expires_at is not None
    assert timedelta(29) < first.expires_at - datetime.now(UTC) < timedelta(31)
    note = models_folder() / "trash" / f"{first.id}.json"
    record = json.loads(note.read_text())
    record["at"] = (datetime.now(UTC) - timedelta(20)).isoformat()
    note.write_text(json.dumps(record))
    assert [one.id for one in storage.trash()] == [first.id]
    assert storage.empty(older_than=25) == []
    monkeypatch.setenv("WORKBENCH_TRASH_DAYS", "0")
    assert storage.trash()[0].expires_at is None
    monkeypatch.setenv("WORKBENCH_TRASH_DAYS", "15")
    assert storage.trash() == []
    assert not any(path.stat().st_size > 7000 for path in note.parent.rglob("*") if path.is_file())
    weights = [path.stat().st_size for path in (models_folder() / "blobs").iterdir()]
    assert 7000 not in weights and 50_000 in weights


def test_several_times_into_the_trash() -> None:
    shelf()
    first = storage.prune(storage.plan(names=["small"]))
    second = storage.prune(storage.plan(names=["big*"]))
    assert [one.id for one in storage.trash()] == sorted([first.id, second.id], reverse=True)
    with pytest.raises(StorageError, match="nothing in the trash"):
        storage.undo("20010101")
    with pytest.raises(StorageError, match="Say what is to be deleted"):
        storage.empty()
    storage.undo(first.id)
    assert {one.id for one in storage.empty(older_than=0)} == {second.id}
    assert [item.name for item in storage.survey().of("model")] == ["small:latest"]
    assert storage.survey().of("trash") == []


def test_a_full_name_is_not_brought_back_over_a_new_model() -> None:
    library = shelf().library
    gone = storage.prune(storage.plan(names=["small", "big:other"]))
    install(library, "small", b"new" * 100)
    with pytest.raises(StorageError, match="is there again"):
        storage.undo(gone.id)
    assert {name.display() for name, _ in library.names()} == {"big:latest", "small:latest"}
    library.delete("small")
    storage.undo(gone.id)
    assert len(list(Library(library.root).names())) == 3


def test_a_damaged_model_is_said_when_it_comes_back() -> None:
    library = shelf().library
    gone = storage.prune(storage.plan(names=["small"]))
    for path in library.blobs.folder.iterdir():
        if path.stat().st_size == 7_000:
            path.write_bytes(b"s" * 6_000)
    assert "small:latest came back damaged" in storage.undo(gone.id).notes[0]
