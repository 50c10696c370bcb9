"""Every byte is read: what is whole is said to be whole, and one turned bit anywhere is found."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from integrity_tools import flip, install, kinds, manifest_of, only

from workbench import settings
from workbench.errors import InvalidRequest, ModelNotFound
from workbench.integrity import Pace, checked_at, look, verify
from workbench.library import Library

Files = dict[str, dict[str, Path]]


def test_a_whole_library(library: Library, files: Files) -> None:
    report = verify(library)
    assert report.ok and report.faults == () and report.thorough
    assert sorted(report.models) == sorted(files)
    blobs = {path for own in files.values() for path in own.values()}
    assert report.files == len(blobs) == 7  # the weights of two models are one file
    assert report.bytes == report.read == sum(path.stat().st_size for path in blobs)
    raw = manifest_of(library, "one").read_bytes()
    assert report.digests["one:latest"] == hashlib.sha256(raw).hexdigest()


def test_no_library_is_none_made(tmp_path: Path) -> None:
    report = verify(tmp_path / "nothing")
    assert report.ok and report.models == () and not (tmp_path / "nothing").exists()
    assert verify().root == settings.models_folder()


@given(st.data())
def test_any_bit_that_turns_is_found(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        library = Library(Path(folder))
        own = install(library, "a", data.draw(st.binary(min_size=1, max_size=200)), system="x")
        install(library, "b", b"others")
        victim = data.draw(st.sampled_from(sorted(own.values())))
        flip(victim, data.draw(st.integers(0, victim.stat().st_size - 1)))
        fault = only(verify(library))
        assert fault.kind == "flipped" and fault.path == victim
        assert fault.affects == ("a:latest",)
        assert fault.digest == victim.name.replace("-", ":")


def test_a_shared_file_breaks_all_that_use_it(library: Library, files: Files) -> None:
    flip(files["one:latest"]["model"], 77)
    report = verify(library)
    fault = only(report)
    assert sorted(fault.affects) == ["one:latest", "two:v2"] and not report.ok
    assert report.of("two:v2") == (fault,) and report.of("three:latest") == ()
    assert "was changed on the disk" in fault.words and "one:latest" in fault.words
    assert look(library).ok, "a look at the sizes cannot see it"


def test_what_was_read_is_not_read_again(library: Library, files: Files) -> None:
    first = verify(library)
    second = verify(library)
    assert (second.read, second.trusted, second.ok) == (0, 7, True)
    flip(files["three:latest"]["model"])
    third = verify(library)
    assert third.read == files["three:latest"]["model"].stat().st_size
    assert kinds(third) == ["flipped"]
    assert kinds(verify(library)) == ["flipped"], "what was wrong is not believed"
    assert verify(library, resume=False).read == first.bytes


def test_a_change_is_seen_though_size_and_time_are_kept(library: Library, files: Files) -> None:
    verify(library)
    victim = files["three:latest"]["model"]
    status = victim.stat()
    flip(victim)
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert kinds(verify(library)) == ["flipped"]


class Enough(Exception):
    """The person has seen enough."""


def test_a_check_that_was_broken_off_goes_on(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.integrity._reading.TICK", 0.0)
    for number in range(6):
        install(library, f"m{number}", bytes([number]) * (1 << 21))

    def stop(pace: Pace) -> None:
        if pace.files >= 2:
            raise Enough

    with pytest.raises(Enough):
        verify(library, progress=stop, workers=1)
    rest = verify(library)
    assert rest.ok and 2 <= rest.trusted < 12
    assert rest.read <= 4 * (1 << 21) + 6 * 100


def test_the_pace_is_told(library: Library, files: Files) -> None:
    told: list[Pace] = []
    report = verify(library, progress=told.append, workers=2)
    assert [pace.done for pace in told] == sorted(pace.done for pace in told)
    last = told[-1]
    assert (last.done, last.total, last.files, last.of) == (report.bytes, report.bytes, 7, 7)
    assert last.fraction == 1 and last.left == 0
    assert Pace(0, 10, 0, 1, 1.0).left is None and Pace(5, 10, 0, 1, 3.0).left == 3.0


def test_some_models_only(library: Library, files: Files) -> None:
    flip(files["three:latest"]["model"])
    (library.blobs.folder / "foreign").write_bytes(b"")
    assert verify(library, names=["one", "TWO:v2"]).ok
    assert kinds(verify(library, names=["three"])) == ["flipped"]
    with pytest.raises(ModelNotFound, match="four"):
        verify(library, names=["four"])
    with pytest.raises(InvalidRequest):
        look(library, names=["../x"])


def test_a_model_that_is_deleted_meanwhile_is_no_fault(library: Library, files: Files) -> None:
    flip(files["three:latest"]["model"])

    def delete(pace: Pace) -> None:
        if "three:latest" in checked_at(library):
            library.delete("three")

    assert verify(library, progress=delete).faults == ()


def test_a_file_that_is_mended_meanwhile_is_no_fault(library: Library, files: Files) -> None:
    victim = files["three:latest"]["model"]
    good = victim.read_bytes()
    flip(victim)

    def mend(pace: Pace) -> None:
        if victim.read_bytes() != good:
            library.blobs.add(good)

    assert verify(library, progress=mend, workers=1).faults == ()


def test_since_when_a_model_is_known_to_be_whole(library: Library, files: Files) -> None:
    assert checked_at(library) == dict.fromkeys(files)
    report = verify(library, names=["one"])
    times = checked_at(library)
    at = times["one:latest"]
    assert at is not None and abs((report.at - at).total_seconds()) < 60
    assert times["two:v2"] is None and times["three:latest"] is None
    flip(files["one:latest"]["system"])
    assert checked_at(library)["one:latest"] is None


def test_a_memory_of_rubbish_is_no_memory(library: Library, files: Files) -> None:
    verify(library)
    memory = settings.home() / "integrity" / "read.jsonl"
    good = memory.read_bytes()
    rubbish = (b"\xff\x00", b"[]", b"[" * 9999, b'{"a": 1}', b'["x", [1, 2], 3]',
               b'[1, "abcde", 2]', b'["x", [1, 2, 3, 4, [5]], 9e999]', good[:-9])  # fmt: skip
    memory.write_bytes(b"\n".join(rubbish))
    again = verify(library)
    assert again.ok and again.trusted < 7
    memory.unlink()
    memory.mkdir()
    assert verify(library).read == again.bytes, "it cannot be kept, and that is no fault"


def test_a_long_memory_is_shortened(library: Library, files: Files) -> None:
    verify(library)
    memory = settings.home() / "integrity" / "read.jsonl"
    good = memory.read_bytes()
    old = b'["sha256:0", [%d, 2, 3, 4, 5], 6]\n'
    memory.write_bytes(b"".join(old % number for number in range(300_000)) + good)
    assert verify(library).trusted == 7
    assert memory.read_bytes() == good
