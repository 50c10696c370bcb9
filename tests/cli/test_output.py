"""Text for terminals, tables, JSON, sizes and times."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.cli import _output as out
from workbench.types import Metrics, Model

DANGEROUS = {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))} | set(
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text())
def test_nothing_dangerous_is_left(text: str) -> None:
    assert not set(out.neutralise(text)) & DANGEROUS


def test_harmless_text_stays_as_it_is() -> None:
    text = "naïve 日本語 🙂\u200d🙂\n\tdef f():\n"
    assert out.neutralise(text) == text


def test_escape_sequences_become_visible() -> None:
    assert out.neutralise("\x1b]0;title\x07\x1b[2J\r\x9b31m") == "␛]0;title␇␛[2J␍\ufffd31m"
    assert out.neutralise("one\r\ntwo") == "one\ntwo"


def test_only_a_terminal_gets_neutralised_text() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    out.write("\x1b[2J", terminal)
    out.write("\x1b[2J", pipe)
    assert terminal.getvalue() == "␛[2J"
    assert pipe.getvalue() == "\x1b[2J"


def test_cells_are_one_line() -> None:
    assert out.cell("a\nb\tc\x1b") == "a␊b c␛"


def test_tables_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    out.table(("A", "LONGER"), [("x", 1), ("wide one", 22)])
    assert capsys.readouterr().out == "A         LONGER\nx         1\nwide one  22\n"


def test_facts_leave_out_what_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    out.facts([("a", 1), ("none", None), ("empty", ""), ("longer", 0)])
    assert capsys.readouterr().out == "  a       1\n  longer  0\n"


def test_json_is_one_ascii_line_of_plain_values(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    model = Model("ü\x9b\ud800", modified_at=moment, capabilities=("tools",), raw={"secret": 1})
    out.emit({"model": model, "path": Path("/a"), "nan": float("nan"), "m": Metrics(eval_count=3)})
    line = capsys.readouterr().out
    assert line.isascii() and line.count("\n") == 1
    read = json.loads(line)
    assert read["model"]["name"] == "ü\x9b\ud800"
    assert read["model"]["modified_at"] == "2026-01-02T00:00:00+00:00"
    assert read["model"]["capabilities"] == ["tools"]
    assert "raw" not in read["model"]
    assert (read["path"], read["nan"], read["m"]["eval_count"]) == ("/a", None, 3)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (999.9, "1 kB"), (1500, "1.5 kB"), (999_700, "1 MB"),
     (4_920_753_328, "4.92 GB"), (3e12, "3 TB"), (None, "?")],
)  # fmt: skip
def test_sizes(count: float | None, text: str) -> None:
    assert out.size_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "0.2 s"), (12, "12 s"), (60, "1 min"), (125, "2 min 5 s"), (7500, "2 h 5 min"),
     (86400 * 3, "3 days"), (None, "")],
)  # fmt: skip
def test_durations(seconds: float | None, text: str) -> None:
    assert out.duration_text(seconds) == text


def test_ages() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert out.age_text(now - timedelta(seconds=200), now) == "3 min 20 s ago"
    assert out.age_text(now.replace(tzinfo=None), now) == "now"
    assert out.age_text(now + timedelta(seconds=200), now) == "in 3 min 20 s"
    assert out.age_text(datetime(2318, 1, 1, tzinfo=UTC), now) == "never"
    assert out.age_text(None) == ""
