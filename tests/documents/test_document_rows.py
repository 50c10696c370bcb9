"""Documents out of the rows of tables and lines, however ragged or long."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from documents.reading import read

from workbench.documents._decode import LONGEST_LINE
from workbench.gather import Document, Skipped


def texts(found: list[Document | Skipped]) -> list[tuple[str, str]]:
    """Line and text of the documents."""
    return [(o.address.rpartition("#")[2], o.text) for o in found if isinstance(o, Document)]


def reasons(found: list[Document | Skipped]) -> list[str]:
    return [one.reason for one in found if isinstance(one, Skipped)]


def test_csv_with_a_text_column_and_ragged_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        'id,Text,title\n1,"first, with\nan end",One\n2,ragged\n3,a,b,c\n4,last,Two\n'
    )
    found = read(tmp_path / "a.csv")
    assert texts(found) == [("2", "first, with\nan end"), ("6", "last")]
    assert isinstance(found[0], Document) and found[0].title == "One"
    assert reasons(found) == ["a.csv: left out lines 4, 5: other than 3 cells."]


def test_csv_without_a_text_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("name;town\nJosé;Zürich\nAnn;\n".encode("latin-1"))
    assert texts(read(tmp_path / "a.csv")) == [
        ("2", "name: José\ntown: Zürich"),
        ("3", "name: Ann"),
    ]
    (tmp_path / "b.tsv").write_text("a\ta\t\n1\t2\t3\n")
    assert texts(read(tmp_path / "b.tsv")) == [("2", "a: 1\na 2: 2\ncolumn 3: 3")]


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    rows = "".join(f"{n},word {n}\n" for n in range(20_000))
    (tmp_path / "a.csv").write_text(f'id,text\n0,first\n1,"open\n{rows}')
    found = read(tmp_path / "a.csv")
    assert texts(found)[0] == ("2", "first") and texts(found)[-1] == ("20003", "word 19999")
    assert len(texts(found)) > 8000
    assert "left out line" in reasons(found)[0] and "not CSV" in reasons(found)[0]


def test_jsonl(tmp_path: Path) -> None:
    rows = ['{"text": "one", "title": "T"}', "", "{broken", '"a string"', "[1]", '{"n": 1}']
    rows += ['{"question": "q", "answer": "a"}', "[" * 100_000, '{"text": "\\ud800"}']
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    found = read(tmp_path / "a.jsonl")
    assert texts(found)[:3] == [("1", "one"), ("4", "a string"), ("7", "question: q\nanswer: a")]
    assert reasons(found) == [
        "a.jsonl: left out lines 3, 8: not JSON.",
        "a.jsonl: left out lines 5, 6: no text (conversations and pairs belong into a dataset).",
    ]


def test_json_lists_objects_and_lines(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"text": "one"}, {"content": "two"}, 3]')
    assert texts(read(tmp_path / "a.json")) == [("1", "one"), ("2", "two")]
    assert reasons(read(tmp_path / "a.json"))[0].startswith("a.json: left out row 3: no text")
    (tmp_path / "b.json").write_text('{"body": "one"}')
    assert texts(read(tmp_path / "b.json")) == [("1", "one")]
    (tmp_path / "c.json").write_text('{"text": "one"}\n{"text": "two"}\n')
    assert texts(read(tmp_path / "c.json")) == [("1", "one"), ("2", "two")]
    (tmp_path / "d.json").write_text("no")
    assert reasons(read(tmp_path / "d.json"))[-1] == "d.json has no row with a text."


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_a_very_long_line_is_passed_over(tmp_path: Path, name: str) -> None:
    good = b'{"text": "good"}\n' if name == "a.jsonl" else b"good\n"
    with (tmp_path / name).open("wb") as file:
        file.write(b"text\n" if name == "a.csv" else b"")
        file.write(good)
        file.write(b"x" * (1 << 20))
        file.seek(3 * LONGEST_LINE, os.SEEK_CUR)  # a hole: the line costs no disk
        file.write(b"\n" + good)
    found = read(tmp_path / name)
    assert " ".join(text for _, text in texts(found)).split() == ["good"] * 2
    (why,) = reasons(found)
    assert "longer than 16 MB" in why and f"line {3 if name == 'a.csv' else 2}:" in why


def test_a_long_text_becomes_parts_without_loss(tmp_path: Path) -> None:
    lines = [f"Line {n} ü\n" + "\n" * (n % 50 == 0) for n in range(250_000)]
    whole = "".join(lines)
    for encoding in ("utf-8", "utf-16", "latin-1"):
        (tmp_path / "a.txt").write_bytes(whole.encode(encoding))
        found = read(tmp_path / "a.txt")
        assert "".join(text for _, text in texts(found)) == whole
        assert [number for number, _ in texts(found)] == [str(n + 1) for n in range(len(found))]
        assert all(text.endswith("\n\n") for _, text in texts(found)[:-1])
        assert len(found) > 2
