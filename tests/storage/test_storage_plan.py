"""Plans: what would go, what stays and why, and the bytes to the last one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from storage.stored import aged, dataset, manifest_of, shelf, training

from workbench import releases, storage
from workbench.errors import StorageError
from workbench.library import note_load
from workbench.releases import Member
from workbench.settings import home, models_folder
from workbench.storage import Plan
from workbench.store import StoredAlias, session


def names(plan: Plan) -> set[str]:
    return {item.name for item in plan.items}


def reasons(plan: Plan) -> dict[str, str]:
    return {item.name: why for item, why in plan.kept}


def taken() -> int:
    """Bytes of blobs and manifests, in the trash or not."""
    files = [*models_folder().rglob("sha256-*"), *models_folder().glob("**/manifests/*/*/*/*")]
    return sum(path.stat().st_size for path in files)


@pytest.mark.parametrize(
    "chosen",
    [["small"], ["big"], ["big:latest", "big:other"], ["big*", "small"], ["big:*"], ["*"]],
)
def test_the_bytes_are_those_that_come_back(chosen: list[str]) -> None:
    shelf()
    before = taken()
    plan = storage.plan(["model"], chosen)
    assert taken() == before
    gone = storage.prune(plan)
    assert taken() == before and gone.bytes == plan.bytes > 0
    assert storage.trash()[0].bytes == plan.bytes
    storage.empty(gone.id)
    assert before - taken() == plan.bytes


def test_files_of_the_home_come_back_to_the_byte_as_well() -> None:
    shelf()
    run = training(dataset("notes"), "mine")
    plan = storage.plan(["checkpoints", "gguf"], [run.id, f"mine@{run.id}"])
    assert {item.kind for item in plan.items} == {"checkpoints", "gguf"} and plan.bytes == 6000
    gone = storage.prune(plan)
    assert not (run.folder / "gguf").exists() and (run.folder / "model").exists()
    assert [one.bytes for one in storage.empty(gone.id)] == [6000]
    assert not any((home() / "trash").iterdir())


def test_only_what_was_not_used_for_long() -> None:
    library = shelf().library
    aged(manifest_of(library, "big:other"), 10)
    plan = storage.plan(["model"])
    assert names(plan) == {"big:latest", "small:latest"}
    assert reasons(plan) == {"big:other": "used within 30 days (installed)"}
    assert names(storage.plan(["model"], unused_days=5)) == {
        "big:latest", "big:other", "small:latest",
    }  # fmt: skip
    small = next(item for item in plan.items if item.name == "small:latest")
    note_load(library.root, small.digest)
    assert names(storage.plan(["model"])) == {"big:latest"}
    assert names(storage.plan(["model"], ["small"])) == {"small:latest"}
    assert names(storage.plan(["model"], ["small"], unused_days=1)) == set()


def test_what_is_to_be_kept_stays() -> None:
    shelf()
    plan = storage.plan(["model"], keep=["big"])
    assert names(plan) == {"small:latest"}
    assert reasons(plan) == dict.fromkeys(("big:latest", "big:other"), "to be kept: big")
    storage.protect("Qwen*", "all of the family")
    storage.protect("big:other")
    plan = storage.plan(["model"], ["*"])
    assert names(plan) == {"big:latest"}
    assert reasons(plan) == {
        "small:latest": "protected as qwen*: all of the family",
        "big:other": "protected as big:other",
    }
    assert [one.pattern for one in storage.protections()] == ["big:other", "qwen*"]
    storage.protect("qwen*", "another reason")
    assert [one.why for one in storage.protections()] == ["", "another reason"]
    storage.unprotect("QWEN*")
    assert names(storage.plan(["model"], ["*"])) == {"big:latest", "small:latest"}
    with pytest.raises(StorageError, match="is not protected"):
        storage.unprotect("qwen*")
    for wrong in ("", "  ", "x" * 300, "a\0b"):
        with pytest.raises(StorageError, match="at most 256 characters"):
            storage.protect(wrong)


def test_what_others_need_goes_only_by_name() -> None:
    shelf()
    digest = {item.name: item.digest for item in storage.survey().of("model")}
    notes = dataset("notes")
    run = training(notes, "tuned", base="small", base_digest=digest["small:latest"])
    with session() as opened:
        opened.add(
            StoredAlias(
                alias="candidate", model="big:other", digest=digest["big:other"],
                at=datetime.now(UTC),
            )
        )  # fmt: skip
    why = reasons(storage.plan(unused_days=0))
    assert why["small:latest"] == f"needed by training {run.id} (tuned)"
    assert why["big:other"] == "needed by alias candidate"
    assert why[notes.label].startswith("needed by training")
    assert names(storage.plan(["model"], ["small"])) == {"small:latest"}
    assert names(storage.plan(["model"], unused_days=0, needed=True)) == set(digest)


def test_the_release_in_use_is_protected_and_older_ones_are_told() -> None:
    shelf()
    digest = {item.name: item.digest for item in storage.survey().of("model")}
    for version, name in (("v0.1", "small:latest"), ("v0.2", "big:latest")):
        releases.make(version, [Member("primary", name, digest[name])], reason="a test")
    plan = storage.plan(["model"], unused_days=0)
    assert names(plan) == {"big:other"}
    assert reasons(plan) == {
        "big:latest": "the release v0.2 in use (primary)",
        "small:latest": "needed by release v0.1 (primary)",
    }
    plan = storage.plan(["model"], ["*"])
    assert names(plan) == {"big:other", "small:latest"}
    releases.switch("v0.1", "back")
    with pytest.raises(StorageError, match=r"small:latest is kept by now \(the release v0.1"):
        storage.prune(plan)
    assert len(storage.survey().of("model")) == 3


def test_words_for_what_there_is_not() -> None:
    shelf()
    with pytest.raises(StorageError, match="Did you mean small"):
        storage.plan(names=["smal"])
    with pytest.raises(StorageError, match="Did you mean model"):
        storage.plan(["modle"])
    with pytest.raises(StorageError, match="no kind of thing that can go"):
        storage.plan(["store"])
    with pytest.raises(StorageError, match="0 or more"):
        storage.plan(unused_days=float("nan"))
    with pytest.raises(StorageError, match="nothing in this plan"):
        storage.prune(storage.plan(["collection"]))


def test_an_empty_home_has_nothing(tmp_path: Path) -> None:
    survey = storage.survey()
    assert {item.kind for item in survey.items} == {"store"}
    assert storage.plan().items == () and "Nothing would go" in storage.plan().words
    assert storage.trash() == []
    with pytest.raises(StorageError, match="The trash is empty"):
        storage.undo()


def test_what_a_training_learnt_stays_somewhere() -> None:
    shelf()
    notes = dataset("notes")
    small = next(item for item in storage.survey().of("model") if item.name == "small:latest")
    deployed = training(notes, "small", noted={"digest": small.digest})
    alone = training(notes, "alone")
    kinds = ["model", "weights", "gguf"]
    plan = storage.plan(["weights", "gguf"], unused_days=0)
    assert {(item.kind, item.digest) for item in plan.items} == {
        ("weights", deployed.id), ("gguf", deployed.id), ("gguf", alone.id),
    }  # fmt: skip
    assert reasons(plan) == {f"alone@{alone.id}": "nothing else would be left of what it learnt"}
    plan = storage.plan(kinds, unused_days=0)
    assert "small:latest" in names(plan)
    assert {item.digest for item in plan.items if item.kind == "weights"} == set()
    assert len(storage.plan(kinds, unused_days=0, needed=True).items) == 7
    assert len(storage.plan(kinds, [f"alone@{alone.id}"]).items) == 2


def test_what_was_made_here_goes_only_when_asked_for() -> None:
    notes = dataset("notes")
    why = reasons(storage.plan(unused_days=0))
    assert why[notes.label] == "it was made here: name it, or ask for the kind dataset"
    assert names(storage.plan(["dataset"], unused_days=0)) == {notes.label}
    assert names(storage.plan(names=["notes"])) == {notes.label}


def test_what_lies_elsewhere_stays(tmp_path: Path) -> None:
    run = training(dataset("notes"), "mine")
    (run.folder / "gguf").rename(tmp_path / "gguf")
    (run.folder / "gguf").symlink_to(tmp_path / "gguf")
    plan = storage.plan(names=["mine"])
    assert {item.kind for item in plan.items} == {"checkpoints", "weights"}
    assert [why for _, why in plan.kept] == ["it lies elsewhere, behind a link"]
    assert storage.prune(plan).bytes == 7000
