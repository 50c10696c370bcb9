"""Texts of others made harmless for where they are written: a spreadsheet, Markdown.

Names, answers and metadata come from files, models and the network. HTML escapes by itself
(jinja2's autoescape); these two forms have no such guard.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!&$])")


def for_csv(text: str) -> str:
    """On one line, and no spreadsheet takes it for a formula."""
    line = " ".join(text.replace("\x00", "").splitlines()).strip(" ")
    return f"'{line}" if line.lstrip().startswith(_FORMULA) else line


def for_markdown(text: str) -> str:
    """On one line, and none of it is markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def nearest(word: object, known: Iterable[str]) -> str:
    """A sentence with the nearest of the names, or with all of them where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(str(word)[:80], names, n=3, cutoff=0.55)
    if near:
        return f" Did you mean {' or '.join(near)}?"
    return f" There are: {', '.join(names)[:600]}." if names else ""
