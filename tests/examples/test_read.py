"""Files of every format, good and bad, are read row by row; what is bad is told with its line."""

from __future__ import annotations

import csv
import json
import os
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import DataError
from workbench.examples import Finding, Findings, Row, preview, read_rows


def read(path: Path, **options: str) -> tuple[list[Row], list[Finding]]:
    found = list(read_rows(path, **options))
    rows = [one for one in found if isinstance(one, Row)]
    return rows, [one for one in found if isinstance(one, Finding)]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_json_lines_go_on_behind_bad_ones(tmp_path: Path) -> None:
    content = '{"a": 1}\n{bad\n\n[1]\n{"a": NaN}\n' + "[" * 100_000 + '\n{"a": 2}'
    rows, findings = read(write(tmp_path / "x.jsonl", content))
    assert rows == [(1, {"a": 1}), (7, {"a": 2})]
    assert [one.line for one in findings] == [2, 4, 5, 6]
    assert {one.code for one in findings} == {"format"}


def test_line_of_any_length_is_told_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with path.open("wb") as file:
        file.write(b'{"a": "')
        for _ in range(20):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n{"a": 1}\n')
    rows, findings = read(path)
    assert rows == [(2, {"a": 1})]
    assert [(one.code, one.line) for one in findings] == [("too-large", 1)]


@pytest.mark.parametrize(
    "content",
    [
        '[{"a": 1},\n {"a": 2}]',
        '{"data": [{"a": 1},\n{"a": 2}], "version": 1}',
        '{"a": 1}\n{"a": 2}\n',
        '{\n"a": 1}{"a": 2}',
        '\ufeff[{"a": 1}\n,{"a": 2}]',
    ],
)
def test_json_in_all_its_layouts(tmp_path: Path, content: str) -> None:
    rows, findings = read(write(tmp_path / "x.json", content))
    assert [dict(one.values) for one in rows] == [{"a": 1}, {"a": 2}]
    assert rows[0].line == 1
    assert not findings


def test_one_conversation_is_one_row(tmp_path: Path) -> None:
    rows, _ = read(write(tmp_path / "x.json", '{"messages": [\n{"role": "user"}\n]}'))
    assert [set(one.values) for one in rows] == [{"messages"}]


@pytest.mark.parametrize("size", [10, 100_000, 3_000_000])
def test_large_objects_in_a_list(tmp_path: Path, size: int) -> None:
    values = [{"a": "ä" * size}, {"a": '\\"]}' * (size // 4)}, {"a": "end"}]
    rows, findings = read(write(tmp_path / "x.json", json.dumps(values, indent=1)))
    assert [dict(one.values) for one in rows] == values
    assert [one.line for one in rows] == [2, 5, 8]
    assert not findings


@pytest.mark.parametrize("tail", ['{"a": bad}]', '{"a": "cut', '{"a": ' + "[" * 90_000, "]]"])
def test_damaged_list_keeps_what_came_before(tmp_path: Path, tail: str) -> None:
    rows, findings = read(write(tmp_path / "x.json", '[{"a": 1},\n' + tail))
    assert rows == [(1, {"a": 1})]
    assert [one.line for one in findings] == ([] if tail == "]]" else [2])


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans(), min_size=1)))
def test_lists_come_back(tmp_path_factory: pytest.TempPathFactory, values: list[dict]) -> None:
    path = write(tmp_path_factory.mktemp("lists") / "x.json", json.dumps(values))
    rows, findings = read(path, format="json")
    assert [dict(one.values) for one in rows] == values
    assert not findings


def test_ragged_rows_of_csv_are_told(tmp_path: Path) -> None:
    content = 'question,answer\n1,2\n1,2,3\n"a,\nb",2\n1\n\nx,y\n'
    rows, findings = read(write(tmp_path / "x.csv", content))
    assert [(one.line, one.values["question"]) for one in rows] == [
        (2, "1"),
        (4, "a,\nb"),
        (8, "x"),
    ]
    assert [(one.code, one.line) for one in findings] == [("ragged", 3), ("ragged", 6)]
    assert "3 cells" in findings[0].message


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_dialects_and_encodings(tmp_path: Path, delimiter: str, encoding: str) -> None:
    path = tmp_path / "x.csv"
    values = [["Straße", 'Größe, "sehr"; groß'], ["für|und", "über\nmorgen"]] * 3
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([["frage", "antwort"], *values])
    rows, findings = read(path)
    assert [list(one.values.values()) for one in rows] == values
    assert [one.code for one in findings] == ["guessed"] * (encoding == "cp1252")


def test_names_of_columns_are_made_different(tmp_path: Path) -> None:
    rows, _ = read(write(tmp_path / "x.tsv", "a\t\ta\ta 3\n1\t2\t3\t4\n"))
    assert rows[0].values == {"a": "1", "column 2": "2", "a 3": "3", "a 3 4": "4"}


def test_open_quote_does_not_take_all(tmp_path: Path) -> None:
    rows, findings = read(write(tmp_path / "x.csv", 'a,b\n1,2\n"open,3\n4,5\n'))
    assert [one.line for one in rows] == [2]
    assert [(one.code, one.line) for one in findings] == [("format", 3)]


def test_damaged_bytes_are_told_with_their_line(tmp_path: Path) -> None:
    good = '{"a": "Größe und Länge"}\n'.encode()
    rows, findings = read(write(tmp_path / "x.jsonl", good * 3 + b'{"a": "\xff"}\n' + good))
    assert [one.values["a"] for one in rows][3] == "\ufffd"
    assert [(one.code, one.line) for one in findings] == [("bytes", 4)]


def test_paragraphs_or_the_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", "\none\n two\n\n \n\nthree\n")
    assert read(path)[0] == [(2, {"text": "one\n two"}), (7, {"text": "three"})]
    assert [one.values["text"] for one in read(path, format="document")[0]] == [
        "one\n two\n\n \n\nthree"
    ]


def test_too_large_paragraph_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", "a\n\n" + ("x" * 1000 + "\n") * 17_000 + "\nb\n")
    rows, findings = read(path)
    assert [one.values["text"] for one in rows] == ["a", "b"]
    assert [(one.code, one.line) for one in findings] == [("too-large", 3)]


@pytest.mark.parametrize(
    "content",
    [
        "User: hi\nAssistant: hello\nthere\n\nUser: x\nAssistant: y\n",
        "Human: hi\n\nAI: hello\nthere\n\n---\n\nHuman: x\n\nAI: y",
        "**User:** hi\r\n**Assistant:** hello\r\nthere\r\n***\r\n**User:** x\r\n**Assistant:** y",
    ],
)
def test_transcripts(tmp_path: Path, content: str) -> None:
    rows, findings = read(write(tmp_path / "x.txt", content))
    said = [[(m["role"], m["content"].split()) for m in row.values["messages"]] for row in rows]
    assert said == [
        [("user", ["hi"]), ("assistant", ["hello", "there"])],
        [("user", ["x"]), ("assistant", ["y"])],
    ]
    assert not findings


def test_transcript_with_turns_apart_is_one_conversation(tmp_path: Path) -> None:
    content = "System: be kind\n\nUser: a\n\nAssistant: b\n\nUser: c\n\nAssistant: d\n\nSystem: x"
    rows, _ = read(write(tmp_path / "x.txt", content))
    assert [[m["role"] for m in row.values["messages"]] for row in rows] == [
        ["system", "user", "assistant", "user", "assistant"],
        ["system"],
    ]


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"text": [f"t{n}" for n in range(2500)]})
    parquet.write_table(table, tmp_path / "x.parquet")
    rows, findings = read(tmp_path / "x.parquet")
    assert rows[-1] == (2500, {"text": "t2499"})
    assert not findings
    data = (tmp_path / "x.parquet").read_bytes()
    rows, findings = read(write(tmp_path / "cut.parquet", data[: len(data) // 2]))
    assert not rows
    assert [one.code for one in findings] == ["format"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.jsonl", b"\x1f\x8b\x08junk", "Unpack"),
        ("x.txt", b"\x00\x01\x02\x03" * 100, "binary"),
        ("x.json", b"PK\x03\x04junk", "Unpack"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(write(tmp_path / name, content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path in (tmp_path, tmp_path / "none.jsonl", tmp_path / "pipe.jsonl", Path("/dev/zero")):
        with pytest.raises(DataError, match=r"folder|no file"):
            read(path)
    with pytest.raises(DataError, match="Did you mean json"):
        read(write(tmp_path / "x", "{}"), format="json1")


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv", "x.txt"])
def test_empty_files_have_no_rows(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, "")
    assert read(path) == ([], [])
    assert preview(path).shape.form is None


@given(data=st.binary(max_size=3000), suffix=st.sampled_from([".jsonl", ".json", ".csv", ".txt"]))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    path = write(tmp_path_factory.mktemp("any") / f"x{suffix}", data)
    try:
        found = list(islice(read_rows(path), 10_000))
    except DataError:
        return
    assert all(isinstance(one, Row | Finding) for one in found)
    for row in (one for one in found if isinstance(one, Row)):
        assert row.line <= data.count(b"\n") + 1


def test_findings_remember_twenty_places() -> None:
    found = Findings(Finding("x", "note", f"n{n}", "f", n) for n in range(1, 51))
    (one,) = found
    assert (one.count, one.lines, one.message) == (50, tuple(range(1, 21)), "n1")
    assert found.counts() == {"x": 50}
