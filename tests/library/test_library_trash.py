"""Models in the trash: they are away and come back whole, whatever is killed at which step."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from test_library import blobs, install

from workbench.errors import EngineError, ModelNotFound, StorageError
from workbench.library import Library, last_load, note_load
from workbench.protocol import digest_of


def place(name: str, tag: str = "latest") -> str:
    return f"manifests/registry.ollama.ai/library/{name}/{tag}"


def filled(library: Library, gguf: Path) -> set[str]:
    """Two models that share their weights; the digests of the first."""
    manifest = install(library, "one", gguf, system="first")
    install(library, "two:x", gguf, system="second")
    return {layer.digest for layer in manifest.all}


def test_a_model_goes_and_comes_back(library: Library, tiny_gguf: Path) -> None:
    digests = filled(library, tiny_gguf)
    before = library.find("one")
    trash = library.trash()
    note = trash.take([("models", place("one"))], {"items": ["one"]}, digests)
    with pytest.raises(ModelNotFound):
        library.find("one")
    library.delete("two:x")
    assert digests <= blobs(library) and digests <= library.trashed()
    assert [one.about for one in Library(library.root).trash().notes()] == [{"items": ["one"]}]
    trash.undo(note.id)
    assert library.find("one") == before
    assert trash.notes() == [] and not any((library.root / "trash").iterdir())


def test_its_bytes_go_when_the_trash_is_emptied(library: Library, tiny_gguf: Path) -> None:
    digests = filled(library, tiny_gguf)
    trash = library.trash()
    first = trash.take([("models", place("one"))], {}, digests)
    second = library.find("two:x")
    trash.empty(first.id)
    assert library.find("two:x") == second
    shared = {layer.digest for layer in second.manifest.all}
    assert digests & blobs(library) == digests & shared != digests
    trash.empty(trash.take([("models", place("two", "x"))], {}, shared).id)
    assert not any(name.startswith("sha256:") for name in blobs(library))


def test_what_came_into_its_place_is_not_written_over(library: Library, tiny_gguf: Path) -> None:
    digests = filled(library, tiny_gguf)
    trash = library.trash()
    note = trash.take([("models", place("one"))], {}, digests)
    install(library, "ONE", tiny_gguf, system="a new one")
    with pytest.raises(StorageError, match="is there again"):
        trash.undo(note.id)
    assert library.find("one").system == "a new one" and trash.find(note.id)
    Library(library.root)
    assert library.find("one").system == "a new one"
    library.delete("one")
    trash.undo(note.id)
    assert library.find("one").system == "first"


def test_what_came_while_an_undo_was_broken_off_stays(library: Library, tiny_gguf: Path) -> None:
    digests = filled(library, tiny_gguf)
    trash = library.trash()
    places = [("models", place("one")), ("models", place("two", "x"))]
    note = trash.take(places, {}, digests)  # type: ignore[arg-type]
    note.path.rename(note.path.with_suffix(".undo"))  # killed right after it was decided
    (library.root / place("one")).parent.mkdir(parents=True)
    (library.root / place("one")).write_text("somebody's")
    again = Library(library.root)
    assert again.find("two:x").system == "second"
    assert (library.root / place("one")).read_text() == "somebody's"
    (library.root / place("one")).unlink()
    again.trash().undo(note.id)
    assert again.find("one").system == "first" and again.trash().notes() == []


def test_what_was_made_again_stays_where_the_old_one_is_spare(
    library: Library, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    for place, text in (("cache/a/file", "old"), ("own", "mine")):
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        (home / place).write_text(text)
    trash = library.trash(home)
    note = trash.take([("home", "cache/a"), ("home", "own")], {}, spare={"cache/a"})
    (home / "cache" / "a").mkdir()
    (home / "cache" / "a" / "file").write_text("new")
    trash.undo(note.id)
    assert (home / "cache" / "a" / "file").read_text() == "new"
    assert (home / "own").read_text() == "mine" and not any((home / "trash").iterdir())


def test_a_file_that_is_another_by_then_is_not_taken(library: Library, tiny_gguf: Path) -> None:
    digests = filled(library, tiny_gguf)
    trash = library.trash()
    note = trash.take([("models", place("one"))], {}, digests)
    (library.root / "trash" / note.id / place("one")).unlink()
    install(library, "one", tiny_gguf, system="a new one")
    Library(library.root)
    assert library.find("one").system == "a new one"


def test_nothing_is_taken_where_one_thing_cannot_be(
    library: Library, tiny_gguf: Path, tmp_path: Path
) -> None:
    digests, home = filled(library, tiny_gguf), tmp_path / "home"
    (home / "datasets").mkdir(parents=True)
    (home / "datasets" / "a").write_text("a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b").write_text("b")
    (home / "link").symlink_to(tmp_path / "elsewhere")
    trash = library.trash(home)
    for wrong in ("datasets/none", "link/b", "link", "../home/datasets/a", "/etc/hostname",
                  "trash/x", "", "a\0b"):  # fmt: skip
        with pytest.raises(StorageError):
            places = [("models", place("one")), ("home", "datasets/a"), ("home", wrong)]
            trash.take(places, {}, digests)  # type: ignore[arg-type]
        assert library.find("one") and (home / "datasets" / "a").exists()
    with pytest.raises(StorageError, match="no file of the workbench"):
        library.trash().take([("home", "datasets/a")], {}, ())
    assert (tmp_path / "elsewhere" / "b").exists() and trash.notes() == []


def test_a_refused_move_undoes_the_others(library: Library, tmp_path: Path) -> None:
    home = tmp_path / "home"
    deep = home / "b"
    while len(str(deep)) < 4080 - 100:  # in the trash its path would be longer than there can be
        deep /= "d" * 90
    deep /= "f" * (4080 - len(str(deep)))
    for path in (home / "a" / "file", deep):
        path.parent.mkdir(parents=True)
        path.write_text("mine")
    trash = library.trash(home)
    with pytest.raises(StorageError, match="nothing was taken"):
        trash.take([("home", "a/file"), ("home", deep.relative_to(home).as_posix())], {}, ())
    assert (home / "a" / "file").read_text() == deep.read_text() == "mine"
    assert trash.notes() == [] and not any((home / "trash").iterdir())


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"moves": 3}', '{"version":1,"at":"x","moves":[],"blobs":[],"about":{}}'],
)
def test_a_damaged_note_is_left_alone(library: Library, text: str) -> None:
    (library.root / "trash").mkdir()
    note = library.root / "trash" / "20300101-000000-abcdef.undo"
    note.write_text(text)
    assert Library(library.root).trash().notes() == [] and note.read_text() == text


@pytest.mark.parametrize("wrong", ["../../victim", "/victim", "trash/../../victim", "a\\b"])
@pytest.mark.parametrize("state", ["json", "undo", "gone"])
def test_a_hostile_note_moves_nothing(
    library: Library, tmp_path: Path, wrong: str, state: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    mark = [victim.stat().st_ino, victim.stat().st_mtime_ns]
    record = {"version": 1, "at": "2030-01-01T00:00:00+00:00", "home": "", "about": {},
              "moves": [["models", wrong, False, *mark]], "blobs": []}  # fmt: skip
    (library.root / "trash").mkdir()
    (library.root / "trash" / f"20300101-000000-abcdef.{state}").write_text(json.dumps(record))
    Library(library.root)
    assert victim.read_text() == "mine"


def test_another_homes_files_wait_for_that_home(library: Library, tmp_path: Path) -> None:
    homes = [tmp_path / "first", tmp_path / "second"]
    for home in homes:
        (home / "datasets").mkdir(parents=True)
    (homes[0] / "datasets" / "a").write_text("a")
    (library.blobs.folder / "tmp-left").write_text("x")
    places: Any = [("home", "datasets/a"), ("models", "blobs/tmp-left")]
    note = library.trash(homes[0]).take(places, {}, ())
    with pytest.raises(StorageError, match="first"):
        library.trash(homes[1]).empty(note.id)
    library.trash(homes[0]).undo(note.id)
    assert (homes[0] / "datasets" / "a").read_text() == "a"
    assert (library.blobs.folder / "tmp-left").exists()


def test_the_trash_and_writers_at_once_leave_whole_models(
    library: Library, tiny_gguf: Path
) -> None:
    errors: list[BaseException] = []

    def throw(number: int) -> None:
        own = Library(library.root)
        trash = own.trash()
        try:
            for turn in range(8):
                note = trash.take([("models", place(f"m{number}"))], {}, digests[number])
                (trash.empty if turn % 4 == 3 else trash.undo)(note.id)
                while turn % 4 == 3:
                    with suppress(EngineError), own.hold([digest_of(tiny_gguf)]):
                        install(own, f"m{number}", tiny_gguf, system=f"text {number}")
                        break  # or else another one has just removed the config
        except BaseException as error:
            errors.append(error)

    def write(number: int) -> None:
        own = Library(library.root)
        try:
            for turn in range(8):
                with own.hold([digest_of(tiny_gguf)]):
                    install(own, f"w{number}", tiny_gguf, system=f"{number} {turn}")
                own.copy(f"w{number}", f"copy{number}")
                own.delete(f"w{number}")
        except EngineError as error:
            if "missing or cut" not in str(error):  # the config, which another one just removed
                errors.append(error)
        except BaseException as error:
            errors.append(error)

    digests = [
        [layer.digest for layer in install(library, f"m{n}", tiny_gguf, system=f"text {n}").all]
        for n in range(3)
    ]
    threads = [
        threading.Thread(target=work, args=(n,)) for n in range(3) for work in (throw, write)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    models = Library(library.root).installed()
    assert {f"m{n}" for n in range(3)} <= {model.name.model for model in models}
    assert all(model.model_path.read_bytes() == tiny_gguf.read_bytes() for model in models)


HOLDER = """
import sys
from pathlib import Path
from workbench.library import Library
with Library(Path(sys.argv[1])).hold(sys.argv[2:]):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_what_another_process_works_with_stays_until_it_ends(
    library: Library, tiny_gguf: Path
) -> None:
    manifest = install(library, "m", tiny_gguf)
    weights = manifest.layers[0].digest
    command = [sys.executable, "-c", HOLDER, str(library.root), weights]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        library.delete("m")
        assert library.held() == {weights} and weights in blobs(library)
        process.send_signal(signal.SIGKILL)
    assert library.held() == set() and not any((library.root / ".held").iterdir())


def test_the_last_load_is_noted(library: Library, tiny_gguf: Path) -> None:
    install(library, "m", tiny_gguf)
    model = library.find("m")
    assert last_load(library.root, model.digest) is None
    note_load(library.root, model.digest)
    at = time.time() - 3600
    os.utime(library.root / "loads" / model.digest, (at, at))
    noted = last_load(library.root, model.digest)
    assert noted is not None and 3500 < time.time() - noted.timestamp() < 3700
    note_load(library.root, "../../escape")
    assert [path.name for path in (library.root / "loads").iterdir()] == [model.digest]
    assert digest_of(tiny_gguf) in blobs(library)
