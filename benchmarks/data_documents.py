"""Documents to measure with: paragraphs of the standard library, with duplicates planted."""

from __future__ import annotations

import ast
import json
import random
import re
import sysconfig
from pathlib import Path
from typing import Any


def make(path: Path, size: int) -> dict[str, str]:
    """Write documents of about `size` characters; the kind of each planted one by its address."""
    chance = random.Random(7)
    prose, code = _paragraphs()
    vocabulary = sorted({word for text in prose[:3000] for word in re.findall(r"[a-z]{4,}", text)})
    recent: list[dict[str, Any]] = []
    planted: dict[str, str] = {}
    written = number = 0
    with path.open("w", encoding="utf-8") as out:
        while written < size:
            number += 1
            kind = chance.choices(["new", "equal", "alike", "related"], [88, 3, 6, 3])[0]
            if kind == "new" or not recent:
                row = _document(chance, prose, code, vocabulary, number)
                recent = [*recent[-400:], row]
            else:
                row = dict(chance.choice(recent), address=f"{kind}/{number}")
                share = {"equal": 0.0, "alike": 0.01, "related": 0.085}[kind]
                row["text"] = _changed(chance, row["text"], share, vocabulary)
                planted[row["address"]] = kind
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            written += len(row["text"])
    return planted


def _document(
    chance: random.Random, prose: list[str], code: list[str], words: list[str], number: int
) -> dict[str, Any]:
    is_code = chance.random() < 0.4
    source = code if is_code else prose
    length = min(int(chance.lognormvariate(8.3, 0.9)) + 900, 60_000)
    parts, size = list[str](), 0
    while size < length:
        parts.append(chance.choice(source))
        size += len(parts[-1])
    text = _changed(chance, "\n\n".join(parts), 0.1, words)
    if chance.random() < 0.05:
        text += f"\n\n# Written by {chance.choice(words)}.{chance.choice(words)}@gmail.com\n"
    kind, suffix = ("code", "py") if is_code else ("markdown", "md")
    return {"text": text, "address": f"new/{number}.{suffix}", "kind": kind,
            "language": "python" if is_code else "", "digest": ""}  # fmt: skip


def _changed(chance: random.Random, text: str, share: float, words: list[str]) -> str:
    """The text with a share of its words replaced."""
    pieces = text.split(" ")
    for _ in range(int(share * len(pieces))):
        pieces[int(chance.random() * len(pieces))] = words[int(chance.random() * len(words))]
    return " ".join(pieces)


def _paragraphs() -> tuple[list[str], list[str]]:
    """Of the standard library: docstrings and topics; functions and classes."""
    from pydoc_data.topics import topics

    prose = [part for text in topics.values() for part in text.split("\n\n") if len(part) > 80]
    code: list[str] = []
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted([*library.glob("*.py"), *library.glob("[a-z]*/*.py")]):
        if "site-packages" in path.parts or "test" in path.parts:
            continue
        try:
            text = path.read_text("utf-8")
            tree, lines = ast.parse(text), text.splitlines()
        except (ValueError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                prose += [p for p in (ast.get_docstring(node) or "").split("\n\n") if len(p) > 80]
                part = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                code += [part] if not node.col_offset and 80 < len(part) < 4_000 else []
    return prose, code
