"""Bytes of a GGUF file by position: from a local file, or over HTTP with Range requests.

Over HTTP only what is asked for is fetched: a server that ignores ranges is refused before its
body is read, redirects are followed by hand, at most five, and only to http(s) addresses.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import urljoin

from workbench.errors import GGUFError

if TYPE_CHECKING:
    import httpx

_REDIRECTS = 5
_ADDRESS = re.compile(r"https?://([\w.-]+|\[[\da-fA-F:.]+\])(:\d{1,5})?(?=[/?#]|$)")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})")


class Source(Protocol):
    """A sequence of `size` bytes that can be read anywhere; close it after use."""

    size: int
    name: str
    chunk: int  # how much is worth reading at once

    def read(self, position: int, count: int) -> bytes:
        """`count` bytes from `position`; the caller has checked that they are there."""

    def close(self) -> None:
        """Let go of the file or connection."""


class FileSource(Source):
    """A regular file on this machine."""

    chunk = 1 << 18

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise GGUFError(f"{path} cannot be opened ({error.strerror}).") from error
        self.size = os.fstat(self._file.fileno()).st_size

    def read(self, position: int, count: int) -> bytes:
        """Bytes of the file; GGUFError when it shrank since it was opened."""
        try:
            self._file.seek(position)
            data = self._file.read(count)
        except OSError as error:
            raise GGUFError(f"{self.name} cannot be read ({error.strerror}).") from error
        if len(data) != count:
            raise GGUFError(f"{self.name} became shorter while it was read.")
        return data

    def close(self) -> None:
        """Let go of the file or connection."""
        self._file.close()


class HTTPSource(Source):
    """A file behind an http(s) URL, read by ranges; the size comes with the first one."""

    chunk = 1 << 20

    def __init__(self, url: str) -> None:
        import httpx

        self.name = url
        self.size = -1
        self._url = _checked(url)
        self._client = httpx.Client(follow_redirects=False, timeout=30)
        self._first = self._get(0, self.chunk)

    def read(self, position: int, count: int) -> bytes:
        """Bytes of the remote file, the first chunk from memory."""
        if position + count <= len(self._first):
            return self._first[position : position + count]
        data = self._get(position, count)
        if len(data) != count:
            raise GGUFError(f"{self.name}: the server sent fewer bytes than were asked for.")
        return data

    def _get(self, position: int, count: int) -> bytes:
        import httpx

        wanted = f"bytes={position}-{position + count - 1}"
        headers = {"Range": wanted, "Accept-Encoding": "identity"}
        try:
            for _ in range(_REDIRECTS + 1):
                with self._client.stream("GET", self._url, headers=headers) as response:
                    if response.is_redirect:
                        target = urljoin(self._url, response.headers["location"])
                        self._url = _checked(target)
                        continue
                    return self._body(response, position, count)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GGUFError(f"{self.name} cannot be read ({error}). Try again later.") from error
        raise GGUFError(f"{self.name} redirects more than {_REDIRECTS} times.")

    def _body(self, response: httpx.Response, position: int, count: int) -> bytes:
        if response.status_code == 200:
            raise GGUFError(
                f"{self.name}: the server ignores ranges, so its header cannot be read alone. "
                "Download the file and read it from disk."
            )
        if response.status_code != 206:
            raise GGUFError(f"{self.name}: the server answered {response.status_code}.")
        match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if not match or int(match[1]) != position or int(match[2]) >= position + count:
            raise GGUFError(f"{self.name}: the server sent another range than was asked for.")
        total = int(match[3])
        if self.size not in (-1, total):
            raise GGUFError(f"{self.name} changed while it was read. Try again.")
        self.size = total
        data = bytearray()
        for piece in response.iter_raw():
            data += piece
            if len(data) > count:
                raise GGUFError(f"{self.name}: the server sent more bytes than were asked for.")
        return bytes(data)

    def close(self) -> None:
        """Let go of the file or connection."""
        self._client.close()


def _checked(url: str) -> str:
    if not _ADDRESS.match(url):
        raise GGUFError(f"{url!r} is not an http:// or https:// address of a GGUF file.")
    return url


def open_source(source: Path | str) -> Source:
    """A source for a path, or for a text that begins with `http://` or `https://`."""
    if isinstance(source, str) and "://" in source:
        return HTTPSource(source)
    path = Path(source)
    if not path.is_file():
        raise GGUFError(f"{path} is not a file. Give the path of a GGUF file.")
    return FileSource(path)
