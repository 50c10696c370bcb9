"""Collections: what is kept, and what becomes of it when a job is killed, cancelled, doubled."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from workbench import gather as room
from workbench import jobs
from workbench.errors import GatherError
from workbench.gather import (
    Document,
    collection,
    collections,
    documents,
    find_collection,
    gather,
    problems,
    remove_collection,
    remove_source,
    skipped,
    submit_gather,
)
from workbench.gather._keep import key_of, row_of
from workbench.jobs import JobCancelled, JobContext, Report

PATIENCE = 90


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three texts and a binary."""
    root = tmp_path / "texts"
    (root / "sub").mkdir(parents=True)
    for name in ("b.txt", "a.txt", "sub/c.txt"):
        (root / name).write_text(f"Text of {name}.\n")
    (root / "x.bin").write_bytes(b"\0\1\2")
    return root


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A file of so many rows that a job of it can be met in the middle."""
    root = tmp_path / "rows"
    root.mkdir()
    with (root / "rows.jsonl").open("w") as file:
        for number in range(30_000):
            file.write(json.dumps({"text": f"row {number}"}) + "\n")
    return root


@pytest.fixture
def worker() -> Iterator[Callable[[str], int]]:
    """The process of a running job; the supervisor and its job are ended after the test."""
    from workbench.jobs import _queue
    from workbench.store import StoredJob, session

    def process(job: str) -> int:
        with session(read_only=True) as opened:
            row = opened.query(StoredJob).filter_by(id=job).one()
            found = _queue.process_of(row)
        assert found is not None
        return found.pid

    yield process
    for pid in [jobs.supervisor_pid()]:
        if pid is not None:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)


def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def new_file(name: str, address: Path) -> Path:
    return collection(name).folder / key_of("files", str(address)) / "new" / "documents.jsonl"


def test_what_is_gathered_is_kept(folder: Path) -> None:
    found = gather("docs", "files", str(folder), exclude=["sub/*"])
    assert (found.documents, found.skipped, found.source) == (2, 1, "files")
    assert found.options == {"exclude": ["sub/*"]}
    assert found.characters == len("Text of a.txt.\n") * 2
    assert [one.text for one in documents("docs")] == ["Text of a.txt.\n", "Text of b.txt.\n"]
    assert [one.reason for one in skipped("docs")] == ["x.bin is no text (binary)."]
    assert [one.name for one in collections()] == ["docs"]
    assert find_collection("docs").documents == 2


def test_gathered_again_it_replaces_what_was(folder: Path) -> None:
    first = gather("docs", "files", str(folder))
    same = gather("docs", "files", str(folder))
    assert same.digest == first.digest and same.at > first.at
    (folder / "b.txt").unlink()
    later = gather("docs", "files", str(folder))
    assert later.digest != first.digest and find_collection("docs").documents == 2
    assert len(list((find_collection("docs").folder / later.key).glob("*.jsonl"))) == 2


def test_two_sources_in_one_collection(folder: Path) -> None:
    gather("docs", "files", str(folder / "sub"))
    gather("docs", "files", str(folder / "a.txt"))
    assert find_collection("docs").documents == 2
    remove_source("docs", find_collection("docs").sources[0].key)
    assert [one.text for one in documents("docs")] != []
    with pytest.raises(GatherError, match="has no source"):
        remove_source("docs", "files-0")
    remove_collection("docs")
    with pytest.raises(GatherError, match="no collection 'docs'"):
        find_collection("docs")


@pytest.mark.parametrize("name", ["", "A", "../up", ".hidden", "a/b", "x" * 65, "a\n"])
def test_names_that_are_none(name: str, folder: Path) -> None:
    with pytest.raises(GatherError, match="cannot name a collection"):
        gather(name, "files", str(folder))


def test_what_makes_no_sense_is_refused_before_the_job(folder: Path) -> None:
    with pytest.raises(GatherError, match="Did you mean files"):
        submit_gather("docs", "file", str(folder))
    for address in ("", "  ", "a\0b"):
        with pytest.raises(GatherError, match="a path or an address"):
            submit_gather("docs", "git", address)
    with pytest.raises(GatherError, match="holds a name or a password"):
        submit_gather("docs", "web", "https://me:secret@example.org/")
    with pytest.raises(GatherError, match="is no address"):
        submit_gather("docs", "web", "http://[broken/")
    with pytest.raises(GatherError, match="no file or folder"):
        gather("docs", "files", "x" * 5000)
    assert jobs.jobs() == []


def test_a_source_that_fails_keeps_what_was_there(folder: Path) -> None:
    first = gather("docs", "files", str(folder))
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(GatherError, match="holds no files"):
        gather("docs", "files", str(folder))
    assert find_collection("docs").sources == (first,)
    assert len(list(documents("docs"))) == 3


def cancel_after(count: int) -> tuple[JobContext, list[Report]]:
    """A context whose job is cancelled once so many documents are there."""
    stop, seen = threading.Event(), []

    def report(one: Report) -> None:
        seen.append(one)
        if one.metrics.get("documents", 0) >= count:
            stop.set()

    return JobContext("x", Path(), report=report, stop=stop), seen


def test_cancelled_it_goes_on_where_it_was(folder: Path) -> None:
    whole = gather("other", "files", str(folder))
    with pytest.raises(JobCancelled):
        gather("docs", "files", str(folder), context=cancel_after(1)[0])
    assert collection("docs").sources == ()
    kept = new_file("docs", folder).read_text()
    assert 1 <= kept.count("\n") < 3
    resumed = gather("docs", "files", str(folder))
    assert (resumed.digest, resumed.documents) == (whole.digest, 3)
    first_time = json.loads(kept.splitlines()[0])["at"]
    assert first_time in {one.at for one in documents("docs")}


def test_what_was_got_long_ago_is_got_anew(folder: Path) -> None:
    with pytest.raises(JobCancelled):
        gather("docs", "files", str(folder), context=cancel_after(1)[0])
    for path in new_file("docs", folder).parent.iterdir():
        os.utime(path, (0, 0))
    for name in ("a.txt", "b.txt", "sub/c.txt"):
        (folder / name).write_text("Written since then.\n")
    gather("docs", "files", str(folder))
    assert {one.text.strip() for one in documents("docs")} == {"Written since then."}


def test_other_options_start_anew(folder: Path) -> None:
    with pytest.raises(JobCancelled):
        gather("docs", "files", str(folder), context=cancel_after(1)[0])
    found = gather("docs", "files", str(folder), include=["b.txt"])
    assert found.documents == 1


@pytest.mark.parametrize(
    "damage", [b'{"text": "cut', b"\0\0\0\0\n", b'{"no": "address"}\n', b"[]\n"]
)
def test_damaged_lines_of_an_interrupted_job_are_gathered_again(
    folder: Path, damage: bytes
) -> None:
    whole = gather("other", "files", str(folder))
    with pytest.raises(JobCancelled):
        gather("docs", "files", str(folder), context=cancel_after(2)[0])
    path = new_file("docs", folder)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + damage)
    assert gather("docs", "files", str(folder)).digest == whole.digest


def test_a_kill_in_the_last_steps_loses_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rename and removal of the keeping fails once, as if the process ended there."""
    first = gather("docs", "files", str(folder))
    (folder / "new.txt").write_text("new\n")
    whole = gather("other", "files", str(folder))

    class Killed(BaseException):
        pass

    for step in range(1, 20):
        left = [step]

        def counted(real: Callable[..., object], left: list[int] = left) -> Callable[..., object]:
            def call(*args: object, **more: object) -> object:
                left[0] -= 1
                if left[0] == 0:
                    raise Killed
                return real(*args, **more)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", counted(Path.replace))
            patch.setattr(Path, "unlink", counted(Path.unlink))
            patch.setattr("shutil.rmtree", counted(__import__("shutil").rmtree))
            try:
                gather("docs", "files", str(folder))
                break
            except Killed:
                pass
        assert find_collection("docs").sources[0].digest in {first.digest, whole.digest}
        assert len(list(documents("docs"))) in {3, 4}
        list(skipped("docs"))
    else:
        pytest.fail("it never came to its end")
    assert step > 5
    (folder / "new.txt").write_text("newer\n")
    gather("docs", "files", str(folder))
    assert "newer\n" in [one.text for one in documents("docs")]


def test_a_kill_after_the_last_step_leaves_nothing_stale(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(Killed):
            gather("docs", "files", str(folder))
    (folder / "a.txt").write_text("changed\n")
    gather("docs", "files", str(folder))
    assert "changed\n" in [one.text for one in documents("docs")]


def test_damage_in_what_is_kept_is_named(folder: Path) -> None:
    found = gather("docs", "files", str(folder))
    path = find_collection("docs").folder / found.key / f"documents-{found.digest[:12]}.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "{broken\n" + lines[2])
    rows = documents("docs")
    assert next(rows).text == "Text of a.txt.\n"
    with pytest.raises(GatherError, match=r"is damaged at line 2\. Gather this source again"):
        next(rows)
    (path.parent / "source.json").write_text("{}")
    with pytest.raises(GatherError, match="is damaged"):
        find_collection("docs")
    gather("other", "files", str(folder))
    assert [one.name for one in collections()] == ["other"]
    assert len(problems()) == 1 and "is damaged" in problems()[0]


def test_parts_come_by_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "".join(f"row {n}\n" for n in range(2, 30)))
    gather("docs", "files", str(tmp_path / "a.csv"))
    assert [one.text for one in documents("docs")] == [f"row {n}" for n in range(2, 30)]


def test_half_characters_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "half \\ud800 of it"}\n')
    gather("docs", "files", str(tmp_path / "a.jsonl"))
    assert [one.text for one in documents("docs")] == ["half ? of it"]
    assert row_of(Document("\udfff", "a")).endswith(b"\n")


def test_two_at_once_are_told_apart(many: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def report(_one: Report) -> None:
        inside.set()
        assert go_on.wait(PATIENCE)

    context = JobContext("x", Path(), report=report)
    first = threading.Thread(target=gather, args=("docs", "files", str(many)),
                             kwargs={"context": context})  # fmt: skip
    first.start()
    assert inside.wait(PATIENCE)
    try:
        with pytest.raises(GatherError, match="is being gathered"):
            gather("docs", "files", str(many))
    finally:
        go_on.set()
        first.join()
    assert find_collection("docs").documents == 30_000


# ---- as jobs


def test_a_job_that_is_killed_is_resumed(many: Path, worker: Callable[[str], int]) -> None:
    whole = gather("other", "files", str(many))
    job = submit_gather("docs", "files", str(many))
    path = new_file("docs", many)
    until(lambda: path.exists() and path.stat().st_size > 100_000)
    os.kill(worker(job.id), signal.SIGKILL)
    assert jobs.wait(job.id, PATIENCE).state == "interrupted"
    kept = path.read_bytes().count(b"\n")
    assert 0 < kept < 30_000 and collection("docs").sources == ()
    jobs.resume(job.id)
    ended = jobs.wait(job.id, PATIENCE)
    assert ended.state == "done", ended.error
    assert ended.result["digest"] == whole.digest
    assert ended.result["collection"] == "docs" and ended.result["documents"] == 30_000
    assert find_collection("docs").sources[0].digest == whole.digest


def test_a_job_that_is_cancelled_keeps_what_it_has(
    many: Path, worker: Callable[[str], int]
) -> None:
    job = submit_gather("docs", "files", str(many))
    path = new_file("docs", many)
    until(lambda: path.exists() and path.stat().st_size > 100_000)
    worker(job.id)
    jobs.cancel(job.id)
    assert jobs.wait(job.id, PATIENCE).state == "cancelled"
    kept = path.read_bytes().count(b"\n")
    assert 0 < kept < 30_000
    jobs.resume(job.id)
    assert jobs.wait(job.id, PATIENCE).state == "done"
    assert find_collection("docs").documents == 30_000


def test_a_job_that_fails_says_why(tmp_path: Path, worker: Callable[[str], int]) -> None:
    job = submit_gather("docs", "files", str(tmp_path / "nowhere"))
    ended = jobs.wait(job.id, PATIENCE)
    assert ended.state == "failed" and "There is no file or folder" in (ended.error or "")


def test_public_names_are_there() -> None:
    assert all(hasattr(room, name) for name in room.__all__)
