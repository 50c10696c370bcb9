"""Texts out of real files of every kind, and out of files that are damaged or hostile."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
from documents.reading import only, read, reason

from workbench.documents._decode import Unreadable
from workbench.documents._extract import notebook_text
from workbench.documents._reader import Reader
from workbench.gather import Skipped


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
