"""The process that takes texts out of PDF, DOCX and HTML: such files can hang or eat a machine.

It is started by path, gets `kind` and the file's bytes over a pipe, answers with JSON, and has
limits on memory and, for each file, on processor time. When it dies, `_reader.py` starts another.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

_MOST_UNPACKED, _MOST_RATIO, _SMALL = 512 << 20, 100, 16 << 20
_MOST_TEXT = 64 << 20


def pdf(data: bytes) -> dict[str, Any]:
    """Pages with an empty line between them."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).lower() or "security" in str(error).lower()
        reason = "is locked with a password: unlock it first" if locked else "is damaged: no PDF"
        return {"error": reason}
    pages, pictures, length = [], False, 0
    for page in document:
        text = page.get_textpage().get_text_bounded().replace("\r\n", "\n").strip()
        pictures = pictures or (not text and any(page.get_objects(max_depth=2)))
        pages.append(text)
        length += len(text)
        if length > _MOST_TEXT:
            return {"error": "holds more than 64 MB of text: split it first"}
        page.close()
    if not length and pictures:
        return {"error": "has no text (only pictures): run OCR first"}
    title = document.get_metadata_value("Title")
    return {"text": "\n\n".join(filter(None, pages)), "title": title, "more": {"pages": len(pages)}}


def docx(data: bytes) -> dict[str, Any]:
    """Paragraphs and tables in their order; headings with `#`, cells with `|` between them."""
    import docx as library

    try:
        members = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return {"error": "is damaged, locked with a password, or no .docx"}
    large = [m for m in members if m.file_size > max(_SMALL, _MOST_RATIO * m.compress_size)]
    if large or sum(member.file_size for member in members) > _MOST_UNPACKED:
        return {"error": "would unpack to far more than a document holds (a zip bomb)"}
    try:
        document = library.Document(io.BytesIO(data))
    except MemoryError:
        raise
    except Exception as error:  # a zip of another kind, broken XML, missing parts
        return {"error": f"is damaged or no .docx ({type(error).__name__})"}
    lines = []
    for block in document.iter_inner_content():
        if isinstance(block, library.table.Table):
            rows = [" | ".join(cell.text.strip() for cell in row.cells) for row in block.rows]
            lines.append("\n".join(rows))
        else:
            style = (block.style.name if block.style is not None else "") or ""
            level = style.removeprefix("Heading ")
            heading = "#" * int(level) + " " if style != level and level.isdecimal() else ""
            lines.append(heading * bool(block.text.strip()) + block.text)
    title = document.core_properties.title
    return {"text": "\n\n".join(line for line in lines if line.strip()), "title": title}


def page(data: bytes) -> dict[str, Any]:
    """The main text as Markdown."""
    from workbench.documents._html import page as read_page

    found = read_page(data)
    return {key: found[key] for key in ("error", "text", "title", "licence") if key in found}


_KINDS: dict[str, Callable[[bytes], dict[str, Any]]] = {"pdf": pdf, "docx": docx, "page": page}


def _limit(memory: int) -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _allow(seconds: int) -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(used.ru_utime + used.ru_stime) + 1
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, hard))


def main(descriptor: int, memory: int, seconds: int) -> None:
    """Serve until the other side is gone."""
    pipe = Connection(descriptor)
    _limit(memory)
    with suppress(EOFError, OSError):
        while True:
            kind, data = pipe.recv_bytes().decode(), pipe.recv_bytes()
            _allow(seconds)
            try:
                answer = _KINDS[kind](data)
            except MemoryError:
                answer = {"error": f"needs more than {memory >> 20:,} MB of memory to be read"}
            except Exception as error:
                answer = {"error": f"cannot be read ({type(error).__name__}: {error})"[:200]}
            pipe.send_bytes(json.dumps(answer).encode())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
