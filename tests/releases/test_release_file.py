"""Releases in files: read as they were written, refused when changed, kept well in Git."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from releases.release_tools import digest, measured, member, released

from workbench.errors import ReleaseError
from workbench.releases import (
    FILE,
    content_digest,
    current,
    find,
    from_document,
    history,
    import_file,
    make,
    read_file,
    switch,
    switches,
    to_document,
    write_file,
)

HOW = {"modelfile": "FROM one\nSYSTEM Be kind.\n", "from": "one", "from_digest": digest("one")}


def rich(version: str, **more: Any) -> None:
    """A release with something in every field."""
    members = [
        member(source="made", how=HOW, measured=(measured(10.25, 0.4),), context=512),
        member("embedding", "embed", embedding=64, quantisation="F32", parameter_size="1M"),
    ]
    given = {"purpose": "é “x”", "reason": "r", "notes": "a\nb", "evidence": {"b": [1, {"a": 0.1}]}}
    make(version, members, **{**given, **more})


def elsewhere(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Go on on another machine."""
    monkeypatch.setenv("WORKBENCH_HOME", str(home))


def test_a_document_gives_the_same_release() -> None:
    rich("v1")
    kept = find("v1")
    text = json.dumps(to_document(kept))
    assert from_document(json.loads(text)) == kept
    read = from_document(json.loads(text), "elsewhere.json")
    assert read == replace(kept, source="elsewhere.json")
    assert content_digest(read) == content_digest(kept) == to_document(kept)["digest"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(evidence=st.dictionaries(st.text(max_size=5), JSON, max_size=3), words=st.text(max_size=40))
def test_any_evidence_goes_there_and_back(evidence: dict[str, Any], words: str) -> None:
    import secrets

    kept = make(f"v{secrets.token_hex(8)}", [member(how=evidence)], notes=words, evidence=evidence,
                switch=False)  # fmt: skip
    assert from_document(json.loads(json.dumps(to_document(kept)))) == kept


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("kind",), "card", "no release"),
        (("schema",), 2, "schema"),
        (("schema",), True, "schema"),
        (("digest",), "0" * 64, "changed after it was written"),
        (("notes",), "other", "changed after it was written"),
        (("members", 0, "digest"), digest("evil"), "changed after it was written"),
        (("members", 0, "digest"), "x", "no digest"),
        (("members", 0, "role"), "primary\n# x", "no role"),
        (("members", 0, "size"), 1e300, "size"),
        (("members", 0, "extra"), 1, "nothing else"),
        (("members", 0, "how"), [], "how"),
        (("members", 0, "measured"), "x", "measured"),
        (("members",), {}, "list of members"),
        (("members",), [], "between 1 and 64"),
        (("members", 0), None, "must be an object"),
        (("created_at",), "yesterday", "no time"),
        (("created_at",), "2026-01-01", "no time"),
        (("version",), 7, "no text 'version'"),
        (("version",), "../v1", "cannot name a release"),
        (("parent",), "current", "cannot name a release"),
        (("evidence",), None, "evidence"),
        (("surprise",), 1, "no 'surprise'"),
    ],
)
def test_hostile_documents_are_refused(path: tuple[Any, ...], value: Any, words: str) -> None:
    rich("v1")
    document: Any = to_document(find("v1"))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ReleaseError, match=words):
        from_document(document)
    others: list[Any] = [None, [], "x", 3]
    for odd in others:
        with pytest.raises(ReleaseError, match="must be an object"):
            from_document(odd)


def test_a_file_goes_to_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rich("v1")
    rich("v2", purpose="more")
    switch("v1", "slow", vectors={"memory": [2, 1]})
    file = write_file(tmp_path)
    assert file == tmp_path / FILE
    mine, moves = history(), switches()
    elsewhere(monkeypatch, tmp_path / "other")
    assert history() == []
    got = import_file(file)
    assert got.added == ("v1", "v2") and got.known == () and got.current == "v1"
    assert [replace(one, source="") for one in history()] == mine
    assert {one.source for one in history()} == {FILE}
    assert current() is None, "nothing is taken into use by reading"
    assert import_file(tmp_path).known == ("v1", "v2")
    assert list(read_file(file).switches) == moves
    switch("v2", "here it is quick")
    write_file(file)
    book = read_file(file)
    assert book.current == "v2" and len(book.switches) == 4 and book.switches[0].version == "v2"
    assert [one.version for one in book.releases] == ["v1", "v2"]


def test_one_exported_release_can_be_read_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rich("v1")
    file = tmp_path / "v1.json"
    file.write_text(json.dumps(to_document(find("v1"))), encoding="utf-8")
    elsewhere(monkeypatch, tmp_path / "other")
    assert import_file(file).added == ("v1",)
    file.write_text(json.dumps({"kind": "x"}), encoding="utf-8")
    with pytest.raises(ReleaseError, match="kind"):
        import_file(file)


def test_a_new_release_is_new_lines(tmp_path: Path) -> None:
    rich("v1")
    before = write_file(tmp_path).read_text("utf-8").splitlines()
    assert write_file(tmp_path).read_text("utf-8").splitlines() == before
    rich("v2")
    after = write_file(tmp_path).read_text("utf-8").splitlines()
    rest = iter(after)
    kept = [line for line in before if not line.startswith(' "current"')]
    kept = [line.rstrip(",") for line in kept]
    assert all(any(line == other.rstrip(",") for other in rest) for line in kept)
    assert max(map(len, after)) < 200, "one value on a line"


def test_nothing_in_a_file_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rich("v1")
    rich("v2")
    file = write_file(tmp_path)
    whole = file.read_bytes()
    elsewhere(monkeypatch, tmp_path / "other")
    with pytest.raises(ReleaseError, match="Import it first"):
        write_file(file)
    released("v2", "another")
    for call in (import_file, write_file):
        with pytest.raises(ReleaseError, match=r"v[12]"):
            call(file)
    assert [one.version for one in history()] == ["v2"], "all or none"
    with pytest.raises(ReleaseError, match=r"another content.*another"):
        import_file(file)
    assert file.read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [FILE]


def test_files_that_are_none(tmp_path: Path) -> None:
    rich("v1")
    good = write_file(tmp_path).read_text("utf-8")
    file = tmp_path / "bad.json"
    cases = [
        ("<<<<<<< HEAD\n" + good, "conflict"),
        ("[" * 100_000, "no JSON"),
        ('{"kind": NaN}', "NaN is no number"),
        ('{"kind": "a", "kind": "b"}', "twice"),
        ("[]", "no releases"),
        ('{"kind": "workbench releases", "schema": 9}', "schema"),
        (good.replace('"why"', '"how come"', 1), "switch"),
        (good[:200], "no JSON"),
    ]
    for text, words in cases:
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ReleaseError, match=words):
            read_file(file)
        with pytest.raises(ReleaseError):
            write_file(file)
        assert file.read_text("utf-8") == text
    document = json.loads(good)
    document["releases"] *= 2
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ReleaseError, match="v1 twice"):
        read_file(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ReleaseError, match="no JSON"):
        read_file(file)
    for missing in (tmp_path / "nothing.json", Path(os.devnull)):
        with pytest.raises(ReleaseError, match="no file of releases"):
            read_file(missing)
    with pytest.raises(ReleaseError, match="cannot be written"):
        write_file(tmp_path / "no" / "folder.json")


WRITER = """
import sys
from pathlib import Path
from workbench.releases import write_file
print("writing", flush=True)
while True:
    write_file(sys.argv[1])
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    rich("v1")
    file = write_file(tmp_path)
    for pause in (0.0, 0.003, 0.011, 0.02):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None and process.stdout.readline() == "writing\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(pause)
        process.kill()
        process.wait()
        process.stdout.close()
        assert [one.version for one in read_file(file).releases] == ["v1"]
