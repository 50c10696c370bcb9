"""The Storage view's rules without a browser: real files, a real trash."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from live import own_engine
from storage.stored import aged, dataset, install, manifest_of, training

from workbench.engines import Engine
from workbench.library import Library
from workbench.panels._html import render
from workbench.panels.states import EngineState, VersionsState
from workbench.panels.states._versions_storage import StorageState
from workbench.protocol import digest_of
from workbench.settings import home, models_folder

NOBODY = "http://127.0.0.1:9"  # where no engine answers
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def library() -> Library:
    """`old` and `other` share their weights; `new` was used today; a training left files."""
    found = Library(models_folder())
    for name, weights, system in (("old", b"w" * 5000, "a"), ("other", b"w" * 5000, "b"),
                                  ("new", b"n" * 3000, HOSTILE)):  # fmt: skip
        install(found, name, weights, system=system)
    for path in (found.root / "blobs").iterdir():
        aged(path, 90)
    for name in ("old", "other"):
        aged(manifest_of(found, name), 90)
    return found


@pytest.fixture
async def state(library: Library) -> VersionsState:
    made = VersionsState(engine=EngineState(url=NOBODY), view="storage")
    await made.storage.look()
    return made


def drawn(state: VersionsState) -> str:
    return render("versions_storage", state=state)


def storage(state: VersionsState) -> StorageState:
    assert isinstance(state.storage, StorageState)
    return state.storage


async def test_an_empty_home_says_that_nothing_is_there(tmp_path: Path) -> None:
    state = VersionsState(engine=EngineState(url=NOBODY), view="storage")
    assert "Looking at models" in drawn(state)
    await state.storage.look()
    assert not storage(state).problem and "The trash is empty" in drawn(state)
    state.view = "health"
    assert not drawn(state).strip(), "another view"


async def test_what_takes_space_is_shown_by_kind_and_sorted(state: VersionsState) -> None:
    own = storage(state)
    kinds = {one.kind: one for one in own.shares}
    assert kinds["model"].count == 3
    assert 8000 < kinds["model"].bytes < 12_000, "shared weights count once"
    assert abs(sum(one.share for one in own.shares) - 1) < 1e-9
    own.show_kind("model")
    assert {one.name for one in own.items} == {"old:latest", "other:latest", "new:latest"}
    own.sort("used")
    assert own.items[-1].name == "new:latest", "the one of today is the last"
    assert own.largest >= 5000 and "old:latest" in drawn(state)
    own.show_kind("model")
    assert own.kind == "" and len(own.items) > 3
    ast.parse(own.code)


async def test_a_plan_is_a_dry_run_and_what_goes_comes_back(
    state: VersionsState, library: Library
) -> None:
    own = storage(state)
    own.show_kind("model")
    await own.weigh()
    assert {one.name for one in own.plan.items} == {"old:latest", "other:latest"}
    assert "used within 30 days" in drawn(state) and manifest_of(library, "old").exists()
    await own.weigh("days", "many")
    assert own.wrong_days and "Write days" in drawn(state)
    await own.weigh("days", "30")
    await own.prune()
    assert not manifest_of(library, "old").exists() and own.undoable == own.trash[0].id
    assert "in the trash" in own.done and "Undo" in drawn(state)
    await own.undo(own.undoable)
    assert manifest_of(library, "old").exists() and not own.trash
    assert own.done.startswith("Brought back: ") and "old:latest" in own.done


async def test_only_what_is_picked_goes_and_is_deleted_by_a_second_click(
    state: VersionsState, library: Library
) -> None:
    own = storage(state)
    run = training(dataset(), "mine")
    training(dataset(words="another"), "mine")
    await own.survey()
    of_run = {one.kind: one for one in own.found.items if one.digest == run.id}
    assert {"checkpoints", "weights", "gguf"} <= set(of_run)
    own.pick("model new:latest")
    own.pick(f"checkpoints {of_run['checkpoints'].name}")
    await own.weigh()
    went = {(one.kind, one.name) for one in own.plan.items}
    assert went == {("model", "new:latest"), ("checkpoints", of_run["checkpoints"].name)}
    assert not own.plan.kept
    own.pick("model new:latest")
    assert own.plan is None, "it was of other things"
    own.pick("model new:latest")
    await own.weigh()
    await own.prune()
    assert not own.picked and len(own.trash[0].items) == 2
    blob = library.blob(digest_of(b"n" * 3000))
    assert blob.exists()
    await own.empty(own.trash[0].id)
    assert blob.exists(), "nobody asked first"
    own.wish(own.trash[0].id)
    assert "Delete for good?" in drawn(state)
    await own.empty(own.trash[0].id)
    assert not blob.exists() and not own.trash and "bytes came back" in own.done
    await own.undo("nothing")
    assert own.problem and own.problem in drawn(state).replace("&#39;", "'")


async def test_everything_in_the_trash_goes_by_a_second_click(state: VersionsState) -> None:
    own = storage(state)
    for name in ("old", "new"):
        own.pick(f"model {name}:latest")
        await own.weigh()
        await own.prune()
    assert len(own.trash) == 2 and "Empty all" in drawn(state)
    await own.empty()
    assert len(own.trash) == 2
    own.wish("everything")
    await own.empty()
    assert not own.trash


async def test_what_is_protected_never_goes(state: VersionsState) -> None:
    own = storage(state)
    own.put("pattern", "ol*")
    assert [one.name for one in own.meant(own.pattern)] == ["old:latest"]
    assert "Keeps 1 thing: old:latest" in drawn(state)
    await own.protect("why", "my own")
    assert [one.pattern for one in own.protections] == ["ol*"] and own.pattern == ""
    own.pick("model old:latest")
    await own.weigh()
    assert not own.plan.items and "protected as ol*: my own" in drawn(state)
    await own.unprotect("ol*")
    assert not own.protections and "may go now" in drawn(state)
    await own.guard_again()
    assert own.protections[0].why == "my own" and own.unguarded is None
    await own.protect("pattern", "  ")
    assert "name or a pattern" in own.wrong_pattern


async def test_an_engine_of_its_own_deletes_by_a_second_click(
    library: Library, tmp_path: Path, tiny_gguf: Path
) -> None:
    with own_engine(tmp_path / "elsewhere") as url, Engine(url, kind="embedded") as engine:
        for _step in engine.create("far", files={"tiny.gguf": tiny_gguf}):
            pass
        state = VersionsState(engine=EngineState(url=url), view="storage")
        await state.engine.refresh(start=False)
        await state.storage.look()
        own = storage(state)
        own.pick("remote far:latest")
        await own.weigh()
        assert own.plan.final and "Delete from that engine" in drawn(state)
        await own.prune()
        assert own.sure == "prune" and "can only be pulled again" in drawn(state)
        assert [one.name for one in engine.models()] == ["far:latest"], "nobody was sure"
        await own.prune("prune")
        assert not own.problem and not engine.models() and not state.engine.models
        assert own.trash[0].deleted[0]["name"] == "far:latest"
        assert "it can be pulled again" in drawn(state) and "Forget" in drawn(state)
        await state.engine.drop()


async def test_what_things_say_is_no_markup(state: VersionsState) -> None:
    own = storage(state)
    folder = home() / "collections" / "<img src=x onerror=alert(1)>"
    folder.mkdir(parents=True)
    (folder / "one").write_bytes(b"x" * 9000)
    await own.protect("pattern", HOSTILE)
    await own.survey()
    own.pick("collection <img src=x onerror=alert(1)>")
    await own.weigh()
    text = drawn(state)
    assert "<img" not in text and "<script" not in text and "&lt;img" in text
