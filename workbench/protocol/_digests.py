"""Digests as Ollama writes them: `sha256:` (or `sha256-`, in file names) and 64 hex digits."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from workbench.errors import InvalidRequest

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")


def parse_digest(text: str) -> str:
    """The 64 hex digits, lower-case. Raises InvalidRequest("invalid digest format")."""
    match = _DIGEST.fullmatch(text)
    if match is None:
        raise InvalidRequest("invalid digest format", 400)
    return match[1].lower()


def digest_of(content: Path | bytes) -> str:
    """`sha256:<hex>` of a file (read in pieces) or of bytes, as it goes over the wire."""
    if isinstance(content, bytes):
        return f"sha256:{hashlib.sha256(content).hexdigest()}"
    with content.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
