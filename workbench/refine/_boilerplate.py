"""What is not a document's own: navigation and footers, cookie notices, licence headers of code.

A line is shared when it stands near an end (40 lines) of at least 8 documents and of a tenth of
the documents of its site (the host of a URL; the kind of a file). From each end of a document,
shared lines are taken out as long as no more than two lines of its own stand between them; inside
a document nothing is touched, so a heading such as "See also" stays where it belongs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from workbench.refine._words import Numbers

_EDGE, _OWN_BETWEEN = 40, 2
_LEAST_DOCUMENTS, _LEAST_SHARE = 8, 0.1
_COOKIES = re.compile(
    r"(?i)\b(uses? cookies|accept (all )?cookies|cookies? (policy|settings|preferences|consent))\b"
)
_LICENCE = re.compile(r"copyright|licen[cs]e|all rights reserved|SPDX-", re.IGNORECASE)
_FIRST = re.compile(r"(?:#!.*\n|#.*coding[:=].*\n|<\?php\s*\n|\s*\n)*")
_BLOCK = re.compile(r'/\*.*?\*/[ \t]*\n?|<!--.*?-->[ \t]*\n?|"""[^"]*"""[ \t]*\n', re.DOTALL)
_LINES = re.compile(r"(?:[ \t]*(?:#|//|--|;|%)[^\n]*(?:\n|$))+")
_LONGEST_HEADER = 20_000


def group(address: str, kind: str) -> int:
    """A number of 64 bits for documents that can share navigation: those of one site, or of one
    kind of file."""
    host = urlsplit(address).netloc if "://" in address[:12] else ""
    return int.from_bytes(_hash(host or kind), "little")


def edge_lines(text: str, site: int) -> Numbers:
    """Numbers of 64 bits for the lines near both ends, without their spaces."""
    edges = text.split("\n", _EDGE)
    edges[_EDGE:] = [line for rest in edges[_EDGE:] for line in rest.rsplit("\n", _EDGE)[-_EDGE:]]
    raw = b"".join({_hash(line.strip()) for line in edges if line.strip()})
    return np.frombuffer(raw, "<u8") ^ np.uint64(site)


def _hash(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()


def enough(documents_of_site: int) -> int:
    """In how many documents of a site a line must stand to be shared."""
    return max(_LEAST_DOCUMENTS, int(documents_of_site * _LEAST_SHARE))


def without(text: str, row: Mapping[str, Any], shared: Set[int]) -> str:
    """The text without what is not its own."""
    if row["kind"] == "code":
        return _without_licence(text)
    if "ookie" in text and row["kind"] == "page":
        lines = text.split("\n")
        text = "\n".join(line for line in lines if len(line) > 400 or not _COOKIES.search(line))
    return _without_shared(text, row, shared) if shared else text


def _without_shared(text: str, row: Mapping[str, Any], shared: Set[int]) -> str:
    site = group(row["address"], row["kind"])
    lines = text.split("\n")
    edge = min(_EDGE, (len(lines) + 1) // 2)
    top, middle, bottom = lines[:edge], lines[edge:-edge], lines[max(edge, len(lines) - edge) :]
    head = _own(top, site, shared)
    foot = _own(bottom[::-1], site, shared)[::-1]
    if len(head) == len(top) and len(foot) == len(bottom):
        return text
    return "\n".join(head + middle + foot).strip("\n")


def _own(lines: list[str], site: int, shared: Set[int]) -> list[str]:
    """The lines that stay, counted from an end."""
    kept: list[str] = []
    between: list[str] = []
    own = 0  # of those between
    for place, line in enumerate(lines):
        bare = line.strip()
        if bare and int.from_bytes(_hash(bare), "little") ^ site in shared:
            kept, between, own = kept + between, [], 0
        else:
            between.append(line)
            own += bool(bare)
        if own > _OWN_BETWEEN:
            return kept + between + lines[place + 1 :]
    return kept + between


def _without_licence(text: str) -> str:
    """Code without the comment at its beginning, if that speaks of copyright."""
    begin = _FIRST.match(text, 0, 2_000)
    place = begin.end() if begin else 0
    header = (_BLOCK.match(text, place, place + _LONGEST_HEADER) or
              _LINES.match(text, place, place + _LONGEST_HEADER))  # fmt: skip
    if header is None or not _LICENCE.search(header.group()):
        return text
    return text[:place] + text[header.end() :].strip("\n")
