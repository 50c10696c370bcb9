"""The header of a GGUF file that lies elsewhere, kept under its digest.

What a digest names never changes, so what was read once is told without a network for ever after.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from workbench.cards._fetch import Answer, keep, kept, within
from workbench.gguf import Array, Header, TensorInfo, read_header

SECONDS = 30.0  # for some megabytes of vocabulary over a slow line


def remote_header(url: str, digest: str) -> Header:
    """The header of the file with this digest. Raises GGUFError or EngineError."""
    who = url.split("/")[2]
    return kept_header(digest, lambda: within(SECONDS, who, lambda: read_header(url)))


def kept_header(digest: str, read: Callable[[], Header]) -> Header:
    """The header that is kept under a digest; else what `read` gives, which is kept then."""
    key = f"header of {digest}"
    known = kept(key)
    header = _restored(known.body) if known else None
    if header is None:
        header = read()
        metadata = {name: _plain(value) for name, value in header.metadata.items()}
        record = {**asdict(header), "metadata": metadata}
        keep(key, Answer(json.dumps(record).encode(), datetime.now(UTC)))
    return header


def _plain(value: Any) -> Any:
    return [value.kind, value.count, value.values] if isinstance(value, Array) else value


def _restored(body: bytes) -> Header | None:
    """The header that was kept; None when what is there is damaged."""
    try:
        record = json.loads(body)
        metadata = {name: _array(value) for name, value in record.pop("metadata").items()}
        tensors = tuple(
            TensorInfo(**{**tensor, "shape": tuple(map(int, tensor["shape"]))})
            for tensor in record.pop("tensors")
        )
        spans = {name: (int(start), int(end)) for name, (start, end) in record.pop("spans").items()}
        return Header(**record, metadata=metadata, tensors=tensors, spans=spans)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _array(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind, count, values = value
    return Array(str(kind), int(count), None if values is None else tuple(values))
