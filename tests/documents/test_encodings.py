"""Letters out of bytes: encodings found, damage kept, whatever the bytes are."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents.reading import reason
from hypothesis import given
from hypothesis import strategies as st

from workbench.documents._decode import Unreadable, decode


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Café à la crème, déjà vu.\nplain\n", "latin-1"),
        ("naïve", "cp1252"),
        ("“Quoted” text — and a dash.\n", "cp1252"),
        ("Größe und Straße, schöne Grüße\n", "latin-1"),
        ("Привет, мир! Это текст на русском языке.\n" * 5, "cp1251"),
        ("Привет, мир! Это текст на русском языке.\n" * 5, "koi8-r"),
        ("これは日本語の文章です。テストをしています。\n" * 5, "shift_jis"),
        ("これは日本語の文章です。テストをしています。\n" * 5, "euc_jp"),
        ("这是一个中文的文本文件。\n" * 5, "gb18030"),
        ("Žluťoučký kůň úpěl ďábelské ódy.\n" * 3, "cp1250"),
        ("Ελληνικά κείμενα είναι εδώ.\n" * 4, "cp1253"),
        ("with a mark, ünd so\n", "utf-8-sig"),
        ("wide ünd mit Zeichen\n", "utf-16"),
        ("wide without a mark\n", "utf-16-le"),
        ("wide without a mark\n", "utf-16-be"),
        ("wider ünd\n", "utf-32"),
        ("plain ünd\n", "utf-8"),
    ],
)
def test_encodings_are_found(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding))[0] == text


def test_mixed_encodings_are_read_line_by_line() -> None:
    data = "Grüße eins\n".encode() * 3 + "Grüße zwei\r\n".encode("latin-1") + b"plain\n"
    text, more = decode(data)
    assert text == "Grüße eins\n" * 3 + "Grüße zwei\nplain\n"
    assert more == {"encoding": "utf-8 and cp1252", "lines_not_utf8": 1}


def test_damage_behind_the_first_megabyte_is_read() -> None:
    text, more = decode("é plain\n".encode() * 150_000 + b"caf\xe9\n")
    assert text.endswith("é plain\ncafé\n") and more["lines_not_utf8"] == 1


def test_a_character_across_the_sample_is_no_damage() -> None:
    data = b"a" * ((1 << 20) - 1) + "é rest".encode()
    assert decode(data) == ("a" * ((1 << 20) - 1) + "é rest", {})


@given(st.text())
def test_utf8_comes_back_as_it_is(text: str) -> None:
    if "\0" in text or text.startswith("\ufeff"):
        return
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return
    assert decode(data)[0] == text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_text_or_unreadable(data: bytes) -> None:
    try:
        text, _ = decode(data)
    except Unreadable as error:
        assert "binary" in str(error)
    else:
        assert isinstance(text, str)


def test_binaries_are_skipped(tmp_path: Path) -> None:
    for name, data in (("a.txt", b"\x7fELF\0\0\0"), ("b", bytes(range(1, 256)) * 9)):
        (tmp_path / name).write_bytes(data)
        assert reason(tmp_path / name) == f"{name} is no text (binary)."
