"""Rows of CSV whose cells have a limit."""

from __future__ import annotations

import csv

import pytest

from workbench.cells import CSVRows


def test_readers_in_turns_keep_their_own_limits() -> None:
    short, long = (CSVRows(["a,b", "x" * 200 + ",1", "c,d"], most) for most in (100, 1000))
    assert next(short) == next(long) == ["a", "b"]
    assert next(long) == ["x" * 200, "1"]
    with pytest.raises(csv.Error, match="limit"):
        next(short)
    assert next(short) == next(long) == ["c", "d"]
    assert short.line_num == long.line_num == 3
    assert csv.field_size_limit() == 128 << 10, "what others read has another limit now"


def test_strict_refuses_text_after_a_quote() -> None:
    assert next(CSVRows(['"a"b;c'], 10, delimiter=";")) == ["ab", "c"]
    with pytest.raises(csv.Error):
        next(CSVRows(['"a"b;c'], 10, delimiter=";", strict=True))
