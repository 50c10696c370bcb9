"""Texts out of real files of every kind, and out of files that are damaged, hostile or no texts."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.documents import is_licence, licence_of
from workbench.documents._decode import LONGEST_LINE, Unreadable, decode
from workbench.documents._extract import Extractor, notebook_text
from workbench.documents._reader import Reader
from workbench.gather import Ask, Document, Skipped
from workbench.gather._files import walk


def read(path: Path, **options: object) -> list[Document | Skipped]:
    """What one file gives."""
    with Extractor(Ask(str(path), path.parent), 1, **options) as extractor:  # type: ignore[arg-type]
        return [one for item in walk(path) for one in _of(extractor, item)]


def _of(extractor: Extractor, item: object) -> Iterator[Document | Skipped]:
    yield from [item] if isinstance(item, Skipped) else extractor.documents(item)  # type: ignore[arg-type]


def only(path: Path) -> Document:
    (one,) = read(path)
    assert isinstance(one, Document), one
    return one


def reason(path: Path) -> str:
    (one,) = read(path)
    assert isinstance(one, Skipped), one
    return one.reason


# ---- encodings


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


# ---- kinds


def test_text_markdown_and_code(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# The title\n\nWords.\n")
    (tmp_path / "a.py").write_text("print(1)\n")
    (tmp_path / "Makefile").write_text("all:\n")
    (tmp_path / "README").write_text("Read me.\n")
    found = [only(tmp_path / name) for name in ("a.md", "a.py", "Makefile", "README")]
    assert [(one.kind, one.language, one.title) for one in found] == [
        ("markdown", "", "The title"),
        ("code", "python", ""),
        ("code", "make", ""),
        ("text", "", ""),
    ]
    assert found[1].text == "print(1)\n" and len(found[1].digest) == 64


def test_html_gives_its_main_text(tmp_path: Path) -> None:
    page = (
        "<html><head><meta charset=latin-1><title>Lists – manual</title></head><body>"
        "<nav><a href=/>Elsewhere</a></nav><main><h1>Lists</h1><p>A list holds values in an order, "
        "and it can grow while the program runs, which a tüple cannot do at all.</p>"
        "<pre>x = [1]\nif x:\n    x.append(2)</pre></main><footer>Imprint</footer></body></html>"
    )
    (tmp_path / "a.html").write_bytes(page.replace("–", "-").encode("latin-1"))
    one = only(tmp_path / "a.html")
    assert one.kind == "page" and one.title.startswith("Lists")
    assert "tüple" in one.text and "\n    x.append(2)" in one.text
    assert "Elsewhere" not in one.text


def make_pdf(path: Path, text: str = "", *, password: str = "", picture: bool = False) -> None:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_title("A paper")
    pdf.add_page()
    pdf.set_font("helvetica", size=12)
    if picture:
        from PIL import Image

        pdf.image(Image.new("RGB", (64, 64), "red"), w=100)
    if text:
        pdf.multi_cell(0, 10, text)
        pdf.add_page()
        pdf.multi_cell(0, 10, "The second page.")
    if password:
        pdf.set_encryption(owner_password="owner", user_password=password)
    pdf.output(str(path))


def test_pdf(tmp_path: Path) -> None:
    make_pdf(tmp_path / "a.pdf", "Words of the first page.")
    one = only(tmp_path / "a.pdf")
    assert one.text == "Words of the first page.\n\nThe second page."
    assert (one.kind, one.title, one.more) == ("pdf", "A paper", {"pages": 2})


def test_pdf_of_pictures_says_what_to_do(tmp_path: Path) -> None:
    make_pdf(tmp_path / "scan.pdf", picture=True)
    assert reason(tmp_path / "scan.pdf") == ("scan.pdf has no text (only pictures): run OCR first.")


def test_pdf_that_is_locked_or_damaged_or_cut(tmp_path: Path) -> None:
    make_pdf(tmp_path / "locked.pdf", "Secret.", password="pw")
    assert "is locked with a password" in reason(tmp_path / "locked.pdf")
    (tmp_path / "no.pdf").write_bytes(b"%PDF-1.7\n" + os.urandom(2000))
    assert "is damaged: no PDF" in reason(tmp_path / "no.pdf")
    make_pdf(tmp_path / "whole.pdf", "Words.")
    data = (tmp_path / "whole.pdf").read_bytes()
    for part in (0.2, 0.5, 0.9):
        (tmp_path / "cut.pdf").write_bytes(data[: int(len(data) * part)])
        (one,) = read(tmp_path / "cut.pdf")
        assert isinstance(one, Skipped) or "Words." in one.text


def make_docx(path: Path) -> None:
    import docx

    document = docx.Document()
    document.core_properties.title = "A report"
    document.add_heading("Results", 1)
    document.add_paragraph("It worked.")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "a", "b"
    document.add_paragraph("The end.")
    document.save(str(path))


def test_docx(tmp_path: Path) -> None:
    make_docx(tmp_path / "a.docx")
    one = only(tmp_path / "a.docx")
    assert one.text == "# Results\n\nIt worked.\n\na | b\n\nThe end."
    assert (one.kind, one.title) == ("docx", "A report")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    make_docx(tmp_path / "a.docx")
    with (
        zipfile.ZipFile(tmp_path / "a.docx") as good,
        zipfile.ZipFile(tmp_path / "bomb.docx", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in good.namelist():
            bomb.writestr(name, good.read(name))
        with bomb.open("word/media/image1.png", "w", force_zip64=True) as member:
            for _ in range(100):
                member.write(bytes(1 << 20))
    assert (tmp_path / "bomb.docx").stat().st_size < 1 << 20
    assert "(a zip bomb)" in reason(tmp_path / "bomb.docx")


def test_docx_with_entities_that_grow(tmp_path: Path) -> None:
    make_docx(tmp_path / "a.docx")
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    evil = (
        f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY e0 "ha">{entities}]>'
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        "<w:body><w:p><w:r><w:t>&e11;</w:t></w:r></w:p></w:body></w:document>"
    )
    with (
        zipfile.ZipFile(tmp_path / "a.docx") as good,
        zipfile.ZipFile(tmp_path / "evil.docx", "w") as bad,
    ):
        for name in good.namelist():
            bad.writestr(name, evil if name == "word/document.xml" else good.read(name))
    (one,) = read(tmp_path / "evil.docx")
    assert isinstance(one, Skipped)


def test_what_is_no_docx(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(b"PK\3\4 no zip")
    assert "or no .docx" in reason(tmp_path / "a.docx")
    with zipfile.ZipFile(tmp_path / "b.docx", "w") as file:
        file.writestr("hello.txt", "hello")
    assert "no .docx" in reason(tmp_path / "b.docx")


def test_a_reader_that_dies_serves_the_next_file(tmp_path: Path) -> None:
    make_pdf(tmp_path / "a.pdf", "Words.")
    data = (tmp_path / "a.pdf").read_bytes()
    with Reader() as reader:
        assert "Words." in reader.read("pdf", data)["text"]
        assert reader._process is not None
        first = reader._process.pid
        reader._process.kill()
        with pytest.raises(Unreadable, match="break down"):
            reader.read("pdf", data)
        assert "Words." in reader.read("pdf", data)["text"]
        assert reader._process is not None and reader._process.pid != first


def pdf_that_never_ends() -> bytes:
    """A page that draws a form thirty times, which draws a form thirty times, and so on."""
    depth, objects = 9, []
    for n in range(depth):
        ops = b"/F Do " * 30 if n < depth - 1 else b"BT /A 9 Tf (x) Tj ET"
        head = b"/Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F %d 0 R >> >>"
        objects.append(
            b"<< " + head % (n + 5) + b" /Length %d >> stream\n%s\nendstream" % (len(ops), ops)
        )
    ops = b"/F Do"
    start = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 99 0 R "
        b"/Resources << /XObject << /F 4 0 R >> >> >>",
    ]
    numbered = [*enumerate([*start, *objects], 1)]
    numbered.append((99, b"<< /Length %d >> stream\n%s\nendstream" % (len(ops), ops)))
    body = b"".join(b"%d 0 obj %s endobj\n" % one for one in numbered)
    return b"%PDF-1.4\n" + body + b"trailer << /Root 1 0 R /Size 100 >>\n%%EOF"


def test_a_file_that_never_ends_is_given_up(tmp_path: Path) -> None:
    make_pdf(tmp_path / "a.pdf", "Words.")
    with Reader(seconds=1) as reader, pytest.raises(Unreadable, match="longer than 1 seconds"):
        reader.read("pdf", pdf_that_never_ends())
    with Reader() as reader:
        assert "Words." in reader.read("pdf", (tmp_path / "a.pdf").read_bytes())["text"]


def test_what_pulse_raises_ends_the_reading(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    make_pdf(tmp_path / "a.pdf", "Words.")
    with Reader(stop) as reader:
        with pytest.raises(KeyboardInterrupt):
            reader.read("page", b"<p>x</p>" * 400_000)
        assert reader._process is None


def test_notebooks_without_what_they_printed(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "words"]},
        {"cell_type": "code", "source": "x = 1", "outputs": [{"text": "printed"}]},
        {"cell_type": "code", "source": ""},
    ]
    book = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4}
    (tmp_path / "a.ipynb").write_text(json.dumps(book))
    one = only(tmp_path / "a.ipynb")
    assert one.text == "# Title\nwords\n\n```python\nx = 1\n```"
    assert (one.kind, one.language) == ("notebook", "python")
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["a\n", "b"]}]}]}
    assert notebook_text(json.dumps(old))[0] == "```python\na\nb\n```"


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"cells": 1}',
        '{"cells": [1]}',
        "no",
        "[" * 5000,
        '{"cells": [{}], "metadata": 3}',
    ],
)
def test_what_is_no_notebook(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.ipynb").write_text(text)
    assert reason(tmp_path / "a.ipynb").startswith("a.ipynb")


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.zip", "unpack"), ("a.xlsx", ".csv"), ("a.epub", "e-book"), ("a.vtt", "transcript")],
)
def test_other_kinds_are_named_with_advice(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert words in reason(tmp_path / name)


def test_empty_and_too_large(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    (tmp_path / "b.txt").write_bytes(b" \n\t\n")
    (tmp_path / "c.py").write_bytes(b"x = 1\n" * 1000)
    assert reason(tmp_path / "a.txt") == "a.txt is empty."
    assert reason(tmp_path / "b.txt") == "b.txt has no text."
    (one,) = read(tmp_path / "c.py", max_bytes=1000)
    assert isinstance(one, Skipped) and "`max_bytes`" in one.reason


# ---- rows


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


# ---- licences


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining\n"
         "a copy of this software", "MIT"),
        ("Apache License\n    Version 2.0, January 2004", "Apache-2.0"),
        ("Redistribution and use in source and binary forms, with or without\n"
         "Neither the name may be used to endorse or promote", "BSD-3-Clause"),
        ("Redistribution and use in source and binary forms, with or without", "BSD-2-Clause"),
        ("GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007", "GPL-3.0"),
        ("GNU GENERAL PUBLIC LICENSE\n   Version 2, June 1991", "GPL-2.0"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\n Version 2.1, February 1999", "LGPL-2.1"),
        ("Mozilla Public License Version 2.0", "MPL-2.0"),
        ("PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2", "PSF-2.0"),
        ("PSF LICENSE AGREEMENT FOR PYTHON 3.11.2\nRedistribution and use in source and binary "
         "forms", "PSF-2.0"),
        ("for any purpose\nwith or without fee is hereby granted, provided that", "ISC"),
        ("MIT License. Permission is hereby granted, free of charge, to any person obtaining a "
         "copy. Parts: Apache License, Version 2.0", "MIT"),
        ("This is free and unencumbered software released into the public domain.", "Unlicense"),
        ("Creative Commons Attribution-ShareAlike 4.0 International", "CC-BY-SA-4.0"),
        ("Creative Commons Attribution 4.0 International Public License", "CC-BY-4.0"),
        ("All rights reserved.", "see LICENSE"),
    ],
)  # fmt: skip
def test_licences_by_their_sentences(text: str, name: str) -> None:
    assert licence_of(text, "LICENSE") == name


def test_a_licence_is_told_by_its_name() -> None:
    names = ("LICENSE", "licence.md", "LICENSE-MIT", "COPYING.LESSER", "UNLICENSE", "license.html")
    assert all(map(is_licence, names))
    assert not any(map(is_licence, ("license.py", "license_check.py", "licensed.txt", "copy")))
