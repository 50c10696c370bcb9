"""Lines of a streamed answer: cut them from bytes, read them strictly, end them properly.

Not httpx's `aiter_lines`: that one also splits at U+2028 and its like, which are legal inside
JSON strings, and joins a long line in quadratic time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from workbench.engines._errors import engine_error, excerpt, parsed
from workbench.errors import EngineError, StreamBroken

MAX_LINE = 256 * 1024 * 1024  # bytes; a longer line is an attack, not an answer
DRAIN = 2.0  # seconds that a stream may take to end after its last object


async def split(source: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Lines ended by LF or CR LF, however the bytes are cut, without empty ones."""
    parts: list[bytes] = []
    length = 0
    async for data in source:
        head, *rest = data.split(b"\n")
        parts.append(head)
        length += len(head)
        for piece in rest:
            if line := b"".join(parts).strip():
                yield line
            parts, length = [piece], len(piece)
        if length > MAX_LINE:
            raise StreamBroken(f"The engine sent a line of more than {MAX_LINE >> 20} MB.")
    if line := b"".join(parts).strip():
        yield line


def parse_object(line: bytes, url: str) -> dict[str, Any]:
    """A line's JSON object. Raises StreamBroken for anything else, the error for an error."""
    data = parsed(line)
    if not isinstance(data, dict):
        shown = excerpt(line[:400].decode("utf-8", "replace"), 80)
        raise StreamBroken(
            f"{url} sent a line that is not a JSON object: {shown!r}. What came so far is "
            "incomplete; ask again."
        )
    if data.get("error") is not None:
        raise engine_error(data["error"])
    return data


async def drain(lines: AsyncIterator[bytes]) -> None:
    """Read what follows the last line, so that the connection can be used again."""
    import asyncio

    try:
        async with asyncio.timeout(DRAIN):
            async for _ in lines:
                pass
    except (TimeoutError, EngineError):
        return  # the answer is complete: how its connection ends concerns nobody
