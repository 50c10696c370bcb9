"""The source `web`: a crawler for documentation.

Breadth first from the start, one page at a time. Which pages belong to it is said in `_scope.py`,
how they are asked for in `_fetch.py`, which addresses are refused in `addresses`, how a page is
read in `documents`, what is kept between crawls in `_pages.py`. Pages that only scripts fill in
have no text here.
"""

from __future__ import annotations

import html
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from workbench.addresses import check_address
from workbench.crawl._fetch import Away, Fetcher, Refusal, Trouble
from workbench.crawl._pages import KINDS, LARGEST, Page, Shelf, now, read_page
from workbench.crawl._robots import Robots
from workbench.crawl._scope import Options, Scope, normalise, read_options
from workbench.documents import Ask, Document, Reader, Skipped
from workbench.errors import GatherError

_MOST_KNOWN = 200_000  # addresses, so that a site without end does not fill the memory
_MOST_TROUBLES = 5  # pages one after the other
_LOC = re.compile("<loc>([^<]{1,3000})</loc>")


def web(ask: Ask) -> Iterator[Document | Skipped]:
    """Pages of documentation, from a URL on; `ask.options` are those of `_scope.Options`.

    Raises GatherError where the start cannot be read, or the site stops answering: what was read
    until then is kept for the next time.
    """
    options = read_options(ask)
    check_address(ask.address.strip(), allow_private=options.allow_private)
    crawl = _Crawl(ask, options)
    try:
        yield from crawl.run(normalise(ask.address))
    finally:
        crawl.fetcher.close()
        crawl.reader.close()


class _Crawl:
    def __init__(self, ask: Ask, options: Options) -> None:
        self.ask, self.options = ask, options
        self.fetcher = Fetcher(options, self._pulse)
        self.robots = Robots(self.fetcher, options)
        self.reader = Reader(self._pulse)
        self.shelf = Shelf(ask.folder)
        self.scope: Scope | None = None  # known when the start is read: it may have moved
        self.queue: deque[tuple[str, int]] = deque()
        self.known: set[str] = set()  # all that were ever in the queue
        self.read: dict[str, str] = {}  # addresses of pages, and why they are none or ""
        self.digests: dict[str, str] = {}
        self.licences: set[str] = set()
        self.beyond: set[str] = set()  # links that were too deep or too many
        self.asked = self.unchanged = 0

    def run(self, start: str) -> Iterator[Document | Skipped]:
        self._add(start, 0)
        troubles = 0
        while self.queue and self.asked < self.options.pages:
            url, depth = self.queue.popleft()
            self.asked += 1
            self._pulse()
            try:
                page = self._page(url)
            except Refusal as error:
                if url == start:
                    raise GatherError(f"{url} cannot be gathered. {error}") from None
                troubles = troubles + 1 if isinstance(error, Trouble) else 0
                if troubles == _MOST_TROUBLES or isinstance(error, Away):
                    raise GatherError(
                        f"The site does not answer any more, at last for {url}. {error} "
                        "What was read is kept: gather it again later."
                    ) from None
                yield Skipped(url, str(error))
                continue
            troubles = 0
            if url == start:
                self._begin(page.url)
            if page.url not in self.read:
                yield from self._taken(page, depth)
        yield from self._left(start)
        self.shelf.end({Shelf.name_of(one) for one in self.known | self.read.keys()}.__contains__)

    def _begin(self, url: str) -> None:
        self.scope = Scope(url, self.options)
        self.known.add(url)
        if self.options.sitemap:
            self._read_sitemaps(url)

    def _page(self, url: str) -> Page:
        """The page at an address: kept by the crawl that was interrupted, or asked for."""
        kept = self.shelf.get(url)
        if kept and kept.moved:
            kept = self.shelf.get(kept.moved) if kept.run == self.shelf.run else None
        if kept and (kept.run == self.shelf.run or self.ask.known(kept.url)):
            return kept
        answer = self.fetcher.get(
            url, types=tuple(KINDS), limit=LARGEST, check=self._refusal, headers=self._conditions
        )
        run = self.shelf.run
        old = self.shelf.get(answer.url)
        if answer.status == 304 and old:
            page = replace(old, run=run, at=now())
            self.unchanged += 1
        elif answer.status == 200:
            page = read_page(answer, run, self.reader)
        elif answer.status == 429 or answer.status >= 500:
            raise Trouble(f"It answered {answer.status}, again and again.")
        else:
            raise Refusal(f"It answered {answer.status}.")
        self.shelf.put(page.url, page)
        if page.url != url:
            self.shelf.put(url, Page(url, run, moved=page.url))
        return page

    def _refusal(self, url: str) -> str:
        """Why an address that a link or a redirect leads to is not asked."""
        if self.scope and url not in self.known and not self.scope.holds(url):
            return f"It redirects to {url}, which is not part of this crawl."
        return self.robots.refusal(url)

    def _conditions(self, url: str) -> dict[str, str]:
        old = self.shelf.get(url)
        if old is None or old.moved:
            return {}
        found = {"If-None-Match": old.etag, "If-Modified-Since": old.modified}
        return {key: value for key, value in found.items() if value and value.isascii()}

    def _taken(self, page: Page, depth: int) -> Iterator[Document | Skipped]:
        """The page's document, or why there is none; its links into the queue."""
        reason = page.refused
        if self.scope and not self.scope.wanted(page.url):
            reason = "The patterns do not take it; it was read for its links."
        same = self.digests.setdefault(page.digest, page.url)
        self.read[page.url] = page.digest
        if same != page.url:
            yield Skipped(page.url, f"It is the same, byte for byte, as {same}.")
            return
        for link in page.links:
            self._add(link, depth + 1)
        if reason:
            yield Skipped(page.url, reason)
            return
        self.licences.add(page.licence)
        if not self.ask.known(page.url):
            yield Document(
                page.text, page.url, page.kind, page.title, licence=page.licence, at=page.at,
                digest=page.digest, more={"language": page.language} if page.language else {},
            )  # fmt: skip

    def _add(self, url: str, depth: int) -> None:
        if url in self.known or (self.scope and not self.scope.holds(url)):
            return
        if depth > self.options.depth or len(self.known) >= _MOST_KNOWN:
            if len(self.beyond) < _MOST_KNOWN:
                self.beyond.add(url)
            return
        self.known.add(url)
        self.queue.append((url, depth))

    def _read_sitemaps(self, url: str) -> None:
        """Put the pages of the site's maps into the queue; a map may name others, ten in all."""
        maps = deque(self.robots.sitemaps(url))
        for _ in range(10):
            if not maps:
                return
            where = normalise(maps.popleft(), url)
            try:
                answer = self.fetcher.get(where, types=(), limit=LARGEST, check=self.robots.refusal)
            except Refusal:
                continue
            text = answer.body.decode("utf-8", "replace")
            found = [normalise(html.unescape(one)) for one in _LOC.findall(text)]
            if "<sitemapindex" in text:
                maps.extend(filter(None, found))
            else:
                for one in found:
                    self._add(one, min(1, self.options.depth))

    def _left(self, start: str) -> Iterator[Skipped]:
        if self.queue:
            yield Skipped(
                start,
                f"The limit of {self.options.pages} pages was reached with {len(self.queue)} "
                "addresses not yet asked. Raise it with pages, or narrow it with include.",
            )
        if self.beyond:
            yield Skipped(
                start,
                f"{len(self.beyond)} addresses are more than {self.options.depth} links away. "
                "Raise depth to reach them.",
            )
        if len(self.licences) == 1:
            self.ask.facts["licence"] = next(iter(self.licences))
        self.ask.facts.update(
            site=self.scope.start if self.scope else start,
            asked=self.asked,
            requests=self.fetcher.requests,
            unchanged=self.unchanged,
        )

    def _pulse(self) -> None:
        total = min(self.options.pages, self.asked + len(self.queue))
        self.ask.tell(self.asked / max(total, 1), f"{self.asked} of about {total} pages")
