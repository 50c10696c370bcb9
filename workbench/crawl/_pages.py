"""Pages as they were read, kept in the source's folder: for a crawl that goes on after a kill, and
for the next one, which asks only whether they have changed.

A page is a file named by its address; its first line is the SHA-256 of the rest, so one that is
damaged is as if it were not there. `crawl.json` marks a crawl that has not come to its end: what
that crawl has read is not asked for again within a day.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from workbench.crawl._fetch import Answer
from workbench.crawl._scope import normalise
from workbench.documents import Kind, Reader, Unreadable, decode, page_facts

KINDS: dict[str, Kind] = {
    "text/html": "page",
    "application/xhtml+xml": "page",
    "text/plain": "text",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
}
LARGEST = 8 << 20  # bytes of a page, unpacked
_AGE = timedelta(days=1)
# what pages are written in: Python knows encodings that are none, and some that are slow
_CHARSET = re.compile(
    r"charset\s*=\s*[\"']?\s*((?:windows-|cp|iso-|koi8|gb|big5|euc|shift|latin|mac)[\w.:-]{1,40})",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Page:
    """What was read at an address. `refused` says why it is no document, `moved` where it went."""

    url: str
    run: str  # the crawl that last asked for it
    at: str = ""
    kind: Kind = "page"
    text: str = ""
    title: str = ""
    language: str = ""
    licence: str = ""
    digest: str = ""
    etag: str = ""
    modified: str = ""
    refused: str = ""
    moved: str = ""
    links: tuple[str, ...] = ()


def read_page(answer: Answer, run: str, reader: Reader) -> Page:
    """The page of an answer: text, links and what it says of itself."""
    header = answer.headers.get("content-type", "")
    kind = KINDS[header.split(";")[0].strip().lower()]
    robots, language, base, links, refused = "", "", "", list[str](), ""
    found = {"text": "", "title": "", "licence": ""}
    try:
        data = _utf8(answer.body, header)
        if kind == "page":
            robots, language, base, links = page_facts(data)
            found |= {key: one for key, one in reader.read("page", data).items() if key in found}
        else:
            found["text"] = data.decode()
    except Unreadable as error:
        refused = f"It {error}."
    wishes = set(re.split(r"[\s,:]+", f"{robots},{answer.headers.get('x-robots-tag', '').lower()}"))
    if wishes & {"noindex", "none", "noai"}:
        refused = "It asks crawlers not to take it (noindex or noai)."
    elif not refused and not found["text"].strip():
        refused = "It has no main text."
    base = normalise(base, answer.url) or answer.url
    urls = dict.fromkeys(normalise(one, base) for one in links)
    return Page(
        url=answer.url, run=run, kind=kind, digest=sha256(answer.body).hexdigest(), at=now(),
        etag=answer.headers.get("etag", "")[:500],
        modified=answer.headers.get("last-modified", "")[:100],
        refused=refused, language=language, title=found["title"], licence=found["licence"],
        text="" if refused else found["text"],
        links=() if wishes & {"nofollow", "none"} else tuple(one for one in urls if one),
    )  # fmt: skip


def _utf8(body: bytes, header: str) -> bytes:
    """As UTF-8: where it is not, by what server or page declare, else by what it looks like."""
    declared = _CHARSET.search(header) or _CHARSET.search(body[:2048].decode("ascii", "replace"))
    text = ""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        with suppress(LookupError, UnicodeError):
            text = body.decode(declared[1], "replace") if declared else ""
    return (text or decode(body)[0]).encode("utf-8", "replace")


def now() -> str:
    """The time, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Shelf:
    """The pages in a folder. `run` names the crawl: the one that was interrupted, or a new one."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._mark = folder / "pages", folder / "crawl.json"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._form = f"1 {version('trafilatura')}"  # another form or reader: read the page anew
        self.run = self._interrupted() or datetime.now(UTC).isoformat()
        self._mark.write_text(json.dumps(self.run), "utf-8")

    def get(self, url: str) -> Page | None:
        """The page that was read at the address, None where there is none that can be used."""
        try:
            mark, _, data = self._file(url).read_bytes().partition(b"\n")
            if mark.decode() != sha256(data).hexdigest():
                return None
            form, asked, row = json.loads(data)
            if (form, asked) != (self._form, url):
                return None
            return Page(**row | {"links": tuple(row["links"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def put(self, url: str, page: Page) -> None:
        """Keep what was read at the address, in one step."""
        data = json.dumps([self._form, url, asdict(page)]).encode()
        path = self._file(url)
        part = path.with_suffix(".part")
        part.write_bytes(sha256(data).hexdigest().encode() + b"\n" + data)
        part.replace(path)

    def end(self, keep: Callable[[str], bool]) -> None:
        """The crawl came to its end: what it did not meet is deleted. `keep` is told names."""
        for path in self._folder.iterdir():
            if not keep(path.name):
                path.unlink()
        self._mark.unlink(missing_ok=True)

    @staticmethod
    def name_of(url: str) -> str:
        """The name of an address's file."""
        return sha256(url.encode()).hexdigest()[:40]

    def _file(self, url: str) -> Path:
        return self._folder / self.name_of(url)

    def _interrupted(self) -> str:
        try:
            run = str(json.loads(self._mark.read_text("utf-8")))
            age = datetime.now(UTC) - datetime.fromisoformat(run)
            return run if timedelta(0) <= age < _AGE else ""
        except (OSError, ValueError, TypeError):
            return ""
