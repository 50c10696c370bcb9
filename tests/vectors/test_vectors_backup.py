"""A collection goes into a file and comes back whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import stat
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vectors.conftest import sentence
from vectors.test_vectors_generations import kept

from workbench.engines import Engine
from workbench.errors import VectorError
from workbench.vectors import (
    Collection,
    backup,
    collections,
    drop,
    generations,
    reembed,
    restore,
    switch,
)


def signed(lines: list[dict[str, Any]]) -> bytes:
    """A backup of these lines, its hash right."""
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    end = {"texts": len(lines) - 1, "sha256": hashlib.sha256(body).hexdigest()}
    return body + json.dumps(end).encode() + b"\n"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()[:-1]]


def test_there_and_back(notes: Collection, engine: Engine, tmp_path: Path) -> None:
    notes.add([("odd", 'Line\u2028ends \r\n and "quotes" 🙂', {"deep": {"er": [1, None]}})])
    reembed(None, "notes", "other", engine)
    notes.add([("late", "not in the second generation", {})])
    before, first, second = generations("notes"), kept(1), kept(2)
    path = tmp_path / "notes.jsonl"
    digest = backup("notes", path)
    body = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[0] + b"\n"
    assert digest == hashlib.sha256(body).hexdigest()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and list(tmp_path.glob(".*")) == []
    found = notes.search(sentence(4), 50)
    drop("notes")
    assert restore(path) == Collection("notes")
    assert generations("notes") == before and notes.search(sentence(4), 50) == found
    for old, number in ((first, 1), (second, 2)):
        assert old.keys() == kept(number).keys()
        assert all((old[key] == kept(number)[key]).all() for key in old)
    reembed(None, "notes", "other", engine)
    assert switch("notes", 2) == 1
    assert backup("notes", tmp_path / "again.jsonl") != digest


def test_names_that_are_taken(notes: Collection, engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    backup("notes", path)
    notes.add([("more", "more", {})])
    with pytest.raises(VectorError, match="There is a collection notes already"):
        restore(path)
    assert notes.stats().texts == 41
    copy = restore(path, "copy")
    assert copy.stats().texts == 40 and collections() == ["copy", "notes"]
    restore(path, replace=True)
    assert notes.stats().texts == 40 and notes.search(sentence(1), 1)[0].key == "n1"
    with pytest.raises(VectorError, match="cannot name a collection"):
        restore(path, "../x")


def change(number: int, **values: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda lines: lines[number].update(values)


def vector(*numbers: float) -> dict[str, str]:
    return {"1": b64encode(np.array(numbers, "<f4").tobytes()).decode()}


HOSTILE: dict[str, Callable[[list[dict[str, Any]]], None]] = {
    "another kind": change(0, kind="recipe"),
    "a later version": change(0, version=2),
    "a bad name": change(0, name="../../etc"),
    "no generation": change(0, generations=[]),
    "generations are no list": change(0, generations={"1": 2}),
    "a generation that is true": change(0, generation=True),
    "another in use": change(0, generation=9),
    "a time that is none": change(0, created_at="yesterday"),
    "no key": change(2, key=""),
    "no text": change(2, text=7),
    "a list about it": change(2, about=[]),
    "no vectors": change(2, vectors={}),
    "vectors that are a list": change(2, vectors=["1"]),
    "a vector of another generation": change(2, vectors={"5": "AAAA"}),
    "a vector that is no base64": change(2, vectors={"1": "!!!"}),
    "a short vector": change(2, vectors=vector(1.0, 0.0)),
    "a vector of nothing": change(2, vectors=vector(*[0.0] * 64)),
    "a vector without numbers": change(2, vectors=vector(*[float("nan")] * 64)),
    "a long vector": change(2, vectors=vector(*[5.0] * 64)),
    "the same key twice": change(2, key="n0"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_content(notes: Collection, tmp_path: Path, what: str) -> None:
    path = tmp_path / "notes.jsonl"
    backup("notes", path)
    lines = lines_of(path)
    HOSTILE[what](lines)
    path.write_bytes(signed(lines))
    with pytest.raises(VectorError, match="Nothing was restored"):
        restore(path, "copy")
    assert collections() == ["notes"]


@pytest.mark.parametrize("what", ["cut", "cut at a line", "flipped", "empty", "more", "no json"])
def test_a_damaged_file(notes: Collection, tmp_path: Path, what: str) -> None:
    path = tmp_path / "notes.jsonl"
    backup("notes", path)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "cut": whole[:-100],
            "cut at a line": b"\n".join(whole.split(b"\n")[:20]) + b"\n",
            "flipped": whole.replace(b"function_5(", b"function_6(", 1),
            "empty": b"",
            "more": whole + b"{}\n",
            "no json": b"\x00\xff" * 1000,
        }[what]
    )
    with pytest.raises(VectorError, match="Nothing was restored"):
        restore(path, "notes", replace=True)
    assert notes.stats().texts == 40 and notes.search(sentence(2), 1)[0].key == "n2"


def test_files_that_cannot_be(notes: Collection, tmp_path: Path) -> None:
    with pytest.raises(VectorError, match="There is no backup"):
        restore(tmp_path)
    with pytest.raises(VectorError, match="There is no backup"):
        restore("/dev/zero")
    with pytest.raises(VectorError, match="cannot be written"):
        backup("notes", tmp_path / "absent" / "notes.jsonl")
    with pytest.raises(VectorError, match="There is no collection"):
        backup("absent", tmp_path / "absent.jsonl")
    assert list(tmp_path.glob("*.jsonl")) == [] and list(tmp_path.glob(".*")) == []
