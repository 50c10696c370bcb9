"""With a real engine: what it has loaded stays, what it starts with is whole, what it deletes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from library.library_tools import serving
from library.registry_server import RegistryServer
from live import own_engine
from storage.stored import manifest_of

from workbench import storage
from workbench.engines import Engine, connect, start_engine, stop_engine
from workbench.errors import ModelNotFound, StorageError
from workbench.library import Library
from workbench.settings import models_folder
from workbench.storage import Item


@pytest.fixture
def here(tiny_gguf: Path) -> Iterator[Engine]:
    """This home's engine with `tiny` and `tiny:copy`."""
    with connect(start_engine()) as engine:
        for _ in engine.create("tiny", files={"tiny.gguf": tiny_gguf}):
            pass
        engine.copy("tiny", "tiny:copy")
        yield engine
        stop_engine()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The engine of another home, whose files are not ours."""
    with own_engine(tmp_path_factory.mktemp("other-home")) as url:
        yield url


def found(engine: Engine, name: str, kind: str = "model") -> Item:
    return next(item for item in storage.survey(engine).of(kind) if item.name == name)


def test_what_the_engine_has_loaded_stays_until_it_is_unloaded(here: Engine) -> None:
    plan = storage.plan(["model"], ["tiny:latest"], engine=here)
    assert [item.name for item in plan.items] == ["tiny:latest"]
    here.generate("tiny", "Hello", options={"num_predict": 2})
    tiny = found(here, "tiny:latest")
    assert tiny.protected_by == "the engine has loaded it"
    assert tiny.last_used_why == "used by the engine"
    with pytest.raises(StorageError, match="the engine has loaded it"):
        storage.prune(plan, engine=here)
    here.generate("tiny", "", keep_alive=0)
    until = time.monotonic() + 60
    while here.running() and time.monotonic() < until:
        time.sleep(0.02)
    gone = storage.prune(storage.plan(["model"], ["tiny"], engine=here))
    assert [model.name for model in here.models()] == ["tiny:copy"]
    assert [item["name"] for item in gone.items] == ["tiny:latest"]
    with pytest.raises(ModelNotFound):
        here.generate("tiny", "Hello")
    storage.undo(gone.id)
    assert here.generate("tiny", "Hello", options={"num_predict": 2}).metrics.eval_count
    assert {model.name for model in here.models()} == {"tiny:latest", "tiny:copy"}


def test_a_loaded_model_is_not_deleted_from_the_trash(here: Engine) -> None:
    gone = storage.prune(storage.plan(["model"], ["tiny:latest"]), engine=here)
    here.generate("tiny:copy", "Hello", options={"num_predict": 2})  # which has the same digest
    with pytest.raises(StorageError, match="loaded"):
        storage.empty(gone.id)
    assert storage.empty(older_than=0) == [] and storage.trash()


def test_an_engine_that_starts_finishes_what_a_kill_left(here: Engine) -> None:
    gone = storage.prune(storage.plan(["model"], ["tiny:latest"]), engine=here)
    stop_engine()
    path = manifest_of(Library(models_folder()), "tiny")
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = models_folder() / "trash" / gone.id / path.relative_to(models_folder())
    kept.rename(path)  # as it was between the decision and the move
    with connect(start_engine()) as again:
        assert [model.name for model in again.models()] == ["tiny:copy"]
    assert kept.is_file() and not path.exists()


def test_models_of_another_engine_are_deleted_there_and_pulled_again(
    elsewhere: str, tiny_gguf: Path
) -> None:
    registry = RegistryServer()
    registry.add("lib/tiny:latest", tiny_gguf.read_bytes(), system="the first")
    registry.add("lib/tiny:other", tiny_gguf.read_bytes(), system="another")
    with serving(registry.app) as url, connect(elsewhere) as engine:
        name = f"{url.removeprefix('http://')}/lib/tiny"
        for tag in ("latest", "other"):
            for _ in engine.pull(f"{name}:{tag}"):
                pass
        survey = storage.survey(engine)
        remote = survey.of("remote")
        assert {item.name for item in remote} == {f"{name}:latest", f"{name}:other"}
        size = tiny_gguf.stat().st_size
        assert [(item.bytes, item.shared > size) for item in remote] == [(0, True)] * 2
        assert survey.of("model") == [] and survey.total < size
        plan = storage.plan(["remote"], ["*"], engine=engine, found=survey)
        assert plan.final and plan.bytes > size and "deleted at once" in plan.words
        one = storage.plan(["remote"], [f"{name}:latest"], engine=engine)
        assert one.bytes == 0
        with pytest.raises(StorageError, match="no trash"):
            storage.prune(plan, engine=engine)
        assert len(engine.models()) == 2
        gone = storage.prune(plan, engine=engine, sure=True)
        assert engine.models() == [] and len(gone.deleted) == 2 and gone.items == ()
        assert "pull the models again" in gone.words
        registry.add("lib/tiny:other", tiny_gguf.read_bytes(), system="changed since")
        with pytest.raises(StorageError, match="not in use"):
            storage.undo(gone.id)
        back = storage.undo(gone.id, engine=engine)
        assert len(back.notes) == 1 and f"{name}:other is another model now" in back.notes[0]
        assert len(engine.models()) == 2 and storage.trash() == []


def test_an_engine_that_cannot_be_asked_is_told(here: Engine) -> None:
    stop_engine()
    survey = storage.survey(here)
    assert "cannot be asked" in survey.problems[0]
    assert {item.name for item in survey.of("model")} == {"tiny:latest", "tiny:copy"}
    assert storage.survey().engine == ""
